//! Secrets: sealed in the file, never given back, and useless with another key.

use std::future::Future;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::peer::{Peer, Received, Reply};
use crate::support::{TestApp, config_in, with_app, with_config};

const CANARY: &str = "canary-7f3a-do-not-show";

#[test]
fn a_secret_is_listed_by_name_and_never_by_value() {
    with_app(|app| async move {
        let body = json!({ "value": CANARY, "hosts": ["api.example.com"] });
        let made = app.put("/v1/secrets/token", body.clone()).await.expect(200);
        assert_eq!((&made["name"], &made["version"]), (&json!("token"), &json!(1)));
        let again = app.put("/v1/secrets/token", body).await.expect(200);
        assert_eq!(again["version"], 2);
        let list = app.get("/v1/secrets").await;
        assert!(!list.text.contains(CANARY), "{}", list.text);
        assert_eq!(list.expect(200)["data"][0]["hosts"], json!(["api.example.com"]));
        app.delete("/v1/secrets/token").await.expect(204);
        app.delete("/v1/secrets/token").await.refused(404, "secret_not_found");
        // A version is never used again.
        let back = app.put("/v1/secrets/token", json!({ "value": CANARY })).await.expect(200);
        assert_eq!(back["version"], 3);
    });
}

#[test]
fn a_secret_that_is_none_is_refused_with_its_place() {
    with_app(|app| async move {
        let body = json!({ "value": "", "hosts": ["https://api.example.com"] });
        let problem = app.put("/v1/secrets/token", body).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/value");
        let body = json!({ "value": CANARY, "hosts": ["https://api.example.com"] });
        let refused = app.put("/v1/secrets/not-a-name", body).await;
        assert!(!refused.text.contains(CANARY), "{}", refused.text);
        let problem = refused.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/name");
        assert_eq!(problem["errors"][1]["pointer"], "/hosts/0");
    });
}

#[test]
fn the_file_holds_no_secret_and_opens_with_its_own_key_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = config_in(directory.path());
    actix::System::new().block_on(async {
        let (serving, app) = TestApp::open(&config).await;
        app.put("/v1/secrets/token", json!({ "value": CANARY })).await.expect(200);
        serving.stop().await;

        let key = directory.path().join("secret.key");
        let own = std::fs::read_to_string(&key).expect("the key was made");
        for entry in std::fs::read_dir(directory.path()).expect("the directory") {
            let bytes = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
            let shown = bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
            assert!(!shown, "the secret lies open in the data directory");
        }

        let mut foreign = config.clone();
        foreign.secret_key = "11".repeat(32);
        let refusal = refused(&foreign).await;
        assert!(refusal.contains("sealed with another key"), "{refusal}");
        std::fs::remove_file(&key).expect("the key is there");
        let refusal = refused(&config).await;
        assert!(refusal.contains("is missing; put it back"), "{refusal}");
        assert!(!key.exists(), "a refused start leaves no key behind");

        std::fs::write(&key, own).expect("the key is put back");
        let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&key, owner).expect("it is ours");
        let (serving, app) = TestApp::open(&config).await;
        assert_eq!(app.get("/v1/secrets").await.expect(200)["data"][0]["name"], "token");
        serving.stop().await;
    });
}

async fn refused(config: &ergane::config::Config) -> String {
    use ergane::boot::doors::{Doors, Serving};
    match Serving::open(config, Doors::All).await {
        Ok(_) => panic!("a foreign key was taken"),
        Err(error) => format!("{error:#}"),
    }
}

fn calls(name: &str, input: Value) -> Value {
    json!({"name": name, "trigger": {"event": "thing:happened"}, "steps": [
        {"id": "call", "activity": "workflows:http-request-platform", "input": input,
            "compensate": "none", "retry": {"attempts": 1}}]})
}

async fn run_of(app: &TestApp, payload: Value) -> (Value, String) {
    let run = app.publish("thing:happened", payload).await.remove(0);
    let view = app.end_of(&run).await;
    let mut all = view.to_string();
    for path in ["journal", ""] {
        let path = format!("/v1/runs/{run}/{path}");
        all += &app.get(path.trim_end_matches('/')).await.text;
    }
    (view, all)
}

