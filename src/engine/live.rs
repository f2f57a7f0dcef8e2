//! A run in memory, and how it moves within a transaction: decide, perform what the platform can
//! do at once, write what was recorded.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::activities::{Activity, Caller};
use crate::domain::event::{Actor, Cause};
use crate::domain::id::RunId;
use crate::domain::run::{
    Compensation, Effect, Entry, Failure, Input, Outcome, Record, Run, RunError, Status,
};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, Undo, Workflow};
use crate::store::events::EventKey;
use crate::store::runs::RunRow;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::tenant_state::TenantState;

/// More turns than any run needs in one transaction; a run that takes more is broken.
const TURNS_MAX: usize = 20_000;

/// A run with what is needed to move it and to write it.
pub(super) struct LiveRun {
    pub(super) run: Run,
    pub(super) workflow: Arc<Workflow>,
    pub(super) event: EventKey,
    pub(super) depth: u32,
    pub(super) concurrency_key: Option<String>,
    /// The status in the store; `None` before the first write.
    pub(super) written: Option<Status>,
    /// How many records the journal in the store has.
    pub(super) journal_len: u64,
    /// Records that the store does not have.
    pub(super) unwritten: Vec<Record>,
    /// The deadlines in the store.
    pub(super) deadlines: BTreeSet<Timestamp>,
}

impl LiveRun {
    pub(super) fn id(&self) -> RunId {
        self.run.id
    }

    /// Feeds one input to the run, carries out whatever it then owes to the platform's records,
    /// and writes all of it.
    pub(super) fn advance(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        input: Input,
    ) -> Result<(), StoreError> {
        let mut inputs = VecDeque::from([input]);
        for _ in 0..TURNS_MAX {
            let Some(input) = inputs.pop_front() else { break };
            let records = self.run.advance(&self.workflow, input, tx.now());
            self.unwritten.extend(records);
            inputs.extend(self.perform_inside(tenant, tx));
        }
        self.write(tx)
    }

    /// Goes on where a deadline has come; one that passed during a stop has come too.
    pub(super) fn fire_due(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        match self.perform_inside(tenant, tx) {
            Some(input) => self.advance(tenant, tx, input),
            None => Ok(()),
        }
    }

    /// Writes a run that has not been written or has moved since.
    pub(super) fn write(&mut self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        let head = self.run.head();
        let status = head.status;
        // A run that waits for its turn has only its first record, which is the same when made anew.
        if self.written.is_some() && !self.unwritten.is_empty() {
            tx.append_journal(self.id(), self.journal_len + 1, &self.unwritten);
            self.journal_len += self.unwritten.len() as u64;
            self.unwritten.clear();
        }
        if self.written != Some(status) {
            tx.count_run(&head.workflow, self.written, status);
        }
        let key = self.concurrency_key.clone();
        let row = RunRow { head, event: self.event, depth: self.depth, concurrency_key: key };
        tx.put_run(self.written, &row);
        self.keep_concurrency(tx, status);
        self.written = Some(status);
        self.keep_deadlines(tx);
        Ok(())
    }

    /// Ends a run that cannot be decided, so that nothing else suffers from it.
    pub(super) fn quarantine(
        &mut self,
        tx: &mut TenantTx<'_, '_>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let undone = if self.run.standing.is_empty() {
            Compensation::None
        } else {
            Compensation::Incomplete
        };
        let error = RunError {
            step: self.run.current.and_then(|at| Some(self.run.steps.get(at)?.id.clone())),
            code: "quarantined".to_owned(),
            message: reason.to_owned(),
            in_doubt: false,
        };
        let entry =
            Entry::Finished { outcome: Outcome::Failed, compensation: undone, error: Some(error) };
        let record = Record { at: tx.now(), entry };
        self.run.apply(&self.workflow, &record);
        self.unwritten.push(record);
        self.write(tx)
    }

