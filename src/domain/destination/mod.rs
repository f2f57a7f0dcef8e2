//! A destination of calls to the outside: whether a call may go there now, and what came of those
//! that went.
//!
//! Nothing here reads a clock: every time is passed in. A call that may not go is held back, never
//! refused: whoever asks is told why and when to ask again.

mod breaker;
mod budget;
mod name;
mod queue;
mod spread;
mod throttle;

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;
use breaker::Breaker;
use budget::Budget;
use spread::Spread;

pub use breaker::{Change, Circuit};
pub use name::name_of;
pub use queue::{FairQueue, Place};
pub use throttle::{Use, UseLog};

/// The longest pause that another system may ask for.
pub const PAUSE_MAX: Duration = Duration::from_secs(86_400);
/// When to ask again where nobody can say when a place is free.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The limits of every destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many calls may be in flight to one destination.
    pub in_flight_max: u32,
    /// Over how long a time failures are counted.
    pub window: Duration,
    /// How many calls the window must hold before the circuit may open.
    pub calls_min: u32,
    /// Which share of them must have failed, in percent.
    pub failures_percent: u32,
    /// How long the circuit stays open the first time; it doubles while trials fail.
    pub open_min: Duration,
    /// How long it stays open at most.
    pub open_max: Duration,
    /// How many trial calls must work before it closes.
    pub trials: u32,
    /// How many repeated attempts may follow from a hundred first ones.
    pub repeats_percent: u32,
    /// How many repeated attempts are allowed in a second all the same.
    pub repeats_per_second: u32,
    /// How many calls that were held back are let out in a second.
    pub releases_per_second: u32,
    /// The pause after an answer that asks for one and does not say how long.
    pub pause_default: Duration,
}

/// Why a call may not go now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// Too many calls failed; the destination is left alone for a while.
    BreakerOpen,
    /// Its tenant is suspended.
    Suspended,
    /// The activity was called as often as its throttle allows.
    Throttled,
    /// The destination asked for a pause.
    Paused,
    /// Too many attempts were repeated.
    Budget,
    /// As many calls are in flight as may be.
    Busy,
}

impl Reason {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::BreakerOpen => "breakerOpen",
            Reason::Suspended => "suspended",
            Reason::Throttled => "throttled",
            Reason::Paused => "paused",
            Reason::Budget => "budget",
            Reason::Busy => "busy",
        }
    }

    /// Returns it as a part of a sentence.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Reason::BreakerOpen => "too many calls there failed",
            Reason::Suspended => "the tenant is suspended",
            Reason::Throttled => "the activity was called as often as its throttle allows",
            Reason::Paused => "it asked for a pause",
            Reason::Budget => "too many attempts there were repeated",
            Reason::Busy => "as many calls are in flight there as may be",
        }
    }
}

/// Whether a call is the first attempt or a repeated one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attempt {
    /// The first.
    First,
    /// A further one, which the retry budget must cover.
    Repeated,
}

/// A call that is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Why.
    pub reason: Reason,
    /// Before this it makes no sense to ask again.
    pub until: Timestamp,
}

/// What a call says of its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fared {
    /// It answered, be it with a refusal.
    Well,
    /// It failed or did not answer.
    Badly,
    /// Nothing is known of it.
    Unknown,
}

/// A call in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    era: u64,
}

/// The last failure at a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// When.
    pub at: Timestamp,
    /// What kind of failure, in snake case.
    pub code: String,
    /// What went wrong.
    pub message: String,
}

/// One destination as it stands.
#[derive(Clone, Debug)]
pub struct Destination {
    breaker: Breaker,
    budget: Budget,
    spread: Spread,
    in_flight: u32,
    paused_until: Option<Timestamp>,
    last_failure: Option<LastFailure>,
    used_at: Timestamp,
}

impl Destination {
    /// Describes a destination of which nothing is known.
    #[must_use]
    pub fn new(now: Timestamp, limits: &Limits) -> Destination {
        Destination {
            breaker: Breaker::new(now),
            budget: Budget::new(now, limits),
            spread: Spread::default(),
            in_flight: 0,
            paused_until: None,
            last_failure: None,
            used_at: now,
        }
    }

