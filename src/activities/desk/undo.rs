//! Undoing what a step changed, field by field, without losing what others changed since.

use serde_json::{Map, Value, json};

use super::index::dependents_of;
use super::{Desk, DeskError};
use crate::activities::Caller;
use crate::domain::desk::RecordKind;
use crate::domain::desk::change::{self, Change, Restored};
use crate::domain::run::Failure;
use crate::store::tenant::TenantTx;

/// Puts back what a step changed, newest change first. `undo` is what the step left; the answer
/// lists each record with what became of it.
///
/// # Errors
/// Fails with `undo_conflict` and the values before, after and now when something was changed again
/// since; nothing is put back then.
pub fn undo(tx: &mut TenantTx<'_, '_>, caller: &Caller, undo: &Value) -> Result<Value, Failure> {
    if undo.is_null() {
        return Ok(json!({ "restored": [] }));
    }
    let changes: Vec<Change> = serde_json::from_value(undo.clone()).map_err(|error| {
        Failure::terminal("undo_unreadable", format!("cannot read what to undo: {error}"))
    })?;
    let mut desk = Desk::new(tx, caller);
    let restored: Result<Vec<Value>, Failure> =
        changes.iter().rev().map(|change| desk.put_back(change)).collect();
    Ok(json!({ "restored": restored? }))
}

impl Desk<'_, '_, '_> {
    fn put_back(&mut self, change: &Change) -> Result<Value, Failure> {
        let kind = change.kind;
        let current = self.tx.view().record(kind, &change.id).map_err(DeskError::from)?;
        let restored = change::undo(current.as_ref(), change).map_err(|conflict| {
            let details = serde_json::to_value(&conflict).expect("a conflict is plain data");
            Failure::terminal("undo_conflict", conflict.to_string()).with_details(details)
        })?;
        let (outcome, after) = match restored {
            Restored::Unchanged => ("unchanged", current.clone()),
            Restored::Write(record) => ("restored", Some(record)),
            Restored::Remove => match self.dependent_on(kind, &change.id)? {
                None => ("removed", None),
                // Somebody who has written again since stays known.
                Some(_) if kind == RecordKind::Contact => ("kept", current.clone()),
                Some((other, id)) => return Err(in_use(change, other, &id)),
            },
        };
        if let (None, Some(record)) = (&current, &after) {
            self.must_have_parent(kind, record)?;
        }
        let after = match after {
            Some(ticket) if kind == RecordKind::Ticket => {
                Some(self.timed(current.as_ref(), ticket)?)
            }
            after => after, // Nothing else has clocks.
        };
        self.write(kind, current.as_ref(), after.as_ref(), None).map_err(conflict)?;
        Ok(json!({ "kind": kind.name(), "id": change.id, "outcome": outcome }))
    }

    fn dependent_on(
        &self,
        kind: RecordKind,
        id: &str,
    ) -> Result<Option<(RecordKind, String)>, DeskError> {
        for other in dependents_of(kind) {
            if let Some(child) = self.tx.view().children(*other, id)?.into_iter().next() {
                return Ok(Some((*other, child)));
            }
        }
        Ok(None)
    }

    fn must_have_parent(
        &self,
        kind: RecordKind,
        record: &Map<String, Value>,
    ) -> Result<(), Failure> {
        if kind != RecordKind::Comment || self.parent_of(kind, Some(record))?.is_some() {
            return Ok(());
        }
        let message = "what the comment was on was deleted since";
        let details = json!({ "conflict": "gone", "id": record.get("entityId") });
        Err(Failure::terminal("undo_conflict", message).with_details(details))
    }
}

fn in_use(change: &Change, other: RecordKind, id: &str) -> Failure {
    let (kind, other) = (change.kind.name(), other.name());
    let message = format!("the {kind} `{}` has the {other} `{id}` now", change.id);
    let details = json!({
        "conflict": "inUse", "kind": kind, "id": change.id, "by": { "kind": other, "id": id },
    });
    Failure::terminal("undo_conflict", message).with_details(details)
}

/// Another record took the place in the meantime.
fn conflict(error: DeskError) -> Failure {
    let is_conflict = matches!(error, DeskError::Conflict { .. });
    let mut failure = Failure::from(error);
    if is_conflict {
        failure.code = "undo_conflict".to_owned();
    }
    failure
}
