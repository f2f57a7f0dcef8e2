//! The events that a change of a record emits: the single place that knows them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::change::{FieldChange, changed_fields};
use super::comment;
use super::draft::{excerpt, part};
use super::field::Kept;

/// An event that a change emits, before it has an id, a time and an actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// The event type, such as `ticket:status:changed`.
    pub kind: String,
    /// The id of what it is about; a comment's event is about what the comment is on.
    pub subject: String,
    /// The type's data.
    pub payload: Value,
    /// What stands beside the payload.
    pub metadata: Map<String, Value>,
}

/// What the events of a change tell beside the record itself.
#[derive(Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// What a comment is on: its ticket, or its account's note, task or activity.
    pub parent: Option<&'a Map<String, Value>>,
    /// The first comment of a ticket that is being created.
    pub first_comment: Option<&'a Map<String, Value>>,
    /// The tenant, as it is named in the metadata of mentions.
    pub organization_id: Option<&'a str>,
}

/// Returns the events that the change from `before` to `after` emits, general ones first; none when
/// nothing but traces of activity changed.
#[must_use]
pub fn events(
    kind: RecordKind,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    match kind {
        RecordKind::Ticket => ticket_events(before, after, around),
        RecordKind::Comment => comment_events(before, after, around),
        RecordKind::Account => ACCOUNT.events(before, after),
        RecordKind::Contact => CONTACT.events(before, after),
        RecordKind::Team => TEAM.events(before, after),
        RecordKind::User => USER.events(before, after),
        RecordKind::AccountNote => NOTE.events(before, after),
        RecordKind::AccountTask => TASK.events(before, after),
        RecordKind::AccountActivity => ACTIVITY.events(before, after),
        RecordKind::Tag => Vec::new(),
    }
}

/// How a kind's events are named and what they are derived from.
pub(super) struct Family {
    kind: RecordKind,
    pub(super) prefix: &'static str,
    word: &'static str,
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
    apart: &["isArchived", "archivedAt"],
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

const TEAM: Family = Family {
    kind: RecordKind::Team,
    prefix: "team",
    word: "team",
    previous: "previousTeam",
    custom_fields: None,
    apart: &[],
    derived: &[("team:members:changed", "memberIds", When::Changed)],
};

const USER: Family = Family {
    kind: RecordKind::User,
    prefix: "user",
    word: "user",
    previous: "previousUser",
    custom_fields: None,
    apart: &[],
    derived: &[("user:permissions:changed", "roles", When::Changed)],
};

const NOTE: Family =
    plain_family(RecordKind::AccountNote, "account-note", "accountNote", "previousAccountNote");
const TASK: Family =
    plain_family(RecordKind::AccountTask, "account-task", "accountTask", "previousAccountTask");
const ACTIVITY: Family = plain_family(
    RecordKind::AccountActivity,
    "account-activity",
    "accountActivity",
    "previousAccountActivity",
);

const fn plain_family(
    kind: RecordKind,
    prefix: &'static str,
    word: &'static str,
    previous: &'static str,
) -> Family {
    Family { kind, prefix, word, previous, custom_fields: None, apart: &[], derived: &[] }
}

type Changed = BTreeMap<String, FieldChange>;

impl Family {
    fn events(
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
            if is_met && changed.contains_key(*field) {
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

    fn emitted(
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

fn ticket_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    let mut events = TICKET.events(before, after);
    match (before, after) {
        (None, Some(_)) => {
            if let Some(comment) = around.first_comment {
                events[0].payload["comment"] = Value::Object(comment.clone());
            }
        }
        (Some(before), Some(after)) => {
            match (is_true(before, "isArchived"), is_true(after, "isArchived")) {
                (false, true) => {
                    events.push(TICKET.emitted("archived", Some(before), Some(after)));
                }
                (true, false) => {
                    events.push(TICKET.emitted("unarchived", Some(before), Some(after)));
                }
                (true, true) | (false, false) => {}
            }
            for event in events.iter_mut().filter(|event| event.kind == "ticket:migrated") {
                let names = &["teamId", "teamName", "teamIdentifier"];
                event.payload["team"] = excerpt(Some(after), names);
                event.payload["previousTeam"] = excerpt(Some(before), names);
            }
        }
        (_, None) => {} // A deletion tells only what was.
    }
    events
}

fn comment_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    let Some(comment) = after.or(before) else { return Vec::new() };
    let entity = comment::entity_kind(part(Some(comment), "entityType").as_str().unwrap_or(""));
    let talk = Talk { entity, before, after, parent: around.parent };
    let mut events = Vec::new();
    match (before, after) {
        (None, _) if entity == RecordKind::Ticket => events.push(talk.emitted("added")),
        (None, _) => events.push(talk.emitted("created")),
        (Some(_), None) => events.push(talk.emitted("deleted")),
        (Some(before), Some(after)) => {
            let changed = changed_fields(RecordKind::Comment, before, after);
            let is_update = |name: &str| {
                name != "metadata/userReactions" && name != "updatedAt" && name != "isEdited"
            };
            if changed.keys().any(|name| is_update(name)) {
                events.push(talk.emitted("updated"));
            }
            if entity == RecordKind::Ticket {
                events.extend(talk.reactions());
            }
        }
    }
    events.extend(mention_events(before, after, around));
    events
}

/// A comment's change and what the comment is on.
struct Talk<'a> {
    entity: RecordKind,
    before: Option<&'a Map<String, Value>>,
    after: Option<&'a Map<String, Value>>,
    parent: Option<&'a Map<String, Value>>,
}

impl Talk<'_> {
    fn emitted(&self, verb: &str) -> Emitted {
        let mut payload = Map::new();
        put(&mut payload, "comment", self.after);
        put(&mut payload, "previousComment", self.before);
        put(&mut payload, self.word(), self.parent);
        self.named(verb, payload)
    }

