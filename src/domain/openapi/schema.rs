//! Turns the schemas of a document into JSON Schema 2020-12 with the definitions that they need.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::reference::Document;
use super::{Version, operation};
use crate::domain::problem::{Problem, pointer_to};

/// Which way a value goes: fields that are only read are not asked for on the way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// Words of OpenAPI that JSON Schema does not have, or that say nothing about values.
const LEFT_OUT: [&str; 7] =
    ["nullable", "discriminator", "xml", "externalDocs", "example", "$schema", "$id"];
/// Words whose value is a schema.
const ONE: [&str; 10] = [
    "items",
    "additionalProperties",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "propertyNames",
    "unevaluatedProperties",
    "unevaluatedItems",
];
/// Words whose value is a list of schemas.
const LIST: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Words whose value is an object of schemas.
const NAMED: [&str; 4] = ["properties", "patternProperties", "dependentSchemas", "$defs"];
/// Words that refer in ways that are not followed.
const NOT_FOLLOWED: [&str; 4] = ["$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"];

/// Gathers the definitions that the schemas of one side of an operation need.
pub(super) struct Schemas<'d, 'n> {
    document: &'d Document<'d>,
    way: Way,
    /// The name of each definition by its place in the document.
    names: BTreeMap<String, String>,
    definitions: BTreeMap<String, Value>,
    /// Definitions that are named and not yet read.
    owed: Vec<(String, String, &'d Value)>,
    notes: &'n mut Vec<Problem>,
}

impl<'d, 'n> Schemas<'d, 'n> {
    pub(super) fn new(
        document: &'d Document<'d>,
        way: Way,
        notes: &'n mut Vec<Problem>,
    ) -> Schemas<'d, 'n> {
        let (names, definitions, owed) = Default::default();
        Schemas { document, way, names, definitions, owed, notes }
    }

    /// Tells what is not supported beside.
    pub(super) fn note(&mut self, problem: Problem) {
        self.notes.push(problem);
    }

    /// Reads the schema at `at`.
    pub(super) fn read(&mut self, schema: &'d Value, at: &str) -> Result<Value, Problem> {
        let read = self.schema(schema, at, 0)?;
        while let Some((name, at, schema)) = self.owed.pop() {
            let read = self.schema(schema, &at, 0)?;
            self.definitions.insert(name, read);
        }
        Ok(read)
    }

    /// Puts the definitions to a schema that was made of what was read.
    pub(super) fn finish(self, mut schema: Value, at: &str) -> Value {
        schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
        if !self.definitions.is_empty() {
            schema["$defs"] = json!(self.definitions);
        }
        if jsonschema::validator_for(&schema).is_ok() {
            return schema;
        }
        // Patterns are written for another engine now and then.
        without_patterns(&mut schema);
        let detail = match jsonschema::validator_for(&schema) {
            Ok(_) => "its patterns are not understood and are not checked".to_owned(),
            Err(error) => {
                let told = error.masked().to_string();
                schema = json!({ "type": "object" });
                format!("its schema is not valid and is not checked: {told}")
            }
        };
        self.notes.push(Problem::new(at, "unchecked_schema", detail));
        schema
    }

    fn schema(&mut self, schema: &'d Value, at: &str, depth: usize) -> Result<Value, Problem> {
        let Value::Object(fields) = schema else {
            // `true` and `false` are schemas since 3.1; anything else is none.
            return match schema {
                Value::Bool(_) => Ok(schema.clone()),
                _ => Err(Problem::new(at, "invalid_schema", "a schema is an object")),
            };
        };
        if depth > self.document.limits.depth_max {
            let detail = format!(
                "schemas lie more than {} deep in each other; what is deeper is not checked",
                self.document.limits.depth_max
            );
            self.notes.push(Problem::new(at, "too_deep", detail));
            return Ok(json!({}));
        }
        if let Some(target) = fields.get("$ref") {
            let mut referred = self.reference(target, &pointer_to(at, "$ref"))?;
            // In 3.0 nothing beside a reference counts.
            if self.document.version == Version::ThreeOne && fields.len() > 1 {
                let beside = self.fields(fields, at, depth)?;
                referred = json!({ "allOf": [referred, beside] });
            }
            return Ok(referred);
        }
        self.fields(fields, at, depth)
    }

