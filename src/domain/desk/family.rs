//! How the events of each kind of record are named, and which fields have events of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::change::{FieldChange, changed_fields};
use super::draft::part;
use super::emit::Emitted;
use super::field::Kept;

/// How a kind's events are named and what they are derived from.
pub(super) struct Family {
    kind: RecordKind,
    pub(super) prefix: &'static str,
    pub(super) word: &'static str,
    previous: &'static str,
    custom_fields: Option<&'static str>,
    /// Fields with events of their own, which alone are no update.
    apart: &'static [&'static str],
    pub(super) derived: &'static [(&'static str, &'static str, When)],
}

/// When a changed field emits its event.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// Whatever it became.
    Changed,
    /// It became something, not nothing.
    Set,
    /// It became true.
    True,
}

pub(super) const TICKET: Family = Family {
    kind: RecordKind::Ticket,
    prefix: "ticket",
    word: "ticket",
    previous: "previousTicket",
    custom_fields: Some("ticket:custom_field_value"),
    apart: &["isArchived", "archivedAt", "csat"],
    derived: &[
        ("ticket:status:changed", "statusName", When::Changed),
        ("ticket:priority:changed", "priorityName", When::Changed),
        ("ticket:assigned", "assignedAgentId", When::Set),
        ("ticket:type:changed", "type", When::Changed),
        ("ticket:sentiment:changed", "sentimentName", When::Changed),
        ("ticket:escalated", "isEscalated", When::True),
        ("ticket:tag:updated", "tags", When::Changed),
        ("ticket:migrated", "teamId", When::Changed),
    ],
};

pub(super) const ACCOUNT: Family = Family {
    kind: RecordKind::Account,
    prefix: "account",
    word: "account",
    previous: "previousAccount",
    custom_fields: Some("account-custom_field_value"),
    apart: &[],
    derived: &[
        ("account-status:changed", "status", When::Changed),
        ("account-health:changed", "health", When::Changed),
        ("account-classification:changed", "classification", When::Changed),
        ("account-industry:changed", "industry", When::Changed),
    ],
};

pub(super) const CONTACT: Family = Family {
    kind: RecordKind::Contact,
    prefix: "customer-contact",
    word: "customerContact",
    previous: "previousCustomerContact",
    custom_fields: Some("customer-contact:custom_field_value"),
    apart: &[],
    derived: &[("customer-contact:type:changed", "contactType", When::Changed)],
};

pub(super) const TEAM: Family = Family {
    kind: RecordKind::Team,
    prefix: "team",
    word: "team",
    previous: "previousTeam",
    custom_fields: None,
    apart: &[],
    derived: &[("team:members:changed", "memberIds", When::Changed)],
};

pub(super) const USER: Family = Family {
    kind: RecordKind::User,
    prefix: "user",
    word: "user",
    previous: "previousUser",
    custom_fields: None,
    apart: &[],
    derived: &[
        ("user:permissions:changed", "roles", When::Changed),
        ("user:permissions:changed", "userType", When::Changed),
    ],
};

pub(super) const NOTE: Family =
    plain_family(RecordKind::AccountNote, "account-note", "accountNote", "previousAccountNote");
pub(super) const TASK: Family =
    plain_family(RecordKind::AccountTask, "account-task", "accountTask", "previousAccountTask");
pub(super) const ACTIVITY: Family = plain_family(
    RecordKind::AccountActivity,
    "account-activity",
    "accountActivity",
    "previousAccountActivity",
);

pub(super) const RELATIONSHIP: Family = plain_family(
    RecordKind::Relationship,
    "account-relationship",
    "accountRelationship",
    "previousAccountRelationship",
);
pub(super) const ORGANIZATION: Family =
    plain_family(RecordKind::Organization, "organization", "organization", "previousOrganization");
pub(super) const OBJECT: Family =
    plain_family(RecordKind::CustomObject, "custom-object", "object", "previousObject");

const fn plain_family(
    kind: RecordKind,
    prefix: &'static str,
    word: &'static str,
    previous: &'static str,
) -> Family {
    Family { kind, prefix, word, previous, custom_fields: None, apart: &[], derived: &[] }
}

type Changed = BTreeMap<String, FieldChange>;

/// Returns the general event that a specific one follows from, and the field whose change makes it.
#[must_use]
pub fn derived_from(kind: &str) -> Option<(String, Option<&'static str>)> {
    let families = [&TICKET, &ACCOUNT, &CONTACT, &TEAM, &USER];
    families.into_iter().find_map(|family| {
        let general = format!("{}:updated", family.prefix);
        let derived = family.derived.iter().find(|(derived, ..)| *derived == kind);
        let of_custom_field =
            family.custom_fields.is_some_and(|prefix| kind.starts_with(&format!("{prefix}:")));
        match derived {
            Some((_, field, _)) => Some((general, Some(*field))),
            None => of_custom_field.then_some((general, Some("customFields"))),
        }
    })
}

