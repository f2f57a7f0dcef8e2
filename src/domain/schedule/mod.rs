//! Schedules: when a workflow starts by itself, by the clocks of a zone.
//!
//! # Daylight saving
//!
//! A *fixed time* (an hour and a minute that are named, as in `0 7 * * 1` or `at: "02:30"`) comes
//! exactly once on each of its days: one that falls into the gap when clocks go forward comes at
//! the first instant after the gap, and one that stands in the hour that is repeated when clocks
//! go back comes the first time only. Several fixed times that fall into one gap come as one.
//!
//! An *interval* (a cron expression with `*` or a step in the minute or the hour, as in
//! `*/15 * * * *`, and `every: hour`) follows real time: it comes whenever the zone's clocks show a
//! matching time, so not in a gap, and again in a repeated hour.

mod cron;
mod slots;
#[cfg(test)]
mod tests;
mod words;
mod zone;

use std::time::Duration;

use chrono::{NaiveTime, Timelike as _, Weekday};
use xxhash_rust::xxh3::xxh3_64;

use super::time::Timestamp;

pub use cron::{CronExpression, InvalidCron};
pub use slots::{Passed, Planned};
pub use words::DAYLIGHT_SAVING_RULE;
pub use zone::{UnknownZone, Zone};

/// When a workflow starts by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    when: When,
    expression: CronExpression,
    zone: Zone,
    /// What becomes of slots that passed while nothing could fire.
    pub missed: Missed,
    /// What happens when the run of an earlier slot is still active.
    pub overlap: Overlap,
    /// How much later than its slot a firing may come; always the same for the same slot.
    pub jitter: Duration,
}

/// The times of a schedule, as they were written.
#[derive(Clone, Debug, PartialEq)]
pub enum When {
    /// A cron expression.
    Cron(String),
    /// Every hour.
    Hourly {
        /// The minute, 0 to 59.
        minute: u32,
    },
    /// Every day.
    Daily {
        /// The time of day, to the second.
        at: NaiveTime,
    },
    /// Every week.
    Weekly {
        /// The days, at least one, in order from Monday.
        on: Vec<Weekday>,
        /// The time of day, to the second.
        at: NaiveTime,
    },
    /// Every month.
    Monthly {
        /// The day.
        day: MonthDay,
        /// The time of day, to the second.
        at: NaiveTime,
    },
}

/// A day of a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonthDay {
    /// The day with this number, 1 to 31; months without it are left out.
    Number(u32),
    /// The last day, whichever it is.
    Last,
}

/// What becomes of slots that passed while nothing could fire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missed {
    /// Nothing but a note.
    Skip,
    /// One run for the newest of them.
    #[default]
    Once,
    /// A run for each, oldest first.
    All,
}

/// What happens when the run of an earlier slot is still active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// Another run starts beside it.
    #[default]
    Allow,
    /// The slot is left out.
    Skip,
    /// The run waits, as `queued`, until those before it have ended.
    Queue,
}

impl When {
    /// Returns the canonical type of the events that such a schedule makes.
    #[must_use]
    pub fn event_kind(&self) -> &'static str {
        match self {
            When::Cron(_) => "cron:custom",
            When::Hourly { .. } => "schedule:hourly",
            When::Daily { .. } => "schedule:daily",
            When::Weekly { .. } => "schedule:weekly",
            When::Monthly { .. } => "schedule:monthly",
        }
    }

    /// Returns the same times as a cron expression, with seconds only where they matter.
    #[must_use]
    pub fn to_cron(&self) -> String {
        let clock = |at: &NaiveTime| match at.second() {
            0 => format!("{} {}", at.minute(), at.hour()),
            second => format!("{second} {} {}", at.minute(), at.hour()),
        };
        match self {
            When::Cron(text) => text.clone(),
            When::Hourly { minute } => format!("{minute} * * * *"),
            When::Daily { at } => format!("{} * * *", clock(at)),
            When::Weekly { on, at } => {
                let days: Vec<String> =
                    on.iter().map(|day| day.number_from_monday().to_string()).collect();
                format!("{} * * {}", clock(at), days.join(","))
            }
            When::Monthly { day: MonthDay::Number(day), at } => format!("{} {day} * *", clock(at)),
            When::Monthly { day: MonthDay::Last, at } => format!("{} L * *", clock(at)),
        }
    }
}

impl Schedule {
    /// Puts times into a zone, with the standard policies.
    ///
    /// # Errors
    /// Returns which field of a cron expression is wrong, or that it never comes.
    pub fn new(when: When, zone: Zone) -> Result<Schedule, InvalidCron> {
        let expression = CronExpression::parse(&when.to_cron())?;
        let (missed, overlap) = Default::default();
        Ok(Schedule { when, expression, zone, missed, overlap, jitter: Duration::ZERO })
    }

    /// Returns the times as they were written.
    #[must_use]
    pub fn when(&self) -> &When {
        &self.when
    }

    /// Returns the zone by whose clocks it goes.
    #[must_use]
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// Returns its times and its zone as a text; schedules with the same one have the same slots.
    #[must_use]
    pub fn times(&self) -> String {
        format!("{} {}", self.when.to_cron(), self.zone.name())
    }

    /// Returns whether it may come more often than once a minute.
    #[must_use]
    pub fn is_within_minutes(&self) -> bool {
        self.expression.is_within_minutes()
    }

    /// Returns when the slot fires: `jitter` later at most, by a choice that `seed` and the slot
    /// alone decide.
    #[must_use]
    pub fn fires_at(&self, slot: Timestamp, seed: &str) -> Timestamp {
        let most = u64::try_from(self.jitter.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let chosen = xxh3_64(format!("{seed}/{}", slot.millis()).as_bytes()) % most;
        slot + Duration::from_millis(chosen)
    }
}
