//! Destinations of calls: those that fail are left alone, pauses and throttles hold, and no call is
//! lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ergane::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peer::{Peer, Reply};
use crate::process::Process;
use crate::support::{TestApp, config_in, send, with_config};

const HTTP: &str = "workflows:http-request-platform";

/// Reaches servers on this machine, judges after four calls, and lets calls wait in memory shortly.
fn eager(config: &mut Config) {
    config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    config.engine.outside_wait_ms_max = 100;
    config.engine.destination_window_calls_min = 4;
    config.engine.destination_open_ms = 1_500;
}

fn calling(name: &str, url: &str, retry: Value) -> Value {
    json!({"name": name, "trigger": "manual", "steps": [
        {"id": "call", "activity": HTTP, "input": {"url": url, "method": "POST"}, "retry": retry},
    ]})
}

fn once() -> Value {
    json!({"attempts": 1})
}

async fn begin(app: &TestApp, workflow: &str) -> String {
    let run = app.post(&format!("/v1/workflows/{workflow}/run"), json!({})).await.expect(202);
    run["id"].as_str().expect("an id").to_owned()
}

async fn begin_all(app: &TestApp, workflow: &str, count: usize) -> Vec<String> {
    let mut runs = Vec::new();
    for _ in 0..count {
        runs.push(begin(app, workflow).await);
    }
    runs
}

fn path_of(name: &str) -> String {
    format!("/v1/destinations/{}", name.replace(':', "%3A").replace('/', "%2F"))
}

