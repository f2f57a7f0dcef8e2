//! The key that secrets are sealed with: checked, exchanged while it is used, and after kills.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use ergane::app::one_time_code::{code_at, step_at};
use ergane::boot::doors::{Doors, Serving};
use ergane::clock::Clock;
use ergane::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::reach_inner_networks;
use crate::peer::Peer;
use crate::people::{Browser, joined};
use crate::process::Process;
use crate::support::{TestApp, config_in, send, with_config};

const CANARY: &str = "canary-51d0-do-not-show";
const STATE: &str = "/v1/system/secrets";
const ROTATE: &str = "/v1/system/secrets/rotate-key";

fn lines(directory: &Path) -> Vec<String> {
    let text = fs::read_to_string(directory.join("secret.key")).expect("the keys");
    text.lines().map(str::to_owned).collect()
}

async fn settled(app: &TestApp) -> Value {
    for _ in 0..1_000 {
        let state = app.get(STATE).await.expect(200);
        if state["state"] == "settled" {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the exchange of keys does not end");
}

async fn refusal(config: &Config) -> String {
    match Serving::open(config, Doors::All).await {
        Ok(_) => panic!("it started"),
        Err(error) => format!("{error:#}"),
    }
}

/// A workflow that sends the secret `name` to `peer`.
fn sends(name: &str, peer: &Peer) -> Value {
    json!({"name": format!("send-{name}").replace('_', "-"), "steps": [
        {"id": "call", "activity": "workflows:http-request-platform", "retry": {"attempts": 1},
            "input": {"url": peer.url, "headers": {"X-Secret": format!("{{{{secrets.{name}}}}}")}}}]})
}

async fn sent(app: &TestApp, name: &str, peer: &Peer) -> String {
    let definition = sends(name, peer);
    let path = format!("/v1/workflows/{}", definition["name"].as_str().expect("a name"));
    app.put(&path, definition.clone()).await;
    let run = app.post(&format!("{path}/run"), json!({})).await.expect(202);
    let run = app.end_of(run["id"].as_str().expect("an id")).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    peer.received().last().expect("a call").header("x-secret").to_owned()
}

#[test]
fn a_key_that_others_can_read_is_refused_with_its_cure() {
    let directory = TempDir::new().expect("a directory");
    let config = config_in(directory.path());
    actix::System::new().block_on(async {
        TestApp::open(&config).await.0.stop().await;
        let key = directory.path().join("secret.key");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("ours");
        let said = refusal(&config).await;
        assert!(said.contains("secret.key") && said.contains("chmod 600"), "{said}");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("ours");
        TestApp::open(&config).await.0.stop().await;
    });
}

#[test]
fn everything_that_is_sealed_moves_to_the_new_key_and_the_old_one_goes() {
    let directory = TempDir::new().expect("a directory");
    let mut config = config_in(directory.path());
    reach_inner_networks(&mut config);
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        let peer = Peer::friendly().await;
        let secret = json!({ "value": CANARY, "hosts": ["127.0.0.1"] });
        app.put("/v1/secrets/token", secret).await.expect(200);
        let connection = json!({"name": "chat", "app": "slack", "settings": {"baseUrl": peer.url},
            "secrets": {"botToken": "xoxb-of-the-test"}});
        app.post("/v1/connections", connection).await.expect(201);
        app.post("/v1/event-types", json!({ "type": "order:placed" })).await.expect(201);
        let hook = json!({"url": peer.url, "types": ["order:*"], "headers": {"X-Own": CANARY}});
        app.post("/v1/webhooks", hook).await.expect(201);
        let mut browser = joined(&app, "ada@example.com", &["admin"]).await;
        let begun = browser.call(Method::POST, "/v1/me/second-factor", json!({})).await.expect(201);
        let factor = crate::people::unbase32(begun["secret"].as_str().expect("a secret"));
        let code = |offset: i64| {
            code_at(&factor, step_at(Clock::system().now()).saturating_add_signed(offset))
        };
        let confirm = json!({ "code": code(-1) });
        browser.call(Method::POST, "/v1/me/second-factor/confirm", confirm).await.expect(200);
        let make_key = || {
            let body = json!({ "name": "bot", "scopes": ["runs:read"] });
            app.request(Method::POST, "/v1/keys").header("idempotency-key", "once").json(&body)
        };
        let made = send(make_key()).await.expect(201);
        let old = lines(directory.path());
        let before = app.get(STATE).await.expect(200);

        let begun = app.post(ROTATE, json!({})).await.expect(202);
        assert_eq!(begun["olderKeyIds"], json!([before["keyId"]]));
        app.post(ROTATE, json!({})).await.refused(409, "rotation_pending");
        assert_eq!(sent(&app, "token", &peer).await, CANARY, "it is used all the while");
        let after = settled(&app).await;
        assert_ne!(after["keyId"], before["keyId"]);
        assert_eq!(after["olderKeyIds"], json!([]));
        serving.stop().await;

        let new = lines(directory.path());
        assert!(new.len() == 1 && old.len() == 1 && new != old);
        let mut former = config.clone();
        former.secret_key = old[0].clone();
        assert!(refusal(&former).await.contains("sealed with another key"));

        let (serving, app) = TestApp::open(&config).await;
        assert_eq!(sent(&app, "token", &peer).await, CANARY);
        let tried = app.post("/v1/connections/chat/test", json!({})).await.expect(200);
        assert!(tried.to_string().len() > 2, "{tried}");
        let calls = peer.received();
        assert!(calls.iter().any(|call| call.header("authorization").contains("xoxb-of-the-test")));
        let known = peer.received().len();
        app.publish("order:placed", json!({})).await;
        let delivered = peer.until(known + 1).await;
        assert_eq!(delivered[known].header("x-own"), CANARY);
        assert!(!delivered[known].header("webhook-signature").is_empty());
        let mut other = Browser::at(&app.base);
        let entered = other.sign_in("ada@example.com", crate::people::PASSWORD, &code(1)).await;
        assert_eq!(entered.status, 303);
        let again = app.request(Method::POST, "/v1/keys").header("idempotency-key", "once");
        let body = json!({ "name": "bot", "scopes": ["runs:read"] });
        let again = send(again.json(&body)).await;
        assert_eq!(again.header("idempotency-replayed"), Some("true"));
        assert_eq!(again.expect(201)["key"], made["key"]);
        let audit = app.get("/v1/audit?action=secret.rotateKey").await.expect(200);
        assert_eq!(audit["data"][0]["target"], after["keyId"]);
        serving.stop().await;
    });
}

