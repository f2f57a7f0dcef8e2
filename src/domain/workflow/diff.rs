//! Tells how two definitions differ, step by step.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Workflow;
use super::export::to_native;
use crate::domain::problem::pointer_to;

/// What happened to one place of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It was not there before.
    Added,
    /// It is no longer there.
    Removed,
    /// It has another value.
    Changed,
}

/// One difference between two definitions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Where in the new definition, or in the old one for what was removed.
    pub pointer: String,
    /// What happened.
    pub kind: ChangeKind,
    /// The value before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The value after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// Returns the differences of two workflows in their canonical forms.
#[must_use]
pub fn diff(before: &Workflow, after: &Workflow) -> Vec<Change> {
    diff_values(&to_native(before), &to_native(after))
}

/// Returns the differences of two definitions; steps are the same if their ids are, and a new order
/// of the same steps is one change at `/steps`.
#[must_use]
pub fn diff_values(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(before, after, "", &mut changes);
    changes
}

fn compare(before: &Value, after: &Value, at: &str, changes: &mut Vec<Change>) {
    match (before, after) {
        _ if before == after => (),
        (Value::Object(before), Value::Object(after)) => {
            compare_objects(before, after, at, changes)
        }
        (Value::Array(before), Value::Array(after)) if are_steps(before) && are_steps(after) => {
            compare_steps(before, after, at, changes);
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (index, (before, after)) in before.iter().zip(after).enumerate() {
                compare(before, after, &pointer_to(at, &index.to_string()), changes);
            }
        }
        // Lists that grew or shrank, and values of different types, are told whole.
        _ => changes.push(Change::changed(at, before.clone(), after.clone())),
    }
}

fn compare_objects(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    at: &str,
    changes: &mut Vec<Change>,
) {
    for (key, value) in before {
        let at = pointer_to(at, key);
        match after.get(key) {
            Some(later) => compare(value, later, &at, changes),
            None => changes.push(Change::removed(at, value)),
        }
    }
    for (key, value) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
        changes.push(Change::added(pointer_to(at, key), value));
    }
}

/// Only steps have ids in a definition, wherever they stand.
fn are_steps(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|item| item.get("id").is_some())
}

fn compare_steps(before: &[Value], after: &[Value], place: &str, changes: &mut Vec<Change>) {
    for (index, step) in before.iter().enumerate() {
        if find(after, step).is_none() {
            changes.push(Change::removed(format!("{place}/{index}"), step));
        }
    }
    for (index, step) in after.iter().enumerate() {
        let at = format!("{place}/{index}");
        match find(before, step) {
            Some(earlier) => compare(earlier, step, &at, changes),
            None => changes.push(Change::added(at, step)),
        }
    }
    let (old_order, new_order) = (shared_ids(before, after), shared_ids(after, before));
    if old_order != new_order {
        changes.push(Change::changed(place, json!(old_order), json!(new_order)));
    }
}

fn find<'a>(steps: &'a [Value], wanted: &Value) -> Option<&'a Value> {
    steps.iter().find(|step| step.get("id") == wanted.get("id"))
}

fn shared_ids<'a>(steps: &'a [Value], others: &[Value]) -> Vec<&'a Value> {
    steps.iter().filter(|step| find(others, step).is_some()).filter_map(|s| s.get("id")).collect()
}

impl Change {
    fn added(pointer: String, value: &Value) -> Change {
        Change { pointer, kind: ChangeKind::Added, before: None, after: Some(value.clone()) }
    }

    fn removed(pointer: String, value: &Value) -> Change {
        Change { pointer, kind: ChangeKind::Removed, before: Some(value.clone()), after: None }
    }

    fn changed(at: &str, before: Value, after: Value) -> Change {
        let kind = ChangeKind::Changed;
        Change { pointer: at.to_owned(), kind, before: Some(before), after: Some(after) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(before: Value, after: Value) -> Vec<String> {
        let tell = |change: Change| format!("{:?} {}", change.kind, change.pointer);
        diff_values(&before, &after).into_iter().map(tell).collect()
    }

    #[test]
    fn differences_are_told_by_place_and_steps_by_id() {
        let steps = |ids: &[&str]| json!({"steps": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
        for (before, after, expected) in [
            (json!({"a": 1}), json!({"a": 1}), vec![]),
            (json!({"a": 1}), json!({"a": 2, "b": 3}), vec!["Changed /a", "Added /b"]),
            (json!({"a": {"x/y": 1}}), json!({"a": {}}), vec!["Removed /a/x~1y"]),
            (json!({"a": [1, 2]}), json!({"a": [1, 3]}), vec!["Changed /a/1"]),
            (json!({"a": [1, 2]}), json!({"a": [1]}), vec!["Changed /a"]),
            (steps(&["a", "b"]), steps(&["n", "a", "b"]), vec!["Added /steps/0"]),
            (steps(&["a", "b"]), steps(&["b"]), vec!["Removed /steps/0"]),
            (steps(&["a", "b"]), steps(&["b", "a"]), vec!["Changed /steps"]),
            (
                json!({"steps": [{"id": "a", "sleep": "1s"}, {"id": "b", "sleep": "1s"}]}),
                json!({"steps": [{"id": "b", "sleep": "2s"}]}),
                vec!["Removed /steps/0", "Changed /steps/0/sleep"],
            ),
            (
                json!({"steps": [{"id": "a", "forEach": {"steps": [{"id": "b"}]}}]}),
                json!({"steps": [{"id": "a", "forEach": {"steps": [{"id": "c"}, {"id": "b"}]}}]}),
                vec!["Added /steps/0/forEach/steps/0"],
            ),
        ] {
            assert_eq!(told(before, after), expected);
        }
    }
}
