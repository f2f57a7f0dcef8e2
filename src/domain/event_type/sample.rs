//! Example records for payloads, made by the same rules as real ones.

use serde_json::{Map, Value, json};

use crate::domain::desk::{self, Facts, RecordKind, Related};
use crate::domain::id::Uid;
use crate::domain::time::Timestamp;

/// 2026-11-23T10:00:00.000Z.
const NOW: Timestamp = Timestamp::from_millis(1_795_428_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_795_428_900_000);

/// Returns a record of `kind` as it is after a change.
pub fn record(kind: RecordKind) -> Map<String, Value> {
    let before = previous(kind);
    desk::update(kind, &before, &object(patch(kind)), &facts(kind, LATER))
        .expect("the examples are valid")
}

/// Returns a record of `kind` as it was before that change.
pub fn previous(kind: RecordKind) -> Map<String, Value> {
    desk::create(kind, &object(input(kind)), &facts(kind, NOW)).expect("the examples are valid")
}

fn facts(kind: RecordKind, now: Timestamp) -> Facts<'static> {
    Facts { now, id: id(kind), number: 5, related: Related { get: &related, all: &|_| Vec::new() } }
}

fn id(kind: RecordKind) -> Uid {
    Uid::new(kind.letter(), NOW, u64::from(u32::from(kind.letter())) << 32)
}

/// Every reference leads to the one example of its kind, but for the other account of two; that
/// stands on nothing but its own input.
fn related(kind: RecordKind, key: &str) -> Option<Map<String, Value>> {
    let mut record = object(input(kind));
    let id = if key == "A2" { json!(key) } else { json!(id(kind)) };
    record.insert("id".to_owned(), id);
    Some(record)
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(), // The inputs below are all objects.
    }
}

#[expect(clippy::too_many_lines, reason = "a table of examples")]
fn input(kind: RecordKind) -> Value {
    match kind {
        RecordKind::Ticket => json!({
            "title": "Nobody can log in",
            "description": "Since ten o'clock every login ends on an empty page.",
            "requestorEmail": "kim@wedding.example",
            "teamId": id(RecordKind::Team),
            "priorityName": "medium",
            "sentimentName": "neutral",
            "source": "EMAIL",
            "tags": ["login"],
            "customFieldValues": { "plan": "gold" },
        }),
        RecordKind::Comment => json!({
            "ticketId": id(RecordKind::Ticket),
            "content": "We are looking into it.",
            "authorId": id(RecordKind::User),
        }),
        RecordKind::Account => json!({
            "name": "Wedding Ltd",
            "primaryDomain": "wedding.example",
            "industry": "Events",
            "status": "TRIAL",
            "health": "GREEN",
            "classification": "SMB",
            "customFieldValues": { "region": ["EU"] },
        }),
        RecordKind::Contact => json!({
            "firstName": "Kim",
            "lastName": "Marsh",
            "email": "kim@wedding.example",
            "contactType": "PRIMARY",
            "accountIds": [id(RecordKind::Account)],
        }),
        RecordKind::Team => json!({ "name": "Web desk", "identifier": "WED" }),
        RecordKind::User => json!({
            "name": "Ada Byron",
            "email": "ada@example.com",
            "userType": "AGENT",
            "status": "ACTIVE",
            "roles": ["member"],
        }),
        RecordKind::Tag => json!({ "name": "login", "color": "#3366ff" }),
        RecordKind::AccountNote => json!({
            "accountId": id(RecordKind::Account),
            "content": "They plan to double their seats.",
        }),
        RecordKind::AccountTask => json!({
            "accountId": id(RecordKind::Account),
            "title": "Send the offer",
            "assigneeId": id(RecordKind::User),
        }),
        RecordKind::AccountActivity => json!({
            "accountId": id(RecordKind::Account),
            "activityTimestamp": NOW,
            "duration": 30,
            "location": "Video call",
        }),
        RecordKind::Relationship => json!({
            "accountId": id(RecordKind::Account),
            "relatedAccountId": "A2",
            "type": "PARTNER",
        }),
        RecordKind::CustomField => json!({ "name": "Plan" }),
        RecordKind::TicketStatus => json!({
            "name": "Waiting for parts",
            "parentStatusName": "On hold",
        }),
        RecordKind::SlaPolicy => json!({ "name": "Gold", "targets": { "firstResponse": "1h" } }),
        RecordKind::CustomObject => json!({
            "objectType": "deal",
            "namespace": "example",
            "values": { "stage": "open", "amount": 1_200 },
        }),
        RecordKind::Organization => json!({
            "name": "Example",
            "domain": "example.com",
            "subdomain": "example",
        }),
    }
}

fn patch(kind: RecordKind) -> Value {
    match kind {
        RecordKind::Ticket => json!({
            "statusName": "In progress",
            "priorityName": "urgent",
            "assignedAgentId": id(RecordKind::User),
            "isEscalated": true,
            "sentimentName": "negative",
            "type": "INCIDENT",
            "tags": ["login", "outage"],
            "customFieldValues": { "plan": "platinum" },
        }),
        RecordKind::Comment => json!({ "content": "We found it and are rolling back." }),
        RecordKind::Account => json!({
            "status": "ACTIVE",
            "health": "YELLOW",
            "classification": "MID_MARKET",
            "industry": "Hospitality",
        }),
        RecordKind::Contact => json!({ "contactType": "EXECUTIVE" }),
        RecordKind::Team => json!({ "memberIds": [id(RecordKind::User)] }),
        RecordKind::User => json!({ "roles": ["member", "lead"] }),
        RecordKind::Tag => json!({ "color": "#cc3311" }),
        RecordKind::AccountNote => json!({ "visibility": "TEAM" }),
        RecordKind::AccountTask => json!({ "status": "IN_PROGRESS" }),
        RecordKind::AccountActivity => json!({ "status": "COMPLETED" }),
        RecordKind::Relationship => json!({ "type": "RESELLER" }),
        RecordKind::CustomField => json!({ "mandatoryOnClose": true }),
        RecordKind::TicketStatus => json!({ "isDefault": true }),
        RecordKind::SlaPolicy => json!({ "targets": { "firstResponse": "30m" } }),
        RecordKind::CustomObject => json!({ "values": { "stage": "won" } }),
        RecordKind::Organization => json!({ "name": "Example Ltd" }),
    }
}
