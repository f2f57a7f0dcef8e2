//! The events that a change of a record emits: the single place that knows them.

use serde_json::{Map, Value, json};

use super::RecordKind;
use super::change::changed_fields;
use super::comment;
use super::cut::cut_comment;
use super::draft::{excerpt, part};
use super::family::{
    ACCOUNT, ACTIVITY, CONTACT, NOTE, OBJECT, ORGANIZATION, RELATIONSHIP, TASK, TEAM, TICKET, USER,
    put,
};

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
    /// The tenant as a record, where it is told of.
    pub organization: Option<&'a Map<String, Value>>,
    /// The most bytes of each text of a comment that an event carries; `None` for all.
    pub text_bytes_max: Option<usize>,
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
        RecordKind::User => user_events(before, after, around),
        RecordKind::AccountNote => NOTE.events(before, after),
        RecordKind::AccountTask => TASK.events(before, after),
        RecordKind::AccountActivity => ACTIVITY.events(before, after),
        RecordKind::Relationship => RELATIONSHIP.events(before, after),
        RecordKind::Organization => ORGANIZATION.events(before, after),
        RecordKind::CustomObject => object_events(before, after),
        RecordKind::Tag
        | RecordKind::CustomField
        | RecordKind::TicketStatus
        | RecordKind::SlaPolicy => Vec::new(),
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
                events[0].payload["comment"] = told_comment(comment, around);
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
            let mut survey = survey_events(before, after);
            survey.retain(|event| events.iter().all(|told| told.kind != event.kind));
            events.extend(survey);
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

fn survey_events(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<Emitted> {
    let (earlier, survey) = (part(Some(before), "csat"), part(Some(after), "csat"));
    let is_new = |(_, time): &(&str, &str)| {
        let moment = survey.get(*time).unwrap_or(&Value::Null);
        !moment.is_null() && earlier.get(*time) != Some(moment)
    };
    let event = |(verb, _): (&str, &str)| {
        let mut event = TICKET.emitted(verb, None, Some(after));
        event.payload["csat"] = survey.clone();
        event
    };
    let told: Vec<Emitted> = [("csat:sent", "sentAt"), ("csat:received", "receivedAt")]
        .into_iter()
        .filter(is_new)
        .map(event)
        .collect();
    // A survey that was taken back has no event of its own.
    match told.is_empty() && earlier != survey {
        true => vec![TICKET.emitted("updated", Some(before), Some(after))],
        false => told,
    }
}

/// Whoever begins to work here joins the organization.
fn user_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    let mut events = USER.events(before, after);
    let is_outside = matches!(part(after, "userType").as_str(), Some("CUSTOMER" | "EXTERNAL"));
    if let (None, Some(user), false) = (before, after, is_outside) {
        events.extend(around.organization.map(|organization| joined(organization, user)));
    }
    events
}

/// Returns the event of a user who becomes a member of the organization.
#[must_use]
pub fn joined(organization: &Map<String, Value>, user: &Map<String, Value>) -> Emitted {
    let mut event = ORGANIZATION.emitted("member-joined", None, Some(organization));
    event.payload["user"] = Value::Object(user.clone());
    event
}

/// The type names the tenant and the kind of object: `custom-object:acme:deal:created`.
fn object_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Vec<Emitted> {
    let object = after.or(before);
    let text = |name: &str| part(object, name).as_str().unwrap_or("default").to_owned();
    let beginning = format!("custom-object:{}:{}:", text("namespace"), text("objectType"));
    let mut events = OBJECT.events(before, after);
    for event in &mut events {
        event.kind = event.kind.replacen("custom-object:", &beginning, 1);
    }
    events
}

fn told_comment(comment: &Map<String, Value>, around: &Surroundings<'_>) -> Value {
    Value::Object(match around.text_bytes_max {
        Some(bytes_max) => cut_comment(comment, bytes_max),
        None => comment.clone(),
    })
}

fn comment_events(
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
    around: &Surroundings<'_>,
) -> Vec<Emitted> {
    let Some(comment) = after.or(before) else { return Vec::new() };
    let entity = comment::entity_kind(part(Some(comment), "entityType").as_str().unwrap_or(""));
    let cut = |comment: &Map<String, Value>| match told_comment(comment, around) {
        Value::Object(comment) => comment,
        _ => Map::new(), // It is made as an object.
    };
    // What a comment was before is told whole: nobody could fetch it any more.
    let told_after = after.map(cut);
    let talk = Talk { entity, before, after: told_after.as_ref(), parent: around.parent };
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
    let name = part(around.organization, "name");
    user["organization"] = json!({ "id": around.organization_id, "name": name });
    let subject = user["id"].as_str().unwrap_or_default().to_owned();
    let Value::Object(metadata) = metadata else { unreachable!("it was built as an object") };
    Emitted {
        kind: "user:mentioned".to_owned(),
        subject,
        payload: json!({ "user": user }),
        metadata,
    }
}

fn is_true(record: &Map<String, Value>, name: &str) -> bool {
    record.get(name) == Some(&Value::Bool(true))
}
