//! Folds one record into a run: total, deterministic, and the only way in which a run changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::doing::{Doing, StopAsked};
use super::entry::{Compensation, Deferral, Ending, Entry, Failure, FailureClass, Outcome, Record};
use super::handed::Work;
use super::state::{Cancel, Phase, Run};
use super::status::{StepStatus, UndoStatus};
use super::step::{Attempt, StepState, not_made};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;

impl Run {
    /// Folds one record into the state; `workflow` is the version that the run follows now.
    ///
    /// A journal may tell of steps that only an earlier version had: they are remembered aside.
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of entry")]
    pub fn apply(&mut self, workflow: &Workflow, record: &Record) {
        let at = record.at;
        if self.updated_at != at {
            self.updated_at = at;
            self.scope.set_field("run", "now", json!(at));
        }
        match &record.entry {
            Entry::Created { version, .. } => {
                self.version = *version;
                self.created_at = at;
                self.show_workflow(workflow);
            }
            Entry::Started => self.started(at),
            Entry::CancelRequested { by, compensate } => {
                self.cancel = Some(Cancel { by: by.clone(), compensate: *compensate, at });
                self.stop_waiting();
            }
            Entry::DeadlineReached => {
                self.timed_out = true;
                self.stop_waiting();
            }
            Entry::Stopping { ending } => {
                self.ending = Some(ending.clone());
                self.stop_waiting();
            }
            Entry::Unwinding { ending } => self.unwinding(ending),
            Entry::UndoResumed { steps, .. } => self.undo_resumed(steps),
            Entry::FailureHandled { ending } => self.handling(ending),
            Entry::HandlerFailed { .. } => {
                self.handler_failed = true;
                self.stop_waiting();
            }
            Entry::IncidentOpened { step, kind } => {
                let state = self.touch(step);
                let doing = state.stuck(*kind, at);
                self.does(step, doing);
            }
            Entry::IncidentResolved { step, resolution, .. } => {
                self.incident_resolved(step, resolution, at);
            }
            Entry::Finished { outcome, compensation, error } => {
                self.finished(*outcome, at);
                self.compensation = *compensation;
                self.error.clone_from(error);
            }
            Entry::Resumed { from, again, reopened, version, input, .. } => {
                self.resumed(again, reopened);
                self.follow(workflow, *version);
                self.queue(from.as_deref(), input.clone());
            }
            Entry::Migrated { version, .. } => self.migrated(workflow, *version),
            Entry::StepSkipped { step, .. }
            | Entry::StepScheduled { step, .. }
            | Entry::StepSucceeded { step, .. }
            | Entry::StepFailed { step, .. }
            | Entry::RetryArmed { step, .. }
            | Entry::StepContinued { step }
            | Entry::SleepStarted { step, .. }
            | Entry::SleepEnded { step } => self.apply_forward(step, &record.entry, at),
            Entry::BranchChosen { step, .. }
            | Entry::LoopStarted { step, .. }
            | Entry::ItemStarted { step, .. }
            | Entry::ItemEnded { step, .. }
            | Entry::ParallelStarted { step }
            | Entry::GroupClosing { step, .. }
            | Entry::GroupEnded { step, .. } => self.apply_group(step, &record.entry, at),
            Entry::WaitStarted { step, .. }
            | Entry::WaitEnded { step, .. }
            | Entry::ApprovalRequested { step, .. }
            | Entry::ApprovalReminded { step }
            | Entry::ApprovalEscalated { step, .. }
            | Entry::ApprovalDecided { step, .. }
            | Entry::ChildStarted { step, .. }
            | Entry::ChildStopping { step } => self.apply_wait(step, &record.entry, at),
            Entry::CallDeferred { step, deferral } => self.call_deferred(step, deferral),
            Entry::CallResumed { step, attempt } => self.call_resumed(step, *attempt, at),
            Entry::CallWithdrawn { step, attempt } => {
                self.touch(step).not_made(*attempt);
                self.does(step, Doing::Nothing);
                self.touch(step).cancelled(at);
            }
            Entry::HandedOut { step, .. }
            | Entry::TakingBack { step }
            | Entry::TakenBack { step, .. } => self.apply_handed(step, &record.entry, at),
            Entry::UndoScheduled { step, .. }
            | Entry::UndoSucceeded { step, .. }
            | Entry::UndoFailed { step, .. }
            | Entry::UndoRetryArmed { step, .. }
            | Entry::UndoAbandoned { step, .. } => self.apply_backward(step, &record.entry, at),
        }
    }

