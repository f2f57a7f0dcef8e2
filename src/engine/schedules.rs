//! How schedules fire: what has come is decided from the store alone, in one transaction with the
//! runs that it starts and the alarm for what comes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tracing::{info, warn};

use crate::domain::event::{Actor, Event};
use crate::domain::id::RunId;
use crate::domain::schedule::{Missed, Overlap, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Trigger, Workflow};
use crate::metrics::Trouble;
use crate::store::schedules::{Firing, ScheduleRow, of_alarm};
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

use super::Withheld;
use super::intake::{Accepted, Begun, IncomingEvent, accept_for};
use super::tenant_state::TenantState;

/// Under this key of an event's metadata stands the trigger that made it.
const TRIGGER: &str = "trigger";
/// How many runs of a schedule are remembered, to see whether they are over.
const RUNNING_MAX: usize = 100;

/// What a schedule needs to fire.
struct Due {
    row: ScheduleRow,
    workflow: Arc<Workflow>,
    kind: String,
    schedule: Schedule,
}

/// Brings the schedules of a tenant into agreement with its workflows. One whose times and zone
/// stay the same keeps its place, whatever else a new version changes.
pub(super) fn reconcile(tenant: &TenantState, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
    let now = tx.now();
    let mut before: BTreeMap<String, Vec<ScheduleRow>> = BTreeMap::new();
    for row in tx.view().schedules()? {
        before.entry(row.workflow.clone()).or_default().push(row);
    }
    for found in tx.view().workflows()? {
        if found.deleted_at.is_some() {
            continue;
        }
        let workflow = match tenant.definition(tx.view(), &found.name, found.version) {
            Ok(Some(workflow)) => workflow,
            // One that cannot be understood now keeps what it has.
            Ok(None) | Err(_) => {
                before.remove(&found.name);
                continue;
            }
        };
        let mut known = before.remove(&found.name).unwrap_or_default();
        let mut wanted = Vec::new();
        for (trigger, schedule) in workflow.schedules() {
            let trigger = u32::try_from(trigger).unwrap_or(u32::MAX);
            // Other times do not end a pause.
            let paused = known.iter().find(|row| row.trigger == trigger);
            let paused = paused.and_then(|row| row.paused.clone());
            let old = take_same(&mut known, trigger, &schedule.times());
            let mut row = match &old {
                Some(old) => ScheduleRow { trigger, ..old.clone() },
                None => {
                    let fresh = ScheduleRow::new(&found.name, trigger, schedule, now);
                    ScheduleRow { paused, ..fresh }
                }
            };
            if found.active && !row.active {
                row.go_on_from(now);
            }
            row.active = found.active;
            row.version = found.version;
            row.plan(schedule);
            wanted.push((old, row));
        }
        known.iter().for_each(|gone| tx.remove_schedule(gone));
        for (old, row) in wanted {
            match old {
                Some(old) if old == row => continue,
                Some(old) if old.trigger != row.trigger => remove_unless_taken(tx, &old)?,
                Some(_) | None => {}
            }
            tx.put_schedule(&row)?;
        }
    }
    // What is left belongs to workflows that are deleted.
    before.values().flatten().for_each(|gone| tx.remove_schedule(gone));
    Ok(())
}

/// Takes the row with the same times, of the same trigger if there is one.
fn take_same(known: &mut Vec<ScheduleRow>, trigger: u32, times: &str) -> Option<ScheduleRow> {
    let same = |row: &ScheduleRow| row.times == times;
    let own = known.iter().position(|row| same(row) && row.trigger == trigger);
    let at = own.or_else(|| known.iter().position(same))?;
    Some(known.swap_remove(at))
}

/// Removes the row of a trigger that has moved, unless another row stands in its place already.
fn remove_unless_taken(tx: &mut TenantTx<'_, '_>, old: &ScheduleRow) -> Result<(), StoreError> {
    if tx.view().schedule(&old.workflow, old.trigger)?.as_ref() == Some(old) {
        tx.remove_schedule(old);
    }
    Ok(())
}

/// Sets the alarms of schedules that have none, and returns of how many.
pub(super) fn repair(tenant: &TenantState, tx: &mut TenantTx<'_, '_>) -> Result<usize, StoreError> {
    reconcile(tenant, tx)?;
    let mut repaired = 0;
    for row in tx.view().schedules()? {
        if !tx.view().is_schedule_armed(&row)? {
            warn!(workflow = %row.workflow, trigger = row.trigger, "Setting the schedule's alarm again");
            tx.put_schedule(&row)?;
            repaired += 1;
        }
    }
    Ok(repaired)
}

