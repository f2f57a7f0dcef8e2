//! Why a command did not do what was asked, and the exit code that says so to a script.

use std::io;

use serde_json::Value;

use crate::config::ConfigError;
use crate::store::seam::StoreError;
use crate::telemetry::InvalidLevel;

/// What a command that did not succeed tells its caller.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// The server refused, and said why.
    #[error("{}", describe(.status, .problem))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The body: problem+json where the server made it.
        problem: Value,
    },
    /// What was asked for is not there.
    #[error("{0}")]
    NotFound(String),
    /// Nobody answers.
    #[error("cannot reach {0}")]
    Unreachable(String),
    /// What was asked for was done, and its answer is no: an invalid definition, a failed run.
    #[error("{0}")]
    Negative(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// Anything else.
    #[error("{0:#}")]
    Other(#[from] anyhow::Error),
}

impl Failure {
    /// Returns the exit code: 0 done, 1 failed, 2 usage, 3 not found, 4 conflict, 75 try later.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // Whoever closed the pipe has seen enough, as with `| head`.
            Failure::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Failure::Usage(_) => 2,
            Failure::NotFound(_) => 3,
            Failure::Unreachable(_) => 75,
            Failure::Refused { status, .. } => match status {
                404 | 410 => 3,
                409 | 412 => 4,
                408 | 425 | 429 | 502..=504 | 507 => 75,
                _ => 1, // Every other status says that trying again will not help.
            },
            Failure::Other(error) => code_of(error),
            Failure::Negative(_) | Failure::Output(_) => 1,
        }
    }

    /// Returns the failure as an object for a program.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match self {
            Failure::Refused { problem, .. } if problem.is_object() => problem.clone(),
            other => serde_json::json!({ "title": other.to_string(), "exit": other.exit_code() }),
        }
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<ConfigError>() || error.is::<InvalidLevel>() {
        return 2;
    }
    match error.downcast_ref::<StoreError>() {
        Some(StoreError::InUse(_)) => 4,
        Some(StoreError::Unavailable(_)) => 75,
        Some(StoreError::Refused(_) | StoreError::Damaged { .. }) | None => 1,
    }
}

fn describe(status: &u16, problem: &Value) -> String {
    let text = |name: &str| problem[name].as_str().filter(|text| !text.is_empty());
    let first = text("detail").or_else(|| text("title"));
    let mut message = match first {
        Some(sentence) => sentence.to_owned(),
        None => format!("the server answered with status {status}"),
    };
    for error in problem["errors"].as_array().into_iter().flatten() {
        let field = |name: &str| error[name].as_str().unwrap_or_default();
        // A single fault is often the whole message already.
        if !first.is_some_and(|sentence| sentence.contains(field("detail"))) {
            message.push_str(&format!("\n  {} {}", field("pointer"), field("detail")));
        }
        if let Some(hint) = error["hint"].as_str() {
            message.push_str(&format!("; {hint}"));
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_refusal_has_the_exit_code_of_its_kind() {
        for (status, code) in
            [(401, 1), (404, 3), (409, 4), (412, 4), (422, 1), (429, 75), (503, 75), (500, 1)]
        {
            let failure = Failure::Refused { status, problem: Value::Null };
            assert_eq!(failure.exit_code(), code, "{status}");
        }
        let closed = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit_code(), 0);
    }

    #[test]
    fn every_fault_of_a_document_is_named() {
        let problem = json!({
            "title": "Invalid", "detail": "the definition has 1 problem",
            "errors": [{ "pointer": "/steps/0/activity", "detail": "is unknown", "hint": "see list" }],
        });
        let message = Failure::Refused { status: 422, problem }.to_string();
        assert_eq!(
            message,
            "the definition has 1 problem\n  /steps/0/activity is unknown; see list"
        );
    }
}
