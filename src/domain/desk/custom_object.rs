//! Custom objects: records of a kind that a tenant names itself, with values of its own.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, UPDATED_AT};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

const NAME: FieldType = FieldType::Text { max: 63 };

/// The fields of a custom object.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("objectType", NAME, "What kind of object it is, such as deal").required().initial(),
    Field::new("namespace", NAME, "Stands before the kind in its events: the tenant's slug")
        .initial(),
    Field::new("values", FieldType::Map, "Its values; an update merges, null removes one"),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the new object that `input` describes.
///
/// # Errors
/// Returns every fault of the input.
pub fn create(
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::create(RecordKind::CustomObject, input, facts);
    draft.default("namespace", json!("default"));
    for name in ["objectType", "namespace"] {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if draft.text(name).is_some_and(|text| !text.chars().all(fits)) {
            let detail = "must be lower-case letters, digits, `-` and `_`, such as deal";
            draft.refuse(Problem::new(format!("/{name}"), "invalid_name", detail));
        }
    }
    draft.finish()
}

/// Returns the object `current` as `patch` changes it.
///
/// # Errors
/// Returns every fault of the patch.
pub fn update(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    Draft::update(RecordKind::CustomObject, current, patch, facts).finish()
}
