//! Puts the fields of Thena's update on a saved definition.

use serde_json::{Map, Value, json};

use crate::domain::problem::Problem;

/// What Thena's body says of what starts a workflow.
const TRIGGER_FIELDS: [&str; 4] = ["triggerEvent", "filters", "filter", "schedule"];

/// Returns the definition with the given fields in place of its own; what is given keeps its place,
/// so that problems point to it. `null` takes a field away.
///
/// # Errors
/// Returns what is wrong with fields that the definition's own check would misread.
pub(super) fn merged(
    definition: Value,
    mut given: Map<String, Value>,
) -> Result<Value, Vec<Problem>> {
    let Value::Object(mut document) = definition else {
        return Err(vec![Problem::new("", "wrong_type", "the saved definition is no object")]);
    };
    if let Some(name) = given.shift_remove("name") {
        rename(&mut document, name)?;
    }
    if given.contains_key("workflowDefinition") || given.contains_key("steps") {
        document.shift_remove("steps");
    }
    if given.contains_key("trigger") || given.contains_key("triggers") {
        document.shift_remove("trigger");
        document.shift_remove("triggers");
    } else if TRIGGER_FIELDS.iter().any(|name| given.contains_key(*name)) || keeps_schedule(&given)
    {
        spread_trigger(&mut document);
        if given.contains_key("triggerEvent") || keeps_schedule(&given) {
            // Another timer, or other times, make those of before void.
            document.shift_remove("schedule");
        }
    } else {
        // A body with Thena's steps would have to name an event.
        if !document.contains_key("triggers") {
            document.entry("trigger").or_insert_with(|| json!("manual"));
        }
    }
    for (name, value) in given {
        match value {
            Value::Null => drop(document.shift_remove(&name)),
            value => drop(document.insert(name, value)),
        }
    }
    Ok(Value::Object(document))
}

fn keeps_schedule(given: &Map<String, Value>) -> bool {
    given.get("metadata").is_some_and(|metadata| metadata.get("schedule").is_some())
}

/// Thena's name is a title; what names the workflow in paths stays.
fn rename(document: &mut Map<String, Value>, name: Value) -> Result<(), Vec<Problem>> {
    let problem = |code, detail: &str| Err(vec![Problem::new("/name", code, detail)]);
    match &name {
        Value::String(text) if text.trim().is_empty() => problem("empty", "must not be empty"),
        Value::String(_) => {
            document.insert("title".to_owned(), name);
            Ok(())
        }
        _ => problem("wrong_type", "must be a text"),
    }
}

/// Writes the trigger as Thena does, so that a part of it can be replaced.
fn spread_trigger(document: &mut Map<String, Value>) {
    document.shift_remove("triggers");
    let Some(Value::Object(mut trigger)) = document.shift_remove("trigger") else { return };
    for (ours, theirs) in
        [("event", "triggerEvent"), ("filter", "filters"), ("schedule", "schedule")]
    {
        if let Some(value) = trigger.shift_remove(ours) {
            document.insert(theirs.to_owned(), value);
        }
    }
}
