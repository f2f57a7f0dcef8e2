//! The circuit to a destination: it opens when too many calls fail, and closes when trials work.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Fared, LOOK_AGAIN, Limits};
use crate::domain::time::Timestamp;

/// Into how many slices the window is cut, so that it slides without remembering every call.
const SLICES: u32 = 10;

/// How a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Circuit {
    /// Calls go.
    Closed,
    /// No call goes.
    Open,
    /// A few calls go, to see whether it works again.
    HalfOpen,
}

impl Circuit {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "halfOpen",
        }
    }
}

/// A change of a circuit that others want to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It opened, for the first time or again.
    Opened,
    /// It closed.
    Closed,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    begins: Timestamp,
    calls: u32,
    failures: u32,
}

#[derive(Clone, Debug)]
enum State {
    Closed,
    Open { until: Timestamp },
    HalfOpen { in_flight: u32, passed: u32 },
}

#[derive(Clone, Debug)]
pub(super) struct Breaker {
    state: State,
    since: Timestamp,
    /// Grows with every change, so that a call from before it decides nothing.
    era: u64,
    /// How often it opened since it was closed last.
    openings: u32,
    slices: VecDeque<Slice>,
}

impl Breaker {
    pub(super) fn new(now: Timestamp) -> Breaker {
        Breaker { state: State::Closed, since: now, era: 0, openings: 0, slices: VecDeque::new() }
    }

    /// Returns until when no call goes; an open circuit whose time is over begins its trials.
    pub(super) fn held(&mut self, now: Timestamp, limits: &Limits) -> Option<Timestamp> {
        if let State::Open { until } = self.state {
            if now < until {
                return Some(until);
            }
            self.turns(State::HalfOpen { in_flight: 0, passed: 0 }, now);
        }
        match self.state {
            State::HalfOpen { in_flight, passed } if in_flight + passed >= limits.trials.max(1) => {
                Some(now + LOOK_AGAIN)
            }
            State::Closed | State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Notes a call that goes, and returns the era that it belongs to.
    pub(super) fn begin(&mut self) -> u64 {
        if let State::HalfOpen { in_flight, .. } = &mut self.state {
            *in_flight += 1;
        }
        self.era
    }

    pub(super) fn end(
        &mut self,
        era: u64,
        fared: Fared,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<Change> {
        if fared != Fared::Unknown {
            self.count(fared, now, limits);
        }
        if era != self.era {
            return None; // It tells of how things were before.
        }
        let is_too_much = fared == Fared::Badly && self.is_too_much(now, limits);
        match (&mut self.state, fared) {
            (State::Closed, _) if is_too_much => self.open(now, limits),
            (State::HalfOpen { .. }, Fared::Badly) => self.open(now, limits),
            (State::HalfOpen { in_flight, passed }, _) => {
                *in_flight = in_flight.saturating_sub(1);
                *passed += u32::from(fared == Fared::Well);
                if *passed >= limits.trials.max(1) { self.close(now) } else { None }
            }
            (State::Closed | State::Open { .. }, _) => None,
        }
    }

    /// Closes it, whatever it was.
    pub(super) fn close(&mut self, now: Timestamp) -> Option<Change> {
        if matches!(self.state, State::Closed) {
            return None;
        }
        self.openings = 0;
        self.slices.clear();
        self.turns(State::Closed, now);
        Some(Change::Closed)
    }

    pub(super) fn circuit(&self) -> Circuit {
        match self.state {
            State::Closed => Circuit::Closed,
            State::Open { .. } => Circuit::Open,
            State::HalfOpen { .. } => Circuit::HalfOpen,
        }
    }

    pub(super) fn times(&self) -> (Timestamp, Option<Timestamp>) {
        match self.state {
            State::Open { until } => (self.since, Some(until)),
            State::Closed | State::HalfOpen { .. } => (self.since, None),
        }
    }

    pub(super) fn counts(&self, now: Timestamp, limits: &Limits) -> (u32, u32) {
        let recent = self.slices.iter().filter(|slice| now.since(slice.begins) < limits.window);
        recent.fold((0, 0), |(calls, failures), slice| {
            (calls + slice.calls, failures + slice.failures)
        })
    }

    fn is_too_much(&self, now: Timestamp, limits: &Limits) -> bool {
        let (calls, failures) = self.counts(now, limits);
        let share =
            u64::from(failures) * 100 >= u64::from(calls) * u64::from(limits.failures_percent);
        calls >= limits.calls_min.max(1) && share
    }

    fn open(&mut self, now: Timestamp, limits: &Limits) -> Option<Change> {
        let doubled = limits.open_min.saturating_mul(1 << self.openings.min(16));
        self.openings = self.openings.saturating_add(1);
        self.turns(State::Open { until: now + doubled.min(limits.open_max) }, now);
        Some(Change::Opened)
    }

    fn turns(&mut self, state: State, now: Timestamp) {
        self.state = state;
        self.since = now;
        self.era += 1;
    }

    fn count(&mut self, fared: Fared, now: Timestamp, limits: &Limits) {
        let long = (limits.window / SLICES).max(Duration::from_millis(1));
        while self.slices.front().is_some_and(|slice| now.since(slice.begins) >= limits.window) {
            self.slices.pop_front();
        }
        // A clock that was set back counts into the newest slice.
        if self.slices.back().is_none_or(|slice| now.since(slice.begins) >= long) {
            self.slices.push_back(Slice { begins: now, calls: 0, failures: 0 });
        }
        if let Some(slice) = self.slices.back_mut() {
            slice.calls += 1;
            slice.failures += u32::from(fared == Fared::Badly);
        }
    }
}