    fn apply_forward(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        match entry {
            Entry::StepSkipped { trace, .. } => {
                step.trace = Some(trace.clone());
                self.step_ended(path, StepStatus::Skipped, json!({}), at);
            }
            Entry::StepScheduled { attempt, input, .. } => {
                step.status = StepStatus::Running;
                step.started_at.get_or_insert(at);
                let first = *attempt == step.spent + 1;
                step.maybe_made = false;
                step.attempts.push(Attempt::begun(*attempt, at));
                // An attempt that could not even begin was counted, and left no input.
                let fresh = first || !input.is_null();
                if fresh {
                    self.scope.set_step(path, "input", input.clone());
                }
                self.does(path, Doing::Executing { attempt: *attempt });
            }
            Entry::StepSucceeded { attempt, output, undo, .. } => {
                Attempt::succeeded(&mut step.attempts, *attempt, at);
                step.undo = undo.clone();
                step.in_doubt = false;
                self.stands(path);
                self.step_ended(path, StepStatus::Succeeded, output.clone(), at);
            }
            Entry::StepFailed { attempt, failure, .. } => {
                self.step_failed(path, *attempt, failure, at);
            }
            Entry::RetryArmed { attempt, due, .. } => {
                step.status = StepStatus::Retrying;
                self.does(path, Doing::Pausing { attempt: *attempt, due: *due });
            }
            Entry::StepContinued { .. } => step.continued = true,
            Entry::SleepStarted { until, .. } => {
                step.status = StepStatus::Waiting;
                step.started_at.get_or_insert(at);
                self.does(path, Doing::Sleeping { until: *until });
            }
            Entry::SleepEnded { .. } => {
                step.started_at.get_or_insert(at);
                self.step_ended(path, StepStatus::Succeeded, json!({}), at);
            }
            _ => unreachable!("only entries about a step that runs come here"),
        }
    }

    fn apply_backward(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        let undo = &mut step.compensation;
        match entry {
            Entry::UndoScheduled { attempt, input, .. } => {
                undo.status = UndoStatus::Running;
                if *attempt == undo.spent + 1 || !input.is_null() {
                    undo.input = input.clone();
                }
                undo.attempts.push(Attempt::begun(*attempt, at));
                self.does(path, Doing::Undoing { attempt: *attempt });
            }
            Entry::UndoSucceeded { attempt, output, .. } => {
                Attempt::succeeded(&mut undo.attempts, *attempt, at);
                undo.status = UndoStatus::Done;
                undo.again = false;
                undo.output = output.clone();
                step.undone += 1;
                step.undo = Value::Null;
                step.in_doubt = false;
                let index = self.step_index(path);
                self.standing.retain(|standing| Some(*standing) != index);
                self.does(path, Doing::Nothing);
            }
            Entry::UndoFailed { attempt, failure, .. } => {
                Attempt::failed(&mut undo.attempts, *attempt, failure, at);
                self.does(path, Doing::Nothing);
            }
            Entry::UndoRetryArmed { attempt, due, .. } => {
                undo.status = UndoStatus::Retrying;
                self.does(path, Doing::UndoPausing { attempt: *attempt, due: *due });
            }
            Entry::UndoAbandoned { failure, .. } => {
                undo.status = UndoStatus::Abandoned;
                undo.again = false;
                undo.failure = Some(failure.clone());
                self.does(path, Doing::Nothing);
            }
            _ => unreachable!("only entries about a step that is undone come here"),
        }
    }

