//! Activities on the platform's own records: each is what it says of itself and one function.

pub(super) mod accounts;
pub(super) mod comments;
pub(super) mod contacts;
mod input;
pub(super) mod publish_event;
mod schema;
pub(super) mod sleep;
pub(super) mod teams;
pub(super) mod threads;
pub(super) mod ticket_verbs;
pub(super) mod tickets;
pub(super) mod transform;
pub(super) mod users;
pub(super) mod waits;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::desk::Desk;
use super::{Caller, Done, PlatformActivity};
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::run::Failure;
use crate::domain::workflow::Retry;
use crate::store::tenant::TenantTx;

/// An activity on the desk's records.
#[derive(Clone, Copy)]
pub(super) struct OnDesk {
    spec: fn() -> ActivitySpec,
    run: fn(&mut Desk<'_, '_, '_>, &Map<String, Value>) -> Result<Value, Failure>,
}

impl PlatformActivity for OnDesk {
    fn spec(&self) -> ActivitySpec {
        (self.spec)()
    }

    fn run(
        &self,
        tx: &mut TenantTx<'_, '_>,
        caller: &Caller,
        input: &Value,
    ) -> Result<Done, Failure> {
        let input = input.as_object().cloned().unwrap_or_default();
        let mut desk = Desk::new(tx, caller);
        let output = (self.run)(&mut desk, &input)?;
        Ok(desk.done(output))
    }
}

/// Returns what platform activities have in common; the category is the identifier's first word.
fn described(identifier: &str, name: &str, description: &str) -> ActivitySpec {
    let category = identifier.split(':').next().unwrap_or_default();
    ActivitySpec {
        identifier: identifier.to_owned(),
        name: name.to_owned(),
        version: 1,
        category: category.to_owned(),
        source: "platform".to_owned(),
        description: description.to_owned(),
        input_schema: json!({ "type": "object" }),
        output_schema: json!({}),
        reach: Reach::Platform,
        compensation: Compensation::NotNeeded,
        scopes: Vec::new(),
        timeout: Duration::from_secs(30),
        retry: Retry::DEFAULT,
        throttle: None,
    }
}

/// Completes a spec as one that changes records of `scope`, which the platform puts back by itself.
fn changing(
    scope: &str,
    input_schema: Value,
    output_schema: Value,
    spec: ActivitySpec,
) -> ActivitySpec {
    ActivitySpec {
        input_schema,
        output_schema,
        compensation: Compensation::Automatic,
        scopes: vec![format!("{scope}:write")],
        ..spec
    }
}

/// Completes a spec as one that only reads records of `scope`.
fn reading(
    scope: &str,
    input_schema: Value,
    output_schema: Value,
    spec: ActivitySpec,
) -> ActivitySpec {
    ActivitySpec { input_schema, output_schema, scopes: vec![format!("{scope}:read")], ..spec }
}
