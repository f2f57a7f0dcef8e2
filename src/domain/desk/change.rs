//! What a change did to a record, field by field, and how it is undone without losing later work.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::RecordKind;
use super::field::{FieldType, Kept};

pub use super::emit::{Emitted, Surroundings, events};

/// What a change did to one record; enough to undo it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The kind of the record.
    pub kind: RecordKind,
    /// The id of the record.
    pub id: String,
    /// What was done.
    #[serde(flatten)]
    pub extent: Extent,
}

/// How much of a record a change touched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum Extent {
    /// It was made.
    Created {
        /// As it was made.
        record: Map<String, Value>,
    },
    /// Some fields changed.
    Updated {
        /// By the field's name; a key inside a free object is `metadata/key`.
        fields: BTreeMap<String, FieldChange>,
    },
    /// It was deleted.
    Deleted {
        /// As it was before.
        record: Map<String, Value>,
    },
}

/// One field's value before and after a change; `None` where it was absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// The value before.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub before: Option<Value>,
    /// The value after.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub after: Option<Value>,
}

/// What undoing a change makes of the record.
#[derive(Clone, Debug, PartialEq)]
pub enum Restored {
    /// It is to be written so.
    Write(Map<String, Value>),
    /// It is to be removed.
    Remove,
    /// It is as it was before the change already.
    Unchanged,
}

/// Why a change cannot be undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "conflict", rename_all = "camelCase")]
pub enum Conflict {
    /// The record was deleted since.
    Gone {
        /// The record's kind.
        kind: RecordKind,
        /// The record's id.
        id: String,
    },
    /// The deleted record exists again, and is another.
    Exists {
        /// The record's kind.
        kind: RecordKind,
        /// The record's id.
        id: String,
    },
    /// Fields that the change had set were set again since.
    Changed {
        /// The record's kind.
        kind: RecordKind,
        /// The record's id.
        id: String,
        /// The fields, at least one.
        fields: Vec<FieldConflict>,
    },
}

/// A field that was set again after the change that is to be undone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldConflict {
    /// The field.
    pub field: String,
    /// Its value before the change.
    pub before: Value,
    /// Its value after the change.
    pub after: Value,
    /// Its value now.
    pub current: Value,
}

impl fmt::Display for Conflict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Conflict::Gone { kind, id } => {
                write!(out, "the {} `{id}` was deleted since", kind.name())
            }
            Conflict::Exists { kind, id } => {
                write!(out, "another {} `{id}` exists now", kind.name())
            }
            Conflict::Changed { kind, id, fields } => {
                write!(out, "the {} `{id}` was changed since:", kind.name())?;
                fields.iter().try_for_each(|field| {
                    let FieldConflict { field, before, after, current } = field;
                    write!(out, " `{field}` was {before}, became {after}, is now {current};")
                })
            }
        }
    }
}

impl std::error::Error for Conflict {}

impl Change {
    /// Returns whether the change did nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.extent, Extent::Updated { fields } if fields.is_empty())
    }
}

