//! What Slack and other systems send: believed by its signature, mapped, answered, kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ergane::clock::Clock;
use ergane::domain::secret::Secret;
use ergane::domain::signature::{hmac_sha256, slack, standard_webhooks};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, send, with_app, with_config};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
const WHSEC: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

fn now() -> u64 {
    let millis = Clock::system().now().millis();
    u64::try_from(millis / 1_000).expect("after 1970")
}

async fn connect(app: &TestApp, body: Value) -> Value {
    app.post("/v1/connections", body).await.expect(201)
}

async fn slack_connection(app: &TestApp) {
    let body = json!({ "name": "chat", "app": "slack", "secrets": { "signingSecret": SECRET } });
    let made = connect(app, body).await;
    assert_eq!(made["hookPath"], "/hooks/slack/chat");
}

/// Sends without a key, as Slack does.
async fn from_slack(app: &TestApp, body: &str, form: bool, at: u64) -> Answer {
    let at = at.to_string();
    let signature = slack::sign(&Secret::new(SECRET), &at, body.as_bytes());
    let kind = if form { "application/x-www-form-urlencoded" } else { "application/json" };
    let request = app
        .client
        .request(Method::POST, format!("{}/hooks/slack/chat", app.base))
        .header("content-type", kind)
        .header("x-slack-request-timestamp", at)
        .header("x-slack-signature", signature)
        .body(body.to_owned());
    send(request).await
}

async fn signed(app: &TestApp, path: &str, secret: &str, id: &str, body: &Value) -> Answer {
    let (text, at) = (body.to_string(), now().to_string());
    let signature = standard_webhooks::sign(&Secret::new(secret), id, &at, text.as_bytes());
    let request = app
        .client
        .request(Method::POST, format!("{}{path}", app.base))
        .header("content-type", "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature)
        .body(text);
    send(request).await
}

async fn events(app: &TestApp, kind: &str) -> Vec<Value> {
    let list = app.get(&format!("/v1/events?type={kind}")).await.expect(200);
    list["data"].as_array().expect("a list").clone()
}

fn message(id: &str) -> String {
    json!({"type": "event_callback", "team_id": "T1", "event_id": id, "event_time": now(),
        "event": {"type": "message", "channel": "C1", "user": "U1", "text": "db is down"}})
    .to_string()
}

#[test]
fn slack_checks_the_address_and_gets_its_challenge_back() {
    with_app(|app| async move {
        slack_connection(&app).await;
        let body = json!({"type": "url_verification", "challenge": "3eZbrw1a"}).to_string();
        let answer = from_slack(&app, &body, false, now()).await.expect(200);
        assert_eq!(answer["challenge"], "3eZbrw1a");
    });
}

#[test]
fn a_message_in_slack_starts_a_workflow_once() {
    with_app(|app| async move {
        slack_connection(&app).await;
        app.save(json!({
            "name": "answer",
            "trigger": {"event": "slack:message", "filter": {"text": {"~contains": "down"}}},
            "steps": [{"id": "note", "activity": "workflows:transform-platform",
                "input": {"value": "{{trigger.payload.text}}"}}],
        }))
        .await;
        let body = message("Ev1");
        from_slack(&app, &body, false, now()).await.expect(200);
        // Slack tries again with a new time and a new signature, and the same event.
        from_slack(&app, &body, false, now() - 1).await.expect(200);
        let made = events(&app, "slack:message").await;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0]["id"], "Ev1");
        assert_eq!(made[0]["payload"]["channel"], "C1");
        assert_eq!(made[0]["subject"], "C1");
        assert_eq!(made[0]["actor"], json!({"id": "connection:chat", "type": "APP", "email": ""}));
        let runs = made[0]["runs"].as_array().expect("runs");
        assert_eq!(runs.len(), 1);
        let run = app.end_of(runs[0].as_str().expect("an id")).await;
        assert_eq!(run["status"], "succeeded");
        let kept = app.get("/v1/connections/chat/deliveries").await.expect(200);
        assert_eq!(kept["data"][0]["status"], "duplicate");
        assert_eq!(kept["data"][1]["status"], "accepted");
        assert_eq!(kept["data"][1]["headers"]["x-slack-signature"], "***");
    });
}

