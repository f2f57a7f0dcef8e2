//! Connections: made, changed, tried out; their secrets go in and never out.

use serde_json::json;

use crate::peer::{Peer, Reply};
use crate::support::{with_app, with_config};

const CANARY: &str = "xoxb-canary-5b1c-do-not-show";

#[test]
fn secrets_of_a_connection_are_never_shown() {
    with_app(|app| async move {
        let body = json!({"name": "chat", "app": "slack", "settings": {"baseUrl": "https://x.test"},
            "secrets": {"botToken": CANARY, "signingSecret": [CANARY, CANARY]}});
        let made = app.post("/v1/connections", body.clone()).await;
        let list = app.get("/v1/connections").await;
        let one = app.get("/v1/connections/chat").await;
        let put = app.put("/v1/connections/chat", body.clone()).await;
        let taken = app.post("/v1/connections", body).await;
        for answer in [&made, &list, &one, &put, &taken] {
            assert!(!answer.text.contains(CANARY), "{}", answer.text);
        }
        let made = made.expect(201);
        let state = &made["secrets"]["botToken"];
        assert_eq!((&state["set"], &state["values"]), (&json!(true), &json!(1)));
        assert!(state["setAt"].is_string() && state["setBy"].is_string(), "{state}");
        assert_eq!(made["secrets"]["signingSecret"]["values"], 2);
        taken.refused(409, "connection_exists");
        assert_eq!(put.expect(200)["version"], 2);
        let change = json!({"secrets": {"botToken": null}, "settings": {"baseUrl": null, "a": 1}});
        let changed = app.patch("/v1/connections/chat", change).await.expect(200);
        assert_eq!(changed["secrets"].get("botToken"), None);
        assert_eq!(changed["settings"], json!({"a": 1}));
        app.delete("/v1/connections/chat").await.expect(204);
        app.get("/v1/connections/chat").await.refused(404, "connection_not_found");
    });
}

#[test]
fn a_connection_that_is_none_is_refused_with_its_places() {
    with_app(|app| async move {
        let body = json!({"name": "a b", "app": "webhook",
            "settings": {"password": CANARY, "signature": "githb", "baseUrl": "here",
                "rules": [{"type": "{{"}]}});
        let refused = app.post("/v1/connections", body).await;
        assert!(!refused.text.contains(CANARY), "{}", refused.text);
        let problem = refused.expect(422);
        let pointers: Vec<&str> = problem["errors"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|error| error["pointer"].as_str())
            .collect();
        let expected = [
            "/name",
            "/settings/password",
            "/settings/signature",
            "/settings/baseUrl",
            "/settings/rules/0/type",
        ];
        assert_eq!(pointers, expected);
        let body = json!({"name": "a", "app": "webhook", "secrets": {"signingSecret": 5}});
        let problem = app.post("/v1/connections", body).await.expect(422);
        assert_eq!(problem["errors"][0]["pointer"], "/secrets/signingSecret");
    });
}

#[test]
fn slack_is_asked_who_the_token_is() {
    with_config(
        |config| config.egress.allow = vec!["127.0.0.0/8".parse().expect("a network")],
        |app| async move {
            let peer = Peer::start(|_, received| {
                let known = received.header("authorization") == format!("Bearer {CANARY}");
                let body = match known {
                    true => json!({"ok": true, "team": "Acme", "team_id": "T1", "user": CANARY}),
                    false => json!({"ok": false, "error": "invalid_auth"}),
                };
                Reply::Status(200, body)
            })
            .await;
            for (name, token, ok) in [("good", CANARY, true), ("bad", "xoxb-other", false)] {
                let body = json!({"name": name, "app": "slack",
                    "settings": {"baseUrl": peer.url}, "secrets": {"botToken": token}});
                app.post("/v1/connections", body).await.expect(201);
                let path = format!("/v1/connections/{name}/test");
                let answer = app.post(&path, json!({})).await;
                // What echoes the token is masked.
                assert!(!answer.text.contains(CANARY), "{}", answer.text);
                let found = answer.expect(200);
                assert_eq!(found["ok"], ok, "{found}");
            }
            assert_eq!(peer.received()[0].path, "/auth.test");
        },
    );
}

#[test]
fn a_test_keeps_out_of_inner_networks() {
    with_app(|app| async move {
        let peer = Peer::friendly().await;
        let body = json!({"name": "inner", "app": "http", "settings": {"baseUrl": peer.url}});
        app.post("/v1/connections", body).await.expect(201);
        let found = app.post("/v1/connections/inner/test", json!({})).await.expect(200);
        assert_eq!(
            (&found["ok"], &found["facts"]["code"]),
            (&json!(false), &json!("egress_refused"))
        );
        assert!(peer.received().is_empty());
        let body = json!({"name": "mail", "app": "smtp", "settings": {"host": "127.0.0.1"}});
        app.post("/v1/connections", body).await.expect(201);
        let found = app.post("/v1/connections/mail/test", json!({})).await.expect(200);
        assert_eq!(found["facts"]["code"], "egress_refused");
    });
}
