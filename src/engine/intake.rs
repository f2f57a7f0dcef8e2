//! How an event is accepted: recognised if it came before, stored, matched, and its runs begun,
//! all in one transaction.

use std::sync::Arc;

use crate::domain::event::{Actor, Event};
use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{ConcurrencyPolicy, Workflow};
use crate::failpoint;
use crate::store::events::{EventKey, StoredEvent};
use crate::store::runs::Given;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::Withheld;
use super::gates::{Arrival, Met, given, meet, show_given};
use super::lasting;
use super::listeners::Listener;
use super::live::LiveRun;
use super::loops::loop_of;
use super::schedules::queue_key;
use super::tenant_state::TenantState;
use super::waiting::tell_waiting;
use super::windows;

/// An event as it came in: what the sender left out is filled in at its acceptance.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncomingEvent {
    /// The sender's id; made here when there is none.
    pub id: Option<String>,
    /// The canonical event type.
    pub kind: String,
    /// Who says so.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened; the time of acceptance when there is none.
    pub time: Option<Timestamp>,
    /// Who made it happen.
    pub actor: Option<Actor>,
    /// The type's own data.
    pub payload: serde_json::Value,
    /// Anything beside the payload.
    pub metadata: serde_json::Map<String, serde_json::Value>,
}

impl IncomingEvent {
    /// Makes a new event out of an old one, which its metadata names under `role`.
    #[must_use]
    pub fn repeating(event: Event, role: &str, origin: &str) -> IncomingEvent {
        let mut metadata = event.metadata;
        metadata.insert(role.to_owned(), origin.into());
        IncomingEvent {
            id: None,
            kind: event.kind,
            source: event.source,
            subject: event.subject,
            time: Some(event.time),
            actor: Some(event.actor),
            payload: event.payload,
            metadata,
        }
    }
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The event's id.
    pub id: String,
    /// Whether the same event had been accepted before.
    pub duplicate: bool,
    /// The runs that it started, now or then.
    pub runs: Vec<RunId>,
}

/// What a run begins with.
pub(super) struct Start<'e> {
    pub(super) event: &'e Event,
    /// The event's.
    pub(super) key: EventKey,
    /// When the run is made, in the order of events; later than the event if that had to wait.
    pub(super) born: EventKey,
    pub(super) given: Given,
}

/// Runs that began, to be given to actors, and runs that must give way to them.
#[derive(Default)]
pub(super) struct Begun {
    pub(super) started: Vec<LiveRun>,
    pub(super) displaced: Vec<RunId>,
}

/// Accepts an event from outside.
pub(super) fn accept(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    incoming: IncomingEvent,
    begun: &mut Begun,
) -> Result<Accepted, StoreError> {
    if let Some(id) = &incoming.id
        && let Some(known) = tx.view().event_by_id(id, Some(&incoming.source))?
    {
        let runs = tx.view().event(known)?.map(|stored| stored.runs).unwrap_or_default();
        tx.note_repeat(known)?;
        return Ok(Accepted { id: id.clone(), duplicate: true, runs });
    }
    let key = next_key(tenant, tx);
    let event = complete(incoming, key, tx);
    let id = event.id.clone();
    let runs = store_and_match(tenant, tx, key, event, begun)?;
    Ok(Accepted { id, duplicate: false, runs })
}

/// Fills in what the sender left out.
fn complete(incoming: IncomingEvent, key: EventKey, tx: &TenantTx<'_, '_>) -> Event {
    Event {
        id: incoming.id.unwrap_or_else(|| key.to_id()),
        kind: incoming.kind,
        source: incoming.source,
        subject: incoming.subject,
        time: incoming.time.unwrap_or(tx.now()),
        actor: incoming.actor.unwrap_or_default(),
        payload: incoming.payload,
        metadata: incoming.metadata,
        cause: None,
    }
}

