//! The clocks of tickets inside transactions: timed at every change, and told of when they ring.

use serde_json::{Map, Value, json};

use super::{Desk, DeskError};
use crate::activities::Caller;
use crate::domain::desk::{RecordKind, sla, sla_policy};
use crate::domain::time::Timestamp;
use crate::store::alarms::AlarmKind;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

type Record = Map<String, Value>;

impl Desk<'_, '_, '_> {
    /// Returns the ticket `after` with its clocks as they stand now. What they tell is published
    /// once the ticket is written.
    pub(super) fn timed(
        &mut self,
        before: Option<&Record>,
        mut after: Record,
    ) -> Result<Record, DeskError> {
        let policies = self.all(RecordKind::SlaPolicy)?;
        let has_clocks =
            before.is_some_and(|ticket| ticket.get("sla").is_some_and(Value::is_object));
        if policies.is_empty() && !has_clocks {
            return Ok(after);
        }
        let policy = sla_policy::choose(&policies, &after);
        let forgotten = before.filter(|ticket| !is_standing(ticket, &policies)).map(without_clocks);
        let before = forgotten.as_ref().or(before);
        let happening = sla::Happening { before, ticket: &after, now: self.tx.now() };
        let (state, signals) = sla::advance(policy.as_ref(), &happening);
        after.insert("sla".to_owned(), json!(state));
        self.told.extend(sla::events(&after, &signals));
        Ok(after)
    }

    /// Each ticket has one alarm at most: for whatever is due next.
    pub(super) fn move_alarm(&mut self, id: &str, before: Option<&Record>, after: Option<&Record>) {
        let alarm_at = |ticket| sla::state_of(ticket).and_then(|state| state.alarm_at);
        let (old, new) = (alarm_at(before), alarm_at(after));
        if old == new {
            return;
        }
        if let Some(due) = old {
            self.tx.lift_alarm(due, AlarmKind::Sla, id);
        }
        if let Some(due) = new {
            self.tx.set_alarm(due, AlarmKind::Sla, id);
        }
    }
}

/// Returns whether the promise that a ticket's clocks run for is still made.
fn is_standing(ticket: &Record, policies: &[Record]) -> bool {
    sla::state_of(Some(ticket)).is_none_or(|state| {
        policies.iter().any(|policy| {
            policy.get("id") == Some(&json!(state.policy_id))
                && policy.get("isActive") != Some(&json!(false))
        })
    })
}

fn without_clocks(ticket: &Record) -> Record {
    let mut ticket = ticket.clone();
    ticket.insert("sla".to_owned(), Value::Null);
    ticket
}

/// Tells what a ticket's clocks have to tell now that its alarm rang, and sets the next alarm. A
/// ticket that is gone, or whose clocks were moved since, has nothing to tell.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn ring_sla(tx: &mut TenantTx<'_, '_>, caller: &Caller, id: &str) -> Result<(), StoreError> {
    let Some(ticket) = tx.view().record(RecordKind::Ticket, id)? else { return Ok(()) };
    let mut desk = Desk::new(tx, caller);
    let timed = desk.timed(Some(&ticket), ticket.clone()).and_then(|timed| {
        desk.write(RecordKind::Ticket, Some(&ticket), Some(&timed), None)?;
        Ok(timed)
    });
    match timed {
        Ok(timed) => set_again(tx, &timed, id),
        Err(DeskError::Store(error)) => return Err(error),
        // No rule is applied and no key moves, so nothing else can be refused.
        Err(error) => return Err(StoreError::Unavailable(error.to_string())),
    }
    Ok(())
}

/// An alarm that rang before its time, as when the clock was set back, must ring once more.
fn set_again(tx: &mut TenantTx<'_, '_>, ticket: &Record, id: &str) {
    let due: Option<Timestamp> = sla::state_of(Some(ticket)).and_then(|state| state.alarm_at);
    if let Some(due) = due {
        tx.set_alarm(due, AlarmKind::Sla, id);
    }
}