#[test]
fn a_key_that_is_given_is_exchanged_by_giving_two() {
    let directory = TempDir::new().expect("a directory");
    let config = Config { secret_key: "11".repeat(32), ..config_in(directory.path()) };
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        app.put("/v1/secrets/token", json!({ "value": CANARY })).await.expect(200);
        app.post(ROTATE, json!({})).await.refused(409, "key_is_given");
        serving.stop().await;
        assert!(!directory.path().join("secret.key").exists());

        let both = format!("{} {}", "22".repeat(32), "11".repeat(32));
        let (serving, app) = TestApp::open(&Config { secret_key: both, ..config.clone() }).await;
        settled(&app).await;
        serving.stop().await;

        let new = Config { secret_key: "22".repeat(32), ..config.clone() };
        let (serving, app) = TestApp::open(&new).await;
        assert_eq!(app.get("/v1/secrets").await.expect(200)["data"][0]["name"], "token");
        serving.stop().await;
        assert!(refusal(&config).await.contains("give the right one"));
    });
}

#[test]
fn only_an_owner_of_the_appliance_exchanges_the_key() {
    with_config(
        |_| (),
        |app| async move {
            let made = app.post("/v1/tenants", json!({ "slug": "acme", "name": "Acme" })).await;
            made.expect(201);
            let request = app.request(Method::POST, "/v1/keys").header("x-tenant", "acme");
            let body = json!({ "name": "theirs", "scopes": ["*"] });
            let theirs = send(request.json(&body)).await.expect(201);
            let theirs = app.with_key(theirs["key"].as_str().expect("a key"));
            assert_eq!(theirs.post(ROTATE, json!({})).await.status, 403);
            assert_eq!(theirs.get(STATE).await.status, 403);
        },
    );
}

#[test]
fn an_exchange_that_is_killed_at_any_moment_goes_on_and_loses_nothing() {
    const SECRETS: usize = 600;
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let peer = Peer::friendly().await;
        let mut process = Process::start(&data);
        for number in 0..SECRETS {
            let body = json!({ "value": format!("{CANARY}-{number}"), "hosts": ["127.0.0.1"] });
            process.app.put(&format!("/v1/secrets/s{number}"), body).await.expect(200);
        }
        let first = lines(&data);
        for millis in [0, 2, 5, 9, 14, 25, 60, 550] {
            settled(&process.app).await;
            process.app.post(ROTATE, json!({})).await.expect(202);
            tokio::time::sleep(Duration::from_millis(millis)).await;
            process.kill();
            assert!((1..=2).contains(&lines(&data).len()));
            process = Process::start(&data);
            let number = (millis as usize * 7) % SECRETS;
            let name = format!("s{number}");
            assert_eq!(sent(&process.app, &name, &peer).await, format!("{CANARY}-{number}"));
        }
        settled(&process.app).await;
        assert!(lines(&data).len() == 1 && lines(&data) != first);
        for number in (0..SECRETS).step_by(97) {
            let name = format!("s{number}");
            assert_eq!(sent(&process.app, &name, &peer).await, format!("{CANARY}-{number}"));
        }
        process.kill();
    });
}

#[test]
fn the_command_exchanges_the_key_with_and_without_a_server() {
    let directory = TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let process = Process::start(&data);
    let rotate = || {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ergane"));
        command.args(["secret", "rotate-key", "--json", "--data-dir"]).arg(&data);
        let ended = crate::process::run(command);
        assert!(ended.status.success(), "{ended:?}");
        lines(&data)
    };
    let first = lines(&data);
    let second = rotate();
    assert!(second.len() == 1 && second != first);
    process.stop();
    let third = rotate();
    assert!(third.len() == 1 && third != second);
}
