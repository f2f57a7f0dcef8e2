//! The eight states of an execution and the six of a task, each reached and read as Thena's clients
//! read them; and what a step of Thena's body says of its order, its approval and its version.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ergane::config::Config;
use serde_json::{Value, json};

use crate::acceptance::reach_inner_networks;
use crate::peer::{Peer, Reply};
use crate::support::{TestApp, with_app, with_config};

const ROOT: &str = "/api/v1/workflows";

fn step(number: u32, activity: &str, input: Value, extra: Value) -> Value {
    let mut step = json!({
        "stepIdentifier": number,
        "activity": { "uniqueIdentifier": activity, "autoUpgradeToLatestVersion": true },
        "input": input,
        "onFailure": "ABORT",
        "retryPolicy": { "maximumAttempts": 1, "initialInterval": 1, "backoffCoefficient": 1 },
        "executionTimeout": 20,
    });
    for (name, value) in extra.as_object().expect("an object") {
        step[name] = value.clone();
    }
    step
}

fn transform(number: u32, value: Value, extra: Value) -> Value {
    step(number, "workflows:transform-platform", json!({ "value": value }), extra)
}

fn calling(number: u32, peer: &Peer, path: &str, extra: Value) -> Value {
    let input = json!({ "url": format!("{}{path}", peer.url), "method": "POST" });
    step(number, "workflows:http-request-platform", input, extra)
}

/// Saves a workflow in Thena's shape, starts one execution of it and returns both ids.
async fn begin(app: &TestApp, name: &str, steps: Value) -> (String, String) {
    begin_with(app, json!({ "name": name, "workflowDefinition": steps })).await
}

async fn begin_with(app: &TestApp, mut body: Value) -> (String, String) {
    let event = format!("thing:{}", body["name"].as_str().expect("a name").replace('-', "_"));
    body["triggerEvent"] = json!(event);
    let made = app.post(ROOT, body).await.expect(201);
    let id = made["uniqueIdentifier"].as_str().expect("an id").to_owned();
    (id, app.publish(&event, json!({ "n": 1 })).await.remove(0))
}

async fn execution(app: &TestApp, workflow: &str, run: &str) -> String {
    let list = app.get(&format!("{ROOT}/executions?workflowId={workflow}")).await.expect(200);
    let rows = list["data"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["id"] == run).expect("the execution");
    let status = row["status"].as_str().expect("a status").to_owned();
    // The filter finds it under the state that it shows.
    let path = format!("{ROOT}/executions?workflowId={workflow}&status={status}");
    let found = app.get(&path).await.expect(200);
    assert!(found["data"].as_array().expect("a list").iter().any(|row| row["id"] == run));
    status
}

/// Returns what the tasks of an execution are, and which are retries or compensations.
async fn tasks(app: &TestApp, run: &str) -> Vec<String> {
    let tasks = app.get(&format!("{ROOT}/{run}/tasks")).await.expect(200);
    let told = tasks["data"].as_array().expect("a list").iter().map(|task| {
        let flag = |name: &str, word: &str| match task[name].as_bool() {
            Some(true) => format!(" {word}"),
            _ => String::new(),
        };
        let (retry, undo) = (flag("isRetry", "retry"), flag("isCompensation", "undo"));
        format!("{} {}{retry}{undo}", task["stepIdentifier"], task["status"].as_str().expect("it"))
    });
    told.collect()
}

async fn until(app: &TestApp, workflow: &str, run: &str, status: &str) {
    for _ in 0..400 {
        if execution(app, workflow, run).await == status {
            return;
        }
        app.get(&format!("/v1/runs/{run}?wait=20ms")).await.expect(200);
    }
    panic!("{run} never became {status}");
}

fn narrow(config: &mut Config) {
    reach_inner_networks(config);
    config.engine.runs_active_max = 1;
}

#[test]
fn an_execution_is_pending_until_there_is_room_and_executing_while_it_calls() {
    with_config(narrow, |app| async move {
        let peer = Peer::start(|_, _| Reply::Never).await;
        let (first, at_work) =
            begin(&app, "calls", json!([calling(1, &peer, "/", json!({}))])).await;
        peer.until(1).await;
        assert_eq!(execution(&app, &first, &at_work).await, "EXECUTING_ACTIVITIES");
        assert_eq!(tasks(&app, &at_work).await, ["1 STARTED"]);
        let aliases = format!("{ROOT}/executions?workflowId={first}&status=RUNNING");
        assert_eq!(app.get(&aliases).await.expect(200)["data"][0]["id"], *at_work);
        let (second, waits) =
            begin(&app, "waits", json!([transform(1, json!(1), json!({}))])).await;
        assert_eq!(execution(&app, &second, &waits).await, "PENDING");
        assert_eq!(tasks(&app, &waits).await, ["1 SCHEDULED"]);
    });
}

