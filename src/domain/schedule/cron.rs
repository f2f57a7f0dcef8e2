//! Cron expressions: read with a reason for every refusal, and followed through local times.
//!
//! The library only reads the fields and says which days match: its own way over changes of the
//! clocks leaves out an hour in autumn, so it is never asked for an instant.

use std::fmt;
use std::str::FromStr as _;

use chrono::{Datelike as _, Days, NaiveDate, NaiveDateTime, NaiveTime, Timelike as _};
use croner::Cron;

/// No expression needs longer for its next day: the rarest that come, such as a 29 February that
/// is a Monday across a year 2100, take 40 years.
const DAYS_AHEAD_MAX: u32 = 366 * 60;

/// What each field is called and may hold, the seconds first.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0-59, *, lists, ranges and steps"),
    ("minute", "0-59, *, lists, ranges and steps"),
    ("hour", "0-23, *, lists, ranges and steps"),
    ("day of the month", "1-31, *, L for the last day, 15W for the nearest weekday"),
    ("month", "1-12 or JAN-DEC, *, lists, ranges and steps"),
    ("day of the week", "0-7 or SUN-SAT, *, FRI#2 for the second Friday, 5L for the last"),
];

/// The words that stand for an expression, as Vixie cron has them.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A cron expression that was read: five fields, or six with the seconds first.
#[derive(Clone, PartialEq)]
pub struct CronExpression {
    cron: Box<Cron>,
    seconds: Vec<u32>,
    minutes: Vec<u32>,
    hours: Vec<u32>,
    pub(super) pace: Pace,
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "CronExpression({})", self.cron.as_str())
    }
}

/// How an expression goes over changes of the clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// Each of its times once on each of its days.
    Fixed,
    /// Whenever the clocks show a matching time.
    Interval,
}

/// Says what is wrong with a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct InvalidCron {
    /// What is wrong, with the field.
    pub detail: String,
    /// What would be right.
    pub hint: String,
}

impl InvalidCron {
    fn new(detail: impl Into<String>, hint: impl Into<String>) -> InvalidCron {
        InvalidCron { detail: detail.into(), hint: hint.into() }
    }
}

impl CronExpression {
    /// Reads an expression, or a word such as `@daily`.
    ///
    /// # Errors
    /// Returns which field is wrong, or that it never comes.
    pub fn parse(text: &str) -> Result<CronExpression, InvalidCron> {
        let plain = without_nickname(text.trim())?;
        let fields: Vec<&str> = plain.split_whitespace().collect();
        if !(5..=6).contains(&fields.len()) {
            return Err(InvalidCron::new(
                format!("`{text}` has {} fields", fields.len()),
                "five fields: minute, hour, day of the month, month, day of the week; or six with \
                 the second first",
            ));
        }
        for (field, (name, allowed)) in fields.iter().zip(&FIELDS[6 - fields.len()..]) {
            check_field(field, name, allowed)?;
        }
        let wrong = |fault| InvalidCron::new(format!("`{text}`: {fault}"), "such as 0 7 * * 1");
        let cron = Cron::from_str(&fields.join(" ")).map_err(wrong)?;
        let holds =
            |most: u32, fits: &dyn Fn(u32) -> bool| (0..most).filter(|n| fits(*n)).collect();
        let pattern = &cron.pattern;
        let seconds: Vec<u32> = holds(60, &|n| pattern.second_match(n).unwrap_or(false));
        let minutes: Vec<u32> = holds(60, &|n| pattern.minute_match(n).unwrap_or(false));
        let hours: Vec<u32> = holds(24, &|n| pattern.hour_match(n).unwrap_or(false));
        let clock = &fields[fields.len() - 5..][..2];
        let is_interval = clock.iter().any(|field| field.contains(['*', '/', '?']))
            || minutes.len() == 60
            || hours.len() == 24;
        let pace = if is_interval { Pace::Interval } else { Pace::Fixed };
        let read = CronExpression { cron: Box::new(cron), seconds, minutes, hours, pace };
        let long_ago = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
        if read.next_local(long_ago.and_time(NaiveTime::MIN)).is_none() {
            let detail = format!("`{text}` never comes: there is no such day");
            return Err(InvalidCron::new(detail, "look at the day of the month and the month"));
        }
        Ok(read)
    }

