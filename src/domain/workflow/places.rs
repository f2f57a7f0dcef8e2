//! Where the parts of a filter stand in a document, and in which order places are met.

use std::collections::HashMap;

use serde_json::Value;

use super::condition::named_path;
use crate::domain::path::Path;
use crate::domain::problem::{Problem, pointer_to};

/// Notes for every path of a filter the first key or value that names it.
pub(super) fn note_places(source: &Value, at: &str, places: &mut HashMap<Path, String>) {
    match source {
        Value::Object(entries) => {
            for (key, value) in entries {
                let at = pointer_to(at, key);
                if let Some(path) = named_path(key).filter(|_| !key.starts_with('~')) {
                    places.entry(path).or_insert_with(|| at.clone());
                }
                note_places(value, &at, places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note_places(item, &pointer_to(at, &index.to_string()), places);
            }
        }
        Value::String(text) if text.contains("{{") => {
            if let Some(path) = named_path(text) {
                places.entry(path).or_insert_with(|| at.to_owned());
            }
        }
        _ => (), // Any other value is compared with, and names nothing.
    }
}

/// Sorts problems as a reader of the document meets them.
pub(super) fn in_document_order(problems: &mut [Problem], raw: &Value) {
    problems.sort_by_cached_key(|problem| {
        let mut value = Some(raw);
        let mut positions = Vec::new();
        for segment in problem.pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let position = match value {
                Some(Value::Object(entries)) => entries.keys().position(|key| *key == name),
                _ => name.parse().ok(), // An index, or a place that does not exist.
            };
            positions.push(position.unwrap_or(usize::MAX));
            value = value.and_then(|value| match value {
                Value::Object(entries) => entries.get(&name),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None, // Nothing lies below a scalar.
            });
        }
        positions
    });
}
