//! What becomes of the events that wait in windows: started together, in turn, or let go.

use std::time::Duration;

use serde_json::{Map, json};

use crate::domain::event::{Actor, Event};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;
use crate::domain::workflow::gate::{Gates, Pace, batch_payload};
use crate::domain::workflow::{Trigger, Workflow};
use crate::store::events::{EventKey, StoredEvent};
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;
use crate::store::windows::{Gate, Held, WindowId, WindowRow};

use super::gates::given;
use super::intake::{Begun, Start, begin_with, next_key};
use super::listeners::Listener;
use super::tenant_state::TenantState;

/// How many delayed runs one transaction starts.
const STARTS_MAX: usize = 256;
/// When the rest of them is looked at.
const SOON: Duration = Duration::from_millis(1);

type Waiting = Vec<(EventKey, StoredEvent)>;

/// Looks at a window whose alarm rang.
pub(super) fn ring(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    text: &str,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let Ok(id) = text.parse::<WindowId>() else { return Ok(()) };
    let Some(row) = tx.view().window(&id)? else { return Ok(()) };
    let now = tx.now();
    if row.alarm.is_some_and(|alarm| alarm > now) {
        return Ok(()); // It was moved since.
    }
    match row.held {
        Held::Gathered { due, .. } if due > now => {
            tx.put_window(&id, &WindowRow { alarm: Some(due), ..row })
        }
        Held::Gathered { .. } => close(tenant, tx, &id, begun).map(drop),
        Held::Placed { .. } => start_due(tenant, tx, &id, row, begun),
        Held::Seen { .. } | Held::Counted { .. } | Held::Lasting { .. } => tx.remove_window(&id),
    }
}

/// Starts the run that a window gathered events for.
pub(super) fn close(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    id: &WindowId,
    begun: &mut Begun,
) -> Result<Option<RunId>, StoreError> {
    let Some(row) = tx.view().window(id)? else { return Ok(None) };
    let waiting = take_out(tx, id)?;
    let listeners = std::rc::Rc::clone(&tenant.listeners.borrow());
    let Some(listener) = listeners.named(&id.workflow) else {
        let_go(tx, &id.workflow, waiting, "limited: dropped, the workflow is not active any more");
        return Ok(None);
    };
    let pace = gates_of(&listener.workflow, row.trigger).and_then(|gates| gates.pace.as_ref());
    let started = match pace {
        Some(Pace::Batch { .. }) => start_batch(tenant, tx, listener, &row, &waiting, begun)?,
        _ => start_last(tenant, tx, listener, &waiting, begun)?,
    };
    tell(tx, &id.workflow, waiting, &started);
    Ok(started.ok())
}

/// Returns the gates of the trigger at a position.
pub(super) fn gates_of(workflow: &Workflow, index: usize) -> Option<&Gates> {
    match workflow.triggers.get(index)? {
        Trigger::Event { gates, .. } => gates.as_deref(),
        _ => None, // Only triggers with events have gates.
    }
}

/// What becomes of the windows of a workflow that has another version now, or none: a gate that is
/// still there goes on, events that waited at one that is gone start at once if the new version
/// listens to them, and all others are dropped and say so.
pub(super) fn settle(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    before: &Listener,
    after: Option<&Listener>,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    for (id, row) in tx.view().windows_of(&before.workflow.name)? {
        if id.gate == Gate::Lasting || after.is_some_and(|after| goes_on(before, after, &id, &row))
        {
            continue;
        }
        let pace = gates_of(&before.workflow, row.trigger).and_then(|gates| gates.pace.as_ref());
        let is_quiet = matches!(pace, Some(Pace::Debounce { .. }));
        let mut waiting = take_out(tx, &id)?;
        let Some(after) = after else {
            let_go(tx, &id.workflow, waiting, "limited: dropped, the workflow was switched off");
            continue;
        };
        if is_quiet {
            let started = start_last(tenant, tx, after, &waiting, begun)?;
            tell(tx, &id.workflow, std::mem::take(&mut waiting), &started);
        }
        for one in waiting {
            let started = start_last(tenant, tx, after, std::slice::from_ref(&one), begun)?;
            tell(tx, &id.workflow, vec![one], &started);
        }
    }
    Ok(())
}

fn goes_on(before: &Listener, after: &Listener, id: &WindowId, row: &WindowRow) -> bool {
    let kind = |listener: &Listener| {
        let trigger = listener.workflow.triggers.get(row.trigger);
        trigger.and_then(Trigger::event_kind).map(str::to_owned)
    };
    let Some(gates) = gates_of(&after.workflow, row.trigger) else { return false };
    let has_gate = match id.gate {
        Gate::Dedupe => gates.dedupe.is_some(),
        Gate::Throttle => gates.throttle.is_some(),
        Gate::RateLimit => matches!(gates.pace, Some(Pace::RateLimit(_))),
        Gate::Gather => matches!(gates.pace, Some(Pace::Debounce { .. } | Pace::Batch { .. })),
        Gate::Lasting => true,
    };
    has_gate && kind(before) == kind(after)
}

/// Takes a window away and returns the events that waited in it, in order.
fn take_out(tx: &mut TenantTx<'_, '_>, id: &WindowId) -> Result<Waiting, StoreError> {
    let mut waiting = Vec::new();
    for member in tx.view().members(id, usize::MAX)? {
        waiting.extend(tx.view().event(member.event)?.map(|stored| (member.event, stored)));
    }
    tx.remove_window(id)?;
    Ok(waiting)
}

