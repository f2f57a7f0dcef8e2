//! Webhooks: what subscribers get, in which order, and what happens when they do not take it.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ergane::config::Config;
use ergane::domain::secret::Secret;
use ergane::domain::signature::standard_webhooks::{Headers, verify};
use ergane::domain::time::Timestamp;
use ergane::engine::settings::Pauses;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::acceptance::reach_inner_networks;
use crate::peer::{Peer, Received, Reply};
use crate::process::Process;
use crate::support::{TestApp, send, with_app, with_config};

/// An appliance that reaches the peers of the tests and does not wait long between attempts.
fn quick(config: &mut Config) {
    reach_inner_networks(config);
    config.engine.delivery_pauses_ms = Pauses(vec![20, 30]);
}

async fn subscribe(app: &TestApp, peer: &Peer, extra: Value) -> Value {
    let mut body = json!({ "url": format!("{}/in", peer.url), "types": ["order:*"] });
    for (name, value) in extra.as_object().expect("an object") {
        body[name] = value.clone();
    }
    app.post("/v1/webhooks", body).await.expect(201)
}

/// Registers the type of the events that the tests publish.
async fn register(app: &TestApp) {
    for kind in ["order:placed", "order:paid"] {
        app.post("/v1/event-types", json!({ "type": kind })).await.expect(201);
    }
}

async fn place_orders(app: &TestApp, numbers: std::ops::Range<usize>) {
    for number in numbers {
        app.publish("order:placed", json!({ "n": number })).await;
    }
}

/// Publishes in one transaction, so that all of them wait before the first is sent.
async fn place_together(app: &TestApp, numbers: std::ops::Range<usize>) {
    let order = |n: usize| {
        json!({ "specversion": "1.0", "id": format!("order-{n}"), "source": "shop",
            "type": "order:placed", "data": { "n": n } })
    };
    let batch = Value::from(numbers.map(order).collect::<Vec<_>>());
    let request = app.request(Method::POST, "/v1/events");
    let request = request.header("content-type", "application/cloudevents-batch+json");
    send(request.body(batch.to_string())).await.expect(202);
}

fn path(hook: &Value, rest: &str) -> String {
    format!("/v1/webhooks/{}{rest}", hook["id"].as_str().expect("an id"))
}

fn numbers(received: &[Received]) -> Vec<u64> {
    let number = |one: &Received| one.body["data"]["payload"]["n"].as_u64().expect("a number");
    received.iter().map(number).collect()
}

fn message_ids(received: &[Received]) -> Vec<&str> {
    received.iter().map(|one| one.header("webhook-id")).collect()
}

fn is_signed(received: &Received, secret: &Value) -> bool {
    let secret = Secret::new(secret.as_str().expect("a secret"));
    let headers = Headers {
        id: received.header("webhook-id"),
        timestamp: received.header("webhook-timestamp"),
        signatures: received.header("webhook-signature"),
    };
    let seconds: i64 = headers.timestamp.parse().expect("seconds");
    let now = Timestamp::from_millis(seconds * 1_000);
    verify(&[secret], headers, &received.raw, now).is_ok()
}

