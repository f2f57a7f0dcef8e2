//! How many attempts may be repeated: a share of the first ones, and a trickle, so that a destination
//! with few calls can be tried again too.

use std::time::Duration;

use super::{Attempt, Limits};
use crate::domain::time::Timestamp;

/// A repeated attempt, in the parts that the bucket counts.
const REPEAT: u64 = 100_000;
/// How many seconds of the trickle the bucket holds.
const SECONDS_HELD: u64 = 10;

/// A bucket of tokens.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    parts: u64,
    at: Timestamp,
}

impl Budget {
    pub(super) fn new(now: Timestamp, limits: &Limits) -> Budget {
        Budget { parts: most(limits), at: now }
    }

    /// Returns when the next repeated attempt is covered; `None` when it is.
    pub(super) fn held(&self, now: Timestamp, limits: &Limits) -> Option<Timestamp> {
        let missing = REPEAT.checked_sub(self.parts_at(now, limits)).filter(|it| *it > 0)?;
        let per_second = u64::from(limits.repeats_per_second) * REPEAT;
        let millis = match per_second {
            0 => 1_000, // Only first attempts fill it, and nobody knows when they come.
            _ => (missing * 1_000).div_ceil(per_second),
        };
        Some(now + Duration::from_millis(millis))
    }

    pub(super) fn spend(&mut self, attempt: Attempt, now: Timestamp, limits: &Limits) {
        let parts = self.parts_at(now, limits);
        self.at = now;
        self.parts = match attempt {
            Attempt::First => {
                let earned = u64::from(limits.repeats_percent) * REPEAT / 100;
                (parts + earned).min(most(limits))
            }
            Attempt::Repeated => parts.saturating_sub(REPEAT),
        };
    }

    pub(super) fn left(&self, now: Timestamp, limits: &Limits) -> u32 {
        u32::try_from(self.parts_at(now, limits) / REPEAT).unwrap_or(u32::MAX)
    }

    fn parts_at(&self, now: Timestamp, limits: &Limits) -> u64 {
        let millis = u64::try_from(now.since(self.at).as_millis()).unwrap_or(u64::MAX);
        let trickled = millis.saturating_mul(u64::from(limits.repeats_per_second) * REPEAT / 1_000);
        self.parts.saturating_add(trickled).min(most(limits))
    }
}

/// Room for one attempt at least, or nothing would ever be tried again.
fn most(limits: &Limits) -> u64 {
    u64::from(limits.repeats_per_second.max(1)) * SECONDS_HELD * REPEAT
}