/// Returns what leads from `before` to `after`; with neither it is an empty update of no record.
#[must_use]
pub fn difference(
    kind: RecordKind,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Change {
    let id = after.or(before).and_then(|record| record.get("id")).and_then(Value::as_str);
    let extent = match (before, after) {
        (None, Some(after)) => Extent::Created { record: after.clone() },
        (Some(before), None) => Extent::Deleted { record: before.clone() },
        (Some(before), Some(after)) => {
            Extent::Updated { fields: changed_fields(kind, before, after) }
        }
        (None, None) => Extent::Updated { fields: BTreeMap::new() },
    };
    Change { kind, id: id.unwrap_or_default().to_owned(), extent }
}

/// Returns what the record `current` is once `change` is undone: what the change set gets its value
/// back, everything else stays. Lists lose and regain single items, so later additions stay too.
///
/// # Errors
/// Returns the fields that were set again since, or that the record is gone or exists again.
pub fn undo(current: Option<&Map<String, Value>>, change: &Change) -> Result<Restored, Conflict> {
    let (kind, id) = (change.kind, change.id.clone());
    match (&change.extent, current) {
        (Extent::Created { .. }, None) => Ok(Restored::Unchanged),
        (Extent::Created { record }, Some(current)) => {
            let fields = later_changes(kind, record, current);
            if fields.is_empty() {
                return Ok(Restored::Remove);
            }
            Err(Conflict::Changed { kind, id, fields })
        }
        (Extent::Deleted { record }, None) => Ok(Restored::Write(record.clone())),
        (Extent::Deleted { record }, Some(current)) if record == current => Ok(Restored::Unchanged),
        (Extent::Deleted { .. }, Some(_)) => Err(Conflict::Exists { kind, id }),
        (Extent::Updated { fields }, _) if fields.is_empty() => Ok(Restored::Unchanged),
        (Extent::Updated { .. }, None) => Err(Conflict::Gone { kind, id }),
        (Extent::Updated { fields }, Some(current)) => undo_fields(change, fields, current),
    }
}

/// Returns whether two records differ in nothing but traces of activity.
#[must_use]
pub fn is_same(kind: RecordKind, before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    changed_fields(kind, before, after).keys().all(|name| kept(kind, name) == Kept::Volatile)
}

/// Returns the fields that differ, by name; free objects by key.
pub(super) fn changed_fields(
    kind: RecordKind,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> BTreeMap<String, FieldChange> {
    let mut changed = BTreeMap::new();
    for name in names(before, after) {
        match (before.get(name), after.get(name)) {
            (before, after) if before == after => {}
            (Some(Value::Object(before)), Some(Value::Object(after))) if is_free(kind, name) => {
                for key in names(before, after) {
                    let change = FieldChange {
                        before: before.get(key).cloned(),
                        after: after.get(key).cloned(),
                    };
                    if change.before != change.after {
                        changed.insert(format!("{name}/{key}"), change);
                    }
                }
            }
            (before, after) => {
                let change = FieldChange { before: before.cloned(), after: after.cloned() };
                changed.insert(name.clone(), change);
            }
        }
    }
    changed
}

/// What came of one field when a change was undone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Restored,
    Merged,
    Kept,
}

fn undo_fields(
    change: &Change,
    fields: &BTreeMap<String, FieldChange>,
    current: &Map<String, Value>,
) -> Result<Restored, Conflict> {
    let kind = change.kind;
    let mut record = current.clone();
    let mut outcomes: BTreeMap<&str, Outcome> = BTreeMap::new();
    let mut conflicts = Vec::new();
    let is_primary = |name: &str| !matches!(kept(kind, name), Kept::Follows(_) | Kept::Volatile);
    for (name, field) in fields.iter().filter(|(name, _)| is_primary(name)) {
        match undo_field(kind, name, field, &mut record) {
            Ok(outcome) => drop(outcomes.insert(name, outcome)),
            Err(conflict) => conflicts.push(*conflict),
        }
    }
    if !conflicts.is_empty() {
        return Err(Conflict::Changed { kind, id: change.id.clone(), fields: conflicts });
    }
    for (name, field) in fields.iter().filter(|(name, _)| !is_primary(name)) {
        let source = match kept(kind, name) {
            Kept::Follows(source) => outcomes.get(source).copied(),
            Kept::Primary | Kept::Volatile | Kept::No => None,
        };
        match source {
            Some(Outcome::Restored) => put(&mut record, name, field.before.clone()),
            Some(Outcome::Kept) => {}
            // Nobody's choice, so what cannot be put back stays as it is.
            Some(Outcome::Merged) | None => drop(undo_field(kind, name, field, &mut record)),
        }
    }
    if record == *current { Ok(Restored::Unchanged) } else { Ok(Restored::Write(record)) }
}

fn undo_field(
    kind: RecordKind,
    name: &str,
    field: &FieldChange,
    record: &mut Map<String, Value>,
) -> Result<Outcome, Box<FieldConflict>> {
    let current = value_at(record, name).cloned();
    if current == field.after {
        put(record, name, field.before.clone());
        return Ok(Outcome::Restored);
    }
    if current == field.before {
        return Ok(Outcome::Kept);
    }
    if let Some(merged) = merged_list(kind, name, field, current.as_ref()) {
        put(record, name, Some(merged));
        return Ok(Outcome::Merged);
    }
    Err(Box::new(FieldConflict {
        field: name.to_owned(),
        before: field.before.clone().unwrap_or_default(),
        after: field.after.clone().unwrap_or_default(),
        current: current.unwrap_or_default(),
    }))
}

/// Takes out of the list what the change had put in, and puts in what it had taken out.
fn merged_list(
    kind: RecordKind,
    name: &str,
    field: &FieldChange,
    current: Option<&Value>,
) -> Option<Value> {
    let is_list = name.contains('/')
        || kind
            .fields()
            .iter()
            .any(|known| known.name == name && matches!(known.kind, FieldType::List(_)));
    let items = |value: Option<&Value>| match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(value) => value.as_array().cloned(),
    };
    let (before, after, current) =
        (items(field.before.as_ref())?, items(field.after.as_ref())?, current?.as_array()?);
    let is_added = |item: &Value| after.contains(item) && !before.contains(item);
    let mut merged: Vec<Value> = current.iter().filter(|item| !is_added(item)).cloned().collect();
    for item in before.iter().filter(|item| !after.contains(item)) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    is_list.then_some(Value::Array(merged))
}

fn later_changes(
    kind: RecordKind,
    record: &Map<String, Value>,
    current: &Map<String, Value>,
) -> Vec<FieldConflict> {
    let changed = changed_fields(kind, record, current).into_iter();
    changed
        .filter(|(name, _)| matches!(kept(kind, name), Kept::Primary | Kept::No))
        .map(|(field, change)| FieldConflict {
            field,
            before: Value::Null,
            after: change.before.unwrap_or_default(),
            current: change.after.unwrap_or_default(),
        })
        .collect()
}

fn kept(kind: RecordKind, name: &str) -> Kept {
    let name = name.split_once('/').map_or(name, |(name, _)| name);
    let known = kind.fields().iter().find(|field| field.name == name);
    known.map_or(Kept::Primary, |field| field.kept)
}

fn is_free(kind: RecordKind, name: &str) -> bool {
    kind.fields().iter().any(|field| field.name == name && matches!(field.kind, FieldType::Map))
}

fn names<'a>(
    before: &'a Map<String, Value>,
    after: &'a Map<String, Value>,
) -> impl Iterator<Item = &'a String> {
    before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)))
}

fn value_at<'a>(record: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    match name.split_once('/') {
        Some((name, key)) => record.get(name)?.get(key),
        None => record.get(name),
    }
}

fn put(record: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    if let Some((name, key)) = name.split_once('/') {
        let free = record.entry(name).or_insert_with(|| Value::Object(Map::new()));
        if let Some(free) = free.as_object_mut() {
            put(free, key, value);
        }
        return;
    }
    match value {
        Some(value) => drop(record.insert(name.to_owned(), value)),
        None => drop(record.shift_remove(name)),
    }
}

/// Tells a null that was written from a field that was not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}
