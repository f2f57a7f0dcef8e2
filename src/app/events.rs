//! Events: accepted after their schema is checked, listed, replayed.

use serde::Serialize;

pub use crate::engine::IncomingEvent;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::{Kind, Principal};
use super::views::{EventView, Page, WithheldView};
use crate::domain::event::{Actor, Event};
use crate::domain::event_type::{self, Pattern};
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::trace::TRACEPARENT;
use crate::engine::Accepted;
use crate::store::events::{EventKey, StoredEvent};
use crate::store::tenant::TenantView;

/// How many events a list looks at for one page; a page may have fewer than its limit then.
const LOOKED_AT_MAX: usize = 5_000;
const CHUNK: usize = 250;

/// What became of one event.
#[derive(Clone, Debug)]
pub enum EventOutcome {
    /// It is durable.
    Accepted(AcceptedEvent),
    /// It breaks the schema of its type.
    Rejected(Vec<Problem>),
}

/// An event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AcceptedEvent {
    /// The sender's id, or the one made here.
    pub id: String,
    /// Whether the same event was accepted before.
    pub duplicate: bool,
    /// The runs that it started.
    pub runs: Vec<RunId>,
}

impl From<Accepted> for AcceptedEvent {
    fn from(accepted: Accepted) -> AcceptedEvent {
        let Accepted { id, duplicate, runs } = accepted;
        AcceptedEvent { id, duplicate, runs }
    }
}

/// Which events a list holds.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// This type in any spelling, or all that begin as `ticket:*` does.
    pub kind: Option<Pattern>,
    /// This source.
    pub source: Option<String>,
    /// This subject.
    pub subject: Option<String>,
    /// Accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Whether it started a run.
    pub matched: Option<bool>,
    /// With this text in the id, the subject, the payload or the metadata.
    pub text: Option<String>,
}

impl App {
    /// Accepts events together; those that fit their schema are durable when this answers.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was accepted.
    pub async fn accept_events(
        &self,
        who: &Principal,
        events: Vec<IncomingEvent>,
    ) -> Result<Vec<EventOutcome>, Error> {
        self.admit_events(who.tenant, events.len())?;
        let mut fitting = Vec::with_capacity(events.len());
        let mut refused = Vec::new();
        let mut verdicts = Vec::with_capacity(events.len());
        for mut event in events {
            let canonical = event_type::canonical(&event.kind);
            if canonical != event.kind {
                event.kind = canonical.into_owned();
            }
            let problems = self.schema_problems(who, &event.kind, &event.payload)?;
            if problems.is_empty() {
                event.actor.get_or_insert_with(|| actor(who));
                if let Some(traceparent) = &who.origin.traceparent {
                    let place = event.metadata.entry(TRACEPARENT);
                    place.or_insert_with(|| traceparent.as_str().into());
                }
                fitting.push(event);
            } else {
                refused.push(event);
            }
            verdicts.push(problems);
        }
        let unfit = verdicts.iter_mut().filter(|problems| !problems.is_empty());
        self.keep_rejected(who, refused.into_iter().zip(unfit).collect()).await;
        let accepted = match fitting.is_empty() {
            true => Vec::new(),
            false => self.engine().publish(who.tenant, fitting).await?,
        };
        let mut accepted = accepted.into_iter();
        let outcomes = verdicts.into_iter().map(|problems| match problems.is_empty() {
            false => EventOutcome::Rejected(problems),
            true => {
                let accepted = accepted.next().expect("the engine answers for every event");
                EventOutcome::Accepted(accepted.into())
            }
        });
        Ok(outcomes.collect())
    }

