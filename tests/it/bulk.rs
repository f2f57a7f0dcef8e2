//! One action on many runs or events, also across a kill.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::{begun, by_hand, echo, events, failing, step, transform};
use crate::people::joined;
use crate::process::Process;
use crate::support::{TestApp, send, with_app, with_config};

/// Publishes `count` events of a type, in one request.
async fn publish_many(app: &TestApp, kind: &str, count: usize) {
    let batch: Vec<Value> = (0..count)
        .map(|number| {
            json!({"specversion": "1.0", "id": format!("{kind}-{number}"), "type": kind,
                "source": "test", "data": {"n": number}})
        })
        .collect();
    let request = app.request(Method::POST, "/v1/events");
    let request = request.header("content-type", "application/cloudevents-batch+json");
    send(request.body(Value::from(batch).to_string())).await.expect(202);
}

/// Returns how many runs an action would act on.
async fn count(app: &TestApp, action: &str, filter: Value) -> u64 {
    let body = json!({"action": action, "filter": filter, "dryRun": true});
    app.post("/v1/bulk", body).await.expect(200)["total"].as_u64().expect("a number")
}

/// Waits until an action would act on so many.
async fn until_count(app: &TestApp, action: &str, filter: Value, wanted: u64) {
    for _ in 0..2_000 {
        if count(app, action, filter.clone()).await == wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("there were never {wanted}, but {}", count(app, action, filter).await);
}

/// Returns a job when `fits` says so.
async fn job_when(app: &TestApp, id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..4_000 {
        let job = app.get(&format!("/v1/bulk/{id}")).await.expect(200);
        if fits(&job) {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("the job never came so far: {:#}", app.get(&format!("/v1/bulk/{id}")).await.body);
}

async fn start(app: &TestApp, body: Value) -> String {
    let job = app.post("/v1/bulk", body).await.expect(202);
    job["id"].as_str().expect("an id").to_owned()
}

async fn finished(app: &TestApp, id: &str) -> Value {
    job_when(app, id, |job| job["status"] == "finished").await
}

fn numbers(job: &Value) -> [u64; 5] {
    ["total", "done", "failed", "skipped", "left"].map(|name| job[name].as_u64().expect(name))
}

/// Returns how often a run's journal has an entry of a type.
async fn entries(app: &TestApp, run: &str, kind: &str) -> usize {
    let journal = app.get(&format!("/v1/runs/{run}/journal")).await.expect(200);
    let entries = journal["data"].as_array().expect("a list").iter();
    entries.filter(|entry| entry["entry"]["type"] == kind).count()
}

/// Waits until a run's journal has an entry of a type.
async fn until_entry(app: &TestApp, run: &str, kind: &str) {
    for _ in 0..500 {
        if entries(app, run, kind).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{run} never had an entry `{kind}`");
}

async fn all_runs(app: &TestApp, query: &str) -> Vec<Value> {
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = app.get(&format!("/v1/runs?limit=200&{query}{cursor}")).await.expect(200);
        found.extend(page["data"].as_array().expect("a list").iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return found,
        }
    }
}

fn on_order(name: &str, steps: Value) -> Value {
    json!({"name": name, "trigger": {"event": "order:placed"}, "steps": steps})
}

#[test]
fn five_hundred_failed_runs_are_retried_once_each_across_a_kill() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let directory = TempDir::new().expect("a directory");
        let data = directory.path().join("data");
        let process = Process::start(&data);
        let app = &process.app;
        app.save(on_order("w", json!([transform("a", json!(1)), failing("b")]))).await;
        app.post("/v1/tenants", json!({"slug": "acme", "name": "Acme"})).await.expect(201);
        let key = app.request(Method::POST, "/v1/keys").header("X-Tenant", "acme");
        let key = send(key.json(&json!({"name": "theirs", "scopes": ["*"]}))).await.expect(201);
        let theirs = app.with_key(key["key"].as_str().expect("a key"));
        theirs.save(on_order("w", json!([failing("b")]))).await;
        theirs.publish("order:placed", json!({})).await;
        publish_many(app, "order:placed", 500).await;
        let failed = json!({"workflow": "w", "status": "failed"});
        until_count(app, "retry", failed.clone(), 500).await;
        let job = start(app, json!({"action": "retry", "filter": failed})).await;
        let before = job_when(app, &job, |job| job["done"].as_u64() >= Some(100)).await;
        let their_key = theirs.key.clone();
        process.kill();
        assert!(before["done"].as_u64() < Some(500), "the kill comes in the middle: {before:#}");

        let process = Process::start(&data);
        let app = &process.app;
        let after = finished(app, &job).await;
        assert_eq!(numbers(&after), [500, 500, 0, 0, 0], "{after:#}");
        until_count(app, "retry", json!({"workflow": "w", "status": "failed"}), 500).await;
        let runs = all_runs(app, "workflow=w").await;
        assert_eq!(runs.len(), 500);
        for run in runs {
            let id = run["id"].as_str().expect("an id");
            // A run that has not gone on yet is still one that failed.
            until_entry(app, id, "resumed").await;
            assert_eq!(entries(app, id, "resumed").await, 1, "{id} was retried once");
            assert_eq!(entries(app, id, "stepSucceeded").await, 1, "`a` is not done again");
        }
        let theirs = app.with_key(&their_key);
        assert_eq!(theirs.get("/v1/bulk").await.expect(200)["data"], json!([]));
        theirs.get(&format!("/v1/bulk/{job}")).await.refused(404, "bulk_job_not_found");
        let untouched = all_runs(&theirs, "").await.remove(0);
        let id = untouched["id"].as_str().expect("an id");
        assert_eq!(entries(&theirs, id, "resumed").await, 0);
        let audit = app.get("/v1/audit?action=bulk").await.expect(200);
        let acts: Vec<&Value> =
            audit["data"].as_array().expect("records").iter().map(|it| &it["action"]).collect();
        assert_eq!(acts, ["bulk.end", "bulk.start"], "{audit:#}");
        assert_eq!(audit["data"][0]["after"]["done"], 500);
        assert_eq!(audit["data"][1]["after"]["filter"]["workflow"], "w");
    });
}

