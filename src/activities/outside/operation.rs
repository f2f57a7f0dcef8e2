//! Carries out an HTTP call that is data: fills in its holes from the input and from the settings
//! of a connection, and makes it. What is filled in is never written down.

use std::fmt::Write as _;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use super::http_request::HttpRequest;
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::ActivitySpec;
use crate::domain::activity::custom::{Account, CustomActivity, HttpOperation, Output, Sends};
use crate::domain::expression::Template;
use crate::domain::problem::Problem;
use crate::domain::run::Failure;
use crate::domain::scope::Scope;
use crate::domain::secret::{BoundSecret, BoundSecrets};

/// An activity whose HTTP call is data.
pub(in crate::activities) struct Operation {
    activity: Arc<CustomActivity>,
    operation: HttpOperation,
    http: HttpRequest,
}

impl Operation {
    pub(in crate::activities) fn new(
        activity: &Arc<CustomActivity>,
        operation: &HttpOperation,
        http: &HttpRequest,
    ) -> Operation {
        Operation {
            activity: Arc::clone(activity),
            operation: operation.clone(),
            http: http.clone(),
        }
    }
}

impl OutsideActivity for Operation {
    fn spec(&self) -> ActivitySpec {
        self.activity.spec()
    }

    fn account(&self) -> Account {
        self.operation.account.clone()
    }

    fn address(&self) -> Option<&str> {
        Some(&self.operation.url)
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let filled = match filled(&self.operation, &call) {
            Ok(filled) => filled,
            Err(failure) => return ready(Err(failure)).boxed(),
        };
        let (asked, output) = (self.http.call_there(filled), self.operation.output);
        async move {
            let mut answer = asked.await?;
            Ok(match output {
                Output::Answer => answer,
                Output::Body => answer["body"].take(),
            })
        }
        .boxed()
    }
}

/// Returns the call with everything in its place; its secrets are known so that they are masked,
/// and bound to no host, for nothing is left to be revealed.
fn filled(operation: &HttpOperation, call: &OutsideCall) -> Result<OutsideCall, Failure> {
    let scope = scope_of(call, call.input.clone());
    let render = |template: &Value, at: &str| {
        let template = Template::parse(template, at).map_err(|problems| broken(&problems))?;
        template.render(&scope).map_err(|error| broken(&[Problem::from(error)]))
    };
    let url = Template::parse(&json!(operation.url), "/url").map_err(|all| broken(&all))?;
    let encoded = scope_of(call, percent_encoded(call.input.clone()));
    let url = url.render_text(&encoded).map_err(|error| broken(&[Problem::from(error)]))?;
    let mut query = render(&json!(operation.query), "/query")?;
    let mut input = json!({
        "method": operation.method,
        "url": url,
        "headers": render(&json!(operation.headers), "/headers")?,
    });
    match &operation.sends {
        Sends::Nothing => {}
        Sends::Input => input["body"] = call.input.clone(),
        Sends::InputInQuery => {
            for (name, value) in call.input.as_object().into_iter().flatten() {
                query[name.as_str()] = value.clone();
            }
        }
        Sends::Body(template) => input["body"] = render(template, "/body")?,
    }
    input["query"] = query;
    let connected = call.connection.iter().flat_map(|connection| &connection.secrets);
    let known = connected.map(|(name, value)| BoundSecret {
        name: format!("account:{name}"),
        value: value.clone(),
        hosts: Vec::new(),
    });
    Ok(OutsideCall {
        input,
        idempotency_key: call.idempotency_key.clone(),
        timeout: call.timeout,
        secrets: BoundSecrets::new(known.collect()),
        connection: None,
        traceparent: call.traceparent.clone(),
    })
}

