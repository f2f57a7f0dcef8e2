//! JSON Schemas of a kind's inputs, outputs and events, made from its table of fields.

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::field::{Field, FieldType, Input, Kept, Need};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns the JSON Schema of what creates a record of `kind`.
#[must_use]
pub fn create_schema(kind: RecordKind) -> Value {
    let given = |field: &&Field| field.input != Input::Never;
    let mut schema = object(kind.fields().iter().filter(given).map(|field| (field, typed(field))));
    schema["required"] = kind
        .fields()
        .iter()
        .filter(|field| field.need == Need::Required && field.input != Input::Never)
        .map(|field| field.name)
        .collect();
    schema["additionalProperties"] = Value::Bool(false);
    schema
}

/// Returns the JSON Schema of what updates a record of `kind`; null clears an optional field.
#[must_use]
pub fn update_schema(kind: RecordKind) -> Value {
    let given = |field: &&Field| field.input == Input::Always;
    let properties = kind.fields().iter().filter(given).map(|field| match field.need {
        Need::Required => (field, typed(field)),
        Need::Optional => (field, nullable(typed(field))),
    });
    let mut schema = object(properties);
    schema["additionalProperties"] = Value::Bool(false);
    schema
}

/// Returns the JSON Schema of a record of `kind` at rest; what is unset is null.
#[must_use]
pub fn output_schema(kind: RecordKind) -> Value {
    let kept = |field: &&Field| field.kept != Kept::No;
    let fields = kind.fields().iter().filter(kept);
    let mut schema = object(fields.map(|field| (field, nullable(typed(field)))));
    schema["required"] = json!(["id"]);
    schema
}

/// Returns the JSON Schema of a record of `kind` inside an event, which other senders may fill in
/// part or with richer values.
#[must_use]
pub fn event_schema(kind: RecordKind) -> Value {
    let kept = |field: &&Field| field.kept != Kept::No;
    object(kind.fields().iter().filter(kept).map(|field| (field, loose(field))))
}

fn object<'a>(properties: impl Iterator<Item = (&'a Field, Value)>) -> Value {
    let properties: Map<String, Value> =
        properties.map(|(field, schema)| (field.name.to_owned(), schema)).collect();
    json!({ "$schema": DIALECT, "type": "object", "properties": properties })
}

fn typed(field: &Field) -> Value {
    let mut schema = type_schema(&field.kind);
    if field.need == Need::Required && matches!(field.kind, FieldType::Text { .. }) {
        schema["minLength"] = json!(1);
    }
    schema["description"] = json!(field.description);
    schema
}

fn type_schema(kind: &FieldType) -> Value {
    match kind {
        FieldType::Text { max } => json!({ "type": "string", "maxLength": max }),
        FieldType::Email => json!({ "type": "string", "format": "email" }),
        FieldType::Bool => json!({ "type": "boolean" }),
        FieldType::Number => json!({ "type": "number" }),
        FieldType::Timestamp => json!({ "type": "string", "format": "date-time" }),
        FieldType::Enum(names) => json!({ "type": "string", "enum": names }),
        FieldType::Ref(record) => json!({ "type": "string", "x-record": record.name() }),
        FieldType::List(item) => json!({ "type": "array", "items": type_schema(item) }),
        FieldType::Map => json!({ "type": "object" }),
        FieldType::CustomValues => json!({ "type": ["object", "array"] }),
        FieldType::Any => json!({}),
    }
}

fn nullable(mut schema: Value) -> Value {
    if let Some(names) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        names.push(Value::Null);
    }
    match schema.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(name) => *name = json!([name.take(), "null"]),
        None => {} // Any value, so null too.
    }
    schema
}

/// Other senders name a status by an object and an id by a number, so only texts, mail addresses
/// and flags are held to their type.
fn loose(field: &Field) -> Value {
    let is_open = field.name.ends_with("Id") || OPEN.contains(&field.name);
    let types = match field.kind {
        _ if is_open => json!({}),
        FieldType::Text { .. } | FieldType::Email => json!({ "type": ["string", "null"] }),
        FieldType::Bool => json!({ "type": ["boolean", "null"] }),
        _ => json!({}), // Left open on purpose.
    };
    let mut schema = types;
    schema["description"] = json!(field.description);
    schema
}

const OPEN: &[&str] = &["id", "status", "priority", "sentiment", "type", "account", "author"];