#[test]
fn an_execution_is_scheduled_while_another_of_its_key_is_at_work() {
    with_app(|app| async move {
        let body = json!({"name": "one-at-a-time", "trigger": {"event": "thing:keyed"},
            "concurrency": {"key": "all", "limit": 1},
            "steps": [{"id": "nap", "sleep": "1h"}]});
        let made = app.save(body).await;
        let workflow = made["uniqueIdentifier"].as_str().expect("an id").to_owned();
        let first = app.publish("thing:keyed", json!({})).await.remove(0);
        app.until(&first, "waiting").await;
        let second = app.publish("thing:keyed", json!({})).await.remove(0);
        assert_eq!(execution(&app, &workflow, &first).await, "SUSPENDED");
        assert_eq!(execution(&app, &workflow, &second).await, "SCHEDULED");
        assert_eq!(tasks(&app, &second).await, ["\"nap\" SCHEDULED"]);
    });
}

#[test]
fn an_execution_is_retrying_between_attempts_then_finished_with_a_task_for_each() {
    with_config(reach_inner_networks, |app| async move {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Status(503, json!({})),
            _ => Reply::Status(200, json!({ "ok": true })),
        })
        .await;
        let policy = json!({"retryPolicy":
            {"maximumAttempts": 2, "initialInterval": 2, "backoffCoefficient": 1}});
        let (workflow, run) = begin(&app, "again", json!([calling(1, &peer, "/", policy)])).await;
        until(&app, &workflow, &run, "RETRYING").await;
        assert_eq!(tasks(&app, &run).await, ["1 FAILED", "1 SCHEDULED retry"]);
        app.end_of(&run).await;
        assert_eq!(execution(&app, &workflow, &run).await, "FINISHED");
        assert_eq!(tasks(&app, &run).await, ["1 FAILED", "1 FINISHED retry"]);
    });
}

