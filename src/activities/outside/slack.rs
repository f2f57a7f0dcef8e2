//! Speaks to Slack over a saved connection: what each verb sends, gives back and leaves to undo.
//!
//! Slack answers 200 also when it refuses; `ok` in the body decides.
//! Source: <https://docs.slack.dev/apis/web-api/>.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::connection::{ACCESS_TOKEN, Connection, refuse_credentials};
use super::http_request::HttpRequest;
use super::proof::{Proof, place};
use super::slack_lookup;
use super::slack_verbs::Verb;
use crate::activities::{OutsideActivity, OutsideCall, UndoCall};
use crate::domain::activity::{ActivitySpec, Settling};
use crate::domain::run::{Failure, FailureClass};

/// Where Slack's API is unless a connection's `settings.baseUrl` says otherwise.
pub const SLACK_BASE_URL: &str = "https://slack.com/api";
/// The secret of a connection that proves who asks.
const TOKEN: &str = "botToken";

/// The type of the metadata that says which step a message belongs to.
pub(super) const STEP_EVENT: &str = "ergane_step";

/// Refusals that may pass.
const PASSING: [&str; 5] =
    ["ratelimited", "rate_limited", "service_unavailable", "request_timeout", "team_added_to_org"];
/// Refusals after which part of it may have happened.
const DOUBTFUL: [&str; 2] = ["fatal_error", "internal_error"];
/// Refusals of a token, with which nothing can be asked.
const UNBELIEVED: [&str; 5] =
    ["invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired"];
/// Refusals of what a token may do.
const UNAUTHORIZED: [&str; 5] = [
    "missing_scope",
    "no_permission",
    "access_denied",
    "not_allowed_token_type",
    "ekm_access_denied",
];

/// One verb of Slack.
pub(in crate::activities) struct Slack {
    verb: Verb,
    http: HttpRequest,
}

impl Slack {
    /// Returns every verb; all of them leave through the same door.
    pub(in crate::activities) fn all(http: &HttpRequest) -> Vec<Slack> {
        Verb::ALL.into_iter().map(|verb| Slack { verb, http: http.clone() }).collect()
    }
}

impl OutsideActivity for Slack {
    fn spec(&self) -> ActivitySpec {
        self.verb.spec()
    }

    fn app(&self) -> Option<&'static str> {
        Some("slack")
    }

    fn undo(&self, input: &Value, output: &Value) -> Option<UndoCall> {
        self.verb.undo(input, output)
    }

    fn settles(&self) -> Settling {
        match self.verb {
            Verb::Post => Settling::Lookup,
            _ => Settling::Repeat, // Done twice is done once, or a refusal that says so.
        }
    }

    fn lookup(&self, call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        let (verb, http) = (self.verb, self.http.clone());
        async move {
            match verb {
                Verb::Post => slack_lookup::posted(&http, &call).await,
                _ => Ok(None), // Made again, which does no harm.
            }
        }
        .boxed()
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let verb = self.verb;
        let asked = match request(verb, &call) {
            Ok((request, proof)) => self.http.send(request, Some(proof)),
            Err(failure) => ready(Err(failure)).boxed(),
        };
        async move {
            match asked.await {
                Ok(answer) => judged(verb, &call.input, &answer),
                Err(failure) if failure.code == "http_429" => {
                    Err(Failure { code: "ratelimited".to_owned(), ..failure })
                }
                Err(failure) => Err(failure),
            }
        }
        .boxed()
    }
}

/// Returns the request behind a verb, and what proves who asks.
fn request(verb: Verb, call: &OutsideCall) -> Result<(OutsideCall, Proof), Failure> {
    let connection = call.connection()?;
    let (base, proof) = base_and_proof(connection)?;
    let url = place(&base, verb.method(&call.input))?;
    let mut fields = verb.body(&call.input);
    if verb == Verb::Post {
        mark(&mut fields, &call.idempotency_key);
    }
    let input = match verb.is_read() {
        true => json!({ "method": "GET", "url": url.as_str(), "query": fields }),
        false => json!({
            "method": "POST",
            "url": url.as_str(),
            "headers": { "content-type": "application/json; charset=utf-8" },
            "body": fields,
        }),
    };
    Ok((OutsideCall { input, ..call.clone() }, proof))
}

/// Returns where a connection's calls begin, and what proves who asks.
pub(super) fn base_and_proof(connection: &Connection) -> Result<(Url, Proof), Failure> {
    let base = connection.base(Some(SLACK_BASE_URL))?;
    let token = match connection.secrets.get(ACCESS_TOKEN) {
        Some(token) => token,
        None => connection.needed_secret(TOKEN)?,
    };
    let proof = Proof::bearer(&base, token);
    Ok((base, proof))
}