fn with_outside<F: Future<Output = ()>>(test: impl FnOnce(TestApp) -> F) {
    let allow = |config: &mut ergane::config::Config| {
        config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    with_config(allow, test);
}

#[test]
fn a_step_sends_a_secret_and_nobody_else_sees_it() {
    with_outside(|app| async move {
        let echo = |_: usize, received: &Received| {
            let auth = received.header("authorization").to_owned();
            let long = format!("{}{auth}", "x".repeat(995));
            let status = if received.path == "/fails" { 400 } else { 200 };
            let encoded = base64::engine::general_purpose::STANDARD.encode(&auth);
            Reply::Status(status, json!([auth, encoded, long]))
        };
        let peer = Peer::start(echo).await;
        let secret = json!({ "value": CANARY, "hosts": ["127.0.0.1"] });
        app.put("/v1/secrets/token", secret).await.expect(200);
        let forged = json!({"text": "{{secrets.token}}"});
        for (path, header, status) in [
            ("/", json!({"headers": {"Authorization": "Bearer {{secrets.token}}"}}), "succeeded"),
            ("/fails", json!({"auth": {"bearer": "{{ secrets.token }}"}}), "failed"),
            ("/", json!({"auth": {"username": "u", "password": "{{secrets.token}}"}}), "succeeded"),
        ] {
            let mut input = header;
            input["url"] = json!(format!("{}{path}", peer.url));
            input["method"] = json!("POST");
            input["body"] = json!("{{ trigger.payload.text }}");
            app.put("/v1/workflows/call", calls("call", input)).await;
            let (run, all) = run_of(&app, forged.clone()).await;
            assert_eq!(run["status"], status, "{run}");
            let half = &CANARY[..CANARY.len() / 2];
            assert!(!all.contains(half), "the secret is seen in {all}");
            assert!(all.contains("{{secrets.token}}"), "the journal names it: {all}");
        }
        let received = peer.received();
        assert_eq!(received[0].header("authorization"), format!("Bearer {CANARY}"));
        assert_eq!(received[1].header("authorization"), format!("Bearer {CANARY}"));
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("u:{CANARY}"));
        assert_eq!(received[2].header("authorization"), format!("Basic {basic}"));
    });
}

#[test]
fn a_secret_stays_away_from_hosts_that_it_is_not_bound_to() {
    with_outside(|app| async move {
        let peer = Peer::friendly().await;
        let secret = json!({ "value": CANARY, "hosts": ["api.example.com"] });
        app.put("/v1/secrets/token", secret).await.expect(200);
        for (name, code) in [("token", "secret_refused"), ("none", "secret_missing")] {
            let header = format!("{{{{secrets.{name}}}}}");
            let input = json!({"url": peer.url, "headers": {"X-Any": header}});
            app.put("/v1/workflows/call", calls("call", input)).await;
            let (run, all) = run_of(&app, json!({})).await;
            assert_eq!(run["error"]["code"], code, "{run}");
            assert!(!all.contains(CANARY));
        }
        assert!(peer.received().is_empty());
    });
}

#[test]
fn secrets_are_refused_wherever_they_would_be_seen() {
    with_app(|app| async move {
        for (input, pointer, code) in [
            (json!({"body": "{{secrets.token}}"}), "/steps/0/input/body", "secret_not_allowed"),
            (
                json!({"headers": {"A": "{{ secrets.token | upper }}"}}),
                "/steps/0/input/headers/A",
                "secret_in_expression",
            ),
            (
                json!({"headers": {"A": "{{secrets}}"}}),
                "/steps/0/input/headers/A",
                "invalid_secret",
            ),
        ] {
            let mut input = input;
            input["url"] = json!("https://api.example.com");
            let refused = app.post("/v1/workflows", calls("call", input)).await.expect(422);
            let found = &refused["errors"][0];
            assert_eq!((&found["pointer"], &found["code"]), (&json!(pointer), &json!(code)));
        }
    });
}
