//! Asks a GraphQL endpoint. An answer with errors is a failure, with the places that they name.
//!
//! Source: <https://spec.graphql.org/October2021/#sec-Response-Format>.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Value, json};

use super::api::{input_schema, output_schema};
use super::connection::refuse_credentials;
use super::http_request::{HttpRequest, named_connection, over_connection};
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::{Failure, FailureClass};
use crate::domain::workflow::Retry;

/// Statuses under which servers answer in the form of GraphQL.
pub(super) const STATUSES: &[u16] = &[200, 400, 422];
const ERRORS_MAX: usize = 20;
/// Codes of errors that may pass.
const PASSING: [&str; 5] =
    ["RATELIMITED", "RATE_LIMITED", "THROTTLED", "SERVICE_UNAVAILABLE", "TIMEOUT"];
/// Codes of errors that are about whoever asks.
const UNAUTHENTICATED: [&str; 3] = ["UNAUTHENTICATED", "AUTHENTICATION_ERROR", "UNAUTHORIZED"];

/// Asks a GraphQL endpoint.
pub(in crate::activities) struct GraphQl(HttpRequest);

impl GraphQl {
    pub(in crate::activities) fn new(http: &HttpRequest) -> GraphQl {
        GraphQl(http.clone())
    }
}

impl OutsideActivity for GraphQl {
    fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: "http.graphql".to_owned(),
            name: "GraphQL request".to_owned(),
            version: 1,
            category: "http".to_owned(),
            source: "platform".to_owned(),
            description: "Asks a GraphQL endpoint, at an address or over a connection of the app \
                          `http`. An answer with `errors` fails the step and names their paths, \
                          also where it holds a part of the data, unless `allowPartial` takes it."
                .to_owned(),
            input_schema: fields(),
            output_schema: output_schema(
                json!({
                    "data": { "description": "What was asked for" },
                    "errors": { "type": "array", "description": "What of it failed, if any" },
                    "partial": { "type": "boolean", "description": "Whether something failed" },
                }),
                &["data", "partial"],
            ),
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
        let proof = match over_connection(&mut call) {
            Ok(proof) => proof,
            Err(failure) => return ready(Err(failure)).boxed(),
        };
        let takes_part = call.input["allowPartial"] == true;
        let mut input = json!({
            "method": "POST",
            "url": call.input["url"],
            "headers": { "accept": "application/graphql-response+json, application/json" },
            "body": document(&call.input),
            "expectStatus": STATUSES,
        });
        for name in ["auth", "headers"] {
            if let Some(given) = call.input.get(name).filter(|given| !given.is_null()) {
                input[name] = given.clone();
            }
        }
        let asked = self.0.send(OutsideCall { input, ..call }, proof);
        async move { judged(&asked.await?, takes_part) }.boxed()
    }
}

/// Returns what is sent.
fn document(input: &Value) -> Value {
    let mut body = json!({ "query": input["query"] });
    for name in ["variables", "operationName"] {
        if !input[name].is_null() {
            body[name] = input[name].clone();
        }
    }
    body
}

/// Returns the output for an answer, or the failure that it is.
pub(super) fn judged(answer: &Value, takes_part: bool) -> Result<Value, Failure> {
    let body = &answer["body"];
    let errors = body["errors"].as_array().filter(|errors| !errors.is_empty());
    let has_data = body.get("data").is_some_and(|data| !data.is_null());
    match errors {
        None if body.get("data").is_some() => {
            Ok(json!({ "data": body["data"], "errors": [], "partial": false }))
        }
        None => {
            let message = "the other side answers unlike GraphQL; look at the address";
            let details = json!({ "status": answer["status"] });
            Err(Failure::terminal("invalid_answer", message).with_details(details))
        }
        Some(errors) if takes_part && has_data => {
            Ok(json!({ "data": body["data"], "errors": errors, "partial": true }))
        }
        Some(errors) => Err(refusal(errors, has_data, answer)),
    }
}

