//! The registry of built-in event types: their names, schemas, examples and aliases.

mod compatibility;
mod pattern;
mod sample;
mod table;

use std::borrow::Cow;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::desk::{self, RecordKind};

pub use compatibility::incompatibilities;
pub use pattern::Pattern;

const UID_LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const UID_LEN: usize = 29;

static ALL: LazyLock<Vec<EventType>> = LazyLock::new(table::rows);

/// A type of event that is known without being registered.
#[derive(Clone, Debug)]
pub struct EventType {
    /// The canonical type, such as `ticket:created`; a part `*` stands for any text.
    pub kind: &'static str,
    /// The name for a person.
    pub name: &'static str,
    /// When it happens.
    pub description: &'static str,
    /// Who makes it: `platform`, `slack`, `email`, `form` or `schedule`.
    pub source: &'static str,
    /// The heading that it is listed under.
    pub group: &'static str,
    /// Other types that mean the same.
    pub aliases: &'static [&'static str],
    parts: Vec<Part>,
}

impl EventType {
    /// Returns the stable uid of the registration.
    #[must_use]
    pub fn uid(&self) -> String {
        uid(self.kind)
    }

    /// Returns where its events come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self.source {
            "platform" => Origin::System,
            "schedule" => Origin::Timer,
            _ => Origin::Integration, // Slack, mail, forms and other systems.
        }
    }

    /// Returns the JSON Schema (2020-12) of the payload; what it does not name is allowed.
    #[must_use]
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> =
            self.parts.iter().map(|part| (part.name.to_owned(), part.schema())).collect();
        let required: Vec<&str> = self
            .parts
            .iter()
            .filter(|part| part.need == desk::Need::Required)
            .map(|part| part.name)
            .collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": self.name,
            "description": self.description,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": true,
        })
    }

    /// Returns a payload as it could really be.
    #[must_use]
    pub fn example(&self) -> Value {
        self.parts.iter().map(|part| (part.name.to_owned(), part.example())).collect()
    }

    /// Returns whether `kind`, in its canonical spelling, is of this type.
    #[must_use]
    pub fn covers(&self, kind: &str) -> bool {
        if !self.kind.contains('*') {
            return self.kind == kind;
        }
        let (own, given) = (self.kind.split(':'), kind.split(':'));
        own.clone().count() == given.clone().count()
            && own.zip(given).all(|(own, given)| own == given || own == "*" && !given.is_empty())
    }
}

/// Where events of a type come from, in the broad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The platform's own records.
    System,
    /// A connected system.
    Integration,
    /// A clock.
    Timer,
    /// What a tenant registered itself.
    Custom,
}

impl Origin {
    /// Every origin, by name.
    pub const ALL: [(Origin, &'static str); 4] = [
        (Origin::System, "system"),
        (Origin::Integration, "integration"),
        (Origin::Timer, "timer"),
        (Origin::Custom, "custom"),
    ];
}

/// One top-level value of a payload.
#[derive(Clone, Debug)]
struct Part {
    name: &'static str,
    shape: Shape,
    need: desk::Need,
}

/// What a top-level value of a payload looks like.
#[derive(Clone, Debug)]
enum Shape {
    /// A record as it is now.
    Record(RecordKind),
    /// A record as it was before.
    Previous(RecordKind),
    /// Something like this value: an object's keys are described, and more are allowed.
    Like(Value),
    /// An object such as this one, whose keys are the sender's own.
    Free(Value),
}

impl Part {
    fn schema(&self) -> Value {
        match &self.shape {
            Shape::Record(kind) | Shape::Previous(kind) => {
                let mut schema = desk::event_schema(*kind);
                if let Some(schema) = schema.as_object_mut() {
                    schema.shift_remove("$schema");
                }
                schema
            }
            Shape::Like(example) => like(example),
            Shape::Free(_) => json!({ "type": "object" }),
        }
    }

