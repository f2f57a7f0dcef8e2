//! The organization: the tenant itself, as its own workflows see it.

use serde_json::json;

use super::draft::Draft;
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, TEXT, UPDATED_AT};

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

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    draft.default("plan", json!("self-hosted"));
    draft.default("status", json!("ACTIVE"));
}