/// Fires what has come of a schedule, and sets the alarm for what comes next.
pub(super) fn come(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    (due, id): (Timestamp, &str),
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let Some(row) = read(tx.view(), id)? else { return Ok(()) };
    // An alarm that the row does not know of has been replaced; the row's own will ring.
    if row.next.is_none_or(|next| next.due != due) {
        return Ok(());
    }
    let Some(mut found) = due_of(tenant, tx.view(), row)? else { return Ok(()) };
    if due <= tx.now() {
        found.catch_up(tenant, tx, begun)?;
    }
    found.row.plan(&found.schedule);
    tx.put_schedule(&found.row)
}

/// Starts a run of a schedule at once, beside its times.
pub(super) fn run_now(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    (workflow, trigger): (&str, u32),
    actor: Actor,
    begun: &mut Begun,
) -> Result<Accepted, Withheld> {
    let row = tx.view().schedule(workflow, trigger)?.ok_or(Withheld::NoWorkflow)?;
    let mut found = due_of(tenant, tx.view(), row)?.ok_or(Withheld::NoWorkflow)?;
    let now = tx.now();
    let event = IncomingEvent { id: None, actor: Some(actor), ..found.event(now, now) };
    let accepted = accept_for(tenant, tx, (workflow, found.row.version), event, begun)?;
    found.remember(&accepted);
    tx.put_schedule(&found.row)?;
    Ok(accepted)
}

/// Returns the key by which runs of a schedule wait for one another, if they do.
pub(super) fn queue_key(workflow: &Workflow, event: &Event) -> Option<String> {
    let name = event.source.strip_prefix("schedule:")?;
    let at = event.metadata.get(TRIGGER)?.as_u64()?;
    let (_, schedule) = workflow.schedules().find(|(position, _)| *position as u64 == at)?;
    let waits = name == workflow.name && schedule.overlap == Overlap::Queue;
    waits.then(|| format!("schedule:{at}"))
}

fn read(view: TenantView<'_>, id: &str) -> Result<Option<ScheduleRow>, StoreError> {
    match of_alarm(id) {
        Some((workflow, trigger)) => view.schedule(workflow, trigger),
        None => Ok(None),
    }
}

fn due_of(
    tenant: &TenantState,
    view: TenantView<'_>,
    row: ScheduleRow,
) -> Result<Option<Due>, StoreError> {
    let Some(workflow) = tenant.definition(view, &row.workflow, row.version)? else {
        return Ok(None);
    };
    let found = match workflow.triggers.get(row.trigger as usize) {
        Some(Trigger::Schedule { kind, schedule }) => Some((kind.clone(), (**schedule).clone())),
        Some(Trigger::Event { .. } | Trigger::Lasting(_)) | None => None, // Another version; the rows follow at once.
    };
    Ok(found.map(|(kind, schedule)| Due { row, workflow, kind, schedule }))
}

impl Due {
    /// Goes through the slots that have come, oldest first.
    fn catch_up(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        begun: &mut Begun,
    ) -> Result<(), StoreError> {
        let (now, settings) = (tx.now(), &tenant.shared.settings);
        let passed =
            self.schedule.passed(self.row.done_until, now, settings.schedule_slots_max.max(1));
        let fires_at = |slot: Timestamp| self.schedule.fires_at(slot, &self.row.workflow);
        let come: Vec<Timestamp> =
            passed.slots.into_iter().take_while(|slot| fires_at(*slot) <= now).collect();
        let grace = Duration::from_millis(settings.schedule_grace_ms);
        let is_late = |slot: &Timestamp| now.since(fires_at(*slot)) > grace;
        let late = come.iter().take_while(|slot| is_late(slot)).count();
        let (late, punctual) = come.split_at(late);
        let (late, punctual) = (late.to_vec(), punctual.to_vec());
        if passed.is_cut
            && let Some(first) = self.schedule.next_after(self.row.done_until)
        {
            let reason = format!(
                "{}; more than {} times had passed, and those before the newest are not listed",
                self.reason(tenant, first),
                settings.schedule_slots_max,
            );
            self.miss(tenant, first, reason);
        }
        let fire_late_from = match self.schedule.missed {
            Missed::Skip => late.len(),
            Missed::Once => late.len().saturating_sub(1),
            Missed::All => 0,
        };
        for (place, slot) in late.into_iter().enumerate() {
            if place < fire_late_from {
                let reason = self.reason(tenant, slot);
                self.miss(tenant, slot, reason.to_owned());
            } else {
                self.fire(tenant, tx, slot, begun)?;
            }
            self.row.done_until = slot;
        }
        for slot in punctual {
            self.fire(tenant, tx, slot, begun)?;
            self.row.done_until = slot;
        }
        Ok(())
    }

