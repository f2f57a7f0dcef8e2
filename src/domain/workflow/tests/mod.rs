//! What definitions mean, which are refused, and how they are written back.

mod accepted;
mod exported;
mod failures;
mod kinds;
mod refused;
mod scheduled;
mod triggered;

use std::time::Duration;

use serde_json::{Value, json};

use super::Retry;
use super::document::{Format, TextLimits, parse_text};
use super::parse::{DefinitionLimits, Known, KnownEvent, Validation, validate};
use crate::domain::activity::{ActivitySpec, Catalogue, Compensation, Reach};

/// Checks a definition, in YAML or JSON, against the small world of these tests.
fn checked(text: &str) -> Validation {
    validate_value(&read(text))
}

fn read(text: &str) -> Value {
    parse_text(text, Format::Yaml, TextLimits::default()).expect(text)
}

fn validate_value(raw: &Value) -> Validation {
    let catalogue = catalogue();
    let known = Known {
        catalogue: &catalogue,
        event_type: &event_type,
        event_names: &["ticket:created", "ticket:escalated", "slack:message"],
        limits: DefinitionLimits::default(),
    };
    validate(raw, &known)
}

fn event_type(name: &str) -> Option<KnownEvent> {
    let (kind, schema) = match name {
        "ticket:escalated" | "ticket:created" | "EVT1" => {
            let kind = if name == "ticket:created" { name } else { "ticket:escalated" };
            (kind, ticket_event())
        }
        "slack:message" => (name, json!(true)),
        timer if timer.starts_with("schedule") || timer.starts_with("cron") => {
            return KnownEvent::built_in(timer);
        }
        _ => return None, // Unknown on purpose.
    };
    Some(KnownEvent { kind: kind.to_owned(), schema })
}

fn ticket_event() -> Value {
    let ticket = json!({"type": "object", "additionalProperties": false, "properties": {
        "id": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "string"},
        "priority": {"type": "string"}, "priorityName": {"type": "string"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "account": {"type": ["object", "null"], "properties": {"tier": {"type": "string"}}},
        "customFields": {"type": "object", "additionalProperties": {"type": "string"}},
    }});
    json!({"type": "object", "additionalProperties": false, "properties": {
        "ticket": ticket, "previousTicket": ticket, "ticketId": {"type": "string"},
    }})
}

fn catalogue() -> Catalogue {
    let ticket_input = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string"}, "ticketId": {"type": "string"},
            "priority": {"enum": ["low", "high", "urgent"]}, "priorityName": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}}, "title": {"type": "string"},
            "due": {"type": "object", "required": ["at"], "additionalProperties": false,
                "properties": {"at": {"type": "string"}, "days": {"type": "integer", "minimum": 1}}},
        },
        "anyOf": [{"required": ["id"]}, {"required": ["ticketId"]}],
    });
    let ticket_output = json!({"type": "object", "additionalProperties": false, "properties": {
        "id": {"type": "string"}, "url": {"type": "string"}, "total": {"type": "integer"},
    }});
    let message_input = json!({"type": "object", "required": ["channel", "text"], "properties": {
        "channel": {"type": "string"}, "text": {"type": "string", "minLength": 1},
        "ts": {"type": "string"},
    }});
    let message_output =
        json!({"type": "object", "properties": {"ts": {"type": "string"}, "channel": {}}});
    let open = || json!({"type": "object"});
    let secret_input = json!({"type": "object", "properties": {"h": {"x-secret": true}}});
    use Compensation::{Automatic, Manual, NotNeeded};
    Catalogue::new([
        spec("tickets:update-ticket-platform", 3, ticket_input, ticket_output.clone(), Automatic),
        spec("tickets:search-tickets-platform", 1, open(), ticket_output, NotNeeded),
        spec("slack.postMessage", 1, message_input.clone(), message_output.clone(), Manual),
        spec("slack.updateMessage", 1, message_input, message_output, Manual),
        spec("http.request", 2, secret_input, open(), Manual),
        ActivitySpec {
            reach: Reach::Sleep,
            ..spec("workflows:sleep-platform", 1, open(), open(), NotNeeded)
        },
        ActivitySpec {
            reach: Reach::Sleep,
            ..spec("workflows:wait-for-event-platform", 1, open(), open(), NotNeeded)
        },
        ActivitySpec {
            reach: Reach::Sleep,
            ..spec("workflows:run-workflow-platform", 1, open(), open(), Automatic)
        },
    ])
}

