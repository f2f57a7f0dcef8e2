//! Backups: taken while the server works, restored elsewhere, and resting there until told to go on.

use std::path::Path;
use std::time::Duration;

use ergane::clock::Clock;
use ergane::config::Config;
use ergane::store::backup::{Restoring, Start, restore};
use reqwest::Method;
use serde_json::{Value, json};

use crate::acceptance::{begun, by_hand, reach_inner_networks, transform};
use crate::peer::Peer;
use crate::support::{TestApp, config_in, send, with_app};

/// Takes a backup and returns its name.
async fn backed_up(app: &TestApp) -> String {
    let job = app.post("/v1/system/backups", json!({})).await.expect(202);
    let name = job["name"].as_str().expect("a name").to_owned();
    for _ in 0..2_000 {
        let list = app.get("/v1/system/backups").await.expect(200);
        let job = &list["state"]["job"];
        assert_eq!(job["name"], name.as_str(), "{job}");
        match job["state"].as_str() {
            Some("completed") => return name,
            Some("running") => tokio::time::sleep(Duration::from_millis(5)).await,
            _ => panic!("{job}"),
        }
    }
    panic!("the backup never ended");
}

fn restored(from: &Path, name: &str, to: &Path, start: Start) {
    let backup = from.join("backups").join(name);
    let order = Restoring {
        backup: &backup,
        data_dir: to,
        now: Clock::system().now(),
        at: None,
        logs: &[],
        start,
    };
    restore(&order).expect("it is restored");
    let key = from.join("secret.key");
    std::fs::copy(key, to.join("secret.key")).expect("the key is copied");
}

fn settings(directory: &Path) -> Config {
    let mut config = config_in(directory);
    reach_inner_networks(&mut config);
    config
}

fn calling(id: &str, url: &str) -> Value {
    json!({"id": id, "activity": "workflows:http-request-platform",
        "input": {"method": "POST", "url": format!("{url}/{id}")}})
}

/// Fills an appliance: a run that sleeps before its call, a schedule, a subscriber, a ticket.
async fn filled(app: &TestApp, peer: &Peer) -> String {
    let steps = json!([{"id": "nap", "sleep": "50ms"}, {"id": "wait", "sleep": "3s"},
        calling("late", &peer.url)]);
    app.save(by_hand("sleeper", steps)).await;
    let schedule = json!({"name": "often", "trigger": {"schedule": {"cron": "* * * * * *", "timezone": "UTC"}},
        "steps": [calling("scheduled", &peer.url)]});
    app.post("/v1/workflows", schedule).await.expect(201);
    app.post("/v1/event-types", json!({"type": "order:placed"})).await.expect(201);
    let run = begun(app, "sleeper", json!({})).await;
    app.until(&run, "waiting").await;
    let team = app.team().await;
    app.ticket(&team, json!({})).await;
    run
}