#[test]
fn slacks_events_presses_and_commands_have_their_types() {
    with_app(|app| async move {
        slack_connection(&app).await;
        for (inner, kind) in [
            (json!({"type": "channel_created", "channel": {"id": "C2"}}), "slack:channel:created"),
            (json!({"type": "reaction_added", "user": "U1"}), "slack:reaction:added"),
            (json!({"type": "app_mention", "text": "hi"}), "slack:app_mention"),
            (json!({"type": "member_joined_channel", "user": "U1"}), "slack:member:joined_channel"),
            (json!({"type": "emoji_changed"}), "slack:emoji:changed"),
        ] {
            let body = json!({"type": "event_callback", "event_id": kind, "event": inner});
            from_slack(&app, &body.to_string(), false, now()).await.expect(200);
            assert_eq!(events(&app, kind).await.len(), 1, "{kind}");
        }
        let pressed = json!({"type": "block_actions", "trigger_id": "1.2", "user": {"id": "U1"},
            "actions": [{"action_id": "approve", "value": "7"}]});
        let body = form(&[("payload", &pressed.to_string())]);
        let answer = from_slack(&app, &body, true, now()).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, ""));
        let made = events(&app, "slack:interaction").await;
        assert_eq!(made[0]["payload"]["actionIds"], json!(["approve"]));

        let body = form(&[("command", "/incident"), ("text", "db"), ("trigger_id", "3.4")]);
        let answer = from_slack(&app, &body, true, now()).await.expect(200);
        assert_eq!(answer["response_type"], "ephemeral");
        assert_eq!(events(&app, "slack:command").await[0]["payload"]["text"], "db");
    });
}

fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[test]
fn who_is_not_slack_is_refused_and_learns_nothing() {
    with_app(|app| async move {
        slack_connection(&app).await;
        let body = message("Ev1");
        let old = from_slack(&app, &body, false, now() - 400).await;
        let early = from_slack(&app, &body, false, now() + 400).await;
        let request = app
            .client
            .post(format!("{}/hooks/slack/chat", app.base))
            .header("x-slack-request-timestamp", now().to_string())
            .header("x-slack-signature", format!("v0={}", "0".repeat(64)))
            .body(body.clone());
        let wrong = send(request).await;
        let request = app.client.post(format!("{}/hooks/slack/chat", app.base)).body(body);
        let bare = send(request).await;
        for refused in [old, early, wrong, bare] {
            let problem = refused.refused(401, "invalid_signature");
            assert_eq!(problem["detail"], "the signature does not hold");
        }
        assert!(events(&app, "slack:message").await.is_empty());
        let kept = app.get("/v1/connections/chat/deliveries").await.expect(200);
        assert_eq!(kept["data"], json!([]));
        let metrics = send(app.client.get(format!("{}/metrics", app.base))).await.text;
        let line = r#"ergane_hook_deliveries_total{connection="chat",outcome="refused"} 4"#;
        assert!(metrics.contains(line), "{metrics}");
    });
}

#[test]
fn without_a_secret_nobody_is_believed() {
    with_app(|app| async move {
        connect(&app, json!({"name": "chat", "app": "slack"})).await;
        connect(&app, json!({"name": "shop", "app": "webhook"})).await;
        from_slack(&app, &message("Ev1"), false, now()).await.refused(401, "invalid_signature");
        let body = json!({"type": "order.paid"});
        signed(&app, "/hooks/shop", "", "m1", &body).await.refused(401, "invalid_signature");
        signed(&app, "/hooks/none", WHSEC, "m1", &body).await.refused(404, "hook_not_found");
    });
}

#[test]
fn the_rules_of_a_connection_make_its_events() {
    with_app(|app| async move {
        connect(
            &app,
            json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC},
                "settings": {"rules": [
                    {"when": {"body.kind": {"~eq": "order"}}, "type": "order:{{body.action}}",
                        "subject": "{{body.order.id}}", "payload": "body.order"}]}}),
        )
        .await;
        let body = json!({"kind": "order", "action": "paid", "order": {"id": "o-7", "total": 5}});
        let first = signed(&app, "/hooks/shop", WHSEC, "msg_1", &body).await.expect(202);
        assert_eq!(first["status"], "accepted");
        let again = signed(&app, "/hooks/shop", WHSEC, "msg_1", &body).await.expect(202);
        assert_eq!(again["status"], "duplicate");
        let made = events(&app, "order:paid").await;
        assert_eq!(made.len(), 1);
        assert_eq!(made[0]["payload"], json!({"id": "o-7", "total": 5}));
        assert_eq!(
            (&made[0]["subject"], &made[0]["source"]),
            (&json!("o-7"), &json!("/hooks/shop"))
        );
    });
}

