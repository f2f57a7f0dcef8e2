//! The organization: the tenant itself, as its own workflows see it.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, TEXT, UPDATED_AT};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

const STATUSES: FieldType = FieldType::Enum(&["ACTIVE", "SUSPENDED"]);

/// The fields of an organization.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", TEXT, "Its name").required(),
    Field::new("domain", TEXT, "The domain of its mail addresses"),
    Field::new("subdomain", TEXT, "Its name in commands and headers").initial(),
    Field::new("plan", TEXT, "How it is served").initial(),
    Field::new("status", STATUSES, "Whether it is at work"),
    Field::new("settings", FieldType::Map, "Its settings; an update merges, null removes one"),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the new organization that `input` describes.
///
/// # Errors
/// Returns every fault of the input.
pub fn create(
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::create(RecordKind::Organization, input, facts);
    draft.default("plan", json!("self-hosted"));
    draft.default("status", json!("ACTIVE"));
    draft.finish()
}

/// Returns the organization `current` as `patch` changes it.
///
/// # Errors
/// Returns every fault of the patch.
pub fn update(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    Draft::update(RecordKind::Organization, current, patch, facts).finish()
}
