//! The gates between an event and a run of a workflow that listens to it.

use serde_json::json;
use tracing::warn;

use crate::activities::desk::annotate;
use crate::domain::event::Event;
use crate::domain::expression::Template;
use crate::domain::id::RunId;
use crate::domain::run::Run;
use crate::domain::scope::Scope;
use crate::domain::time::{Timestamp, format_duration};
use crate::domain::workflow::gate::{Allowance, Dedupe, Gates, Pace, Period};
use crate::domain::workflow::{Trigger, Workflow, team};
use crate::store::events::EventKey;
use crate::store::runs::Given;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};
use crate::store::windows::{Gate, Held, Member, WindowId, WindowRow};

use super::intake::{Begun, Start, begin_with};
use super::listeners::Listener;
use super::loops::loop_of;
use super::tenant_state::TenantState;

/// What came of an event at one workflow that listens to its type.
pub(super) enum Met {
    /// No filter let it through.
    Filtered,
    /// It started a run.
    Started(RunId),
    /// It matched and starts nothing now, for this reason.
    Withheld(String),
    /// It was the last that its window waited for, which is to be closed once the event is stored.
    Ripe(String, WindowId),
}

impl From<Result<RunId, String>> for Met {
    fn from(begun: Result<RunId, String>) -> Met {
        match begun {
            Ok(run) => Met::Started(run),
            Err(reason) => Met::Withheld(reason),
        }
    }
}

/// An event that has come.
pub(super) struct Arrival<'e> {
    pub(super) event: &'e Event,
    pub(super) key: EventKey,
    pub(super) scope: &'e Scope,
}

/// Leads an event through everything that a workflow puts before its runs.
pub(super) fn meet(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    listener: &Listener,
    arrival: &Arrival<'_>,
    begun: &mut Begun,
) -> Result<Met, StoreError> {
    let (workflow, event) = (&listener.workflow, arrival.event);
    if let Some(reason) = other_team(workflow, &event.payload) {
        let matches = matching(workflow, &event.kind, arrival.scope).is_some();
        return Ok(if matches { Met::Withheld(reason) } else { Met::Filtered });
    }
    let given = given(tx.view(), workflow, event)?;
    let annotated = (!given.annotations.is_empty()).then(|| Scope::of_event(given.seen(event)));
    let scope = annotated.as_ref().unwrap_or(arrival.scope);
    let Some((index, gates)) = matching(workflow, &event.kind, scope) else {
        return Ok(Met::Filtered);
    };
    let settings = &tenant.shared.settings;
    if let Some(reason) = loop_of(tx.view(), settings, &workflow.name, event)? {
        return Ok(Met::Withheld(reason));
    }
    let start = Start { event, key: arrival.key, born: arrival.key, given };
    let Some(gates) = gates else {
        return Ok(begin_with(tenant, tx, listener, start, begun)?.into());
    };
    let passage = Passage { tenant, listener, index, gates, scope };
    match passage.pass(tx, start, begun) {
        Ok(met) => Ok(met),
        Err(Stop::Withheld(reason)) => Ok(Met::Withheld(reason)),
        Err(Stop::Store(error)) => Err(error),
    }
}

/// Returns the first trigger whose filter lets the event through, with its gates.
fn matching<'w>(
    workflow: &'w Workflow,
    kind: &str,
    scope: &Scope,
) -> Option<(usize, Option<&'w Gates>)> {
    workflow.triggers.iter().enumerate().find_map(|(index, trigger)| match trigger {
        Trigger::Event { kind: own, filter, gates } => {
            (own == kind && filter.matches(scope)).then_some((index, gates.as_deref()))
        }
        _ => None, // It does not wait for events.
    })
}

/// Says whose event it is when it is not one of the workflow's team.
pub(super) fn other_team(workflow: &Workflow, payload: &serde_json::Value) -> Option<String> {
    let own = workflow.team()?;
    let names = team::names_of(payload);
    let is_other = !names.is_empty() && !names.contains(&own);
    is_other.then(|| format!("other-team: it is of the team {}, not of {own}", names[0]))
}

/// Looks up what a run of the workflow is given beside the event.
pub(super) fn given(
    view: TenantView<'_>,
    workflow: &Workflow,
    event: &Event,
) -> Result<Given, StoreError> {
    if workflow.annotations.is_empty() {
        return Ok(Given::default());
    }
    let annotations = annotate::join(&view, &workflow.annotations, &event.to_value())?;
    Ok(Given { annotations, events: 0 })
}

