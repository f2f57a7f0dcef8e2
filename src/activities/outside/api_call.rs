//! Calls an operation of an API whose description was imported.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Map, Value, json};

use super::connection::Connection;
use super::http_request::HttpRequest;
use crate::activities::checked::{Check, invalid};
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::ActivitySpec;
use crate::domain::activity::custom::{Account, Answers, ApiOperation, CustomActivity};
use crate::domain::openapi::{Credential, assemble};
use crate::domain::run::Failure;
use crate::domain::secret::{BoundSecret, BoundSecrets, Secret};

/// The app of the connections whose credentials are sent.
const APP: &str = "http";

/// An operation of an API.
pub(in crate::activities) struct ApiCall {
    activity: Arc<CustomActivity>,
    api: ApiOperation,
    http: HttpRequest,
    input: Check,
    output: Arc<Check>,
}

impl ApiCall {
    pub(in crate::activities) fn new(
        activity: &Arc<CustomActivity>,
        api: &ApiOperation,
        http: &HttpRequest,
    ) -> ApiCall {
        let (input, output) = Default::default();
        let (activity, http) = (Arc::clone(activity), http.clone());
        ApiCall { activity, api: api.clone(), http, input, output }
    }

    fn filled(&self, call: &OutsideCall) -> Result<OutsideCall, Failure> {
        let problems = self.input.problems(&self.activity.input_schema, &call.input);
        if !problems.is_empty() {
            return Err(invalid("invalid_input", &problems));
        }
        let operation = &self.api.operation;
        let made = assemble(operation, &self.api.base_url, &call.input)
            .map_err(|problem| invalid("invalid_input", &[problem]))?;
        let mut headers: Map<String, Value> = Map::new();
        headers.insert("accept".to_owned(), json!("application/json"));
        headers.extend(made.headers.into_iter().map(|(name, text)| (name, json!(text))));
        let mut input = json!({ "method": operation.method, "url": made.url.as_str() });
        if let Some((media, body)) = made.body {
            headers.insert("content-type".to_owned(), json!(media));
            input["body"] = json!(body);
        }
        let mut query = Map::new();
        if !operation.credentials.is_empty() {
            let connection = call.connection()?;
            self.check_origin(connection)?;
            for credential in &operation.credentials {
                show(credential, connection, &mut headers, &mut query)?;
            }
        }
        input["headers"] = Value::Object(headers);
        input["query"] = Value::Object(query);
        let connected = call.connection.iter().flat_map(|connection| &connection.secrets);
        let known = connected.map(|(name, value)| BoundSecret {
            name: format!("connection:{name}"),
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

    /// Whoever imports a description must not lead the secrets of a connection to another host.
    fn check_origin(&self, connection: &Connection) -> Result<(), Failure> {
        let theirs = connection.setting("baseUrl").and_then(|text| url::Url::parse(text).ok());
        let ours = self.api.base_url.origin();
        if theirs.is_some_and(|theirs| theirs.origin() == ours) {
            return Ok(());
        }
        let (name, ours) = (&connection.name, ours.ascii_serialization());
        let message = format!(
            "the connection `{name}` is not one to {ours}; its `settings.baseUrl` must begin so"
        );
        Err(Failure::terminal("connection_other_host", message))
    }
}

impl OutsideActivity for ApiCall {
    fn spec(&self) -> ActivitySpec {
        self.activity.spec()
    }

    fn app(&self) -> Option<&'static str> {
        (!self.api.operation.credentials.is_empty()).then_some(APP)
    }

    fn account(&self) -> Account {
        match &self.api.connection {
            Some(name) if self.app().is_some() => Account::Connection(name.clone()),
            _ => Account::Nobody, // The input may name one of the app's.
        }
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let filled = match self.filled(&call) {
            Ok(filled) => filled,
            Err(failure) => return ready(Err(failure)).boxed(),
        };
        let asked = self.http.call_there(filled);
        let (check, answers) = (Arc::clone(&self.output), self.api.answers);
        let activity = Arc::clone(&self.activity);
        async move {
            let mut answer = asked.await?;
            let mut output = json!({ "status": answer["status"], "body": answer["body"].take() });
            let problems = check.problems(&activity.output_schema, &output);
            match (problems.as_slice(), answers) {
                ([], _) => {}
                (problems, Answers::Strict) => return Err(invalid("invalid_output", problems)),
                (problems, Answers::Lenient) => output["mismatches"] = json!(problems),
            }
            Ok(output)
        }
        .boxed()
    }
}

/// Puts a credential of the connection where the description wants it.
fn show(
    credential: &Credential,
    connection: &Connection,
    headers: &mut Map<String, Value>,
    query: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let secret = |name: &str| connection.needed_secret(name).map(Secret::expose);
    let bearer = || match connection.secrets.get("accessToken") {
        Some(token) => Ok(format!("Bearer {}", token.expose())),
        None => secret("token").map(|token| format!("Bearer {token}")),
    };
    match credential {
        Credential::HeaderKey { name } => {
            headers.insert(name.clone(), json!(secret("apiKey")?));
        }
        Credential::QueryKey { name } => {
            query.insert(name.clone(), json!(secret("apiKey")?));
        }
        Credential::Basic => {
            let name = match connection.setting("username") {
                Some(name) => name,
                None => secret("username")?,
            };
            let both = STANDARD.encode(format!("{name}:{}", secret("password")?));
            headers.insert("authorization".to_owned(), json!(format!("Basic {both}")));
        }
        // The token of a client is kept in the connection while it is valid.
        Credential::Bearer | Credential::ClientCredentials { .. } => {
            headers.insert("authorization".to_owned(), json!(bearer()?));
        }
    }
    Ok(())
}
