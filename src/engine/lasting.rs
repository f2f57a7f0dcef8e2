//! Watches records that are in a state, and starts runs when the state has lasted.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::domain::event::Event;
use crate::domain::scope::Scope;
use crate::domain::time::format_duration;
use crate::domain::workflow::Trigger;
use crate::domain::workflow::lasting::Lasting;
use crate::store::alarms::AlarmKind;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;
use crate::store::windows::{Gate, Held, WindowId, WindowRow};

use super::gates::{given, other_team, remember};
use super::intake::{Begun, Start, begin_with, next_key};
use super::listeners::{Listener, Listeners};
use super::tenant_state::TenantState;
use super::windows::{keep_made, system};

/// Begins the name of an alarm that goes on looking for records which are in a state already.
const SCAN: &str = "+scan/";

/// One trigger that waits for a lasting state.
struct Watch<'w> {
    tenant: &'w TenantState,
    listener: &'w Listener,
    index: usize,
    lasting: &'w Lasting,
}

/// Looks after an event at the record that it is about: the state may have begun or ended, or its
/// count may begin anew.
pub(super) fn observe(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listeners: &Listeners,
    event: &Event,
) -> Result<(), StoreError> {
    for listener in listeners.watchers() {
        for watch in watches(tenant, listener) {
            let Some(id) = watch.subject_of(event) else { continue };
            let is_reset = || {
                let scope = Scope::of_event(event.to_value());
                watch.lasting.is_reset_by(&event.kind, &scope)
            };
            watch.look(tx, id, is_reset)?;
        }
    }
    Ok(())
}

/// Starts the run of a state that has lasted, or goes on looking for records.
pub(super) fn ring(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    text: &str,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let listeners = Rc::clone(&tenant.listeners.borrow());
    if let Some(rest) = text.strip_prefix(SCAN) {
        let mut parts = rest.splitn(3, '/');
        let (name, index) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
        let watch = listeners.named(name).zip(index.parse().ok());
        let watch = watch.and_then(|(listener, index)| watch_at(tenant, listener, index));
        return watch.map_or(Ok(()), |watch| watch.scan(tx, parts.next()));
    }
    let Ok(id) = text.parse::<WindowId>() else { return Ok(()) };
    let Some(row) = tx.view().window(&id)? else { return Ok(()) };
    let Held::Lasting { .. } = row.held else { return Ok(()) };
    if row.alarm.is_none_or(|alarm| alarm > tx.now()) {
        return Ok(()); // It was moved since.
    }
    let listener = listeners.named(&id.workflow);
    match listener.and_then(|listener| watch_at(tenant, listener, row.trigger)) {
        Some(watch) => watch.fire(tx, &id, row, begun),
        None => tx.remove_window(&id),
    }
}

/// Watches what the new version of a workflow asks for, and nothing else.
pub(super) fn settle(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    before: Option<&Listener>,
    after: Option<&Listener>,
) -> Result<(), StoreError> {
    let is_same = |index: usize| {
        let (Some(before), Some(after)) = (before, after) else { return false };
        let (before, after) = (&before.workflow, &after.workflow);
        before.triggers.get(index) == after.triggers.get(index) && before.team() == after.team()
    };
    if let Some(before) = before {
        for (id, row) in tx.view().windows_of(&before.workflow.name)? {
            if id.gate == Gate::Lasting && !is_same(row.trigger) {
                tx.remove_window(&id)?;
            }
        }
    }
    for watch in after.into_iter().flat_map(|after| watches(tenant, after)) {
        if !is_same(watch.index) {
            watch.scan(tx, None)?;
        }
    }
    Ok(())
}

fn watches<'w>(tenant: &'w TenantState, listener: &'w Listener) -> impl Iterator<Item = Watch<'w>> {
    let count = listener.workflow.triggers.len();
    (0..count).filter_map(move |index| watch_at(tenant, listener, index))
}

fn watch_at<'w>(
    tenant: &'w TenantState,
    listener: &'w Listener,
    index: usize,
) -> Option<Watch<'w>> {
    match listener.workflow.triggers.get(index)? {
        Trigger::Lasting(lasting) => Some(Watch { tenant, listener, index, lasting }),
        _ => None, // It waits for something else.
    }
}