    fn call_deferred(&mut self, path: &str, deferral: &Deferral) {
        let step = self.touch(path);
        if deferral.undoes {
            not_made(&mut step.compensation.attempts, deferral.attempt);
        } else {
            step.status = StepStatus::Waiting;
            step.maybe_made = deferral.maybe_made;
            if !deferral.maybe_made {
                step.not_made(deferral.attempt);
            }
        }
        self.does(path, Doing::Deferred(Box::new(deferral.clone())));
    }

    fn call_resumed(&mut self, path: &str, attempt: u32, at: Timestamp) {
        let step = self.touch(path);
        let undoes = matches!(&step.doing, Doing::Deferred(deferral) if deferral.undoes);
        let attempts = match undoes {
            true => &mut step.compensation.attempts,
            false => &mut step.attempts,
        };
        if attempts.last().is_none_or(|last| last.number != attempt) {
            attempts.push(Attempt::begun(attempt, at));
        }
        if undoes {
            return self.does(path, Doing::Undoing { attempt });
        }
        step.status = StepStatus::Running;
        self.does(path, Doing::Executing { attempt });
    }

    /// Returns the state of the step at `path`, where the run stands from here. One of an item
    /// comes into being when it is first told of, and one that only an earlier version had is
    /// behind the run already.
    pub(super) fn touch(&mut self, path: &str) -> &mut StepState {
        let known = self.step_index(path);
        let handles = self.phase == Phase::Handling;
        let is_new = handles || path.contains('[');
        let index = known.or_else(|| is_new.then(|| self.add_step(path)));
        if handles {
            // What the run says of itself is where it failed.
            let state = state_of(&mut self.steps, &mut self.former, index, path);
            state.handles = true;
            return state;
        }
        self.current = index.or(self.current);
        state_of(&mut self.steps, &mut self.former, index, path)
    }

    fn add_step(&mut self, path: &str) -> usize {
        let index = self.steps.len();
        self.steps.push(self.former.remove(path).unwrap_or_else(|| StepState::new(path)));
        self.places.insert(path.to_owned(), index);
        index
    }

    /// Notes what a step does from here.
    pub(super) fn does(&mut self, path: &str, doing: Doing) {
        let index = self.step_index(path);
        if let Some(index) = index {
            if doing.is_busy() {
                self.busy.insert(index);
            } else {
                self.busy.remove(&index);
            }
        }
        state_of(&mut self.steps, &mut self.former, index, path).doing = doing;
    }

    fn started(&mut self, at: Timestamp) {
        self.started_at.get_or_insert(at);
        self.begun_at = Some(at);
        self.scope.set_field("run", "startedAt", json!(self.started_at));
        if self.phase == Phase::Queued {
            self.phase = Phase::Going;
        }
    }

    pub(super) fn step_ended(
        &mut self,
        path: &str,
        status: StepStatus,
        output: Value,
        at: Timestamp,
    ) {
        let index = self.step_index(path);
        let step = state_of(&mut self.steps, &mut self.former, index, path);
        step.status = status;
        step.ended_at = Some(at);
        if !self.scope.root()["steps"][path]["error"].is_null() {
            self.scope.set_step(path, "error", Value::Null);
        }
        self.scope.set_step(path, "output", output);
        self.scope.set_step(path, "status", json!(status));
        self.does(path, Doing::Nothing);
    }

    fn step_failed(&mut self, path: &str, attempt: u32, failure: &Failure, at: Timestamp) {
        let index = self.step_index(path);
        let step = state_of(&mut self.steps, &mut self.former, index, path);
        Attempt::failed(&mut step.attempts, attempt, failure, at);
        step.status = StepStatus::Failed;
        step.ended_at = Some(at);
        self.scope.set_step(path, "status", json!(StepStatus::Failed));
        self.scope.set_step(path, "error", json!(failure));
        if self.scope.root()["steps"][path]["output"].is_null() {
            self.scope.set_step(path, "output", json!({}));
        }
        self.does(path, Doing::Nothing);
        if failure.class == FailureClass::InDoubt {
            self.stands(path);
        }
    }

