//! A request as a step describes it, and as a redirect changes it.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::egress::Egress;
use crate::activities::checked::invalid;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::run::Failure;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Headers that belong to a connection, not to a message, and those that follow from the message.
pub(super) const REFUSED: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// One request, ready to be sent.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    expected: Vec<u16>,
}

impl Request {
    /// Reads the input of a step; it fits the schema already.
    pub(super) fn read(input: &Value, key: &str, egress: &Egress) -> Result<Request, Failure> {
        let method = input.get("method").and_then(Value::as_str).unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| refused("/method", "is not a method of HTTP"))?;
        let mut url = egress.url(input.get("url").and_then(Value::as_str).unwrap_or_default())?;
        add_query(&mut url, input.get("query"));
        let mut headers = read_headers(input.get("headers"))?;
        if !headers.contains_key(IDEMPOTENCY_KEY) {
            let value = HeaderValue::from_str(key)
                .map_err(|_| refused("", "the idempotency key cannot stand in a header"))?;
            headers.insert(IDEMPOTENCY_KEY, value);
        }
        let body = read_body(input.get("body"), &mut headers);
        let expected = match input.get("expectStatus") {
            Some(Value::Array(statuses)) => statuses.iter().filter_map(status_of).collect(),
            Some(status) => status_of(status).into_iter().collect(),
            None => Vec::new(),
        };
        Ok(Request { method, url, headers, body, expected })
    }

    /// Returns whether the status is a success.
    pub(super) fn expects(&self, status: u16) -> bool {
        match self.expected.as_slice() {
            [] => (200..300).contains(&status),
            expected => expected.contains(&status),
        }
    }

    /// Sends it.
    pub(super) async fn send(&self, client: &Client) -> reqwest::Result<Response> {
        let request =
            client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        match &self.body {
            Some(body) => request.body(body.clone()).send().await,
            None => request.send().await,
        }
    }
}

/// Returns the request that a redirect asks for, or `None` when it names no place.
pub(super) fn next_hop(
    request: &Request,
    response: &Response,
    egress: &Egress,
) -> Result<Option<Request>, Failure> {
    let is_followed = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let Some(location) = response.headers().get(LOCATION).filter(|_| is_followed) else {
        return Ok(None);
    };
    let wrong = || Failure::terminal("invalid_redirect", "the redirect leads to no URL");
    let location = location.to_str().map_err(|_| wrong())?;
    let url = request.url.join(location).map_err(|_| wrong())?;
    egress.check_url(&url)?;
    let mut next = request.clone();
    if url.origin() != request.url.origin() {
        drop_secrets(&mut next.headers);
    }
    let is_reading = matches!(request.method, Method::GET | Method::HEAD);
    let becomes_get = match response.status() {
        StatusCode::SEE_OTHER => request.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => !is_reading,
        _ => false, // The others keep the method by definition.
    };
    if becomes_get {
        next.method = Method::GET;
        next.body = None;
        next.headers.remove(CONTENT_TYPE);
    }
    next.url = url;
    Ok(Some(next))
}

/// Another origin is a stranger: what may prove who we are is not for it.
fn drop_secrets(headers: &mut HeaderMap) {
    const SIGNS: [&str; 5] = ["auth", "cookie", "key", "secret", "token"];
    let is_secret = |name: &&HeaderName| {
        name.as_str() != IDEMPOTENCY_KEY && SIGNS.iter().any(|sign| name.as_str().contains(sign))
    };
    let secrets: Vec<HeaderName> = headers.keys().filter(is_secret).cloned().collect();
    for name in secrets {
        headers.remove(name);
    }
}

fn add_query(url: &mut Url, query: Option<&Value>) {
    for (name, value) in query.and_then(Value::as_object).into_iter().flatten() {
        let single = std::slice::from_ref(value);
        let values = value.as_array().map_or(single, Vec::as_slice);
        for text in values.iter().filter_map(text_of) {
            url.query_pairs_mut().append_pair(name, &text);
        }
    }
}

fn read_headers(given: Option<&Value>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given.and_then(Value::as_object).into_iter().flatten() {
        let Some(text) = text_of(value) else { continue };
        let pointer = pointer_to("/headers", name);
        let lowered = name.trim().to_lowercase();
        if REFUSED.contains(&lowered.as_str()) {
            return Err(refused(&pointer, "belongs to the connection and cannot be given"));
        }
        let name = HeaderName::from_bytes(lowered.as_bytes())
            .map_err(|_| refused(&pointer, "is not the name of a header"))?;
        let value = HeaderValue::from_str(&text)
            .map_err(|_| refused(&pointer, "has a value that no header can have"))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn read_body(given: Option<&Value>, headers: &mut HeaderMap) -> Option<Vec<u8>> {
    let (bytes, kind) = match given? {
        Value::Null => return None,
        Value::String(text) => (text.clone().into_bytes(), "text/plain; charset=utf-8"),
        body => (body.to_string().into_bytes(), "application/json"),
    };
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    Some(bytes)
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn status_of(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|status| u16::try_from(status).ok())
}

fn refused(pointer: &str, detail: &str) -> Failure {
    invalid("invalid_input", &[Problem::new(pointer, "invalid", detail)])
}
