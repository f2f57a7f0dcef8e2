//! Changes to the desk's records: every one of them, whoever asks for it, goes through here.

pub mod annotate;
mod clocks;
mod create;
mod error;
mod index;
mod query;
mod statuses;
mod undo;
mod write;

#[cfg(test)]
mod tests;

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::{Caller, Done};
use crate::domain::desk::change::Change;
use crate::domain::desk::{self as rules, Emitted, Facts, RecordKind, Related};
use crate::domain::id::Uid;
use crate::domain::problem::Problem;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

pub use clocks::ring_sla;
pub use error::DeskError;
pub use query::{Found, Query, TicketQuery, comments, find, list, search_tickets, thread, threads};
pub use undo::undo;

/// The records of one tenant inside a transaction, changed on behalf of a caller. What it writes
/// before it refuses something stays written, so whoever goes on after a refusal puts a savepoint
/// around it.
pub struct Desk<'d, 't, 'a> {
    tx: &'d mut TenantTx<'t, 'a>,
    caller: &'d Caller,
    changes: Vec<Change>,
    /// What the clocks of a ticket told that is about to be written.
    told: Vec<Emitted>,
}

/// How many definitions, statuses or policies a tenant may have: each change reads them all.
const DEFINITIONS_MAX: usize = 500;

