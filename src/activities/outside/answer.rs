//! What came of a call: an answer within its limits, or a failure of the right class.

use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, timeout_at};

use super::connection::refuse_credentials;
use super::egress::refusal;
use super::request::Request;
use crate::clock::Clock;
use crate::domain::run::Failure;
use crate::domain::secret::Mask;

/// How much of a refusal's body its failure keeps.
const EXCERPT_CHARS: usize = 1_000;

/// An answer, read to its end.
pub(super) struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Reads an answer to its end, at most `bytes_max` of it, until `deadline`.
pub(super) async fn read(
    mut response: Response,
    deadline: Instant,
    bytes_max: usize,
) -> Result<Answer, Failure> {
    let too_large = || {
        let message = format!("the answer exceeds the {bytes_max} bytes of response_bytes_max");
        Failure::terminal("response_too_large", message)
    };
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    loop {
        match timeout_at(deadline, response.chunk()).await {
            Ok(Ok(Some(chunk))) if body.len() + chunk.len() > bytes_max => return Err(too_large()),
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                return Err(Failure::in_doubt("connection_lost", sentence(&error)));
            }
            Err(_) => {
                let message = "the answer did not end in time";
                return Err(Failure::in_doubt("timeout", message));
            }
        }
    }
    let status = response.status().as_u16();
    Ok(Answer { status, headers: response.headers().clone(), body })
}

impl Answer {
    /// Returns the output of a step whose call was a success, or else the failure.
    pub(super) fn judged(&self, request: &Request, took: Duration) -> Result<Value, Failure> {
        if !request.expects(self.status) {
            let mut failure = self.failure(&request.mask());
            if self.status == 401 && request.is_proven() {
                refuse_credentials(&mut failure);
            }
            return Err(failure);
        }
        Ok(json!({
            "status": self.status,
            "headers": self.header_texts(),
            "body": self.content(),
            "durationMs": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }))
    }

    fn failure(&self, mask: &Mask) -> Failure {
        let code = format!("http_{}", self.status);
        let message = format!("the other side answered {}", self.status);
        // Masked before it is cut, so that no half of a secret is left at the end.
        let whole = mask.text(&String::from_utf8_lossy(&self.body));
        let excerpt: String = whole.chars().take(EXCERPT_CHARS).collect();
        let details = json!({ "status": self.status, "body": excerpt });
        let failure = match self.status {
            408 | 425 | 429 | 500..=599 => Failure::retryable(&code, message),
            _ => Failure::terminal(&code, message), // Asking again would change nothing.
        };
        let failure = failure.with_details(details);
        match retry_after(&self.headers) {
            Some(pause) => failure.with_retry_after(pause),
            None => failure,
        }
    }

    fn header_texts(&self) -> Map<String, Value> {
        let mut texts: Map<String, Value> = Map::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let joined = match texts.get(name.as_str()).and_then(Value::as_str) {
                Some(earlier) => format!("{earlier}, {value}"),
                None => value,
            };
            texts.insert(name.as_str().to_owned(), Value::String(joined));
        }
        texts
    }

    fn content(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        let kind = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let may_be_json = kind.is_none_or(|kind| kind.to_lowercase().contains("json"));
        let parsed = may_be_json.then(|| serde_json::from_str(&text).ok()).flatten();
        parsed.unwrap_or_else(|| Value::String(text.into_owned()))
    }
}

/// Returns the failure of a call that got no answer.
pub(super) fn broken(error: &reqwest::Error) -> Failure {
    if let Some(refused) = refusal(error) {
        return refused.clone().into();
    }
    let message = sentence(error);
    if error.is_builder() {
        return Failure::terminal("invalid_request", message);
    }
    if error.is_connect() {
        return Failure::retryable("connect_failed", message);
    }
    Failure::in_doubt("connection_lost", message)
}

/// Returns the pause that the other side asks for, in seconds or as a date by its own clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let instant =
        |text: &str| DateTime::parse_from_rfc2822(text).ok().map(|at| at.timestamp_millis());
    let told = headers.get(DATE).and_then(|date| instant(date.to_str().ok()?));
    let now = told.unwrap_or_else(|| Clock::system().now().millis());
    let pause_ms = instant(text)?.saturating_sub(now);
    Some(Duration::from_millis(u64::try_from(pause_ms).unwrap_or(0)))
}

/// Returns an error with what lies beneath it; the URL stays out, for it may hold secrets.
fn sentence(error: &reqwest::Error) -> String {
    let mut told = vec!["the call failed".to_owned()];
    let mut beneath = error.source();
    while let Some(error) = beneath {
        told.push(error.to_string());
        beneath = error.source();
    }
    told.join(": ")
}