    fn reference(&mut self, target: &'d Value, at: &str) -> Result<Value, Problem> {
        let (found, place) = self.document.target(target, at)?;
        if let Some(name) = self.names.get(&place) {
            return Ok(json!({ "$ref": format!("#/$defs/{name}") }));
        }
        if self.names.len() >= self.document.limits.definitions_max {
            let detail = format!(
                "the operation needs more than {} definitions; this one is not checked",
                self.document.limits.definitions_max
            );
            self.notes.push(Problem::new(at, "too_many_definitions", detail));
            return Ok(json!({}));
        }
        let name = self.name_for(&place);
        self.names.insert(place.clone(), name.clone());
        self.owed.push((name.clone(), place, found));
        Ok(json!({ "$ref": format!("#/$defs/{name}") }))
    }

    fn name_for(&self, place: &str) -> String {
        let last = place.rsplit('/').next().unwrap_or_default();
        let base = operation::name_of(last);
        let taken: BTreeSet<&String> = self.names.values().collect();
        let mut name = base.clone();
        let mut number = 2;
        while taken.contains(&name) {
            name = format!("{base}-{number}");
            number += 1;
        }
        name
    }

    fn fields(
        &mut self,
        fields: &'d Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Value, Problem> {
        let mut read = Map::new();
        for (word, value) in fields {
            let place = pointer_to(at, word);
            let word = word.as_str();
            let read_one =
                |own: &mut Self, value: &'d Value, place: &str| own.schema(value, place, depth + 1);
            let value = if NOT_FOLLOWED.contains(&word) {
                let detail = format!("`{word}` is not followed");
                self.notes.push(Problem::new(place, "unsupported_keyword", detail));
                continue;
            } else if LEFT_OUT.contains(&word) || word.starts_with("x-") || word == "$ref" {
                continue;
            } else if ONE.contains(&word) && (value.is_object() || value.is_boolean()) {
                read_one(self, value, &place)?
            } else if let (true, Value::Array(list)) = (LIST.contains(&word), value) {
                let mut schemas = Vec::with_capacity(list.len());
                for (index, item) in list.iter().enumerate() {
                    schemas.push(read_one(self, item, &pointer_to(&place, &index.to_string()))?);
                }
                Value::Array(schemas)
            } else if let (true, Value::Object(named)) = (NAMED.contains(&word), value) {
                let mut schemas = Map::new();
                for (name, item) in named {
                    let place = pointer_to(&place, name);
                    schemas.insert(name.clone(), read_one(self, item, &place)?);
                }
                Value::Object(schemas)
            } else {
                value.clone()
            };
            read.insert(word.to_owned(), value);
        }
        self.leave_out_of_required(fields, &mut read);
        bounds(fields, &mut read);
        if fields.get("nullable") == Some(&Value::Bool(true)) {
            return Ok(nullable(read));
        }
        Ok(Value::Object(read))
    }

    /// A field that is only read is not asked for, and one that is only written is not answered.
    fn leave_out_of_required(&self, fields: &Map<String, Value>, read: &mut Map<String, Value>) {
        let word = if self.way == Way::In { "readOnly" } else { "writeOnly" };
        let Some(Value::Array(required)) = read.get_mut("required") else { return };
        required.retain(|name| {
            let property = name.as_str().and_then(|name| fields.get("properties")?.get(name));
            property.is_none_or(|property| property.get(word) != Some(&Value::Bool(true)))
        });
    }
}

/// In 3.0 an exclusive bound is a switch beside the bound, since 3.1 a number of its own.
fn bounds(fields: &Map<String, Value>, read: &mut Map<String, Value>) {
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        match fields.get(exclusive) {
            Some(Value::Bool(true)) => {
                read.shift_remove(exclusive);
                if let Some(limit) = read.shift_remove(bound) {
                    read.insert(exclusive.to_owned(), limit);
                }
            }
            Some(limit @ Value::Number(_)) => {
                read.insert(exclusive.to_owned(), limit.clone());
            }
            _ => drop(read.shift_remove(exclusive)), // It bounds nothing.
        }
    }
}

fn nullable(mut read: Map<String, Value>) -> Value {
    if let Some(Value::Array(values)) = read.get_mut("enum")
        && !values.contains(&Value::Null)
    {
        values.push(Value::Null);
    }
    match read.get_mut("type") {
        Some(kind @ Value::String(_)) => {
            *kind = json!([kind.clone(), "null"]);
            Value::Object(read)
        }
        _ => json!({ "anyOf": [read, { "type": "null" }] }), // Whatever it is, or null.
    }
}

fn without_patterns(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("pattern").is_some_and(Value::is_string) {
                fields.shift_remove("pattern");
            }
            fields.shift_remove("patternProperties");
            fields.values_mut().for_each(without_patterns);
        }
        Value::Array(items) => items.iter_mut().for_each(without_patterns),
        _ => {} // No schema.
    }
}
