//! Other systems over saved connections, played by one local server that answers as they document.

mod calls;
mod doubt;
mod elsewhere;
mod examples;
mod tokens;
mod undo;

use serde_json::{Value, json};

use crate::peer::Received;
use crate::support::{TestApp, with_config};

const CANARY: &str = "canary-4c1e-do-not-show";

fn with_outside<F: Future<Output = ()>>(test: impl FnOnce(TestApp) -> F) {
    let allow = |config: &mut ergane::config::Config| {
        config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")];
    };
    with_config(allow, test);
}

/// The verb of a request.
fn verb(received: &Received) -> &str {
    received.head.split(' ').next().unwrap_or_default()
}

/// Makes one connection to each system that the server at `url` plays.
async fn connect_all(app: &TestApp, url: &str) {
    for (name, kind, settings, secrets) in [
        ("chat", "slack", json!({}), json!({"botToken": CANARY})),
        (
            "tracker",
            "jira",
            json!({"email": "ada@example.com", "project": "OPS"}),
            json!({"apiToken": CANARY}),
        ),
        ("plan", "linear", json!({"teamId": "team-1"}), json!({"apiKey": CANARY})),
        (
            "model",
            "ai",
            json!({"model": "gpt-x", "inputPrice": 2.5, "outputPrice": 10}),
            json!({"apiKey": CANARY}),
        ),
    ] {
        let mut settings = settings;
        settings["baseUrl"] = json!(format!("{url}/{kind}"));
        connect(app, name, kind, settings, secrets).await;
    }
}

async fn connect(app: &TestApp, name: &str, kind: &str, settings: Value, secrets: Value) {
    let body = json!({"name": name, "app": kind, "settings": settings, "secrets": secrets});
    app.post("/v1/connections", body).await.expect(201);
}

fn step(id: &str, activity: &str, input: Value) -> Value {
    json!({"id": id, "activity": activity, "input": input, "compensate": "none",
        "retry": {"attempts": 3, "initial": "1ms"}})
}

/// Runs steps to the end; no secret may be seen anywhere on the way.
async fn run_of(app: &TestApp, steps: Value) -> Value {
    let definition =
        json!({"name": "tell", "trigger": {"event": "thing:happened"}, "steps": steps});
    let saved = app.put("/v1/workflows/tell", definition).await;
    assert!(saved.status < 300, "{}", saved.text);
    let run = app.publish("thing:happened", json!({"n": 7})).await.remove(0);
    let view = app.end_of(&run).await;
    for path in ["", "/journal"] {
        let text = app.get(&format!("/v1/runs/{run}{path}")).await.text;
        assert!(!text.contains("do-not-show"), "a secret is seen in {text}");
    }
    view
}

/// Runs one step and returns it.
async fn step_of(app: &TestApp, activity: &str, input: Value) -> Value {
    let run = run_of(app, json!([step("it", activity, input)])).await;
    run["steps"][0].clone()
}