/// Starts a run with the last of the events.
fn start_last(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    waiting: &[(EventKey, StoredEvent)],
    begun: &mut Begun,
) -> Result<Result<RunId, String>, StoreError> {
    let Some((key, stored)) = waiting.last() else {
        return Ok(Err("limited: nothing waited".to_owned()));
    };
    if !listener.workflow.event_kinds().contains(&stored.event.kind.as_str()) {
        let reason = "limited: dropped, the new version does not listen to it";
        return Ok(Err(reason.to_owned()));
    }
    let mut given = given(tx.view(), &listener.workflow, &stored.event)?;
    given.events = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
    let born = next_key(tenant, tx);
    let start = Start { event: &stored.event, key: *key, born, given };
    begin_with(tenant, tx, listener, start, begun)
}

/// Starts a run with one event that holds all the others.
fn start_batch(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    row: &WindowRow,
    waiting: &[(EventKey, StoredEvent)],
    begun: &mut Begun,
) -> Result<Result<RunId, String>, StoreError> {
    let key = next_key(tenant, tx);
    let Some(event) = batch_of(key, tx.now(), row, waiting) else {
        return Ok(Err("limited: nothing waited".to_owned()));
    };
    let mut given = given(tx.view(), &listener.workflow, &event)?;
    given.events = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
    let start = Start { event: &event, key, born: key, given };
    let started = begin_with(tenant, tx, listener, start, begun)?;
    keep_made(tx, key, event, &listener.workflow.name, &started)?;
    Ok(started)
}

/// Stores an event that was made for one workflow alone, with what became of it.
pub(super) fn keep_made(
    tx: &mut TenantTx<'_, '_>,
    key: EventKey,
    event: Event,
    workflow: &str,
    started: &Result<RunId, String>,
) -> Result<(), StoreError> {
    let received_at = tx.now();
    let mut stored = StoredEvent { event, received_at, runs: Vec::new(), withheld: Vec::new() };
    match started {
        Ok(run) => stored.runs.push(*run),
        Err(reason) => stored.withhold(workflow, reason.clone()),
    }
    tx.put_event(key, &stored)?;
    tx.count_events(1);
    Ok(())
}

fn batch_of(
    key: EventKey,
    now: Timestamp,
    row: &WindowRow,
    waiting: &[(EventKey, StoredEvent)],
) -> Option<Event> {
    let (first, last) = (&waiting.first()?.1, &waiting.last()?.1);
    let events: Vec<_> = waiting.iter().map(|(_, stored)| stored.event.to_value()).collect();
    let subject = first.event.subject.clone();
    let is_shared = waiting.iter().all(|(_, stored)| stored.event.subject == subject);
    // The longest chain of runs that led here decides when a loop is cut.
    let causes = waiting.iter().filter_map(|(_, stored)| stored.event.cause);
    let gathered = json!({"key": row.key, "count": events.len()});
    Some(Event {
        id: key.to_id(),
        kind: first.event.kind.clone(),
        source: "ergane".to_owned(),
        subject: subject.filter(|_| is_shared),
        time: now,
        actor: system(),
        payload: batch_payload(events, first.received_at, last.received_at),
        metadata: Map::from_iter([("gathered".to_owned(), gathered)]),
        cause: causes.max_by_key(|cause| cause.depth),
    })
}

/// Names the platform itself as the one who made something happen.
pub(super) fn system() -> Actor {
    Actor { id: "ergane".to_owned(), kind: "SYSTEM".to_owned(), email: String::new() }
}

/// Starts the runs whose places have come, in order.
fn start_due(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    id: &WindowId,
    row: WindowRow,
    begun: &mut Begun,
) -> Result<(), StoreError> {
    let Held::Placed { period, waiting, until } = row.held else { return Ok(()) };
    let now = tx.now();
    let members = tx.view().members(id, STARTS_MAX + 1)?;
    let due = members.iter().take(STARTS_MAX).take_while(|member| member.place <= now);
    let due: Vec<_> = due.copied().collect();
    let listeners = std::rc::Rc::clone(&tenant.listeners.borrow());
    for member in &due {
        tx.remove_member(id, *member);
        let Some(stored) = tx.view().event(member.event)? else { continue };
        let one = (member.event, stored);
        let started = match listeners.named(&id.workflow) {
            Some(listener) => start_last(tenant, tx, listener, std::slice::from_ref(&one), begun)?,
            None => Err("limited: dropped, the workflow is not active any more".to_owned()),
        };
        tell(tx, &id.workflow, vec![one], &started);
    }
    let waiting = waiting.saturating_sub(u32::try_from(due.len()).unwrap_or(u32::MAX));
    let alarm = match members.get(due.len()) {
        Some(next) => next.place.max(now + SOON),
        None if until <= now => return tx.remove_window(id),
        None => until,
    };
    let held = Held::Placed { period, waiting, until };
    tx.put_window(id, &WindowRow { alarm: Some(alarm), held, ..row })
}

/// Notes at each event what became of it.
fn tell(
    tx: &mut TenantTx<'_, '_>,
    workflow: &str,
    waiting: Waiting,
    started: &Result<RunId, String>,
) {
    for (key, mut stored) in waiting {
        match started {
            Ok(run) => {
                stored.release(workflow);
                stored.runs.push(*run);
            }
            Err(reason) => stored.withhold(workflow, reason.clone()),
        }
        tx.update_event(key, &stored);
    }
}

fn let_go(tx: &mut TenantTx<'_, '_>, workflow: &str, waiting: Waiting, reason: &str) {
    tell(tx, workflow, waiting, &Err(reason.to_owned()));
}
