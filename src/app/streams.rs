//! Events and runs as they happen: read from the store, so that nothing is lost and order is kept,
//! and woken when there is more.

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::run_view::summary;
use super::runs::{entry_view, run_row};
use super::views::{EventView, JournalEntryView, RunSummary};
use crate::domain::event_type::Pattern;
use crate::domain::filter::Filter;
use crate::domain::id::RunId;
use crate::domain::run::RunHead;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::engine::Watch;
use crate::store::events::{EventKey, StoredEvent};
use crate::store::ledger::Moved;

/// How many events are read at once.
const CHUNK: usize = 128;

/// Where a stream of events begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what is accepted from now on.
    Now,
    /// After an event, by its place.
    After(EventPlace),
    /// With what was accepted at or after this time.
    Since(Timestamp),
}

/// The place of an event among those of its tenant; later events have higher places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventPlace(EventKey);

impl EventPlace {
    /// Reads a place as it was written.
    #[must_use]
    pub fn parse(text: &str) -> Option<EventPlace> {
        let is_place = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = is_place.then(|| u64::from_str_radix(text, 16).ok())?;
        number.map(|number| EventPlace(EventKey(number)))
    }
}

impl std::fmt::Display for EventPlace {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:016x}", self.0.0)
    }
}

/// Whether whoever follows a stream may go on.
pub trait Followed {
    /// Returns the application and who follows.
    fn follower(&self) -> (&App, &Principal);
}

impl Followed for EventStream {
    fn follower(&self) -> (&App, &Principal) {
        (&self.app, &self.who)
    }
}

impl Followed for Pulse {
    fn follower(&self) -> (&App, &Principal) {
        (&self.app, &self.who)
    }
}

impl Followed for RunStream {
    fn follower(&self) -> (&App, &Principal) {
        (&self.app, &self.who)
    }
}

/// The events of a tenant from some place on.
pub struct EventStream {
    app: App,
    who: Principal,
    kind: Option<Pattern>,
    filter: Option<Filter>,
    place: EventKey,
    watch: Watch,
}

/// What a run recorded from some record on.
pub struct RunStream {
    app: App,
    who: Principal,
    run: RunId,
    number: u64,
    head: Option<RunHead>,
    watch: Watch,
}

/// Tells that something of a tenant has moved, again and again.
pub struct Pulse {
    app: App,
    who: Principal,
    watch: Watch,
}

/// The next events of a stream.
#[derive(Debug)]
pub struct EventNews {
    /// Those that pass, each with its place.
    pub events: Vec<(EventPlace, EventView)>,
    /// Whether there are no more now.
    pub is_all: bool,
}

/// What has become of a run since it was looked at last.
#[derive(Debug)]
pub struct RunNews {
    /// What it recorded.
    pub entries: Vec<JournalEntryView>,
    /// How it stands, when that has changed.
    pub head: Option<RunSummary>,
    /// Whether it is over.
    pub is_over: bool,
}

impl App {
    /// Opens a stream of events, of one type (or of `ticket:*`) and through a filter if given.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn event_stream(
        &self,
        who: &Principal,
        kind: Option<Pattern>,
        filter: Option<Filter>,
        start: Start,
    ) -> Result<EventStream, Error> {
        let watch = self.engine().watch(Moved::Events(who.tenant));
        let place = match start {
            Start::After(place) => place.0,
            // Keys of the millisecond before end where this one begins.
            Start::Since(since) => EventKey(EventKey::at(since).0.saturating_sub(1)),
            Start::Now => {
                let newest = self.read(who, |view| Ok(view.newest_event()?))?;
                newest.unwrap_or(EventKey(0))
            }
        };
        Ok(EventStream { app: self.clone(), who: who.clone(), kind, filter, place, watch })
    }

    /// Opens a stream of what a run records after the record `after`.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub fn run_stream(&self, who: &Principal, run: RunId, after: u64) -> Result<RunStream, Error> {
        let watch = self.engine().watch(Moved::Run(who.tenant, run));
        self.read(who, |view| run_row(view, run).map(drop))?;
        let (app, who) = (self.clone(), who.clone());
        Ok(RunStream { app, who, run, number: after, head: None, watch })
    }
}

impl App {
    /// Begins to tell that something of the caller's tenant has moved; not what.
    pub fn pulse(&self, who: &Principal) -> Pulse {
        let watch = self.engine().watch(Moved::Any(who.tenant));
        Pulse { app: self.clone(), who: who.clone(), watch }
    }
}

impl Pulse {
    /// Waits until something has moved.
    pub async fn news(&mut self) {
        self.watch.news().await;
    }
}

impl EventStream {
    /// Returns those of the next events that pass, each with its place.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn read(&mut self) -> Result<EventNews, Error> {
        let place = self.place;
        let (chunk, hidden) = self.app.read(&self.who, |view| {
            let chunk = view.events_after(place, CHUNK)?;
            let unseen = chunk.iter().filter(|(_, stored)| !view.sees_event(&stored.event));
            let hidden: Vec<EventKey> = unseen.map(|(key, _)| *key).collect();
            Ok((chunk, hidden))
        })?;
        let is_all = chunk.len() < CHUNK;
        if let Some((last, _)) = chunk.last() {
            self.place = *last;
        }
        let passing =
            chunk.into_iter().filter(|(key, stored)| !hidden.contains(key) && self.passes(stored));
        let events = passing.map(|(key, stored)| (EventPlace(key), EventView::from(stored)));
        Ok(EventNews { events: events.collect(), is_all })
    }

    /// Waits until the tenant has further events.
    pub async fn news(&mut self) {
        self.watch.news().await;
    }

    /// Returns the place up to which events were read.
    #[must_use]
    pub fn place(&self) -> EventPlace {
        EventPlace(self.place)
    }

    fn passes(&self, stored: &StoredEvent) -> bool {
        self.kind.as_ref().is_none_or(|kind| kind.covers(&stored.event.kind))
            && self
                .filter
                .as_ref()
                .is_none_or(|filter| filter.matches(&Scope::of_event(stored.event.to_value())))
    }
}

impl RunStream {
    /// Returns what has become of the run since the last look.
    ///
    /// # Errors
    /// `NotFound` when the run is gone; fails when the store cannot be read.
    pub fn read(&mut self) -> Result<RunNews, Error> {
        let (run, after, now) = (self.run, self.number, self.app.now());
        let (row, records) = self
            .app
            .read(&self.who, |view| Ok((run_row(view, run)?, view.journal_after(run, after)?)))?;
        self.number = records.last().map_or(after, |(number, _)| *number);
        let entries = records.iter().map(|(number, record)| entry_view(*number, record)).collect();
        let has_moved = self.head.as_ref().is_none_or(|head| has_moved(head, &row.head));
        let head = has_moved.then(|| summary(&row.head, now));
        let is_over = row.head.status.is_final();
        self.head = Some(row.head);
        Ok(RunNews { entries, head, is_over })
    }

    /// Returns the number of the last record that was read.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Waits until the run has moved.
    pub async fn news(&mut self) {
        self.watch.news().await;
    }
}

/// Returns whether a page that shows the head would show something else.
fn has_moved(before: &RunHead, now: &RunHead) -> bool {
    (before.status, &before.waiting_for, &before.current_step, before.steps_done)
        != (now.status, &now.waiting_for, &now.current_step, now.steps_done)
}