/// Accepts an event that is made for one workflow and starts that one alone, whatever its trigger.
pub(super) fn accept_for(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    (name, version): (&str, u32),
    incoming: IncomingEvent,
    begun: &mut Begun,
) -> Result<Accepted, Withheld> {
    let workflow = tenant.definition(tx.view(), name, version)?.ok_or(Withheld::NoWorkflow)?;
    let key = next_key(tenant, tx);
    let event = complete(incoming, key, tx).by_hand(&workflow, tx.now());
    let id = event.id.clone();
    let listener = Listener { workflow, version };
    let run = begin(tenant, tx, &listener, &event, key, begun)?.map_err(Withheld::Because)?;
    let received_at = tx.now();
    let stored = StoredEvent { event, received_at, runs: vec![run], withheld: Vec::new() };
    tx.put_event(key, &stored)?;
    tx.count_events(1);
    Ok(Accepted { id, duplicate: false, runs: vec![run] })
}

/// Accepts the event that a step made for another workflow and starts that one alone.
pub(super) fn accept_child(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    (workflow, version): (Arc<Workflow>, u32),
    mut event: Event,
    parent: RunId,
    begun: &mut Begun,
) -> Result<Result<RunId, String>, StoreError> {
    let key = next_key(tenant, tx);
    event.id = key.to_id();
    let listener = Listener { workflow, version };
    let run = match begin(tenant, tx, &listener, &event, key, begun)? {
        Ok(run) => run,
        Err(reason) => return Ok(Err(reason)),
    };
    if let Some(live) = begun.started.last_mut() {
        live.parent = Some(parent);
        live.write(tenant, tx)?;
    }
    let received_at = tx.now();
    let stored = StoredEvent { event, received_at, runs: vec![run], withheld: Vec::new() };
    tx.put_event(key, &stored)?;
    tx.count_events(1);
    Ok(Ok(run))
}

/// Accepts the events that follow from the changes of a transaction. The runs that they start do
/// nothing within it, so nothing further follows.
pub(super) fn accept_emitted(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
) -> Result<Vec<LiveRun>, StoreError> {
    let mut begun = Begun::default();
    for mut event in tx.take_emitted() {
        let key = next_key(tenant, tx);
        event.id = key.to_id();
        store_and_match(tenant, tx, key, event, &mut begun)?;
    }
    tenant.displace(&begun.displaced);
    Ok(begun.started)
}

/// Returns the key of the next event.
pub(super) fn next_key(tenant: &TenantState, tx: &TenantTx<'_, '_>) -> EventKey {
    let key = tenant.newest_event.get().next(tx.now());
    tenant.newest_event.set(key);
    key
}

fn store_and_match(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    key: EventKey,
    event: Event,
    begun: &mut Begun,
) -> Result<Vec<RunId>, StoreError> {
    failpoint::hit("event.match");
    let listeners = std::rc::Rc::clone(&tenant.listeners.borrow());
    let mut stored =
        StoredEvent { event, received_at: tx.now(), runs: Vec::new(), withheld: Vec::new() };
    let listening = listeners.of(&stored.event.kind);
    let mut ripe = Vec::new();
    if !listening.is_empty() {
        let scope = Scope::of_event(stored.event.to_value());
        for listener in listening.iter() {
            let arrival = Arrival { event: &stored.event, key, scope: &scope };
            let met = if listener.workflow.is_plain() {
                meet_plainly(tenant, tx, listener, &arrival, begun)?
            } else {
                meet(tenant, tx, listener, &arrival, begun)?
            };
            let result = if matches!(met, Met::Filtered) { "filtered" } else { "matched" };
            tenant.shared.metrics.filter_evaluated(result);
            match met {
                Met::Filtered => {}
                Met::Started(run) => stored.runs.push(run),
                Met::Withheld(reason) => stored.withhold(&listener.workflow.name, reason),
                Met::Ripe(reason, window) => {
                    stored.withhold(&listener.workflow.name, reason);
                    ripe.push(window);
                }
            }
        }
    }
    tx.put_event(key, &stored)?;
    tell_waiting(tenant, tx, key, &stored.event)?;
    tenant.deliveries.queue(tx, key, &stored.event)?;
    tx.count_events(1);
    tenant.shared.metrics.event_accepted(&tenant.facts.slug, &stored.event.kind);
    if !listeners.watchers().is_empty() {
        lasting::observe(tenant, tx, &listeners, &stored.event)?;
    }
    let mut runs = stored.runs;
    for window in ripe {
        runs.extend(windows::close(tenant, tx, &window, begun)?);
    }
    Ok(runs)
}

