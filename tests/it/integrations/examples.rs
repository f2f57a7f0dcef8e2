//! Whole workflows as people write them, run to their end against a local server.
//!
//! What differs from how they were first written down: the times are short, addresses are local,
//! a new ticket names its team and who asks, and keys that are no part of the language are left out.

use reqwest::Method;
use serde_json::{Value, json};

use crate::peer::{Peer, Received, Reply};
use crate::support::{TestApp, send};

use super::{CANARY, connect, with_outside};

const ESCALATE: &str = include_str!("examples/escalate-urgent.yaml");
const CLEAN_UP: &str = include_str!("examples/weekly-cleanup.yaml");
const INTAKE: &str = include_str!("examples/slack-intake.yaml");
const THENA: &str = include_str!("examples/thena.json");

fn fine(received: &Received) -> Reply {
    Reply::Status(
        200,
        json!({"ok": true, "channel": "C1", "ts": "1.1", "message":
        {"text": received.body["text"]}}),
    )
}

async fn save(app: &TestApp, text: &str) -> Value {
    let request = app.request(Method::POST, "/v1/workflows");
    let request = request.header("content-type", "application/yaml").body(text.to_owned());
    send(request).await.expect(201)
}

async fn connect_chat(app: &TestApp, url: &str) {
    let settings = json!({"baseUrl": url});
    connect(app, "support-slack", "slack", settings, json!({"botToken": CANARY})).await;
}

fn texts(peer: &Peer) -> Vec<String> {
    let sent = peer.received();
    sent.iter().filter_map(|it| it.body["text"].as_str().map(str::to_owned)).collect()
}

/// Returns the newest run of a workflow when it is over.
async fn newest_run(app: &TestApp, workflow: &str) -> Value {
    for _ in 0..400 {
        let listed = app.get(&format!("/v1/runs?workflow={workflow}")).await.expect(200);
        if let Some(run) = listed["data"][0]["id"].as_str() {
            return app.end_of(run).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("no run of {workflow} began");
}

#[test]
fn an_urgent_ticket_is_escalated_and_put_back_when_nobody_can_be_paged() {
    with_outside(|app| async move {
        let peer = Peer::start(|_, received| match received.path.as_str() {
            "/v1/incidents" => Reply::Status(503, json!({})),
            _ => fine(received),
        })
        .await;
        connect_chat(&app, &peer.url).await;
        let pager = json!({"baseUrl": peer.url});
        connect(&app, "pager", "http", pager, json!({"token": CANARY})).await;
        let secret = json!({"value": "pager-secret", "hosts": ["127.0.0.1"]});
        app.put("/v1/secrets/pager_token", secret).await;
        let text = ESCALATE.replace("https://pager.test", &peer.url);
        let saved = save(&app, &text).await;
        assert_eq!(saved["definition"]["tags"], json!(["support", "slack"]), "{saved}");
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"tags": ["vip"], "priorityName": "high"})).await;
        let id = ticket["id"].as_str().expect("an id");
        let mut seen = ticket.clone();
        for (name, value) in [
            ("priority", json!("high")),
            ("status", json!("open")),
            ("account", json!({"tier": "enterprise"})),
        ] {
            seen[name] = value;
        }
        let run = app.publish("ticket:escalated", json!({"ticket": seen})).await.remove(0);
        let run = app.end_of(&run).await;
        assert_eq!(
            (&run["status"], &run["compensation"]),
            (&json!("failed"), &json!("done")),
            "{run}"
        );
        assert_eq!(run["steps"][2]["attempts"].as_array().map(Vec::len), Some(3), "{run}");
        let after = app.get(&format!("/v1/tickets/{id}")).await.expect(200);
        assert_eq!(
            (&after["priorityName"], &after["tags"]),
            (&ticket["priorityName"], &json!(["vip"]))
        );
        let told = texts(&peer);
        assert!(told[0].contains("is now HIGH"), "{told:?}");
        assert!(told[1].contains("was rolled back"), "{told:?}");
    });
}

#[test]
fn stale_tickets_are_archived_and_reported() {
    with_outside(|app| async move {
        let peer = Peer::start(|_, received| fine(received)).await;
        connect_chat(&app, &peer.url).await;
        let team = app.team().await;
        let closed = app.ticket(&team, json!({"statusName": "Closed"})).await;
        let open = app.ticket(&team, json!({})).await;
        save(&app, CLEAN_UP).await;
        app.post("/v1/workflows/weekly-cleanup/run", json!({})).await;
        let run = newest_run(&app, "weekly-cleanup").await;
        assert_eq!(run["status"], "succeeded", "{run}");
        assert_eq!(run["steps"][1]["output"]["archived"], json!([closed["id"]]), "{run}");
        let is_archived = async |ticket: &Value| {
            let id = ticket["id"].as_str().expect("an id");
            app.get(&format!("/v1/tickets/{id}")).await.expect(200)["isArchived"].clone()
        };
        assert_eq!(
            (is_archived(&closed).await, is_archived(&open).await),
            (json!(true), json!(false))
        );
        assert_eq!(texts(&peer), ["Weekly clean-up: archived 1 of 1 tickets."]);
    });
}

#[test]
fn a_slack_message_becomes_a_ticket_that_is_chased() {
    with_outside(|app| async move {
        let peer = Peer::start(|_, received| fine(received)).await;
        connect_chat(&app, &peer.url).await;
        let team = app.team().await;
        save(&app, &INTAKE.replace("TEAM", &team)).await;
        let user = json!({"is_bot": false, "real_name": "Ada", "profile":
            {"company": "Acme", "email": "ada@acme.test"}});
        let message = json!({"channel": {"id": "C7", "name": "help-desk"}, "ts": "9.9",
            "team": "T1", "text": "The printer is on fire", "user": user});
        let run = app.publish("slack:message", message.clone()).await.remove(0);
        // The same message again is the same message.
        assert!(app.publish("slack:message", message).await.is_empty());
        let run = app.end_of(&run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let ticket = run["steps"][1]["output"]["id"].as_str().expect("a ticket");
        let ticket = app.get(&format!("/v1/tickets/{ticket}")).await.expect(200);
        assert_eq!((&ticket["isEscalated"], &ticket["source"]), (&json!(true), &json!("slack")));
        let sent = peer.received();
        assert_eq!(sent[0].body["thread_ts"], "9.9");
        assert!(texts(&peer)[1].starts_with(":hourglass:"));
    });
}

#[test]
fn thenas_own_body_runs_with_the_id_that_its_samples_name() {
    with_outside(|app| async move {
        let made = app.post("/api/v1/workflows", serde_json::from_str(THENA).expect("JSON")).await;
        assert!(made.status < 300, "{}", made.text);
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({"priorityName": "high"})).await;
        let id = ticket["id"].as_str().expect("an id");
        let seen = json!({"ticket": {"id": id, "priority": "urgent"}});
        let run = app.publish("ticket:escalated", seen).await.remove(0);
        let run = app.end_of(&run).await;
        assert_eq!(run["status"], "succeeded", "{run}");
        let after = app.get(&format!("/v1/tickets/{id}")).await.expect(200);
        assert_eq!(
            after["priorityName"].as_str().map(str::to_lowercase).as_deref(),
            Some("urgent")
        );
    });
}