/// Shows a run what it was given beside its event.
pub(super) fn show_given(run: &mut Run, given: &Given) {
    if given.events > 0 {
        run.scope.set_field("run", "events", json!(given.events));
    }
}

/// Writes a window, unless it would be one more than the tenant may have: then the gate cannot
/// remember, and lets through.
pub(super) fn remember(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    id: &WindowId,
    row: &WindowRow,
) -> Result<Room, StoreError> {
    let windows_max = tenant.shared.settings.windows_max;
    if tx.view().window_count()? >= windows_max && tx.view().window(id)?.is_none() {
        warn!(tenant.slug = %tenant.facts.slug, workflow = %id.workflow, windows_max,
            "The triggers have too many windows open; this event passes its gate");
        return Ok(Room::None);
    }
    tx.put_window(id, row)?;
    Ok(Room::Taken)
}

/// Whether there was room for a window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Taken,
    None,
}

/// One event on its way through the gates of one trigger.
struct Passage<'p> {
    tenant: &'p TenantState,
    listener: &'p Listener,
    index: usize,
    gates: &'p Gates,
    scope: &'p Scope,
}

/// What a gate will remember if the event gets through the others too.
type Note = (WindowId, WindowRow);

/// Why an event does not get through a gate.
enum Stop {
    Withheld(String),
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Stop {
        Stop::Store(error)
    }
}

