//! How often something was used, so that it is never used more than so often in any stretch of time.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::spread::Spread;
use crate::domain::activity::Throttle;
use crate::domain::time::Timestamp;

/// Uses so close together, as a part of the window, are remembered as one, the later.
const GRAINS: u32 = 64;
/// How long a call may be on its way before it surely has arrived: from then on its use counts.
const ON_ITS_WAY_MAX: Duration = Duration::from_secs(1);

/// Uses at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// How many.
    pub count: u32,
}

/// The uses of the last window.
#[derive(Clone, Debug, Default)]
pub struct UseLog {
    past: VecDeque<Use>,
    /// When the first of those was that are remembered as the last one.
    grain_began: Timestamp,
    /// When those began that may still be on their way.
    on_their_way: VecDeque<Timestamp>,
    spread: Spread,
    /// How many were begun in all.
    begun: u64,
    /// The longest window that anybody asked for.
    window: Duration,
}

impl UseLog {
    /// Takes up what was written of an earlier log; `unknown` uses may have been made until
    /// `started_at` without being written.
    #[must_use]
    pub fn restored(written: &[Use], unknown: u32, started_at: Timestamp) -> UseLog {
        let mut log = UseLog::default();
        log.past.extend(written.iter().copied());
        if unknown > 0 {
            log.past.push_back(Use { at: started_at, count: unknown });
        }
        log
    }

    /// Returns when the next use is allowed; `None` when it is now.
    #[must_use]
    pub fn held(&mut self, throttle: &Throttle, now: Timestamp) -> Option<Timestamp> {
        self.held_behind(throttle, 0, now)
    }

    /// Returns when a use is allowed that has `ahead` others before it.
    #[must_use]
    pub fn held_behind(
        &mut self,
        throttle: &Throttle,
        ahead: usize,
        now: Timestamp,
    ) -> Option<Timestamp> {
        self.settle(throttle, now);
        let limit = throttle.limit.max(1) as usize;
        let is_recent = |used: &&Use| now.since(used.at) < throttle.window;
        let recent: Vec<Use> = self.past.iter().filter(is_recent).copied().collect();
        let used =
            recent.iter().map(|used| used.count as usize).sum::<usize>() + self.on_their_way.len();
        let excess = (used + 1 + ahead).checked_sub(limit).filter(|excess| *excess > 0)?;
        let rounds = u32::try_from((excess - 1) / limit).unwrap_or(u32::MAX);
        let mut freed = (excess - 1) % limit + 1;
        let ends = recent.iter().map(|used| (used.at, used.count as usize));
        let ends = ends.chain(self.on_their_way.iter().map(|at| (*at + ON_ITS_WAY_MAX, 1)));
        let first = ends.into_iter().find(|(_, count)| {
            let enough = *count >= freed;
            freed = freed.saturating_sub(*count);
            enough
        });
        let at = first.map_or(now, |(at, _)| at) + throttle.window;
        Some(at.max(now) + throttle.window.saturating_mul(rounds))
    }

    /// Notes a use that begins now; returns how many there were in all.
    pub fn begin(&mut self, now: Timestamp) -> u64 {
        self.on_their_way.push_back(now);
        self.begun += 1;
        self.begun
    }

    /// Notes that the use that began at `began` has surely arrived.
    pub fn end(&mut self, began: Timestamp, now: Timestamp) {
        let place = self.on_their_way.iter().position(|at| *at == began);
        if place.and_then(|place| self.on_their_way.remove(place)).is_some() {
            self.remember(now);
        }
    }

    /// Returns a moment of its own, not before `earliest`, for a use that waits long.
    pub fn turn(&mut self, throttle: &Throttle, earliest: Timestamp, chance: f64) -> Timestamp {
        let apart = throttle.window / throttle.limit.max(1);
        self.spread.turn(earliest, apart, chance)
    }

    /// Returns what is to be written of it: those on their way count as used until now.
    #[must_use]
    pub fn written(&self, now: Timestamp) -> Vec<Use> {
        let mut all: Vec<Use> = self.past.iter().copied().collect();
        let count = u32::try_from(self.on_their_way.len()).unwrap_or(u32::MAX);
        if count > 0 {
            all.push(Use { at: now, count });
        }
        all
    }

    /// Returns how many were begun in all.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.begun
    }

    fn settle(&mut self, throttle: &Throttle, now: Timestamp) {
        self.window = self.window.max(throttle.window);
        while self.on_their_way.front().is_some_and(|at| now.since(*at) >= ON_ITS_WAY_MAX) {
            if let Some(at) = self.on_their_way.pop_front() {
                self.remember(at + ON_ITS_WAY_MAX);
            }
        }
        while self.past.front().is_some_and(|used| now.since(used.at) >= self.window) {
            self.past.pop_front();
        }
    }

    fn remember(&mut self, at: Timestamp) {
        // A clock that was set back moves nothing to the past.
        let at = self.past.back().map_or(at, |last| last.at.max(at));
        let is_same_grain = at.since(self.grain_began) < self.window / GRAINS;
        match self.past.back_mut().filter(|last| is_same_grain && last.at >= self.grain_began) {
            Some(last) => (last.at, last.count) = (at, last.count + 1),
            None => {
                self.grain_began = at;
                self.past.push_back(Use { at, count: 1 });
            }
        }
    }
}