fn spec(
    identifier: &str,
    version: u32,
    input_schema: Value,
    output_schema: Value,
    compensation: Compensation,
) -> ActivitySpec {
    ActivitySpec {
        identifier: identifier.to_owned(),
        name: identifier.to_owned(),
        version,
        category: "tests".to_owned(),
        source: "platform".to_owned(),
        description: String::new(),
        input_schema,
        output_schema,
        reach: Reach::Platform,
        compensation,
        scopes: Vec::new(),
        timeout: Duration::from_secs(20),
        retry: Retry { attempts: 4, ..Retry::DEFAULT },
        throttle: None,
    }
}

/// The definition of the contract, as far as it is sequential.
const CONTRACT: &str = r#"
name: escalate-urgent
title: Escalate urgent tickets
description: Tell the channel and raise the ticket.
trigger:
  event: ticket:escalated
  filter: { ticket.priorityName: { ~in: [high, urgent] } }
annotations: []
concurrency: { key: "{{trigger.payload.ticket.id}}", limit: 1, policy: queue }
timeout: 1h
steps:
  - id: find
    activity: tickets:search-tickets-platform
  - id: pause
    sleep: 4h
  - id: raise
    title: Raise it
    activity: tickets:update-ticket-platform@3
    if: { steps.find.output.total: { ~gt: 0 } }
    input: { id: "{{trigger.payload.ticket.id}}", priorityName: urgent }
    retry: { attempts: 3, initial: 1s, factor: 2, max: 1m, jitter: true }
    timeout: 30s
    onFailure: compensate
    compensate: auto
  - id: notify
    activity: slack.postMessage
    input: { channel: "{{ vars.oncall_channel | default('#support') }}", text: "{{ trigger.payload.ticket.title }} rose" }
    onFailure: continue
    compensate:
      activity: slack.updateMessage
      input: { channel: "{{ steps.notify.output.channel }}", ts: "{{ steps.notify.output.ts }}", text: "undone: {{ error.message }}" }
"#;

/// Thena's own body with every documented key.
const THENA: &str = r##"
{ "name": "Escalate urgent tickets!", "type": "MANUAL", "subType": "WORKFLOW",
  "triggerEvent": "ticket:escalated",
  "filters": { "{{context.event.message.payload.ticket.priority}}": { "~eq": "urgent" } },
  "annotations": [],
  "workflowDefinition": [
    { "stepIdentifier": 10,
      "activity": { "uniqueIdentifier": "tickets:update-ticket-platform", "autoUpgradeToLatestVersion": true, "version": 2 },
      "input": { "ticketId": "{{context.event.message.payload.ticketId}}", "priority": "urgent" },
      "retryPolicy": { "maximumAttempts": 3, "initialInterval": 1, "backoffCoefficient": 2 },
      "onFailure": "COMPENSATE", "executionTimeout": 30, "isSleepActivity": false, "dependencies": [],
      "requireApproval": false, "approver": {}, "filters": {},
      "compensationActivity": { "activity": { "uniqueIdentifier": "tickets:update-ticket-platform", "autoUpgradeToLatestVersion": true },
        "input": { "ticketId": "{{context.event.message.payload.ticketId}}", "priority": "high" } } },
    { "stepIdentifier": 20, "isSleepActivity": true,
      "activity": { "uniqueIdentifier": "workflows:sleep-platform", "autoUpgradeToLatestVersion": true },
      "input": { "duration": 90 }, "dependencies": ["10"], "executionTimeout": 30 },
    { "stepIdentifier": 30, "dependencies": [10, "20"],
      "activity": { "uniqueIdentifier": "slack.postMessage-YKGGEBQJ10VM380KWBSKVYP875AJQ-EUUV8TTGY1", "autoUpgradeToLatestVersion": false, "version": 1 },
      "input": { "channel": "#support", "text": "{{context.steps.10.result.id}} rose" },
      "filters": { "{{context.steps.10.result.id}}": { "~isnull": false } },
      "onFailure": "ABORT", "executionTimeout": 2.5 }
  ],
  "executingAgent": "bot-1", "teamId": "T1", "metadata": { "colour": "red" }, "isActive": true }
"##;
