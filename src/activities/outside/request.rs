//! A request as a step describes it, and as a redirect changes it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use url::Url;

use super::egress::Egress;
use super::proof::Proof;
use crate::activities::OutsideCall;
use crate::activities::checked::invalid;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecrets, Mask, NotBound};
use crate::domain::trace::TRACEPARENT;

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
    /// Secrets stand in them by their markers.
    headers: HeaderMap,
    auth: Option<Auth>,
    body: Option<Vec<u8>>,
    expected: Vec<u16>,
    secrets: BoundSecrets,
    /// Of a request over a connection.
    proof: Option<Proof>,
    /// Headers that the connection adds; they go nowhere else.
    added: Vec<HeaderName>,
}

/// Who asks, as the input says it; secrets stand in it by their markers.
#[derive(Clone, Debug)]
enum Auth {
    Bearer(String),
    Basic { username: String, password: String },
}

impl Request {
    /// Reads the input of a step; it fits the schema already.
    pub(super) fn read(
        call: &OutsideCall,
        egress: &Egress,
        proof: Option<Proof>,
    ) -> Result<Request, Failure> {
        let (input, key) = (&call.input, call.idempotency_key.as_str());
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
        if let Some(value) =
            call.traceparent.as_ref().filter(|_| !headers.contains_key(TRACEPARENT))
            && let Ok(value) = HeaderValue::from_str(value)
        {
            headers.insert(TRACEPARENT, value);
        }
        let body = read_body(input.get("body"), &mut headers);
        let expected = match input.get("expectStatus") {
            Some(Value::Array(statuses)) => statuses.iter().filter_map(status_of).collect(),
            Some(status) => status_of(status).into_iter().collect(),
            None => Vec::new(),
        };
        let (auth, secrets) = (Auth::read(input.get("auth")), call.secrets.clone());
        let added = match &proof {
            Some(_) => add_defaults(&mut headers, call)?,
            None => Vec::new(),
        };
        let request = Request { method, url, headers, auth, body, expected, secrets, proof, added };
        // Before anything leaves: a secret that may not go there fails the step, and says so.
        request.revealed_headers().map_err(|refused| match refused {
            Unrevealed::NotBound(refused) => {
                Failure::terminal("secret_refused", refused.to_string())
            }
            Unrevealed::NoHeader => self::refused("/headers", "hold what no header can have"),
        })?;
        Ok(request)
    }

    /// Returns what takes the secrets out of answers.
    pub(super) fn mask(&self) -> Mask {
        let proof = self.proof.as_ref().and_then(Proof::secret);
        Mask::new(self.secrets.values().chain(proof))
    }

    /// Returns whether it went over a connection, to the system that the connection is for.
    pub(super) fn is_proven(&self) -> bool {
        self.proof.as_ref().is_some_and(|proof| proof.is_for(&self.url))
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
        // What may not be revealed was refused, or dropped at the hop that led here.
        let headers = self.revealed_headers().unwrap_or_default();
        let url = self.proof.as_ref().map_or_else(|| self.url.clone(), |it| it.shown_in(&self.url));
        let request = client.request(self.method.clone(), url).headers(headers);
        match &self.body {
            Some(body) => request.body(body.clone()).send().await,
            None => request.send().await,
        }
    }
}

/// Why a header could not be made.
#[derive(Debug)]
enum Unrevealed {
    NotBound(NotBound),
    NoHeader,
}

impl Request {
    /// Returns the headers with the secrets in them, for the host of the address.
    fn revealed_headers(&self) -> Result<HeaderMap, Unrevealed> {
        let host = self.url.host_str().unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name, self.revealed(value, host)?);
        }
        if let Some(auth) = &self.auth {
            let reveal = |text: &str| self.secrets.reveal(text, host).map_err(Unrevealed::NotBound);
            let text = match auth {
                Auth::Bearer(token) => format!("Bearer {}", reveal(token)?.expose()),
                Auth::Basic { username, password } => {
                    let (username, password) = (reveal(username)?, reveal(password)?);
                    let joined = format!("{}:{}", username.expose(), password.expose());
                    format!("Basic {}", STANDARD.encode(joined))
                }
            };
            let mut value = HeaderValue::from_str(&text).map_err(|_| Unrevealed::NoHeader)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if let Some(proof) = &self.proof {
            proof.show(&self.url, &mut headers).ok_or(Unrevealed::NoHeader)?;
        }
        Ok(headers)
    }

    fn revealed(&self, value: &HeaderValue, host: &str) -> Result<HeaderValue, Unrevealed> {
        let Ok(text) = std::str::from_utf8(value.as_bytes()) else { return Ok(value.clone()) };
        let revealed = self.secrets.reveal(text, host).map_err(Unrevealed::NotBound)?;
        if revealed.expose() == text {
            return Ok(value.clone());
        }
        let revealed = HeaderValue::from_str(revealed.expose());
        let mut revealed = revealed.map_err(|_| Unrevealed::NoHeader)?;
        revealed.set_sensitive(true);
        Ok(revealed)
    }

    /// Leaves out every header that holds a secret, even one that is bound to where it would go: a
    /// redirect is the other side's choice, not the definition's.
    fn drop_revealed(&mut self) {
        let host = self.url.host_str().unwrap_or_default().to_owned();
        let is_plain = |value: &HeaderValue| {
            self.revealed(value, &host).is_ok_and(|revealed| revealed == value)
        };
        let holding: Vec<HeaderName> = self
            .headers
            .iter()
            .filter(|(_, value)| !is_plain(value))
            .map(|(name, _)| name.clone())
            .collect();
        for name in holding {
            self.headers.remove(name);
        }
    }
}

impl Auth {
    fn read(given: Option<&Value>) -> Option<Auth> {
        let given = given?;
        let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
        if let Some(token) = text("bearer") {
            return Some(Auth::Bearer(token));
        }
        let username = text("username")?;
        Some(Auth::Basic { username, password: text("password").unwrap_or_default() })
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
        next.drop_revealed();
        next.auth = None;
        for name in std::mem::take(&mut next.added) {
            next.headers.remove(name);
        }
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

/// Adds the headers that a connection has for all of its calls, unless the step gives its own.
fn add_defaults(headers: &mut HeaderMap, call: &OutsideCall) -> Result<Vec<HeaderName>, Failure> {
    let settings = call.connection.as_ref().map(|connection| &connection.settings);
    let defaults = read_headers(settings.and_then(|settings| settings.get("headers")))?;
    let mut added = Vec::new();
    for (name, value) in defaults {
        let Some(name) = name.filter(|name| !headers.contains_key(name)) else { continue };
        headers.insert(name.clone(), value);
        added.push(name);
    }
    Ok(added)
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