    fn miss(&mut self, tenant: &TenantState, slot: Timestamp, reason: String) {
        info!(tenant.slug = %tenant.facts.slug, workflow = %self.row.workflow, %slot, "A time of the schedule was missed: {reason}");
        tenant.shared.metrics.trouble(&tenant.facts.slug, Trouble::ScheduleMissed);
        self.row.missed += 1;
        self.row.missed_since += 1;
        self.row.leave_out(slot, reason, tenant.shared.settings.schedule_listed_max);
    }

    /// Says why a slot that is late did not fire in time.
    fn reason(&self, tenant: &TenantState, slot: Timestamp) -> &'static str {
        let due = self.schedule.fires_at(slot, &self.row.workflow);
        if due < tenant.shared.started_at {
            return "the appliance was down";
        }
        if tenant.shared.rest.was_at(due) {
            return "the appliance was paused";
        }
        let leapt = *tenant.shared.leapt.lock();
        match leapt.is_some_and(|leap| due > leap.from && due <= leap.to) {
            true => "the clock jumped",
            false => "nothing could be started in time",
        }
    }

    fn fire(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        slot: Timestamp,
        begun: &mut Begun,
    ) -> Result<(), StoreError> {
        let listed_max = tenant.shared.settings.schedule_listed_max;
        let event = self.event(slot, tx.now());
        let known = event.id.as_deref().map(|id| tx.view().event_by_id(id, Some(&event.source)));
        if known.transpose()?.flatten().is_some() {
            return Ok(()); // It has fired before, whatever the row says.
        }
        if let Some(run) = self.still_active(tx.view())? {
            let reason = format!("overlapped: {run} of an earlier time was still active");
            self.row.leave_out(slot, reason, listed_max);
            return Ok(());
        }
        match accept_for(tenant, tx, (&self.row.workflow, self.row.version), event, begun) {
            Ok(accepted) => {
                self.remember(&accepted);
                let run = accepted.runs.first().copied();
                self.row.last = run.map(|run| Firing { slot, at: tx.now(), run });
                self.row.fired += 1;
                self.row.missed_since = 0;
            }
            Err(Withheld::Because(reason)) => self.row.leave_out(slot, reason, listed_max),
            Err(Withheld::NoWorkflow) => {
                self.row.leave_out(slot, "its version is gone", listed_max);
            }
            Err(Withheld::Store(error)) => return Err(error),
        }
        Ok(())
    }

    /// Returns a run that keeps another from starting.
    fn still_active(&mut self, view: TenantView<'_>) -> Result<Option<RunId>, StoreError> {
        if self.schedule.overlap != Overlap::Skip {
            return Ok(None);
        }
        let mut active = Vec::new();
        for run in &self.row.running {
            if view.run(*run)?.is_some_and(|row| !row.head.status.is_final()) {
                active.push(*run);
            }
        }
        self.row.running = active;
        Ok(self.row.running.first().copied())
    }

    fn remember(&mut self, accepted: &Accepted) {
        if self.schedule.overlap == Overlap::Skip {
            self.row.running.extend(&accepted.runs);
            let surplus = self.row.running.len().saturating_sub(RUNNING_MAX);
            self.row.running.drain(..surplus);
        }
    }

    /// Makes the event of a slot; its id is the slot's, so that it cannot be accepted twice.
    fn event(&self, slot: Timestamp, now: Timestamp) -> IncomingEvent {
        let (name, trigger, zone) = (&self.workflow.name, self.row.trigger, self.schedule.zone());
        let payload = json!({
            "schedule": self.schedule.describe(),
            "scheduledFor": slot,
            "firedAt": now,
            "timezone": zone.name(),
            "local": zone.written(slot),
            "missed": self.row.missed_since,
        });
        let actor =
            Actor { id: "schedule".to_owned(), kind: "SYSTEM".to_owned(), email: String::new() };
        IncomingEvent {
            id: Some(format!("{name}.{trigger}.{}", slot.millis())),
            kind: self.kind.clone(),
            source: format!("schedule:{name}"),
            subject: Some(name.clone()),
            time: None,
            actor: Some(actor),
            payload,
            metadata: [(TRIGGER.to_owned(), json!(trigger))].into_iter().collect(),
        }
    }
}
