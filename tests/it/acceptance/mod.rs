//! What a replacement for Thena's workflows must have, row by row of its checklist.

mod activities;
mod desk_events;
mod durability;
mod execution;
mod filters;
mod http;
mod intake;
mod records;
mod workflows;

use ergane::config::Config;
use serde_json::{Value, json};

use crate::support::TestApp;

/// Lets workflows call the peers of the tests.
pub fn reach_inner_networks(config: &mut Config) {
    config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
}

/// A workflow that shows what it was started with: its only step answers `shown`.
pub fn echo(name: &str, event: &str, filter: Value, shown: Value) -> Value {
    json!({
        "name": name,
        "trigger": {"event": event, "filter": filter},
        "steps": [transform("show", shown)],
    })
}

/// A step that answers `output`.
pub fn transform(id: &str, output: Value) -> Value {
    json!({"id": id, "activity": "workflows:transform-platform", "input": {"output": output}})
}

/// A step that always fails, at its first attempt.
pub fn failing(id: &str) -> Value {
    json!({
        "id": id, "activity": "tickets:get-ticket-platform", "input": {"id": "no-such-ticket"},
        "retry": {"attempts": 1},
    })
}

/// A workflow that nothing but a call starts.
pub fn by_hand(name: &str, steps: Value) -> Value {
    json!({"name": name, "trigger": "manual", "steps": steps})
}

/// Returns the payloads of the events of a type, oldest first.
pub async fn payloads(app: &TestApp, kind: &str) -> Vec<Value> {
    events(app, kind).await.into_iter().map(|event| event["payload"].clone()).collect()
}

/// Returns the events of a type, oldest first.
pub async fn events(app: &TestApp, kind: &str) -> Vec<Value> {
    let body = app.get(&format!("/v1/events?limit=200&type={kind}")).await.expect(200);
    let mut events = body["data"].as_array().expect("a list").clone();
    events.reverse();
    events
}

/// Starts a workflow by hand and returns its run at the end.
pub async fn ended(app: &TestApp, workflow: &str, payload: Value) -> Value {
    let started = begun(app, workflow, payload).await;
    app.end_of(&started).await
}

/// Starts a workflow by hand and returns the id of its run.
pub async fn begun(app: &TestApp, workflow: &str, payload: Value) -> String {
    let path = format!("/v1/workflows/{workflow}/run");
    let run = app.post(&path, json!({"payload": payload})).await.expect(202);
    run["id"].as_str().expect("an id").to_owned()
}

/// Returns the step `id` of a run.
pub fn step<'a>(run: &'a Value, id: &str) -> &'a Value {
    let steps = run["steps"].as_array().expect("steps");
    steps.iter().find(|step| step["id"] == id).unwrap_or_else(|| panic!("no step {id} in {run}"))
}

/// Insists on how each step of a run stands: `"one=succeeded two=failed"`.
pub fn stands(run: &Value, expected: &str) {
    let steps = run["steps"].as_array().expect("steps").iter();
    let texts = steps.map(|step| {
        format!("{}={}", step["id"].as_str().unwrap_or("?"), step["status"].as_str().unwrap_or("?"))
    });
    assert_eq!(texts.collect::<Vec<_>>().join(" "), expected, "{run:#}");
}

/// Returns the names of the undone steps in the order in which they were undone.
pub fn undone(run: &Value) -> Vec<String> {
    let all = run["compensations"].as_array().expect("compensations").iter();
    all.map(|one| one["step"].as_str().unwrap_or("?").to_owned()).collect()
}
