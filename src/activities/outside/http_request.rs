//! Calls any HTTP endpoint. It happens at least once, with a key that stays the same.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::egress::Egress;
use super::proof::{Proof, place};
use super::request::{Request, next_hop};
use crate::activities::settings::EgressSettings;
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::Failure;
use crate::domain::workflow::Retry;

/// Calls any HTTP endpoint.
#[derive(Clone)]
pub(in crate::activities) struct HttpRequest(Arc<Caller>);

struct Caller {
    egress: Egress,
    settings: EgressSettings,
    /// Made at the first call, when the cryptography is surely set up.
    client: OnceLock<Client>,
}

impl HttpRequest {
    pub(in crate::activities) fn new(settings: &EgressSettings) -> HttpRequest {
        let (egress, settings) = (Egress::new(settings), settings.clone());
        HttpRequest(Arc::new(Caller { egress, settings, client: OnceLock::new() }))
    }
}

impl OutsideActivity for HttpRequest {
    fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: "workflows:http-request-platform".to_owned(),
            name: "HTTP request".to_owned(),
            version: 1,
            category: "workflows".to_owned(),
            source: "platform".to_owned(),
            description: "Calls an HTTP endpoint with an Idempotency-Key that stays the same \
                          through every retry. A status other than 2xx, or than those in \
                          expectStatus, fails the step; 408, 425, 429 and 5xx are tried again. \
                          Over a connection of the app `http`, a path is enough, and the \
                          connection says who asks."
                .to_owned(),
            input_schema: input_schema(),
            output_schema: output_schema(),
            reach: Reach::Outside,
            compensation: Compensation::Manual,
            scopes: vec!["http:write".to_owned()],
            timeout: Duration::from_secs(30),
            retry: Retry::DEFAULT,
            throttle: None,
        }
    }

    fn app_for(&self, input: &Value) -> Option<&'static str> {
        named_connection(input).then_some("http")
    }

    fn call(&self, mut call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        match over_connection(&mut call) {
            Ok(proof) => self.send(call, proof),
            Err(failure) => ready(Err(failure)).boxed(),
        }
    }
}

/// What is done when an answer leads elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Redirects {
    Followed,
    /// It is a refusal: the request holds what is meant for its first address alone.
    Refused,
}

impl HttpRequest {
    /// Calls an endpoint as the activity does, but is not led elsewhere.
    pub(super) fn call_there(
        &self,
        call: OutsideCall,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        let caller = Arc::clone(&self.0);
        async move { caller.call(&call, None, Redirects::Refused).await }.boxed()
    }
}

impl HttpRequest {
    /// Makes a call that a step describes as this activity's input does, and proves who asks.
    pub(super) fn send(
        &self,
        call: OutsideCall,
        proof: Option<Proof>,
    ) -> BoxFuture<'static, Result<Value, Failure>> {
        let caller = Arc::clone(&self.0);
        async move { caller.call(&call, proof, Redirects::Followed).await }.boxed()
    }
}

/// Returns whether the input of a step names a connection.
pub(super) fn named_connection(input: &Value) -> bool {
    input.get("connection").is_some_and(|name| !name.is_null())
}

/// Completes a call over a connection: the address that its path leads to, and who asks.
///
/// # Errors
/// Fails for good when the connection lacks something, or the address is another system's.
pub(super) fn over_connection(call: &mut OutsideCall) -> Result<Option<Proof>, Failure> {
    let given = |name: &str| call.input.get(name).and_then(Value::as_str);
    let path = given("url").or_else(|| given("path")).unwrap_or_default().to_owned();
    let Some(connection) = &call.connection else {
        if call.input.get("url").is_none_or(Value::is_null) {
            let message = "a path alone needs the connection that it belongs to";
            return Err(Failure::terminal("connection_missing", message));
        }
        return Ok(None);
    };
    let base = connection.base(None)?;
    let url = place(&base, &path)?;
    let proof = Proof::of(connection, &base)?;
    if let Some(input) = call.input.as_object_mut() {
        input.insert("url".to_owned(), Value::String(url.into()));
    }
    Ok(Some(proof))
}

