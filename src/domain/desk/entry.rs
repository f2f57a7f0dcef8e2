//! Notes, tasks and activities of an account: what was learnt, is to be done, or took place.

use serde_json::json;

use super::RecordKind;
use super::draft::{Draft, excerpt};
use super::field::{CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT};

use FieldType::{Any, Enum, List, Number, Ref, Timestamp};

const ACCOUNT_ID: Field =
    Field::new("accountId", Ref(RecordKind::Account), "The account; accepts its domain")
        .required()
        .initial();
const ACCOUNT: Field =
    Field::new("account", Any, "The account: id, name and domain").system().follows("accountId");
const AUTHOR_ID: Field = Field::new("authorId", Ref(RecordKind::User), "Who wrote it").initial();
const ATTACHMENTS: Field = Field::new("attachmentUrls", List(&LONG_TEXT), "Attached files");

const NOTE_VISIBILITIES: FieldType = Enum(&["PUBLIC", "PRIVATE", "TEAM"]);
const TASK_TYPES: FieldType = Enum(&["FOLLOW_UP", "REVIEW", "APPROVAL", "CUSTOM"]);
const TASK_STATUSES: FieldType = Enum(&["PENDING", "IN_PROGRESS", "COMPLETED", "CANCELLED"]);
const TASK_PRIORITIES: FieldType = Enum(&["LOW", "MEDIUM", "HIGH"]);
const ACTIVITY_TYPES: FieldType = Enum(&["CALL", "EMAIL", "MEETING", "SITE_VISIT"]);
const ACTIVITY_STATUSES: FieldType = Enum(&["PENDING", "COMPLETED", "CANCELLED"]);

/// The fields of an account's note.
pub const NOTE_FIELDS: &[Field] = &[
    ID,
    ACCOUNT_ID,
    ACCOUNT,
    Field::new("content", LONG_TEXT, "What was learnt").required(),
    Field::new("type", TEXT, "The kind of note"),
    Field::new("visibility", NOTE_VISIBILITIES, "Who sees it"),
    AUTHOR_ID,
    ATTACHMENTS,
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// The fields of an account's task.
pub const TASK_FIELDS: &[Field] = &[
    ID,
    ACCOUNT_ID,
    ACCOUNT,
    Field::new("title", TEXT, "What is to be done").required(),
    Field::new("description", LONG_TEXT, "The task in full"),
    Field::new("assigneeId", Ref(RecordKind::User), "Who does it; accepts a mail address")
        .required(),
    Field::new("assignee", Any, "Who does it: id, email and name").system().follows("assigneeId"),
    Field::new("activityId", Ref(RecordKind::AccountActivity), "The activity that it came from"),
    Field::new("type", TASK_TYPES, "The kind of task"),
    Field::new("status", TASK_STATUSES, "How far it is"),
    Field::new("priority", TASK_PRIORITIES, "How much it matters"),
    Field::new("dueDate", Timestamp, "When it should be done"),
    AUTHOR_ID,
    ATTACHMENTS,
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// The fields of an account's activity.
pub const ACTIVITY_FIELDS: &[Field] = &[
    ID,
    ACCOUNT_ID,
    ACCOUNT,
    Field::new("activityTimestamp", Timestamp, "When it takes place").required(),
    Field::new("duration", Number, "How long it takes, in minutes").required(),
    Field::new("location", TEXT, "Where it takes place").required(),
    Field::new("type", ACTIVITY_TYPES, "The kind of activity"),
    Field::new("status", ACTIVITY_STATUSES, "How far it is"),
    Field::new("participants", List(&TEXT), "Who takes part"),
    AUTHOR_ID,
    ATTACHMENTS,
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// What holds of every note, task and activity.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    let defaults: &[(&str, &str)] = match draft.kind() {
        RecordKind::AccountTask => {
            &[("type", "FOLLOW_UP"), ("status", "PENDING"), ("priority", "LOW")]
        }
        RecordKind::AccountActivity => &[("type", "CALL"), ("status", "PENDING")],
        _ => &[("visibility", "PUBLIC")], // Notes; no other kind comes here.
    };
    for (name, value) in defaults {
        draft.default(name, json!(value));
    }
    if draft.given("accountId").is_some() {
        let account = excerpt(draft.referenced("accountId"), &["id", "name", "primaryDomain"]);
        draft.set("account", account);
    }
    if draft.given("assigneeId").is_some() {
        let assignee = excerpt(draft.referenced("assigneeId"), &["id", "email", "name"]);
        draft.set("assignee", assignee);
    }
}