    fn example(&self) -> Value {
        match &self.shape {
            Shape::Record(kind) => Value::Object(sample::record(*kind)),
            Shape::Previous(kind) => Value::Object(sample::previous(*kind)),
            Shape::Like(example) | Shape::Free(example) => example.clone(),
        }
    }
}

/// Only what holds an object or a list is held to it: senders spell ids and times differently.
fn like(example: &Value) -> Value {
    match example {
        Value::Object(fields) => {
            let properties: Map<String, Value> = fields
                .iter()
                .map(|(name, value)| (name.clone(), json!({ "examples": [value] })))
                .collect();
            json!({ "type": "object", "properties": properties })
        }
        Value::Array(_) => json!({ "type": "array" }),
        value => json!({ "examples": [value] }),
    }
}

/// Returns every built-in event type, in the order in which they are listed.
#[must_use]
pub fn built_in() -> &'static [EventType] {
    &ALL
}

/// Returns the built-in type that `kind` is of, in any spelling.
#[must_use]
pub fn find(kind: &str) -> Option<&'static EventType> {
    let kind = canonical(kind);
    ALL.iter().find(|known| known.covers(&kind))
}

/// Returns the one spelling of an event type: aliases and dotted names of built-in types become
/// what they stand for, everything else stays as it is.
#[must_use]
pub fn canonical(kind: &str) -> Cow<'_, str> {
    if ALL.iter().any(|known| known.covers(kind)) {
        return Cow::Borrowed(kind);
    }
    let mut spelled = kind.replace('.', ":");
    if let Some(rest) = spelled.strip_prefix("org:") {
        spelled = format!("organization:{rest}");
    }
    match ALL.iter().find(|known| known.covers(&spelled) || known.aliases.contains(&&*spelled)) {
        Some(known) if known.aliases.contains(&&*spelled) => Cow::Borrowed(known.kind),
        Some(_) => Cow::Owned(spelled),
        None => Cow::Borrowed(kind),
    }
}

/// Returns the name that a record of the kind has in payloads, such as `customerContact`.
#[must_use]
pub fn word(kind: RecordKind) -> &'static str {
    table::word(kind)
}

/// Returns the type of the event that tells that a record has been in a state for a while.
#[must_use]
pub fn lasting_kind(kind: RecordKind) -> Option<&'static str> {
    Some(match kind {
        RecordKind::Ticket => "ticket:lasting",
        RecordKind::Account => "account:lasting",
        RecordKind::Contact => "customer-contact:lasting",
        RecordKind::AccountTask => "account-task:lasting",
        RecordKind::AccountActivity => "account-activity:lasting",
        _ => return None, // Their states are not waited on.
    })
}

