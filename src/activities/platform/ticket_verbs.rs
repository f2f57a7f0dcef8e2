//! What is done to a ticket by name: assigned, escalated, archived, tagged.

use serde_json::{Map, Value, json};

use super::input::{TICKET, named, refused, texts};
use super::{OnDesk, changing, described, schema};
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::{RecordKind, csat, ticket};
use crate::domain::run::Failure;

const KIND: RecordKind = RecordKind::Ticket;
/// How many tickets one step changes.
const BULK_MAX: usize = 500;
const AGENT: &[&str] = &["assignedAgentId", "assignedAgentEmail", "agentId", "email"];

pub(in crate::activities) const ASSIGN: OnDesk = OnDesk {
    spec: || {
        let text = "Gives a ticket to an agent, named by id or mail address; null takes it away.";
        let spec = described("tickets:assign-ticket-platform", "Assign a ticket", text);
        let agent = schema::text("The agent, by id or mail address; null unassigns");
        let names = AGENT.iter().map(|name| ((*name).to_owned(), agent.clone())).collect();
        let input = schema::keyed(schema::object(Value::Object(names)), TICKET);
        verb(schema::one_of_needed(input, AGENT), spec)
    },
    run: |desk, input| {
        let given = AGENT.iter().find_map(|name| input.get(*name).filter(|agent| !agent.is_null()));
        let agent = given.and_then(Value::as_str);
        let key = named(input, TICKET)?;
        Ok(desk.apply(KIND, key, |current, facts| ticket::assign(current, agent, facts))?.into())
    },
};

pub(in crate::activities) const ESCALATE: OnDesk = OnDesk {
    spec: || {
        let text = "Escalates a ticket.";
        let spec = described("tickets:escalate-ticket-platform", "Escalate a ticket", text);
        verb(schema::key(TICKET), spec)
    },
    run: |desk, input| Ok(desk.apply(KIND, named(input, TICKET)?, ticket::escalate)?.into()),
};

pub(in crate::activities) const SEND_SURVEY: OnDesk = OnDesk {
    spec: || {
        let text = "Asks the customer of a ticket for an opinion.";
        let spec = described("tickets:send-csat-platform", "Send a survey", text);
        verb(schema::key(TICKET), spec)
    },
    run: |desk, input| {
        let key = named(input, TICKET)?;
        Ok(desk.apply(KIND, key, |current, facts| Ok(csat::send(current, facts)))?.into())
    },
};

pub(in crate::activities) const ARCHIVE: OnDesk = OnDesk {
    spec: || {
        let text = "Archives a ticket; it takes no changes until it is unarchived.";
        let spec = described("tickets:archive-ticket-platform", "Archive a ticket", text);
        verb(schema::key(TICKET), spec)
    },
    run: |desk, input| {
        let key = named(input, TICKET)?;
        Ok(desk.apply(KIND, key, |current, facts| Ok(ticket::archive(current, facts)))?.into())
    },
};

pub(in crate::activities) const UNARCHIVE: OnDesk = OnDesk {
    spec: || {
        let text = "Takes a ticket out of the archive.";
        let spec = described("tickets:unarchive-ticket-platform", "Unarchive a ticket", text);
        verb(schema::key(TICKET), spec)
    },
    run: |desk, input| {
        let key = named(input, TICKET)?;
        Ok(desk.apply(KIND, key, |current, facts| Ok(ticket::unarchive(current, facts)))?.into())
    },
};

pub(in crate::activities) const BULK_ARCHIVE: OnDesk = OnDesk {
    spec: || {
        let text = "Archives tickets; those that are archived already stay so.";
        let name = "Archive several tickets";
        bulk("archived", described("tickets:bulk-archive-platform", name, text))
    },
    run: |desk, input| {
        let archived = for_each(input, |key| {
            desk.apply(KIND, key, |current, facts| Ok(ticket::archive(current, facts)))
                .map(|_| ())
                .map_err(Failure::from)
        })?;
        Ok(json!({ "total": archived.len(), "archived": archived }))
    },
};

pub(in crate::activities) const BULK_UNARCHIVE: OnDesk = OnDesk {
    spec: || {
        let text = "Takes tickets out of the archive.";
        let name = "Unarchive several tickets";
        bulk("unarchived", described("tickets:bulk-unarchive-platform", name, text))
    },
    run: |desk, input| {
        let unarchived = for_each(input, |key| {
            desk.apply(KIND, key, |current, facts| Ok(ticket::unarchive(current, facts)))
                .map(|_| ())
                .map_err(Failure::from)
        })?;
        Ok(json!({ "total": unarchived.len(), "unarchived": unarchived }))
    },
};

pub(in crate::activities) const ADD_TAGS: OnDesk = OnDesk {
    spec: || {
        let text = "Adds tags to a ticket, each once.";
        tagging(described("tickets:add-tags-platform", "Add tags to a ticket", text))
    },
    run: |desk, input| {
        let tags = texts(input, "tags");
        if tags.is_empty() {
            return Err(refused("/tags", "required", "`tags` holds no tag"));
        }
        let key = named(input, TICKET)?;
        Ok(desk.apply(KIND, key, |current, facts| ticket::add_tags(current, &tags, facts))?.into())
    },
};

pub(in crate::activities) const REMOVE_TAGS: OnDesk = OnDesk {
    spec: || {
        let text = "Removes tags from a ticket; those that it does not have are no fault.";
        tagging(described("tickets:remove-tags-platform", "Remove tags from a ticket", text))
    },
    run: |desk, input| {
        let (key, tags) = (named(input, TICKET)?, texts(input, "tags"));
        let changed =
            desk.apply(KIND, key, |current, facts| ticket::remove_tags(current, &tags, facts))?;
        Ok(changed.into())
    },
};

/// Does something to each of the tickets, all of them or none.
fn for_each(
    input: &Map<String, Value>,
    mut act: impl FnMut(&str) -> Result<(), Failure>,
) -> Result<Vec<String>, Failure> {
    let keys = texts(input, "ticketIds");
    for key in &keys {
        act(key)?;
    }
    Ok(keys)
}

fn bulk(done: &str, spec: ActivitySpec) -> ActivitySpec {
    let keys = json!({
        "type": "array", "items": { "type": "string", "minLength": 1 }, "maxItems": BULK_MAX,
        "description": "The tickets, by id or number",
    });
    let mut input = schema::object(json!({ "ticketIds": keys }));
    input["required"] = json!(["ticketIds"]);
    let ids = json!({ "type": "array", "items": { "type": "string" } });
    let mut output = schema::object(json!({ "total": { "type": "integer" } }));
    output["properties"][done] = ids;
    changing("tickets", input, output, spec)
}

fn verb(input: Value, spec: ActivitySpec) -> ActivitySpec {
    changing("tickets", input, schema::record(KIND), spec)
}

fn tagging(spec: ActivitySpec) -> ActivitySpec {
    let tags = json!({
        "type": ["array", "string"], "items": { "type": "string" }, "description": "The tags",
    });
    let mut input = schema::keyed(schema::object(json!({ "tags": tags })), TICKET);
    input["required"] = json!(["tags"]);
    verb(input, spec)
}