    pub(super) fn stands(&mut self, path: &str) {
        if self.phase == Phase::Handling {
            return; // What follows a failure is never undone.
        }
        let index = self.step_index(path);
        let step = state_of(&mut self.steps, &mut self.former, index, path);
        step.in_doubt = step.status == StepStatus::Failed;
        // Whatever was undone before, this effect is new and has not been.
        step.compensation.status = UndoStatus::None;
        self.standing.retain(|standing| Some(*standing) != index);
        self.standing.extend(index);
    }

    fn unwinding(&mut self, ending: &Ending) {
        self.interrupt();
        self.show_ending(ending);
        // A run that had succeeded may be undone as well.
        (self.outcome, self.ended_at) = (None, None);
        self.undoes_again = false;
        self.phase = Phase::Unwinding;
    }

    /// Shows expressions why the run ends; it keeps the reason that it knows already.
    pub(super) fn show_ending(&mut self, ending: &Ending) {
        let error = self.error.clone().unwrap_or_else(|| self.error_of(ending));
        let mut root = json!(error);
        let step = error.step.as_ref().and_then(|step| self.step(step));
        if let Some(failure) = step.and_then(StepState::failure) {
            root["class"] = json!(failure.class);
            root["details"] = Value::clone(&failure.details);
        }
        self.scope.set("error", root);
        self.error = Some(error);
        self.ending = Some(ending.clone());
    }

    fn undo_resumed(&mut self, paths: &[String]) {
        for path in paths {
            let index = self.step_index(path);
            let undo = &mut state_of(&mut self.steps, &mut self.former, index, path).compensation;
            undo.again = true;
            undo.go_on();
        }
        if let Some(error) = &self.error {
            self.scope.set("error", json!(error));
        }
        (self.undoes_again, self.ended_at) = (true, None);
        self.phase = Phase::Unwinding;
    }

    fn finished(&mut self, outcome: Outcome, at: Timestamp) {
        self.interrupt();
        self.scope.unset("error");
        self.outcome = Some(outcome);
        self.ended_at = Some(at);
        self.phase = Phase::Finished;
    }

    /// Ends what only waits, now that nothing more is to begin; what is in flight is awaited.
    fn stop_waiting(&mut self) {
        if matches!(self.phase, Phase::Going | Phase::Handling) {
            for index in self.busy.clone() {
                self.halt(index);
            }
        }
    }

    /// Ends the waiting of one step; a run that it waits for is to stop.
    pub(super) fn halt(&mut self, index: usize) {
        let at = self.updated_at;
        let step = &mut self.steps[index];
        match &mut step.doing {
            Doing::AwaitingRun { stop, .. } => {
                if *stop == StopAsked::Not {
                    *stop = StopAsked::Wanted;
                }
                return;
            }
            Doing::AwaitingWorker(handed) => {
                if handed.work == Work::Step && handed.stop == StopAsked::Not {
                    handed.stop = StopAsked::Wanted;
                }
                return;
            }
            Doing::Nothing | Doing::Executing { .. } | Doing::Undoing { .. } => return,
            Doing::Deferred(deferral) if deferral.maybe_made => return,
            Doing::UndoPausing { .. } => {} // It was done; its undoing may be taken up again.
            Doing::Stuck(_) => step.fails(at),
            Doing::Deferred(deferral) if deferral.undoes => {} // The same.
            Doing::Pausing { .. }
            | Doing::Sleeping { .. }
            | Doing::Awaiting { .. }
            | Doing::Deciding(_)
            | Doing::Deferred(_)
            | Doing::Group => step.cancelled(at),
        }
        step.doing = Doing::Nothing;
        self.busy.remove(&index);
    }

