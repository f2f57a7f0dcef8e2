//! Records that stand under a tenant's own definitions: custom fields, statuses, objects, surveys.

use serde_json::{Map, Value, json};

use super::{
    Emitted, Facts, RecordKind, Related, Surroundings, create, csat, events, joined, ticket, update,
};
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

type Record = Map<String, Value>;

const NOW: Timestamp = Timestamp::from_millis(1_795_428_000_000);

fn object(value: Value) -> Record {
    value.as_object().cloned().expect("an object")
}

/// A tenant with one team, its own statuses and the definitions of custom fields.
fn with_desk<T>(rule: impl FnOnce(&Facts<'_>) -> T) -> T {
    let get = |kind: RecordKind, key: &str| {
        (kind == RecordKind::Team && key == "G1")
            .then(|| object(json!({"id": "G1", "name": "Web desk", "identifier": "WED"})))
    };
    let all = |kind: RecordKind| {
        let records = match kind {
            RecordKind::CustomField => json!([
                {"id": "F1", "slug": "plan", "name": "Plan", "source": "ticket", "isActive": true,
                 "fieldType": "single_choice", "options": [{"value": "gold"}, {"value": "pro"}],
                 "mandatoryOnCreation": true},
                {"id": "F2", "slug": "root_cause", "name": "Root cause", "source": "ticket",
                 "fieldType": "single_line", "mandatoryOnClose": true, "isActive": true},
                {"id": "F3", "slug": "seats", "name": "Seats", "source": "ticket",
                 "fieldType": "integer", "defaultValue": 5, "isActive": true},
                {"id": "F4", "slug": "old", "name": "Old", "source": "ticket", "isActive": false,
                 "fieldType": "integer", "mandatoryOnCreation": true},
                {"id": "F5", "slug": "tier", "name": "Tier", "source": "account", "isActive": true,
                 "fieldType": "single_line", "mandatoryOnCreation": true},
                {"id": "F6", "slug": "stage", "name": "Stage", "source": "custom-object",
                 "objectType": "lead", "fieldType": "single_choice", "isActive": true,
                 "options": [{"value": "new"}], "mandatoryOnCreation": true},
            ]),
            RecordKind::TicketStatus => json!([
                {"id": "S1", "statusId": "ST-FRESH", "name": "Fresh", "parentStatusName": "Open",
                 "isDefault": true, "teamId": null},
                {"id": "S2", "statusId": "ST-THEIRS", "name": "Theirs", "parentStatusName": "Open",
                 "isDefault": false, "teamId": "G2"},
            ]),
            _ => json!([]), // Nothing else is defined.
        };
        records.as_array().into_iter().flatten().cloned().map(object).collect()
    };
    let related = Related { get: &get, all: &all };
    rule(&Facts { now: NOW, id: Uid::from_text("T1"), number: 1, related })
}

fn opened(more: Value) -> Result<Record, Vec<Problem>> {
    let mut input = object(json!({"title": "Help", "requestorEmail": "a@b.example",
        "teamId": "G1"}));
    input.extend(object(more));
    with_desk(|facts| create(RecordKind::Ticket, &input, facts))
}

fn refused(result: Result<Record, Vec<Problem>>) -> Vec<(String, String)> {
    let problems = result.expect_err("refused");
    problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
}

fn told(events: &[Emitted]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

#[test]
fn custom_fields_are_held_to_their_definitions() {
    let made = opened(json!({"customFieldValues": [{"fieldId": "F1", "value": "gold"}],
        "customFields": {"undefined": {"any": 1}}}));
    let made = made.expect("it fits");
    assert_eq!(made["customFields"], json!({"undefined": {"any": 1}, "plan": "gold", "seats": 5}));
    let pair = |pointer: &str, code: &str| (pointer.to_owned(), code.to_owned());
    assert_eq!(refused(opened(json!({}))), [pair("/customFieldValues/plan", "required")]);
    assert_eq!(
        refused(opened(json!({"customFields": {"Plan": "glod", "seats": "many"}}))),
        [pair("/customFields/Plan", "not_allowed"), pair("/customFields/seats", "wrong_type")]
    );
    let patch =
        |patch: Value| with_desk(|facts| update(RecordKind::Ticket, &made, &object(patch), facts));
    let pointer = "/customFieldValues/root_cause";
    assert_eq!(refused(patch(json!({"statusName": "Closed"}))), [pair(pointer, "required")]);
    let closed = json!({"statusName": "Closed", "customFields": {"root cause": "DNS"}});
    assert_eq!(patch(closed).expect("it is given")["customFields"]["root_cause"], "DNS");
}

#[test]
fn tickets_begin_in_the_default_below_open_and_know_only_their_teams_statuses() {
    let plan = json!({"customFields": {"plan": "pro"}});
    let made = opened(plan.clone()).expect("valid");
    assert_eq!((&made["statusName"], &made["parentStatusName"]), (&json!("Fresh"), &json!("Open")));
    let mut theirs = object(plan);
    theirs.insert("statusName".to_owned(), json!("Theirs"));
    let found = refused(opened(Value::Object(theirs)));
    assert_eq!(found, [("/statusName".to_owned(), "not_allowed".to_owned())]);
}

#[test]
fn a_survey_is_sent_and_answered_without_an_update() {
    let ticket = opened(json!({"customFields": {"plan": "pro"}})).expect("valid");
    let around = Surroundings::default();
    let sent = with_desk(|facts| csat::send(&ticket, facts));
    let found = events(RecordKind::Ticket, Some(&ticket), Some(&sent), &around);
    assert_eq!(told(&found), ["ticket:csat:sent"]);
    let answer = |rating: Value, comment: Value| {
        with_desk(|facts| csat::receive(&sent, &rating, &comment, facts))
    };
    let answered = answer(json!(5), json!("Kind")).expect("an answer");
    let found = events(RecordKind::Ticket, Some(&sent), Some(&answered), &around);
    assert_eq!(told(&found), ["ticket:csat:received"]);
    assert_eq!(found[0].payload["csat"]["rating"], 5);
    let again = with_desk(|facts| csat::receive(&answered, &json!(5), &json!("Kind"), facts));
    assert_eq!(again.as_ref(), Ok(&answered));
    for (rating, code) in
        [(json!(6), "out_of_range"), (json!("5"), "out_of_range"), (Value::Null, "required")]
    {
        assert_eq!(refused(answer(rating, Value::Null)), [("/rating".to_owned(), code.to_owned())]);
    }
}

#[test]
fn an_objects_events_name_the_tenant_and_the_kind() {
    let input = json!({"objectType": "deal", "namespace": "acme", "values": {"stage": "open"}});
    let deal = with_desk(|facts| create(RecordKind::CustomObject, &object(input), facts));
    let deal = deal.expect("valid");
    let patch = object(json!({"values": {"stage": "won"}}));
    let won = with_desk(|facts| update(RecordKind::CustomObject, &deal, &patch, facts));
    let won = won.expect("valid");
    let around = Surroundings::default();
    for (before, after, verb) in [
        (None, Some(&deal), "created"),
        (Some(&deal), Some(&won), "updated"),
        (Some(&won), None, "deleted"),
    ] {
        let found = events(RecordKind::CustomObject, before, after, &around);
        assert_eq!(told(&found), [format!("custom-object:acme:deal:{verb}")]);
    }
    let wrong = json!({"objectType": "Big Deal", "values": {}});
    let wrong = with_desk(|facts| create(RecordKind::CustomObject, &object(wrong), facts));
    assert_eq!(refused(wrong), [("/objectType".to_owned(), "invalid_name".to_owned())]);
}

#[test]
fn an_objects_values_are_held_to_the_definitions_of_its_type() {
    for (kind, values, problem) in [
        ("lead", json!({"stage": "new", "more": 1}), None),
        ("lead", json!({}), Some("required")),
        ("lead", json!({"stage": "old"}), Some("not_allowed")),
        ("deal", json!({"stage": "old"}), None),
    ] {
        let input = object(json!({"objectType": kind, "values": values}));
        let made = with_desk(|facts| create(RecordKind::CustomObject, &input, facts));
        let found =
            made.err().map(|problems| (problems[0].pointer.clone(), problems[0].code.clone()));
        let expected = problem.map(|code| ("/values/stage".to_owned(), code.to_owned()));
        assert_eq!(found, expected, "{kind}: {values}");
    }
}

#[test]
fn whoever_begins_to_work_here_joins_the_organization() {
    let organization = object(json!({"id": "1", "name": "Acme"}));
    let around = Surroundings { organization: Some(&organization), ..Surroundings::default() };
    for (kind, expected) in [
        ("AGENT", &["user:created", "organization:member-joined"][..]),
        ("CUSTOMER", &["user:created"]),
    ] {
        let user = object(json!({"id": "U1", "userType": kind}));
        assert_eq!(told(&events(RecordKind::User, None, Some(&user), &around)), expected);
    }
    let event = joined(&organization, &object(json!({"id": "U1"})));
    assert_eq!(event.payload, json!({"organization": organization, "user": {"id": "U1"}}));
    assert_eq!(event.subject, "1");
}

#[test]
fn only_a_word_that_the_customer_sees_is_a_reply() {
    let comment =
        |visibility: &str| object(json!({"createdAt": NOW, "commentVisibility": visibility}));
    let open = Record::new();
    assert!(!ticket::commented(&open, &comment("private")).contains_key("lastVendorReply"));
    assert_eq!(ticket::commented(&open, &comment("public"))["lastVendorReply"], json!(NOW));
}
