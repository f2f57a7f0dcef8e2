//! How records of one kind lead to others, and by which names each is found.

use serde_json::{Map, Value};

use super::RecordKind;
use super::field::FieldType;

/// A field that names another record, or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation {
    /// What the other record is called, such as `account`.
    pub name: String,
    /// The field that holds its id, or a list of ids.
    pub field: &'static str,
    /// What it is.
    pub kind: RecordKind,
    /// Whether the field leads to one record or to a list.
    pub reach: Reach,
}

/// How many records a relation leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// One, the first where the field holds a list.
    One,
    /// A list.
    Many,
}

/// Relations whose names do not follow from those of their fields.
const OTHERS: [(RecordKind, &str, &str, RecordKind); 7] = [
    (RecordKind::Ticket, "customer", "customerContactId", RecordKind::Contact),
    (RecordKind::Ticket, "customerContact", "customerContactId", RecordKind::Contact),
    (RecordKind::Comment, "account", "accountId", RecordKind::Account),
    (RecordKind::Comment, "team", "teamId", RecordKind::Team),
    (RecordKind::Comment, "customerContact", "customerContactId", RecordKind::Contact),
    (RecordKind::Contact, "account", "accountIds", RecordKind::Account),
    (RecordKind::User, "team", "teamIds", RecordKind::Team),
];

/// Returns the relations of a kind of record.
#[must_use]
pub fn relations(kind: RecordKind) -> Vec<Relation> {
    let of_fields = kind.fields().iter().filter_map(|field| match &field.kind {
        FieldType::Ref(to) => Some(Relation {
            name: field.name.strip_suffix("Id")?.to_owned(),
            field: field.name,
            kind: *to,
            reach: Reach::One,
        }),
        FieldType::List(FieldType::Ref(to)) => Some(Relation {
            name: format!("{}s", field.name.strip_suffix("Ids")?),
            field: field.name,
            kind: *to,
            reach: Reach::Many,
        }),
        _ => None, // A value of its own.
    });
    let others = OTHERS.iter().filter(|(from, ..)| *from == kind);
    let others = others.map(|(_, name, field, to)| Relation {
        name: (*name).to_owned(),
        field,
        kind: *to,
        reach: Reach::One,
    });
    of_fields.chain(others).collect()
}

/// Returns the names under which a record of the kind is looked up, the first being its id.
#[must_use]
pub fn lookup_names(kind: RecordKind) -> &'static [&'static str] {
    match kind {
        RecordKind::Ticket => &["id", "uid", "ticketId", "ticketIdentifier", "identifier"],
        RecordKind::Comment => &["id", "uid", "commentId"],
        RecordKind::Account => &["id", "uid", "accountId", "domain", "primaryDomain"],
        RecordKind::Contact => &["id", "uid", "contactId", "customerContactId", "email"],
        RecordKind::Team => &["id", "uid", "teamId", "identifier", "teamIdentifier"],
        RecordKind::User => &["id", "uid", "userId", "agentId", "assignedAgentId", "email"],
        RecordKind::Tag => &["id", "uid", "tagId", "name"],
        RecordKind::AccountNote => &["id", "uid", "noteId", "accountNoteId"],
        RecordKind::AccountTask => &["id", "uid", "taskId", "accountTaskId"],
        RecordKind::AccountActivity => &["id", "uid", "activityId", "accountActivityId"],
        RecordKind::Relationship
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy
        | RecordKind::CustomObject
        | RecordKind::Organization => &["id", "uid"],
    }
}

/// Returns the ids that a relation of a record leads to.
#[must_use]
pub fn related_ids<'r>(record: &'r Map<String, Value>, relation: &Relation) -> Vec<&'r str> {
    let ids: Vec<&str> = match record.get(relation.field) {
        Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(id)) => vec![id],
        _ => Vec::new(), // Nothing is named.
    };
    match relation.reach {
        Reach::One => ids.into_iter().take(1).collect(),
        Reach::Many => ids,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relation(kind: RecordKind, name: &str) -> Option<Relation> {
        relations(kind).into_iter().find(|relation| relation.name == name)
    }

    #[test]
    fn relations_follow_from_the_fields() {
        for (kind, name, to) in [
            (RecordKind::Ticket, "account", RecordKind::Account),
            (RecordKind::Ticket, "assignedAgent", RecordKind::User),
            (RecordKind::Ticket, "team", RecordKind::Team),
            (RecordKind::Ticket, "customer", RecordKind::Contact),
            (RecordKind::Account, "accountOwner", RecordKind::User),
            (RecordKind::Comment, "ticket", RecordKind::Ticket),
            (RecordKind::Team, "members", RecordKind::User),
        ] {
            assert_eq!(relation(kind, name).map(|it| it.kind), Some(to), "{name}");
        }
        assert_eq!(relation(RecordKind::Ticket, "weather"), None);
    }

    #[test]
    fn a_list_leads_to_all_or_to_the_first() {
        let record = serde_json::json!({"accountIds": ["A1", "A2"]});
        let record = record.as_object().expect("an object");
        let many = relation(RecordKind::Contact, "accounts").expect("known");
        let one = relation(RecordKind::Contact, "account").expect("known");
        assert_eq!(related_ids(record, &many), ["A1", "A2"]);
        assert_eq!(related_ids(record, &one), ["A1"]);
    }
}