    /// Marks the steps that waited, and now never go on, as cancelled.
    pub(super) fn interrupt(&mut self) {
        let at = self.updated_at;
        for step in self.steps.iter_mut().chain(self.former.values_mut()) {
            match std::mem::take(&mut step.doing) {
                Doing::Nothing
                | Doing::Executing { .. }
                | Doing::Undoing { .. }
                | Doing::UndoPausing { .. } => {}
                Doing::AwaitingWorker(handed) if handed.work == Work::Undo => {}
                Doing::Stuck(_) => step.fails(at),
                Doing::Deferred(deferral) if deferral.undoes => {}
                Doing::Pausing { .. }
                | Doing::Sleeping { .. }
                | Doing::Awaiting { .. }
                | Doing::Deciding(_)
                | Doing::Deferred(_)
                | Doing::AwaitingRun { .. }
                | Doing::AwaitingWorker(_)
                | Doing::Group => step.cancelled(at),
            }
        }
        self.busy.clear();
    }

    fn resumed(&mut self, again: &[String], reopened: &[String]) {
        for step in self.steps.iter_mut().chain(self.former.values_mut()) {
            step.given = None;
            step.compensation.go_on();
        }
        for path in again {
            let index = self.step_index(path);
            let state = state_of(&mut self.steps, &mut self.former, index, path);
            state.begin_anew();
            // What follows another failure is told to the outside anew.
            state.undone += u32::from(state.handles);
            // What still stands may yet be undone, and its undo reads the output.
            if index.is_none_or(|index| !self.standing.contains(&index)) {
                self.scope.unset_step(path);
            }
        }
        for path in reopened {
            let index = self.step_index(path);
            state_of(&mut self.steps, &mut self.former, index, path).reopen();
        }
        self.cancel = None;
        self.timed_out = false;
        self.handler_failed = false;
        self.undoes_again = false;
        self.ending = None;
        self.outcome = None;
        self.ended_at = None;
        self.error = None;
        self.compensation = Compensation::None;
    }

    /// Takes over the steps of another version; a step keeps what is known of it by its path, also
    /// while a version in between does not have it.
    pub(super) fn follow(&mut self, workflow: &Workflow, version: u32) {
        let known = std::mem::take(&mut self.steps);
        let stood: Vec<String> =
            self.standing.iter().map(|index| known[*index].id.clone()).collect();
        let of_items: Vec<String> = known[known.len() - self.places.len()..]
            .iter()
            .map(|state| state.id.clone())
            .filter(|path| workflow.around(path).is_some())
            .collect();
        self.former.extend(known.into_iter().map(|state| (state.id.clone(), state)));
        self.places.clear();
        let former = &mut self.former;
        let state = |path: &String| former.remove(path).unwrap_or_else(|| StepState::new(path));
        self.steps = Run::fixed_steps(workflow).iter().map(state).collect();
        for path in of_items {
            self.add_step(&path);
        }
        self.former.retain(|id, state| *state != StepState::new(id));
        self.standing = stood.iter().filter_map(|id| self.step_index(id)).collect();
        self.version = version;
        self.timeout = workflow.timeout;
        self.limited = workflow.concurrency.is_some();
        self.show_workflow(workflow);
    }

    fn queue(&mut self, from: Option<&str>, input: Option<Value>) {
        self.current = from.and_then(|id| self.step_index(id));
        if let Some(index) = self.current {
            self.steps[index].given = input;
        }
        self.phase = Phase::Queued;
    }
}

/// Returns the state of a step, of one that only an earlier version had too.
pub(super) fn state_of<'a>(
    steps: &'a mut [StepState],
    former: &'a mut BTreeMap<String, StepState>,
    index: Option<usize>,
    path: &str,
) -> &'a mut StepState {
    match index {
        Some(index) => &mut steps[index],
        None => former.entry(path.to_owned()).or_insert_with(|| StepState::new(path)),
    }
}
