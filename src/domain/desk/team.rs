//! Teams: groups of users with tickets of their own, unique by their identifier.

use serde_json::{Value, json};

use super::RecordKind;
use super::choice::{self, PARENT_STATUSES, id_of};
use super::draft::{Draft, excerpt};
use super::field::{
    CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT, not_allowed,
};
use crate::domain::problem::Problem;

use FieldType::{Any, Bool, Enum, List, Map as Object, Ref, Timestamp};

const IDENTIFIER: FieldType = FieldType::Text { max: 10 };
const ROUTING: FieldType = Enum(&["ROUND_ROBIN", "LEAST_BUSY"]);

/// The fields of a team.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("name", TEXT, "The team's name").required(),
    Field::new("identifier", IDENTIFIER, "The short name in ticket numbers, unique: `WED`"),
    Field::new("description", LONG_TEXT, "What the team does"),
    Field::new("icon", TEXT, "An icon"),
    Field::new("color", TEXT, "A colour"),
    Field::new("teamOwnerId", Ref(RecordKind::User), "Who leads it; accepts a mail address"),
    Field::new("teamOwner", Any, "Who leads it: id, email and name")
        .system()
        .follows("teamOwnerId"),
    Field::new("memberIds", List(&Ref(RecordKind::User)), "Its members; accepts mail addresses"),
    Field::new("parentTeamId", Ref(RecordKind::Team), "The team that it is part of"),
    Field::new("isActive", Bool, "Whether it takes tickets"),
    Field::new("isPrivate", Bool, "Whether only members see it"),
    Field::new("isDefaultTeam", Bool, "Whether tickets without a team go here"),
    Field::new(
        "statuses",
        List(&Any),
        "Its own ticket statuses, each with a name and a parentStatusName",
    ),
    Field::new("ticketTypes", List(&TEXT), "The types of its tickets"),
    Field::new("ticketSources", List(&TEXT), "Where its tickets come from"),
    Field::new("timezone", TEXT, "Its time zone, such as Europe/Berlin"),
    Field::new("holidays", List(&TEXT), "Days on which it does not work"),
    Field::new("userRoutingStrategy", ROUTING, "How tickets find an agent"),
    Field::new("dailyConfig", Object, "Its hours, by the day of the week"),
    METADATA,
    Field::new("archivedAt", Timestamp, "When it was archived").system(),
    CREATED_AT,
    UPDATED_AT,
];

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    draft.default("isActive", json!(true));
    let name = draft.text("name").unwrap_or_default().to_owned();
    if draft.given("identifier").is_none() {
        let identifier = free_identifier(&name, draft);
        draft.set("identifier", json!(identifier));
    }
}

/// What holds of every one.
pub(super) fn apply_rules(draft: &mut Draft<'_>) {
    if let Some(given) = draft.given("identifier").cloned() {
        let text = given.as_str().unwrap_or_default().trim().to_uppercase();
        let is_word = !text.is_empty() && text.chars().all(char::is_alphanumeric);
        if is_word {
            draft.set("identifier", json!(text));
        } else {
            let detail = "must be letters and digits, such as `WED`";
            draft.refuse(Problem::new("/identifier", "invalid_identifier", detail));
        }
    }
    if draft.given("teamOwnerId").is_some() {
        let owner = excerpt(draft.referenced("teamOwnerId"), &["id", "email", "name"]);
        draft.set("teamOwner", owner);
    }
    if let Some(Value::Array(statuses)) = draft.given("statuses").cloned() {
        let read: Vec<Value> = statuses
            .iter()
            .enumerate()
            .filter_map(|(index, status)| {
                read_status(status, index).map_err(|problem| draft.refuse(problem)).ok()
            })
            .collect();
        draft.set("statuses", Value::Array(read));
    }
}

fn read_status(status: &Value, index: usize) -> Result<Value, Problem> {
    let text = |name: &str| status.get(name).and_then(Value::as_str);
    let named = text("name").or(text("displayName")).filter(|name| !name.trim().is_empty());
    let Some(name) = named else {
        let pointer = format!("/statuses/{index}/name");
        return Err(Problem::new(pointer, "required", "a status needs a name"));
    };
    let pointer = format!("/statuses/{index}/parentStatusName");
    let parent = text("parentStatusName").or(text("parentStatusId")).unwrap_or_default();
    let statuses = choice::statuses(None);
    let found = choice::find(&statuses, parent).filter(|found| found.name == found.parent);
    let Some(parent) = found else {
        return Err(not_allowed(parent, PARENT_STATUSES.iter().copied(), &pointer));
    };
    Ok(json!({ "id": id_of("ST", name), "name": name, "parentStatusName": parent.name }))
}

fn free_identifier(name: &str, draft: &Draft<'_>) -> String {
    let letters: String = name.chars().filter(|c| c.is_alphanumeric()).take(3).collect();
    let base = if letters.is_empty() { "TEAM".to_owned() } else { letters.to_uppercase() };
    let is_free = |text: &String| (draft.related().get)(RecordKind::Team, text).is_none();
    let numbered = (2u32..).map(|number| format!("{base}{number}"));
    std::iter::once(base.clone())
        .chain(numbered)
        .find(is_free)
        .expect("the numbers do not end before the teams do")
}
