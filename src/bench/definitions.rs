//! The workflows and events that the measurements use.

use serde_json::{Value, json};

/// How many bytes the payload of an event has, about.
const PAYLOAD_BYTES: usize = 1_000;
/// Stands where a number is filled in.
const OPEN_NUMBER: &str = "000000000000";

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

/// Two steps that succeed, a third that fails at once, and two steps undone by activities that
/// touch nothing: the work of the published comparisons with other engines.
#[must_use]
pub fn failing_steps() -> Value {
    let step = |id: &str| {
        json!({
            "id": id,
            "activity": "workflows:transform-platform",
            "input": { "set": { "number": "{{trigger.payload.number}}", "step": id } },
            "compensate": {
                "activity": "workflows:transform-platform",
                "input": { "set": { "undone": id } },
            },
        })
    };
    json!({
        "name": "bench-undo",
        "trigger": { "event": "bench:undo" },
        "steps": [step("first"), step("second"), broken("break")],
    })
}

/// The same with records of the platform: two comments are written and taken back.
#[must_use]
pub fn failing_comments() -> Value {
    json!({
        "name": "bench-uncomment",
        "trigger": { "event": "bench:uncomment" },
        "steps": [comment("first"), comment("second"), broken("break")],
    })
}

fn broken(id: &str) -> Value {
    json!({
        "id": id,
        "activity": "tickets:update-ticket-platform",
        "input": { "ticketId": "there-is-no-such-ticket", "priorityName": "low" },
        "retry": { "attempts": 1 },
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

/// The payload of an event, about a kilobyte; its number is left open.
#[must_use]
pub fn payload(ticket: &str) -> Value {
    json!({
        "kind": "order",
        "number": OPEN_NUMBER,
        "ticketId": ticket,
        "customer": { "name": "Ada Lovelace", "email": "ada@example.com", "plan": "enterprise" },
        "note": note(),
    })
}

/// Prose of words that come as they do in a language: the store packs values, and letters that
/// repeat without end would flatter it.
fn note() -> String {
    const WORDS: [&str; 48] = [
        "the",
        "printer",
        "on",
        "third",
        "floor",
        "does",
        "not",
        "answer",
        "since",
        "morning",
        "and",
        "our",
        "customers",
        "wait",
        "for",
        "invoice",
        "number",
        "please",
        "call",
        "back",
        "before",
        "noon",
        "we",
        "have",
        "tried",
        "restart",
        "cable",
        "network",
        "password",
        "is",
        "correct",
        "but",
        "screen",
        "stays",
        "dark",
        "with",
        "error",
        "after",
        "update",
        "of",
        "last",
        "week",
        "urgent",
        "because",
        "payment",
        "was",
        "refused",
        "again",
    ];
    let mut place = 1_usize;
    let mut note = String::with_capacity(PAYLOAD_BYTES);
    while note.len() < PAYLOAD_BYTES - 200 {
        place = place * 75 % 65_537;
        note.push_str(WORDS[place % WORDS.len()]);
        note.push(if place.is_multiple_of(11) { ',' } else { ' ' });
    }
    note
}

/// A CloudEvents batch of `size` events of one type; their numbers are left open.
#[must_use]
pub fn batch(kind: &str, size: usize) -> Value {
    let event = json!({
        "specversion": "1.0",
        "id": OPEN_NUMBER,
        "source": "bench",
        "type": kind,
        "data": payload(""),
    });
    vec![event; size].into()
}

/// A body whose numbers are filled in without building it anew: the load generator shares the
/// machine with what it measures.
pub struct Stencil {
    text: Vec<u8>,
    places: Vec<usize>,
}

impl Stencil {
    /// Takes a body with numbers that are left open.
    #[must_use]
    pub fn new(body: &Value) -> Stencil {
        let text = body.to_string();
        let places = text.match_indices(OPEN_NUMBER).map(|(place, _)| place).collect();
        Stencil { text: text.into_bytes(), places }
    }

    /// Returns the body with every open number set to `number`, each further one of a batch one
    /// higher.
    #[must_use]
    pub fn fill(&self, number: u64, size: u64) -> Vec<u8> {
        let mut body = self.text.clone();
        let open_in_one = (self.places.len() as u64 / size).max(1);
        for (index, place) in self.places.iter().enumerate() {
            let mut rest = number * size + index as u64 / open_in_one;
            for digit in body[*place..*place + OPEN_NUMBER.len()].iter_mut().rev() {
                *digit = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_of_each_batch_has_a_number_of_its_own() {
        let stencil = Stencil::new(&batch("bench:idle", 3));
        let body: Value = serde_json::from_slice(&stencil.fill(4, 3)).expect("it stays JSON");
        for (place, number) in [(0, "000000000012"), (1, "000000000013"), (2, "000000000014")] {
            assert_eq!(body[place]["id"], number);
            assert_eq!(body[place]["data"]["number"], number);
        }
    }
}
