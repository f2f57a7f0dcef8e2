//! What a record is found by, what it belongs to, and what belongs to it.

use serde_json::{Map, Value};

use crate::domain::desk::{RecordKind, dedupe_key, is_built_in_status, unique_keys};

/// The field under which keys against repetition are kept.
pub(super) const DEDUPE: &str = "deDuplicationKey";
const IDENTIFIER: &str = "ticketIdentifier";

/// A value that leads to one record of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexKey {
    pub(super) field: &'static str,
    pub(super) value: String,
}

/// Returns what the record is found by beside its id.
pub(super) fn keys(kind: RecordKind, record: Option<&Map<String, Value>>) -> Vec<IndexKey> {
    let Some(record) = record else { return Vec::new() };
    let unique = unique_keys(kind, record).into_iter();
    let mut keys: Vec<IndexKey> =
        unique.map(|key| IndexKey { field: key.field, value: key.value }).collect();
    if let Some(key) = dedupe_key(record) {
        keys.push(IndexKey { field: DEDUPE, value: dedupe_value(&key) });
    }
    if kind == RecordKind::Ticket
        && let Some(identifier) = record.get(IDENTIFIER).and_then(Value::as_str)
    {
        keys.push(IndexKey { field: IDENTIFIER, value: identifier.to_lowercase() });
    }
    keys
}

/// Returns how a key against repetition is kept: unlike names, keys that differ in case differ.
pub(super) fn dedupe_value(key: &str) -> String {
    hex::encode(key)
}

/// Returns the field by which people name records of `kind`.
pub(super) fn natural_field(kind: RecordKind) -> Option<&'static str> {
    match kind {
        RecordKind::Ticket => Some(IDENTIFIER),
        RecordKind::Account => Some("primaryDomain"),
        RecordKind::Contact | RecordKind::User => Some("email"),
        RecordKind::Team => Some("identifier"),
        RecordKind::Tag | RecordKind::SlaPolicy => Some("name"),
        RecordKind::CustomField => Some("slug"),
        RecordKind::TicketStatus => Some("statusId"),
        RecordKind::Comment
        | RecordKind::AccountNote
        | RecordKind::AccountTask
        | RecordKind::AccountActivity
        | RecordKind::Relationship
        | RecordKind::CustomObject
        | RecordKind::Organization => None,
    }
}

/// Returns the ids of the records that the record belongs to.
pub(super) fn parents(kind: RecordKind, record: Option<&Map<String, Value>>) -> Vec<String> {
    let Some(record) = record else { return Vec::new() };
    let fields: &[&str] = match kind {
        RecordKind::Comment => &["entityId", "parentCommentId"],
        RecordKind::Ticket => &["customerContactId", "accountId", "parentTicketId"],
        RecordKind::Contact => &["accountIds"],
        RecordKind::AccountNote | RecordKind::AccountTask | RecordKind::AccountActivity => {
            &["accountId"]
        }
        RecordKind::Relationship => &["accountId", "relatedAccountId"],
        RecordKind::CustomObject => &["objectType"],
        RecordKind::Account
        | RecordKind::Team
        | RecordKind::User
        | RecordKind::Tag
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy
        | RecordKind::Organization => &[],
    };
    let mut parents = Vec::new();
    // The statuses of the platform have all tickets, and never end.
    if kind == RecordKind::Ticket
        && let Some(name) = record.get("statusName").and_then(Value::as_str)
        && !is_built_in_status(name)
    {
        parents.extend(record.get("statusId").and_then(Value::as_str).map(str::to_owned));
    }
    for value in fields.iter().filter_map(|field| record.get(*field)) {
        match value {
            Value::String(id) => parents.push(id.clone()),
            Value::Array(ids) => {
                parents.extend(ids.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            _ => {} // Unset.
        }
    }
    parents
}

/// Returns the kinds of records that cannot stand without their record of `kind`.
pub(super) fn parts_of(kind: RecordKind) -> &'static [RecordKind] {
    match kind {
        RecordKind::Account => &[
            RecordKind::AccountNote,
            RecordKind::AccountTask,
            RecordKind::AccountActivity,
            RecordKind::Relationship,
        ],
        RecordKind::Ticket
        | RecordKind::AccountNote
        | RecordKind::AccountTask
        | RecordKind::AccountActivity => &[RecordKind::Comment],
        RecordKind::Comment
        | RecordKind::Contact
        | RecordKind::Team
        | RecordKind::User
        | RecordKind::Tag
        | RecordKind::Relationship
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy
        | RecordKind::CustomObject
        | RecordKind::Organization => &[],
    }
}

/// Returns the kinds of records that can name a record of `kind` as what they belong to.
pub(super) fn dependents_of(kind: RecordKind) -> &'static [RecordKind] {
    match kind {
        RecordKind::Ticket => &[RecordKind::Comment, RecordKind::Ticket],
        RecordKind::Account => &[
            RecordKind::Contact,
            RecordKind::Ticket,
            RecordKind::AccountNote,
            RecordKind::AccountTask,
            RecordKind::AccountActivity,
            RecordKind::Relationship,
        ],
        RecordKind::Contact => &[RecordKind::Ticket],
        RecordKind::Comment
        | RecordKind::AccountNote
        | RecordKind::AccountTask
        | RecordKind::AccountActivity => &[RecordKind::Comment],
        RecordKind::Team
        | RecordKind::User
        | RecordKind::Tag
        | RecordKind::Relationship
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy
        | RecordKind::CustomObject
        | RecordKind::Organization => &[],
    }
}
