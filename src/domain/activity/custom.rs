//! An activity that a tenant brought, as data: by an app, a description of an API, or a worker.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ActivitySpec, Compensation, Reach, Throttle};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Retry;

/// One version of an activity that is not built in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomActivity {
    /// The name that steps use; unique in the tenant.
    pub identifier: String,
    /// A short name that stands for it where no other activity has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Counts from 1; a step may pin it, and it never changes.
    pub version: u32,
    /// The name for people.
    pub name: String,
    /// Groups activities in lists.
    pub category: String,
    /// Who offers it, for people.
    pub source: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of the rendered input.
    pub input_schema: Value,
    /// JSON Schema of the output.
    pub output_schema: Value,
    /// What the caller must be allowed to do.
    pub scopes: Vec<String>,
    /// How it is undone.
    pub compensation: Compensation,
    /// How long an attempt may take unless the step says otherwise, in milliseconds.
    pub timeout_ms: u64,
    /// How often it is tried unless the step says otherwise.
    pub retry: Retry,
    /// How often it may be called.
    pub throttle: Option<CustomThrottle>,
    /// How it is carried out.
    pub carrier: Carrier,
    /// Whose it is: it ends with its owner.
    pub owner: Owner,
    /// Since when it is offered: runs that began earlier keep the version before.
    pub offered_at: Timestamp,
    /// Why it is no longer offered, if it is not.
    pub ended: Option<Ended>,
}

/// Whose an activity is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", content = "id", rename_all = "camelCase")]
pub enum Owner {
    /// An app, by its uid.
    App(String),
    /// A description of an API that was imported, by its name.
    Import(String),
    /// A worker that registered it, by its name.
    Worker(String),
}

/// Why an activity is no longer offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Ended {
    /// Its owner is not installed: a call fails for good.
    NotInstalled,
    /// Its owner was not granted what it needs: a call fails for good.
    NotGranted,
    /// Its owner does not offer it any more; what was written before still calls it.
    Retired,
}

/// At most `limit` calls in each window of `window_ms` milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CustomThrottle {
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is.
    pub window_ms: u64,
    /// What is counted together.
    pub key: ThrottleKey,
}

/// What a throttle counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ThrottleKey {
    /// The calls of this activity.
    Activity,
    /// Everything that the tenant calls.
    Tenant,
}

impl ThrottleKey {
    /// Returns the word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            ThrottleKey::Activity => "activity",
            ThrottleKey::Tenant => "tenant",
        }
    }
}

/// How an activity that is data is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "camelCase")]
pub enum Carrier {
    /// One HTTP call.
    Http(HttpOperation),
    /// A worker that asks for the work of a queue.
    Worker {
        /// The name of the queue.
        queue: String,
    },
}

/// An HTTP call with holes: texts may hold `{{ input.… }}`, `{{ settings.… }}` and `{{ run.… }}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpOperation {
    /// The method, in capitals.
    pub method: String,
    /// The address; texts of the input are percent-encoded in it.
    pub url: String,
    /// Added to the address; a value of null is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Value>,
    /// Headers to send; a value of null is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Value>,
    /// What is sent beside them.
    pub sends: Sends,
    /// Whose settings and secrets the texts see.
    pub account: Account,
    /// What of the answer is the output.
    pub output: Output,
}

/// What an HTTP call sends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", content = "template", rename_all = "camelCase")]
pub enum Sends {
    /// Nothing.
    Nothing,
    /// The input as a body of JSON.
    Input,
    /// The fields of the input in the query of the address.
    InputInQuery,
    /// What this gives; a text is sent as it is, anything else as JSON.
    Body(Value),
}

/// What of an answer is the output of the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Output {
    /// The body.
    Body,
    /// `{status, headers, body, durationMs}`.
    Answer,
}

/// Whose settings and secrets a call uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", content = "name", rename_all = "camelCase")]
pub enum Account {
    /// Nobody's.
    Nobody,
    /// Those of a connection, by its name; the installation of an app is one.
    Connection(String),
}

impl CustomActivity {
    /// Returns what it says of itself.
    #[must_use]
    pub fn spec(&self) -> ActivitySpec {
        ActivitySpec {
            identifier: self.identifier.clone(),
            name: self.name.clone(),
            version: self.version,
            category: self.category.clone(),
            source: self.source.clone(),
            description: self.description.clone(),
            input_schema: self.input_schema.clone(),
            output_schema: self.output_schema.clone(),
            reach: Reach::Outside,
            compensation: self.compensation,
            scopes: self.scopes.clone(),
            timeout: Duration::from_millis(self.timeout_ms),
            retry: self.retry.clone(),
            throttle: self.throttle.as_ref().map(|throttle| Throttle {
                limit: throttle.limit,
                window: Duration::from_millis(throttle.window_ms),
                key: throttle.key.word(),
            }),
        }
    }

    /// Returns whether new definitions may name it.
    #[must_use]
    pub fn is_offered(&self) -> bool {
        self.ended.is_none()
    }
}