fn waiting(name: &str) -> Value {
    by_hand(name, json!([{"id": "paid", "waitFor": {"event": "order:paid"}}]))
}

#[test]
fn all_that_wait_are_cancelled_and_others_are_left_alone() {
    with_app(async |app| {
        app.save(waiting("w")).await;
        app.save(waiting("other")).await;
        for _ in 0..20 {
            begun(&app, "w", json!({})).await;
        }
        let other = begun(&app, "other", json!({})).await;
        let filter = json!({"status": "waiting", "workflow": "w"});
        until_count(&app, "cancel", filter.clone(), 20).await;
        let dry = json!({"action": "cancel", "filter": filter, "dryRun": true});
        let dry = app.post("/v1/bulk", dry).await.expect(200);
        assert_eq!((&dry["total"], dry["sample"].as_array().map(Vec::len)), (&json!(20), Some(10)));
        assert_eq!(app.get("/v1/bulk").await.expect(200)["data"], json!([]), "nothing was started");
        let mut browser = joined(&app, "ada@example.com", &["operator"]).await;
        let list = browser.get("/runs?status=waiting&workflow=w").await;
        let link = "/bulk?action=cancel&#38;status=waiting&#38;workflow=w";
        assert!(list.text.contains(link), "{}", list.text);
        let asked = browser.get("/bulk?action=cancel&status=waiting&workflow=w").await;
        assert!(asked.text.contains("Cancel 20 runs"), "{}", asked.text);
        let fields = [("action", "cancel"), ("status", "waiting"), ("workflow", "w")];
        let begun = browser.form("/bulk", &fields).await;
        assert_eq!(begun.status, 303, "{}", begun.text);
        let place = begun.header("location").expect("a place").to_owned();
        let job = finished(&app, place.strip_prefix("/bulk/").expect("a job")).await;
        assert_eq!(numbers(&job), [20, 20, 0, 0, 0], "{job:#}");
        assert_eq!(job["createdBy"], "ada@example.com");
        let shown = browser.get(&place).await;
        assert!(shown.text.contains("All 20 were looked at"), "{}", shown.text);
        until_count(&app, "retry", json!({"status": "cancelled", "workflow": "w"}), 20).await;
        app.until(&other, "waiting").await;
    });
}

#[test]
fn a_job_keeps_to_its_rate_and_can_be_held_and_ended() {
    with_app(async |app| {
        app.save(waiting("w")).await;
        for _ in 0..30 {
            begun(&app, "w", json!({})).await;
        }
        until_count(&app, "cancel", json!({"status": "waiting"}), 30).await;
        let ask = |rate: u32| {
            json!({"action": "cancel", "filter": {"workflow": "w"},
                "options": {"perSecond": rate}})
        };
        let first = start(&app, ask(10)).await;
        job_when(&app, &first, |job| job["done"].as_u64() >= Some(10)).await;
        let held = app.post(&format!("/v1/bulk/{first}/pause"), json!({})).await.expect(200);
        assert_eq!((&held["status"], numbers(&held)[1]), (&json!("paused"), 10));
        let on = app.post(&format!("/v1/bulk/{first}/resume"), json!({})).await.expect(200);
        assert_eq!(on["status"], "running");
        job_when(&app, &first, |job| job["done"].as_u64() >= Some(20)).await;
        let ended = app.post(&format!("/v1/bulk/{first}/cancel"), json!({})).await.expect(200);
        assert_eq!((&ended["status"], numbers(&ended)[4]), (&json!("cancelled"), 10));
        app.post(&format!("/v1/bulk/{first}/resume"), json!({})).await.refused(409, "job_ended");
        let rest = start(&app, ask(5)).await;
        let rest = finished(&app, &rest).await;
        assert_eq!(numbers(&rest), [10, 10, 0, 0, 0]);
        let at = |name: &str| {
            let text = rest[name].as_str().expect("a time");
            chrono::DateTime::parse_from_rfc3339(text).expect("a time").timestamp_millis()
        };
        // Five at once, five a second later.
        assert!(at("endedAt") - at("createdAt") >= 1_000, "{rest:#}");
    });
}

