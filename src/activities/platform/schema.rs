//! The schemas of activities, made from those of the records.

use serde_json::{Map, Value, json};

use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the schema of what makes a record; an expression that came to null leaves a field out.
pub(super) fn creation(kind: RecordKind) -> Value {
    let mut schema = create_schema(kind);
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, field) in properties(&mut schema) {
        if !required.iter().any(|needed| needed == name) {
            make_nullable(field);
        }
    }
    schema
}

/// Returns the schema of what changes a record that any of `keys` names.
pub(super) fn change(kind: RecordKind, keys: &[&str]) -> Value {
    keyed(update_schema(kind), keys)
}

/// Returns the schema of what only names a record by any of `keys`.
pub(super) fn key(keys: &[&str]) -> Value {
    keyed(object(json!({})), keys)
}

/// Returns the schema with `keys`, of which one is needed.
pub(super) fn keyed(mut schema: Value, keys: &[&str]) -> Value {
    for key in keys {
        schema["properties"][*key] = json!({
            "type": ["string", "null"], "description": "Names the record; one of these is enough",
        });
    }
    one_of_needed(schema, keys)
}

/// Returns the schema with the demand that one of `names` is given.
pub(super) fn one_of_needed(mut schema: Value, names: &[&str]) -> Value {
    let branches: Vec<Value> = names.iter().map(|name| json!({ "required": [name] })).collect();
    let demand = json!({ "anyOf": branches });
    match schema.get_mut("allOf").and_then(Value::as_array_mut) {
        Some(demands) => demands.push(demand),
        None => schema["allOf"] = json!([demand]),
    }
    schema
}

/// Returns the schema of an object with exactly these properties.
pub(super) fn object(properties: Value) -> Value {
    json!({
        "$schema": DIALECT, "type": "object", "properties": properties,
        "additionalProperties": false,
    })
}

/// Returns the schema of a record as it is answered.
pub(super) fn record(kind: RecordKind) -> Value {
    output_schema(kind)
}

/// Returns the schema of a list in an answer.
pub(super) fn listed(name: &str, item: Value) -> Value {
    let mut schema = object(json!({ "total": { "type": "integer" } }));
    schema["properties"][name] = json!({ "type": "array", "items": item });
    schema["required"] = json!(["total", name]);
    schema["additionalProperties"] = json!(true);
    schema
}

/// Returns the schema of an optional text.
pub(super) fn text(description: &str) -> Value {
    json!({ "type": ["string", "null"], "description": description })
}

fn properties(schema: &mut Value) -> &mut Map<String, Value> {
    schema["properties"].as_object_mut().expect("a record's schema lists its properties")
}

fn make_nullable(schema: &mut Value) {
    if let Some(names) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        names.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(name) => *name = json!([name.take(), "null"]),
        None => {} // Any value, so null too.
    }
}
