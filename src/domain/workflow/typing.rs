//! What a JSON Schema says of a path: whether it leads anywhere, and to which types and values.

use serde_json::{Map, Value};

/// How many references and alternatives are followed before a path counts as open.
const HOPS_MAX: usize = 32;

/// A set of JSON types; whole numbers and others are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NULL: Kinds = Kinds(1);
    pub(super) const BOOLEAN: Kinds = Kinds(2);
    pub(super) const INTEGER: Kinds = Kinds(4);
    pub(super) const NUMBER: Kinds = Kinds(4 | 8);
    pub(super) const STRING: Kinds = Kinds(16);
    pub(super) const ARRAY: Kinds = Kinds(32);
    pub(super) const OBJECT: Kinds = Kinds(64);
    pub(super) const ALL: Kinds = Kinds(127);

    fn named(name: &str) -> Kinds {
        match name {
            "null" => Kinds::NULL,
            "boolean" => Kinds::BOOLEAN,
            "integer" => Kinds::INTEGER,
            "number" => Kinds::NUMBER,
            "string" => Kinds::STRING,
            "array" => Kinds::ARRAY,
            "object" => Kinds::OBJECT,
            _ => Kinds::ALL, // A word that no schema has.
        }
    }

    /// Returns the type of a value.
    pub(super) fn of(value: &Value) -> Kinds {
        match value {
            Value::Null => Kinds::NULL,
            Value::Bool(_) => Kinds::BOOLEAN,
            Value::Number(number) if number.is_f64() => Kinds(8),
            Value::Number(_) => Kinds::INTEGER,
            Value::String(_) => Kinds::STRING,
            Value::Array(_) => Kinds::ARRAY,
            Value::Object(_) => Kinds::OBJECT,
        }
    }

    pub(super) fn or(self, other: Kinds) -> Kinds {
        Kinds(self.0 | other.0)
    }

    pub(super) fn and(self, other: Kinds) -> Kinds {
        Kinds(self.0 & other.0)
    }

    pub(super) fn without_null(self) -> Kinds {
        Kinds(self.0 & !Kinds::NULL.0)
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns whether both have a type in common; null, which is mostly absence, does not count
    /// where there is another.
    pub(super) fn meets(self, other: Kinds) -> bool {
        !self.and(other).is_empty()
    }

    /// Names the types for a sentence.
    pub(super) fn told(self) -> String {
        let names = [
            (Kinds::STRING, "a string"),
            (Kinds(8), "a number"),
            (Kinds::INTEGER, "a whole number"),
            (Kinds::BOOLEAN, "true or false"),
            (Kinds::ARRAY, "a list"),
            (Kinds::OBJECT, "an object"),
            (Kinds::NULL, "null"),
        ];
        let has_number = self.meets(Kinds(8));
        let told = names.iter().filter(|(kind, _)| self.meets(*kind));
        let told = told.filter(|(kind, _)| *kind != Kinds::INTEGER || !has_number);
        told.map(|(_, name)| *name).collect::<Vec<_>>().join(" or ")
    }
}

/// What a schema says of the value at a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    /// The types that it may have.
    pub(super) kinds: Kinds,
    /// The only values that it may have, where the schema lists them.
    pub(super) values: Option<Vec<Value>>,
    /// The segment that need not be there, if there is one on the way.
    pub(super) doubt: Option<String>,
}

impl Shape {
    /// Describes a value of which nothing is known.
    pub(super) const fn unknown() -> Shape {
        Shape { kinds: Kinds::ALL, values: None, doubt: None }
    }

    /// Describes a value of one of these types.
    pub(super) const fn of(kinds: Kinds) -> Shape {
        Shape { kinds, values: None, doubt: None }
    }

    pub(super) fn or(self, other: Shape) -> Shape {
        let values = match (self.values, other.values) {
            (Some(mut values), Some(more)) => {
                values.extend(more);
                Some(values)
            }
            _ => None, // One of them may be anything.
        };
        let doubt = self.doubt.or(other.doubt);
        Shape { kinds: self.kinds.or(other.kinds), values, doubt }
    }
}

/// What a schema says of a path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sight {
    /// The schema names it.
    Known(Shape),
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
            (Sight::Known(one), Sight::Known(other)) => Sight::Known(one.or(other)),
            (Sight::Known(one), Sight::Open) | (Sight::Open, Sight::Known(one)) => {
                Sight::Known(Shape { doubt: one.doubt, ..Shape::unknown() })
            }
            (Sight::Known(shape), _) | (_, Sight::Known(shape)) => Sight::Known(shape),
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

