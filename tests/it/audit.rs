//! The audit: every change is recorded with who and from where, and every touch is found.

use serde_json::{Value, json};

use crate::people::joined;
use crate::process::{Process, run};
use crate::support::{TestApp, with_app, with_config};

async fn records(app: &TestApp, query: &str) -> Vec<Value> {
    let answer = app.get(&format!("/v1/audit?limit=200&{query}")).await.expect(200);
    answer["data"].as_array().expect("a list").clone()
}

fn definition(name: &str) -> Value {
    json!({
        "name": name, "trigger": { "event": "app:x" },
        "steps": [{ "id": "nap", "sleep": "4h" }],
    })
}

#[test]
fn every_change_is_recorded_in_order_and_what_changed_nothing_is_left_out() {
    with_app(async |app| {
        app.save(definition("nap")).await;
        for _ in 0..2 {
            app.post("/v1/workflows/nap/disable", json!({})).await.expect(200);
        }
        app.post("/v1/workflows/nap/enable", json!({})).await.expect(200);
        let run = app.publish("app:x", json!({})).await.remove(0);
        app.post(&format!("/v1/runs/{run}/cancel"), json!({})).await.expect(202);
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let ticket = ticket["id"].as_str().expect("an id").to_owned();
        app.patch(&format!("/v1/tickets/{ticket}"), json!({ "title": "Cold" })).await.expect(200);
        app.delete("/v1/workflows/nap").await.expect(204);
        let wanted = json!({ "name": "k", "scopes": ["runs:read"] });
        let key = app.post("/v1/keys", wanted).await.expect(201);
        let key_id = key["id"].as_str().expect("an id").to_owned();
        app.delete(&format!("/v1/keys/{key_id}")).await.expect(204);
        app.post("/v1/tenants", json!({ "slug": "other" })).await.expect(201);

        let all = records(&app, "").await;
        let actions: Vec<&str> = all.iter().rev().filter_map(|it| it["action"].as_str()).collect();
        assert_eq!(
            actions,
            [
                "key.create",
                "workflow.save",
                "workflow.disable",
                "workflow.enable",
                "run.cancel",
                "team.create",
                "ticket.create",
                "ticket.update",
                "workflow.delete",
                "key.create",
                "key.revoke",
                "tenant.create",
            ],
            "in order, and what changed nothing is left out"
        );
        let check = app.get("/v1/audit/verify").await.expect(200);
        assert_eq!((&check["valid"], &check["count"]), (&json!(true), &json!(12)));
        assert_eq!(
            check["heads"]["work"],
            records(&app, "action=workflow.delete").await[0]["hash"]
        );
    });
}

#[test]
fn a_record_says_who_did_what_from_where_and_keeps_no_secret() {
    with_app(async |app| {
        app.save(definition("nap")).await;
        app.post("/v1/workflows/nap/disable", json!({})).await.expect(200);
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let ticket = ticket["id"].as_str().expect("an id").to_owned();
        app.patch(&format!("/v1/tickets/{ticket}"), json!({ "title": "Cold" })).await.expect(200);
        let wanted = json!({ "name": "k", "scopes": ["runs:read"] });
        let key = app.post("/v1/keys", wanted).await.expect(201);
        let key_id = key["id"].as_str().expect("an id").to_owned();
        app.delete(&format!("/v1/keys/{key_id}")).await.expect(204);
        let me = app.get("/v1/me").await.expect(200);
        let disabled = &records(&app, "action=workflow.disable").await[0];
        assert_eq!(disabled["actor"], json!({ "kind": "key", "id": me["id"], "name": me["name"] }));
        assert_eq!(
            (&disabled["before"], &disabled["after"]),
            (&json!({ "active": true }), &json!({ "active": false }),)
        );
        assert_eq!(disabled["from"]["address"], "127.0.0.1");
        assert!(disabled["from"]["requestId"].as_str().expect("an id").starts_with("req_"));
        let titled = &records(&app, &format!("target={ticket}&action=ticket.update")).await[0];
        assert_eq!(titled["before"]["title"], "Printer on fire");
        assert_eq!(titled["after"]["title"], "Cold");
        assert_eq!(records(&app, "action=workflow").await.len(), 2);
        assert_eq!(records(&app, "actor=nobody").await.len(), 0);
        assert_eq!(records(&app, &format!("target={key_id}")).await.len(), 2);
        let text = app.get("/v1/audit?limit=200").await.text;
        assert!(!text.contains(key["key"].as_str().expect("a key")));
        assert!(!text.contains("digest"), "{text}");
    });
}