/// Slack takes no idempotency key, so the message itself says which step it belongs to: by an id
/// that is the same in every attempt, and in metadata that apps can read.
fn mark(body: &mut Map<String, Value>, key: &str) {
    body.insert("client_msg_id".to_owned(), Value::String(id_of(key)));
    let metadata = json!({
        "event_type": STEP_EVENT, "event_payload": { "idempotency_key": key },
    });
    body.insert("metadata".to_owned(), metadata);
}

/// Returns a UUID of version 8 (RFC 9562, section 5.8) that follows from the key.
fn id_of(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    let groups = [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]];
    groups.join("-")
}

fn judged(verb: Verb, input: &Value, answer: &Value) -> Result<Value, Failure> {
    let body = &answer["body"];
    match (body["ok"].as_bool(), body["error"].as_str()) {
        (Some(true), _) => Ok(verb.output(input, body)),
        (Some(false), Some(error)) if verb.already_done().contains(&error) => {
            Ok(verb.output(input, &json!({})))
        }
        (Some(false), error) => Err(refusal(verb.method(input), error.unwrap_or_default(), answer)),
        (None, _) => {
            let message = "the other side answers unlike Slack; look at `settings.baseUrl`";
            Err(Failure::terminal("invalid_answer", message))
        }
    }
}

/// Returns the failure that Slack's refusal is, with Slack's own code.
pub(super) fn refusal(method: &str, error: &str, answer: &Value) -> Failure {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let is_code = !error.is_empty() && error.len() <= 64 && error.chars().all(fits);
    let code = if is_code { error } else { "slack_refused" };
    let class = match code {
        passing if PASSING.contains(&passing) => FailureClass::Retryable,
        doubtful if DOUBTFUL.contains(&doubtful) => FailureClass::InDoubt,
        _ => FailureClass::Terminal, // Asking again would change nothing.
    };
    let body = &answer["body"];
    let mut details = json!({ "method": method, "error": code });
    if UNAUTHORIZED.contains(&code) {
        details["code"] = json!("unauthorized");
    }
    for name in ["needed", "provided", "response_metadata"] {
        if !body[name].is_null() {
            details[name] = body[name].clone();
        }
    }
    let message = format!("Slack refuses {method}: {code}");
    let mut failure = Failure::new(class, code, message).with_details(details);
    if UNBELIEVED.contains(&code) {
        refuse_credentials(&mut failure);
    }
    let pause = answer["headers"]["retry-after"].as_str().and_then(|text| text.parse().ok());
    match pause {
        Some(seconds) if class == FailureClass::Retryable => {
            failure.with_retry_after(Duration::from_secs(seconds))
        }
        Some(_) | None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(error: &str) -> Failure {
        let answer = json!({
            "body": { "ok": false, "error": error }, "headers": { "retry-after": "7" },
        });
        judged(Verb::Post, &json!({}), &answer).unwrap_err()
    }

    #[test]
    fn a_refusal_says_whether_to_ask_again() {
        use FailureClass::{InDoubt, Retryable, Terminal};
        for (error, class, code) in [
            ("channel_not_found", Terminal, "channel_not_found"),
            ("ratelimited", Retryable, "ratelimited"),
            ("fatal_error", InDoubt, "fatal_error"),
            ("missing_scope", Terminal, "missing_scope"),
            ("", Terminal, "slack_refused"),
            ("What is this?", Terminal, "slack_refused"),
        ] {
            let failure = refused(error);
            assert_eq!((failure.class, failure.code.as_str()), (class, code));
            let pause = failure.retry_after.map(|pause| pause.as_secs());
            assert_eq!(pause, (class == Retryable).then_some(7), "{error}");
            let is_unauthorized = failure.details["code"] == "unauthorized";
            assert_eq!(is_unauthorized, error == "missing_scope");
        }
    }

    #[test]
    fn what_is_so_already_is_no_failure() {
        let input = json!({ "channel": "C1", "ts": "1.2", "name": "eyes" });
        for verb in Verb::ALL {
            for error in verb.already_done() {
                let answer = json!({ "body": { "ok": false, "error": error } });
                let output = judged(verb, &input, &answer).unwrap();
                assert_eq!((&output["ok"], &output["channel"]), (&json!(true), &json!("C1")));
            }
        }
        let strange = judged(Verb::Post, &input, &json!({ "body": "<html>" })).unwrap_err();
        assert_eq!(strange.code, "invalid_answer");
    }

    #[test]
    fn every_attempt_of_a_step_has_the_same_id_and_no_other_step_has() {
        let id = id_of("run_1/post");
        assert_eq!(id, id_of("run_1/post"));
        assert_ne!(id, id_of("run_1/post2"));
        let marks: Vec<usize> = id.match_indices('-').map(|(at, _)| at).collect();
        assert_eq!((id.len(), marks), (36, vec![8, 13, 18, 23]));
        assert_eq!(&id[14..15], "8", "its version says that it is made in a way of our own");
    }
}
