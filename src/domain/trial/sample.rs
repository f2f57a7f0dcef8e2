//! Values that fit a schema, for what nobody answered.

use serde_json::{Map, Value};

const DEPTH_MAX: usize = 8;

/// Makes a value that fits a schema, as far as types, examples and choices tell.
/// Objects in each other are made to a depth of eight; `depth` is how deep `schema` lies.
#[must_use]
pub fn sample(schema: &Value, depth: usize) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    let first = |name: &str| schema.get(name)?.as_array()?.first().cloned();
    if let Some(value) = first("examples").or_else(|| first("enum")) {
        return value;
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") if depth < DEPTH_MAX => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties.map(|(name, inner)| (name.clone(), sample(inner, depth + 1)));
            Value::Object(fields.collect())
        }
        Some("object") => Value::Object(Map::new()),
        Some("array") => Value::Array(Vec::new()),
        Some("string") => Value::String("sample".to_owned()),
        Some("integer" | "number") => Value::from(1),
        Some("boolean") => Value::Bool(true),
        _ => Value::Null, // Any value would do.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_fits_its_schema() {
        let schema = json!({"type": "object", "properties": {
            "id": {"type": "string", "examples": ["T1"]},
            "state": {"enum": ["open", "closed"]},
            "count": {"type": ["integer", "null"]},
            "tags": {"type": "array"},
            "nested": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        }});
        let made = sample(&schema, 0);
        assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&made));
        assert_eq!((&made["id"], &made["state"]), (&json!("T1"), &json!("open")));
    }
}