#[test]
fn runs_that_changed_since_are_skipped_and_those_that_cannot_go_on_are_told() {
    with_config(
        |config| config.engine.bulk_jobs_active_max = 1,
        async |app| {
            app.save(on_order("w", json!([transform("a", json!({"n": 1})), failing("b")]))).await;
            for _ in 0..3 {
                let run = app.publish("order:placed", json!({})).await.remove(0);
                app.end_of(&run).await;
            }
            let reads = json!([
                transform("a", json!({"n": 1, "gone": 2})),
                transform("b", json!("{{ steps.a.output.gone }}"))
            ]);
            app.put("/v1/workflows/w", on_order("w", reads)).await.expect(200);
            let job = start(
                &app,
                json!({"action": "retry", "filter": {}, "options": {"version": "latest"}}),
            )
            .await;
            let job = finished(&app, &job).await;
            assert_eq!(numbers(&job), [3, 0, 3, 0, 0], "{job:#}");
            assert_eq!(job["reasons"][0]["code"], "unresolved_reference");
            assert_eq!(job["reasons"][0]["count"], 3);
            let ids: Vec<Value> =
                all_runs(&app, "").await.iter().map(|run| run["id"].clone()).collect();
            let again = start(&app, json!({"action": "cancel", "ids": ids})).await;
            let again = finished(&app, &again).await;
            assert_eq!(numbers(&again), [3, 0, 0, 3, 0], "{again:#}");
            assert_eq!(again["reasons"][0]["code"], "run_ended");
            app.save(waiting("waits")).await;
            let run = begun(&app, "waits", json!({})).await;
            app.until(&run, "waiting").await;
            let slow = json!({"action": "cancel", "ids": [run]});
            let slow = start(&app, slow).await;
            finished(&app, &slow).await;
        },
    );
}

#[test]
fn what_cannot_be_meant_is_refused_with_its_place() {
    with_app(async |app| {
        for (body, pointer) in [
            (json!({"action": "retry"}), "/filter"),
            (json!({"action": "retyr", "filter": {}}), "/action"),
            (json!({"action": "retry", "filter": {"status": "succeeded"}}), "/filter/status"),
            (json!({"action": "retry", "filter": {"state": "failed"}}), "/filter/state"),
            (json!({"action": "cancel", "ids": ["run_nobody"]}), "/ids/0"),
            (json!({"action": "cancel", "filter": {}, "options": {"rate": 1}}), "/options/rate"),
        ] {
            let problem = app.post("/v1/bulk", body).await.refused(422, "invalid");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem:#}");
        }
        let key = app.post("/v1/keys", json!({"name": "k", "scopes": ["runs:write"]})).await;
        let key = key.expect(201);
        let operator = app.with_key(key["key"].as_str().expect("a key"));
        let replay = json!({"action": "replay", "filter": {}});
        operator.post("/v1/bulk", replay).await.refused(403, "forbidden");
    });
}

#[test]
fn events_are_replayed_and_runs_restarted_and_moved() {
    with_app(async |app| {
        publish_many(&app, "order:placed", 12).await;
        app.save(echo("w", "order:placed", json!({}), json!("{{ trigger.payload.n }}"))).await;
        let job =
            start(&app, json!({"action": "replay", "filter": {"type": "order:placed"}})).await;
        assert_eq!(numbers(&finished(&app, &job).await), [12, 12, 0, 0, 0]);
        let made = events(&app, "order:placed").await;
        let again = made.iter().filter(|event| event["metadata"]["replayOf"].is_string());
        assert_eq!((made.len(), again.count()), (24, 12));
        let runs = all_runs(&app, "workflow=w").await;
        assert_eq!(runs.len(), 12);
        let (first, second) = (runs[0]["id"].clone(), runs[1]["id"].clone());
        app.end_of(first.as_str().expect("an id")).await;
        app.end_of(second.as_str().expect("an id")).await;
        let ids = json!([first, second, first]);
        let job = start(&app, json!({"action": "restart", "ids": ids})).await;
        assert_eq!(numbers(&finished(&app, &job).await), [2, 2, 0, 0, 0]);
        assert_eq!(all_runs(&app, "workflow=w").await.len(), 14);

        let steps = |after: Value| json!([{"id": "paid", "waitFor": {"event": "order:paid"}}, transform("b", after)]);
        app.save(by_hand("waits", steps(json!("old")))).await;
        let run = begun(&app, "waits", json!({})).await;
        app.until(&run, "waiting").await;
        app.put("/v1/workflows/waits", by_hand("waits", steps(json!("new")))).await.expect(200);
        let job = start(&app, json!({"action": "migrate", "filter": {"workflow": "waits"}})).await;
        assert_eq!(numbers(&finished(&app, &job).await), [1, 1, 0, 0, 0]);
        app.publish("order:paid", json!({})).await;
        let run = app.end_of(&run).await;
        assert_eq!((&run["version"], &step(&run, "b")["output"]), (&json!(2), &json!("new")));
    });
}
