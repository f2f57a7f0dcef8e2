//! What is done to a ticket by name: assigned, escalated, archived, tagged.

use serde_json::{Value, json};

use super::input::{TICKET, named, refused, texts};
use super::{OnDesk, changing, described, schema};
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::{RecordKind, csat, ticket};

const KIND: RecordKind = RecordKind::Ticket;
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
