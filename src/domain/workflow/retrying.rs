//! How often a failed attempt is made again, and after which failures.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::fields::Field;
use super::parse::Reading;
use crate::domain::problem::nearest;
use crate::domain::time::format_duration;

const ATTEMPTS_MAX: u32 = 100;
const FACTOR_MAX: f64 = 100.0;

/// How many kinds of failures one step may name.
const KINDS_MAX: usize = 50;

/// Stands before a code that only an app or a worker of somebody's own gives.
const OWN: &str = "code:";

/// The codes of failures that calls of built-in activities end with, beside those of HTTP.
const CODES: [&str; 16] = [
    "approval_timeout",
    "child_failed",
    "client_unavailable",
    "conflict",
    "connect_failed",
    "connection_lost",
    "connection_unreadable",
    "interrupted",
    "invalid_output",
    "mail_deferred",
    "mail_refused",
    "not_found",
    "panic",
    "response_too_large",
    "secret_unavailable",
    "store",
];

/// How often and how fast a failed attempt is made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// All attempts, the first included; at least 1.
    pub attempts: u32,
    /// The pause before the second attempt.
    pub initial: Duration,
    /// What each pause is multiplied by for the next.
    pub factor: f64,
    /// No pause is longer.
    pub max: Duration,
    /// Whether each pause is shortened by a random part of up to a half.
    pub jitter: bool,
    /// The failures after which another attempt is made; empty for all that may pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<RetryOn>,
}

impl Retry {
    /// Three attempts with pauses of 1 s and 2 s, as Thena's engine page has it.
    pub const DEFAULT: Retry = Retry {
        attempts: 3,
        initial: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(60),
        jitter: false,
        on: Vec::new(),
    };

    /// One attempt.
    pub const NEVER: Retry = Retry {
        attempts: 1,
        initial: Duration::from_secs(1),
        factor: 2.0,
        max: Duration::from_secs(60),
        jitter: false,
        on: Vec::new(),
    };

    /// Returns the pause after failed attempt number `attempt` (from 1); `chance` in 0..=1 decides
    /// the jitter.
    #[must_use]
    pub fn pause_after(&self, attempt: u32, chance: f64) -> Duration {
        let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let capped = seconds.min(self.max.as_secs_f64()).max(0.0);
        let shortened = if self.jitter { capped * (1.0 - chance / 2.0) } else { capped };
        Duration::try_from_secs_f64(shortened).unwrap_or(self.max)
    }

    /// Returns the canonical JSON.
    pub(super) fn native(&self) -> Value {
        let mut body = json!({
            "attempts": self.attempts,
            "initial": format_duration(self.initial),
            "factor": super::export::number(self.factor),
            "max": format_duration(self.max),
            "jitter": self.jitter,
        });
        if !self.on.is_empty() {
            body["on"] = self.on.iter().map(RetryOn::native).collect();
        }
        body
    }
}

/// A kind of failure after which another attempt is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryOn {
    /// No answer came in time.
    Timeout,
    /// The other side answered with a status of this range.
    Http {
        /// The least status.
        least: u16,
        /// The greatest.
        most: u16,
    },
    /// A failure of this code.
    Code(String),
}

impl RetryOn {
    /// Returns whether a failure of this code is of the kind.
    #[must_use]
    pub fn covers(&self, code: &str) -> bool {
        match self {
            RetryOn::Timeout => code == "timeout",
            RetryOn::Http { least, most } => {
                let status = code.strip_prefix("http_").and_then(|status| status.parse().ok());
                status.is_some_and(|status: u16| (*least..=*most).contains(&status))
            }
            RetryOn::Code(own) => own == code,
        }
    }

    fn native(&self) -> String {
        match self {
            RetryOn::Timeout => "timeout".to_owned(),
            RetryOn::Http { least, most } if least == most => format!("http:{least}"),
            RetryOn::Http { least, .. } => format!("http:{}xx", least / 100),
            RetryOn::Code(code) if CODES.contains(&code.as_str()) => code.clone(),
            RetryOn::Code(code) => format!("{OWN}{code}"),
        }
    }

