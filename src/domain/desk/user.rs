//! Users: the people and bots who work here, unique by their mail address.

use serde_json::{Value, json};

use super::RecordKind;
use super::draft::{Draft, contradiction, excerpt};
use super::field::{CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT};

use FieldType::{Any, Bool, Email, Enum, List, Map as Object, Ref, Timestamp};

const TYPES: FieldType =
    Enum(&["AGENT", "ORG_ADMIN", "ORG_USER", "CUSTOMER", "INTERNAL", "EXTERNAL", "BOT"]);
const STATUSES: FieldType = Enum(&["ACTIVE", "INACTIVE"]);

/// The fields of a user.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", TEXT, "The full name").required(),
    Field::new("email", Email, "The mail address, unique").required(),
    Field::new("userType", TYPES, "What kind of user it is"),
    Field::new("roles", List(&TEXT), "What the user may do"),
    Field::new("status", STATUSES, "Whether the user works here now"),
    Field::new("isActive", Bool, "Whether the status is ACTIVE").follows("status"),
    Field::new("teamIds", List(&Ref(RecordKind::Team)), "The user's teams; accepts identifiers"),
    Field::new("teams", List(&Any), "The user's teams: id and name").system().follows("teamIds"),
    Field::new("avatarUrl", LONG_TEXT, "The address of a picture"),
    Field::new("timezone", TEXT, "The user's time zone, such as Europe/Berlin"),
    Field::new("skills", List(&TEXT), "What the user is good at"),
    Field::new("workingHours", Object, "The user's hours, by the day of the week"),
    METADATA,
    Field::new("lastLoginAt", Timestamp, "When the user last came in").system().volatile(),
    CREATED_AT,
    UPDATED_AT,
];

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    draft.default("userType", json!("AGENT"));
    let by_flag = draft.given("isActive").and_then(Value::as_bool);
    let by_flag = by_flag.map(|is_active| if is_active { "ACTIVE" } else { "INACTIVE" });
    match (by_flag, draft.given_text("status")) {
        (Some(flag), Some(status)) if flag != status => {
            draft.refuse(contradiction("/isActive", &["status", "isActive"]));
        }
        (Some(flag), _) => draft.set("status", json!(flag)),
        (None, _) => draft.default("status", json!("ACTIVE")),
    }
    let is_active = draft.text("status") == Some("ACTIVE");
    draft.set("isActive", json!(is_active));
    if draft.given("teamIds").is_some() {
        set_teams(draft);
    }
}

fn set_teams(draft: &mut Draft<'_>) {
    let ids = draft.value("teamIds").as_array().cloned().unwrap_or_default();
    let related = draft.related();
    let teams = ids.iter().filter_map(Value::as_str).map(|id| {
        let team = (related.get)(RecordKind::Team, id);
        excerpt(team.as_ref(), &["id", "name"])
    });
    let teams: Vec<Value> = teams.collect();
    draft.set("teams", Value::Array(teams));
}
