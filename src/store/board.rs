//! The board on which everything that is wrong with the machine is written, for everybody to see.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tracing::{info, warn};

use crate::clock::Clock;
use crate::domain::condition::{Condition, Effect, HEALTHY, Reason, STATES, Work};
use crate::domain::time::Timestamp;
use crate::metrics::readings::Readings;

/// How far a clock may be put right without being asked about it.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);
/// Nothing is left alone for so long; a clock that says so is wrong.
const CLOCK_LEAP_MAX: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What is wrong now, and what is counted of it; made once with the store.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    standing: RwLock<BTreeMap<Condition, Reason>>,
    begun: Instant,
    /// When the write that is under way began, in milliseconds since `begun` and one; 0 for none.
    writing_since_ms: AtomicU64,
    stalled_after: Duration,
    reopened: AtomicU64,
    /// How much room the disk has, in bytes and one; 0 while that is not known.
    room: AtomicU64,
    /// From when on a clock that stands before what was recorded is right again.
    clock_right_at: AtomicI64,
}

impl Board {
    /// Returns a board with nothing on it; a write that takes longer than `stalled_after` is told.
    #[must_use]
    pub fn new(clock: Clock, stalled_after: Duration) -> Board {
        Board {
            clock,
            standing: RwLock::default(),
            begun: Instant::now(),
            writing_since_ms: AtomicU64::new(0),
            stalled_after,
            reopened: AtomicU64::new(0),
            room: AtomicU64::new(0),
            clock_right_at: AtomicI64::new(0),
        }
    }

    /// Writes a condition on the board; one that stands there keeps the time since when.
    pub fn raise(&self, condition: Condition, detail: impl Into<String>) {
        let detail = detail.into();
        let mut standing = self.standing.write();
        match standing.get_mut(&condition) {
            Some(known) => known.detail = detail,
            None => {
                warn!(condition = condition.code(), "{detail}");
                let reason = Reason::new(condition, detail, self.clock.now());
                standing.insert(condition, reason);
            }
        }
    }

    /// Wipes a condition off the board.
    pub fn lift(&self, condition: Condition) {
        if !self.standing.read().contains_key(&condition) {
            return;
        }
        if self.standing.write().remove(&condition).is_some() {
            info!(condition = condition.code(), "This is over");
        }
    }

    /// Returns everything that is wrong, the worst first.
    #[must_use]
    pub fn reasons(&self) -> Vec<Reason> {
        let mut reasons: Vec<Reason> = self.standing.read().values().cloned().collect();
        reasons.extend(self.stall());
        reasons.sort_by_key(|reason| reason.condition);
        reasons
    }

    /// Returns whether a condition holds.
    #[must_use]
    pub fn holds(&self, condition: Condition) -> bool {
        self.standing.read().contains_key(&condition)
    }

    /// Returns why work of this kind is not taken now. A disk without room for new work still has
    /// some for what makes room.
    #[must_use]
    pub fn refusal(&self, work: Work) -> Option<Reason> {
        let refuses = |reason: &&Reason| {
            reason.condition.effect() == Effect::Refusing
                && (work == Work::New || reason.condition != Condition::DiskFull)
        };
        let standing = self.standing.read();
        // The cause tells more than that the file is opened again for it.
        let is_cause = |reason: &&Reason| reason.condition != Condition::Reopening;
        let cause = standing.values().filter(refuses).find(is_cause).cloned();
        let found = cause.or_else(|| standing.values().find(refuses).cloned());
        drop(standing);
        found.or_else(|| self.stall())
    }

    fn stall(&self) -> Option<Reason> {
        let since = self.writing_since_ms.load(Ordering::Relaxed).checked_sub(1)?;
        let taken = self.begun.elapsed().saturating_sub(Duration::from_millis(since));
        if taken < self.stalled_after {
            return None;
        }
        let detail = format!("the disk has not finished a write for {} s", taken.as_secs());
        let millis = i64::try_from(taken.as_millis()).unwrap_or(i64::MAX);
        let now = self.clock.now();
        let since = Timestamp::from_millis(now.millis() - millis);
        Some(Reason::new(Condition::Stalled, detail, since))
    }

    /// Notes that a write is under way.
    pub fn write_begins(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.writing_since_ms.store(now + 1, Ordering::Relaxed);
    }

    /// Notes that no write is under way.
    pub fn write_ends(&self) {
        self.writing_since_ms.store(0, Ordering::Relaxed);
    }

    /// Notes that something was recorded at `seen`; a clock that stands before it, or years after it,
    /// is not believed, and no deadline comes until that is settled.
    pub fn judge_clock(&self, now: Timestamp, seen: Timestamp) {
        if now + CLOCK_TOLERANCE < seen {
            self.hold_clock(now, seen, "something was recorded at");
        } else if now.since(seen) > CLOCK_LEAP_MAX {
            let detail = format!("the clock says {now}, and nothing was recorded since {seen}");
            self.raise(Condition::ClockAhead, detail);
        }
    }

    /// Notes an instant that every clock that is right has passed.
    pub fn judge_earliest(&self, now: Timestamp, earliest: Timestamp) {
        if now < earliest {
            self.hold_clock(now, earliest, "this version was made later than");
        }
    }

