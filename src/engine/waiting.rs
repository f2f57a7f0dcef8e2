//! What a run that waits leaves in the store: where events find it, and who is asked to approve.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::event::Event;
use crate::domain::filter::Filter;
use crate::domain::path::Path;
use crate::domain::run::{Doing, Entry, Gate, Input, Record, Run};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, LookBack, Wait};
use crate::store::approvals::{ApprovalOutcome, ApprovalRow};
use crate::store::destinations::DeferredCall;
use crate::store::events::EventKey;
use crate::store::inbox::Notice;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;
use crate::store::waits::{WaitPlace, WaitRow};

use super::live::LiveRun;
use super::tenant_state::TenantState;

/// How many events are read at once for a look back.
const CHUNK: usize = 100;

/// Tells every run that may wait for an event that it came.
pub(super) fn tell_waiting(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    key: EventKey,
    event: &Event,
) -> Result<(), StoreError> {
    if !tenant.may_wait.get() {
        return Ok(());
    }
    let scope = Scope::of_event(event.to_value());
    let key_at = |path: &str| Filter::key_at(&Path::parse(path).ok()?, &scope);
    for row in tx.view().waits_for(&event.kind, key_at)? {
        if is_made_by(event, &row) || !is_awaited(tenant, tx, &row, &scope)? {
            continue;
        }
        tx.post(row.run, &Notice::Event { step: row.step, event: key });
    }
    Ok(())
}

/// A run does not wait for what it does itself.
fn is_made_by(event: &Event, row: &WaitRow) -> bool {
    event.cause.is_some_and(|cause| cause.run_id == row.run)
}

fn is_awaited(
    tenant: &TenantState,
    tx: &TenantTx<'_, '_>,
    row: &WaitRow,
    scope: &Scope,
) -> Result<bool, StoreError> {
    let workflow = tenant.definition(tx.view(), &row.workflow, row.version)?;
    let wait = workflow.as_ref().and_then(|workflow| match &workflow.step_at(&row.step)?.action {
        Action::Wait(wait) => Some(wait),
        _ => None, // The version does not wait there.
    });
    Ok(wait.is_some_and(|wait| wait.filter.with_values(&row.values).matches(scope)))
}

