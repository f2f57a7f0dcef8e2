//! Shaping data: what the one activity does that needs nothing but its input.

use serde_json::{Map, Value};

/// The activity.
pub const IDENTIFIER: &str = "workflows:transform-platform";

/// Returns what the activity answers to an input; it depends on nothing else.
#[must_use]
pub fn transform(input: &Map<String, Value>) -> Value {
    if let Some(output) = input.get("output") {
        return output.clone();
    }
    if !["from", "merge", "pick", "set"].iter().any(|name| input.contains_key(*name)) {
        return Value::Object(input.clone());
    }
    let mut shaped = Map::new();
    lay_over(&mut shaped, input.get("from"));
    match input.get("merge") {
        Some(Value::Array(parts)) => {
            parts.iter().for_each(|part| lay_over(&mut shaped, Some(part)));
        }
        part => lay_over(&mut shaped, part),
    }
    if let Some(Value::Array(names)) = input.get("pick") {
        shaped.retain(|name, _| names.iter().any(|wanted| wanted == name));
    }
    lay_over(&mut shaped, input.get("set"));
    Value::Object(shaped)
}

fn lay_over(shaped: &mut Map<String, Value>, part: Option<&Value>) {
    let part = part.and_then(Value::as_object).cloned().unwrap_or_default();
    shaped.extend(part);
}
