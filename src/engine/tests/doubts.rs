//! Calls of which nobody knows whether they happened, and that the other side is asked about.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{in_world, spec};
use crate::activities::{OutsideActivity, OutsideCall};
use crate::domain::activity::{ActivitySpec, Reach, Settling};
use crate::domain::run::{Failure, Status};

/// Answers no first call, and knows afterwards whether it happened.
pub(super) struct Forgetful(pub(super) Arc<AtomicU32>);

impl OutsideActivity for Forgetful {
    fn spec(&self) -> ActivitySpec {
        spec("test:forgetful", Reach::Outside)
    }

    fn settles(&self) -> Settling {
        Settling::Lookup
    }

    fn lookup(&self, call: OutsideCall) -> BoxFuture<'static, Result<Option<Value>, Failure>> {
        Box::pin(async move {
            match call.input["happened"].as_bool() {
                Some(true) => Ok(Some(json!({ "key": call.idempotency_key, "found": true }))),
                Some(false) => Ok(None),
                None => Err(Failure::terminal("away", "nobody knows")),
            }
        })
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match number {
                0 => Err(Failure::in_doubt("timeout", "no answer")),
                _ => Ok(json!({ "key": call.idempotency_key })),
            }
        })
    }
}

fn definition(happened: Value, more: Value) -> Value {
    let mut step = json!({
        "id": "call", "activity": "test:forgetful", "input": { "happened": happened },
    });
    for (name, value) in more.as_object().expect("an object") {
        step[name] = value.clone();
    }
    json!({ "name": "w", "trigger": { "event": "thing:happened" }, "steps": [step] })
}

#[test]
fn the_other_side_is_asked_before_a_call_is_repeated() {
    for (happened, more, calls, status) in [
        (json!(true), json!({}), 1, Status::Succeeded),
        (json!(false), json!({}), 2, Status::Succeeded),
        (Value::Null, json!({}), 1, Status::Failed),
        (json!(true), json!({ "inDoubt": "repeat" }), 2, Status::Succeeded),
    ] {
        in_world(1, async |world| {
            world.save(definition(happened.clone(), more.clone())).await;
            let run = world.publish("e1", json!({})).await.runs[0];
            let head = world.end_of(run).await;
            assert_eq!(head.status, status, "{happened}: {:?}", head.error);
            assert_eq!(world.calls.load(Ordering::SeqCst), calls, "{happened}");
            let in_doubt = head.error.is_some_and(|error| error.in_doubt);
            assert_eq!(in_doubt, status == Status::Failed, "the doubt stays");
        });
    }
}