#[test]
fn what_no_rule_wants_is_kept_and_can_be_replayed() {
    with_app(|app| async move {
        let rule = |kind: &str| {
            json!({"rules": [
            {"when": {"body.kind": {"~eq": kind}}, "type": "order:placed"}]})
        };
        connect(
            &app,
            json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC},
                "settings": rule("order")}),
        )
        .await;
        let body = json!({"kind": "purchase", "total": 5});
        let answer = signed(&app, "/hooks/shop", WHSEC, "msg_1", &body).await.expect(202);
        assert_eq!(answer["status"], "unmatched");
        let kept = app.get("/v1/connections/shop/deliveries?status=unmatched").await.expect(200);
        assert_eq!(kept["data"][0]["body"], body);
        let id = kept["data"][0]["id"].as_str().expect("an id").to_owned();

        let change = json!({ "settings": rule("purchase") });
        app.patch("/v1/connections/shop", change).await.expect(200);
        let replay = format!("/v1/connections/shop/deliveries/{id}/replay");
        let done = app.post(&replay, json!({})).await.expect(200);
        assert_eq!(done["status"], "accepted");
        assert_eq!(events(&app, "order:placed").await.len(), 1);
        // The sender's own repeat is recognised, and a replay on purpose makes another.
        let again = signed(&app, "/hooks/shop", WHSEC, "msg_1", &body).await.expect(202);
        assert_eq!(again["status"], "duplicate");
        assert_eq!(app.post(&replay, json!({})).await.expect(200)["status"], "accepted");
        assert_eq!(events(&app, "order:placed").await.len(), 2);
    });
}

#[test]
fn what_breaks_the_schema_of_its_event_is_refused_and_kept() {
    with_config(
        |config| config.intake.hook_deliveries_max = 2,
        |app| async move {
            let schema = json!({"type": "object", "required": ["total"]});
            app.post("/v1/event-types", json!({"type": "order:placed", "schema": schema}))
                .await
                .expect(201);
            connect(
                &app,
                json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC},
                    "settings": {"eventType": "order:placed"}}),
            )
            .await;
            for number in 0..4 {
                let (id, body) = (format!("msg_{number}"), json!({"n": number}));
                let problem = signed(&app, "/hooks/shop", WHSEC, &id, &body).await.expect(422);
                assert!(problem["deliveryId"].is_string(), "{problem}");
            }
            let kept = app.get("/v1/connections/shop/deliveries").await.expect(200);
            let kept = kept["data"].as_array().expect("a list").clone();
            assert_eq!(kept.len(), 2, "only the newest are kept");
            assert_eq!(
                (&kept[0]["status"], &kept[0]["body"]["n"]),
                (&json!("rejected"), &json!(3))
            );
        },
    );
}

#[test]
fn a_sender_makes_no_events_of_the_platform_by_itself() {
    with_app(|app| async move {
        connect(
            &app,
            json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC}}),
        )
        .await;
        let forged = json!({"type": "ticket.created", "data": {}});
        let problem = signed(&app, "/hooks/shop", WHSEC, "m1", &forged).await.expect(422);
        assert_eq!(problem["errors"][0]["code"], "reserved_type");
        let own = json!({"type": "invoice.paid", "data": {"id": 1}});
        signed(&app, "/hooks/shop", WHSEC, "m2", &own).await.expect(202);
        assert_eq!(events(&app, "invoice.paid").await.len(), 1);
    });
}

#[test]
fn both_secrets_hold_while_one_is_exchanged() {
    with_app(|app| async move {
        let new = standard_webhooks::secret_of(&[7; 32]);
        connect(
            &app,
            json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC}}),
        )
        .await;
        let change = json!({"secrets": {"signingSecret": new.expose(),
            "previousValidUntil": "2099-01-01T00:00:00.000Z"}});
        let view = app.patch("/v1/connections/shop", change).await.expect(200);
        assert_eq!(view["secrets"]["signingSecret"]["values"], 2);
        let body = json!({"type": "a.b"});
        signed(&app, "/hooks/shop", WHSEC, "m1", &body).await.expect(202);
        signed(&app, "/hooks/shop", new.expose(), "m2", &body).await.expect(202);
        let change = json!({"secrets": {"signingSecret": new.expose()}});
        app.patch("/v1/connections/shop", change).await.expect(200);
        signed(&app, "/hooks/shop", WHSEC, "m3", &body).await.refused(401, "invalid_signature");
        signed(&app, "/hooks/shop", new.expose(), "m4", &body).await.expect(202);
    });
}

/// Spoils a signature, whatever its digits are.
fn with_another_end(value: &str) -> String {
    let (start, end) = value.split_at(value.len() - 1);
    format!("{start}{}", if end == "0" { "1" } else { "0" })
}

