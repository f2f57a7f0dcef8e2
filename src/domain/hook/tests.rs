//! Rules, senders and Slack's requests.

use serde_json::{Value, json};

use super::slack::{Request, kind_of};
use super::{Delivery, Rules, Sender};

fn delivery(headers: Value, body: Value) -> Delivery {
    let headers = headers.as_object().cloned().unwrap_or_default();
    Delivery { headers, body, ..Delivery::default() }
}

#[test]
fn the_first_rule_that_holds_makes_the_event() {
    let rules = json!([
        {"when": {"body.action": {"~eq": "deleted"}}, "type": "order:gone"},
        {"when": {"action": {"~in": ["created", "paid"]}}, "type": "order:{{body.action}}",
            "id": "{{ body.order.id }}", "subject": "{{headers['x-shop']}}", "payload": "body.order"},
        {"type": "order:other", "payload": {"all": "{{ body }}"}},
    ]);
    let rules = Rules::parse(&rules, "/settings/rules").expect("these rules are valid");
    let apply = |body| rules.apply(&delivery(json!({"x-shop": "north"}), body)).unwrap().unwrap();
    let gone = apply(json!({"action": "deleted"}));
    assert_eq!((gone.kind.as_str(), &gone.payload), ("order:gone", &json!({"action": "deleted"})));
    let paid = apply(json!({"action": "paid", "order": {"id": 7}}));
    assert_eq!((paid.kind.as_str(), paid.id.as_deref()), ("order:paid", Some("7")));
    assert_eq!((paid.subject.as_deref(), paid.payload), (Some("north"), json!({"id": 7})));
    let other = apply(json!({"a": 1}));
    assert_eq!(other.payload, json!({"all": {"a": 1}}));
}

#[test]
fn a_rule_that_holds_and_fails_says_why() {
    let rules = json!([{"type": "order:{{body.action}}"}]);
    let rules = Rules::parse(&rules, "/settings/rules").expect("a rule");
    let problem = rules.apply(&delivery(json!({}), json!({}))).unwrap_err();
    assert_eq!(problem.code, "path_missing");
    let odd = delivery(json!({}), json!({"action": "not a type!"}));
    assert_eq!(rules.apply(&odd).unwrap_err().code, "invalid_type");
}

#[test]
fn wrong_rules_are_refused_with_their_places() {
    let raw = json!([{"type": "a", "wen": {}}, {"when": {"x": {"~foo": 1}}}, 5]);
    let problems = Rules::parse(&raw, "/settings/rules").unwrap_err();
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/settings/rules/0/wen",
            "/settings/rules/1/type",
            "/settings/rules/1/when/x/~0foo",
            "/settings/rules/2"
        ]
    );
}

#[test]
fn senders_follow_from_the_app_and_the_settings() {
    for (app, settings, sender) in [
        ("slack", json!({}), Sender::Slack),
        ("github", json!({}), Sender::GitHub),
        ("webhook", json!({}), Sender::Standard),
        ("http", json!({"signature": "stripe"}), Sender::Stripe),
        ("webhook", json!({"header": "X-Shop-Key"}), Sender::Plain("x-shop-key".to_owned())),
        ("webhook", json!({"signature": "plain"}), Sender::Plain("x-webhook-secret".to_owned())),
    ] {
        assert_eq!(Sender::of(app, &settings), sender, "{app} {settings}");
    }
}

#[test]
fn senders_name_their_own_types_and_ids() {
    let pushed = delivery(
        json!({"x-github-event": "issues", "x-github-delivery": "d-1"}),
        json!({"action": "opened"}),
    );
    assert_eq!(Sender::GitHub.kind_of(&pushed).as_deref(), Some("github:issues:opened"));
    assert_eq!(Sender::GitHub.id_of(&pushed).as_deref(), Some("d-1"));
    let paid = delivery(json!({}), json!({"id": "evt_1", "type": "invoice.paid"}));
    assert_eq!(Sender::Stripe.kind_of(&paid).as_deref(), Some("stripe:invoice:paid"));
    assert_eq!(Sender::Stripe.id_of(&paid).as_deref(), Some("evt_1"));
    let made = delivery(json!({}), json!({"type": "Issue", "action": "create"}));
    assert_eq!(Sender::Linear.kind_of(&made).as_deref(), Some("linear:issue:create"));
}

#[test]
fn what_proves_a_sender_is_not_kept() {
    let came = delivery(
        json!({"x-hub-signature-256": "s", "authorization": "b", "x-shop": "s", "accept": "*/*"}),
        json!({}),
    );
    let kept = Value::Object(came.headers_to_keep(Some("X-Shop")));
    let masked = json!({"x-hub-signature-256": "***", "authorization": "***", "x-shop": "***",
        "accept": "*/*"});
    assert_eq!(kept, masked);
}

#[test]
fn slacks_types_are_spelled_in_our_way() {
    for (inner, kind) in [
        ("message", "slack:message"),
        ("channel_created", "slack:channel:created"),
        ("reaction_added", "slack:reaction:added"),
        ("app_mention", "slack:app_mention"),
        ("member_joined_channel", "slack:member:joined_channel"),
        ("team_join", "slack:team:join"),
    ] {
        assert_eq!(kind_of(inner), kind);
    }
}

#[test]
fn slacks_requests_become_events() {
    let body = json!({"type": "event_callback", "team_id": "T1", "event_id": "Ev1",
        "event_time": 1_700_000_000,
        "event": {"type": "reaction_added", "user": "U1", "item": {"channel": "C1"}}});
    let Request::Event(event) = Request::read(&body) else { panic!("an event") };
    assert_eq!(event.mapped.kind, "slack:reaction:added");
    assert_eq!(event.mapped.id.as_deref(), Some("Ev1"));
    assert_eq!((event.mapped.subject.as_deref(), event.user.as_str()), (Some("C1"), "U1"));
    assert_eq!(event.mapped.payload["team"], "T1");

    let payload = json!({"type": "block_actions", "token": "old", "trigger_id": "t.1",
        "user": {"id": "U1"}, "team": {"id": "T1"}, "channel": {"id": "C1"},
        "actions": [{"action_id": "approve", "value": "run-1"}]});
    let Request::Interaction(pressed) = Request::read(&json!({"payload": payload.to_string()}))
    else {
        panic!("an interaction")
    };
    assert_eq!(pressed.mapped.payload["actionIds"], json!(["approve"]));
    assert!(pressed.mapped.payload.get("token").is_none());
    assert_eq!(pressed.mapped.id.as_deref(), Some("t.1"));

    let typed = json!({"command": "/incident", "text": "db down", "token": "old",
        "user_id": "U1", "channel_id": "C1", "trigger_id": "t.2"});
    let Request::Command(typed) = Request::read(&typed) else { panic!("a command") };
    assert_eq!((typed.mapped.kind.as_str(), typed.user.as_str()), ("slack:command", "U1"));
    assert!(typed.mapped.payload.get("token").is_none());

    let check = json!({"type": "url_verification", "challenge": "c"});
    assert_eq!(Request::read(&check), Request::Challenge("c".to_owned()));
    assert_eq!(Request::read(&json!({"ssl_check": "1"})), Request::Nothing);
    assert_eq!(Request::read(&json!("text")), Request::Nothing);
}
