//! A run in memory, and how it moves within a transaction: decide, perform what the platform can
//! do at once, write what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::activities::{Activity, Caller, UndoCall};
use crate::domain::event::{Actor, Cause};
use crate::domain::id::RunId;
use crate::domain::run::{
    Compensation, Deferral, Effect, Entry, Failure, Gate, Incident, Input, Outcome, Record, Run,
    RunError, Status, Work, migration_refusals, retry_refusal,
};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, Priority, Undo, Workflow};
use crate::failpoint;
use crate::store::destinations::DeferredCall;
use crate::store::events::EventKey;
use crate::store::inbox::Notice;
use crate::store::runs::{Given, RunRow};
use crate::store::seam::StoreError;
use crate::store::tasks::TaskId;
use crate::store::tenant::{TenantTx, TenantView};
use crate::store::waits::WaitPlace;

use super::destinations::Hold;
use super::tenant_state::TenantState;

/// How many turns a run takes in one transaction before others have theirs.
const TURNS_MAX: usize = 2_000;

/// A run with what is needed to move it and to write it.
pub(super) struct LiveRun {
    pub(super) run: Run,
    pub(super) workflow: Arc<Workflow>,
    pub(super) event: EventKey,
    pub(super) depth: u32,
    pub(super) concurrency_key: Option<String>,
    /// What it was given beside its event; read and written once.
    pub(super) given: Given,
    pub(super) priority: Priority,
    /// The status in the store; `None` before the first write.
    pub(super) written: Option<Status>,
    /// How many records the journal in the store has.
    pub(super) journal_len: u64,
    /// Records that the store does not have.
    pub(super) unwritten: Vec<Record>,
    /// The deadlines in the store.
    pub(super) deadlines: BTreeSet<Timestamp>,
    /// The run whose step started it.
    pub(super) parent: Option<RunId>,
    /// The waits in the index, by step.
    pub(super) waits: BTreeMap<String, WaitPlace>,
    /// The steps whose waits have just begun, and for which earlier events were looked at.
    pub(super) looked_back: BTreeSet<String>,
    /// The calls in the index that wait for their destination.
    pub(super) deferred: BTreeSet<DeferredCall>,
    /// The approvals in the list, by step.
    pub(super) gates: BTreeMap<String, Gate>,
    /// The tasks in the store, by step.
    pub(super) tasks: BTreeMap<String, TaskId>,
    /// The incidents in the list, by step.
    pub(super) incidents: BTreeMap<String, Incident>,
    /// Whether it was built from the store, and calls that it is owed may have happened.
    pub(super) was_loaded: bool,
    /// Whether there may be notices for it.
    pub(super) has_mail: bool,
    /// Whether it has more to do than fits into one transaction.
    pub(super) is_cut: bool,
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
        let mut next = Some(input);
        self.is_cut = false;
        for turn in 1.. {
            let Some(input) = next.take() else { break };
            failpoint::hit("step.decide");
            let records = self.run.advance(&self.workflow, input, tx.now());
            self.publish_approvals(tenant, tx, &records);
            self.publish_turns(tenant, tx, &records)?;
            self.unwritten.extend(records);
            if turn == TURNS_MAX {
                self.is_cut = true; // What it owes is still owed when it looks again.
                break;
            }
            next = self.perform_inside(tenant, tx)?;
        }
        tenant.shared.traces.mark(tx, &self.run);
        self.write(tenant, tx)
    }

    /// Takes the version that an input names; returns whether the input fits the run as it stands.
    pub(super) fn can_take(
        &mut self,
        tenant: &TenantState,
        view: TenantView<'_>,
        input: &Input,
    ) -> Result<bool, StoreError> {
        let (Input::Retry { version: Some(version), .. } | Input::Migrate { version, .. }) = input
        else {
            return Ok(true);
        };
        let found = tenant.definition(view, &self.workflow.name, *version)?;
        let Some(workflow) = found else { return Ok(false) };
        // After a refusal the run still follows the version that it followed.
        let fits = match input {
            Input::Retry { from, .. } => {
                retry_refusal(&workflow, &self.run, from.as_deref()).is_none()
            }
            _ => migration_refusals(&self.workflow, &workflow, &self.run).is_empty(),
        };
        if fits {
            self.workflow = workflow;
        }
        Ok(fits)
    }

    /// Looks at what others left for it to see.
    pub(super) fn read_mail(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.has_mail) {
            return Ok(());
        }
        for posted in tx.view().notices(self.id())? {
            tx.take_notice(&posted);
            let input = match posted.notice {
                Notice::Event { step, event } => {
                    let Some(stored) = tx.view().event(event)? else { continue };
                    Input::EventCame { step, event: stored.event.to_value() }
                }
                Notice::WorkEnded { step, attempt, work, result } => {
                    self.note_attempt(tenant, &step, &result);
                    Input::WorkEnded { step, attempt, work, result }
                }
                Notice::Stop { by, compensate } => Input::Cancel { by, compensate },
                Notice::UndoAll { by } => Input::UndoAll { by },
                Notice::Retry { by, from, version } => {
                    Input::Retry { by, from, input: None, version }
                }
                Notice::Migrate { by, version } => Input::Migrate { by, version },
                Notice::Look => continue, // What it owes is looked at anyway.
            };
            if self.can_take(tenant, tx.view(), &input)? {
                self.advance(tenant, tx, input)?;
            }
        }
        Ok(())
    }

    /// Goes on where a deadline has come; one that passed during a stop has come too.
    pub(super) fn fire_due(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        self.is_cut = false;
        match self.perform_inside(tenant, tx)? {
            Some(input) => self.advance(tenant, tx, input),
            None => Ok(()),
        }
    }

    /// Writes a run that has not been written or has moved since.
    pub(super) fn write(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        let head = self.run.head();
        let status = head.status;
        // A run that waits for its turn has only its first record, which is the same when made anew.
        if self.written.is_some() && !self.unwritten.is_empty() {
            tenant.note_clock(tx)?;
            tx.append_journal(self.id(), self.journal_len + 1, &self.unwritten);
            self.journal_len += self.unwritten.len() as u64;
            self.unwritten.clear();
        }
        if self.written != Some(status) {
            tx.count_run(&head.workflow, self.written, status);
        }
        let key = self.concurrency_key.clone();
        if self.written.is_none() {
            tx.put_given(self.id(), &self.given);
        }
        let (event, depth, parent) = (self.event, self.depth, self.parent);
        let (concurrency_key, priority) = (key, self.priority);
        let row = RunRow { head, event, depth, concurrency_key, priority, parent };
        tx.put_run(self.written, &row);
        self.keep_concurrency(tx, status);
        // A run that had succeeded may be undone within one transaction.
        let ended = status.is_final() && self.written != Some(status);
        self.written = Some(status);
        self.keep_deadlines(tx);
        self.keep_waits(tenant, tx);
        self.keep_approvals(tx);
        self.keep_tasks(tenant, tx)?;
        self.keep_incidents(tx);
        self.keep_deferred(tx);
        if ended {
            self.tell_parent(tx)?;
        }
        Ok(())
    }

    /// Ends a run that cannot be decided, so that nothing else suffers from it.
    pub(super) fn quarantine(
        &mut self,
        tenant: &TenantState,
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
        self.publish_turns(tenant, tx, std::slice::from_ref(&record))?;
        self.unwritten.push(record);
        self.write(tenant, tx)
    }

    /// Performs the first thing that the run owes and that can be done within the transaction.
    fn perform_inside(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<Option<Input>, StoreError> {
        for effect in self.run.outstanding() {
            let input = match effect {
                Effect::Execute { step, attempt } => self.execute_inside(tenant, tx, step, attempt),
                Effect::Undo { step, attempt } => self.undo_inside(tenant, tx, step, attempt),
                Effect::Wake { at, timer } => {
                    let is_due =
                        at <= tx.now() && !tenant.shared.store.board().clock_is_held(tx.now());
                    is_due.then(|| self.late(tx, at, timer)).transpose()?
                }
                Effect::AwaitEvent { step } => self.look_back(tenant, tx, &step)?,
                Effect::AwaitRun { step, attempt, run } => {
                    self.end_of_child(tenant, tx, step, attempt, run)?
                }
                Effect::StopRun { step, run } => Some(self.stop_child(tx, step, run)),
                Effect::Withdraw { step, attempt } => Some(self.withdraw(tx, step, attempt)?),
                Effect::Start
                | Effect::AwaitDecision { .. }
                | Effect::AwaitResolution { .. }
                | Effect::AwaitWorker { .. } => None,
            };
            if input.is_some() {
                return Ok(input);
            }
        }
        Ok(None)
    }

    fn execute_inside(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        step: String,
        attempt: u32,
    ) -> Option<Input> {
        let (activity, pinned) = match &self.workflow.step_at(&step)?.action {
            Action::Call { activity, version, .. } => (activity, *version),
            Action::Run { .. } => return Some(self.start_child(tenant, tx, step, attempt)),
            Action::Sleep { .. }
            | Action::Wait(_)
            | Action::Branch(_)
            | Action::Each(_)
            | Action::Parallel { .. } => return None,
        };
        let input = self.run.input(&step);
        let outcome = match tenant.find_activity(activity, pinned, self.run.created_at) {
            Ok(Activity::Outside(_)) => return None,
            Ok(Activity::Worker(found)) => match self.caller_of(tenant, tx.view(), activity) {
                Ok(_) => return Some(self.hand_out(&found, (step, attempt), Work::Step, tx.now())),
                Err(failure) => Err(failure),
            },
            Ok(Activity::Platform(found)) => {
                if let Some(hold) = tenant.destinations.held_inside(tx, activity) {
                    tenant.shared.metrics.call_deferred(hold.reason.as_str());
                    return Some(held_inside(step, attempt, activity, hold));
                }
                let caller = self.caller_of(tenant, tx.view(), activity);
                let run = |tx: &mut TenantTx<'_, '_>, by: &Caller| {
                    failpoint::hit("activity.run");
                    found.run(tx, by, input)
                };
                caller.and_then(|by| tx.attempt(|tx| run(tx, &by), panicked))
            }
            Err(failure) => Err(failure),
        };
        let label = if outcome.is_ok() { "succeeded" } else { "failed" };
        tenant.count_attempt(activity, label);
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
        let definition = self.workflow.step_at(&step)?;
        // What was written as the undo is a call like any other; what the platform puts back is not.
        let caller = match &definition.compensate {
            Undo::Call { activity, .. } => self.caller_of(tenant, tx.view(), activity),
            Undo::Auto | Undo::None => Ok(self.restorer(tenant, tx.view())),
        };
        let caller = match caller {
            Ok(caller) => caller,
            Err(failure) => return Some(Input::UndoFailed { step, attempt, failure }),
        };
        let called = match &definition.compensate {
            Undo::Call { activity, version, .. } => {
                Some((activity.clone(), *version, state.compensation.input.clone()))
            }
            Undo::Auto => UndoCall::read(&state.undo).map(|call| (call.activity, None, call.input)),
            Undo::None => None,
        };
        let outcome = match called {
            Some((activity, pinned, input)) => {
                match tenant.find_activity(&activity, pinned, self.run.created_at) {
                    Ok(Activity::Outside(_)) => return None,
                    Ok(Activity::Worker(found)) => {
                        match self.caller_of(tenant, tx.view(), &activity) {
                            Ok(_) => {
                                let of = (step, attempt);
                                return Some(self.hand_out(&found, of, Work::Undo, tx.now()));
                            }
                            Err(failure) => Err(failure),
                        }
                    }
                    Ok(Activity::Platform(found)) => {
                        let undo = |tx: &mut TenantTx<'_, '_>| {
                            failpoint::hit("compensation.begin");
                            found.run(tx, &caller, &input)
                        };
                        tx.attempt(undo, panicked).map(|done| done.output)
                    }
                    Err(failure) => Err(failure),
                }
            }
            None if matches!(definition.action, Action::Run { .. }) => {
                let run = state.undo["run"].as_str().and_then(|id| id.parse().ok())?;
                self.undo_child(tx, run)?
            }
            None => {
                let undo = |tx: &mut TenantTx<'_, '_>| {
                    failpoint::hit("compensation.begin");
                    crate::activities::desk::undo(tx, &caller, &state.undo)
                };
                tx.attempt(undo, panicked)
            }
        };
        failpoint::hit("compensation.end");
        Some(match outcome {
            Ok(output) => Input::Undone { step, attempt, output },
            Err(failure) => Input::UndoFailed { step, attempt, failure },
        })
    }

    pub(super) fn caller(&self, tenant: &TenantState) -> Caller {
        let actor =
            Actor { id: self.id().to_string(), kind: "WORKFLOW".to_owned(), email: String::new() };
        let cause = Cause { run_id: self.id(), depth: self.depth };
        tenant.activities().caller(actor, Some(cause))
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

fn held_inside(step: String, attempt: u32, activity: &str, hold: Hold) -> Input {
    let (Hold { reason, until }, destination) = (hold, activity.to_owned());
    let (undoes, maybe_made) = Default::default();
    let deferral = Deferral { attempt, until, reason, destination, undoes, maybe_made };
    Input::Deferred { step, deferral }
}

fn panicked(message: String) -> Failure {
    Failure::retryable("panic", format!("the activity panicked: {message}"))
}
