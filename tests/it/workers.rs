//! Workers: what they are given, how long they hold it, and what becomes of it without them.

use std::future::Future;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::Process;
use crate::support::{Answer, TestApp, with_app, with_config};

const RENDER: &str = "invoices:render";

async fn register(app: &TestApp, extra: Value) -> Value {
    let mut body = json!({ "uniqueIdentifier": RENDER, "kind": "worker", "name": "Render" });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.post("/v1/activities", body).await.expect(201)
}

/// Saves a workflow of these steps that starts with each order.
async fn on_order(app: &TestApp, name: &str, extra: Value, steps: Value) {
    let known = app.post("/v1/event-types", json!({ "type": format!("{name}:placed") })).await;
    assert!(matches!(known.status, 200 | 201), "{}", known.text);
    let mut definition = json!({
        "name": name, "trigger": { "event": format!("{name}:placed") }, "steps": steps,
    });
    for (field, value) in extra.as_object().expect("an object") {
        definition[field] = value.clone();
    }
    app.save(definition).await;
}

async fn order(app: &TestApp, name: &str, payload: Value) -> String {
    app.publish(&format!("{name}:placed"), payload).await.remove(0)
}

fn render() -> Value {
    json!([{ "id": "render", "activity": RENDER, "input": { "n": "{{trigger.payload.n}}" },
        "compensate": "none", "retry": { "attempts": 2, "initial": "1ms" } }])
}

async fn poll(app: &TestApp, worker: &str, extra: Value) -> Vec<Value> {
    let mut body = json!({ "activities": [RENDER], "worker": worker, "wait": "20s", "max": 10 });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let answer = app.post("/v1/tasks/poll", body).await.expect(200);
    answer["data"].as_array().expect("a list").clone()
}

/// Takes the one task that there is or will be.
async fn take(app: &TestApp, worker: &str) -> Value {
    let mut tasks = poll(app, worker, json!({ "max": 1 })).await;
    assert_eq!(tasks.len(), 1, "a task comes");
    tasks.remove(0)
}

async fn say(app: &TestApp, task: &Value, what: &str, extra: Value) -> Answer {
    let mut body = json!({ "token": task["token"] });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.post(&format!("/v1/tasks/{}/{what}", task["id"].as_str().expect("an id")), body).await
}

async fn complete(app: &TestApp, task: &Value, output: Value) -> Answer {
    say(app, task, "complete", json!({ "output": output })).await
}

async fn entries(app: &TestApp, run: &str, kind: &str) -> usize {
    let journal = app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
    let data = journal["data"].as_array().expect("a list");
    data.iter().filter(|record| record["entry"]["type"] == kind).count()
}

async fn tasks_open(app: &TestApp) -> usize {
    let page = app.get("/v1/tasks").await.expect(200);
    page["data"].as_array().expect("a list").len()
}

