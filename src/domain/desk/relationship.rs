//! Relationships between accounts: who is whose parent, partner or reseller.

use serde_json::json;

use super::RecordKind;
use super::draft::{Draft, excerpt};
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, TEXT, UPDATED_AT};
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

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
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
}