impl Caller {
    async fn call(
        &self,
        call: &OutsideCall,
        proof: Option<Proof>,
        redirects: Redirects,
    ) -> Result<Value, Failure> {
        let begun = Instant::now();
        let wanted = call.input.get("timeoutMs").and_then(Value::as_u64);
        let limit = wanted.map_or(call.timeout, |ms| call.timeout.min(Duration::from_millis(ms)));
        let deadline = begun + limit;
        let mut request = Request::read(call, &self.egress, proof)?;
        let mut hops = 0;
        loop {
            let response = self.send(&request, deadline, limit).await?;
            let next = match response.status() {
                status if request.expects(status.as_u16()) => None,
                _ if redirects == Redirects::Refused => None, // Judged as it is.
                _ => next_hop(&request, &response, &self.egress)?, // None unless it redirects.
            };
            let Some(next) = next else {
                let bytes_max = self.settings.response_bytes_max;
                let answer = answer::read(response, deadline, bytes_max).await?;
                return answer.judged(&request, begun.elapsed());
            };
            hops += 1;
            if hops > self.settings.redirects_max {
                let message = format!("more than {} redirects", self.settings.redirects_max);
                return Err(Failure::terminal("too_many_redirects", message));
            }
            request = next;
        }
    }

    async fn send(
        &self,
        request: &Request,
        deadline: Instant,
        limit: Duration,
    ) -> Result<reqwest::Response, Failure> {
        let first_byte = Duration::from_millis(self.settings.first_byte_timeout_ms);
        let until = deadline.min(Instant::now() + first_byte);
        match timeout_at(until, request.send(self.client()?)).await {
            Ok(sent) => sent.map_err(|error| answer::broken(&error)),
            Err(_) => {
                let waited = limit.min(first_byte).as_millis();
                Err(Failure::in_doubt("timeout", format!("no answer began within {waited} ms")))
            }
        }
    }

    fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let connect_timeout = Duration::from_millis(self.settings.connect_timeout_ms);
        let client = self.egress.client(connect_timeout).map_err(|error| {
            Failure::retryable("client_unavailable", format!("cannot set up a client: {error}"))
        })?;
        Ok(self.client.get_or_init(|| client))
    }
}

fn input_schema() -> Value {
    let scalar = json!({ "type": ["string", "number", "boolean", "null"] });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "method": {
                "enum": ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
                "description": "GET unless told",
            },
            "url": {
                "type": "string", "minLength": 1,
                "description": "Of http or https; over a connection, a path below its base",
            },
            "path": { "type": "string", "description": "Over a connection: below its base" },
            "connection": {
                "type": ["string", "null"],
                "description": "A connection of the app `http`: its base, headers and secrets",
            },
            "headers": {
                "type": ["object", "null"], "additionalProperties": scalar, "x-secret": true,
                "description": "Headers to send; null leaves one out",
            },
            "auth": {
                "type": ["object", "null"], "x-secret": true,
                "properties": {
                    "bearer": { "type": "string" },
                    "username": { "type": "string" },
                    "password": { "type": "string" },
                },
                "additionalProperties": false,
                "description": "Who asks: a bearer token, or a username and a password",
            },
            "query": {
                "type": ["object", "null"],
                "additionalProperties": {
                    "type": ["string", "number", "boolean", "null", "array"], "items": scalar,
                },
                "description": "Added to the URL's own query; a list repeats its name",
            },
            "body": { "description": "A text is sent as it is, anything else as JSON" },
            "timeoutMs": {
                "type": ["integer", "null"], "minimum": 1,
                "description": "How long the call may take; the step's timeout is above it",
            },
            "expectStatus": {
                "type": ["integer", "array", "null"], "items": { "type": "integer" },
                "description": "The statuses that are a success; 2xx unless told",
            },
        },
        "anyOf": [{ "required": ["url"] }, { "required": ["connection"] }],
        "additionalProperties": false,
    })
}

fn output_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "status": { "type": "integer", "description": "The HTTP status" },
            "headers": { "type": "object", "description": "Headers by name in lower case" },
            "body": { "description": "Parsed where it is JSON, a text otherwise" },
            "durationMs": { "type": "integer", "description": "How long the call took" },
        },
        "required": ["status", "headers", "body", "durationMs"],
    })
}
