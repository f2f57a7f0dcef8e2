//! Reads CloudEvents 1.0 in the three modes of the HTTP binding: binary, structured and batch.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::fields::kind_of;
use super::json;
use crate::app::error::Error;
use crate::app::events::IncomingEvent;
use crate::domain::event::Actor;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const NAME_CHARS_MAX: usize = 255;
const REFERENCE_CHARS_MAX: usize = 1_024;

/// What the intake of events is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest event, in bytes.
    pub event_bytes_max: usize,
    /// The most events in a batch.
    pub events_max: usize,
    /// The deepest nesting, in levels.
    pub depth_max: usize,
}

/// What one request brought.
#[derive(Debug, PartialEq)]
pub enum Intake {
    /// One event, in binary or structured mode.
    One(Box<IncomingEvent>),
    /// A batch, of which some may be wrong.
    Many {
        /// The events that are well-formed, each with its place in the batch.
        events: Vec<(usize, IncomingEvent)>,
        /// The others, each with everything that is wrong with it.
        rejected: Vec<(usize, Vec<Problem>)>,
    },
}

/// Reads the events of a request to `/v1/events`.
///
/// # Errors
/// Refuses malformed JSON with 400, too much with 413, another content type with 415 and a single
/// event that lacks something with 422.
pub fn read(headers: &HeaderMap, body: &[u8], limits: &Limits) -> Result<Intake, ApiError> {
    let content_type = media_type(headers);
    match content_type.as_str() {
        "application/cloudevents-batch+json" => batch(body, limits),
        "application/cloudevents+json" => structured(body, limits),
        _ if headers.keys().any(|name| name.as_str().starts_with("ce-")) => {
            binary(headers, &content_type, body, limits)
        }
        "application/json" | "" if first_byte(body) == Some(b'[') => batch(body, limits),
        "application/json" | "" => structured(body, limits),
        other => Err(unsupported(other)),
    }
}

/// Reads the payload of a request to `/v1/events/{type}`, which may be absent.
///
/// # Errors
/// Refuses malformed JSON with 400, too much with 413 and another content type with 415.
pub fn read_payload(headers: &HeaderMap, body: &[u8], limits: &Limits) -> Result<Value, ApiError> {
    let content_type = media_type(headers);
    if !matches!(content_type.as_str(), "" | "application/json") && !is_json(&content_type) {
        return Err(unsupported(&content_type));
    }
    check_size(body.len(), limits)?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Value::Object(Map::new()));
    }
    json::parse(body, limits.depth_max)
}

/// Returns the content type without its parameters, in lower case; empty when there is none.
#[must_use]
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

fn unsupported(content_type: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!(
            "`{content_type}` is not understood here; send application/json, \
             application/cloudevents+json, application/cloudevents-batch+json or ce-* headers"
        ),
    )
}

fn is_json(content_type: &str) -> bool {
    content_type == "application/json"
        || content_type == "text/json"
        || content_type.ends_with("+json")
}

fn first_byte(body: &[u8]) -> Option<u8> {
    body.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn check_size(bytes: usize, limits: &Limits) -> Result<(), ApiError> {
    let (size, limit) = (bytes as u64, limits.event_bytes_max as u64);
    if size > limit {
        return Err(Error::TooLarge { what: "an event", size, limit }.into());
    }
    Ok(())
}

fn structured(body: &[u8], limits: &Limits) -> Result<Intake, ApiError> {
    check_size(body.len(), limits)?;
    let event = envelope(json::parse(body, limits.depth_max)?).map_err(ApiError::invalid)?;
    Ok(Intake::One(Box::new(event)))
}

fn batch(body: &[u8], limits: &Limits) -> Result<Intake, ApiError> {
    // The batch itself is one level around its events.
    json::check_depth(body, limits.depth_max + 1)?;
    let items: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|fault| match fault.is_data() {
            true => not_a_batch(),
            false => json::syntax(body, &fault),
        })?;
    if items.len() > limits.events_max {
        let (size, limit) = (items.len() as u64, limits.events_max as u64);
        return Err(Error::TooLarge { what: "a batch of events", size, limit }.into());
    }
    let mut events = Vec::with_capacity(items.len());
    let mut rejected = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match batch_item(item.get(), limits) {
            Ok(event) => events.push((index, event)),
            Err(problems) => rejected.push((index, problems)),
        }
    }
    Ok(Intake::Many { events, rejected })
}