    /// Returns why a call may not go now; `None` when it may.
    #[must_use]
    pub fn held(&mut self, attempt: Attempt, now: Timestamp, limits: &Limits) -> Option<Held> {
        let held = |reason, until| Some(Held { reason, until });
        if let Some(until) = self.paused(now) {
            return held(Reason::Paused, until);
        }
        if let Some(until) = self.breaker.held(now, limits) {
            return held(Reason::BreakerOpen, until);
        }
        if self.in_flight >= limits.in_flight_max {
            return held(Reason::Busy, now + LOOK_AGAIN);
        }
        match attempt {
            Attempt::First => None,
            Attempt::Repeated => {
                self.budget.held(now, limits).and_then(|until| held(Reason::Budget, until))
            }
        }
    }

    /// Notes a call that goes, which `held` allowed.
    pub fn begin(&mut self, attempt: Attempt, now: Timestamp, limits: &Limits) -> Flight {
        self.used_at = now;
        self.in_flight += 1;
        self.budget.spend(attempt, now, limits);
        Flight { era: self.breaker.begin() }
    }

    /// Notes the end of a call; returns how that changes the circuit.
    pub fn end(
        &mut self,
        flight: Flight,
        fared: Fared,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<Change> {
        self.in_flight = self.in_flight.saturating_sub(1);
        let change = self.breaker.end(flight.era, fared, now, limits);
        if change == Some(Change::Closed) {
            self.spread = Spread::default();
        }
        change
    }

    /// Keeps what a failure was.
    pub fn note_failure(&mut self, failure: LastFailure) {
        self.last_failure = Some(failure);
    }

    /// Holds every call back, as the destination asked; a shorter pause does not shorten a longer.
    pub fn pause(&mut self, now: Timestamp, pause: Duration) {
        let until = now + pause.min(PAUSE_MAX);
        self.paused_until = self.paused_until.max(Some(until));
    }

    /// Closes the circuit and drops the pause; returns how that changes the circuit.
    pub fn reset(&mut self, now: Timestamp) -> Option<Change> {
        self.paused_until = None;
        self.spread = Spread::default();
        self.breaker.close(now)
    }

    /// Returns a moment of its own, not before `earliest`, for a call that waits long: so many are
    /// let out in a second and no more. `chance` is in 0..=1.
    pub fn turn(&mut self, earliest: Timestamp, chance: f64, limits: &Limits) -> Timestamp {
        let apart = Duration::from_secs(1) / limits.releases_per_second.max(1);
        self.spread.turn(earliest, apart, chance)
    }

    /// Returns until when every call is held back at the wish of the destination.
    #[must_use]
    pub fn paused(&self, now: Timestamp) -> Option<Timestamp> {
        self.paused_until.filter(|until| *until > now)
    }

    /// Returns how its circuit stands.
    #[must_use]
    pub fn circuit(&self) -> Circuit {
        self.breaker.circuit()
    }

    /// Returns since when its circuit stands so, and until when it surely will.
    #[must_use]
    pub fn times(&self) -> (Timestamp, Option<Timestamp>) {
        self.breaker.times()
    }

    /// Returns how many calls ended within the window, and how many of them failed.
    #[must_use]
    pub fn counts(&self, now: Timestamp, limits: &Limits) -> (u32, u32) {
        self.breaker.counts(now, limits)
    }

    /// Returns how many calls are in flight.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Returns how many repeated attempts the budget allows at this moment.
    #[must_use]
    pub fn repeats_left(&self, now: Timestamp, limits: &Limits) -> u32 {
        self.budget.left(now, limits)
    }

    /// Returns the last failure.
    #[must_use]
    pub fn last_failure(&self) -> Option<&LastFailure> {
        self.last_failure.as_ref()
    }

    /// Returns when a call went there last.
    #[must_use]
    pub fn used_at(&self) -> Timestamp {
        self.used_at
    }

    /// Returns whether nothing would be lost by forgetting it.
    #[must_use]
    pub fn is_idle(&self, now: Timestamp) -> bool {
        let is_closed = self.breaker.circuit() == Circuit::Closed;
        is_closed && self.in_flight == 0 && self.paused(now).is_none()
    }
}
