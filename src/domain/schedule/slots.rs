//! The slots of a schedule: the instants at which it comes, one after the other.

use std::collections::VecDeque;
use std::time::Duration;

use chrono::NaiveDateTime;

use super::cron::Pace;
use super::zone::Shown;
use super::{Schedule, words};
use crate::domain::time::Timestamp;

/// A slot as a preview shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// The slot.
    pub at: Timestamp,
    /// What the zone's clocks show then, as RFC 3339 with the offset.
    pub local: String,
    /// What a change of the clocks does to it.
    pub note: Option<String>,
}

/// Slots that passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// The newest of them, oldest first.
    pub slots: Vec<Timestamp>,
    /// Whether there were older ones that are not listed.
    pub is_cut: bool,
}

/// A slot with the local time that it stands for.
#[derive(Clone, Copy)]
struct Found {
    at: Timestamp,
    local: NaiveDateTime,
    shown: Shown,
}

impl Schedule {
    /// Returns the first slot after an instant; `None` when there is none within 60 years.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.find_after(after).map(|found| found.at)
    }

    /// Returns the next slots after an instant, each with what the clocks do to it.
    #[must_use]
    pub fn preview(&self, from: Timestamp, count: usize) -> Vec<Planned> {
        let mut planned = Vec::with_capacity(count);
        let mut before = from;
        while planned.len() < count
            && let Some(found) = self.find_after(before)
        {
            let note = self.note(&found, before);
            planned.push(Planned { at: found.at, local: self.zone.written(found.at), note });
            before = found.at;
        }
        planned
    }

    /// Returns the newest `limit` slots after one instant and not after another.
    #[must_use]
    pub fn passed(&self, after: Timestamp, until: Timestamp, limit: usize) -> Passed {
        let mut slots = VecDeque::new();
        let mut at = self.start_of_newest(after, until, limit);
        while let Some(slot) = self.next_after(at).filter(|slot| *slot <= until) {
            if slots.len() == limit {
                slots.pop_front();
            }
            slots.push_back(slot);
            at = slot;
        }
        let first = self.next_after(after);
        let is_cut = slots.front().is_some_and(|oldest| first.is_some_and(|it| it < *oldest));
        Passed { slots: slots.into(), is_cut }
    }

    /// Returns an instant from which on there are about `limit` slots, so that a long time without
    /// any firing need not be walked through slot by slot.
    fn start_of_newest(&self, after: Timestamp, until: Timestamp, limit: usize) -> Timestamp {
        let oldest = self.zone.local(after).date();
        let mut local = self.zone.local(until);
        for _ in 0..limit {
            let Some(earlier) = self.expression.last_local(local, oldest) else { return after };
            local = earlier - chrono::TimeDelta::seconds(1);
        }
        let (Shown::Once(start) | Shown::Twice(start, _) | Shown::Never(start)) =
            self.zone.shown(local);
        // Before a slot that was shifted out of a gap, too.
        (start - Duration::from_secs(1)).max(after)
    }

    fn find_after(&self, after: Timestamp) -> Option<Found> {
        match self.expression.pace {
            Pace::Fixed => self.fixed_after(after),
            Pace::Interval => self.interval_after(after),
        }
    }

    /// The instants of fixed times rise with the local times, so the first that is late enough is
    /// the next.
    fn fixed_after(&self, after: Timestamp) -> Option<Found> {
        let mut local = self.zone.local(after);
        loop {
            local = self.expression.next_local(local)?;
            let shown = self.zone.shown(local);
            let (Shown::Once(at) | Shown::Twice(at, _) | Shown::Never(at)) = shown;
            if at > after {
                return Some(Found { at, local, shown });
            }
        }
    }

    fn interval_after(&self, after: Timestamp) -> Option<Found> {
        let now = self.zone.local(after);
        let ahead = self.shown_after(now, after)?;
        // What the clocks have shown already comes again when they are about to go back over it.
        let Shown::Twice(first, second) = self.zone.shown(now) else { return Some(ahead) };
        if after >= second {
            return Some(ahead);
        }
        let repeated = second.since(first);
        let start = now - chrono::TimeDelta::from_std(repeated).unwrap_or_default();
        let again = self.repeated_after(start, now);
        Some(again.filter(|again| again.at < ahead.at).unwrap_or(ahead))
    }

    /// Returns the first slot after `after` among the local times after `local`.
    fn shown_after(&self, mut local: NaiveDateTime, after: Timestamp) -> Option<Found> {
        loop {
            local = self.expression.next_local(local)?;
            let shown = self.zone.shown(local);
            let at = match shown {
                Shown::Once(at) | Shown::Twice(at, _) if at > after => at,
                Shown::Twice(_, at) if at > after => at,
                _ => continue, // Clocks leap over it, or it is shown no more.
            };
            return Some(Found { at, local, shown });
        }
    }

    /// Returns the second showing of the first local time in a stretch that is shown twice.
    fn repeated_after(&self, start: NaiveDateTime, end: NaiveDateTime) -> Option<Found> {
        let mut local = start;
        loop {
            local = self.expression.next_local(local).filter(|local| *local <= end)?;
            let shown = self.zone.shown(local);
            if let Shown::Twice(_, at) = shown {
                return Some(Found { at, local, shown });
            }
        }
    }

    fn note(&self, found: &Found, before: Timestamp) -> Option<String> {
        let time = found.local.time();
        match (found.shown, self.expression.pace) {
            (Shown::Never(_), _) => Some(format!(
                "clocks go forward over {time}, so it comes at the first instant after the gap"
            )),
            (Shown::Twice(..), Pace::Fixed) => {
                Some(format!("clocks go back over {time}, so it comes the first time only"))
            }
            (Shown::Twice(_, second), Pace::Interval) if second == found.at => {
                Some(format!("clocks went back, so {time} comes a second time"))
            }
            _ => {
                let (then, now) =
                    (self.zone.seconds_ahead(before), self.zone.seconds_ahead(found.at));
                words::clock_change(then, now)
            }
        }
    }
}
