//! When a step is tried, in words and as a line of dots.

use std::time::Duration;

use serde_json::Value;

use super::super::parts::moment::span;
use crate::domain::time::parse_duration;
use crate::domain::workflow::Retry;

/// How many attempts are told one by one.
const TOLD_MAX: u32 = 8;

/// The attempts of a step along a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// When each attempt begins, in percent of the line.
    pub dots: Vec<f64>,
    /// The same in words.
    pub words: String,
}

/// Plots the attempts that `retry` leads to where each fails at once; without it those of the
/// activity.
pub fn plot(retry: &Value, standard: &Retry) -> Plot {
    let retry = read(retry, standard);
    let mut at = Duration::ZERO;
    let mut times = vec![at];
    for made in 1..retry.attempts.clamp(1, 1_000) {
        at = at.saturating_add(retry.pause_after(made, 0.0));
        times.push(at);
    }
    let words = words(&times, retry.jitter);
    let whole = at.as_secs_f64().max(1e-9);
    let told = times.iter().take(64);
    Plot { dots: told.map(|time| 2.0 + 96.0 * time.as_secs_f64() / whole).collect(), words }
}

fn read(written: &Value, standard: &Retry) -> Retry {
    let length = |name: &str, otherwise: Duration| match &written[name] {
        Value::String(text) => parse_duration(text).unwrap_or(otherwise),
        Value::Number(seconds) => {
            let seconds = seconds.as_f64().unwrap_or_default();
            Duration::try_from_secs_f64(seconds).unwrap_or(otherwise)
        }
        _ => otherwise, // It is not said.
    };
    let attempts = written["attempts"].as_u64().and_then(|count| u32::try_from(count).ok());
    Retry {
        attempts: attempts.unwrap_or(standard.attempts),
        initial: length("initial", standard.initial),
        factor: written["factor"].as_f64().unwrap_or(standard.factor),
        max: length("max", standard.max),
        jitter: written["jitter"].as_bool().unwrap_or(standard.jitter),
        on: standard.on.clone(),
    }
}

fn words(times: &[Duration], jitter: bool) -> String {
    let told = |time: &Duration| short(*time);
    let [.., last] = times else { return String::new() };
    if times.len() == 1 {
        return "tried once".to_owned();
    }
    let shown: Vec<String> = times.iter().take(TOLD_MAX as usize).map(told).collect();
    let more = if times.len() > TOLD_MAX as usize { " …" } else { "" };
    let about = if jitter { "at the latest " } else { "" };
    let shown = shown.join(", ");
    format!("tried {about}at {shown}{more}; gives up after {}", short(*last))
}

fn short(time: Duration) -> String {
    match time.as_millis() {
        0 => "0 s".to_owned(),
        ms if ms % 1_000 == 0 && ms < 60_000 => format!("{} s", ms / 1_000),
        ms => span(i64::try_from(ms).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attempts_are_told_with_their_times() {
        let retry = json!({"attempts": 5, "initial": "2s", "factor": 2, "max": "10s"});
        let plot = plot(&retry, &Retry::DEFAULT);
        assert_eq!(plot.words, "tried at 0 s, 2 s, 6 s, 14 s, 24 s; gives up after 24 s");
        assert_eq!((plot.dots.len(), plot.dots[0], plot.dots[4]), (5, 2.0, 98.0));
    }

    #[test]
    fn one_attempt_is_one() {
        assert_eq!(plot(&json!({"attempts": 1}), &Retry::DEFAULT).words, "tried once");
        assert_eq!(plot(&json!(null), &Retry::NEVER).words, "tried once");
    }
}
