//! Schedules in plain English.

use std::time::Duration;

use chrono::{NaiveTime, Timelike as _, Weekday};

use super::{MonthDay, Schedule, When};
use crate::domain::time::format_duration;

/// How schedules go over changes of the clocks, for people.
pub const DAYLIGHT_SAVING_RULE: &str = "A fixed time that clocks leap over comes at the first \
    instant after the gap, and one that comes twice comes the first time only. An expression with \
    an asterisk or a step in the minute or the hour follows real time.";

impl Schedule {
    /// Returns when it comes, as a phrase: "At 07:00 on Monday".
    #[must_use]
    pub fn describe(&self) -> String {
        match self.when() {
            When::Cron(_) => self.expression.describe(),
            When::Hourly { minute: 0 } => "Every hour".to_owned(),
            When::Hourly { minute } => format!("Every hour at minute {minute}"),
            When::Daily { at } => format!("Every day at {}", clock_text(*at)),
            When::Weekly { on, at } => {
                let days: Vec<&str> = on.iter().map(|day| day_name(*day)).collect();
                format!("Every week on {} at {}", listed(&days), clock_text(*at))
            }
            When::Monthly { day: MonthDay::Number(day), at } => {
                format!("Every month on day {day} at {}", clock_text(*at))
            }
            When::Monthly { day: MonthDay::Last, at } => {
                format!("Every month on the last day at {}", clock_text(*at))
            }
        }
    }
}

/// Writes a time of day as it is read: `07:00`, with seconds only where there are some.
pub(super) fn clock_text(at: NaiveTime) -> String {
    let format = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    at.format(format).to_string()
}

pub(super) fn clock_change(seconds_before: i32, seconds_after: i32) -> Option<String> {
    let way = match seconds_after - seconds_before {
        0 => return None,
        1.. => "forward",
        _ => "back", // What is left is negative.
    };
    let by = Duration::from_secs(u64::from(seconds_after.abs_diff(seconds_before)));
    Some(format!("clocks went {way} by {} since the time before", format_duration(by)))
}

fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [rest @ .., last] => format!("{} and {last}", rest.join(", ")),
    }
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}
