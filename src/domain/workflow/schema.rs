//! Follows a path through a JSON Schema to see whether it can lead anywhere.

use serde_json::{Value, json};

/// How many references and alternatives are followed before a path counts as open.
const HOPS_MAX: usize = 32;

/// What a schema says of a path.
#[derive(Debug, PartialEq)]
pub(super) enum Sight {
    /// The schema names it.
    Known,
    /// The schema does not say.
    Open,
    /// The schema names others at this place.
    Missing {
        /// The segment that is not there.
        name: String,
        /// The names that are.
        siblings: Vec<String>,
        /// Whether the schema excludes every other name.
        closed: bool,
    },
}

impl Sight {
    /// Returns the more hopeful of two sights of one path.
    pub(super) fn or(self, other: Sight) -> Sight {
        match (self, other) {
            (Sight::Known, _) | (_, Sight::Known) => Sight::Known,
            (Sight::Open, _) | (_, Sight::Open) => Sight::Open,
            (
                Sight::Missing { name, mut siblings, closed },
                Sight::Missing { siblings: more, closed: also, .. },
            ) => {
                siblings.extend(more);
                Sight::Missing { name, siblings, closed: closed && also }
            }
        }
    }
}

/// Returns the JSON Schema of an event around the schema of its payload.
pub(super) fn event_schema(payload: &Value) -> Value {
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string"}, "type": {"type": "string"},
            "source": {"type": "string"}, "subject": {"type": "string"},
            "time": {"type": "string"},
            "actor": {"type": "object", "additionalProperties": false, "properties": {
                "id": {"type": "string"}, "type": {"type": "string"},
                "email": {"type": "string"},
            }},
            "metadata": true,
            "cause": {"type": "object", "additionalProperties": false, "properties": {
                "runId": {"type": "string"}, "depth": {"type": "integer"},
            }},
        },
    });
    schema["properties"]["payload"] = payload.clone();
    schema
}

/// Follows `segments` from the top of `schema`.
pub(super) fn seek(schema: &Value, segments: &[&str]) -> Sight {
    seek_below(schema, schema, segments, HOPS_MAX)
}

fn seek_below(root: &Value, schema: &Value, segments: &[&str], hops: usize) -> Sight {
    let Some((name, rest)) = segments.split_first() else { return Sight::Known };
    let (Some(rules), Some(hops)) = (schema.as_object(), hops.checked_sub(1)) else {
        return Sight::Open;
    };
    if let Some(reference) = rules.get("$ref").and_then(Value::as_str) {
        let target = reference.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Sight::Open, |target| seek_below(root, target, segments, hops));
    }
    let alternatives = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|keyword| rules.get(*keyword).and_then(Value::as_array))
        .flatten()
        .map(|branch| seek_below(root, branch, segments, hops));
    let alternatives = alternatives.reduce(Sight::or);
    let own = match child_of(rules, name) {
        Child::Schema(child) => seek_below(root, child, rest, hops),
        Child::Open => Sight::Open,
        Child::Missing { closed } => {
            let siblings = rules.get("properties").and_then(Value::as_object);
            let siblings = siblings.map(|names| names.keys().cloned().collect());
            Sight::Missing {
                name: (*name).to_owned(),
                siblings: siblings.unwrap_or_default(),
                closed,
            }
        }
    };
    match alternatives {
        Some(sight) if !rules.contains_key("properties") => sight,
        Some(sight) => sight.or(own),
        None => own,
    }
}

enum Child<'s> {
    Schema(&'s Value),
    Open,
    Missing { closed: bool },
}

fn child_of<'s>(rules: &'s serde_json::Map<String, Value>, name: &str) -> Child<'s> {
    let is_index = name == "*" || name.bytes().all(|byte| byte.is_ascii_digit());
    if is_index && (allows(rules, "array") || rules.contains_key("items")) {
        return match rules.get("items") {
            Some(items) if !rules.contains_key("prefixItems") => Child::Schema(items),
            _ => Child::Open, // The elements are not described, or each differently.
        };
    }
    if !allows(rules, "object") {
        return Child::Missing { closed: true };
    }
    let properties = rules.get("properties").and_then(Value::as_object);
    if let Some(child) = properties.and_then(|properties| properties.get(name)) {
        return Child::Schema(child);
    }
    match rules.get("additionalProperties") {
        _ if rules.contains_key("patternProperties") => Child::Open,
        Some(Value::Bool(false)) => Child::Missing { closed: true },
        Some(other) if other.is_object() => Child::Schema(other),
        _ if properties.is_some_and(|properties| !properties.is_empty()) => {
            Child::Missing { closed: false }
        }
        _ => Child::Open, // An object of which nothing is said.
    }
}

fn allows(rules: &serde_json::Map<String, Value>, kind: &str) -> bool {
    match rules.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_open_or_missing() {
        let schema = json!({
            "type": "object",
            "$defs": {"team": {"type": "object", "properties": {"id": {"type": "string"}},
                "additionalProperties": false}},
            "properties": {
                "team": {"$ref": "#/$defs/team"},
                "tags": {"type": "array", "items": {"type": "string"}},
                "custom": {"type": "object", "additionalProperties": {"type": "string"}},
                "loop": {"$ref": "#/properties/loop"},
                "maybe": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/team"}]},
                "any": {},
            },
        });
        let missing = |name: &str, siblings: &[&str], closed| Sight::Missing {
            name: name.to_owned(),
            siblings: siblings.iter().map(|name| (*name).to_owned()).collect(),
            closed,
        };
        for (path, sight) in [
            ("team.id", Sight::Known),
            ("team.idd", missing("idd", &["id"], true)),
            ("team.id.deeper", missing("deeper", &[], true)),
            ("tags.0", Sight::Known),
            ("tags.*", Sight::Known),
            ("tags.first", missing("first", &[], true)),
            ("custom.anything", Sight::Known),
            ("loop.x", Sight::Open),
            ("maybe.id", Sight::Known),
            ("maybe.idd", missing("idd", &["id"], true)),
            ("any.thing.at.all", Sight::Open),
        ] {
            let segments: Vec<&str> = path.split('.').collect();
            assert_eq!(seek(&schema, &segments), sight, "{path}");
        }
        let Sight::Missing { closed, .. } = seek(&schema, &["tems"]) else { panic!("listed") };
        assert!(!closed);
    }
}