/// Shows `input`, the settings with the secrets among them, and what names the call.
fn scope_of(call: &OutsideCall, input: Value) -> Scope {
    let mut settings: Map<String, Value> = Map::new();
    if let Some(connection) = &call.connection {
        settings.extend(connection.settings.clone());
        let secrets = connection.secrets.iter();
        settings.extend(secrets.map(|(name, value)| (name.clone(), json!(value.expose()))));
    }
    let mut scope = Scope::of_event(Value::Null);
    scope.set("input", input);
    // Thena's manifests speak of the configuration and of its two lists.
    let both = json!({ "required_settings": settings, "optional_settings": settings });
    let mut configuration = both.as_object().cloned().unwrap_or_default();
    configuration.extend(settings.clone());
    scope.set("configuration", Value::Object(configuration));
    scope.set("settings", Value::Object(settings));
    scope.set("run", json!({ "idempotencyKey": call.idempotency_key }));
    scope
}

fn broken(problems: &[Problem]) -> Failure {
    let told: Vec<String> =
        problems.iter().map(|problem| format!("{}: {}", problem.pointer, problem.detail)).collect();
    let message = format!("the call cannot be filled in: {}", told.join("; "));
    Failure::terminal("operation_incomplete", message)
}

/// Encodes everything but what RFC 3986, section 2.3, leaves alone, so that no input changes where
/// a call goes.
fn percent_encoded(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let mut encoded = String::with_capacity(text.len());
            for byte in text.bytes() {
                match byte {
                    b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                        encoded.push(char::from(byte));
                    }
                    other => write!(encoded, "%{other:02X}").expect("a text takes every text"),
                }
            }
            Value::String(encoded)
        }
        Value::Array(items) => items.into_iter().map(percent_encoded).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, percent_encoded(value)));
            Value::Object(fields.collect())
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::activities::outside::connection::Connection;
    use crate::domain::secret::Secret;

    fn operation() -> HttpOperation {
        let headers = [("x-api-key", "{{ settings.apiKey }}"), ("x-region", "{{settings.region}}")];
        HttpOperation {
            method: "POST".to_owned(),
            url: "{{ settings.base }}/items/{{ input.id }}".to_owned(),
            query: BTreeMap::new(),
            headers: headers.map(|(name, text)| (name.to_owned(), json!(text))).into(),
            sends: Sends::Body(
                json!({ "key": "{{ configuration.apiKey }}", "all": "{{ input }}" }),
            ),
            account: Account::Connection("A".to_owned()),
            output: Output::Body,
        }
    }

    fn call(input: Value) -> OutsideCall {
        let settings = json!({ "base": "https://app.test", "region": "eu" });
        OutsideCall {
            input,
            idempotency_key: "run/step".to_owned(),
            timeout: Duration::from_secs(1),
            traceparent: None,
            secrets: BoundSecrets::default(),
            connection: Some(Connection {
                name: "A".to_owned(),
                settings: settings.as_object().cloned().unwrap(),
                secrets: [("apiKey".to_owned(), Secret::new("k3y-value"))].into(),
            }),
        }
    }

    #[test]
    fn holes_are_filled_from_input_and_settings() {
        let filled = filled(&operation(), &call(json!({ "id": "a/../b?c" }))).expect("it fits");
        assert_eq!(filled.input["url"], "https://app.test/items/a%2F..%2Fb%3Fc");
        assert_eq!(filled.input["headers"], json!({ "x-api-key": "k3y-value", "x-region": "eu" }));
        let body = json!({ "key": "k3y-value", "all": { "id": "a/../b?c" } });
        assert_eq!(filled.input["body"], body);
        assert_eq!(filled.mask().text("it is k3y-value"), "it is ***");
    }

    #[test]
    fn a_hole_that_nothing_fills_fails_for_good() {
        let failure = filled(&operation(), &call(json!({}))).unwrap_err();
        assert_eq!(failure.code, "operation_incomplete");
        assert!(failure.message.contains("/url"), "{}", failure.message);
    }

    #[test]
    fn an_input_can_go_into_the_query() {
        let operation = HttpOperation { sends: Sends::InputInQuery, ..operation() };
        let filled = filled(&operation, &call(json!({ "id": "7", "q": "x y" }))).expect("it fits");
        assert_eq!(filled.input["query"], json!({ "id": "7", "q": "x y" }));
        assert!(filled.input.get("body").is_none());
    }
}