/// Follows `segments` from the top of `schema`.
pub(super) fn seek(schema: &Value, segments: &[&str]) -> Sight {
    seek_below(schema, schema, segments, HOPS_MAX)
}

fn seek_below(root: &Value, schema: &Value, segments: &[&str], hops: usize) -> Sight {
    let Some((name, rest)) = segments.split_first() else {
        return Sight::Known(shape_of(root, schema));
    };
    let (Some(rules), Some(hops)) = (schema.as_object(), hops.checked_sub(1)) else {
        return Sight::Open;
    };
    if let Some(target) = rules.get("$ref") {
        let target = target_of(root, target);
        return target.map_or(Sight::Open, |target| seek_below(root, target, segments, hops));
    }
    let alternatives = ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|keyword| rules.get(*keyword).and_then(Value::as_array))
        .flatten()
        .map(|branch| seek_below(root, branch, segments, hops));
    let alternatives = alternatives.reduce(Sight::or);
    let own = match child_of(rules, name) {
        Child::Schema(child) => match seek_below(root, child, rest, hops) {
            Sight::Known(shape) => {
                let kinds = kinds_of(root, child, hops);
                let is_nullable = kinds.meets(Kinds::NULL);
                let optional = is_optional(rules, name) && !is_nullable;
                let absent = optional || (is_nullable && kinds != Kinds::ALL && !rest.is_empty());
                let doubt = if absent { Some((*name).to_owned()) } else { shape.doubt };
                Sight::Known(Shape { doubt, ..shape })
            }
            sight => sight,
        },
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
        // What only demands that something is there says nothing of what it is.
        Some(Sight::Open) => own,
        Some(sight) => sight.or(own),
        None => own,
    }
}

/// A schema that lists what is required and leaves this out. One that requires nothing says nothing,
/// and what may be null is there as null.
fn is_optional(rules: &Map<String, Value>, name: &str) -> bool {
    let required = rules.get("required").and_then(Value::as_array);
    let is_named = rules.get("properties").is_some_and(|properties| properties.get(name).is_some());
    is_named
        && required.is_some_and(|required| {
            !required.is_empty() && required.iter().all(|needed| needed != name)
        })
}

fn target_of<'s>(root: &'s Value, reference: &Value) -> Option<&'s Value> {
    root.pointer(reference.as_str()?.strip_prefix('#')?)
}

/// Describes what a schema says of the value itself.
pub(super) fn shape_of(root: &Value, schema: &Value) -> Shape {
    let kinds = kinds_of(root, schema, HOPS_MAX);
    Shape { kinds, values: values_of(root, schema, HOPS_MAX), doubt: None }
}

fn kinds_of(root: &Value, schema: &Value, hops: usize) -> Kinds {
    let (Some(rules), Some(hops)) = (schema.as_object(), hops.checked_sub(1)) else {
        return Kinds::ALL;
    };
    if let Some(target) = rules.get("$ref") {
        return target_of(root, target).map_or(Kinds::ALL, |it| kinds_of(root, it, hops));
    }
    let any = |kinds: &mut dyn Iterator<Item = Kinds>| kinds.reduce(Kinds::or);
    let mut kinds = match rules.get("type") {
        Some(Value::String(name)) => Kinds::named(name),
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter_map(Value::as_str).map(Kinds::named);
            any(&mut names).unwrap_or(Kinds::ALL)
        }
        _ => Kinds::ALL, // The schema does not say.
    };
    if let Some(values) = rules.get("enum").and_then(Value::as_array) {
        kinds = kinds.and(any(&mut values.iter().map(Kinds::of)).unwrap_or(Kinds::ALL));
    }
    if let Some(value) = rules.get("const") {
        kinds = kinds.and(Kinds::of(value));
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(branches) = rules.get(keyword).and_then(Value::as_array) {
            let mut branches = branches.iter().map(|branch| kinds_of(root, branch, hops));
            kinds = kinds.and(any(&mut branches).unwrap_or(Kinds::ALL));
        }
    }
    for branch in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        kinds = kinds.and(kinds_of(root, branch, hops));
    }
    kinds
}

