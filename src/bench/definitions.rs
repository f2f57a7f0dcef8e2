//! The workflows and events that the measurements use.

use serde_json::{Value, json};

/// How many bytes the payload of an event has, about.
const PAYLOAD_BYTES: usize = 1_000;

/// One event, a filter, three steps that touch nothing outside: the work of the published
/// comparisons with other engines.
#[must_use]
pub fn three_steps() -> Value {
    let step = |id: &str| {
        json!({
            "id": id,
            "activity": "workflows:transform-platform",
            "input": { "set": { "number": "{{trigger.payload.number}}", "step": id } },
        })
    };
    json!({
        "name": "bench-steps",
        "trigger": { "event": "bench:steps", "filter": { "payload.kind": { "~eq": "order" } } },
        "steps": [step("first"), step("second"), step("third")],
    })
}

/// The same with records of the platform: a ticket is changed and commented on.
#[must_use]
pub fn ticket_steps() -> Value {
    json!({
        "name": "bench-tickets",
        "trigger": { "event": "bench:tickets", "filter": { "payload.kind": { "~eq": "order" } } },
        "steps": [
            {
                "id": "shape",
                "activity": "workflows:transform-platform",
                "input": { "set": { "number": "{{trigger.payload.number}}" } },
            },
            {
                "id": "change",
                "activity": "tickets:update-ticket-platform",
                "input": {
                    "ticketId": "{{trigger.payload.ticketId}}",
                    "description": "order {{trigger.payload.number}}",
                },
            },
            comment("tell"),
        ],
    })
}

/// Two steps that succeed, a third that fails at once, and two steps undone.
#[must_use]
pub fn failing_steps() -> Value {
    json!({
        "name": "bench-undo",
        "trigger": { "event": "bench:undo" },
        "steps": [
            comment("first"),
            comment("second"),
            {
                "id": "break",
                "activity": "tickets:update-ticket-platform",
                "input": { "ticketId": "there-is-no-such-ticket", "priorityName": "low" },
                "retry": { "attempts": 1 },
            },
        ],
    })
}

/// A run that does nothing for a month.
#[must_use]
pub fn sleeping() -> Value {
    json!({
        "name": "bench-sleep",
        "trigger": { "event": "bench:sleep" },
        "steps": [{ "id": "rest", "sleep": "30d" }],
    })
}

fn comment(id: &str) -> Value {
    json!({
        "id": id,
        "activity": "communications:create-comment-platform",
        "input": {
            "ticketId": "{{trigger.payload.ticketId}}",
            "content": "order {{trigger.payload.number}}",
        },
    })
}

/// The payload of event `number`, about a kilobyte.
#[must_use]
pub fn payload(number: u64, ticket: &str) -> Value {
    json!({
        "kind": "order",
        "number": number,
        "ticketId": ticket,
        "customer": { "name": "Ada Lovelace", "email": "ada@example.com", "plan": "enterprise" },
        "note": "x".repeat(PAYLOAD_BYTES - 200),
    })
}

/// A CloudEvents batch of `size` events of one type.
#[must_use]
pub fn batch(kind: &str, number: u64, size: u64) -> Value {
    let event = |place: u64| {
        let number = number * size + place;
        json!({
            "specversion": "1.0",
            "id": format!("{kind}-{number}"),
            "source": "bench",
            "type": kind,
            "data": payload(number, ""),
        })
    };
    (0..size).map(event).collect()
}