    /// Returns the expression in English, as a phrase without a full stop.
    #[must_use]
    pub fn describe(&self) -> String {
        let text = self.cron.describe();
        let text = text.trim_end_matches('.').replace("At every ", "Every ");
        text.replace(", on ", " on ").replace(", in ", " in ").replace(", of ", " of ")
    }

    pub(super) fn is_within_minutes(&self) -> bool {
        self.seconds.len() > 1
    }

    /// Returns the first local time after another.
    pub(super) fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let mut date = after.date();
        if self.is_on(date)
            && let Some(time) = self.time_after(after.time())
        {
            return Some(date.and_time(time));
        }
        for _ in 0..DAYS_AHEAD_MAX {
            date = date.succ_opt()?;
            if self.is_on(date) {
                return Some(date.and_time(clock(self.hours[0], self.minutes[0], self.seconds[0])));
            }
        }
        None
    }

    /// Returns the last local time that is not after another and not on a day before `oldest`.
    pub(super) fn last_local(
        &self,
        until: NaiveDateTime,
        oldest: NaiveDate,
    ) -> Option<NaiveDateTime> {
        let mut date = until.date();
        if self.is_on(date)
            && let Some(time) = self.time_until(until.time())
        {
            return Some(date.and_time(time));
        }
        let end = clock(*self.hours.last()?, *self.minutes.last()?, *self.seconds.last()?);
        while date > oldest {
            date = date.checked_sub_days(Days::new(1))?;
            if self.is_on(date) {
                return Some(date.and_time(end));
            }
        }
        None
    }

    fn is_on(&self, date: NaiveDate) -> bool {
        let (pattern, month) = (&self.cron.pattern, date.month());
        pattern.month_match(month).unwrap_or(false)
            && pattern.day_match(date.year(), month, date.day()).unwrap_or(false)
    }

    fn time_after(&self, after: NaiveTime) -> Option<NaiveTime> {
        let (h, m, s) = (after.hour(), after.minute(), after.second());
        let later = |values: &[u32], than: u32| values.iter().copied().find(|value| *value > than);
        let (first_minute, first_second) = (self.minutes[0], self.seconds[0]);
        if self.hours.contains(&h) {
            let second = later(&self.seconds, s).filter(|_| self.minutes.contains(&m));
            if let Some(second) = second {
                return Some(clock(h, m, second));
            }
            if let Some(minute) = later(&self.minutes, m) {
                return Some(clock(h, minute, first_second));
            }
        }
        later(&self.hours, h).map(|hour| clock(hour, first_minute, first_second))
    }

    fn time_until(&self, until: NaiveTime) -> Option<NaiveTime> {
        let (h, m, s) = (until.hour(), until.minute(), until.second());
        let last = |values: &[u32], end: u32| values.iter().copied().rfind(|value| *value < end);
        let (last_minute, last_second) = (*self.minutes.last()?, *self.seconds.last()?);
        if self.hours.contains(&h) {
            let second = last(&self.seconds, s + 1).filter(|_| self.minutes.contains(&m));
            if let Some(second) = second {
                return Some(clock(h, m, second));
            }
            if let Some(minute) = last(&self.minutes, m) {
                return Some(clock(h, minute, last_second));
            }
        }
        last(&self.hours, h).map(|hour| clock(hour, last_minute, last_second))
    }
}

fn clock(hour: u32, minute: u32, second: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, second).unwrap_or_default()
}

fn without_nickname(text: &str) -> Result<&str, InvalidCron> {
    if !text.starts_with('@') {
        return Ok(text);
    }
    let meant = NICKNAMES.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    meant.map(|(_, plain)| *plain).ok_or_else(|| {
        let known: Vec<&str> = NICKNAMES.iter().map(|(word, _)| *word).collect();
        InvalidCron::new(format!("`{text}` is no word for times"), known.join(", "))
    })
}

/// Reads one field alone, so that a refusal can name it.
fn check_field(field: &str, name: &str, allowed: &str) -> Result<(), InvalidCron> {
    let alone = FIELDS.iter().map(|(known, _)| if *known == name { field } else { "*" });
    let alone: Vec<&str> = alone.collect();
    let is_full = field.split(',').all(|item| !item.is_empty());
    if is_full && Cron::from_str(&alone.join(" ")).is_ok() {
        return Ok(());
    }
    let detail = format!("`{field}` is no {name}");
    Err(InvalidCron::new(detail, format!("the {name} may be {allowed}")))
}