#[test]
fn an_execution_is_compensating_while_it_is_undone_then_failed() {
    with_config(reach_inner_networks, |app| async move {
        let (held, asked) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let (holds, count) = (Arc::clone(&held), Arc::clone(&asked));
        let peer = Peer::start(move |_, received| match received.path.as_str() {
            "/fails" => Reply::Status(400, json!({})),
            "/undo" if holds.load(Ordering::SeqCst) => {
                count.fetch_add(1, Ordering::SeqCst);
                Reply::Status(503, json!({}))
            }
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let undo = calling(1, &peer, "/undo", json!({}));
        let undo = json!({ "activity": undo["activity"], "input": undo["input"] });
        let steps = json!([
            calling(1, &peer, "/do", json!({ "compensationActivity": undo })),
            calling(2, &peer, "/fails", json!({ "onFailure": "COMPENSATE" })),
        ]);
        let (workflow, run) = begin(&app, "undone", steps).await;
        until(&app, &workflow, &run, "COMPENSATING").await;
        let told = tasks(&app, &run).await;
        assert_eq!(told[..2], ["1 FINISHED", "2 FAILED"]);
        assert!(told[2..].iter().all(|task| task.ends_with(" undo")), "{told:?}");
        held.store(false, Ordering::SeqCst);
        app.end_of(&run).await;
        assert_eq!(execution(&app, &workflow, &run).await, "FAILED");
        let told = tasks(&app, &run).await;
        assert!(told.last().is_some_and(|task| task.starts_with("1 FINISHED")), "{told:?}");
        assert!(asked.load(Ordering::SeqCst) > 0);
    });
}

#[test]
fn an_approval_suspends_the_execution_and_awaits_somebodys_input() {
    with_app(|app| async move {
        let gate = json!({"requireApproval": true, "approver": {"email": "ada@example.com"}});
        let steps = |on_failure: &str| {
            let mut gate = gate.clone();
            gate["onFailure"] = json!(on_failure);
            json!([transform(1, json!("a"), gate), transform(2, json!("b"), json!({}))])
        };
        for (name, verdict, on_failure, status, told) in [
            ("approved", "approve", "ABORT", "FINISHED", vec!["1 FINISHED", "2 FINISHED"]),
            ("rejected", "reject", "ABORT", "FAILED", vec![]),
            ("ignored", "reject", "CONTINUE", "FINISHED", vec!["2 FINISHED"]),
        ] {
            let (workflow, run) = begin(&app, name, steps(on_failure)).await;
            until(&app, &workflow, &run, "SUSPENDED").await;
            assert_eq!(tasks(&app, &run).await, ["1 AWAITING_USER_INPUT"]);
            let asked = app.get("/v1/approvals").await.expect(200);
            assert_eq!(asked["data"][0]["approvers"], json!(["ada@example.com"]));
            let path = format!("/v1/runs/{run}/steps/step_1/{verdict}");
            app.post(&path, json!({ "comment": "so be it" })).await.expect(202);
            app.end_of(&run).await;
            assert_eq!(execution(&app, &workflow, &run).await, status, "{name}");
            let tasks = tasks(&app, &run).await;
            let seen: Vec<&String> =
                tasks.iter().filter(|task| task.ends_with("FINISHED")).collect();
            assert_eq!(seen, told, "{name}: {tasks:?}");
        }
    });
}

#[test]
fn a_task_that_the_executing_agent_may_not_do_is_unauthorized_and_not_tried_again() {
    with_app(|app| async move {
        let account = |number: u32| {
            let policy = json!({"retryPolicy":
                {"maximumAttempts": 5, "initialInterval": 1, "backoffCoefficient": 1}});
            let input = json!({ "name": "ACME", "primaryDomain": format!("acme{number}.example") });
            step(number, "accounts:create-account-platform", input, policy)
        };
        let body = json!({"name": "nobody", "executingAgent": "AGENT7XK",
            "workflowDefinition": [account(1)]});
        let (workflow, run) = begin_with(&app, body).await;
        let ended = app.end_of(&run).await;
        assert_eq!(ended["error"]["code"], "unauthorized", "{ended}");
        assert_eq!(execution(&app, &workflow, &run).await, "FAILED");
        assert_eq!(tasks(&app, &run).await, ["1 UNAUTHORIZED"]);
    });
}

#[test]
fn a_step_comes_after_those_that_it_depends_on_and_a_skipped_one_counts_as_done() {
    with_app(|app| async move {
        let steps = json!([
            transform(1, json!("a"), json!({ "filters": { "n": { "~gt": 100 } } })),
            transform(2, json!("b"), json!({ "dependencies": ["1"] })),
            transform(3, json!("{{context.steps.2.result}}"), json!({ "dependencies": [2, 1] })),
        ]);
        let (workflow, run) = begin(&app, "ordered", steps).await;
        app.end_of(&run).await;
        assert_eq!(execution(&app, &workflow, &run).await, "FINISHED");
        assert_eq!(tasks(&app, &run).await, ["2 FINISHED", "3 FINISHED"]);
        let view = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        assert_eq!(view["steps"][0]["status"], "skipped");
        for (dependencies, what) in [(json!(["9"]), "unknown"), (json!(["3"]), "a later one")] {
            let steps = json!([
                transform(2, json!("b"), json!({ "dependencies": dependencies })),
                transform(3, json!("c"), json!({ "dependencies": ["2"] })),
            ]);
            let body = json!({"name": "Bad", "triggerEvent": "thing:bad",
                "workflowDefinition": steps});
            let refused = app.post(ROOT, body).await.expect(400);
            let path = refused["errors"][0]["path"].as_str().expect("a path").to_owned();
            assert!(path.starts_with("/workflowDefinition/0/dependencies"), "{what}: {refused}");
        }
    });
}

#[test]
fn a_version_is_pinned_or_follows_the_newest_as_the_step_says() {
    with_app(|app| async move {
        for (activity, follows, version) in [
            (json!({"autoUpgradeToLatestVersion": true}), true, None),
            (json!({}), true, None),
            (json!({"autoUpgradeToLatestVersion": false}), false, Some(1)),
            (json!({"autoUpgradeToLatestVersion": false, "version": 1}), false, Some(1)),
        ] {
            let mut only = transform(1, json!("a"), json!({}));
            only["activity"] = activity;
            only["activity"]["uniqueIdentifier"] = json!("workflows:transform-platform");
            let body = json!({"name": "Pinned", "triggerEvent": "thing:pinned",
                "workflowDefinition": [only]});
            let made = app.post(ROOT, body).await.expect(201);
            let kept = &made["workflowDefinition"][0]["activity"];
            assert_eq!(kept["autoUpgradeToLatestVersion"], follows, "{kept}");
            if version.is_some() {
                assert_eq!(kept["version"], json!(version), "{kept}");
            }
        }
        let mut unknown = transform(1, json!("a"), json!({}));
        unknown["activity"]["version"] = json!(99);
        unknown["activity"]["autoUpgradeToLatestVersion"] = json!(false);
        let body = json!({"name": "Pinned", "triggerEvent": "thing:pinned",
            "workflowDefinition": [unknown]});
        let refused = app.post(ROOT, body).await.expect(400);
        let path = refused["errors"][0]["path"].as_str().expect("a path");
        assert!(path.starts_with("/workflowDefinition/0/activity"), "{refused}");
    });
}
