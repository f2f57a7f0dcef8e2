//! Instants and durations as values: how they are written and how they are added.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An instant in milliseconds since the Unix epoch, UTC; written as RFC 3339 with milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Returns the instant that lies `millis` milliseconds after the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis)
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns the day in UTC, such as `2026-11-23`.
    #[must_use]
    pub fn day(self) -> String {
        self.to_string().split('T').next().unwrap_or_default().to_owned()
    }

    /// Returns how long after `earlier` this is, or zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;

    fn add(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;

    fn sub(self, duration: Duration) -> Timestamp {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_sub(millis))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        out.write_str(&moment.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

/// Says that a text is no instant or no duration, and what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    /// The text is not an RFC 3339 instant.
    #[error("`{0}` is not an RFC 3339 time such as 2026-11-23T10:00:00.000Z")]
    Timestamp(String),
    /// The text is not a duration.
    #[error("`{0}` is not a duration such as 500ms, 90s, 15m, 4h or 7d")]
    Duration(String),
}

impl FromStr for Timestamp {
    type Err = InvalidTime;

    fn from_str(text: &str) -> Result<Timestamp, InvalidTime> {
        DateTime::parse_from_rfc3339(text)
            .map(|moment| Timestamp(moment.timestamp_millis()))
            .map_err(|_| InvalidTime::Timestamp(text.to_owned()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads a duration: `500ms`, `90s`, `1.5h`, `1h30m`, or a bare number of seconds.
///
/// # Errors
/// Returns what was wrong with the text when it is empty, negative, overflows or has no known unit.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidTime> {
    let wrong = || InvalidTime::Duration(text.to_owned());
    let mut rest = text.trim();
    if let Ok(seconds) = rest.parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).map_err(|_| wrong());
    }
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let amount: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit_ms) =
            UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
        let part =
            Duration::try_from_secs_f64(amount * *unit_ms as f64 / 1e3).map_err(|_| wrong())?;
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = rest[letters..].trim_start();
    }
    Ok(total)
}

/// Writes a duration in the largest unit that keeps it whole: `90s`, `4h`, `500ms`.
#[must_use]
pub fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let whole = UNITS
        .iter()
        .rev()
        .find(|(_, unit)| millis != 0 && millis.is_multiple_of(u128::from(*unit)));
    match whole {
        Some((unit, size)) => format!("{}{unit}", millis / u128::from(*size)),
        None => "0s".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_people_write_them() {
        for (text, millis) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("2", 2_000),
            ("0.25", 250),
            ("7d", 604_800_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "h", "4x", "-1s", "1h x", "1e400"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timestamp_reads_back() {
        let moment: Timestamp = "2026-11-23T10:00:00.000Z".parse().expect("a valid time");
        assert_eq!(moment.to_string(), "2026-11-23T10:00:00.000Z");
        assert_eq!((moment + Duration::from_secs(1)).since(moment), Duration::from_secs(1));
        assert_eq!(format_duration(Duration::from_secs(14_400)), "4h");
    }
}