    fn hold_clock(&self, now: Timestamp, right_at: Timestamp, what: &str) {
        self.clock_right_at.fetch_max(right_at.millis(), Ordering::SeqCst);
        self.raise(
            Condition::ClockBehind,
            format!("the clock says {now}, and {what} {right_at}; no deadline comes until then"),
        );
    }

    /// Returns whether deadlines wait, since the clock is not believed; one that has come to where
    /// it was before is believed again.
    pub fn clock_is_held(&self, now: Timestamp) -> bool {
        if self.holds(Condition::ClockBehind)
            && now.millis() >= self.clock_right_at.load(Ordering::SeqCst)
        {
            self.lift(Condition::ClockBehind);
        }
        self.holds(Condition::ClockBehind) || self.holds(Condition::ClockAhead)
    }

    /// Believes the clock: somebody has vouched for it.
    pub fn believe_clock(&self) {
        self.clock_right_at.store(0, Ordering::SeqCst);
        self.lift(Condition::ClockBehind);
        self.lift(Condition::ClockAhead);
    }

    /// Counts an opening of the file after a fault.
    pub fn count_reopening(&self) {
        self.reopened.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how much room the disk has, in bytes; `None` when nobody can tell.
    pub fn note_room(&self, bytes: Option<u64>) {
        self.room.store(bytes.map_or(0, |bytes| bytes.saturating_add(1)), Ordering::Relaxed);
    }

    /// Returns how much room the disk has, in bytes, as far as that is known.
    #[must_use]
    pub fn room(&self) -> Option<u64> {
        self.room.load(Ordering::Relaxed).checked_sub(1)
    }
}

/// Returns the state that the worst of `reasons` is shown as.
#[must_use]
pub fn state_of(reasons: &[Reason]) -> &'static str {
    let states = reasons.iter().map(|reason| reason.condition.state());
    states.into_iter().find(|state| *state != HEALTHY).unwrap_or(HEALTHY)
}

/// Notes what the board says and counts.
pub fn note_figures(board: &Board, reasons: &[Reason], readings: &mut Readings) {
    let now = state_of(reasons);
    for state in STATES {
        readings.note("ergane_store_state", &[state], f64::from(u8::from(state == now)));
    }
    for one in Condition::ALL {
        let holds = reasons.iter().any(|reason| reason.condition == one);
        readings.note("ergane_degraded", &[one.code()], f64::from(u8::from(holds)));
    }
    let reopened = board.reopened.load(Ordering::Relaxed);
    readings.note("ergane_store_reopenings", &[], reopened as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board() -> Board {
        Board::new(Clock::manual(Timestamp::from_millis(1_000)), Duration::from_secs(3_600))
    }

    #[test]
    fn a_full_disk_refuses_what_makes_and_takes_what_removes() {
        let board = board();
        assert_eq!(board.refusal(Work::New), None);
        board.raise(Condition::DiskFull, "4 KiB are left");
        assert_eq!(
            board.refusal(Work::New).map(|reason| reason.condition),
            Some(Condition::DiskFull)
        );
        assert_eq!(board.refusal(Work::Relief), None);
        board.raise(Condition::IoError, "it smells");
        assert!(board.refusal(Work::Relief).is_some());
        board.lift(Condition::IoError);
        board.lift(Condition::DiskFull);
        assert!(board.reasons().is_empty());
    }

    #[test]
    fn a_write_that_takes_too_long_is_seen_by_whoever_looks() {
        let board = Board::new(Clock::manual(Timestamp::from_millis(1_000)), Duration::ZERO);
        assert_eq!(state_of(&board.reasons()), HEALTHY);
        board.write_begins();
        assert_eq!(state_of(&board.reasons()), "stalled");
        board.write_ends();
        assert_eq!(state_of(&board.reasons()), HEALTHY);
    }

    #[test]
    fn a_clock_before_what_was_recorded_is_held_until_it_is_past_or_somebody_vouches_for_it() {
        let at = Timestamp::from_millis;
        let (seen, board) = (at(100_000), board());
        board.judge_clock(at(20_000), seen);
        assert!(board.clock_is_held(at(20_000)) && !board.clock_is_held(seen));
        board.judge_clock(seen, at(104_000));
        assert!(!board.clock_is_held(seen), "a small correction is none");
        board.judge_clock(seen, at(200_000));
        assert!(board.clock_is_held(seen));
        board.believe_clock();
        assert!(!board.clock_is_held(seen));
        board.judge_clock(seen + Duration::from_secs(75 * 365 * 24 * 60 * 60), seen);
        assert_eq!(state_of(&board.reasons()), "clock_ahead");
    }

    #[test]
    fn exactly_one_state_is_shown() {
        let board = board();
        board.raise(Condition::ClockBehind, "by a day");
        board.note_room(Some(7));
        let mut readings = Readings::default();
        note_figures(&board, &board.reasons(), &mut readings);
        let text = readings.render();
        assert!(text.contains("ergane_store_state{state=\"clock_behind\"} 1\n"), "{text}");
        assert!(text.contains("ergane_degraded{reason=\"clock_behind\"} 1\n"), "{text}");
        let states = text.lines().filter(|line| line.starts_with("ergane_store_state{"));
        assert_eq!(states.filter(|line| line.ends_with(" 1")).count(), 1);
    }
}
