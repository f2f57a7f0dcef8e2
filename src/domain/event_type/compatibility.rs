//! Whether payloads that fitted a schema still fit its next version, and where they would not.

use serde_json::{Map, Value};

use crate::domain::problem::{Problem, pointer_to};

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
/// Keywords whose value may not grow.
const CEILINGS: [&str; 6] =
    ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"];
/// Keywords whose value may not shrink, but may for the others.
const FLOORS: [&str; 6] =
    ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"];
/// Keywords that only compare: a new or another value can refuse what was fine.
const OPAQUE: [&str; 10] = [
    "pattern",
    "format",
    "multipleOf",
    "uniqueItems",
    "$ref",
    "oneOf",
    "allOf",
    "not",
    "if",
    "propertyNames",
];
const DEPTH_MAX: usize = 32;

/// Returns what the schema `new` refuses and the schema `old` took, each with a pointer into `new`
/// that begins with `at`; none when every payload that fitted goes on fitting.
#[must_use]
pub fn incompatibilities(old: &Value, new: &Value, at: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    compare(old, new, at, 0, &mut problems);
    problems
}

fn compare(old: &Value, new: &Value, at: &str, depth: usize, problems: &mut Vec<Problem>) {
    if old == new || depth > DEPTH_MAX || old == &Value::Bool(false) {
        return;
    }
    if new == &Value::Bool(false) {
        problems.push(Problem::new(at, "value_refused", "nothing is allowed here any more"));
        return;
    }
    let empty = Map::new();
    let (old, new) = (old.as_object().unwrap_or(&empty), new.as_object().unwrap_or(&empty));
    compare_types(old, new, at, problems);
    compare_names(old, new, at, problems);
    compare_bounds(old, new, at, problems);
    compare_properties(old, new, at, depth, problems);
    if let Some(items) = new.get("items") {
        let before = old.get("items").unwrap_or(&Value::Bool(true));
        compare(before, items, &pointer_to(at, "items"), depth + 1, problems);
    }
}

fn compare_types(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    let Some(allowed) = types(new) else { return };
    let before = types(old).unwrap_or_else(|| TYPES.to_vec());
    let is_kept =
        |name: &&str| allowed.contains(name) || *name == "integer" && allowed.contains(&"number");
    let gone: Vec<&str> = before.iter().copied().filter(|name| !is_kept(name)).collect();
    if !gone.is_empty() {
        let detail = format!("no longer takes {}", gone.join(", "));
        problems.push(Problem::new(pointer_to(at, "type"), "type_narrowed", detail));
    }
}

fn types(schema: &Map<String, Value>) -> Option<Vec<&str>> {
    match schema.get("type")? {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None, // No valid schema has another.
    }
}

fn compare_names(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    for keyword in ["enum", "const"] {
        let Some(allowed) = new.get(keyword).map(|value| listed(keyword, value)) else { continue };
        let before = ["enum", "const"].iter().find_map(|it| Some(listed(it, old.get(*it)?)));
        let gone: Option<Vec<String>> = before.map(|before| {
            before.iter().filter(|value| !allowed.contains(value)).map(Value::to_string).collect()
        });
        let detail = match gone {
            None => "takes only some values now".to_owned(),
            Some(gone) if gone.is_empty() => continue,
            Some(gone) => format!("no longer takes {}", gone.join(", ")),
        };
        problems.push(Problem::new(pointer_to(at, keyword), "enum_narrowed", detail));
    }
}

fn listed(keyword: &str, value: &Value) -> Vec<Value> {
    match (keyword, value) {
        ("enum", Value::Array(values)) => values.clone(),
        (_, value) => vec![value.clone()],
    }
}

fn compare_bounds(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    problems: &mut Vec<Problem>,
) {
    let mut narrowed = |keyword: &str| {
        let detail = match old.get(keyword) {
            Some(before) => format!("`{keyword}` was {before} and refuses more now"),
            None => format!("`{keyword}` is new and refuses what was fine"),
        };
        problems.push(Problem::new(pointer_to(at, keyword), "bound_narrowed", detail));
    };
    let number = |schema: &Map<String, Value>, keyword: &str| schema.get(keyword)?.as_f64();
    for keyword in CEILINGS {
        if let Some(after) = number(new, keyword)
            && number(old, keyword).is_none_or(|before| after < before)
        {
            narrowed(keyword);
        }
    }
    for keyword in FLOORS {
        let least = if keyword.ends_with("imum") { f64::NEG_INFINITY } else { 0.0 };
        if let Some(after) = number(new, keyword)
            && after > number(old, keyword).unwrap_or(least)
        {
            narrowed(keyword);
        }
    }
    for keyword in OPAQUE {
        if new.get(keyword).is_some_and(|after| old.get(keyword) != Some(after)) {
            narrowed(keyword);
        }
    }
}