#[test]
fn github_stripe_linear_and_shared_secrets_are_understood() {
    with_app(|app| async move {
        let key = "It's a Secret to Everybody";
        for name in ["github", "stripe", "linear"] {
            let secrets = json!({"signingSecret": key});
            connect(&app, json!({"name": name, "app": name, "secrets": secrets})).await;
        }
        connect(
            &app,
            json!({"name": "door", "app": "webhook", "secrets": {"secret": key},
                "settings": {"header": "X-Door-Key", "eventType": "door:opened"}}),
        )
        .await;
        let at = now();
        let mac = |parts: &[&[u8]]| hex::encode(hmac_sha256(key.as_bytes(), parts));
        let pushed = json!({"action": "opened"}).to_string();
        let paid = json!({"id": "evt_1", "type": "invoice.paid"}).to_string();
        let made = json!({"type": "Issue", "action": "create", "webhookTimestamp": at * 1_000});
        let made = made.to_string();
        let signed_at = format!("{at}.");
        let stripe = mac(&[signed_at.as_bytes(), paid.as_bytes()]);
        for (path, body, headers, kind) in [
            (
                "github",
                &pushed,
                vec![
                    ("x-hub-signature-256", format!("sha256={}", mac(&[pushed.as_bytes()]))),
                    ("x-github-event", "issues".to_owned()),
                    ("x-github-delivery", "d-1".to_owned()),
                ],
                "github:issues:opened",
            ),
            (
                "stripe",
                &paid,
                vec![("stripe-signature", format!("t={at},v1={stripe}"))],
                "stripe:invoice:paid",
            ),
            (
                "linear",
                &made,
                vec![("linear-signature", mac(&[made.as_bytes()]))],
                "linear:issue:create",
            ),
            ("door", &pushed, vec![("x-door-key", key.to_owned())], "door:opened"),
        ] {
            for (known, status) in [(true, 202), (false, 401)] {
                let url = format!("{}/hooks/{path}", app.base);
                let mut request = app.client.post(url).header("content-type", "application/json");
                for (name, value) in &headers {
                    let value = if known { value.clone() } else { with_another_end(value) };
                    request = request.header(*name, value);
                }
                send(request.body(body.clone())).await.expect(status);
            }
            assert_eq!(events(&app, kind).await.len(), 1, "{kind}");
        }
    });
}

#[test]
fn several_signatures_and_what_is_no_json_are_handled() {
    with_app(|app| async move {
        connect(
            &app,
            json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC}}),
        )
        .await;
        let at = now().to_string();
        let post = |body: &'static str, id: &'static str, doubled: bool| {
            let good = standard_webhooks::sign(&Secret::new(WHSEC), id, &at, body.as_bytes());
            let other = format!("v1,{}", STANDARD.encode([0; 32]));
            let mut request = app
                .client
                .post(format!("{}/hooks/shop", app.base))
                .header("content-type", "application/json")
                .header("webhook-id", id)
                .header("webhook-timestamp", at.clone())
                .header("webhook-signature", format!("{other} {good}"));
            if doubled {
                request = request.header("webhook-timestamp", "1");
            }
            send(request.body(body))
        };
        post("{\"type\": \"a.b\"}", "m1", false).await.expect(202);
        post("{\"type\": \"a.b\"}", "m2", true).await.refused(401, "invalid_signature");
        post("{\"type\":", "m3", false).await.refused(400, "invalid_json");
        let kept = app.get("/v1/connections/shop/deliveries").await.expect(200);
        assert_eq!(kept["data"][0]["status"], "rejected");
        assert_eq!(kept["data"][0]["body"], "{\"type\":");
    });
}

#[test]
fn a_hook_belongs_to_its_tenant() {
    with_app(|app| async move {
        app.post("/v1/tenants", json!({"slug": "acme"})).await.expect(201);
        let body = json!({"name": "shop", "app": "webhook", "secrets": {"signingSecret": WHSEC}});
        let ours = connect(&app, body.clone()).await;
        let request = app.request(Method::POST, "/v1/connections").header("x-tenant", "acme");
        let theirs = send(request.json(&body)).await.expect(201);
        assert_eq!(ours["hookPath"], "/hooks/shop");
        assert_eq!(theirs["hookPath"], "/hooks/acme.shop");
        let event = json!({"type": "a.b"});
        signed(&app, "/hooks/acme.shop", WHSEC, "m1", &event).await.expect(202);
        assert!(events(&app, "a.b").await.is_empty(), "nothing came to us");
        signed(&app, "/hooks/shop", WHSEC, "m1", &event).await.expect(202);
        assert_eq!(events(&app, "a.b").await.len(), 1);
    });
}