impl Passage<'_> {
    /// Passes one gate after the other. What the first two remember is written when the event
    /// started a run or waits for one, so that an event which started nothing hides no other.
    fn pass(
        &self,
        tx: &mut TenantTx<'_, '_>,
        start: Start<'_>,
        begun: &mut Begun,
    ) -> Result<Met, Stop> {
        let mut notes = Vec::new();
        if let Some(dedupe) = &self.gates.dedupe {
            notes.push(self.dedupe(tx, dedupe, start.event)?);
        }
        if let Some(throttle) = &self.gates.throttle {
            notes.push(self.throttle(tx, throttle)?);
        }
        let key = self.render(self.gates.pace.as_ref().and_then(Pace::key))?;
        let met = match &self.gates.pace {
            None => begin_with(self.tenant, tx, self.listener, start, begun)?.into(),
            Some(Pace::RateLimit(allowance)) => self.place(tx, allowance, start, &key, begun)?,
            Some(pace) => self.gather(tx, pace, start, &key, begun)?,
        };
        if self.gates.pace.is_some() || matches!(met, Met::Started(_)) {
            for (id, row) in notes {
                remember(self.tenant, tx, &id, &row)?;
            }
        }
        Ok(met)
    }

    fn dedupe(&self, tx: &TenantTx<'_, '_>, dedupe: &Dedupe, event: &Event) -> Result<Note, Stop> {
        let key = self.render(Some(&dedupe.key))?;
        let id = self.id(Gate::Dedupe, &key);
        let row = tx.view().window(&id)?;
        if let Some(Held::Seen { event, until }) = row.map(|row| row.held)
            && tx.now() < until
        {
            let reason = format!("duplicate: {event} had the same key, which counts until {until}");
            return Err(Stop::Withheld(reason));
        }
        let until = tx.now() + dedupe.window;
        let held = Held::Seen { event: event.id.clone(), until };
        Ok((id, self.row(key, until, held)))
    }

    fn throttle(&self, tx: &TenantTx<'_, '_>, throttle: &Allowance) -> Result<Note, Stop> {
        let key = self.render(throttle.key.as_ref())?;
        let id = self.id(Gate::Throttle, &key);
        let row = tx.view().window(&id)?;
        let used = row.and_then(|row| counted(&row.held));
        let period = throttle.admit(used, tx.now()).map_err(|until| {
            let (limit, period) = (throttle.limit, format_duration(throttle.period));
            let limit = format!("limited: {limit} in {period} have started");
            Stop::Withheld(format!("{limit}, the next can at {until}"))
        })?;
        let row = self.row(key, throttle.end(period), Held::Counted { period });
        Ok((id, row))
    }

    /// Starts the run now if the period has room and nobody waits, else gives it a place.
    fn place(
        &self,
        tx: &mut TenantTx<'_, '_>,
        allowance: &Allowance,
        start: Start<'_>,
        key: &str,
        begun: &mut Begun,
    ) -> Result<Met, StoreError> {
        let (id, now) = (self.id(Gate::RateLimit, key), tx.now());
        let before = tx.view().window(&id)?;
        let (used, waiting) = match before.as_ref().map(|row| &row.held) {
            Some(Held::Placed { period, waiting, .. }) => (Some(*period), *waiting),
            _ => (None, 0), // Nobody was here for a while.
        };
        let (period, place) = allowance.place(used, now);
        let until = allowance.end(period);
        if place <= now && waiting == 0 {
            let met: Met = begin_with(self.tenant, tx, self.listener, start, begun)?.into();
            if matches!(met, Met::Started(_)) {
                let row = self.row(key.to_owned(), until, Held::Placed { period, waiting, until });
                remember(self.tenant, tx, &id, &row)?;
            }
            return Ok(met);
        }
        let waiting_max = self.tenant.shared.settings.delayed_starts_max;
        if waiting >= waiting_max {
            return Ok(Met::Withheld(format!("limited: {waiting_max} starts wait already")));
        }
        let held = Held::Placed { period, waiting: waiting + 1, until };
        let alarm = before.and_then(|row| row.alarm).unwrap_or(place);
        tx.put_window(&id, &self.row(key.to_owned(), alarm, held))?;
        tx.put_member(&id, Member { place, event: start.key });
        Ok(Met::Withheld(format!("delayed: until {place}, when its rate limit has room")))
    }

    /// Lets the event wait with others of its key.
    fn gather(
        &self,
        tx: &mut TenantTx<'_, '_>,
        pace: &Pace,
        start: Start<'_>,
        key: &str,
        begun: &mut Begun,
    ) -> Result<Met, StoreError> {
        let (id, now) = (self.id(Gate::Gather, key), tx.now());
        let before = tx.view().window(&id)?;
        let (first_at, count, bytes) = match before.as_ref().map(|row| &row.held) {
            Some(Held::Gathered { first_at, count, bytes, .. }) => (*first_at, *count, *bytes),
            _ => (now, 0, 0), // It is the first.
        };
        let (count, due) = (count + 1, pace.due(first_at, now));
        let bytes = bytes + start.event.payload.to_string().len() as u64;
        let held = Held::Gathered { first_at, last_at: now, due, count, bytes };
        // The alarm may ring too early and is set again then: that is cheaper than moving it with
        // every event.
        let alarm = before.and_then(|row| row.alarm).unwrap_or(due);
        let row = self.row(key.to_owned(), alarm, held);
        if remember(self.tenant, tx, &id, &row)? == Room::None {
            return Ok(begin_with(self.tenant, tx, self.listener, start, begun)?.into());
        }
        tx.put_member(&id, Member { place: Timestamp::default(), event: start.key });
        let settings = &self.tenant.shared.settings;
        let size = pace.size(settings.batch_events_max);
        let reason = match pace {
            Pace::Batch { .. } => format!("batched: as number {count} of {size}, until {due}"),
            Pace::Debounce { .. } | Pace::RateLimit(_) => {
                format!("delayed: until it is quiet, at {due} if nothing more comes")
            }
        };
        if count >= size || bytes >= settings.batch_bytes_max {
            return Ok(Met::Ripe(reason, id));
        }
        Ok(Met::Withheld(reason))
    }

    fn render(&self, key: Option<&Template>) -> Result<String, Stop> {
        let rendered = key.map_or(Ok(String::new()), |key| key.render_text(self.scope));
        rendered
            .map_err(|error| Stop::Withheld(format!("limited: its key failed: {}", error.detail)))
    }

    fn id(&self, gate: Gate, key: &str) -> WindowId {
        WindowId::new(&self.listener.workflow.name, self.index, gate, key)
    }

    fn row(&self, key: String, alarm: Timestamp, held: Held) -> WindowRow {
        WindowRow { trigger: self.index, key, alarm: Some(alarm), held }
    }
}

fn counted(held: &Held) -> Option<Period> {
    match held {
        Held::Counted { period } => Some(*period),
        _ => None, // Another gate's memory.
    }
}