fn not_a_batch() -> ApiError {
    ApiError::invalid(vec![Problem::new("", "wrong_type", "a batch must be a list of events")])
}

fn batch_item(text: &str, limits: &Limits) -> Result<IncomingEvent, Vec<Problem>> {
    if text.len() > limits.event_bytes_max {
        let detail = format!(
            "an event of {} bytes exceeds the limit of {}",
            text.len(),
            limits.event_bytes_max
        );
        return Err(vec![Problem::new("", "too_large", detail)]);
    }
    let value = serde_json::from_str(text)
        .map_err(|fault| vec![Problem::new("", "invalid_json", fault.to_string())])?;
    envelope(value)
}

fn binary(
    headers: &HeaderMap,
    content_type: &str,
    body: &[u8],
    limits: &Limits,
) -> Result<Intake, ApiError> {
    check_size(body.len(), limits)?;
    let mut attributes = Map::new();
    for (name, value) in headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let text = percent_decoded(value.as_bytes());
        attributes.insert(attribute.to_owned(), Value::String(text));
    }
    attributes.swap_remove("datacontenttype"); // The content type says it in this mode.
    match binary_data(content_type, body, limits)? {
        Value::Null => {}
        data => {
            attributes.insert("data".to_owned(), data);
        }
    }
    if !content_type.is_empty() && !is_json(content_type) {
        attributes.insert("datacontenttype".to_owned(), Value::String(content_type.to_owned()));
    }
    let event = envelope(Value::Object(attributes)).map_err(ApiError::invalid)?;
    Ok(Intake::One(Box::new(event)))
}

fn binary_data(content_type: &str, body: &[u8], limits: &Limits) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    if content_type.is_empty() || is_json(content_type) {
        return json::parse(body, limits.depth_max);
    }
    match std::str::from_utf8(body) {
        Ok(text) if content_type.starts_with("text/") || content_type.ends_with("xml") => {
            Ok(Value::String(text.to_owned()))
        }
        _ => Ok(Value::String(STANDARD.encode(body))), // Bytes travel as base64 in JSON.
    }
}

