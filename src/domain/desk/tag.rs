//! Tags: words to sort tickets and skills by, unique by their name.

use serde_json::{Map, Value, json};

use super::draft::Draft;
use super::field::{CREATED_AT, Field, FieldType, ID, TEXT, UPDATED_AT};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

/// The fields of a tag.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", FieldType::Text { max: 50 }, "The word, unique").required(),
    Field::new("color", FieldType::Text { max: 7 }, "A colour such as #3366ff"),
    Field::new("tagType", FieldType::Enum(&["ticket", "skills"]), "What it sorts"),
    Field::new("description", TEXT, "When to use it"),
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the new tag that `input` describes.
///
/// # Errors
/// Returns every fault of the input.
pub fn create(
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::create(RecordKind::Tag, input, facts);
    apply_rules(&mut draft);
    draft.finish()
}

/// Returns the tag `current` as `patch` changes it.
///
/// # Errors
/// Returns every fault of the patch.
pub fn update(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::update(RecordKind::Tag, current, patch, facts);
    apply_rules(&mut draft);
    draft.finish()
}

fn apply_rules(draft: &mut Draft<'_>) {
    draft.default("tagType", json!("ticket"));
    let is_wrong = draft.given_text("color").is_some_and(|color| {
        let digits = color.strip_prefix('#').unwrap_or_default();
        digits.len() != 6 || !digits.chars().all(|c| c.is_ascii_hexdigit())
    });
    if is_wrong {
        draft.refuse(Problem::new("/color", "invalid_color", "must be a colour such as #3366ff"));
    }
}
