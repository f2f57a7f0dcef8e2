//! Contacts: the people at customers, unique by their mail address.

use serde_json::{Map, Value, json};

use super::account::as_list;
use super::draft::Draft;
use super::field::{
    CREATED_AT, CUSTOM_FIELD_VALUES, CUSTOM_FIELDS, Field, FieldType, ID, LONG_TEXT, METADATA,
    TEXT, UPDATED_AT,
};
use super::{Facts, RecordKind};
use crate::domain::problem::Problem;

use FieldType::{Email, Enum, List, Ref};

const TYPES: FieldType = Enum(&["PRIMARY", "BILLING", "LEGAL", "EXECUTIVE", "OTHER"]);

/// The fields of a contact.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("firstName", TEXT, "The first name").required(),
    Field::new("lastName", TEXT, "The last name"),
    Field::new("email", Email, "The mail address, unique").required(),
    Field::new("phoneNumber", FieldType::Text { max: 50 }, "The telephone number"),
    Field::new("contactType", TYPES, "What the person does there"),
    Field::new("avatarUrl", LONG_TEXT, "The address of a picture"),
    Field::new(
        "accountIds",
        List(&Ref(RecordKind::Account)),
        "The accounts that the person belongs to; accepts domains",
    ),
    CUSTOM_FIELD_VALUES,
    CUSTOM_FIELDS,
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the new contact that `input` describes.
///
/// # Errors
/// Returns every fault of the input.
pub fn create(
    input: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::create(RecordKind::Contact, input, facts);
    apply_rules(&mut draft);
    draft.finish()
}

/// Returns the contact `current` as `patch` changes it.
///
/// # Errors
/// Returns every fault of the patch.
pub fn update(
    current: &Map<String, Value>,
    patch: &Map<String, Value>,
    facts: &Facts<'_>,
) -> Result<Map<String, Value>, Vec<Problem>> {
    let mut draft = Draft::update(RecordKind::Contact, current, patch, facts);
    apply_rules(&mut draft);
    draft.finish()
}

fn apply_rules(draft: &mut Draft<'_>) {
    draft.default("contactType", json!("PRIMARY"));
    draft.merge_custom_fields(as_list);
}