impl<'d, 't, 'a> Desk<'d, 't, 'a> {
    /// Opens the records of the transaction's tenant.
    #[must_use]
    pub fn new(tx: &'d mut TenantTx<'t, 'a>, caller: &'d Caller) -> Desk<'d, 't, 'a> {
        Desk { tx, caller, changes: Vec::new(), told: Vec::new() }
    }

    /// Reads what was written so far.
    #[must_use]
    pub fn view(&self) -> TenantView<'_> {
        self.tx.view()
    }

    /// Returns on whose behalf records are changed.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        self.caller
    }

    /// Returns the record that `key` names by its id or its natural key: a ticket's identifier, a
    /// team's, a mail address, a domain, a tag's name.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn get(&self, kind: RecordKind, key: &str) -> Result<Map<String, Value>, DeskError> {
        let found = find(&self.tx.view(), kind, key)?;
        let record = found.ok_or_else(|| DeskError::NotFound { kind, id: key.to_owned() })?;
        self.check_team(kind, &record)?;
        Ok(record)
    }

    /// Refuses tickets of other teams, and what was written to them, to a caller who is limited to
    /// some.
    ///
    /// # Errors
    /// `OtherTeam` when it is one.
    pub fn check_team(
        &self,
        kind: RecordKind,
        record: &Map<String, Value>,
    ) -> Result<(), DeskError> {
        let teams = &self.caller.teams;
        if teams.is_empty() || !matches!(kind, RecordKind::Ticket | RecordKind::Comment) {
            return Ok(());
        }
        let text = |name: &str| record.get(name).and_then(Value::as_str);
        // A ticket belongs to a team; what was written may be about something that has none.
        let team = text("teamId").or((kind == RecordKind::Ticket).then_some(""));
        let Some(team) = team.filter(|team| !teams.iter().any(|own| own == team)) else {
            return Ok(());
        };
        let id = text("id").unwrap_or(team).to_owned();
        Err(DeskError::OtherTeam { kind, id })
    }

    /// Makes a record, and what follows from it: a ticket's contact and first comment. An input
    /// that repeats a `deDuplicationKey` gets the record that has it, and changes nothing.
    ///
    /// # Errors
    /// Fails when the input is wrong or when another record has a key that must be unique.
    pub fn create(
        &mut self,
        kind: RecordKind,
        input: &Map<String, Value>,
    ) -> Result<Map<String, Value>, DeskError> {
        if let Some(existing) = self.repeated(kind, input)? {
            return Ok(existing);
        }
        self.check_room(kind)?;
        match kind {
            RecordKind::Ticket => self.create_ticket(input),
            RecordKind::Comment => self.create_comment(input),
            RecordKind::Account => self.create_account(input),
            RecordKind::TicketStatus => {
                let status = self.create_alone(kind, input)?;
                self.settle_default(&status)?;
                Ok(status)
            }
            _ => self.create_alone(kind, input), // Nothing follows from the others.
        }
    }

    /// Changes the fields that `patch` gives; null clears one.
    ///
    /// # Errors
    /// Fails when there is no such record, when the patch is wrong, or when another record has a
    /// key that must be unique.
    pub fn update(
        &mut self,
        kind: RecordKind,
        key: &str,
        patch: &Map<String, Value>,
    ) -> Result<Map<String, Value>, DeskError> {
        let changed =
            self.apply(kind, key, |current, facts| rules::update(kind, current, patch, facts))?;
        if kind == RecordKind::TicketStatus {
            self.settle_default(&changed)?;
        }
        Ok(changed)
    }

    /// Changes a record by a rule such as `ticket::archive`.
    ///
    /// # Errors
    /// Fails when there is no such record, when the rule refuses, or when another record has a key
    /// that must be unique.
    pub fn apply(
        &mut self,
        kind: RecordKind,
        key: &str,
        rule: impl FnOnce(&Map<String, Value>, &Facts<'_>) -> Result<Map<String, Value>, Vec<Problem>>,
    ) -> Result<Map<String, Value>, DeskError> {
        let current = self.get(kind, key)?;
        let id = Uid::from_text(key); // An update makes no record, so the rule never reads it.
        let mut changed = self.decide(id, 0, &[], |facts| rule(&current, facts))?;
        if kind == RecordKind::Ticket && changed != current {
            changed = self.timed(Some(&current), changed)?;
        }
        self.write(kind, Some(&current), Some(&changed), None)?;
        Ok(changed)
    }

    /// Deletes a record and what cannot stand without it: a ticket's comments, an account's notes,
    /// tasks and activities. The tickets of a status move to another. Returns the record as it was.
    ///
    /// # Errors
    /// Fails when there is no such record.
    pub fn remove(&mut self, kind: RecordKind, key: &str) -> Result<Map<String, Value>, DeskError> {
        let record = self.get(kind, key)?;
        let id = record["id"].as_str().unwrap_or(key).to_owned();
        if kind == RecordKind::TicketStatus {
            self.empty_status(&record)?;
        }
        for part in index::parts_of(kind) {
            for child in self.tx.view().children(*part, &id)? {
                self.remove(*part, &child)?;
            }
        }
        self.write(kind, Some(&record), None, None)?;
        Ok(record)
    }

    /// Returns what was changed, in order.
    #[must_use]
    pub fn finish(self) -> Vec<Change> {
        self.changes
    }

    /// Returns what a step answers whose output is `output`.
    #[must_use]
    pub fn done(self, output: impl Into<Value>) -> Done {
        let undo = match self.changes.as_slice() {
            [] => Value::Null,
            changes => serde_json::to_value(changes).expect("changes have only JSON-safe fields"),
        };
        Done { output: output.into(), undo }
    }

    /// Applies a pure rule; it finds the `pending` records as if they were written.
    fn decide<T>(
        &self,
        id: Uid,
        number: u64,
        pending: &[Pending<'_>],
        rule: impl FnOnce(&Facts<'_>) -> Result<T, Vec<Problem>>,
    ) -> Result<T, DeskError> {
        let view = self.tx.view();
        let fault: RefCell<Option<StoreError>> = RefCell::new(None);
        let lookup = |kind: RecordKind, key: &str| {
            if let Some(found) = pending.iter().find(|pending| pending.is_named(kind, key)) {
                return Some(found.record.clone());
            }
            find(&view, kind, key).unwrap_or_else(|error| {
                *fault.borrow_mut() = Some(error);
                None
            })
        };
        let list = |kind: RecordKind| {
            self.all(kind).unwrap_or_else(|error| {
                *fault.borrow_mut() = Some(error);
                Vec::new()
            })
        };
        let related = Related { get: &lookup, all: &list };
        let decided = rule(&Facts { now: self.tx.now(), id, number, related });
        if let Some(error) = fault.into_inner() {
            return Err(DeskError::Store(error));
        }
        decided.map_err(DeskError::Invalid)
    }

    /// Returns every record of a kind of which there are few, oldest first.
    fn all(&self, kind: RecordKind) -> Result<Vec<Map<String, Value>>, StoreError> {
        let mut records = self.tx.view().records_before(kind, None, DEFINITIONS_MAX)?;
        records.reverse();
        Ok(records)
    }

    fn check_room(&self, kind: RecordKind) -> Result<(), DeskError> {
        let is_read_whole = matches!(
            kind,
            RecordKind::CustomField | RecordKind::TicketStatus | RecordKind::SlaPolicy
        );
        if !is_read_whole || self.all(kind)?.len() < DEFINITIONS_MAX {
            return Ok(());
        }
        let detail = format!("there are {DEFINITIONS_MAX} of the {} already", kind.name());
        Err(DeskError::Conflict { code: "too_many".to_owned(), detail })
    }

    fn new_id(&self, kind: RecordKind) -> Uid {
        Uid::new(kind.letter(), self.tx.now(), self.tx.random())
    }
}

/// A record that is decided and not yet written.
struct Pending<'r> {
    kind: RecordKind,
    record: &'r Map<String, Value>,
}

impl Pending<'_> {
    fn is_named(&self, kind: RecordKind, key: &str) -> bool {
        let is_id = self.record.get("id").and_then(Value::as_str) == Some(key);
        let lowered = key.to_lowercase();
        let mut keys = rules::unique_keys(kind, self.record).into_iter();
        self.kind == kind && (is_id || keys.any(|unique| unique.value == lowered))
    }
}