async fn until_state(app: &TestApp, name: &str, state: &str) -> Value {
    for _ in 0..600 {
        let answer = app.get(&path_of(name)).await;
        if answer.body["state"] == state {
            return answer.expect(200);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`{name}` never became {state}");
}

/// Insists that every run succeeds and used up one attempt.
async fn succeed_at_once(app: &TestApp, runs: &[String]) {
    for run in runs {
        let ended = app.end_of(run).await;
        assert_eq!(ended["status"], "succeeded", "{ended:#}");
        let attempts = ended["steps"][0]["attempts"].as_array().expect("a list");
        assert_eq!(attempts.len(), 1, "{ended:#}");
    }
}

/// A server that answers 503 until it is told to work.
async fn troubled() -> (Peer, Arc<AtomicBool>) {
    let works = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&works);
    let peer = Peer::start(move |_, _| match told.load(Ordering::SeqCst) {
        true => Reply::Status(200, json!({})),
        false => Reply::Status(503, json!({})),
    });
    (peer.await, works)
}

#[test]
fn a_destination_that_fails_is_left_alone_until_it_works_and_no_call_is_lost() {
    with_config(eager, |app| async move {
        let (peer, works) = troubled().await;
        let other = Peer::friendly().await;
        app.save(calling("bad", &peer.url, once())).await;
        app.save(calling("good", &other.url, once())).await;
        for run in begin_all(&app, "bad", 4).await {
            assert_eq!(app.end_of(&run).await["status"], "failed");
        }
        let seen = until_state(&app, &peer.url, "open").await;
        assert_eq!(seen["window"], json!({"calls": 4, "failures": 4}));
        assert_eq!(seen["lastFailure"]["code"], "http_503");

        let waiting = begin_all(&app, "bad", 10).await;
        for run in &waiting {
            let run = app.until(run, "waiting").await;
            let why = &run["waitingFor"];
            assert_eq!(
                (&why["kind"], &why["reason"]),
                (&json!("destination"), &json!("breakerOpen"))
            );
            assert_eq!((&why["step"], &why["destination"]), (&json!("call"), &json!(peer.url)));
            assert!(why["until"].is_string() && why["detail"].is_string(), "{why}");
            assert_eq!(run["steps"][0]["attempts"], json!([]), "no attempt is used up");
        }
        assert_eq!(peer.received().len(), 4, "it is left alone");
        let seen = app.get(&path_of(&peer.url)).await.expect(200);
        assert_eq!(seen["waiting"], 10, "{seen}");

        succeed_at_once(&app, &begin_all(&app, "good", 3).await).await;
        app.post("/v1/tenants", json!({"slug": "other", "name": "Other"})).await.expect(201);
        let there = |path: &str| app.request(Method::POST, path).header("x-tenant", "other");
        let definition = calling("bad", &peer.url, once());
        send(there("/v1/workflows").json(&definition)).await.expect(201);
        send(there("/v1/workflows/bad/run").json(&json!({}))).await.expect(202);
        peer.until(5).await;

        works.store(true, Ordering::SeqCst);
        succeed_at_once(&app, &waiting).await;
        until_state(&app, &peer.url, "closed").await;
        assert_eq!(peer.received().len(), 15, "every call arrived once");
        for (kind, reason) in [("opened", "503"), ("closed", "503")] {
            let path = format!("/v1/events?type=destination:{kind}");
            let events = app.get(&path).await.expect(200);
            let event = &events["data"][0];
            assert_eq!(event["payload"]["destination"]["name"], json!(peer.url), "{events:#}");
            let told = event["payload"]["reason"].as_str().unwrap_or_default();
            assert!(told.contains(reason), "{event:#}");
        }
        let metrics = app.get("/metrics").await.text;
        let line = format!(
            "ergane_destination_state{{tenant=\"default\",destination=\"{}\"}} 0",
            peer.url
        );
        assert!(metrics.contains(&line), "{metrics}");
    });
}

#[test]
fn a_destination_that_hangs_takes_no_more_than_its_share() {
    let change = |config: &mut Config| {
        eager(config);
        config.engine.destination_calls_max = 2;
    };
    with_config(change, |app| async move {
        let hanging = Peer::start(|_, _| Reply::Never).await;
        let other = Peer::friendly().await;
        let mut slow = calling("slow", &hanging.url, once());
        slow["steps"][0]["timeout"] = json!("30s");
        app.save(slow).await;
        app.save(calling("good", &other.url, once())).await;
        let runs = begin_all(&app, "slow", 6).await;
        let mut waiting = 0;
        for run in &runs[2..] {
            waiting +=
                usize::from(app.until(run, "waiting").await["waitingFor"]["reason"] == "busy");
        }
        assert_eq!((waiting, hanging.received().len()), (4, 2));
        succeed_at_once(&app, &begin_all(&app, "good", 5).await).await;
        // Whoever waits is cancelled at once, though the destination never answers.
        for run in &runs[2..] {
            app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
            let ended = app.end_of(run).await;
            assert_eq!(ended["status"], "cancelled");
            assert_eq!(ended["steps"][0]["status"], "cancelled", "{ended:#}");
        }
        assert_eq!(app.get(&path_of(&hanging.url)).await.expect(200)["waiting"], 0);
    });
}

#[test]
fn who_waits_for_a_place_goes_when_one_is_free() {
    let change = |config: &mut Config| {
        eager(config);
        config.engine.destination_calls_max = 1;
        config.engine.outside_wait_ms_max = 20;
    };
    with_config(change, |app| async move {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Never,
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let mut slow = calling("slow", &peer.url, once());
        slow["steps"][0]["timeout"] = json!("1s");
        app.save(slow).await;
        let first = begin(&app, "slow").await;
        peer.until(1).await;
        let others = begin_all(&app, "slow", 5).await;
        for run in &others {
            assert_eq!(app.until(run, "waiting").await["waitingFor"]["reason"], "busy");
        }
        assert_eq!(app.end_of(&first).await["status"], "failed");
        succeed_at_once(&app, &others).await;
        let received = peer.received();
        let took = received[5].at.duration_since(received[0].at);
        assert!(took < Duration::from_secs(10), "nobody waits for a look at the clock: {took:?}");
    });
}

#[test]
fn a_throttle_is_never_exceeded_and_every_call_arrives() {
    with_config(eager, |app| async move {
        let peer = Peer::friendly().await;
        let path = format!("/v1/activities/{HTTP}/throttle");
        let wanted = json!({"limit": 5, "window": "1s"});
        let set = app.put(&path, wanted).await.expect(200);
        assert_eq!(
            (&set["limit"], &set["window"], &set["key"]),
            (&json!(5), &json!("1s"), &json!("activity"))
        );
        let shown = app.get(&format!("/v1/activities/{HTTP}")).await.expect(200);
        assert_eq!(shown["throttle"], json!({"limit": 5, "window": "1s", "key": "activity"}));
        app.save(calling("call", &peer.url, once())).await;
        let runs = begin_all(&app, "call", 40).await;
        succeed_at_once(&app, &runs).await;
        let received = peer.received();
        assert_eq!(received.len(), 40);
        for six in received.windows(6) {
            let apart = six[5].at.duration_since(six[0].at);
            assert!(apart >= Duration::from_millis(1_000), "six within {apart:?}");
        }
        app.delete(&path).await.expect(204);
        app.delete(&path).await.refused(404, "throttle_not_found");
        let audit = app.get("/v1/audit?action=activity").await.expect(200);
        assert_eq!(audit["data"].as_array().map(Vec::len), Some(2), "{audit:#}");
        assert_eq!(audit["data"][1]["after"]["limit"], 5);
    });
}

#[test]
fn a_throttle_that_cannot_be_is_refused_with_its_places() {
    with_config(eager, |app| async move {
        let path = format!("/v1/activities/{HTTP}/throttle");
        let wrong = json!({"limit": 0, "window": "soon", "key": "planet", "speed": 1});
        let problem = app.put(&path, wrong).await.expect(422);
        let pointers: Vec<&Value> =
            problem["errors"].as_array().expect("a list").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(pointers, ["/limit", "/window", "/key", "/speed"]);
        let missing = app.put(&path, json!({})).await.expect(422);
        assert_eq!(missing["errors"].as_array().map(Vec::len), Some(2));
        let sleep = "/v1/activities/workflows:sleep-platform/throttle";
        app.put(sleep, json!({"limit": 1, "window": "1s"})).await.expect(422);
        let none = "/v1/activities/no:such/throttle";
        app.put(none, json!({"limit": 1, "window": "1s"})).await.expect(404);
    });
}

#[test]
fn a_throttle_counts_what_was_called_before_a_restart() {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    eager(&mut config);
    actix::System::new().block_on(async {
        let peer = Peer::friendly().await;
        let (serving, app) = TestApp::open(&config).await;
        let wanted = json!({"limit": 2, "window": "4s"});
        app.put(&format!("/v1/activities/{HTTP}/throttle"), wanted).await.expect(200);
        app.save(calling("call", &peer.url, once())).await;
        succeed_at_once(&app, &begin_all(&app, "call", 2).await).await;
        serving.stop().await;
        let (serving, app) = TestApp::open(&config).await;
        let runs = begin_all(&app, "call", 2).await;
        let why = app.until(&runs[0], "waiting").await["waitingFor"].clone();
        assert_eq!(why["reason"], "throttled", "{why}");
        succeed_at_once(&app, &runs).await;
        let received = peer.received();
        assert!(received[2].at.duration_since(received[0].at) >= Duration::from_secs(4));
        serving.stop().await;
    });
}

#[test]
fn what_the_platform_does_itself_is_throttled_too() {
    with_config(eager, |app| async move {
        let path = "/v1/activities/workflows:transform-platform/throttle";
        app.put(path, json!({"limit": 1, "window": "1h"})).await.expect(200);
        let step = json!({"id": "call", "activity": "workflows:transform-platform",
            "input": {"value": 1}});
        let definition = json!({"name": "t", "trigger": "manual", "steps": [step]});
        app.save(definition).await;
        let runs = begin_all(&app, "t", 2).await;
        succeed_at_once(&app, &runs[..1]).await;
        let why = app.until(&runs[1], "waiting").await["waitingFor"].clone();
        assert_eq!(why["reason"], "throttled", "{why}");
        app.post(&format!("/v1/runs/{}/cancel", runs[1]), json!({})).await.expect(202);
        assert_eq!(app.end_of(&runs[1]).await["status"], "cancelled");
    });
}

#[test]
fn a_pause_that_one_call_was_asked_for_holds_for_every_run() {
    with_config(eager, |app| async move {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Later(2),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        app.save(calling("call", &peer.url, json!({"attempts": 3, "initial": "10ms"}))).await;
        let first = begin(&app, "call").await;
        app.until(&first, "retrying").await;
        let others = begin_all(&app, "call", 5).await;
        let why = app.until(&others[0], "waiting").await["waitingFor"].clone();
        assert_eq!(why["reason"], "paused", "{why}");
        succeed_at_once(&app, &others).await;
        assert_eq!(app.end_of(&first).await["status"], "succeeded");
        let received = peer.received();
        assert_eq!(received.len(), 7);
        for later in &received[1..] {
            assert!(later.at.duration_since(received[0].at) >= Duration::from_secs(2));
        }
    });
}

#[test]
fn a_reset_drops_the_pause_and_lets_out_who_waits() {
    with_config(eager, |app| async move {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Later(6_000),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        app.save(calling("call", &peer.url, once())).await;
        let first = begin(&app, "call").await;
        assert_eq!(app.end_of(&first).await["status"], "failed");
        let others = begin_all(&app, "call", 3).await;
        for run in &others {
            app.until(run, "waiting").await;
        }
        let list = app.get("/v1/destinations").await.expect(200);
        let seen = &list["data"][0];
        assert_eq!((&seen["name"], &seen["waiting"]), (&json!(peer.url), &json!(3)));
        assert!(seen["pausedUntil"].is_string() && seen["state"] == "closed", "{seen}");
        let path = format!("{}/reset", path_of(&peer.url));
        let reset = app.post(&path, json!({})).await.expect(200);
        assert_eq!(reset["pausedUntil"], Value::Null);
        succeed_at_once(&app, &others).await;
        let audit = app.get("/v1/audit?action=destination.reset").await.expect(200);
        assert_eq!(audit["data"][0]["target"], json!(peer.url));
        app.post("/v1/destinations/nowhere/reset", json!({}))
            .await
            .refused(404, "destination_not_found");
    });
}

#[test]
fn urgent_workflows_call_first() {
    let change = |config: &mut Config| {
        eager(config);
        config.engine.outside_wait_ms_max = 20_000;
    };
    with_config(change, |app| async move {
        let peer = Peer::friendly().await;
        let wanted = json!({"limit": 1, "window": "1s"});
        app.put(&format!("/v1/activities/{HTTP}/throttle"), wanted).await.expect(200);
        for (name, priority) in [("crowd", "normal"), ("single", "normal"), ("urgent", "high")] {
            let mut definition = calling(name, &format!("{}/{name}", peer.url), once());
            definition["priority"] = json!(priority);
            app.save(definition).await;
        }
        let mut runs = begin_all(&app, "crowd", 4).await;
        runs.push(begin(&app, "single").await);
        runs.push(begin(&app, "urgent").await);
        succeed_at_once(&app, &runs).await;
        let order: Vec<String> = peer.received().into_iter().map(|it| it.path).collect();
        assert_eq!(order, ["/crowd", "/urgent", "/crowd", "/single", "/crowd", "/crowd"]);
    });
}

fn data_in(directory: &TempDir) -> std::path::PathBuf {
    Path::new(directory.path()).join("data")
}

#[test]
fn calls_that_wait_outlive_a_kill() {
    let directory = TempDir::new().expect("a directory");
    let data = data_in(&directory);
    actix::System::new().block_on(async {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Later(4),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let process = Process::start(&data);
        process.app.save(calling("call", &peer.url, once())).await;
        let first = begin(&process.app, "call").await;
        assert_eq!(process.app.end_of(&first).await["status"], "failed");
        let runs = begin_all(&process.app, "call", 5).await;
        for run in &runs {
            process.app.until(run, "waiting").await;
        }
        process.kill();
        let process = Process::start(&data);
        succeed_at_once(&process.app, &runs).await;
        let received = peer.received();
        assert_eq!(received.len(), 6, "every call arrived once");
        assert!(received[1].at.duration_since(received[0].at) >= Duration::from_secs(4));
    });
}