fn values_of(root: &Value, schema: &Value, hops: usize) -> Option<Vec<Value>> {
    let (rules, hops) = (schema.as_object()?, hops.checked_sub(1)?);
    if let Some(target) = rules.get("$ref") {
        return values_of(root, target_of(root, target)?, hops);
    }
    if let Some(values) = rules.get("enum").and_then(Value::as_array) {
        return Some(values.clone());
    }
    if let Some(value) = rules.get("const") {
        return Some(vec![value.clone()]);
    }
    let branches = rules.get("anyOf").or_else(|| rules.get("oneOf"))?.as_array()?;
    let values: Option<Vec<_>> =
        branches.iter().map(|branch| values_of(root, branch, hops)).collect();
    values.map(|values| values.concat())
}

/// Returns the schemas that a value at `segments` below `schema` may have to fit; none when nothing
/// is said of it.
pub(super) fn descend<'s>(root: &'s Value, schema: &'s Value, segments: &[&str]) -> Vec<&'s Value> {
    let mut found = Vec::new();
    descend_into(root, schema, segments, HOPS_MAX, &mut found);
    found
}

fn descend_into<'s>(
    root: &'s Value,
    schema: &'s Value,
    segments: &[&str],
    hops: usize,
    found: &mut Vec<&'s Value>,
) {
    let Some((name, rest)) = segments.split_first() else { return found.push(schema) };
    let (Some(rules), Some(hops)) = (schema.as_object(), hops.checked_sub(1)) else { return };
    if let Some(target) = rules.get("$ref").and_then(|target| target_of(root, target)) {
        return descend_into(root, target, segments, hops, found);
    }
    if let Child::Schema(child) = child_of(rules, name) {
        descend_into(root, child, rest, hops, found);
    }
    let keywords = ["anyOf", "oneOf", "allOf"].iter();
    let lists = keywords.filter_map(|keyword| rules.get(*keyword).and_then(Value::as_array));
    for branch in lists.flatten() {
        descend_into(root, branch, segments, hops, found);
    }
}

enum Child<'s> {
    Schema(&'s Value),
    Open,
    Missing { closed: bool },
}

fn child_of<'s>(rules: &'s Map<String, Value>, name: &str) -> Child<'s> {
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

fn allows(rules: &Map<String, Value>, kind: &str) -> bool {
    match rules.get("type") {
        None => true,
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        Some(one) => one == kind,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        let known = |kinds| Sight::Known(Shape::of(kinds));
        for (path, sight) in [
            ("team.id", known(Kinds::STRING)),
            ("team.idd", missing("idd", &["id"], true)),
            ("team.id.deeper", missing("deeper", &[], true)),
            ("tags.0", known(Kinds::STRING)),
            ("tags.*", known(Kinds::STRING)),
            ("tags.first", missing("first", &[], true)),
            ("custom.anything", known(Kinds::STRING)),
            ("loop.x", Sight::Open),
            (
                "maybe.id",
                Sight::Known(Shape { doubt: Some("maybe".into()), ..Shape::of(Kinds::STRING) }),
            ),
            ("maybe.idd", missing("idd", &["id"], true)),
            ("any.thing.at.all", Sight::Open),
        ] {
            let segments: Vec<&str> = path.split('.').collect();
            assert_eq!(seek(&schema, &segments), sight, "{path}");
        }
        let Sight::Missing { closed, .. } = seek(&schema, &["tems"]) else { panic!("listed") };
        assert!(!closed);
    }

    #[test]
    fn types_values_and_doubts_are_read_from_the_schema() {
        let schema = json!({"type": "object", "required": ["id"], "properties": {
            "id": {"type": ["string", "null"]},
            "state": {"enum": ["open", "closed"]},
            "owner": {"type": ["object", "null"], "properties": {"name": {"type": "string"}}},
            "size": {"anyOf": [{"type": "integer"}, {"const": "large"}]},
            "note": {"type": ["string", "null"]},
        }});
        let shape = |path: &str| {
            let segments: Vec<&str> = path.split('.').collect();
            let Sight::Known(shape) = seek(&schema, &segments) else { panic!("{path}") };
            (shape.kinds, shape.values.map(|values| values.len()), shape.doubt)
        };
        let text = Kinds::STRING.or(Kinds::NULL);
        assert_eq!(shape("id"), (text, None, None));
        assert_eq!(shape("state"), (Kinds::STRING, Some(2), Some("state".to_owned())));
        assert_eq!(shape("owner.name"), (Kinds::STRING, None, Some("owner".to_owned())));
        let size = Kinds::INTEGER.or(Kinds::STRING);
        assert_eq!(shape("size"), (size, None, Some("size".to_owned())));
        assert_eq!(shape("note"), (text, None, None));
        assert_eq!(size.told(), "a string or a whole number");
    }
}