fn compare_properties(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    at: &str,
    depth: usize,
    problems: &mut Vec<Problem>,
) {
    let was_required = names(old);
    for name in names(new).into_iter().filter(|name| !was_required.contains(name)) {
        let detail = format!("`{name}` is required now; payloads without it were fine");
        problems.push(Problem::new(pointer_to(at, "required"), "property_required", detail));
    }
    let listed = |schema: &Map<String, Value>| {
        schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
    };
    let (before, after) = (listed(old), listed(new));
    let is_open = new.get("additionalProperties") != Some(&Value::Bool(false));
    if !is_open {
        let was_open = old.get("additionalProperties") != Some(&Value::Bool(false));
        if was_open {
            let detail = "properties that are not named are refused now";
            let pointer = pointer_to(at, "additionalProperties");
            problems.push(Problem::new(pointer, "properties_closed", detail));
        }
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let detail = format!("`{name}` is refused now");
            let pointer = pointer_to(&pointer_to(at, "properties"), name);
            problems.push(Problem::new(pointer, "property_removed", detail));
        }
    }
    let base = pointer_to(at, "properties");
    for (name, schema) in &after {
        // A property that nobody had described is taken to be new rather than narrowed.
        let Some(earlier) = before.get(name) else { continue };
        compare(earlier, schema, &pointer_to(&base, name), depth + 1, problems);
    }
}

fn names(schema: &Map<String, Value>) -> Vec<&str> {
    let required = schema.get("required").and_then(Value::as_array);
    required.into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_refuses_more_than_before_is_found_with_its_place() {
        let object = |properties: Value| json!({"type": "object", "properties": properties});
        for (old, new, code, pointer) in [
            (json!({}), json!({"required": ["id"]}), "property_required", "/schema/required"),
            (
                object(json!({"n": {"type": ["string", "null"]}})),
                object(json!({"n": {"type": "string"}})),
                "type_narrowed",
                "/schema/properties/n/type",
            ),
            (
                object(json!({"n": {}})),
                object(json!({"n": {"type": "number"}})),
                "type_narrowed",
                "/schema/properties/n/type",
            ),
            (
                object(json!({"n": {"enum": ["a", "b"]}})),
                object(json!({"n": {"enum": ["a"]}})),
                "enum_narrowed",
                "/schema/properties/n/enum",
            ),
            (
                object(json!({"a/b": {"maxLength": 9}})),
                object(json!({"a/b": {"maxLength": 5}})),
                "bound_narrowed",
                "/schema/properties/a~1b/maxLength",
            ),
            (
                json!({"type": "object"}),
                json!({"type": "object", "additionalProperties": false}),
                "properties_closed",
                "/schema/additionalProperties",
            ),
            (
                json!({"items": {"type": "string"}}),
                json!({"items": {"type": "integer"}}),
                "type_narrowed",
                "/schema/items/type",
            ),
            (json!({}), json!({"minimum": 0}), "bound_narrowed", "/schema/minimum"),
            (json!(true), json!(false), "value_refused", "/schema"),
        ] {
            let found = incompatibilities(&old, &new, "/schema");
            let found: Vec<_> = found.iter().map(|it| (&*it.code, &*it.pointer)).collect();
            assert_eq!(found, [(code, pointer)], "{old} to {new}");
        }
    }

    #[test]
    fn what_takes_as_much_as_before_or_more_is_fine() {
        for (old, new) in [
            (json!({"required": ["id", "at"]}), json!({"required": ["id"]})),
            (json!({"type": "integer"}), json!({"type": ["number", "null"]})),
            (json!({"enum": ["a"]}), json!({"enum": ["a", "b"]})),
            (json!({"maximum": 5, "minLength": 2}), json!({"maximum": 6, "minLength": 1})),
            (json!({}), json!({"properties": {"more": {"type": "string"}}})),
            (json!({"properties": {"less": {"type": "string"}}}), json!({})),
            (json!({"additionalProperties": false}), json!({"title": "Open again"})),
            (json!({"type": "object"}), json!({"type": "object", "minProperties": 0})),
        ] {
            assert_eq!(incompatibilities(&old, &new, ""), [], "{old} to {new}");
        }
    }
}
