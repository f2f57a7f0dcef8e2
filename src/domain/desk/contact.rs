//! Contacts: the people at customers, unique by their mail address.

use serde_json::json;

use super::RecordKind;
use super::account::as_list;
use super::draft::Draft;
use super::field::{
    CREATED_AT, CUSTOM_FIELD_VALUES, CUSTOM_FIELDS, Field, FieldType, ID, LONG_TEXT, METADATA,
    TEXT, UPDATED_AT,
};

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

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    draft.default("contactType", json!("PRIMARY"));
    draft.merge_custom_fields(as_list);
}