/// Decodes `%E2%82%AC` as the binding asks for; what is no escape stays as it is.
fn percent_decoded(raw: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut position = 0;
    while position < raw.len() {
        let digits = raw.get(position + 1..position + 3);
        let escape = digits
            .filter(|_| raw[position] == b'%')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(escape.unwrap_or(raw[position]));
        position += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Takes an event out of its envelope; nothing is copied.
fn envelope(value: Value) -> Result<IncomingEvent, Vec<Problem>> {
    let mut attributes = match value {
        Value::Object(map) => Attributes { map, problems: Vec::new() },
        other => {
            let detail = format!("an event must be an object, not {}", kind_of(&other));
            return Err(vec![Problem::new("", "wrong_type", detail)]);
        }
    };
    match attributes.required("specversion", NAME_CHARS_MAX).as_str() {
        "1.0" | "" => {} // What is missing was noted already.
        other => {
            let detail = format!("version `{other}` is not understood; it must be `1.0`");
            attributes.problem("specversion", "unsupported", detail);
        }
    }
    let id = attributes.required("id", REFERENCE_CHARS_MAX);
    let source = attributes.required("source", REFERENCE_CHARS_MAX);
    let kind = attributes.required("type", NAME_CHARS_MAX);
    let subject = attributes.optional("subject", REFERENCE_CHARS_MAX);
    let time = attributes.time();
    let actor = attributes.actor();
    let payload = attributes.data();
    if !attributes.problems.is_empty() {
        return Err(attributes.problems);
    }
    let metadata = attributes.map;
    Ok(IncomingEvent { id: Some(id), kind, source, subject, time, actor, payload, metadata })
}

struct Attributes {
    map: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Attributes {
    fn problem(&mut self, name: &str, code: &str, detail: impl Into<String>) {
        self.problems.push(Problem::new(format!("/{name}"), code, detail));
    }

    fn required(&mut self, name: &str, chars_max: usize) -> String {
        if !self.map.contains_key(name) {
            self.problem(name, "required", format!("the attribute `{name}` is required"));
            return String::new();
        }
        self.optional(name, chars_max).unwrap_or_default()
    }

    fn optional(&mut self, name: &str, chars_max: usize) -> Option<String> {
        let text = match self.map.swap_remove(name)? {
            Value::String(text) => text,
            Value::Null => String::new(),
            other => {
                self.problem(
                    name,
                    "wrong_type",
                    format!("must be a text, not {}", kind_of(&other)),
                );
                return None;
            }
        };
        if text.is_empty() {
            self.problem(name, "empty", "must not be empty");
        }
        if text.len() > chars_max {
            self.problem(name, "too_long", format!("must have at most {chars_max} bytes"));
        }
        Some(text)
    }

    fn time(&mut self) -> Option<Timestamp> {
        let text = self.optional("time", NAME_CHARS_MAX)?;
        text.parse().map_err(|fault| self.problem("time", "invalid_time", format!("{fault}"))).ok()
    }

    /// The actor as an object, or as the extensions `actorid`, `actortype` and `actoremail`.
    fn actor(&mut self) -> Option<Actor> {
        if let Some(object @ Value::Object(_)) = self.map.get("actor") {
            let text = |name: &str| object[name].as_str().unwrap_or("").to_owned();
            let actor = Actor { id: text("id"), kind: text("type"), email: text("email") };
            self.map.swap_remove("actor");
            return Some(actor);
        }
        self.map.contains_key("actorid").then(|| {
            let mut text = |name| match self.map.swap_remove(name) {
                Some(Value::String(text)) => text,
                _ => String::new(), // An actor is described as far as the sender could.
            };
            Actor { id: text("actorid"), kind: text("actortype"), email: text("actoremail") }
        })
    }

    fn data(&mut self) -> Value {
        let (plain, encoded) = (self.map.swap_remove("data"), self.map.swap_remove("data_base64"));
        let content_type = match self.map.get("datacontenttype") {
            Some(Value::String(text)) => text.clone(),
            _ => "application/json".to_owned(), // The default of the specification.
        };
        if is_json(&content_type) {
            self.map.swap_remove("datacontenttype");
        }
        match (plain, encoded) {
            (Some(_), Some(_)) => {
                let detail = "`data` and `data_base64` exclude each other";
                self.problem("data_base64", "exclusive", detail);
                Value::Null
            }
            (Some(data), None) => data,
            (None, Some(Value::String(text))) => self.decoded(text, &content_type),
            (None, Some(other)) => {
                let detail = format!("must be a text, not {}", kind_of(&other));
                self.problem("data_base64", "wrong_type", detail);
                Value::Null
            }
            (None, None) => Value::Null,
        }
    }

    /// Bytes that are JSON become JSON; others stay the base64 that they came as.
    fn decoded(&mut self, text: String, content_type: &str) -> Value {
        let Ok(bytes) = STANDARD.decode(&text) else {
            self.problem("data_base64", "invalid_base64", "is not valid base64");
            return Value::Null;
        };
        if !is_json(content_type) {
            return Value::String(text);
        }
        serde_json::from_slice(&bytes).unwrap_or_else(|fault| {
            self.problem("data_base64", "invalid_json", format!("holds no valid JSON: {fault}"));
            Value::Null
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};
    use serde_json::json;

    const LIMITS: Limits = Limits { event_bytes_max: 1_000, events_max: 3, depth_max: 8 };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        map
    }

    fn one(headers: &HeaderMap, body: &str) -> IncomingEvent {
        match read(headers, body.as_bytes(), &LIMITS).expect("a valid event") {
            Intake::One(event) => *event,
            Intake::Many { .. } => panic!("one event was sent"),
        }
    }

    fn pointers(problems: &[Problem]) -> Vec<(&str, &str)> {
        problems.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect()
    }

    #[test]
    fn the_three_modes_give_the_same_event() {
        let body = r#"{"specversion":"1.0","id":"1","source":"/crm","type":"deal:won",
            "subject":"d-7","time":"2026-11-23T10:00:00Z","region":"eu","data":{"amount":5}}"#;
        let structured =
            one(&headers(&[("content-type", "application/cloudevents+json; charset=utf-8")]), body);
        assert_eq!(structured.payload, json!({"amount": 5}));
        assert_eq!(structured.subject.as_deref(), Some("d-7"));
        assert_eq!(Value::Object(structured.metadata.clone()), json!({"region": "eu"}));
        assert_eq!(one(&headers(&[("content-type", "application/json")]), body), structured);
        let binary = headers(&[
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/crm"),
            ("ce-type", "deal:won"),
            ("ce-subject", "d%2D7"),
            ("ce-time", "2026-11-23T10:00:00Z"),
            ("ce-region", "eu"),
            ("content-type", "application/json"),
        ]);
        assert_eq!(one(&binary, r#"{"amount":5}"#), structured);
        let batch = read(
            &headers(&[("content-type", "application/cloudevents-batch+json")]),
            format!("[{body}]").as_bytes(),
            &LIMITS,
        );
        let events = vec![(0, structured)];
        assert_eq!(batch.expect("a batch"), Intake::Many { events, rejected: vec![] });
    }

    #[test]
    fn everything_that_is_wrong_with_each_event_of_a_batch_is_said() {
        let body = r#"[{"specversion":"1.0","id":"1","source":"s","type":"t"},
            {"specversion":"0.3","id":"","type":5,"time":"now","data":1,"data_base64":"AA=="}, 7]"#;
        let Ok(Intake::Many { events, rejected }) =
            read(&HeaderMap::new(), body.as_bytes(), &LIMITS)
        else {
            panic!("a batch is read")
        };
        assert_eq!(events.len(), 1);
        assert_eq!((rejected[0].0, rejected[1].0), (1, 2));
        assert_eq!(
            pointers(&rejected[0].1),
            [
                ("/specversion", "unsupported"),
                ("/id", "empty"),
                ("/source", "required"),
                ("/type", "wrong_type"),
                ("/time", "invalid_time"),
                ("/data_base64", "exclusive"),
            ]
        );
    }

    #[test]
    fn limits_and_foreign_content_are_refused() {
        let large = format!("\"{}\"", "x".repeat(1_001));
        for (content_type, body, status) in [
            ("text/plain", "hello", 415),
            ("application/json", "{", 400),
            ("application/json", large.as_str(), 413),
            ("application/json", "[1,1,1,1]", 413),
            ("application/cloudevents-batch+json", "{}", 422),
            ("application/json", "[[[[[[[[[[[]]]]]]]]]]]", 400),
            ("application/json", r#"{"id":"1"}"#, 422),
        ] {
            let headers = headers(&[("content-type", content_type)]);
            let error = read(&headers, body.as_bytes(), &LIMITS).expect_err(body);
            assert_eq!(error.status().as_u16(), status, "{body}: {error}");
        }
    }

    #[test]
    fn data_arrives_whatever_its_content_type() {
        let base = r#""specversion":"1.0","id":"1","source":"s","type":"t""#;
        let json = headers(&[("content-type", "application/json")]);
        let encoded = one(&json, &format!(r#"{{{base},"data_base64":"eyJhIjoxfQ=="}}"#));
        assert_eq!(encoded.payload, json!({"a": 1}));
        let bytes = one(
            &json,
            &format!(r#"{{{base},"datacontenttype":"image/png","data_base64":"AAE="}}"#),
        );
        assert_eq!(
            (&bytes.payload, &bytes.metadata["datacontenttype"]),
            (&json!("AAE="), &json!("image/png"))
        );
        let attributes = [
            ("ce-specversion", "1.0"),
            ("ce-id", "%E2%82%AC"),
            ("ce-source", "s"),
            ("ce-type", "t"),
        ];
        let text = headers(&[&attributes[..], &[("content-type", "text/plain")]].concat());
        let event = one(&text, "hello");
        assert_eq!((event.payload, event.id.as_deref()), (json!("hello"), Some("€")));
        assert_eq!(one(&headers(&attributes), "").payload, Value::Null);
    }
}
