//! Which events a subscription takes, and when a delivery is tried again.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::domain::event::Actor;
use crate::domain::event_type::built_in;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

const OWN: [&str; 2] = ["order:placed", "linear.contact.synced"];

fn known() -> Vec<&'static str> {
    built_in().iter().map(|known| known.kind).chain(OWN).collect()
}

fn subscription(types: &[&str], filter: Option<Value>) -> Result<Subscription, Vec<Problem>> {
    let types: Vec<String> = types.iter().map(|text| (*text).to_owned()).collect();
    Subscription::parse(&types, filter.as_ref(), &known())
}

fn event(kind: &str, payload: Value) -> Event {
    Event {
        id: "evt_1".to_owned(),
        kind: kind.to_owned(),
        source: "ergane".to_owned(),
        subject: None,
        time: Timestamp::from_millis(0),
        actor: Actor { id: "u1".to_owned(), kind: "AGENT".to_owned(), email: String::new() },
        payload,
        metadata: serde_json::Map::new(),
        cause: None,
    }
}

#[test]
fn a_pattern_takes_what_it_names_in_every_spelling() {
    for (pattern, kind, taken) in [
        ("*", "ticket:created", true),
        ("*", "linear.contact.synced", true),
        ("ticket:*", "ticket:created", true),
        ("customer-contact*", "customer-contact:created", true),
        ("tick*", "ticket:comment:added", true),
        ("ticket:c*", "ticket:updated", false),
        ("ticket:*", "ticket:comment:added", true),
        ("ticket:*", "ticketing:created", false),
        ("ticket:*", "ticket", false),
        ("ticket.*", "ticket:created", true),
        ("ticket:comment:*", "ticket:created", false),
        ("org:*", "organization:created", true),
        ("org:created", "organization:created", true),
        ("ticket.created", "ticket:created", true),
        ("ticket:comment:created", "ticket:comment:added", true),
        ("ticket:created", "ticket:created:more", false),
        ("*:created", "ticket:created", true),
        ("*:created", "ticket:comment:added", false),
        ("order.placed", "order:placed", true),
        ("linear.*", "linear.contact.synced", true),
        ("linear.contact.synced", "linear.contact.synced", true),
        ("custom-object:crm:*", "custom-object:crm:deal:created", true),
    ] {
        let subscription = subscription(&[pattern], None).expect(pattern);
        assert_eq!(subscription.takes_kind(kind), taken, "{pattern} {kind}");
    }
}

#[test]
fn an_unknown_type_is_refused_with_the_nearest() {
    for (pattern, hint) in [
        ("ticket:creatd", "did you mean `ticket:created`?"),
        ("tickets:*", "did you mean `ticket:*`?"),
        ("order:placd", "did you mean `order:placed`?"),
        ("entirely-else:*", "register it first, or choose from the list of event types"),
        ("", "register it first, or choose from the list of event types"),
    ] {
        let problems = subscription(&["*", pattern], None).expect_err(pattern);
        assert_eq!(problems[0].pointer, "/types/1");
        assert_eq!(problems[0].hint.as_deref(), Some(hint), "{pattern}");
    }
}

#[test]
fn everything_wrong_is_told_at_once() {
    let problems = subscription(&[], Some(json!({ "a": { "~equals": 1 } }))).expect_err("wrong");
    let pointers: Vec<&str> = problems.iter().map(|problem| problem.pointer.as_str()).collect();
    assert_eq!(pointers, ["/types", "/filter/a/~0equals"]);
}

#[test]
fn types_are_kept_canonical_and_once() {
    let types = ["ticket.created", "ticket:created", "org:*", "ticket:comment:created"];
    let kept = subscription(&types, None).expect("known").types();
    assert_eq!(kept, ["ticket:created", "organization:*", "ticket:comment:added"]);
}

#[test]
fn a_filter_chooses_among_the_events_of_a_type() {
    let filter = json!({ "ticket.priorityName": { "~eq": "urgent" } });
    let subscription = subscription(&["ticket:*"], Some(filter)).expect("valid");
    for (priority, wanted) in [("urgent", true), ("low", false)] {
        let event = event("ticket:created", json!({ "ticket": { "priorityName": priority } }));
        assert_eq!(subscription.wants(&event, &mut None), wanted, "{priority}");
    }
}

#[test]
fn pauses_grow_as_they_are_listed_and_end() {
    let pauses = [5, 300, 1_800].map(Duration::from_secs);
    let seconds = |made, chance, asked: Option<u64>| {
        pause_after(&pauses, made, chance, asked.map(Duration::from_secs))
            .map(|pause| pause.as_secs_f64())
    };
    for (made, chance, asked, expected) in [
        (1, 0.0, None, Some(5.0)),
        (2, 0.0, None, Some(300.0)),
        (2, 1.0, None, Some(330.0)),
        (3, 0.0, Some(60), Some(1_800.0)),
        (1, 0.0, Some(60), Some(60.0)),
        (1, 0.0, Some(10_000_000), Some(86_400.0)),
        (4, 0.0, Some(60), None),
        (0, 0.0, None, None),
    ] {
        assert_eq!(seconds(made, chance, asked), expected, "{made} {chance} {asked:?}");
    }
}

#[test]
fn a_message_has_the_shape_of_its_format() {
    let event = event("ticket:created", json!({ "ticket": { "id": "T1" } }));
    let received_at = Timestamp::from_millis(1_000);
    let facts = MessageFacts { tenant: TenantId(7), received_at, runs: &[] };
    let plain = body(Format::Event, &event, facts);
    assert_eq!(plain["type"], "ticket:created");
    assert_eq!(plain["timestamp"], "1970-01-01T00:00:00.000Z");
    assert_eq!(plain["data"]["payload"]["ticket"]["id"], "T1");
    assert_eq!(plain["data"]["receivedAt"], "1970-01-01T00:00:01.000Z");
    let thena = body(Format::Thena, &event, facts);
    assert_eq!(thena["message"]["eventType"], "ticket:created");
    assert_eq!(thena["message"]["orgId"], "7");
    assert_eq!(
        thena["messageAttributes"],
        json!({
            "event_name": "ticket:created", "event_id": "evt_1",
            "event_timestamp": "1970-01-01T00:00:00.000Z", "context_user_id": "u1",
            "context_user_type": "AGENT", "context_organization_id": "7",
        })
    );
}
