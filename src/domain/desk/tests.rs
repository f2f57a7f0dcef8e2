//! What the records promise, in tables.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::change::{Change, Conflict, Restored, difference, undo};
use super::*;
use crate::domain::event_type;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);
const LATER: Timestamp = Timestamp::from_millis(2_000_000);

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn desk(kind: RecordKind, key: &str) -> Option<Map<String, Value>> {
    let known = [
        (
            RecordKind::Team,
            vec!["G1", "WED"],
            json!({
                "id": "G1", "name": "Web desk", "identifier": "WED",
                "statuses": [{ "id": "ST-TRIAGE", "name": "Triage", "parentStatusName": "Open" }],
            }),
        ),
        (
            RecordKind::Team,
            vec!["G2", "OPS"],
            json!({
                "id": "G2", "name": "Operations", "identifier": "OPS",
            }),
        ),
        (
            RecordKind::User,
            vec!["U1", "ada@example.com"],
            json!({
                "id": "U1", "name": "Ada", "email": "ada@example.com", "userType": "AGENT",
                "status": "ACTIVE", "avatarUrl": "https://example.com/ada.png",
            }),
        ),
        (
            RecordKind::User,
            vec!["U2", "bob@example.com"],
            json!({
                "id": "U2", "name": "Bob", "email": "bob@example.com", "userType": "AGENT",
            }),
        ),
        (
            RecordKind::Account,
            vec!["A1", "wedding.example"],
            json!({
                "id": "A1", "name": "Wedding", "primaryDomain": "wedding.example",
            }),
        ),
        (
            RecordKind::Account,
            vec!["A2", "venue.example"],
            json!({
                "id": "A2", "name": "Venue", "primaryDomain": "venue.example",
            }),
        ),
        (
            RecordKind::Contact,
            vec!["P1", "kim@wedding.example"],
            json!({
                "id": "P1", "firstName": "Kim", "lastName": "Marsh", "email": "kim@wedding.example",
                "accountIds": ["A1"],
            }),
        ),
        (RecordKind::Ticket, vec!["T1"], json!({ "id": "T1", "teamId": "G1", "accountId": "A1" })),
        (RecordKind::Ticket, vec!["T2"], json!({ "id": "T2", "teamId": "G2" })),
        (RecordKind::AccountNote, vec!["N1"], json!({ "id": "N1", "accountId": "A1" })),
        (RecordKind::Comment, vec!["C9"], json!({ "id": "C9", "entityId": "T2" })),
    ];
    let mut found = known.into_iter().filter(|(own, keys, _)| *own == kind && keys.contains(&key));
    found.next().map(|(_, _, record)| object(record))
}

fn facts_at(kind: RecordKind, now: Timestamp) -> Facts<'static> {
    let id = Uid::from_text(format!("{}0", kind.letter()));
    Facts { now, id, number: 5, related: Related { get: &desk, all: &|_| Vec::new() } }
}

fn made(kind: RecordKind, input: Value) -> Map<String, Value> {
    create(kind, &object(input), &facts_at(kind, NOW)).expect("valid")
}

fn patched(kind: RecordKind, record: &Map<String, Value>, patch: Value) -> Map<String, Value> {
    update(kind, record, &object(patch), &facts_at(kind, LATER)).expect("valid")
}

fn ticket() -> Map<String, Value> {
    made(
        RecordKind::Ticket,
        json!({
            "title": "Help", "requestorEmail": "Kim@Wedding.example", "teamId": "WED",
            "tags": ["a", "b"], "customFieldValues": { "plan": "gold", "seats": "5" },
        }),
    )
}

fn minimal(kind: RecordKind) -> Map<String, Value> {
    let input = match kind {
        RecordKind::Ticket => return ticket(),
        RecordKind::Comment => json!({ "entityId": "T1", "content": "Hello" }),
        RecordKind::Account => json!({ "name": "Acme", "primaryDomain": "acme.example" }),
        RecordKind::Contact => json!({ "firstName": "Kim", "email": "kim@acme.example" }),
        RecordKind::Team => json!({ "name": "Web desk" }),
        RecordKind::User => json!({ "name": "Cy", "email": "cy@example.com" }),
        RecordKind::Tag => json!({ "name": "login" }),
        RecordKind::AccountNote => json!({ "accountId": "A1", "content": "Hm" }),
        RecordKind::AccountTask => {
            json!({ "accountId": "A1", "title": "Call", "assigneeId": "U1" })
        }
        RecordKind::AccountActivity => json!({
            "accountId": "A1", "activityTimestamp": "2026-11-23T10:00:00Z", "duration": 5,
            "location": "here",
        }),
        RecordKind::Relationship => json!({ "accountId": "A1", "relatedAccountId": "A2" }),
        RecordKind::CustomField => json!({ "name": "Plan" }),
        RecordKind::TicketStatus => json!({ "name": "Parts", "parentStatusId": "ST-ON-HOLD" }),
        RecordKind::SlaPolicy => json!({ "name": "Gold", "targets": { "update": "1h" } }),
        RecordKind::CustomObject => json!({ "objectType": "deal", "values": { "stage": "open" } }),
        RecordKind::Organization => json!({ "name": "Acme", "subdomain": "acme" }),
    };
    made(kind, input)
}