    /// Performs the first thing that the run owes and that can be done within the transaction.
    fn perform_inside(&self, tenant: &TenantState, tx: &mut TenantTx<'_, '_>) -> Option<Input> {
        self.run.outstanding().into_iter().find_map(|effect| match effect {
            Effect::Execute { step, attempt } => self.execute_inside(tenant, tx, step, attempt),
            Effect::Undo { step, attempt } => self.undo_inside(tenant, tx, step, attempt),
            Effect::Wake { at, timer } if at <= tx.now() => Some(Input::TimerFired { at, timer }),
            Effect::Wake { .. } | Effect::Start => None,
        })
    }

    fn execute_inside(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        step: String,
        attempt: u32,
    ) -> Option<Input> {
        let Action::Call { activity, .. } = &self.workflow.steps[self.position(&step)?].action
        else {
            return None;
        };
        let input = self.run.input(&step);
        let outcome = match tenant.activities().find(activity) {
            Some(Activity::Outside(_)) => return None,
            Some(Activity::Platform(found)) => {
                tx.attempt(|tx| found.run(tx, &self.caller(tenant), input), panicked)
            }
            None => Err(unknown_activity(activity)),
        };
        let label = if outcome.is_ok() { "succeeded" } else { "failed" };
        tenant.shared.metrics.attempt_ended(activity, label);
        Some(match outcome {
            Ok(done) => Input::Completed { step, attempt, output: done.output, undo: done.undo },
            Err(failure) => Input::Failed { step, attempt, failure },
        })
    }

    fn undo_inside(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        step: String,
        attempt: u32,
    ) -> Option<Input> {
        let state = self.run.step(&step)?;
        let caller = self.caller(tenant);
        let outcome = match &self.workflow.steps[self.position(&step)?].compensate {
            Undo::Call { activity, .. } => match tenant.activities().find(activity) {
                Some(Activity::Outside(_)) => return None,
                Some(Activity::Platform(found)) => tx
                    .attempt(|tx| found.run(tx, &caller, &state.compensation.input), panicked)
                    .map(|done| done.output),
                None => Err(unknown_activity(activity)),
            },
            Undo::Auto | Undo::None => {
                tx.attempt(|tx| crate::activities::desk::undo(tx, &caller, &state.undo), panicked)
            }
        };
        Some(match outcome {
            Ok(output) => Input::Undone { step, attempt, output },
            Err(failure) => Input::UndoFailed { step, attempt, failure },
        })
    }

    fn caller(&self, tenant: &TenantState) -> Caller {
        let actor =
            Actor { id: self.id().to_string(), kind: "WORKFLOW".to_owned(), email: String::new() };
        let cause = Cause { run_id: self.id(), depth: self.depth };
        tenant.activities().caller(actor, Some(cause))
    }

    fn position(&self, step: &str) -> Option<usize> {
        self.workflow.step_index(step)
    }

    fn keep_concurrency(&self, tx: &mut TenantTx<'_, '_>, status: Status) {
        let Some(key) = &self.concurrency_key else { return };
        match (self.written, status.is_final()) {
            (None, _) => tx.hold_key(&self.workflow.name, key, self.id()),
            (Some(before), true) if !before.is_final() => {
                tx.release_key(&self.workflow.name, key, self.id());
            }
            (Some(before), false) if before.is_final() => {
                tx.hold_key(&self.workflow.name, key, self.id());
            }
            (Some(_), _) => {}
        }
    }

    fn keep_deadlines(&mut self, tx: &mut TenantTx<'_, '_>) {
        let owed: BTreeSet<Timestamp> = deadlines_of(&self.run);
        for due in self.deadlines.difference(&owed) {
            tx.lift_timer(*due, self.run.id);
        }
        for due in owed.difference(&self.deadlines) {
            tx.set_timer(*due, self.run.id);
        }
        self.deadlines = owed;
    }
}

/// Returns the deadlines that a run owes, which are the ones that the store has for it.
pub(super) fn deadlines_of(run: &Run) -> BTreeSet<Timestamp> {
    let wakes = run.outstanding().into_iter();
    wakes
        .filter_map(|effect| if let Effect::Wake { at, .. } = effect { Some(at) } else { None })
        .collect()
}

fn panicked(message: String) -> Failure {
    Failure::retryable("panic", format!("the activity panicked: {message}"))
}

fn unknown_activity(activity: &str) -> Failure {
    Failure::terminal("unknown_activity", format!("there is no activity `{activity}` any more"))
}