fn with_runtime<F: Future<Output = ()>>(test: F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn a_worker_carries_out_a_step() {
    with_app(async |app| {
        let made = register(&app, json!({ "timeout": "2h" })).await;
        assert_eq!((&made["version"], &made["timeout"]), (&json!(1), &json!("2h")));
        on_order(&app, "shop", json!({}), render()).await;
        let run = order(&app, "shop", json!({ "n": 7 })).await;
        let waits = app.until(&run, "waiting").await;
        let waiting = &waits["waitingFor"];
        assert_eq!(waiting["kind"], "worker");
        assert_eq!((&waiting["activity"], &waiting["step"]), (&json!(RENDER), &json!("render")));
        assert!(waiting["since"].is_string() && waiting["until"].is_string(), "{waiting}");
        let open = app.get("/v1/tasks").await.expect(200);
        assert_eq!(open["data"][0]["status"], "queued");
        assert!(open["data"][0].get("input").is_none(), "a list shows no inputs");
        let task = take(&app, "w1").await;
        assert_eq!(task["input"], json!({ "n": 7 }));
        assert_eq!((&task["runId"], &task["step"]), (&json!(run), &json!("render")));
        assert_eq!((&task["attempt"], &task["work"]), (&json!(1), &json!("step")));
        assert_eq!(task["idempotencyKey"], json!(format!("{run}/render")));
        let at_work = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        assert_eq!(at_work["waitingFor"]["worker"], "w1");
        let workers = app.get("/v1/workers").await.expect(200);
        assert_eq!(workers["data"][0]["name"], "w1");
        assert_eq!(workers["data"][0]["tasks"], 1);
        let kept = say(&app, &task, "heartbeat", json!({ "details": { "done": 0.5 } })).await;
        assert_eq!(kept.expect(200)["cancelled"], false);
        let open = app.get("/v1/tasks").await.expect(200);
        assert_eq!(open["data"][0]["details"], json!({ "done": 0.5 }));
        complete(&app, &task, json!({ "url": "u" })).await.expect(200);
        let ended = app.end_of(&run).await;
        assert_eq!(ended["status"], "succeeded");
        assert_eq!(ended["steps"][0]["output"], json!({ "url": "u" }));
        assert_eq!(tasks_open(&app).await, 0);
        complete(&app, &task, json!({})).await.refused(409, "task_over");
    });
}

#[test]
fn a_worker_that_waits_gets_what_comes() {
    with_app(async |app| {
        register(&app, json!({})).await;
        on_order(&app, "shop", json!({}), render()).await;
        let waits = async { take(&app, "w1").await };
        let (task, run) = tokio::join!(waits, order(&app, "shop", json!({ "n": 1 })));
        assert_eq!(task["runId"], json!(run));
        assert!(poll(&app, "w1", json!({ "wait": "1ms" })).await.is_empty());
    });
}

#[test]
fn a_task_of_a_silent_worker_goes_to_another() {
    with_app(async |app| {
        register(&app, json!({})).await;
        on_order(&app, "shop", json!({}), render()).await;
        let run = order(&app, "shop", json!({ "n": 1 })).await;
        let first = poll(&app, "dies", json!({ "lease": "100ms" })).await.remove(0);
        let second = take(&app, "lives").await;
        assert_eq!(first["id"], second["id"]);
        assert_eq!(first["idempotencyKey"], second["idempotencyKey"]);
        assert_eq!(first["attempt"], second["attempt"], "it is no further attempt");
        assert_ne!(first["token"], second["token"]);
        for what in ["heartbeat", "complete"] {
            say(&app, &first, what, json!({})).await.refused(409, "task_lost");
        }
        say(&app, &first, "fail", json!({ "code": "x" })).await.refused(409, "task_lost");
        complete(&app, &second, json!({ "by": "lives" })).await.expect(200);
        let ended = app.end_of(&run).await;
        assert_eq!(ended["steps"][0]["output"], json!({ "by": "lives" }));
        assert_eq!(entries(&app, &run, "stepSucceeded").await, 1);
        assert_eq!(entries(&app, &run, "handedOut").await, 1);
        complete(&app, &first, json!({})).await.refused(409, "task_over");
    });
}

#[test]
fn a_sign_of_life_keeps_a_task() {
    with_app(async |app| {
        register(&app, json!({})).await;
        on_order(&app, "shop", json!({}), render()).await;
        let run = order(&app, "shop", json!({ "n": 1 })).await;
        let task = poll(&app, "w1", json!({ "lease": "2s" })).await.remove(0);
        let mut until = task["leaseUntil"].as_str().expect("a time").to_owned();
        let first = until.clone();
        // It is shown until the first lease alone would long be over.
        while app.now_is_before(&first).await {
            let kept = say(&app, &task, "heartbeat", json!({})).await.expect(200);
            kept["leaseUntil"].as_str().expect("a time").clone_into(&mut until);
        }
        assert!(until > first);
        complete(&app, &task, json!({})).await.expect(200);
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
    });
}

#[test]
fn a_killed_server_loses_neither_tasks_nor_leases() {
    with_runtime(async {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        let server = Process::start(&data);
        register(&server.app, json!({})).await;
        on_order(&server.app, "shop", json!({}), render()).await;
        let held = order(&server.app, "shop", json!({ "n": 1 })).await;
        let task = take(&server.app, "w1").await;
        assert_eq!(task["runId"], json!(held));
        let queued = order(&server.app, "shop", json!({ "n": 2 })).await;
        server.kill();

        let server = Process::start(&data);
        let other = take(&server.app, "w2").await;
        assert_eq!(other["runId"], json!(queued), "what is held is given to nobody else");
        complete(&server.app, &task, json!({ "n": 1 })).await.expect(200);
        server.kill();

        let server = Process::start(&data);
        let ended = server.app.end_of(&held).await;
        assert_eq!(ended["steps"][0]["output"], json!({ "n": 1 }));
        complete(&server.app, &other, json!({ "n": 2 })).await.expect(200);
        assert_eq!(server.app.end_of(&queued).await["status"], "succeeded");
        for run in [&held, &queued] {
            assert_eq!(entries(&server.app, run, "stepSucceeded").await, 1);
        }
    });
}

#[test]
fn a_cancelled_run_takes_its_task_back() {
    with_app(async |app| {
        register(&app, json!({})).await;
        on_order(&app, "shop", json!({}), render()).await;
        let queued = order(&app, "shop", json!({ "n": 1 })).await;
        app.until(&queued, "waiting").await;
        let cancel = |run: String| format!("/v1/runs/{run}/cancel");
        app.post(&cancel(queued.clone()), json!({})).await.expect(202);
        let ended = app.end_of(&queued).await;
        assert_eq!(
            (&ended["status"], &ended["steps"][0]["status"]),
            (&json!("cancelled"), &json!("cancelled"))
        );
        assert_eq!(tasks_open(&app).await, 0);

        let held = order(&app, "shop", json!({ "n": 2 })).await;
        let task = take(&app, "w1").await;
        app.post(&cancel(held.clone()), json!({})).await.expect(202);
        let kept = say(&app, &task, "heartbeat", json!({})).await.expect(200);
        assert_eq!(kept["cancelled"], true, "whoever works at it hears of it");
        say(&app, &task, "fail", json!({ "code": "stopped", "class": "terminal" }))
            .await
            .expect(200);
        assert_eq!(app.end_of(&held).await["status"], "cancelled");

        let lost = order(&app, "shop", json!({ "n": 3 })).await;
        poll(&app, "dies", json!({ "lease": "100ms" })).await;
        app.post(&cancel(lost.clone()), json!({})).await.expect(202);
        let ended = app.end_of(&lost).await;
        assert_eq!(ended["status"], "cancelled", "a silent worker holds up no cancel");
        assert_eq!(ended["steps"][0]["error"]["code"], "worker_lost");
        assert_eq!(tasks_open(&app).await, 0);
    });
}

#[test]
fn an_output_is_held_to_its_schema() {
    with_app(async |app| {
        let schema = json!({ "type": "object", "required": ["url"],
            "properties": { "url": { "type": "string" } } });
        let input = json!({ "type": "object", "properties": { "n": { "type": "integer" } } });
        register(&app, json!({ "outputSchema": schema, "inputSchema": input })).await;
        on_order(&app, "shop", json!({}), render()).await;
        let run = order(&app, "shop", json!({ "n": 1 })).await;
        let task = take(&app, "w1").await;
        let problem = complete(&app, &task, json!({ "url": 5 })).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/output/url");
        complete(&app, &task, json!({ "url": "u" })).await.expect(200);
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        let misfit = order(&app, "shop", json!({ "n": "no number" })).await;
        let ended = app.end_of(&misfit).await;
        assert_eq!(ended["steps"][0]["error"]["code"], "invalid_input");
    });
}

#[test]
fn failures_are_tried_again_or_undone_by_workers() {
    with_app(async |app| {
        register(&app, json!({})).await;
        let steps = json!([
            { "id": "one", "activity": RENDER, "input": {},
              "compensate": { "activity": RENDER, "input": { "undo": "{{steps.one.output.id}}" } } },
            { "id": "two", "activity": RENDER, "input": {}, "compensate": "none",
              "retry": { "attempts": 3, "initial": "1ms" } },
        ]);
        on_order(&app, "shop", json!({}), steps).await;
        let run = order(&app, "shop", json!({})).await;
        complete(&app, &take(&app, "w1").await, json!({ "id": 5 })).await.expect(200);
        let two = take(&app, "w1").await;
        let busy = json!({ "code": "busy", "message": "later", "class": "retryable",
            "retryAfter": "2ms" });
        say(&app, &two, "fail", busy).await.expect(200);
        let again = take(&app, "w1").await;
        assert_eq!((&again["step"], &again["attempt"]), (&json!("two"), &json!(2)));
        assert_eq!(again["idempotencyKey"], two["idempotencyKey"]);
        let gone = json!({ "code": "gone", "message": "no such thing", "class": "terminal" });
        say(&app, &again, "fail", gone).await.expect(200);
        let undo = take(&app, "w1").await;
        assert_eq!((&undo["work"], &undo["step"]), (&json!("undo"), &json!("one")));
        assert_eq!(undo["input"], json!({ "undo": 5 }));
        let waits = app.get(&format!("/v1/runs/{run}")).await.expect(200);
        assert_eq!(waits["status"], "compensating");
        assert_eq!(waits["waitingFor"]["worker"], "w1");
        complete(&app, &undo, json!(null)).await.expect(200);
        let ended = app.end_of(&run).await;
        assert_eq!((&ended["status"], &ended["compensation"]), (&json!("failed"), &json!("done")));
        assert_eq!(ended["error"]["code"], "gone");
    });
}

#[test]
fn the_timeout_holds_for_the_whole() {
    with_app(async |app| {
        register(&app, json!({})).await;
        let step = |id: &str| {
            json!([{ "id": id, "activity": RENDER, "input": {}, "compensate": "none",
                "timeout": "300ms", "retry": { "attempts": 1 } }])
        };
        on_order(&app, "shop", json!({}), step("a")).await;
        let untouched = order(&app, "shop", json!({})).await;
        let ended = app.end_of(&untouched).await;
        assert_eq!(ended["steps"][0]["error"]["code"], "no_worker");
        let run = order(&app, "shop", json!({})).await;
        let task = take(&app, "w1").await;
        let ended = app.end_of(&run).await;
        assert_eq!(ended["steps"][0]["error"]["code"], "timeout");
        assert_eq!(ended["steps"][0]["error"]["class"], "inDoubt", "the worker may have acted");
        complete(&app, &task, json!({})).await.refused(409, "task_over");
    });
}

#[test]
fn every_run_has_its_turn_and_the_urgent_go_first() {
    with_app(async |app| {
        register(&app, json!({})).await;
        let many = json!([{ "id": "all", "forEach": { "items": [1, 2, 3, 4, 5], "concurrency": 5,
            "steps": [{ "id": "one", "activity": RENDER, "input": {}, "compensate": "none" }] } }]);
        on_order(&app, "many", json!({}), many).await;
        on_order(&app, "shop", json!({}), render()).await;
        on_order(&app, "urgent", json!({ "priority": "high" }), render()).await;
        let many = order(&app, "many", json!({})).await;
        let single = order(&app, "shop", json!({ "n": 1 })).await;
        let urgent = order(&app, "urgent", json!({ "n": 1 })).await;
        for run in [&many, &single, &urgent] {
            app.until(run, "waiting").await;
        }
        assert_eq!(tasks_open(&app).await, 7);
        let mut order = Vec::new();
        for _ in 0..4 {
            order.push(take(&app, "w1").await["runId"].as_str().expect("an id").to_owned());
        }
        assert_eq!(order, [&*urgent, &*many, &*single, &*many]);
    });
}

#[test]
fn a_throttle_limits_what_is_taken() {
    with_app(async |app| {
        register(&app, json!({ "throttle": { "limit": 2, "window": "1h" } })).await;
        on_order(&app, "shop", json!({}), render()).await;
        for n in 0..3 {
            let run = order(&app, "shop", json!({ "n": n })).await;
            app.until(&run, "waiting").await;
        }
        assert_eq!(poll(&app, "w1", json!({})).await.len(), 2);
        assert!(poll(&app, "w1", json!({ "wait": "1ms" })).await.is_empty());
    });
}

#[test]
fn workers_that_vanish_again_and_again_fail_the_attempt() {
    with_config(
        |config| config.engine.task_leases_max = 2,
        async |app| {
            register(&app, json!({})).await;
            let steps = json!([{ "id": "a", "activity": RENDER, "input": {}, "compensate": "none",
                "retry": { "attempts": 1 } }]);
            on_order(&app, "shop", json!({}), steps).await;
            let run = order(&app, "shop", json!({})).await;
            for _ in 0..2 {
                assert_eq!(poll(&app, "dies", json!({ "lease": "50ms" })).await.len(), 1);
            }
            let ended = app.end_of(&run).await;
            assert_eq!(ended["steps"][0]["error"]["code"], "worker_lost");
        },
    );
}

#[test]
fn a_worker_s_key_does_nothing_else() {
    with_app(async |app| {
        register(&app, json!({})).await;
        let scopes = json!({ "name": "worker", "scopes": ["tasks:write"] });
        let made = app.post("/v1/keys", scopes).await.expect(201);
        let worker = app.with_key(made["key"].as_str().expect("a key"));
        assert!(poll(&worker, "w1", json!({ "wait": "0s" })).await.is_empty());
        worker.get("/v1/runs").await.expect(403);
        worker.get("/v1/activities").await.expect(403);
        worker.post("/v1/activities", json!({})).await.expect(403);
        let other = app.post("/v1/keys", json!({ "name": "o", "scopes": ["runs:write"] })).await;
        let other = app.with_key(other.expect(201)["key"].as_str().expect("a key"));
        other.post("/v1/tasks/poll", json!({})).await.expect(403);
    });
}

#[test]
fn another_tenant_s_tasks_are_not_there() {
    with_app(async |app| {
        register(&app, json!({})).await;
        on_order(&app, "shop", json!({}), render()).await;
        let run = order(&app, "shop", json!({ "n": 1 })).await;
        app.until(&run, "waiting").await;
        app.post("/v1/tenants", json!({ "slug": "other", "name": "Other" })).await.expect(201);
        let ask = json!({ "activities": [RENDER], "worker": "w" });
        let request = app.request(reqwest::Method::POST, "/v1/tasks/poll").json(&ask);
        let answer = crate::support::send(request.header("X-Tenant", "other")).await;
        assert_eq!(answer.expect(200)["data"], json!([]));
        let task = take(&app, "w1").await;
        let path = format!("/v1/tasks/{}/complete", task["id"].as_str().expect("an id"));
        let body = json!({ "token": task["token"] });
        let request = app.request(reqwest::Method::POST, &path).json(&body);
        crate::support::send(request.header("X-Tenant", "other"))
            .await
            .refused(404, "task_not_found");
    });
}

#[test]
fn an_activity_is_registered_in_versions_and_taken_back() {
    with_app(async |app| {
        let said = json!({ "uniqueIdentifier": RENDER, "kind": "worker", "name": "Render" });
        register(&app, json!({})).await;
        let same = app.post("/v1/activities", said).await.expect(200);
        assert_eq!(same["version"], 1, "nothing was changed");
        assert_eq!(register(&app, json!({ "timeout": "5m" })).await["version"], 2);
        on_order(&app, "shop", json!({}), render()).await;
        app.delete(&format!("/v1/activities/{RENDER}")).await.expect(204);
        app.get(&format!("/v1/activities/{RENDER}")).await.refused(404, "activity_not_found");
        let run = order(&app, "shop", json!({ "n": 1 })).await;
        complete(&app, &take(&app, "w1").await, json!({})).await.expect(200);
        assert_eq!(app.end_of(&run).await["status"], "succeeded", "what calls it goes on");
        app.delete(&format!("/v1/activities/{RENDER}")).await.refused(404, "activity_not_found");
        let audit = app.get("/v1/audit?action=activity").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(3), "{audit}");
    });
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    with_app(async |app| {
        let wrong = json!({ "uniqueIdentifier": "no spaces", "kind": "worker", "timeout": "0s",
            "inputSchema": { "type": "nothing" }, "retry": { "attempts": 0, "often": 1 },
            "outputSchema": { "properties": { "key": { "x-secret": true } } },
            "throttle": { "limit": 0 } });
        let problem = app.post("/v1/activities", wrong).await.expect(422);
        let errors = problem["errors"].as_array().expect("a list");
        let told: Vec<&str> = errors.iter().filter_map(|it| it["pointer"].as_str()).collect();
        for pointer in [
            "/uniqueIdentifier",
            "/inputSchema",
            "/outputSchema/properties/key/x-secret",
            "/timeout",
            "/retry/attempts",
            "/retry/often",
            "/throttle/limit",
            "/throttle/window",
        ] {
            assert!(told.contains(&pointer), "no {pointer} in {told:?}");
        }
        let built_in =
            json!({ "uniqueIdentifier": "tickets:get-ticket-platform", "kind": "worker" });
        app.post("/v1/activities", built_in).await.refused(409, "activity_exists");
        for body in [json!({}), json!({ "activities": [], "worker": "w" })] {
            app.post("/v1/tasks/poll", body).await.expect(422);
        }
        for id in ["nothing", "run_0.0", "00000000000000000000000000.0000000000000000"] {
            let path = format!("/v1/tasks/{id}/complete");
            app.post(&path, json!({ "token": "t" })).await.refused(404, "task_not_found");
        }
    });
}

impl TestApp {
    /// Returns whether the server's clock stands before a time.
    async fn now_is_before(&self, time: &str) -> bool {
        let answer = self.get("/healthz").await;
        let date = answer.header("date").expect("a date").to_owned();
        let now = chrono::DateTime::parse_from_rfc2822(&date).expect("a date");
        now < chrono::DateTime::parse_from_rfc3339(time).expect("a time")
    }
}
