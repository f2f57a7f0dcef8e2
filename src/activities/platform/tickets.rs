//! Tickets as a whole: made, read, changed, deleted and searched for.

use serde_json::{Map, Value, json};

use super::input::{TICKET, named, refused, without};
use super::{OnDesk, changing, described, reading, schema};
use crate::activities::desk::{Desk, DeskError, TicketQuery, search_tickets};
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::RecordKind;
use crate::domain::filter::Filter;
use crate::domain::run::Failure;

const SCOPE: &str = "tickets";
const KIND: RecordKind = RecordKind::Ticket;

pub(in crate::activities) const CREATE: OnDesk = OnDesk {
    spec: || {
        let text = "Makes a ticket, with a contact for whoever asks for the first time and with \
                    its first comment. A repeated deDuplicationKey answers the ticket that has it.";
        let spec = described("tickets:create-ticket-platform", "Create a ticket", text);
        changing(SCOPE, schema::creation(KIND), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(Value::Object(desk.create(KIND, input)?)),
};

pub(in crate::activities) const UPDATE: OnDesk = OnDesk {
    spec: || {
        let text = "Changes fields of a ticket; null clears one, metadata is merged.";
        let spec = described("tickets:update-ticket-platform", "Update a ticket", text);
        changing(SCOPE, schema::change(KIND, TICKET), schema::record(KIND), spec)
    },
    run: |desk, input| {
        let patch = without(input, TICKET);
        Ok(Value::Object(desk.update(KIND, named(input, TICKET)?, &patch)?))
    },
};

pub(in crate::activities) const GET: OnDesk = OnDesk {
    spec: || {
        let text = "Reads a ticket.";
        let spec = described("tickets:get-ticket-platform", "Get a ticket", text);
        reading(SCOPE, schema::key(TICKET), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(Value::Object(desk.get(KIND, named(input, TICKET)?)?)),
};

pub(in crate::activities) const DELETE: OnDesk = OnDesk {
    spec: || {
        let text = "Deletes a ticket and its comments; the answer is the ticket as it was.";
        let spec = described("tickets:delete-ticket-platform", "Delete a ticket", text);
        changing(SCOPE, schema::key(TICKET), schema::record(KIND), spec)
    },
    run: |desk, input| Ok(Value::Object(desk.remove(KIND, named(input, TICKET)?)?)),
};

pub(in crate::activities) const SEARCH: OnDesk = OnDesk { spec: search_spec, run: search };

fn search_spec() -> ActivitySpec {
    let text = "Finds tickets, newest first. It reads at most 5,000 of them; `truncated` tells \
                whether older ones were left unread.";
    let spec = described("tickets:search-tickets-platform", "Search for tickets", text);
    let input = schema::object(json!({
        "status": schema::text("A status; one of the four also finds those below it"),
        "priority": schema::text("A priority"),
        "teamId": schema::text("A team, by id or identifier"),
        "accountId": schema::text("An account, by id or domain"),
        "assignedAgentId": schema::text("An agent, by id or mail address"),
        "requestorEmail": schema::text("Who asks, by mail address or contact id"),
        "isArchived": { "type": ["boolean", "null"], "description": "Only archived, or only others" },
        "q": schema::text("Words that the ticket contains"),
        "where": { "type": ["object", "null"], "description": "A filter over each ticket" },
        "before": schema::text("Only tickets older than the one of this id"),
        "limit": { "type": ["integer", "null"], "minimum": 1, "description": "At most 500" },
    }));
    let mut output = schema::listed("items", schema::record(KIND));
    output["properties"]["truncated"] = json!({ "type": "boolean" });
    reading(SCOPE, input, output, spec)
}

fn search(desk: &mut Desk<'_, '_, '_>, input: &Map<String, Value>) -> Result<Value, Failure> {
    let mut input = input.clone();
    let filter = match input.remove("where").filter(|filter| !filter.is_null()) {
        Some(filter) => Some(Filter::parse(&filter, "/where").map_err(|problems| {
            let first = problems.into_iter().next();
            first.map_or_else(
                || refused("/where", "invalid", "is no filter"),
                |problem| refused(&problem.pointer, &problem.code, &problem.detail),
            )
        })?),
        None => None,
    };
    let query: TicketQuery = serde_json::from_value(Value::Object(input))
        .map_err(|error| refused("", "invalid", &error.to_string()))?;
    let query = TicketQuery { teams: desk.caller().teams.clone(), ..query };
    let found = search_tickets(&desk.view(), &query, filter.as_ref()).map_err(DeskError::from)?;
    Ok(serde_json::to_value(found).expect("what was found is plain data"))
}
