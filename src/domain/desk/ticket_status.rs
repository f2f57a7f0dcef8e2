//! Statuses that a tenant adds below the four: their fields, and which of them tickets begin in.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::choice::{self, Choice, PARENT_STATUSES};
use super::draft::Draft;
use super::field::{
    CREATED_AT, Field, FieldType, ID, LONG_TEXT, METADATA, TEXT, UPDATED_AT, not_allowed,
};
use crate::domain::problem::Problem;

use FieldType::{Bool, Ref};

const NAME: FieldType = FieldType::Text { max: 50 };

/// The fields of a status.
pub const FIELDS: &[Field] = &[
    ID,
    Field::new("statusId", TEXT, "The id in tickets, such as ST-WAITING").system().follows("name"),
    Field::new("name", NAME, "The name in tickets; fixed, other than displayName")
        .required()
        .initial(),
    Field::new("displayName", NAME, "The name for people"),
    Field::new("description", LONG_TEXT, "When it is meant"),
    Field::new("color", TEXT, "A colour"),
    Field::new("parentStatusName", TEXT, "The status among the four that it stands under")
        .initial(),
    Field::new("parentStatusId", TEXT, "The id of that status; accepts its name")
        .initial()
        .follows("parentStatusName"),
    Field::new("isDefault", Bool, "Whether it stands for its parent where none is named"),
    Field::new("teamId", Ref(RecordKind::Team), "The only team that has it").initial(),
    METADATA,
    CREATED_AT,
    UPDATED_AT,
];

/// Returns the input with a name, which may be given as the one for people alone.
pub(super) fn named(input: &Map<String, Value>) -> Cow<'_, Map<String, Value>> {
    let is_named = input.get("name").is_some_and(|name| !name.is_null());
    match input.get("displayName") {
        Some(shown) if !is_named => {
            let mut named = input.clone();
            named.insert("name".to_owned(), shown.clone());
            Cow::Owned(named)
        }
        _ => Cow::Borrowed(input),
    }
}

/// What a new one begins with.
pub(super) fn begin(draft: &mut Draft<'_>) {
    let name = draft.value("name").clone();
    draft.default("displayName", name.clone());
    let known = choice::statuses(None);
    if let Some(name) = name.as_str() {
        draft.set("statusId", json!(choice::id_of("ST", name)));
        if choice::find(&known, name).is_some() {
            let detail = format!("the platform has the status `{name}` itself");
            draft.refuse(Problem::new("/name", "reserved", detail));
        }
    }
    set_parent(draft, &known);
}

/// What a change has to keep.
pub(super) fn change(draft: &mut Draft<'_>) {
    let name = draft.value("name").clone();
    draft.default("displayName", name);
}

/// Returns the statuses that a ticket of `team` can have: the platform's, the team's and those
/// among the tenant's `own` that are for every team or for this one.
#[must_use]
pub fn choices(team: Option<&Map<String, Value>>, own: &[Map<String, Value>]) -> Vec<Choice> {
    let mut choices = choice::statuses(team);
    let text = |status: &Map<String, Value>, name: &str| {
        status.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    for status in own.iter().filter(|status| is_for(status, team)) {
        let parts =
            (text(status, "statusId"), text(status, "name"), text(status, "parentStatusName"));
        if let (Some(id), Some(name), Some(parent)) = parts {
            choices.push(Choice { id, name, parent });
        }
    }
    choices
}

/// Returns the status that a ticket of `team` gets when none is named: the default below `parent`,
/// or `parent` itself.
#[must_use]
pub fn default_below(
    parent: &str,
    team: Option<&Map<String, Value>>,
    own: &[Map<String, Value>],
) -> Option<Choice> {
    let is_default = |status: &&Map<String, Value>| {
        status.get("isDefault") == Some(&json!(true))
            && status.get("parentStatusName") == Some(&json!(parent))
            && is_for(status, team)
    };
    let name = own.iter().find(is_default).and_then(|status| status.get("name")?.as_str());
    let choices = choices(team, own);
    choice::find(&choices, name.unwrap_or(parent)).cloned()
}

fn is_for(status: &Map<String, Value>, team: Option<&Map<String, Value>>) -> bool {
    match status.get("teamId") {
        None | Some(Value::Null) => true,
        only => team.and_then(|team| team.get("id")) == only,
    }
}

fn set_parent(draft: &mut Draft<'_>, known: &[Choice]) {
    let (name, id) = (draft.given_text("parentStatusName"), draft.given_text("parentStatusId"));
    let pointer =
        if name.is_none() && id.is_some() { "parentStatusId" } else { "parentStatusName" };
    let pointer = format!("/{pointer}");
    let Some(text) = name.or(id).map(str::to_owned) else {
        let detail = "a status stands under one of the four";
        let problem = Problem::new(pointer, "required", detail);
        return draft.refuse(problem.with_hint(PARENT_STATUSES.join(", ")));
    };
    let found = choice::find(known, &text).filter(|found| found.name == found.parent);
    match found {
        Some(parent) => {
            draft.set("parentStatusName", json!(parent.name));
            draft.set("parentStatusId", json!(parent.id));
        }
        None => draft.refuse(not_allowed(&text, PARENT_STATUSES.iter().copied(), &pointer)),
    }
}
