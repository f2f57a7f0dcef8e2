//! Relationships between accounts: who is whose parent, partner or reseller.

use serde_json::{Map, Value, json};

use super::draft::{Draft, excerpt};
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, TEXT, UPDATED_AT};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

use FieldType::{Any, Ref};

/// The fields of a relationship.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("accountId", Ref(RecordKind::Account), "The one account; accepts its domain")
        .required()
        .initial(),
    Field::new("account", Any, "The one account: id, name and domain")
        .system()
        .follows("accountId"),
    Field::new("relatedAccountId", Ref(RecordKind::Account), "The other; accepts its domain")
        .required()
        .initial(),
    Field::new("relatedAccount", Any, "The other account: id, name and domain")
        .system()
        .follows("relatedAccountId"),
    Field::new("type", TEXT, "What the other is to the one, such as PARTNER"),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the new relationship that `input` describes.
///
/// # Errors
/// Returns every fault of the input, and that an account cannot be related to itself.
pub fn create(
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::create(RecordKind::Relationship, input, facts);
    draft.default("type", json!("RELATED"));
    for (id, shown) in [("accountId", "account"), ("relatedAccountId", "relatedAccount")] {
        let account = excerpt(draft.referenced(id), &["id", "name", "primaryDomain"]);
        draft.set(shown, account);
    }
    if draft.text("accountId").is_some()
        && draft.value("accountId") == draft.value("relatedAccountId")
    {
        let detail = "an account is not related to itself";
        draft.refuse(Problem::new("/relatedAccountId", "contradiction", detail));
    }
    draft.finish()
}

/// Returns the relationship `current` as `patch` changes it.
///
/// # Errors
/// Returns every fault of the patch.
pub fn update(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    Draft::update(RecordKind::Relationship, current, patch, facts).finish()
}
