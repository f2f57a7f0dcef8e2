//! Custom objects: records of a kind that a tenant names itself, with values of its own.

use serde_json::{Value, json};

use super::draft::{Draft, part};
use super::field::{CREATED_AT, Field, FieldType, ID, METADATA, UPDATED_AT};
use super::{RecordKind, custom_field};
use crate::domain::problem::{Problem, pointer_to};

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

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    draft.default("namespace", json!("default"));
    for name in ["objectType", "namespace"] {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        if draft.text(name).is_some_and(|text| !text.chars().all(fits)) {
            let detail = "must be lower-case letters, digits, `-` and `_`, such as deal";
            draft.refuse(Problem::new(format!("/{name}"), "invalid_name", detail));
        }
    }
}

/// Values that nobody defined are free; the others fit their definition.
/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    for definition in (draft.related().all)(RecordKind::CustomField) {
        let only = part(Some(&definition), "objectType");
        let is_meant = custom_field::is_for(&definition, RecordKind::CustomObject, &Value::Null)
            && (only.is_null() || only == *draft.value("objectType"));
        let slug = part(Some(&definition), "slug");
        let (Some(slug), true) = (slug.as_str(), is_meant) else { continue };
        let value = draft.value("values").get(slug).cloned().unwrap_or_default();
        let pointer = pointer_to("/values", slug);
        let is_mandatory = definition.get("mandatoryOnCreation") == Some(&json!(true));
        if !value.is_null() {
            if let Err(problem) = custom_field::check(&definition, &value, &pointer) {
                draft.refuse(problem);
            }
        } else if is_mandatory && draft.current().is_none() {
            let detail = format!("the custom field `{slug}` is required at its creation");
            draft.refuse(Problem::new(pointer, "required", detail));
        }
    }
}