impl Family {
    pub(super) fn events(
        &self,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Vec<Emitted> {
        match (before, after) {
            (None, None) => Vec::new(),
            (None, Some(after)) => vec![self.emitted("created", None, Some(after))],
            (Some(before), None) => vec![self.emitted("deleted", Some(before), None)],
            (Some(before), Some(after)) => self.update_events(before, after),
        }
    }

    fn update_events(
        &self,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Vec<Emitted> {
        let changed = changed_fields(self.kind, before, after);
        let mut events = Vec::new();
        if changed.keys().any(|name| self.is_update(name)) {
            events.push(self.emitted("updated", Some(before), Some(after)));
        }
        for (kind, field, when) in self.derived {
            let now = after.get(*field).unwrap_or(&Value::Null);
            let is_met = match when {
                When::Changed => true,
                When::Set => !now.is_null(),
                When::True => now == &Value::Bool(true),
            };
            let is_told = events.iter().any(|event: &Emitted| event.kind == *kind);
            if is_met && !is_told && changed.contains_key(*field) {
                events.push(self.named((*kind).to_owned(), Some(before), Some(after)));
            }
        }
        events.extend(self.custom_field_events(&changed, before, after));
        events
    }

    fn custom_field_events(
        &self,
        changed: &Changed,
        before: &Map<String, Value>,
        after: &Map<String, Value>,
    ) -> Vec<Emitted> {
        let Some(prefix) = self.custom_fields else { return Vec::new() };
        let of_type = |wanted: &str| {
            let listed: Vec<Value> = changed
                .iter()
                .filter_map(|(name, change)| {
                    custom_field_change(name.strip_prefix("customFields/")?, change)
                })
                .filter(|change| change["changeType"] == wanted)
                .collect();
            if listed.is_empty() {
                return None;
            }
            let kind = format!("{prefix}:{wanted}");
            let mut event = self.named(kind, Some(before), Some(after));
            event.payload["changedCustomFields"] = Value::Array(listed);
            Some(event)
        };
        ["added", "removed", "changed"].into_iter().filter_map(of_type).collect()
    }

    fn is_update(&self, name: &str) -> bool {
        let top = name.split_once('/').map_or(name, |(top, _)| top);
        let known = self.kind.fields().iter().find(|field| field.name == top);
        let is_trace = known.is_some_and(|field| field.kept == Kept::Volatile);
        !is_trace && !self.apart.contains(&name)
    }

    pub(super) fn emitted(
        &self,
        verb: &str,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Emitted {
        self.named(format!("{}:{verb}", self.prefix), before, after)
    }

    fn named(
        &self,
        kind: String,
        before: Option<&Map<String, Value>>,
        after: Option<&Map<String, Value>>,
    ) -> Emitted {
        let mut payload = Map::new();
        put(&mut payload, self.word, after);
        put(&mut payload, self.previous, before);
        let subject = id_of(after.or(before));
        Emitted { kind, subject, payload: Value::Object(payload), metadata: Map::new() }
    }
}

fn custom_field_change(name: &str, change: &FieldChange) -> Option<Value> {
    let change_type = match (texts(change.before.as_ref()), texts(change.after.as_ref())) {
        (None, None) => return None,
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "changed",
    };
    let mut row = Map::new();
    row.insert("fieldUid".to_owned(), json!(name));
    for (key, value) in [("previousValues", &change.before), ("newValues", &change.after)] {
        if let Some(values) = texts(value.as_ref()) {
            row.insert(key.to_owned(), json!(values));
        }
    }
    row.insert("changeType".to_owned(), json!(change_type));
    Some(Value::Object(row))
}

fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match value {
        None | Some(Value::Null) => None,
        Some(Value::Array(values)) => Some(values.iter().map(text).collect()),
        Some(value) => Some(vec![text(value)]),
    }
}

/// Adds a record to a payload, if there is one.
pub(super) fn put(
    payload: &mut Map<String, Value>,
    name: &str,
    record: Option<&Map<String, Value>>,
) {
    if let Some(record) = record {
        payload.insert(name.to_owned(), Value::Object(record.clone()));
    }
}

fn id_of(record: Option<&Map<String, Value>>) -> String {
    part(record, "id").as_str().unwrap_or_default().to_owned()
}