impl Watch<'_> {
    /// Returns the id of the record that an event is about.
    fn subject_of<'e>(&self, event: &'e Event) -> Option<&'e str> {
        let word = self.lasting.word();
        let mut initials = word.chars();
        let initial = initials.next().map(|initial| initial.to_ascii_uppercase());
        let previous = format!("previous{}{}", initial.unwrap_or_default(), initials.as_str());
        let id = |name: &str| event.payload.get(name)?.get("id")?.as_str();
        id(word).or_else(|| id(&previous)).or(event.subject.as_deref())
    }

    fn is_in_state(&self, record: &Map<String, Value>) -> bool {
        let payload = json!({ self.lasting.word(): record });
        other_team(&self.listener.workflow, &payload).is_none() && self.lasting.holds(record)
    }

    fn id(&self, record: &str) -> WindowId {
        WindowId::new(&self.listener.workflow.name, self.index, Gate::Lasting, record)
    }

    /// Begins, ends or renews the watch of one record.
    fn look(
        &self,
        tx: &mut TenantTx<'_, '_>,
        record_id: &str,
        is_reset: impl FnOnce() -> bool,
    ) -> Result<(), StoreError> {
        let record = tx.view().record(self.lasting.record, record_id)?;
        let id = self.id(record_id);
        let is_watched = tx.view().window(&id)?.is_some();
        let is_in_state = record.is_some_and(|record| self.is_in_state(&record));
        match (is_in_state, is_watched) {
            (false, false) => Ok(()),
            (false, true) => tx.remove_window(&id),
            (true, true) if !is_reset() => Ok(()),
            (true, _) => {
                let now = tx.now();
                let row = WindowRow {
                    trigger: self.index,
                    key: record_id.to_owned(),
                    alarm: Some(now + self.lasting.lasts),
                    held: Held::Lasting { since: now },
                };
                remember(self.tenant, tx, &id, &row).map(drop)
            }
        }
    }

    /// Watches the records that are in the state already, some at a time, newest first.
    fn scan(&self, tx: &mut TenantTx<'_, '_>, before: Option<&str>) -> Result<(), StoreError> {
        let limit = self.tenant.shared.settings.lasting_batch_max;
        let records = tx.view().records_before(self.lasting.record, before, limit)?;
        let ids: Vec<&str> =
            records.iter().filter_map(|record| record.get("id")?.as_str()).collect();
        for id in &ids {
            self.look(tx, id, || false)?;
        }
        if let (Some(last), true) = (ids.last(), records.len() == limit) {
            let alarm = format!("{SCAN}{}/{}/{last}", self.listener.workflow.name, self.index);
            tx.set_alarm(tx.now(), AlarmKind::Lasting, &alarm);
        }
        Ok(())
    }

    /// Starts the run if the record is still in the state.
    fn fire(
        &self,
        tx: &mut TenantTx<'_, '_>,
        id: &WindowId,
        row: WindowRow,
        begun: &mut Begun,
    ) -> Result<(), StoreError> {
        let record = tx.view().record(self.lasting.record, &row.key)?;
        let Some(record) = record.filter(|record| self.is_in_state(record)) else {
            return tx.remove_window(id);
        };
        let Held::Lasting { since } = row.held else { return Ok(()) };
        let now = tx.now();
        let key = next_key(self.tenant, tx);
        let lasts = format_duration(self.lasting.lasts);
        let payload = json!({ self.lasting.word(): record, "since": since, "for": lasts });
        let event = Event {
            id: key.to_id(),
            kind: self.lasting.event_kind().to_owned(),
            source: "ergane".to_owned(),
            subject: Some(row.key.clone()),
            time: now,
            actor: system(),
            payload,
            metadata: Map::new(),
            cause: None,
        };
        let given = given(tx.view(), &self.listener.workflow, &event)?;
        let start = Start { event: &event, key, born: key, given };
        let started = begin_with(self.tenant, tx, self.listener, start, begun)?;
        let slug = &self.tenant.facts.slug;
        self.tenant.shared.metrics.event_accepted(slug, &event.kind);
        keep_made(tx, key, event, &self.listener.workflow.name, &started)?;
        // Without a repetition the row stays without an alarm, so that one state starts one run.
        let alarm = self.lasting.repeat.map(|repeat| now + repeat);
        tx.put_window(id, &WindowRow { alarm, ..row })
    }
}
