//! What follows from a tenant's own statuses: one default below each parent, and tickets that move
//! when a status ends.

use serde_json::{Map, Value, json};

use super::{Desk, DeskError};
use crate::domain::desk::{RecordKind, ticket, ticket_status};

type Record = Map<String, Value>;

/// How many tickets one deletion moves.
const MOVED_TICKETS_MAX: usize = 1_000;

impl Desk<'_, '_, '_> {
    /// Takes the default from the other statuses beside `status`, if it is the default now.
    pub(super) fn settle_default(&mut self, status: &Record) -> Result<(), DeskError> {
        if status.get("isDefault") != Some(&json!(true)) {
            return Ok(());
        }
        for other in self.beside(status)? {
            if other.get("isDefault") == Some(&json!(true)) {
                let id = other["id"].as_str().unwrap_or_default();
                let patch = Map::from_iter([("isDefault".to_owned(), json!(false))]);
                self.update(RecordKind::TicketStatus, id, &patch)?;
            }
        }
        Ok(())
    }

    /// Moves the tickets of a status that is to end: to the default beside it, or to its parent.
    pub(super) fn empty_status(&mut self, status: &Record) -> Result<(), DeskError> {
        let is_default = status.get("isDefault") == Some(&json!(true));
        if is_default && !self.beside(status)?.is_empty() {
            let detail = "a default status stays while there are others beside it; make another \
                          one the default first";
            return Err(conflict("protected", detail.to_owned()));
        }
        let text = |name: &str| status.get(name).and_then(Value::as_str).unwrap_or_default();
        let tickets = self.tx.view().children(RecordKind::Ticket, text("statusId"))?;
        if tickets.len() > MOVED_TICKETS_MAX {
            let detail = format!(
                "{} tickets have this status, more than the {MOVED_TICKETS_MAX} that are moved at \
                 once; give them another one first",
                tickets.len()
            );
            return Err(conflict("in_use", detail));
        }
        let mut others = self.all(RecordKind::TicketStatus)?;
        others.retain(|other| other.get("id") != status.get("id"));
        for id in tickets {
            let ticket = self.get(RecordKind::Ticket, &id)?;
            let team = ticket.get("teamId").and_then(Value::as_str).unwrap_or_default();
            let team = self.tx.view().record(RecordKind::Team, team)?;
            let parent = text("parentStatusName");
            let target = ticket_status::default_below(parent, team.as_ref(), &others);
            let target = target.map_or(parent.to_owned(), |choice| choice.name);
            self.apply(RecordKind::Ticket, &id, |current, facts| {
                ticket::restatus(current, &target, facts)
            })?;
        }
        Ok(())
    }

    /// Returns the other statuses below the same parent, of the same team.
    fn beside(&self, status: &Record) -> Result<Vec<Record>, DeskError> {
        let mut others = self.all(RecordKind::TicketStatus)?;
        others.retain(|other| {
            let is_same = |name: &str| other.get(name) == status.get(name);
            is_same("parentStatusName") && is_same("teamId") && !is_same("id")
        });
        Ok(others)
    }
}

fn conflict(code: &str, detail: String) -> DeskError {
    DeskError::Conflict { code: code.to_owned(), detail }
}