    fn reactions(&self) -> Vec<Emitted> {
        let (before, after) = (comment::reactions(self.before), comment::reactions(self.after));
        let added = after.iter().filter(|reaction| !before.contains(reaction));
        let removed = before.iter().filter(|reaction| !after.contains(reaction));
        let of = |verb: &'static str| {
            move |reaction: &Value| {
                let mut payload = Map::new();
                put(&mut payload, "comment", self.after);
                payload.insert("reaction".to_owned(), reaction.clone());
                put(&mut payload, self.word(), self.parent);
                self.named(verb, payload)
            }
        };
        added.map(of("reaction:added")).chain(removed.map(of("reaction:removed"))).collect()
    }

    fn named(&self, verb: &str, payload: Map<String, Value>) -> Emitted {
        let subject = part(self.after.or(self.before), "entityId");
        Emitted {
            kind: format!("{}:comment:{verb}", self.entity.name()),
            subject: subject.as_str().unwrap_or_default().to_owned(),
            payload: Value::Object(payload),
            metadata: Map::new(),
        }
    }

    fn word(&self) -> &'static str {
        match self.entity {
            RecordKind::AccountNote => NOTE.word,
            RecordKind::AccountTask => TASK.word,
            RecordKind::AccountActivity => ACTIVITY.word,
            _ => TICKET.word, // What else a comment is on.
        }
    }
}

/// Whom the comment mentioned already has heard of it.
fn mention_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    let Some(after) = after else { return Vec::new() };
    let mut told: Vec<Value> =
        comment::mentions(before).into_iter().map(|user| user["id"].clone()).collect();
    let mut events = Vec::new();
    for user in comment::mentions(Some(after)) {
        if told.contains(&user["id"]) {
            continue;
        }
        told.push(user["id"].clone());
        events.push(mention_event(user, after, around));
    }
    events
}

fn mention_event(
    mut user: Value,
    comment: &Map<String, Value>,
    around: &Surroundings<'_>,
) -> Emitted {
    let field = |name: &str| part(Some(comment), name);
    let entity_type = field("entityType").as_str().unwrap_or("ticket").to_uppercase();
    let mut metadata = json!({
        "mentionedUserId": user["id"],
        "mentionedByUserId": field("authorId"),
        "entityId": field("entityId"),
        "entityType": entity_type.replace('-', "_"),
        "commentId": field("id"),
        "timestamp": field("updatedAt"),
        "organizationId": around.organization_id,
    });
    if !field("teamId").is_null() {
        metadata["teamId"] = field("teamId");
    }
    user["organization"] = json!({ "id": around.organization_id, "name": null });
    let subject = user["id"].as_str().unwrap_or_default().to_owned();
    let Value::Object(metadata) = metadata else { unreachable!("it was built as an object") };
    Emitted {
        kind: "user:mentioned".to_owned(),
        subject,
        payload: json!({ "user": user }),
        metadata,
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

fn put(payload: &mut Map<String, Value>, name: &str, record: Option<&Map<String, Value>>) {
    if let Some(record) = record {
        payload.insert(name.to_owned(), Value::Object(record.clone()));
    }
}

fn id_of(record: Option<&Map<String, Value>>) -> String {
    part(record, "id").as_str().unwrap_or_default().to_owned()
}

fn is_true(record: &Map<String, Value>, name: &str) -> bool {
    record.get(name) == Some(&Value::Bool(true))
}
