//! A filter tried on the last events of a type while it is being written: fast enough for every
//! keystroke, and honest about how far it came.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::event_type::Pattern;
use crate::domain::filter::{Filter, Sieve, Trace};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::store::event_index::sift;
use crate::store::events::EventKey;
use crate::store::tenant::TenantView;

/// How many events a thread takes at once.
const BLOCK: usize = 512;
/// A few threads are enough, and the others go on with their work.
const THREADS_MAX: usize = 4;

/// Which events a filter is tried on, and which of them are shown.
#[derive(Clone, Debug)]
pub struct LastEvents {
    /// The type in any spelling, or all that begin as `ticket:*` does.
    pub kind: String,
    /// How many of the newest.
    pub last: usize,
    /// How many verdicts are shown at most, newest first.
    pub limit: usize,
    /// Which verdicts are shown.
    pub only: Only,
    /// How long it may take before it answers with what it has.
    pub time_max: Duration,
}

/// Which verdicts are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Only {
    /// All of them.
    #[default]
    Every,
    /// Those of events for which the filter holds.
    Matched,
    /// Those of events for which it does not.
    Unmatched,
}

/// What a filter says of the last events of a type.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LiveMatch {
    /// For how many it holds.
    pub matched: usize,
    /// How many there are.
    pub total: usize,
    /// How many were looked at, the newest first.
    pub looked: usize,
    /// Whether some were not looked at, because the time was over.
    pub partial: bool,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The newest of them, with the reasons.
    pub data: Vec<EventVerdict>,
}

/// What a filter says of one of many events.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EventVerdict {
    /// The event.
    pub event_id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// Whether the filter holds.
    pub matches: bool,
    /// Condition by condition.
    pub trace: Trace,
}

/// What came of one block of events.
#[derive(Default)]
struct Tally {
    looked: usize,
    matched: usize,
    shown: Vec<EventKey>,
}

/// A filter with what it needs to be tried.
struct Trial<'a> {
    filter: &'a Filter,
    sieve: Sieve,
    wish: &'a LastEvents,
    deadline: Instant,
    next_block: AtomicUsize,
}

impl App {
    /// Tries a filter on the last events of a type.
    ///
    /// # Errors
    /// `Invalid` for a filter that is none; fails when the store cannot be read.
    pub fn match_last(
        &self,
        who: &Principal,
        filter: &Value,
        wish: &LastEvents,
    ) -> Result<LiveMatch, Error> {
        let filter = Filter::parse(filter, "/filter").map_err(Error::Invalid)?;
        let began = Instant::now();
        let keys = self.read(who, |view| newest_of(view, &wish.kind, wish.last))?;
        let trial = Trial {
            filter: &filter,
            sieve: Sieve::of(&filter),
            wish,
            deadline: began + wish.time_max,
            next_block: AtomicUsize::new(0),
        };
        let mut tallies = self.try_on(who, &trial, &keys)?;
        tallies.sort_unstable_by_key(|(block, _)| *block);
        let sum = |count: fn(&Tally) -> usize| tallies.iter().map(|(_, it)| count(it)).sum();
        let looked: usize = sum(|tally| tally.looked);
        let matched = sum(|tally| tally.matched);
        let total = if tallies.len() < keys.chunks(BLOCK).len() { keys.len() } else { looked };
        let shown = tallies.iter().flat_map(|(_, tally)| &tally.shown).copied();
        let shown: Vec<EventKey> = shown.take(wish.limit).collect();
        let data = self.read(who, |view| verdicts(view, &filter, &shown))?;
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(LiveMatch { matched, total, looked, partial: looked < total, took_ms, data })
    }

    /// Divides the events among threads, block by block from the newest on.
    fn try_on(
        &self,
        who: &Principal,
        trial: &Trial<'_>,
        keys: &[EventKey],
    ) -> Result<Vec<(usize, Tally)>, Error> {
        let work = || self.read(who, |view| trial.blocks(view, keys));
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.min(THREADS_MAX).min(keys.len().div_ceil(BLOCK));
        if threads <= 1 {
            return work();
        }
        let results: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own = work();
            let others = workers.into_iter().map(|worker| {
                let lost = || Error::Internal("a thread that tried a filter panicked".to_owned());
                worker.join().unwrap_or_else(|_| Err(lost()))
            });
            others.chain([own]).collect()
        });
        let tallies: Result<Vec<_>, Error> = results.into_iter().collect();
        Ok(tallies?.into_iter().flatten().collect())
    }
}

impl Trial<'_> {
    fn blocks(
        &self,
        view: TenantView<'_>,
        keys: &[EventKey],
    ) -> Result<Vec<(usize, Tally)>, Error> {
        let mut done = Vec::new();
        loop {
            let block = self.next_block.fetch_add(1, Ordering::Relaxed);
            let Some(keys) = keys.chunks(BLOCK).nth(block) else { return Ok(done) };
            // The first block is always looked at, so that there is something to show.
            if block > 0 && Instant::now() >= self.deadline {
                return Ok(done);
            }
            done.push((block, self.block(view, keys)?));
        }
    }

    fn block(&self, view: TenantView<'_>, keys: &[EventKey]) -> Result<Tally, Error> {
        let mut tally = Tally::default();
        let mut scope = Scope::of_event(Value::Null);
        view.each_event(keys, |key, bytes| {
            sift(key, bytes, &self.sieve, scope.event_mut())?;
            let matches = self.filter.matches(&scope);
            tally.looked += 1;
            tally.matched += usize::from(matches);
            if self.wish.only.wants(matches) && tally.shown.len() < self.wish.limit {
                tally.shown.push(key);
            }
            Ok(())
        })?;
        Ok(tally)
    }
}

impl Only {
    fn wants(self, matches: bool) -> bool {
        match self {
            Only::Every => true,
            Only::Matched => matches,
            Only::Unmatched => !matches,
        }
    }
}

/// Returns the keys of the newest events of a type, newest first.
pub(super) fn newest_of(
    view: TenantView<'_>,
    kind: &str,
    limit: usize,
) -> Result<Vec<EventKey>, Error> {
    let pattern = Pattern::restore(kind);
    let Some((beginning, _)) = pattern.as_str().split_once('*') else {
        return Ok(view.events_of_kind(pattern.as_str(), None, limit)?);
    };
    let mut keys = Vec::new();
    for kind in view.event_kinds(beginning)?.iter().filter(|kind| pattern.covers(kind)) {
        keys.extend(view.events_of_kind(kind, None, limit)?);
    }
    keys.sort_unstable_by(|a, b| b.cmp(a));
    keys.truncate(limit);
    Ok(keys)
}

fn verdicts(
    view: TenantView<'_>,
    filter: &Filter,
    keys: &[EventKey],
) -> Result<Vec<EventVerdict>, Error> {
    let mut verdicts = Vec::with_capacity(keys.len());
    for key in keys {
        let seen = view.event(*key)?.filter(|stored| view.sees_event(&stored.event));
        let Some(stored) = seen else { continue };
        let trace = filter.trace(&Scope::of_event(stored.event.to_value()));
        verdicts.push(EventVerdict {
            event_id: stored.event.id,
            kind: stored.event.kind,
            subject: stored.event.subject,
            received_at: stored.received_at,
            matches: trace.result,
            trace,
        });
    }
    Ok(verdicts)
}