/// Returns the uid of the registration of an event type: 29 upper-case characters that depend on
/// its name alone.
#[must_use]
pub fn uid(kind: &str) -> String {
    let digest = Sha256::digest(kind.as_bytes());
    let letters = digest.iter().map(|byte| char::from(UID_LETTERS[usize::from(byte & 31)]));
    std::iter::once('E').chain(letters).take(UID_LEN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_passes_its_schema() {
        for known in built_in() {
            let validator = jsonschema::validator_for(&known.schema()).expect(known.kind);
            let faults: Vec<String> = validator
                .iter_errors(&known.example())
                .map(|fault| format!("{}: {fault}", fault.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{}: {faults:?}", known.kind);
        }
    }

    #[test]
    fn a_payload_without_its_record_breaks_the_schema() {
        for (kind, payload) in [
            ("ticket:created", json!({})),
            ("ticket:created", json!({ "ticket": "WED-5" })),
            ("ticket:updated", json!({ "previousTicket": {} })),
            ("ticket:deleted", json!({ "ticket": {} })),
            ("ticket:created", json!({ "ticket": { "title": 5 } })),
        ] {
            let schema = find(kind).expect(kind).schema();
            let validator = jsonschema::validator_for(&schema).expect(kind);
            assert!(!validator.is_valid(&payload), "{kind}: {payload}");
        }
    }

    #[test]
    fn a_payload_of_another_sender_need_not_be_complete() {
        for (kind, payload) in [
            ("ticket:created", json!({ "ticket": { "id": 7, "priority": "urgent" } })),
            ("ticket:updated", json!({ "ticket": { "status": { "uid": "S1" } }, "more": 1 })),
            ("slack:message", json!({ "channel": "C1", "text": "hi" })),
            ("cron:custom", json!({})),
        ] {
            let schema = find(kind).expect(kind).schema();
            let validator = jsonschema::validator_for(&schema).expect(kind);
            assert!(validator.is_valid(&payload), "{kind}: {payload}");
        }
    }

    #[test]
    fn aliases_resolve_to_one_canonical_type() {
        for (given, canonical_kind) in [
            ("ticket:created", "ticket:created"),
            ("ticket.created", "ticket:created"),
            ("ticket.status.changed", "ticket:status:changed"),
            ("ticket:comment:created", "ticket:comment:added"),
            ("ticket.comment.created", "ticket:comment:added"),
            ("account-task:comment:created", "account-task:comment:created"),
            ("org:created", "organization:created"),
            ("org.member-joined", "organization:member-joined"),
            ("slack.message", "slack:message"),
            ("custom-object.crm.deal.created", "custom-object:crm:deal:created"),
            ("custom-object:crm:deal:created", "custom-object:crm:deal:created"),
            ("linear.contact.synced", "linear.contact.synced"),
            ("org:unheard-of", "org:unheard-of"),
            ("", ""),
        ] {
            assert_eq!(canonical(given), canonical_kind, "{given}");
        }
    }

    #[test]
    fn kinds_aliases_and_uids_are_distinct_and_stable() {
        let mut names: Vec<&str> = built_in().iter().map(|known| known.kind).collect();
        names.extend(built_in().iter().flat_map(|known| known.aliases));
        let mut uids: Vec<String> = names.iter().map(|name| uid(name)).collect();
        for uid in &uids {
            let is_plain = uid.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
            assert!(uid.len() == 29 && is_plain, "{uid}");
        }
        uids.sort();
        uids.dedup();
        assert_eq!(uids.len(), names.len());
        assert_eq!(uid("ticket:updated"), uid("ticket:updated"));
    }

    #[test]
    fn every_type_that_the_product_names_is_built_in() {
        const NAMED: &str = "ticket:created ticket:updated ticket:deleted ticket:archived \
            ticket:unarchived ticket:status:changed ticket:priority:changed ticket:assigned \
            ticket:type:changed ticket:sentiment:changed ticket:escalated \
            ticket:custom_field_value:added ticket:custom_field_value:removed \
            ticket:custom_field_value:changed ticket:tag:updated ticket:migrated \
            ticket:comment:added ticket:comment:updated ticket:comment:deleted \
            ticket:comment:reaction:added ticket:comment:reaction:removed ticket:csat:sent \
            ticket:csat:received ticket:sla:breached ticket:sla:breach_warning \
            account-task:comment:created account-activity:comment:updated \
            account-note:comment:deleted account:created account:updated account:deleted \
            account-health:changed account-status:changed account-classification:changed \
            account-industry:changed account-custom_field_value:added \
            customer-contact:created customer-contact:type:changed \
            customer-contact:custom_field_value:changed user:mentioned user:created user:updated \
            user:deleted user:permissions:changed team:created team:updated team:members:changed \
            organization:created organization:updated organization:deleted \
            organization:member-joined custom-object:x:deal:created email:received email:sent \
            email:bounced form:submitted slack:message slack:channel:created schedule:hourly \
            schedule:daily schedule:weekly schedule:monthly cron:custom";
        for kind in NAMED.split_whitespace() {
            assert!(find(kind).is_some(), "{kind}");
        }
    }
}
