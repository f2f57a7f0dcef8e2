//! Tags: words to sort tickets and skills by, unique by their name.

use serde_json::json;

use super::draft::Draft;
use super::field::{CREATED_AT, Field, FieldType, ID, TEXT, UPDATED_AT};
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

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    draft.default("tagType", json!("ticket"));
    let is_wrong = draft.given_text("color").is_some_and(|color| {
        let digits = color.strip_prefix('#').unwrap_or_default();
        digits.len() != 6 || !digits.chars().all(|c| c.is_ascii_hexdigit())
    });
    if is_wrong {
        draft.refuse(Problem::new("/color", "invalid_color", "must be a colour such as #3366ff"));
    }
}