    fn read(field: &Field<'_>) -> Option<RetryOn> {
        let text = field.text()?;
        if text == "timeout" {
            return Some(RetryOn::Timeout);
        }
        if let Some(status) = text.strip_prefix("http:") {
            return RetryOn::http(status).or_else(|| {
                let detail = format!("`{text}` names no status of HTTP");
                let problem = field.problem("unknown_failure", detail);
                field.report(problem.with_hint("such as http:503, or http:5xx for all of them"))
            });
        }
        let own = text.strip_prefix(OWN).filter(|code| is_code(code));
        if let Some(code) = own.or_else(|| CODES.contains(&text).then_some(text)) {
            return Some(RetryOn::Code(code.to_owned()));
        }
        let known = ["timeout", "http:5xx", "http:429", "http:503"].into_iter().chain(CODES);
        let problem =
            field.problem("unknown_failure", format!("`{text}` is no failure that is known"));
        field.report(match nearest(text, known) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint(
                "one of timeout, http:503, http:5xx, or the code of a failure; `code:…` names \
                 one of an app of your own",
            ),
        })
    }

    fn http(status: &str) -> Option<RetryOn> {
        if let Some(hundred) = status.strip_suffix("xx") {
            let hundred: u16 = hundred.parse().ok().filter(|it| (1..=5).contains(it))?;
            return Some(RetryOn::Http { least: hundred * 100, most: hundred * 100 + 99 });
        }
        let status: u16 = status.parse().ok().filter(|status| (100..=599).contains(status))?;
        Some(RetryOn::Http { least: status, most: status })
    }
}

fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

impl<'a> Reading<'a> {
    /// Reads how often an attempt is made; what is left out is as in `standard`.
    pub(super) fn retry(&self, field: Option<Field<'a>>, standard: Retry) -> Option<Retry> {
        let Some(field) = field else { return Some(standard) };
        let mut fields = field.object()?;
        let attempts = fields.take(&["attempts", "maximumAttempts"]);
        let initial = fields.take(&["initial", "initialInterval"]);
        let factor = fields.take(&["factor", "backoffCoefficient"]);
        let max = fields.take(&["max"]);
        let jitter = fields.take(&["jitter"]);
        let on = fields.take(&["on"]);
        fields.close();
        let pause = Duration::ZERO..=self.limits().step_timeout_max;
        let attempts = attempts.map_or(Some(standard.attempts), |f| f.whole(1..=ATTEMPTS_MAX));
        let initial = initial.map_or(Some(standard.initial), |f| f.duration(pause.clone()))?;
        let factor = factor.map_or(Some(standard.factor), |f| f.number(1.0..=FACTOR_MAX));
        let max = match max {
            None => Some(standard.max.max(initial)),
            Some(f) => f.duration(pause).and_then(|max| {
                if max >= initial {
                    return Some(max);
                }
                f.report(f.problem("out_of_range", "`max` is shorter than the first pause"))
            }),
        };
        let jitter = jitter.map_or(Some(standard.jitter), |f| f.truth());
        let on = on.map_or(Some(standard.on), |field| retried(&field));
        Some(Retry {
            attempts: attempts?,
            initial,
            factor: factor?,
            max: max?,
            jitter: jitter?,
            on: on?,
        })
    }
}

fn retried(field: &Field<'_>) -> Option<Vec<RetryOn>> {
    let list = field.list()?;
    if list.len() > KINDS_MAX {
        let detail = format!("{} failures are too many, the limit is {KINDS_MAX}", list.len());
        return field.report(field.problem("too_many", detail));
    }
    if list.is_empty() {
        let problem = field.problem("missing", "no failure is named");
        return field.report(problem.with_hint("leave `on` out to retry after all that may pass"));
    }
    // Every element is read, so that each fault is told.
    let read: Vec<Option<RetryOn>> = field.elements(list).iter().map(RetryOn::read).collect();
    read.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_covers_its_codes_alone() {
        let http = |text| RetryOn::http(text).expect("a status");
        for (kind, code, covers) in [
            (RetryOn::Timeout, "timeout", true),
            (RetryOn::Timeout, "connection_lost", false),
            (http("5xx"), "http_503", true),
            (http("5xx"), "http_429", false),
            (http("429"), "http_429", true),
            (http("429"), "http_428", false),
            (RetryOn::Code("quota.spent".into()), "quota.spent", true),
        ] {
            assert_eq!(kind.covers(code), covers, "{kind:?} {code}");
        }
        assert_eq!(http("5xx").native(), "http:5xx");
        assert_eq!(RetryOn::Code("quota".into()).native(), "code:quota");
        assert_eq!(RetryOn::http("6xx"), None);
        assert_eq!(RetryOn::http("99"), None);
    }
}