    /// Lists events, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn events(
        &self,
        who: &Principal,
        filter: &EventFilter,
        page: &PageRequest,
    ) -> Result<Page<EventView>, Error> {
        let from = page.after.as_ref().and_then(|key| u64::from_str_radix(key, 16).ok());
        let until = filter.until.map(EventKey::at);
        let mut before = from.map(EventKey).into_iter().chain(until).min();
        self.read(who, |view| {
            let mut data = Vec::new();
            let mut looked_at = 0;
            loop {
                let chunk = view.events_before(before, CHUNK)?;
                let last_chunk = chunk.len() < CHUNK;
                for (key, stored) in chunk {
                    if filter.since.is_some_and(|since| stored.received_at < since) {
                        return Ok(Page { data, next_cursor: None });
                    }
                    before = Some(key);
                    looked_at += 1;
                    if view.sees_event(&stored.event) && filter.holds(&stored) {
                        data.push(EventView::from(stored));
                    }
                    if data.len() == page.limit || looked_at == LOOKED_AT_MAX {
                        let next_cursor = more_after(view, key)?;
                        return Ok(Page { data, next_cursor });
                    }
                }
                if last_chunk {
                    return Ok(Page { data, next_cursor: None });
                }
            }
        })
    }

    /// Returns one event with the runs that it started.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such event.
    pub fn event(&self, who: &Principal, id: &str) -> Result<EventView, Error> {
        self.read(who, |view| Ok(stored_event(view, id)?.into()))
    }

    /// Makes an event like one that was accepted before, for every workflow that matches or for
    /// one workflow whether it matches or not.
    ///
    /// # Errors
    /// `NotFound` for an unknown event or workflow, `Conflict` when the run is withheld.
    pub async fn replay_event(
        &self,
        who: &Principal,
        id: &str,
        workflow: Option<&str>,
    ) -> Result<AcceptedEvent, Error> {
        let event = self.read(who, |view| Ok(stored_event(view, id)?.event))?;
        let again = repeated(event, "replayOf", id);
        self.record_change(who, Change::of("event.replay", id)).await?;
        if let Some(name) = workflow {
            return self.start(who, name, None, again).await;
        }
        self.admit_events(who.tenant, 1)?;
        let accepted = self.engine().publish(who.tenant, vec![again]).await?;
        let accepted = accepted.into_iter().next().expect("the engine answers for every event");
        Ok(accepted.into())
    }
}

impl EventFilter {
    pub(super) fn holds(&self, stored: &StoredEvent) -> bool {
        let event = &stored.event;
        self.kind.as_ref().is_none_or(|kind| kind.covers(&event.kind))
            && self.source.as_ref().is_none_or(|source| event.source == *source)
            && self.subject.as_ref().is_none_or(|subject| event.subject.as_ref() == Some(subject))
            && self.matched.is_none_or(|matched| matched != stored.runs.is_empty())
            && self.text.as_ref().is_none_or(|text| tells(event, &text.to_lowercase()))
    }
}

fn tells(event: &Event, text: &str) -> bool {
    let holds = |part: &str| part.to_lowercase().contains(text);
    holds(&event.id)
        || event.subject.as_deref().is_some_and(holds)
        || holds(&event.payload.to_string())
        || event.metadata.iter().any(|(name, value)| holds(name) || holds(&value.to_string()))
}

pub(super) fn stored_event(view: TenantView<'_>, id: &str) -> Result<StoredEvent, Error> {
    find_event(view, id).map(|(_, stored)| stored)
}

/// Returns the event of this id with its key; one that was removed is told from one that never was,
/// as far as its id tells.
pub(super) fn find_event(view: TenantView<'_>, id: &str) -> Result<(EventKey, StoredEvent), Error> {
    let missing = || Error::NotFound { what: "event", id: id.to_owned() };
    let known = view.event_by_id(id, None)?;
    if let Some(key) = known
        && let Some(stored) = view.event(key)?
    {
        return if view.sees_event(&stored.event) { Ok((key, stored)) } else { Err(missing()) };
    }
    let removed = view.retention_state()?.events_through;
    let is_past = EventKey::from_id(id).is_some_and(|key| Some(key) <= removed);
    Err(match known.is_some() || is_past {
        true => Error::Gone {
            what: "event",
            detail: format!("the event {id} was removed by retention, or never was"),
        },
        false => missing(),
    })
}

/// Makes a new event out of an old one, which its metadata names under `role`.
pub(super) fn repeated(event: Event, role: &str, origin: &str) -> IncomingEvent {
    IncomingEvent::repeating(event, role, origin)
}

/// Names the caller as the one who made something happen.
pub(super) fn actor(who: &Principal) -> Actor {
    let kind = match who.kind {
        Kind::Person => "USER",
        Kind::Bot => "BOT",
        Kind::Key | Kind::Local | Kind::Program => "KEY",
    };
    let email = who.email.clone().unwrap_or_default();
    Actor { id: who.id.clone(), kind: kind.to_owned(), email }
}

fn more_after(view: TenantView<'_>, key: EventKey) -> Result<Option<String>, Error> {
    let more = !view.events_before(Some(key), 1)?.is_empty();
    Ok(more.then(|| format!("{:016x}", key.0)))
}

impl From<StoredEvent> for EventView {
    fn from(stored: StoredEvent) -> EventView {
        let event = stored.event;
        EventView {
            id: event.id,
            kind: event.kind,
            source: event.source,
            subject: event.subject,
            time: event.time,
            received_at: stored.received_at,
            actor: event.actor,
            payload: event.payload,
            metadata: event.metadata.into(),
            cause: event.cause,
            runs: stored.runs,
            withheld: stored
                .withheld
                .into_iter()
                .map(|(workflow, reason)| WithheldView { workflow, reason })
                .collect(),
        }
    }
}