#[test]
fn what_a_run_or_an_event_does_is_left_to_their_journals() {
    with_app(async |app| {
        let team = app.team().await;
        let ticket = app.ticket(&team, json!({})).await;
        let id = ticket["id"].as_str().expect("an id");
        app.save(json!({
            "name": "raise", "trigger": { "event": "app:x" },
            "steps": [{
                "id": "raise", "activity": "tickets:update-ticket-platform",
                "input": { "id": id, "priorityName": "urgent" },
            }],
        }))
        .await;
        let before = records(&app, "").await.len();
        let run = app.publish("app:x", json!({})).await.remove(0);
        assert_eq!(app.end_of(&run).await["status"], "succeeded");
        assert_eq!(records(&app, "").await.len(), before);
    });
}

#[test]
fn pages_of_the_audit_join_into_the_whole() {
    with_app(async |app| {
        for number in 0..7 {
            app.save(definition(&format!("w{number}"))).await;
            let wanted = json!({ "name": format!("k{number}"), "scopes": ["runs:read"] });
            app.post("/v1/keys", wanted).await.expect(201);
        }
        let whole: Vec<Value> = records(&app, "").await.iter().map(|it| it["id"].clone()).collect();
        let (mut joined, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = app.get(&format!("/v1/audit?limit=4{cursor}")).await.expect(200);
            let data = page["data"].as_array().expect("a list");
            joined.extend(data.iter().map(|it| it["id"].clone()));
            match page["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!((joined.len(), joined), (15, whole));
    });
}

#[test]
fn sign_ins_and_refusals_are_recorded_without_the_password() {
    let quick = |config: &mut ergane::config::Config| {
        config.access.password_memory_kib = 64;
        config.access.password_passes = 1;
    };
    with_config(quick, async |app| {
        let mut ada = joined(&app, "ada@example.com", &["viewer"]).await;
        ada.sign_in("ada@example.com", "canary-password", "").await;
        ada.sign_in("nobody@example.com", "canary-password", "").await;
        ada.sign_in("ada@example.com", "violet kettle umbrella", "").await;
        let all = records(&app, "").await;
        let actions: Vec<&str> = all.iter().rev().filter_map(|it| it["action"].as_str()).collect();
        assert_eq!(
            actions[1..],
            [
                "person.create",
                "person.setPassword",
                "session.refuse",
                "session.refuse",
                "session.begin",
            ]
        );
        let refused = &records(&app, "action=session.refuse").await[0];
        assert_eq!(refused["target"], "nobody@example.com");
        let text = app.get("/v1/audit?limit=200").await.text;
        for canary in ["canary-password", "violet", "argon2"] {
            assert!(!text.contains(canary), "{canary}: {text}");
        }
        let begun = &records(&app, "action=session.begin").await[0];
        assert_eq!(begun["actor"]["kind"], "person");
        assert_eq!(begun["actor"]["name"], "ada@example.com");
    });
}

#[test]
fn the_command_line_lists_makes_and_checks() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let data = directory.path().join("data");
    let ergane = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ergane"));
        command.args(arguments).arg("--data-dir").arg(&data).current_dir(directory.path());
        run(command)
    };
    let made = ergane(&["user", "create", "ada@example.com", "--role", "owner", "--json"]);
    assert!(made.status.success(), "{made:?}");
    let json: Value = serde_json::from_str(&made.said).expect("JSON");
    assert!(json["link"]["url"].as_str().expect("a link").contains("/join?t="), "{json}");
    let list = ergane(&["user", "list"]);
    assert!(list.said.contains("ada@example.com") && list.said.contains("invited"), "{list:?}");
    let reset = ergane(&["user", "reset-password", "ada@example.com"]);
    assert!(reset.said.contains("/join?t="), "{reset:?}");
    let disabled = ergane(&["user", "disable", "ada@example.com"]);
    assert!(disabled.said.contains("ada@example.com is disabled"), "{disabled:?}");
    assert_eq!(ergane(&["user", "disable", "nobody@example.com"]).status.code(), Some(3));
    assert_eq!(ergane(&["user", "create", "x", "--role", "owner"]).status.code(), Some(1));
    assert!(ergane(&["setup-link"]).said.contains("/setup?t="));
    let listed = ergane(&["audit", "list", "--action", "person"]);
    assert!(listed.said.contains("person.change") && listed.said.contains("commandLine"));
    let verified = ergane(&["audit", "verify"]);
    assert!(verified.status.success() && verified.said.contains("records, all"), "{verified:?}");

    // The same over the control socket of a running server.
    let server = Process::start(&data);
    let listed = ergane(&["user", "list", "--json"]);
    assert!(listed.said.contains("\"status\": \"disabled\""), "{listed:?}");
    server.stop();
}