fn kinds(events: &[Emitted]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn changed(kind: RecordKind, before: &Map<String, Value>, patch: Value) -> Vec<Emitted> {
    let after = patched(kind, before, patch);
    checked(kind, Some(before), Some(&after))
}

/// Returns the events of a change, each held against the schema of its type.
fn checked(
    kind: RecordKind,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Vec<Emitted> {
    let parent = object(json!({ "id": "T1" }));
    let around = Surroundings { parent: Some(&parent), ..Surroundings::default() };
    let events = events(kind, before, after, &around);
    for event in &events {
        let known = event_type::find(&event.kind).expect(&event.kind);
        let validator = jsonschema::validator_for(&known.schema()).expect(known.kind);
        let faults: Vec<String> =
            validator.iter_errors(&event.payload).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{}: {faults:?}", event.kind);
        assert!(!event.subject.is_empty(), "{}", event.kind);
    }
    events
}

fn codes(result: Result<Map<String, Value>, Vec<Problem>>) -> Vec<(String, String)> {
    let problems = result.expect_err("refused");
    problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
}

#[test]
fn a_ticket_shows_its_team_customer_account_and_choices() {
    let ticket = ticket();
    for (name, value) in [
        ("ticketId", json!(5)),
        ("ticketIdentifier", json!("WED-5")),
        ("teamName", json!("Web desk")),
        ("customerContactEmail", json!("kim@wedding.example")),
        ("customerContactFirstName", json!("Kim")),
        ("accountId", json!("A1")),
        ("status", json!("open")),
        ("statusId", json!("ST-OPEN")),
        ("statusName", json!("Open")),
        ("priorityName", json!("medium")),
        ("priorityId", json!("PR-MEDIUM")),
        ("sentimentName", Value::Null),
        ("customFields", json!({ "plan": "gold", "seats": "5" })),
        ("isArchived", json!(false)),
        ("createdAt", json!(NOW)),
        ("updatedAt", json!(NOW)),
    ] {
        assert_eq!(ticket[name], value, "{name}");
    }
    assert_eq!(ticket["customer"]["name"], "Kim Marsh");
    assert!(!ticket.contains_key("performRouting") && !ticket.contains_key("customFieldValues"));
}

#[test]
fn every_record_has_the_fields_of_its_schema_and_passes_it() {
    for kind in RecordKind::ALL {
        let record = minimal(kind);
        let schema = output_schema(kind);
        let names: Vec<&String> =
            schema["properties"].as_object().expect("fields").keys().collect();
        assert_eq!(record.keys().collect::<Vec<_>>(), names, "{kind:?}");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        let faults: Vec<String> = validator
            .iter_errors(&Value::Object(record.clone()))
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{kind:?}: {faults:?}");
        for schema in [create_schema(kind), update_schema(kind)] {
            jsonschema::validator_for(&schema).expect("a schema");
        }
        assert_eq!(RecordKind::from_name(kind.name()), Some(kind));
        assert!(!label(kind, &record).is_empty(), "{kind:?}");
        // What was read may be sent back: nothing changes, and nothing is refused.
        assert_eq!(patched(kind, &record, Value::Object(record.clone())), record, "{kind:?}");
    }
}

#[test]
fn bad_input_is_refused_with_every_fault_at_once() {
    let problems = |kind, input| codes(create(kind, &object(input), &facts_at(kind, NOW)));
    for (kind, input, expected) in [
        (
            RecordKind::Ticket,
            json!({ "titel": "x", "requestorEmail": "nobody", "teamId": "G7", "tags": "a",
                    "priorityName": "urgnt", "createdAt": "2026-11-23T10:00:00Z" }),
            vec![
                ("/titel", "unknown_field"),
                ("/requestorEmail", "invalid_email"),
                ("/teamId", "unknown_reference"),
                ("/tags", "wrong_type"),
                ("/createdAt", "read_only"),
                ("/title", "required"),
                ("/priorityName", "not_allowed"),
            ],
        ),
        (RecordKind::Team, json!({ "name": "  " }), vec![("/name", "required")]),
        (
            RecordKind::Account,
            json!({ "name": "A", "primaryDomain": "nope", "health": "BLUE" }),
            vec![("/health", "not_allowed"), ("/primaryDomain", "invalid_domain")],
        ),
        (
            RecordKind::Tag,
            json!({ "name": "x".repeat(51), "color": "red" }),
            vec![("/name", "too_long"), ("/color", "invalid_color")],
        ),
        (RecordKind::Comment, json!({}), vec![("/entityId", "required"), ("/content", "required")]),
        (
            RecordKind::Comment,
            json!({ "entityId": "T1", "content": "x", "parentCommentId": "C9" }),
            vec![("/parentCommentId", "contradiction")],
        ),
        (
            RecordKind::Contact,
            json!({ "firstName": "K", "email": "k@e.example", "accountIds": ["A1", "A7"] }),
            vec![("/accountIds/1", "unknown_reference")],
        ),
        (
            RecordKind::Ticket,
            json!({ "title": "x", "requestorEmail": "k@e.example", "teamId": "G1",
                    "assignedAgentId": "U1", "assignedAgentEmail": "bob@example.com",
                    "statusName": "Open", "statusId": "ST-CLOSED" }),
            vec![("/assignedAgentEmail", "contradiction"), ("/statusId", "contradiction")],
        ),
    ] {
        let expected: Vec<(String, String)> =
            expected.into_iter().map(|(at, code)| (at.to_owned(), code.to_owned())).collect();
        assert_eq!(problems(kind, input.clone()), expected, "{input}");
    }
}

#[test]
fn an_unknown_field_is_answered_with_the_nearest_name() {
    let input = object(json!({ "name": "x", "identifer": "X", "is_private": true }));
    let problems = create(RecordKind::Team, &input, &facts_at(RecordKind::Team, NOW));
    let hints: Vec<Option<String>> =
        problems.expect_err("refused").into_iter().map(|problem| problem.hint).collect();
    let expected = ["did you mean `identifier`?", "did you mean `isPrivate`?"];
    assert_eq!(hints, expected.map(|hint| Some(hint.to_owned())));
}

#[test]
fn statuses_and_priorities_are_named_by_name_id_or_any_case() {
    for (patch, name, id, parent) in [
        (json!({ "statusName": "in progress" }), "In progress", "ST-IN-PROGRESS", "In progress"),
        (json!({ "status": "IN_PROGRESS" }), "In progress", "ST-IN-PROGRESS", "In progress"),
        (json!({ "statusId": "ST-ON-HOLD" }), "On hold", "ST-ON-HOLD", "On hold"),
        (json!({ "statusName": "resolved" }), "Resolved", "ST-RESOLVED", "Closed"),
        (json!({ "statusName": "Pending" }), "Pending", "ST-PENDING", "On hold"),
        (json!({ "statusName": "triage" }), "Triage", "ST-TRIAGE", "Open"),
    ] {
        let ticket = patched(RecordKind::Ticket, &ticket(), patch);
        let shown = (&ticket["statusName"], &ticket["statusId"], &ticket["parentStatusName"]);
        assert_eq!(shown, (&json!(name), &json!(id), &json!(parent)));
        assert_eq!(ticket["status"], json!(name.to_lowercase()));
    }
    let urgent = patched(RecordKind::Ticket, &ticket(), json!({ "priority": "URGENT" }));
    assert_eq!(
        (&urgent["priorityName"], &urgent["priorityId"]),
        (&json!("urgent"), &json!("PR-URGENT"))
    );
}

#[test]
fn closing_a_ticket_notes_when_and_reopening_forgets_it() {
    let closed = patched(RecordKind::Ticket, &ticket(), json!({ "statusName": "Closed" }));
    assert_eq!(closed["closedAt"], json!(LATER));
    let still = patched(RecordKind::Ticket, &closed, json!({ "statusName": "Resolved" }));
    assert_eq!(still["closedAt"], json!(LATER));
    let open = patched(RecordKind::Ticket, &closed, json!({ "statusName": "Open" }));
    assert_eq!(open["closedAt"], Value::Null);
    let kind = RecordKind::Ticket;
    let patch = object(json!({ "closedAt": "2026-11-23T10:00:00Z" }));
    assert_eq!(codes(update(kind, &open, &patch, &facts_at(kind, LATER)))[0].1, "contradiction");
}

#[test]
fn an_archived_ticket_takes_no_changes_until_it_is_unarchived() {
    let facts = facts_at(RecordKind::Ticket, LATER);
    let archived = ticket::archive(&ticket(), &facts);
    assert_eq!(
        codes(ticket::escalate(&archived, &facts)),
        [(String::new(), "archived".to_owned())]
    );
    assert_eq!(ticket::archive(&archived, &facts), archived);
    let back = ticket::unarchive(&archived, &facts);
    assert_eq!((&back["isArchived"], &back["archivedAt"]), (&json!(false), &Value::Null));
    assert_eq!(
        kinds(&checked(RecordKind::Ticket, Some(&ticket()), Some(&archived))),
        ["ticket:archived"]
    );
    assert_eq!(
        kinds(&checked(RecordKind::Ticket, Some(&archived), Some(&back))),
        ["ticket:unarchived"]
    );
}

#[test]
fn tags_are_a_set_that_keeps_its_order() {
    let facts = facts_at(RecordKind::Ticket, LATER);
    let names = |list: &[&str]| list.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let more = ticket::add_tags(&ticket(), &names(&["c", "A", "c"]), &facts).expect("valid");
    assert_eq!(more["tags"], json!(["a", "b", "c"]));
    let fewer = ticket::remove_tags(&more, &names(&["B", "x"]), &facts).expect("valid");
    assert_eq!(fewer["tags"], json!(["a", "c"]));
    assert_eq!(ticket::add_tags(&ticket(), &names(&["b"]), &facts).expect("valid"), ticket());
}

#[test]
fn an_agent_is_assigned_by_id_or_mail_address_and_unassigned_by_null() {
    let facts = facts_at(RecordKind::Ticket, LATER);
    for agent in ["U1", "ada@example.com"] {
        let assigned = ticket::assign(&ticket(), Some(agent), &facts).expect("valid");
        assert_eq!(assigned["assignedAgentId"], "U1");
        assert_eq!(
            assigned["assignedAgent"],
            json!({ "id": "U1", "email": "ada@example.com", "name": "Ada", "uid": "U1" })
        );
        let free = ticket::assign(&assigned, None, &facts).expect("valid");
        assert_eq!((&free["assignedAgent"], &free["assignedTo"]), (&Value::Null, &Value::Null));
    }
    let by_email =
        patched(RecordKind::Ticket, &ticket(), json!({ "assignedAgentEmail": "bob@example.com" }));
    assert_eq!(by_email["assignedTo"], "U2");
}

#[test]
fn an_update_changing_status_and_priority_emits_each_derived_event_once() {
    let patch = json!({ "statusName": "On hold", "priorityName": "urgent" });
    let events = changed(RecordKind::Ticket, &ticket(), patch);
    assert_eq!(
        kinds(&events),
        ["ticket:updated", "ticket:status:changed", "ticket:priority:changed"]
    );
    for event in &events {
        assert_eq!(event.payload["previousTicket"], Value::Object(ticket()));
        assert_eq!(event.payload["ticket"]["statusName"], "On hold");
        assert_eq!(event.subject, "T0");
    }
}

#[test]
fn an_update_that_leaves_the_status_equal_emits_no_status_change() {
    let same = json!({ "statusName": "OPEN", "title": "Other" });
    assert_eq!(kinds(&changed(RecordKind::Ticket, &ticket(), same)), ["ticket:updated"]);
    let nothing = json!({ "statusName": "open", "priority": "medium", "tags": ["a", "b"] });
    assert_eq!(patched(RecordKind::Ticket, &ticket(), nothing.clone()), ticket());
    assert!(changed(RecordKind::Ticket, &ticket(), nothing).is_empty());
}

#[test]
fn every_ticket_change_emits_its_events() {
    for (patch, expected) in [
        (json!({ "isEscalated": true }), "ticket:updated ticket:escalated"),
        (json!({ "assignedAgentId": "U1" }), "ticket:updated ticket:assigned"),
        (json!({ "typeId": "TY-INCIDENT" }), "ticket:updated ticket:type:changed"),
        (json!({ "sentimentName": "negative" }), "ticket:updated ticket:sentiment:changed"),
        (json!({ "tags": ["a"] }), "ticket:updated ticket:tag:updated"),
        (json!({ "teamId": "OPS" }), "ticket:updated ticket:migrated"),
        (json!({ "metadata": { "x": 1 } }), "ticket:updated"),
        (
            json!({ "customFieldValues": [{ "fieldId": "new", "value": "1" }],
                    "customFields": { "plan": "platinum", "seats": null } }),
            "ticket:updated ticket:custom_field_value:added ticket:custom_field_value:removed \
             ticket:custom_field_value:changed",
        ),
    ] {
        let events = changed(RecordKind::Ticket, &ticket(), patch.clone());
        assert_eq!(kinds(&events).join(" "), expected, "{patch}");
    }
    let escalated = patched(RecordKind::Ticket, &ticket(), json!({ "isEscalated": true }));
    let calmed = json!({ "isEscalated": false });
    assert_eq!(kinds(&changed(RecordKind::Ticket, &escalated, calmed)), ["ticket:updated"]);
}

#[test]
fn custom_field_events_list_their_own_changes_alone() {
    let patch = json!({ "customFields": { "plan": "platinum", "seats": null, "new": 1 } });
    let events = changed(RecordKind::Ticket, &ticket(), patch);
    let listed: Vec<&Value> =
        events[1..].iter().map(|event| &event.payload["changedCustomFields"]).collect();
    assert_eq!(
        listed,
        [
            &json!([{ "fieldUid": "new", "newValues": ["1"], "changeType": "added" }]),
            &json!([{ "fieldUid": "seats", "previousValues": ["5"], "changeType": "removed" }]),
            &json!([{ "fieldUid": "plan", "previousValues": ["gold"], "newValues": ["platinum"],
                  "changeType": "changed" }]),
        ]
    );
}

#[test]
fn a_deleted_ticket_carries_only_the_previous_ticket() {
    let events = checked(RecordKind::Ticket, Some(&ticket()), None);
    assert_eq!(kinds(&events), ["ticket:deleted"]);
    assert_eq!(events[0].payload, json!({ "previousTicket": ticket() }));
}

#[test]
fn a_created_ticket_may_carry_its_first_comment() {
    let input = object(json!({ "title": "x", "commentContent": "Hi", "commentMetadata": {} }));
    let comment = ticket::first_comment(&input).expect("a comment");
    assert_eq!(Value::Object(comment.clone()), json!({ "content": "Hi", "metadata": {} }));
    assert_eq!(ticket::first_comment(&object(json!({ "title": "x" }))), None);
    let around = Surroundings { first_comment: Some(&comment), ..Surroundings::default() };
    let events = events(RecordKind::Ticket, None, Some(&ticket()), &around);
    assert_eq!(kinds(&events), ["ticket:created"]);
    assert_eq!(events[0].payload["comment"]["content"], "Hi");
}

#[test]
fn a_comment_only_dates_its_ticket() {
    let by_customer = made(
        RecordKind::Comment,
        json!({ "ticketId": "T1", "content": "x", "customerEmail": "kim@wedding.example" }),
    );
    assert_eq!(
        (&by_customer["author"], &by_customer["teamId"]),
        (&json!("Kim Marsh"), &json!("G1"))
    );
    let dated = ticket::commented(&ticket(), &by_customer);
    assert_eq!(dated["lastCustomerComment"], json!(NOW));
    assert!(checked(RecordKind::Ticket, Some(&ticket()), Some(&dated)).is_empty());
}

#[test]
fn comments_emit_added_updated_with_both_contents_and_deleted() {
    let kind = RecordKind::Comment;
    let comment = made(kind, json!({ "entityId": "T1", "contentHtml": "<p>A &amp;<b>B</b></p>" }));
    assert_eq!(comment["content"], "A & B");
    let added = checked(kind, None, Some(&comment));
    assert_eq!(kinds(&added), ["ticket:comment:added"]);
    assert_eq!(
        (added[0].subject.as_str(), &added[0].payload["ticket"]),
        ("T1", &json!({ "id": "T1" }))
    );

    let updated = changed(kind, &comment, json!({ "content": "C" }));
    assert_eq!(kinds(&updated), ["ticket:comment:updated"]);
    let payload = &updated[0].payload;
    assert_eq!(payload["comment"]["content"], "C");
    assert_eq!(payload["comment"]["isEdited"], true);
    assert_eq!(payload["comment"]["contentHtml"], Value::Null);
    assert_eq!(payload["previousComment"]["content"], "A & B");

    assert_eq!(kinds(&checked(kind, Some(&comment), None)), ["ticket:comment:deleted"]);
    let on_note =
        made(kind, json!({ "entityType": "ACCOUNT_NOTE", "entityId": "N1", "content": "x" }));
    assert_eq!(kinds(&checked(kind, None, Some(&on_note))), ["account-note:comment:created"]);
    assert_eq!((&on_note["accountId"], &on_note["ticketId"]), (&json!("A1"), &Value::Null));
}

#[test]
fn reactions_come_and_go_once() {
    let kind = RecordKind::Comment;
    let facts = facts_at(kind, LATER);
    let comment = minimal(kind);
    let liked = comment::add_reaction(&comment, "+1", "U1", &facts);
    let events = checked(kind, Some(&comment), Some(&liked));
    assert_eq!(kinds(&events), ["ticket:comment:reaction:added"]);
    assert_eq!(events[0].payload["reaction"]["emoji"], "+1");
    assert_eq!(comment::add_reaction(&liked, "+1", "U1", &facts), liked);
    let bare = comment::remove_reaction(&liked, "+1", "U1", &facts);
    assert_eq!(
        kinds(&checked(kind, Some(&liked), Some(&bare))),
        ["ticket:comment:reaction:removed"]
    );
    assert_eq!(comment::remove_reaction(&comment, "+1", "U1", &facts), comment);
}

#[test]
fn a_user_is_told_of_a_mention_once_per_comment() {
    let kind = RecordKind::Comment;
    let comment = made(
        kind,
        json!({ "entityId": "T1", "content": "@ada", "authorId": "U2",
                "metadata": { "mentions": ["U1", "ada@example.com", { "id": "U1" }, "ghost"] } }),
    );
    let events = checked(kind, None, Some(&comment));
    assert_eq!(kinds(&events), ["ticket:comment:added", "user:mentioned"]);
    let mention = &events[1];
    assert_eq!((mention.subject.as_str(), &mention.payload["user"]["name"]), ("U1", &json!("Ada")));
    for (name, value) in [
        ("mentionedUserId", "U1"),
        ("mentionedByUserId", "U2"),
        ("entityId", "T1"),
        ("entityType", "TICKET"),
        ("teamId", "G1"),
    ] {
        assert_eq!(mention.metadata[name], value, "{name}");
    }
    let again = json!({ "content": "x", "metadata": { "mentions": ["U1", "U2"] } });
    let events = changed(kind, &comment, again);
    assert_eq!(kinds(&events), ["ticket:comment:updated", "user:mentioned"]);
    assert_eq!(events[1].subject, "U2");
}

#[test]
fn accounts_contacts_users_and_teams_emit_their_events() {
    for (kind, patch, expected) in [
        (
            RecordKind::Account,
            json!({ "status": "active", "health": "RED", "industry": "Food",
                    "classification": "mid market" }),
            "account:updated account-status:changed account-health:changed \
             account-classification:changed account-industry:changed",
        ),
        (
            RecordKind::Account,
            json!({ "customFieldValues": { "region": "EU" } }),
            "account:updated account-custom_field_value:added",
        ),
        (
            RecordKind::Contact,
            json!({ "contactType": "LEGAL", "customFieldValues": { "vip": true } }),
            "customer-contact:updated customer-contact:type:changed \
             customer-contact:custom_field_value:added",
        ),
        (RecordKind::User, json!({ "roles": ["lead"] }), "user:updated user:permissions:changed"),
        (RecordKind::User, json!({ "isActive": false }), "user:updated"),
        (RecordKind::Team, json!({ "memberIds": ["U1"] }), "team:updated team:members:changed"),
        (RecordKind::AccountTask, json!({ "status": "COMPLETED" }), "account-task:updated"),
        (RecordKind::Tag, json!({ "color": "#000000" }), ""),
    ] {
        let events = changed(kind, &minimal(kind), patch.clone());
        assert_eq!(kinds(&events).join(" "), expected, "{patch}");
    }
    for (kind, created, deleted) in [
        (RecordKind::Account, "account:created", "account:deleted"),
        (RecordKind::Contact, "customer-contact:created", "customer-contact:deleted"),
        (RecordKind::User, "user:created", "user:deleted"),
        (RecordKind::Team, "team:created", "team:deleted"),
        (RecordKind::AccountNote, "account-note:created", "account-note:deleted"),
    ] {
        let record = minimal(kind);
        assert_eq!(kinds(&checked(kind, None, Some(&record))), [created]);
        assert_eq!(kinds(&checked(kind, Some(&record), None)), [deleted]);
    }
}

#[test]
fn keys_that_no_two_records_share_are_named() {
    for (kind, field, value) in [
        (RecordKind::Account, "primaryDomain", "acme.example"),
        (RecordKind::Contact, "email", "kim@acme.example"),
        (RecordKind::User, "email", "cy@example.com"),
        (RecordKind::Tag, "name", "login"),
        (RecordKind::Team, "identifier", "web"),
    ] {
        let keys = unique_keys(kind, &minimal(kind));
        assert_eq!(keys, [UniqueKey { field, value: value.to_owned() }]);
        assert_eq!(keys[0].taken_by(kind, "X1").code, "duplicate");
    }
    let site = json!({ "name": "A", "primaryDomain": "https://www.Acme.example/about" });
    assert_eq!(made(RecordKind::Account, site)["primaryDomain"], "acme.example");
    let wed = made(RecordKind::Team, json!({ "name": "Wed desk" }));
    assert_eq!(wed["identifier"], "WED2");
    assert_eq!(dedupe_key(&object(json!({ "deDuplicationKey": "k" }))), Some("k".to_owned()));
    assert_eq!(dedupe_key(&ticket()), None);
}

fn write(restored: Result<Restored, Conflict>) -> Map<String, Value> {
    match restored {
        Ok(Restored::Write(record)) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn undo_keeps_a_later_change_of_another_field() {
    let kind = RecordKind::Ticket;
    let (before, patch) = (ticket(), json!({ "statusName": "Closed", "tags": ["a", "x"] }));
    let after = patched(kind, &before, patch);
    let change = difference(kind, Some(&before), Some(&after));
    let later = patched(
        kind,
        &after,
        json!({ "title": "Other", "tags": ["a", "x", "y"], "metadata": { "k": 1 } }),
    );
    let restored = write(undo(Some(&later), &change));
    for (name, value) in [
        ("statusName", json!("Open")),
        ("statusId", json!("ST-OPEN")),
        ("closedAt", Value::Null),
        ("title", json!("Other")),
        ("tags", json!(["a", "y", "b"])),
        ("metadata", json!({ "k": 1 })),
    ] {
        assert_eq!(restored[name], value, "{name}");
    }
}

#[test]
fn undo_names_the_field_that_was_set_again() {
    let kind = RecordKind::Ticket;
    let after = patched(kind, &ticket(), json!({ "priorityName": "high" }));
    let change = difference(kind, Some(&ticket()), Some(&after));
    let later = patched(kind, &after, json!({ "priorityName": "urgent" }));
    let conflict = undo(Some(&later), &change).expect_err("a conflict");
    assert_eq!(
        conflict.to_string(),
        "the ticket `T0` was changed since: `priorityName` was \"medium\", became \"high\", \
         is now \"urgent\";"
    );
    let mut back = patched(kind, &after, json!({ "priorityName": "medium" }));
    back.insert("updatedAt".to_owned(), json!(Timestamp::from_millis(3_000_000)));
    assert_eq!(undo(Some(&back), &change), Ok(Restored::Unchanged));
}

#[test]
fn undo_of_a_closing_forgets_when_it_was_closed_again() {
    let kind = RecordKind::Ticket;
    let closed = patched(kind, &ticket(), json!({ "statusName": "Closed" }));
    let change = difference(kind, Some(&ticket()), Some(&closed));
    let mut again = closed;
    again.insert("closedAt".to_owned(), json!("2026-11-23T10:00:00.000Z"));
    assert_eq!(write(undo(Some(&again), &change))["closedAt"], Value::Null);
}

#[test]
fn undo_removes_what_was_made_and_makes_what_was_deleted() {
    let kind = RecordKind::Ticket;
    let made = difference(kind, None, Some(&ticket()));
    let mut dated = ticket();
    dated.insert("lastCustomerComment".to_owned(), json!(LATER));
    assert_eq!(undo(Some(&ticket()), &made), Ok(Restored::Remove));
    assert_eq!(undo(Some(&dated), &made), Ok(Restored::Remove));
    assert_eq!(undo(None, &made), Ok(Restored::Unchanged));
    let later = patched(kind, &ticket(), json!({ "title": "Other" }));
    assert!(
        matches!(undo(Some(&later), &made), Err(Conflict::Changed { fields, .. }) if fields[0].field == "title")
    );

    let gone = difference(kind, Some(&ticket()), None);
    assert_eq!(undo(None, &gone), Ok(Restored::Write(ticket())));
    assert_eq!(undo(Some(&ticket()), &gone), Ok(Restored::Unchanged));
    assert!(matches!(undo(Some(&later), &gone), Err(Conflict::Exists { .. })));
    let updated = difference(kind, Some(&ticket()), Some(&later));
    assert!(matches!(undo(None, &updated), Err(Conflict::Gone { .. })));
}

#[test]
fn a_change_reads_back_and_tells_null_from_absent() {
    let kind = RecordKind::Ticket;
    let patch = json!({ "sentimentName": "negative", "metadata": { "k": 1 } });
    let after = patched(kind, &ticket(), patch);
    let change = difference(kind, Some(&ticket()), Some(&after));
    let text = serde_json::to_string(&change).expect("JSON");
    assert!(text.contains(r#""change":"updated""#) && !text.contains("title"), "{text}");
    assert!(text.contains(r#""metadata/k":{"after":1}"#), "{text}");
    assert!(text.contains(r#""sentimentName":{"before":null,"after":"negative"}"#), "{text}");
    assert_eq!(serde_json::from_str::<Change>(&text).expect("a change"), change);
    assert!(difference(kind, Some(&after), Some(&after)).is_empty());
}

fn any_patch() -> impl Strategy<Value = Value> {
    let text = "[a-z]{1,6}";
    prop_oneof![
        text.prop_map(|title| json!({ "title": title })),
        prop::sample::select(vec!["Open", "On hold", "Closed", "Resolved"])
            .prop_map(|status| json!({ "statusName": status })),
        prop::sample::select(vec!["low", "urgent"]).prop_map(|name| json!({ "priority": name })),
        prop::sample::select(vec![Some("U1"), Some("U2"), None])
            .prop_map(|agent| json!({ "assignedAgentId": agent })),
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "d"]), 0..4)
            .prop_map(|tags| json!({ "tags": tags })),
        ("[xyz]", prop::option::of(text))
            .prop_map(|(key, value)| json!({ "customFields": { key: value } })),
        ("[xyz]", prop::option::of(text))
            .prop_map(|(key, value)| json!({ "metadata": { key: value } })),
        prop::sample::select(vec!["G1", "G2"]).prop_map(|team| json!({ "teamId": team })),
        any::<bool>().prop_map(|is| json!({ "isEscalated": is, "isPrivate": !is })),
    ]
}

fn all(patches: Vec<Value>, from: Map<String, Value>) -> Map<String, Value> {
    patches.into_iter().fold(from, |record, patch| patched(RecordKind::Ticket, &record, patch))
}

proptest! {
    #[test]
    fn undo_restores_exactly(
        first in prop::collection::vec(any_patch(), 0..4),
        second in prop::collection::vec(any_patch(), 0..5),
    ) {
        let kind = RecordKind::Ticket;
        let before = all(first, ticket());
        let after = all(second, before.clone());
        let change = difference(kind, Some(&before), Some(&after));
        let text = serde_json::to_string(&change).expect("JSON");
        let change: Change = serde_json::from_str(&text).expect("a change");
        match undo(Some(&after), &change) {
            Ok(Restored::Write(restored)) => prop_assert_eq!(restored, before),
            Ok(Restored::Unchanged) => prop_assert_eq!(after, before),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn undo_after_an_unrelated_change_keeps_that_change(
        patches in prop::collection::vec(any_patch(), 1..5),
        words in "[a-z]{1,9}",
    ) {
        let kind = RecordKind::Ticket;
        let before = ticket();
        let after = all(patches, before.clone());
        let change = difference(kind, Some(&before), Some(&after));
        let later = patched(kind, &after, json!({ "description": words, "storyPoints": 3 }));
        let restored = match undo(Some(&later), &change) {
            Ok(Restored::Write(restored)) => restored,
            Ok(Restored::Unchanged) => later,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(&restored["description"], &json!(words));
        for (name, value) in before.iter().filter(|(name, _)| {
            !["description", "storyPoints", "updatedAt"].contains(&name.as_str())
        }) {
            prop_assert_eq!(&restored[name], value, "{}", name);
        }
    }
}
