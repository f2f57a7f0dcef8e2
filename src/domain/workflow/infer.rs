//! Makes the schema of a value that is written out in a definition.

use serde_json::{Map, Value, json};

use super::nesting::Inner;
use super::reference::event_schema;
use super::step::Draft;
use super::{Action, Awaits, Wait};

/// How many elements of a list are looked at.
const ELEMENTS_MAX: usize = 20;
/// The activity whose output is what its input says.
const TRANSFORM: &str = "workflows:transform-platform";

/// Describes a value with expressions in it, of which nothing is known.
pub(super) fn schema_of(value: &Value) -> Value {
    match value {
        Value::String(text) if text.contains("{{") => {
            let is_whole = text.starts_with("{{") && text.ends_with("}}");
            if is_whole { json!({}) } else { json!({ "type": "string" }) }
        }
        Value::Null => json!({}),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Number(_) => json!({ "type": "number" }),
        Value::String(_) => json!({ "type": "string" }),
        Value::Array(items) => {
            let few: Vec<Value> = items.iter().take(ELEMENTS_MAX).map(schema_of).collect();
            match items.len() {
                0 | ELEMENTS_MAX.. => json!({ "type": "array" }),
                _ => json!({ "type": "array", "items": { "anyOf": few } }),
            }
        }
        Value::Object(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|(name, value)| (name.clone(), schema_of(value))).collect();
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
    }
}

/// Describes what a step leaves behind: its output, input, status and error.
pub(super) fn record_of(draft: &Draft) -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "output": output_of(draft),
            "input": true,
            "status": { "enum": [
                "pending", "running", "retrying", "waiting", "succeeded", "failed", "skipped",
                "cancelled",
            ] },
            "error": { "type": ["object", "null"], "properties": {
                "class": { "type": "string" }, "code": { "type": "string" },
                "message": { "type": "string" }, "details": true,
                "retryAfterMs": { "type": "integer" },
            } },
        },
    })
}

fn output_of(draft: &Draft) -> Value {
    match (&draft.action, &draft.inner) {
        (_, Some(Inner::Each { steps, .. })) => {
            json!({ "type": "array", "items": steps.last().map_or(json!(true), output_of) })
        }
        (_, Some(Inner::Parallel { .. })) => json!({ "type": "array" }),
        (_, Some(Inner::Branch(_))) => json!(true),
        (Some(Action::Sleep { .. }), None) => {
            json!({ "type": "object", "properties": {}, "additionalProperties": false })
        }
        (Some(Action::Run { awaits: Awaits::End, .. }), None) => json!({
            "type": "object", "additionalProperties": false, "properties": {
                "runId": { "type": "string" }, "status": { "type": "string" }, "result": true,
            },
        }),
        (Some(Action::Run { .. }), None) => json!({
            "type": "object", "additionalProperties": false,
            "properties": { "runId": { "type": "string" } },
        }),
        (action, None) => match (&draft.awaited, action, &draft.spec) {
            (Some(awaited), Some(Action::Wait(wait)), _) => awaited_event(&awaited.payload, wait),
            (Some(awaited), ..) => event_schema(&awaited.payload),
            (None, _, Some(spec)) if spec.identifier == TRANSFORM => shaped(&draft.input.value),
            (None, _, Some(spec)) => spec.output_schema.clone(),
            (None, _, None) => json!(true),
        },
    }
}

fn awaited_event(payload: &Value, wait: &Wait) -> Value {
    let mut schema = event_schema(payload);
    schema["properties"]["timedOut"] = json!({ "type": ["boolean", "null"] });
    if wait.on_timeout == super::OnTimeout::Continue {
        schema["required"] = json!(["timedOut"]);
    }
    schema
}

/// A transformation answers its `output`, or what it sets where nothing else is given.
fn shaped(input: &Value) -> Value {
    let Some(fields) = input.as_object() else { return json!(true) };
    if let Some(output) = fields.get("output") {
        return schema_of(output);
    }
    let others = ["from", "merge", "pick"].iter().any(|name| fields.contains_key(*name));
    match fields.get("set") {
        _ if others => json!({ "type": "object" }),
        Some(set) => schema_of(set),
        None => schema_of(input),
    }
}