fn refusal(errors: &[Value], has_data: bool, answer: &Value) -> Failure {
    let codes = || errors.iter().filter_map(|error| error["extensions"]["code"].as_str());
    let is_passing = codes().any(|code| PASSING.contains(&code));
    let class = if is_passing { FailureClass::Retryable } else { FailureClass::Terminal };
    let told: Vec<String> = errors.iter().take(ERRORS_MAX).map(sentence).collect();
    let part = if has_data { "; a part of the data came all the same" } else { "" };
    let message = format!("{}{part}", told.join("; "));
    let kept: Vec<Value> = errors.iter().take(ERRORS_MAX).map(kept).collect();
    let details = json!({ "errors": kept, "partial": has_data, "status": answer["status"] });
    let mut failure = Failure::new(class, "graphql_errors", message).with_details(details);
    if codes().any(|code| UNAUTHENTICATED.contains(&code)) {
        refuse_credentials(&mut failure);
    }
    let pause = answer["headers"]["retry-after"].as_str().and_then(|text| text.parse().ok());
    match pause {
        Some(seconds) if is_passing => failure.with_retry_after(Duration::from_secs(seconds)),
        Some(_) | None => failure,
    }
}

/// Tells one error: where, and what.
fn sentence(error: &Value) -> String {
    let message: String =
        error["message"].as_str().unwrap_or("no reason").chars().take(300).collect();
    let path: Vec<String> = error["path"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned))
        .collect();
    if path.is_empty() { message } else { format!("{}: {message}", path.join(".")) }
}

fn kept(error: &Value) -> Value {
    json!({
        "message": error["message"], "path": error["path"], "code": error["extensions"]["code"],
    })
}

fn fields() -> Value {
    let scalar = json!({ "type": ["string", "number", "boolean", "null"] });
    let mut schema = input_schema(
        json!({
            "url": { "type": "string", "minLength": 1,
                "description": "Of http or https; over a connection, a path below its base" },
            "query": { "type": "string", "minLength": 1, "description": "The document" },
            "variables": { "type": ["object", "null"], "description": "Its variables" },
            "operationName": { "type": ["string", "null"],
                "description": "Which of its operations is meant" },
            "allowPartial": { "type": ["boolean", "null"],
                "description": "Whether an answer with errors and data is a success" },
            "headers": { "type": ["object", "null"], "additionalProperties": scalar,
                "x-secret": true, "description": "Headers to send" },
            "auth": { "type": ["object", "null"], "x-secret": true,
                "properties": {
                    "bearer": { "type": "string" },
                    "username": { "type": "string" }, "password": { "type": "string" },
                },
                "additionalProperties": false, "description": "Who asks" },
        }),
        &["query"],
    );
    schema["anyOf"] = json!([{ "required": ["url"] }, { "required": ["connection"] }]);
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: Value) -> Value {
        json!({ "status": 200, "headers": { "retry-after": "9" }, "body": body })
    }

    #[test]
    fn errors_are_a_failure_with_their_path() {
        let error = json!({ "message": "not found", "path": ["items", 0, "name"] });
        let body = json!({ "data": { "items": [null] }, "errors": [error] });
        let failure = judged(&answer(body.clone()), false).unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.class),
            ("graphql_errors", FailureClass::Terminal)
        );
        assert!(failure.message.starts_with("items.0.name: not found"), "{}", failure.message);
        assert_eq!(failure.details["partial"], true);
        let output = judged(&answer(body), true).unwrap();
        assert_eq!((&output["partial"], &output["data"]["items"]), (&json!(true), &json!([null])));
    }

    #[test]
    fn what_may_pass_is_asked_again_and_who_is_not_believed_is_told() {
        let error = |code: &str| json!({ "message": "no", "extensions": { "code": code } });
        let limited = judged(&answer(json!({ "errors": [error("RATELIMITED")] })), true);
        let limited = limited.unwrap_err();
        assert_eq!(limited.class, FailureClass::Retryable);
        assert_eq!(limited.retry_after.map(|pause| pause.as_secs()), Some(9));
        let stranger = judged(&answer(json!({ "errors": [error("AUTHENTICATION_ERROR")] })), true);
        assert_eq!(stranger.unwrap_err().details["code"], "unauthorized");
        assert_eq!(judged(&answer(json!("<html>")), true).unwrap_err().code, "invalid_answer");
    }
}