/// Starts a workflow that puts nothing but a filter before its runs.
fn meet_plainly(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    arrival: &Arrival<'_>,
    begun: &mut Begun,
) -> Result<Met, StoreError> {
    let Arrival { event, key, scope } = *arrival;
    if !listener.workflow.filters_of(&event.kind).any(|filter| filter.matches(scope)) {
        return Ok(Met::Filtered);
    }
    if let Some(reason) =
        loop_of(tx.view(), &tenant.shared.settings, &listener.workflow.name, event)?
    {
        return Ok(Met::Withheld(reason));
    }
    let start = Start { event, key, born: key, given: Given::default() };
    Ok(begin_with(tenant, tx, listener, start, begun)?.into())
}

/// Begins a run, or says why it is withheld.
pub(super) fn begin(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    event: &Event,
    key: EventKey,
    begun: &mut Begun,
) -> Result<Result<RunId, String>, StoreError> {
    let workflow = &listener.workflow;
    if let Some(reason) = loop_of(tx.view(), &tenant.shared.settings, &workflow.name, event)? {
        return Ok(Err(reason));
    }
    let given = given(tx.view(), workflow, event)?;
    begin_with(tenant, tx, listener, Start { event, key, born: key, given }, begun)
}

/// Begins a run with what was found for it, or says why its concurrency key withholds it.
pub(super) fn begin_with(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    start: Start<'_>,
    begun: &mut Begun,
) -> Result<Result<RunId, String>, StoreError> {
    let Start { event, key, born, given } = start;
    let depth = event.cause.map_or(0, |cause| cause.depth) + 1;
    let trigger = given.seen(event);
    let concurrency_key;
    if let Some(concurrency) = &listener.workflow.concurrency {
        let scope = Scope::of_event(trigger.clone());
        let rendered = match concurrency.key.render_text(&scope) {
            Ok(rendered) => rendered,
            Err(error) => return Ok(Err(format!("limited: its key failed: {}", error.detail))),
        };
        let active = tx.view().runs_of_key(&listener.workflow.name, &rendered)?;
        if active.len() >= concurrency.limit as usize {
            match concurrency.policy {
                ConcurrencyPolicy::Skip => {
                    return Ok(Err("limited: a run of the same key is active".to_owned()));
                }
                ConcurrencyPolicy::CancelRunning => begun.displaced.extend(active),
                ConcurrencyPolicy::Queue => {}
            }
        }
        concurrency_key = Some(rendered);
    } else {
        concurrency_key = queue_key(&listener.workflow, event);
    }
    let id = born.run_id(tenant.part, begun.started.len(), tx.random());
    let (mut run, created) =
        Run::create(&listener.workflow, tenant.origin(id, listener.version, trigger));
    show_given(&mut run, &given);
    let mut live = LiveRun {
        run,
        given,
        priority: listener.workflow.priority,
        workflow: std::sync::Arc::clone(&listener.workflow),
        event: key,
        depth,
        concurrency_key,
        written: None,
        journal_len: 0,
        unwritten: vec![created],
        deadlines: Default::default(),
        parent: None,
        tasks: Default::default(),
        waits: Default::default(),
        looked_back: Default::default(),
        gates: Default::default(),
        incidents: Default::default(),
        was_loaded: false,
        deferred: Default::default(),
        has_mail: false,
        is_cut: false,
    };
    live.write(tenant, tx)?;
    begun.started.push(live);
    Ok(Ok(id))
}
