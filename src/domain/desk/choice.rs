//! The statuses, priorities and sentiments of a ticket: their names, ids and parents.

use serde_json::{Map, Value};

use super::field::plain_name;

/// One value among those that a ticket's status, priority or sentiment can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The stable id, made from the name, such as `ST-IN-PROGRESS`.
    pub id: String,
    /// The name in its one spelling.
    pub name: String,
    /// The status that a sub-status stands under; its own name for the others.
    pub parent: String,
}

/// The four statuses that every team has; the first is the default, the last is closed.
pub const PARENT_STATUSES: &[&str] = &["Open", "In progress", "On hold", CLOSED];
/// The status under which tickets are closed.
pub const CLOSED: &str = "Closed";

const SUB_STATUSES: &[(&str, &str)] = &[
    ("New", "Open"),
    ("Escalated", "In progress"),
    ("Pending", "On hold"),
    ("Resolved", CLOSED),
    ("Archived", CLOSED),
];

/// Returns the statuses that a ticket of `team` can have: the four, their usual sub-statuses and
/// the team's own.
#[must_use]
pub fn statuses(team: Option<&Map<String, Value>>) -> Vec<Choice> {
    let own = team.and_then(|team| team.get("statuses")).and_then(Value::as_array);
    let own = own.into_iter().flatten().filter_map(|status| {
        let parent = status.get("parentStatusName").and_then(Value::as_str)?;
        Some((status.get("name").and_then(Value::as_str)?, parent))
    });
    let known = PARENT_STATUSES.iter().map(|name| (*name, *name));
    let all = known.chain(SUB_STATUSES.iter().copied()).chain(own);
    all.map(|(name, parent)| choice("ST", name, parent)).collect()
}

/// Returns whether the platform itself has the status `name`, in its one spelling.
#[must_use]
pub fn is_built_in_status(name: &str) -> bool {
    PARENT_STATUSES.contains(&name) || SUB_STATUSES.iter().any(|(known, _)| *known == name)
}

/// Returns the priorities, lowest first.
#[must_use]
pub fn priorities() -> Vec<Choice> {
    ["low", "medium", "high", "urgent"].map(|name| choice("PR", name, name)).to_vec()
}

/// Returns the sentiments.
#[must_use]
pub fn sentiments() -> Vec<Choice> {
    ["positive", "neutral", "negative"].map(|name| choice("SE", name, name)).to_vec()
}

/// Returns the choice that `text` names by id or by name, without regard to case.
#[must_use]
pub fn find<'a>(choices: &'a [Choice], text: &str) -> Option<&'a Choice> {
    let plain = plain_name(text);
    choices
        .iter()
        .find(|choice| plain_name(&choice.name) == plain || plain_name(&choice.id) == plain)
}

/// Returns the id of the choice `name` among those with `prefix`: `ST` and `On hold` give
/// `ST-ON-HOLD`.
#[must_use]
pub fn id_of(prefix: &str, name: &str) -> String {
    format!("{prefix}-{}", plain_name(name).to_uppercase().replace(' ', "-"))
}

fn choice(prefix: &str, name: &str, parent: &str) -> Choice {
    Choice { id: id_of(prefix, name), name: name.to_owned(), parent: parent.to_owned() }
}
