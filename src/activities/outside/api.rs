//! One request to the system behind a saved connection, which speaks JSON.

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::http_request::HttpRequest;
use super::proof::{Proof, place};
use crate::activities::{OutsideCall, UndoCall};
use crate::domain::run::Failure;

/// What is asked of a system.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) method: &'static str,
    /// Below the base of the connection.
    pub(super) path: String,
    pub(super) query: Value,
    pub(super) body: Value,
    /// Statuses that come back as an answer and not as a failure; 2xx when empty.
    pub(super) expected: &'static [u16],
}

impl Ask {
    pub(super) fn new(method: &'static str, path: impl Into<String>) -> Ask {
        Ask { method, path: path.into(), query: Value::Null, body: Value::Null, expected: &[] }
    }

    pub(super) fn with_body(self, body: Value) -> Ask {
        Ask { body, ..self }
    }

    pub(super) fn with_query(self, query: Value) -> Ask {
        Ask { query, ..self }
    }

    pub(super) fn expecting(self, expected: &'static [u16]) -> Ask {
        Ask { expected, ..self }
    }
}

impl HttpRequest {
    /// Asks the system behind the connection of a call; the answer is as of an HTTP request:
    /// `{status, headers, body}`.
    pub(super) fn ask(
        &self,
        call: &OutsideCall,
        base: &Url,
        proof: Proof,
        ask: Ask,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        let url = match place(base, &ask.path) {
            Ok(url) => url,
            Err(failure) => return ready(Err(failure)).boxed(),
        };
        let mut input = json!({ "method": ask.method, "url": url.as_str() });
        if !ask.query.is_null() {
            input["query"] = ask.query;
        }
        if !ask.body.is_null() {
            input["body"] = ask.body;
        }
        if !ask.expected.is_empty() {
            input["expectStatus"] = json!(ask.expected);
        }
        let call = OutsideCall { input, ..call.clone() };
        self.send(call, Some(proof))
    }
}

/// Returns a UUID that follows from the key, in the form of version 4 (RFC 9562, section 5.4), for
/// systems that take no other.
pub(super) fn uuid_of(key: &str) -> String {
    let digest = Sha256::digest(key.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex::encode(bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

/// Returns the call that undoes another over the same connection.
pub(super) fn undo_over(
    input: &Value,
    activity: &str,
    fields: impl IntoIterator<Item = (&'static str, Value)>,
) -> UndoCall {
    let mut undo: Map<String, Value> =
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    if !input["connection"].is_null() {
        undo.insert("connection".to_owned(), input["connection"].clone());
    }
    UndoCall { activity: activity.to_owned(), input: Value::Object(undo) }
}

/// Returns the schema of an input: its fields, those that are needed, and the connection.
pub(super) fn input_schema(fields: Value, needed: &[&str]) -> Value {
    let mut properties = fields.as_object().cloned().unwrap_or_default();
    let connection = json!({
        "type": ["string", "null"],
        "description": "The connection to use; may be left out where the app has only one",
    });
    properties.insert("connection".to_owned(), connection);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": needed,
        "additionalProperties": false,
    })
}

/// Returns the schema of an output.
pub(super) fn output_schema(fields: Value, needed: &[&str]) -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": fields,
        "required": needed,
    })
}

/// Returns the fields of an input under the names that the other system has for them; those that
/// are null or not there are left out.
pub(super) fn renamed(input: &Value, names: &[(&str, &str)]) -> Map<String, Value> {
    let given = names.iter().filter(|(ours, _)| !input[*ours].is_null());
    given.map(|(ours, theirs)| ((*theirs).to_owned(), input[*ours].clone())).collect()
}

/// Returns what a refusal's body said, where it is JSON that was kept whole.
pub(super) fn said(failure: &Failure) -> Value {
    let body = failure.details.get("body").and_then(Value::as_str).unwrap_or_default();
    serde_json::from_str(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_key_is_always_the_same_and_of_the_form_that_is_taken() {
        let id = uuid_of("run_1/create");
        assert_eq!(id, uuid_of("run_1/create"));
        assert_ne!(id, uuid_of("run_1/create/2"));
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!("89ab".contains(&id[19..20]), "{id}");
    }
}