impl LiveRun {
    /// Looks for an event that came before the wait of a step began.
    pub(super) fn look_back(
        &mut self,
        tenant: &TenantState,
        tx: &TenantTx<'_, '_>,
        step: &str,
    ) -> Result<Option<Input>, StoreError> {
        if self.waits.contains_key(step) || !self.looked_back.insert(step.to_owned()) {
            return Ok(None); // It was looked for when the wait began.
        }
        let Some((wait, values, since)) = self.wait_of(step) else { return Ok(None) };
        let mut least = self.event;
        if let LookBack::Last(last) = wait.look_back {
            let from = since.millis() - i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
            let from = Timestamp::from_millis(from);
            least = least.max(EventKey::at(from));
        }
        if let Some(id) = &self.run.last_awaited {
            least = tx.view().event_by_id(id, None)?.map_or(least, |key| key.max(least));
        }
        let filter = wait.filter.with_values(values);
        let (mut before, mut seen, mut first) = (None, 0, None);
        'reading: while seen < tenant.shared.settings.look_back_events_max {
            let chunk = tx.view().events_before(before, CHUNK)?;
            for (key, stored) in &chunk {
                if *key <= least {
                    break 'reading;
                }
                let event = &stored.event;
                let own = event.cause.is_some_and(|cause| cause.run_id == self.id());
                if event.kind == wait.kind && !own {
                    let value = event.to_value();
                    if filter.matches(&Scope::of_event(value.clone())) {
                        first = Some(value);
                    }
                }
            }
            seen += chunk.len();
            let Some((last, _)) = chunk.last() else { break };
            before = Some(*last);
        }
        Ok(first.map(|event| Input::EventCame { step: step.to_owned(), event }))
    }

    /// Keeps the index of waits as the run stands.
    pub(super) fn keep_waits(&mut self, tenant: &TenantState, tx: &mut TenantTx<'_, '_>) {
        let owed: Vec<String> = waiting_steps(&self.run);
        let gone: Vec<String> =
            self.waits.keys().filter(|step| !owed.contains(step)).cloned().collect();
        for step in gone {
            if let Some(place) = self.waits.remove(&step) {
                tx.remove_wait(&place, self.run.id, &step);
            }
        }
        for step in owed {
            if self.waits.contains_key(&step) {
                continue;
            }
            let Some((place, row)) = self.wait_row(step) else { continue };
            tx.put_wait(&place, &row);
            tenant.may_wait.set(true);
            self.waits.insert(row.step, place);
        }
        self.looked_back.clear();
    }

    /// Returns the waits that the store has for a run that was just loaded.
    pub(super) fn stored_waits(&self) -> BTreeMap<String, WaitPlace> {
        let steps = waiting_steps(&self.run).into_iter();
        let rows = steps.filter_map(|step| self.wait_row(step));
        rows.map(|(place, row)| (row.step, place)).collect()
    }

    fn wait_row(&self, step: String) -> Option<(WaitPlace, WaitRow)> {
        let (wait, values, _) = self.wait_of(&step)?;
        let equality = wait.filter.with_values(values).equality();
        let place = WaitPlace { kind: wait.kind.clone(), equality };
        let row = WaitRow {
            run: self.run.id,
            workflow: self.run.workflow.clone(),
            version: self.run.version,
            step,
            values: values.to_vec(),
        };
        Some((place, row))
    }

    fn wait_of(&self, step: &str) -> Option<(&Wait, &[Value], Timestamp)> {
        let Action::Wait(wait) = &self.workflow.step_at(step)?.action else { return None };
        match &self.run.step(step)?.doing {
            Doing::Awaiting { values, since, .. } => Some((wait, values, *since)),
            _ => None, // It waits no longer.
        }
    }

    /// Publishes what happened to approvals, so that workflows can tell those who are asked.
    pub(super) fn publish_approvals(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        records: &[Record],
    ) {
        for record in records {
            let kind = match &record.entry {
                Entry::ApprovalRequested { .. } => "approval:requested",
                Entry::ApprovalReminded { .. } => "approval:reminded",
                Entry::ApprovalEscalated { .. } => "approval:escalated",
                Entry::ApprovalDecided { .. } => "approval:decided",
                _ => continue, // Not about an approval.
            };
            let mut payload = json!(record.entry);
            if let Some(fields) = payload.as_object_mut() {
                fields.shift_remove("entry");
                fields.insert("runId".to_owned(), json!(self.run.id));
                fields.insert("workflow".to_owned(), json!(self.run.workflow));
                fields.insert("subject".to_owned(), json!(self.run.head().subject));
            }
            let caller = self.caller(tenant);
            tx.emit(Event {
                id: String::new(),
                kind: kind.to_owned(),
                source: "ergane/approvals".to_owned(),
                subject: Some(self.run.id.to_string()),
                time: tx.now(),
                actor: caller.actor,
                payload,
                metadata: serde_json::Map::new(),
                cause: caller.cause,
            });
        }
    }

    /// Keeps the list of approvals as the run stands.
    pub(super) fn keep_approvals(&mut self, tx: &mut TenantTx<'_, '_>) {
        let owed = gates_of(&self.run);
        let gone: Vec<(String, Gate)> = self
            .gates
            .iter()
            .filter(|(step, _)| !owed.contains_key(*step))
            .map(|(step, gate)| (step.clone(), gate.clone()))
            .collect();
        for (step, gate) in gone {
            let decided = self.run.step(&step).and_then(|state| state.decided.as_ref());
            let outcome = match decided {
                Some(decided) => ApprovalOutcome {
                    decision: json!(decided.decision).as_str().unwrap_or_default().to_owned(),
                    by: decided.by.clone(),
                    comment: decided.comment.clone(),
                    at: decided.at,
                },
                None => ApprovalOutcome {
                    decision: "withdrawn".to_owned(),
                    by: String::new(),
                    comment: String::new(),
                    at: tx.now(),
                },
            };
            tx.close_approval(&self.approval_row(&step, &gate, Some(outcome)));
        }
        for (step, gate) in &owed {
            if self.gates.get(step) != Some(gate) {
                tx.put_open_approval(&self.approval_row(step, gate, None));
            }
        }
        self.gates = owed;
    }

    /// Keeps the index of calls that wait for their destination as the run stands.
    pub(super) fn keep_deferred(&mut self, tx: &mut TenantTx<'_, '_>) {
        let owed = deferred_of(&self.run);
        for call in self.deferred.difference(&owed) {
            tx.remove_deferred_call(call);
        }
        for call in owed.difference(&self.deferred) {
            tx.put_deferred_call(call);
        }
        self.deferred = owed;
    }

    fn approval_row(
        &self,
        step: &str,
        gate: &Gate,
        outcome: Option<ApprovalOutcome>,
    ) -> ApprovalRow {
        ApprovalRow {
            run: self.run.id,
            step: step.to_owned(),
            workflow: self.run.workflow.clone(),
            approvers: gate.approvers.clone(),
            reason: gate.reason.clone(),
            asked_at: gate.asked_at,
            until: gate.until,
            outcome,
        }
    }
}

fn waiting_steps(run: &Run) -> Vec<String> {
    let doings = run.doings().filter(|(_, doing)| matches!(doing, Doing::Awaiting { .. }));
    doings.map(|(step, _)| step.to_owned()).collect()
}

/// Returns the calls of a run that wait for their destination.
pub(super) fn deferred_of(run: &Run) -> BTreeSet<DeferredCall> {
    run.doings()
        .filter_map(|(step, doing)| match doing {
            Doing::Deferred(deferral) => {
                let (destination, step) = (deferral.destination.clone(), step.to_owned());
                Some(DeferredCall { destination, run: run.id, step, reason: deferral.reason })
            }
            _ => None, // It does not wait for a destination.
        })
        .collect()
}

/// Returns the approvals that a run asks for.
pub(super) fn gates_of(run: &Run) -> BTreeMap<String, Gate> {
    run.doings()
        .filter_map(|(step, doing)| match doing {
            Doing::Deciding(gate) => Some((step.to_owned(), Gate::clone(gate))),
            _ => None, // It asks nobody.
        })
        .collect()
}