#[test]
fn a_restored_appliance_makes_no_call_until_it_is_told_to_go_on() {
    let (from, to) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    actix::System::new().block_on(async {
        let peer = Peer::friendly().await;
        let (serving, app) = TestApp::open(&settings(from.path())).await;
        let run = filled(&app, &peer).await;
        let hook = json!({"url": format!("{}/hook", peer.url), "types": ["order:*"]});
        app.post("/v1/webhooks", hook).await.expect(201);
        let name = backed_up(&app).await;
        app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await;
        serving.stop().await;
        let before = peer.received().len();

        restored(from.path(), &name, to.path(), Start::Paused);
        let (serving, app) = TestApp::open(&settings(to.path())).await;
        let ready = app.get("/readyz").await.refused(503, "not_ready");
        assert_eq!(ready["reasons"][0]["code"], "paused", "{ready}");
        assert!(app.get("/v1/system/info").await.expect(200)["paused"]["reason"].is_string());
        let refused = app.post("/v1/events/order:placed", json!({"n": 1})).await;
        refused.refused(503, "paused");
        app.post("/v1/workflows/sleeper/run", json!({})).await.refused(503, "paused");
        // Reading and setting go on, and so does what they tell.
        assert_eq!(app.get(&format!("/v1/runs/{run}")).await.expect(200)["status"], "waiting");
        app.post("/v1/teams", json!({"name": "Others"})).await.expect(201);
        assert_eq!(
            app.get("/v1/tickets").await.expect(200)["data"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(app.get("/v1/audit/verify").await.expect(200)["valid"], true);
        // The deadline of the run has passed in the meantime, and the schedule's many times.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        assert_eq!(peer.received().len(), before, "nothing was called");

        app.post("/v1/system/resume", json!({})).await.expect(200);
        app.get("/readyz").await.expect(200);
        let ended = app.end_of(&run).await;
        assert_eq!(ended["status"], "succeeded", "{ended:#}");
        assert!(peer.received().iter().any(|it| it.path == "/late"));
        app.publish("order:placed", json!({"n": 2})).await;
        peer.until(before + 2).await;
        app.post("/v1/system/resume", json!({})).await.refused(409, "not_paused");
        let audit = app.get("/v1/audit?limit=50").await.expect(200);
        assert!(audit.to_string().contains("system.resume"), "{audit}");
        serving.stop().await;
    });
}

#[test]
fn one_run_goes_on_alone_and_the_rest_stays_paused_over_a_restart() {
    let (from, to) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    actix::System::new().block_on(async {
        let peer = Peer::friendly().await;
        let (serving, app) = TestApp::open(&settings(from.path())).await;
        let first = filled(&app, &peer).await;
        let second = begun(&app, "sleeper", json!({})).await;
        app.until(&second, "waiting").await;
        let name = backed_up(&app).await;
        serving.stop().await;
        let before = peer.received().len();

        restored(from.path(), &name, to.path(), Start::Paused);
        let (serving, app) = TestApp::open(&settings(to.path())).await;
        let still = app.post("/v1/system/resume", json!({"run": first})).await.expect(200);
        assert_eq!(still["paused"]["runs"], json!([first]));
        assert_eq!(app.end_of(&first).await["status"], "succeeded");
        peer.until(before + 1).await;
        serving.stop().await;
        let (serving, app) = TestApp::open(&settings(to.path())).await;
        assert_eq!(app.get(&format!("/v1/runs/{second}")).await.expect(200)["status"], "waiting");
        // Ending a run makes no call, and needs nobody to go on.
        let cancel = json!({"compensate": false});
        app.post(&format!("/v1/runs/{second}/cancel"), cancel).await;
        app.until(&second, "cancelled").await;
        assert_eq!(peer.received().len(), before + 1);
        app.post("/v1/system/resume", json!({"tenant": "nobody"}))
            .await
            .refused(404, "tenant_not_found");
        app.post("/v1/system/resume", json!({"tenant": "default"})).await.expect(200);
        app.save(by_hand("quick", json!([transform("a", json!(1))]))).await;
        let run = begun(&app, "quick", json!({})).await;
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        serving.stop().await;
    });
}

#[test]
fn backups_are_listed_checked_downloaded_and_removed_by_the_owner_alone() {
    with_app(async |app| {
        let name = backed_up(&app).await;
        let list = app.get("/v1/system/backups").await.expect(200);
        let backup = &list["data"][0];
        assert_eq!(backup["name"], name.as_str());
        assert!(
            backup["manifest"]["rows"].as_u64() > Some(5) && backup["fault"].is_null(),
            "{list:#}"
        );
        assert!(backup["verifiedAt"].is_string() && list["state"]["lastSuccessAt"].is_string());
        let path = format!("/v1/system/backups/{name}");
        app.post(&format!("{path}/verify"), json!({})).await.expect(200);
        let file = app.request(Method::GET, &path).send().await.expect("an answer");
        let attached = file.headers()["content-disposition"].to_str().expect("a text").to_owned();
        assert_eq!(attached, format!("attachment; filename=\"{name}\""));
        let bytes = file.bytes().await.expect("a body");
        assert_eq!(Some(bytes.len() as u64), backup["bytes"].as_u64());
        assert!(bytes.starts_with(b"ergane backup 1\n"));

        let key = json!({"name": "other", "scopes": ["system:read", "events:read"]});
        let key = app.post("/v1/keys", key).await.expect(201);
        let other = app.with_key(key["key"].as_str().expect("a key"));
        for request in [
            other.request(Method::GET, "/v1/system/backups"),
            other.request(Method::GET, &path),
            other.request(Method::DELETE, &path),
            other.request(Method::POST, "/v1/system/backups"),
            other.request(Method::POST, "/v1/system/resume"),
        ] {
            send(request).await.refused(403, "forbidden");
        }
        for bad in ["..%2F..%2Fergane.redb", "ergane.redb", ".backup"] {
            let answer = app.get(&format!("/v1/system/backups/{bad}")).await;
            assert!(matches!(answer.status, 404 | 422), "{bad}: {}", answer.text);
        }
        app.delete(&path).await.expect(204);
        app.get(&path).await.refused(404, "backup_not_found");
        let audit = app.get("/v1/audit?limit=50").await.expect(200).to_string();
        for action in ["backup.create", "backup.verify", "backup.download", "backup.delete"] {
            assert!(audit.contains(action), "{action} in {audit}");
        }
        let events = app.get("/v1/events?type=backup:completed").await.expect(200);
        assert_eq!(events["data"][0]["payload"]["backup"], name.as_str(), "{events:#}");
        let metrics = app.get("/metrics").await.text;
        assert!(metrics.contains("ergane_backup_failures_total 0"), "{metrics}");
        assert!(!metrics.contains("ergane_backup_last_success_timestamp_seconds 0"));
    });
}
