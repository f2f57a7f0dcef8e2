//! Times and spans as people read them; a script makes them local where it runs.

use askama::Template;
use askama::filters::HtmlSafe;
use chrono::{DateTime, Utc};

use crate::domain::time::Timestamp;

/// An instant, shown as a distance from now or as a clock time in UTC.
#[derive(Clone, Debug, Template)]
#[template(path = "components/moment.html")]
pub struct Moment {
    iso: String,
    absolute: String,
    text: String,
    style: &'static str,
}

impl HtmlSafe for Moment {}

impl Moment {
    /// Shows how long ago, or how far ahead, the instant is; a date when it is over a week away.
    pub fn relative(at: Timestamp, now: Timestamp) -> Moment {
        let away = at.millis().saturating_sub(now.millis());
        let week = 7 * 86_400_000;
        let text = if away.abs() < week { distance(away) } else { clock(at) };
        Moment { text, style: "relative", ..Moment::absolute(at) }
    }

    /// Shows the clock time, to the second.
    pub fn absolute(at: Timestamp) -> Moment {
        let absolute = utc(at).format("%-d %b %Y, %H:%M:%S UTC").to_string();
        Moment { iso: at.to_string(), absolute, text: clock(at), style: "clock" }
    }
}

fn utc(at: Timestamp) -> DateTime<Utc> {
    DateTime::<Utc>::from_timestamp_millis(at.millis()).unwrap_or_default()
}

fn clock(at: Timestamp) -> String {
    utc(at).format("%-d %b, %H:%M:%S").to_string()
}

/// Returns the hour of the instant as `14:00`, UTC.
pub fn hour(at: Timestamp) -> String {
    utc(at).format("%H:00").to_string()
}

/// Returns the instant's day as `23 Nov`, UTC.
pub fn day(at: Timestamp) -> String {
    utc(at).format("%-d %b").to_string()
}

/// Returns the minute of the instant as `14:05`, UTC.
pub fn minute(at: Timestamp) -> String {
    utc(at).format("%H:%M").to_string()
}

/// Returns the second of the instant as `14:05:09`, UTC.
pub fn second(at: Timestamp) -> String {
    utc(at).format("%H:%M:%S").to_string()
}

fn distance(away_ms: i64) -> String {
    let seconds = away_ms.unsigned_abs() / 1000;
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..60 => (seconds, "s"),
        60..3600 => (seconds / 60, "min"),
        3600..86_400 => (seconds / 3600, "h"),
        _ => (seconds / 86_400, "d"),
    };
    if away_ms < 0 { format!("{count} {unit} ago") } else { format!("in {count} {unit}") }
}

/// Writes a span of milliseconds in its two largest units: `840 ms`, `1.24 s`, `4 h 02 m`.
pub fn span(ms: i64) -> String {
    let ms = ms.max(0);
    let (seconds, minutes, hours) = (ms / 1000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{:02} s", seconds, ms % 1000 / 10),
        10_000..60_000 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60_000..3_600_000 => format!("{minutes} m {:02} s", seconds % 60),
        3_600_000..86_400_000 => format!("{hours} h {:02} m", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_in_two_units() {
        for (ms, text) in [
            (0, "0 ms"),
            (840, "840 ms"),
            (1_240, "1.24 s"),
            (61_000, "1 m 01 s"),
            (14_520_000, "4 h 02 m"),
            (180_000_000, "2 d 2 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_moment_tells_both_the_distance_and_the_instant() {
        let at = Timestamp::from_millis(1_795_428_000_000);
        let now = Timestamp::from_millis(1_795_428_180_000);
        let html = Moment::relative(at, now).to_string();
        assert!(html.contains("3 min ago") && html.contains(&at.to_string()), "{html}");
    }
}