/// Waits until as many deliveries of a status are listed, and returns them.
async fn listed(app: &TestApp, hook: &Value, status: &str, count: usize) -> Vec<Value> {
    let list = path(hook, &format!("/deliveries?status={status}&limit=200"));
    let mut seen = Value::Null;
    for _ in 0..2_000 {
        seen = app.get(&list).await.expect(200);
        let data = seen["data"].as_array().expect("a list");
        if data.len() == count {
            return data.clone();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("there were never {count} {status} deliveries: {seen}");
}

/// Waits until a subscription shows what is wanted, and returns it.
async fn until(app: &TestApp, hook: &Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..2_000 {
        let view = app.get(&path(hook, "")).await.expect(200);
        if is_wanted(&view) {
            return view;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it never came to that");
}

async fn until_disabled(app: &TestApp, hook: &Value) -> Value {
    until(app, hook, |view| view["enabled"] == false).await
}

fn with_runtime<F: Future<Output = ()>>(test: F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn an_event_reaches_its_subscriber_signed() {
    with_config(quick, async |app| {
        register(&app).await;
        let peer = Peer::friendly().await;
        let headers = json!({ "headers": { "X-Token": "hunter2-hunter2" } });
        let hook = subscribe(&app, &peer, headers).await;
        assert!(hook["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
        let event =
            app.post("/v1/events/order:placed?id=my-1", json!({ "n": 1 })).await.expect(202);
        assert_eq!(event["accepted"][0]["id"], "my-1");
        let received = peer.until(1).await;
        let first = &received[0];
        assert!(first.head.starts_with("POST /in HTTP/1.1"), "{}", first.head);
        assert!(is_signed(first, &hook["secret"]));
        assert_eq!(first.header("content-type"), "application/json");
        assert_eq!(first.header("user-agent"), concat!("Ergane/", env!("CARGO_PKG_VERSION")));
        assert_eq!(first.header("x-token"), "hunter2-hunter2");
        assert_eq!(first.body["type"], "order:placed");
        let shown = app.get("/v1/events/my-1").await.expect(200);
        assert_eq!(first.body["data"], shown, "the event as the API shows it");
        assert_eq!(first.body["timestamp"], shown["time"]);
        let done = listed(&app, &hook, "delivered", 1).await.remove(0);
        assert_eq!(done["eventId"], "my-1");
        assert_eq!(done["messageId"], first.header("webhook-id"));
        assert_eq!(done["attempts"][0]["statusCode"], 200);
        assert_eq!(done["attempts"][0]["response"], r#"{"ok":true}"#);
        let one = path(&hook, &format!("/deliveries/{}", done["id"].as_str().expect("an id")));
        let one = app.get(&one).await.expect(200);
        assert_eq!(one["request"]["body"], first.body);
        assert_eq!(one["request"]["headers"]["x-token"], "***");
        assert_eq!(one["request"]["headers"]["webhook-signature"], "v1,***");
        for shown in [app.get("/v1/webhooks").await, app.get(&path(&hook, "")).await] {
            assert!(!shown.text.contains("whsec_") && !shown.text.contains("hunter2"), "{shown:?}");
        }
        let view = app.get(&path(&hook, "")).await.expect(200);
        assert_eq!(view["deliveries"], json!({ "pending": 0, "delivered": 1, "dead": 0 }));
        let metrics = app.get("/metrics").await.text;
        for line in [
            r#"ergane_webhook_deliveries_total{outcome="delivered"} 1"#,
            "ergane_webhook_deliveries_pending 0",
        ] {
            assert!(metrics.contains(line), "no `{line}` in\n{metrics}");
        }
    });
}

#[test]
fn thena_s_envelope_can_be_chosen() {
    with_config(quick, async |app| {
        let peer = Peer::friendly().await;
        let wanted = json!({ "types": ["ticket.created"], "format": "thena" });
        let hook = subscribe(&app, &peer, wanted).await;
        assert_eq!(hook["types"], json!(["ticket:created"]));
        let ticket = app.ticket(&app.team().await, json!({})).await;
        let received = peer.until(1).await;
        let message = &received[0].body["message"];
        assert_eq!(message["eventType"], "ticket:created");
        assert_eq!(message["payload"]["ticket"]["id"], ticket["id"]);
        let attributes = &received[0].body["messageAttributes"];
        assert_eq!(attributes["event_id"], message["eventId"]);
        assert_eq!(attributes["context_organization_id"], message["orgId"]);
        assert!(is_signed(&received[0], &hook["secret"]));
    });
}

#[test]
fn a_subscriber_gets_what_it_asked_for_and_each_once() {
    with_config(quick, async |app| {
        register(&app).await;
        let peer = Peer::friendly().await;
        let types = json!(["*", "order:*", "order.placed"]);
        let filter = json!({ "n": { "~gte": 2 } });
        let hook = subscribe(&app, &peer, json!({ "types": types, "filter": filter })).await;
        place_orders(&app, 0..4).await;
        app.publish("order:paid", json!({ "n": 9 })).await;
        assert_eq!(numbers(&peer.until(3).await), [2, 3, 9]);
        let narrower = json!({ "types": ["order:paid"], "filter": null });
        let view = app.patch(&path(&hook, ""), narrower).await.expect(200);
        assert_eq!((&view["types"], &view["filter"]), (&json!(["order:paid"]), &Value::Null));
        place_orders(&app, 4..6).await;
        app.publish("order:paid", json!({ "n": 1 })).await;
        assert_eq!(numbers(&peer.until(4).await), [2, 3, 9, 1]);
        app.post(&path(&hook, "/disable"), json!({})).await.expect(200);
        app.publish("order:paid", json!({ "n": 7 })).await;
        app.post(&path(&hook, "/enable"), json!({})).await.expect(200);
        app.publish("order:paid", json!({ "n": 8 })).await;
        assert_eq!(numbers(&peer.until(5).await), [2, 3, 9, 1, 8]);
        listed(&app, &hook, "delivered", 5).await;
    });
}

#[test]
fn order_is_kept_while_attempts_fail() {
    with_config(quick, async |app| {
        register(&app).await;
        let peer = Peer::start(|number, _| match number {
            0 | 1 | 3 => Reply::Status(503, json!({ "sorry": true })),
            _ => Reply::Status(204, Value::Null),
        })
        .await;
        let other = Peer::friendly().await;
        let hook = subscribe(&app, &peer, json!({})).await;
        subscribe(&app, &other, json!({})).await;
        place_orders(&app, 0..3).await;
        assert_eq!(numbers(&other.until(3).await), [0, 1, 2]);
        let received = peer.until(6).await;
        assert_eq!(numbers(&received), [0, 0, 0, 1, 1, 2]);
        let ids = message_ids(&received);
        assert!(ids[0] == ids[1] && ids[1] == ids[2] && ids[3] == ids[4], "{ids:?}");
        assert!(ids[2] != ids[3] && ids[4] != ids[5], "{ids:?}");
        let done = listed(&app, &hook, "delivered", 3).await;
        let first = done.last().expect("three");
        let codes = first["attempts"].as_array().expect("a list").iter();
        let codes: Vec<_> = codes.map(|attempt| attempt["statusCode"].clone()).collect();
        assert_eq!(codes, [503, 503, 204]);
        assert_eq!(first["attempts"][0]["error"]["code"], "http_503");
    });
}

#[test]
fn a_slow_subscriber_holds_up_nobody_else() {
    with_config(
        |config| {
            quick(config);
            config.engine.delivery_timeout_ms = 100;
        },
        async |app| {
            register(&app).await;
            let (slow, other) = (Peer::start(|_, _| Reply::Never).await, Peer::friendly().await);
            let hook = subscribe(&app, &slow, json!({})).await;
            subscribe(&app, &other, json!({})).await;
            place_orders(&app, 0..3).await;
            assert_eq!(numbers(&other.until(3).await), [0, 1, 2]);
            let dead = listed(&app, &hook, "dead", 3).await;
            assert_eq!(dead[0]["attempts"][2]["error"]["code"], "timeout");
            assert_eq!(numbers(&slow.received()), [0, 0, 0, 1, 1, 1, 2, 2, 2]);
        },
    );
}

#[test]
fn subscribers_take_turns_when_there_is_room_for_one() {
    with_config(
        |config| {
            quick(config);
            config.engine.delivery_timeout_ms = 50;
            config.engine.deliveries_in_flight_max = 1;
        },
        async |app| {
            register(&app).await;
            let (slow, other) = (Peer::start(|_, _| Reply::Never).await, Peer::friendly().await);
            let hook = subscribe(&app, &slow, json!({})).await;
            subscribe(&app, &other, json!({})).await;
            subscribe(&app, &other, json!({})).await;
            place_orders(&app, 0..3).await;
            let received = other.until(6).await;
            let mut seen = numbers(&received);
            seen.sort_unstable();
            assert_eq!(seen, [0, 0, 1, 1, 2, 2]);
            assert!(slow.received().len() < 9, "it is not waited for");
            listed(&app, &hook, "dead", 3).await;
        },
    );
}

#[test]
fn a_subscriber_may_ask_for_a_pause() {
    with_config(quick, async |app| {
        register(&app).await;
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Later(1),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        subscribe(&app, &peer, json!({})).await;
        place_orders(&app, 0..1).await;
        let received = peer.until(2).await;
        let pause = received[1].at.duration_since(received[0].at);
        assert!(pause >= Duration::from_secs(1), "{pause:?}");
    });
}

#[test]
fn what_was_given_up_on_can_be_made_once_more() {
    with_config(quick, async |app| {
        register(&app).await;
        let is_well = Arc::new(AtomicBool::new(false));
        let well = Arc::clone(&is_well);
        let peer = Peer::start(move |_, _| match well.load(Ordering::SeqCst) {
            true => Reply::Status(200, json!({})),
            false => Reply::Status(500, json!({ "echo": "hunter2-hunter2" })),
        })
        .await;
        let hook = subscribe(&app, &peer, json!({ "headers": { "x-t": "hunter2-hunter2" } })).await;
        place_orders(&app, 0..3).await;
        let dead = listed(&app, &hook, "dead", 3).await;
        assert_eq!(dead[0]["attempts"].as_array().map(Vec::len), Some(3));
        assert_eq!(dead[0]["attempts"][0]["response"], r#"{"echo":"***"}"#);
        let before = peer.received().len();
        is_well.store(true, Ordering::SeqCst);
        let one = path(&hook, &format!("/deliveries/{}", dead[1]["id"].as_str().expect("an id")));
        let again = app.post(&format!("{one}/redeliver"), json!({})).await.expect(202);
        assert_eq!(again["status"], "pending");
        let received = peer.until(before + 1).await;
        assert_eq!(received[before].header("webhook-id"), dead[1]["messageId"]);
        listed(&app, &hook, "delivered", 1).await;
        let recovered = app.post(&path(&hook, "/recover"), json!({})).await.expect(202);
        assert_eq!((&recovered["queued"], &recovered["more"]), (&json!(2), &json!(false)));
        assert_eq!(numbers(&peer.until(before + 3).await[before..]), [1, 0, 2]);
        let done = listed(&app, &hook, "delivered", 3).await;
        assert!(done.iter().all(|one| one["attempts"].as_array().map(Vec::len) == Some(4)));
        listed(&app, &hook, "dead", 0).await;
        let again = app.post(&format!("{one}/redeliver"), json!({})).await.expect(202);
        assert_eq!(again["status"], "pending");
        assert_eq!(
            peer.until(before + 4).await[before + 3].header("webhook-id"),
            dead[1]["messageId"]
        );
        app.get(&path(&hook, "/deliveries?status=ded")).await.refused(400, "invalid_parameter");
        app.get(&path(&hook, "/deliveries/dlv_ffffffffffff")).await.expect(404);
    });
}

#[test]
fn the_events_of_a_time_are_delivered_once_more() {
    with_config(
        |config| {
            quick(config);
            config.engine.deliveries_replayed_max = 3;
        },
        async |app| {
            register(&app).await;
            place_orders(&app, 0..2).await;
            app.publish("order:paid", json!({ "n": 7 })).await;
            let peer = Peer::friendly().await;
            let hook = subscribe(&app, &peer, json!({})).await;
            let body = json!({ "since": "1h", "types": ["order:placed"] });
            let replay = app.post(&path(&hook, "/replay"), body).await.expect(202);
            assert_eq!(replay, json!({ "queued": 2, "more": false, "continueSince": null }));
            let first = peer.until(2).await;
            assert_eq!(numbers(&first), [0, 1]);
            let body = json!({ "since": "1h" });
            app.post(&path(&hook, "/replay"), body).await.expect(202);
            let received = peer.until(5).await;
            assert_eq!(numbers(&received), [0, 1, 0, 1, 7]);
            let ids = message_ids(&received);
            assert_eq!(ids[0], ids[2], "the subscriber recognises an event that it had");
            place_orders(&app, 8..9).await;
            peer.until(6).await;
            let body = json!({ "since": "1h" });
            let replay = app.post(&path(&hook, "/replay"), body).await.expect(202);
            assert_eq!((&replay["queued"], &replay["more"]), (&json!(3), &json!(true)));
            let rest = json!({ "since": replay["continueSince"] });
            app.post(&path(&hook, "/replay"), rest).await.expect(202);
            assert_eq!(numbers(&peer.until(10).await[6..]), [0, 1, 7, 8]);
            let done = listed(&app, &hook, "delivered", 10).await;
            assert_eq!(done[0]["origin"], "replay");
            for (body, pointer) in [
                (json!({}), "/since"),
                (json!({ "since": "soon" }), "/since"),
                (json!({ "since": "1h", "until": "2h" }), "/until"),
                (json!({ "since": "1h", "types": ["nope"] }), "/types/0"),
            ] {
                let refused = app.post(&path(&hook, "/replay"), body).await.expect(422);
                assert_eq!(refused["errors"][0]["pointer"], pointer, "{refused}");
            }
        },
    );
}

#[test]
fn both_secrets_sign_while_one_is_exchanged() {
    with_config(quick, async |app| {
        register(&app).await;
        let peer = Peer::friendly().await;
        let given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let hook = subscribe(&app, &peer, json!({ "secret": given })).await;
        assert_eq!(hook["secret"], given);
        let rotated = app.post(&path(&hook, "/rotate-secret"), json!({})).await.expect(200);
        assert!(rotated["secret"] != hook["secret"] && rotated["previousSecretUntil"].is_string());
        place_orders(&app, 0..1).await;
        let received = peer.until(1).await;
        assert!(
            is_signed(&received[0], &hook["secret"]) && is_signed(&received[0], &rotated["secret"])
        );
        assert_eq!(received[0].header("webhook-signature").split(' ').count(), 2);
        let body = json!({ "overlap": 0 });
        let last = app.post(&path(&hook, "/rotate-secret"), body).await.expect(200);
        place_orders(&app, 1..2).await;
        let received = peer.until(2).await;
        assert!(
            is_signed(&received[1], &last["secret"])
                && !is_signed(&received[1], &rotated["secret"])
        );
        for body in [json!({ "overlap": "31d" }), json!({ "secret": "whsec_c2hvcnQ=" })] {
            app.post(&path(&hook, "/rotate-secret"), body).await.expect(422);
        }
    });
}

#[test]
fn a_subscriber_that_is_gone_gets_nothing_more() {
    with_config(quick, async |app| {
        register(&app).await;
        let answers = Arc::new(AtomicUsize::new(410));
        let status = Arc::clone(&answers);
        let peer = Peer::start(move |_, _| {
            Reply::Status(
                u16::try_from(status.load(Ordering::SeqCst)).expect("a status"),
                json!({}),
            )
        })
        .await;
        let watcher = Peer::friendly().await;
        let hook = subscribe(&app, &peer, json!({ "types": ["*"], "description": "books" })).await;
        subscribe(&app, &watcher, json!({ "types": ["webhook:disabled"] })).await;
        place_together(&app, 0..2).await;
        let view = until_disabled(&app, &hook).await;
        assert!(view["disabledReason"].as_str().expect("a reason").contains("410"), "{view}");
        let told = watcher.until(1).await;
        assert_eq!(told[0].body["data"]["payload"]["webhook"]["id"], hook["id"]);
        assert_eq!(told[0].body["data"]["payload"]["webhook"]["description"], "books");
        place_orders(&app, 2..3).await;
        assert_eq!(numbers(&peer.received()), [0]);
        let dead = listed(&app, &hook, "dead", 1).await;
        let one = path(&hook, &format!("/deliveries/{}", dead[0]["id"].as_str().expect("an id")));
        let refused = app.post(&format!("{one}/redeliver"), json!({})).await;
        refused.refused(409, "webhook_disabled");
        let waiting = listed(&app, &hook, "pending", 1).await;
        assert_eq!(waiting[0]["attempts"], json!([]));
        answers.store(200, Ordering::SeqCst);
        let view = app.post(&path(&hook, "/enable"), json!({})).await.expect(200);
        assert_eq!((&view["enabled"], &view["disabledReason"]), (&json!(true), &Value::Null));
        assert_eq!(numbers(&peer.until(2).await), [0, 1]);
    });
}

#[test]
fn a_subscriber_that_fails_for_too_long_is_disabled() {
    with_config(
        |config| {
            reach_inner_networks(config);
            config.engine.delivery_pauses_ms = Pauses(vec![10; 1_000]);
            config.engine.webhook_failing_ms_max = 100;
        },
        async |app| {
            register(&app).await;
            let peer = Peer::start(|_, _| Reply::Status(500, json!({}))).await;
            let hook = subscribe(&app, &peer, json!({})).await;
            place_orders(&app, 0..2).await;
            let view = until_disabled(&app, &hook).await;
            let reason = view["disabledReason"].as_str().expect("a reason");
            assert!(reason.starts_with("every attempt has failed since "), "{reason}");
            assert_eq!(view["deliveries"]["pending"], 2, "nothing is lost");
        },
    );
}

#[test]
fn a_queue_that_grows_too_long_disables_its_subscription() {
    with_config(
        |config| {
            reach_inner_networks(config);
            config.engine.deliveries_pending_max = 3;
        },
        async |app| {
            register(&app).await;
            let peer = Peer::start(|_, _| Reply::Status(500, json!({}))).await;
            let hook = subscribe(&app, &peer, json!({})).await;
            place_orders(&app, 0..5).await;
            let view = until_disabled(&app, &hook).await;
            let reason = view["disabledReason"].as_str().expect("a reason");
            assert!(reason.ends_with("deliveries wait, which are too many"), "{reason}");
        },
    );
}

#[test]
fn a_subscription_is_tried_before_anything_depends_on_it() {
    with_config(quick, async |app| {
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Status(200, json!({ "welcome": true })),
            1 => Reply::Status(302, json!({})),
            _ => Reply::Never,
        })
        .await;
        let hook = subscribe(&app, &peer, json!({ "types": ["*"], "enabled": false })).await;
        assert_eq!(hook["enabled"], false);
        let tried = app.post(&path(&hook, "/test"), json!({})).await.expect(200);
        assert_eq!((&tried["delivered"], &tried["statusCode"]), (&json!(true), &json!(200)));
        assert_eq!(tried["response"], r#"{"welcome":true}"#);
        let received = peer.until(1).await;
        assert_eq!(received[0].body["type"], "webhook:test");
        assert_eq!(tried["request"]["body"], received[0].body);
        assert!(is_signed(&received[0], &hook["secret"]));
        let tried = app.post(&path(&hook, "/test"), json!({})).await.expect(200);
        assert_eq!(
            (&tried["delivered"], &tried["error"]["code"]),
            (&json!(false), &json!("http_302"))
        );
        let events = app.get("/v1/events?type=webhook:test").await.expect(200);
        assert_eq!(events["data"], json!([]), "it concerns nobody else");
    });
}

#[test]
fn a_wrong_subscription_is_refused_with_every_fault() {
    with_app(async |app| {
        let wrong = json!({
            "url": "http://example.com/in",
            "types": ["ticket:creatd", "*"],
            "filter": { "ticket.id": { "~equals": 1 } },
            "format": "thenna",
            "headers": { "Webhook-Id": "mine", "host": "x", "x-fine": "yes" },
            "secret": "whsec_short",
        });
        let refused = app.post("/v1/webhooks", wrong).await.expect(422);
        let faults = refused["errors"].as_array().expect("a list").iter();
        let faults: Vec<_> = faults
            .map(|fault| {
                let text = |name: &str| fault[name].as_str().unwrap_or_default().to_owned();
                (text("pointer"), text("code"), text("hint"))
            })
            .collect();
        for (pointer, code, hint) in [
            ("/url", "insecure_url", ""),
            ("/types/0", "unknown_event_type", "did you mean `ticket:created`?"),
            ("/filter/ticket.id/~0equals", "unknown_operator", ""),
            ("/format", "unknown_format", "did you mean `thena`?"),
            ("/headers/Webhook-Id", "invalid_header", ""),
            ("/headers/host", "invalid_header", ""),
            ("/secret", "invalid_secret", "leave it out, and one is made"),
        ] {
            let found = faults.iter().find(|(at, ..)| at == pointer).unwrap_or_else(|| {
                panic!("nothing is told of {pointer}: {faults:?}");
            });
            assert_eq!(found.1, code, "{pointer}");
            assert!(hint.is_empty() || found.2 == hint, "{pointer}: {}", found.2);
        }
        for (url, code) in [
            ("https://127.0.0.1/in", "egress_refused"),
            ("https://[::ffff:10.0.0.1]/in", "egress_refused"),
            ("https://u:p@example.com/", "invalid_url"),
            ("ftp://example.com/", "egress_refused"),
            ("nonsense", "invalid_url"),
            ("", "required"),
        ] {
            let refused = app.post("/v1/webhooks", json!({ "url": url, "types": ["*"] })).await;
            let refused = refused.expect(422);
            assert_eq!(refused["errors"][0]["code"], code, "{url}");
        }
        let missing = app.post("/v1/webhooks", json!({})).await.expect(422);
        let pointers: Vec<_> =
            missing["errors"].as_array().expect("a list").iter().map(|it| &it["pointer"]).collect();
        assert_eq!(pointers, ["/url", "/types"]);
        assert_eq!(app.get("/v1/webhooks").await.expect(200)["data"], json!([]));
    });
}

#[test]
fn subscriptions_are_bounded_replaced_and_removed() {
    with_config(
        |config| {
            quick(config);
            config.engine.webhooks_max = 1;
        },
        async |app| {
            register(&app).await;
            let peer = Peer::friendly().await;
            let hook = subscribe(&app, &peer, json!({ "description": "books" })).await;
            let one_more = json!({ "url": peer.url, "types": ["*"] });
            let refused = app.post("/v1/webhooks", one_more.clone()).await;
            refused.refused(409, "too_many_webhooks");
            place_orders(&app, 0..2).await;
            listed(&app, &hook, "delivered", 2).await;
            let view = app.put(&path(&hook, ""), one_more.clone()).await.expect(200);
            assert_eq!((&view["description"], &view["types"]), (&json!(""), &json!(["*"])));
            place_orders(&app, 2..3).await;
            assert!(is_signed(&peer.until(3).await[2], &hook["secret"]), "the secret stays");
            app.patch(&path(&hook, ""), json!({ "secret": "x" })).await.expect(422);
            let other = app.post("/v1/tenants", json!({ "slug": "other", "name": "Other" })).await;
            other.expect(201);
            let foreign = |request: reqwest::RequestBuilder| async move {
                let response = request.header("x-tenant", "other").send().await.expect("an answer");
                response.status().as_u16()
            };
            let get = app.request(reqwest::Method::GET, &path(&hook, ""));
            assert_eq!(foreign(get).await, 404);
            let delete = app.request(reqwest::Method::DELETE, &path(&hook, ""));
            assert_eq!(foreign(delete).await, 404);
            app.delete(&path(&hook, "")).await.expect(204);
            app.get(&path(&hook, "")).await.expect(404);
            app.get(&path(&hook, "/deliveries")).await.expect(404);
            app.post("/v1/webhooks", one_more).await.expect(201);
        },
    );
}

#[test]
fn only_the_newest_deliveries_are_kept() {
    with_config(
        |config| {
            quick(config);
            config.engine.deliveries_kept_max = 4;
        },
        async |app| {
            register(&app).await;
            let peer = Peer::friendly().await;
            let hook = subscribe(&app, &peer, json!({})).await;
            place_orders(&app, 0..9).await;
            until(&app, &hook, |view| view["deliveries"]["delivered"] == 9).await;
            let kept = listed(&app, &hook, "delivered", 4).await;
            let all = app.get(&path(&hook, "/deliveries?limit=3")).await.expect(200);
            assert_eq!(all["data"].as_array().map(Vec::len), Some(3));
            let cursor = all["nextCursor"].as_str().expect("a cursor");
            let rest = path(&hook, &format!("/deliveries?limit=3&cursor={cursor}"));
            let rest = app.get(&rest).await.expect(200);
            assert_eq!(rest["data"][0]["id"], kept[3]["id"]);
            assert_eq!(rest["nextCursor"], Value::Null);
        },
    );
}

#[test]
fn a_kill_loses_nothing_and_keeps_the_order() {
    with_runtime(async {
        let place = TempDir::new().expect("a directory");
        let settings = "[engine]\ndelivery_pauses_ms = [20, 30]\n";
        fs::write(place.path().join("config.toml"), settings).expect("written");
        let data = place.path().join("data");
        let peer = Peer::start(|number, _| match number {
            1 => Reply::Never,
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let process = Process::start(&data);
        register(&process.app).await;
        let hook = subscribe(&process.app, &peer, json!({})).await;
        place_orders(&process.app, 0..4).await;
        assert_eq!(numbers(&peer.until(2).await), [0, 1]);
        let flying = listed(&process.app, &hook, "delivering", 1).await;
        assert_eq!(flying[0]["attempts"][0]["outcome"], "running");
        process.kill();
        let process = Process::start(&data);
        let received = peer.until(5).await;
        assert_eq!(numbers(&received), [0, 1, 1, 2, 3]);
        let ids = message_ids(&received);
        assert_eq!(ids[1], ids[2]);
        assert!(received.iter().all(|one| is_signed(one, &hook["secret"])));
        let done = listed(&process.app, &hook, "delivered", 4).await;
        assert_eq!(done[2]["attempts"][0]["outcome"], "unknown");
        assert_eq!(done[2]["attempts"][1]["outcome"], "delivered");
        process.kill();
    });
}

#[test]
fn an_attempt_that_is_due_during_downtime_is_made_after_it() {
    with_runtime(async {
        let place = TempDir::new().expect("a directory");
        let settings = "[engine]\ndelivery_pauses_ms = [1500, 10]\n";
        fs::write(place.path().join("config.toml"), settings).expect("written");
        let data = place.path().join("data");
        let peer = Peer::start(|number, _| match number {
            0 => Reply::Status(500, json!({})),
            _ => Reply::Status(200, json!({})),
        })
        .await;
        let process = Process::start(&data);
        register(&process.app).await;
        let hook = subscribe(&process.app, &peer, json!({})).await;
        place_orders(&process.app, 0..2).await;
        let waiting = listed(&process.app, &hook, "pending", 2).await;
        let first = waiting.last().expect("two");
        assert!(peer.received().len() == 1 && first["nextAttemptAt"].is_string(), "{first}");
        process.kill();
        let process = Process::start(&data);
        let received = peer.until(3).await;
        assert_eq!(numbers(&received), [0, 0, 1]);
        let due: Timestamp = first["nextAttemptAt"].as_str().expect("a time").parse().expect("one");
        let done = listed(&process.app, &hook, "delivered", 2).await;
        let made = done[1]["attempts"][1]["at"].as_str().expect("a time");
        assert!(made.parse::<Timestamp>().expect("a time") >= due, "never early");
        process.kill();
    });
}
