//! Folds one record into a run: total, deterministic, and the only way in which a run changes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entry::{Compensation, Ending, Entry, Failure, FailureClass, Outcome, Record};
use super::state::{Cancel, Phase, Run};
use super::status::{StepStatus, UndoStatus};
use super::step::{Attempt, AttemptOutcome, StepState, UndoState};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;

impl Run {
    /// Folds one record into the state; `workflow` is the version that the run follows now.
    ///
    /// A journal may tell of steps that only an earlier version had: they are remembered aside.
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
            }
            Entry::DeadlineReached => self.timed_out = true,
            Entry::Unwinding { ending } => self.unwinding(ending),
            Entry::Finished { outcome, compensation, error } => {
                self.finished(*outcome, at);
                self.compensation = *compensation;
                self.error.clone_from(error);
            }
            Entry::Resumed { from, again, version, input, .. } => {
                self.resumed(again);
                self.follow(workflow, *version);
                self.queue(from.as_deref(), input.clone());
            }
            Entry::StepSkipped { step, .. }
            | Entry::StepScheduled { step, .. }
            | Entry::StepSucceeded { step, .. }
            | Entry::StepFailed { step, .. }
            | Entry::RetryArmed { step, .. }
            | Entry::StepContinued { step }
            | Entry::SleepStarted { step, .. }
            | Entry::SleepEnded { step } => self.apply_forward(step, &record.entry, at),
            Entry::UndoScheduled { step, .. }
            | Entry::UndoSucceeded { step, .. }
            | Entry::UndoFailed { step, .. }
            | Entry::UndoRetryArmed { step, .. }
            | Entry::UndoAbandoned { step, .. } => self.apply_backward(step, &record.entry, at),
        }
    }

    fn apply_forward(&mut self, id: &str, entry: &Entry, at: Timestamp) {
        let index = self.step_index(id);
        self.current = index.or(self.current);
        let step = state_of(&mut self.steps, &mut self.former, index, id);
        match entry {
            Entry::StepSkipped { trace, .. } => {
                step.trace = Some(trace.clone());
                self.step_ended(id, StepStatus::Skipped, json!({}), at);
            }
            Entry::StepScheduled { attempt, input, .. } => {
                step.status = StepStatus::Running;
                step.started_at.get_or_insert(at);
                let first = *attempt == step.spent + 1;
                step.attempts.push(Attempt::begun(*attempt, at));
                if first {
                    self.scope.set_step(id, "input", input.clone());
                }
                self.enter(index, |step| Phase::Executing { step, attempt: *attempt });
            }
            Entry::StepSucceeded { attempt, output, undo, .. } => {
                Attempt::succeeded(&mut step.attempts, *attempt, at);
                step.undo = undo.clone();
                step.in_doubt = false;
                self.stands(id);
                self.step_ended(id, StepStatus::Succeeded, output.clone(), at);
            }
            Entry::StepFailed { attempt, failure, .. } => {
                self.step_failed(id, *attempt, failure, at);
            }
            Entry::RetryArmed { attempt, due, .. } => {
                step.status = StepStatus::Retrying;
                self.enter(index, |step| Phase::Pausing { step, attempt: *attempt, due: *due });
            }
            Entry::StepContinued { .. } => {
                step.continued = true;
                self.enter(index, |step| Phase::Ready { next: step + 1 });
            }
            Entry::SleepStarted { until, .. } => {
                step.status = StepStatus::Waiting;
                step.started_at.get_or_insert(at);
                self.enter(index, |step| Phase::Sleeping { step, until: *until });
            }
            Entry::SleepEnded { .. } => {
                step.started_at.get_or_insert(at);
                self.step_ended(id, StepStatus::Succeeded, json!({}), at);
            }
            _ => unreachable!("only entries about a step that runs come here"),
        }
    }

    fn apply_backward(&mut self, id: &str, entry: &Entry, at: Timestamp) {
        let index = self.step_index(id);
        let step = state_of(&mut self.steps, &mut self.former, index, id);
        let undo = &mut step.compensation;
        match entry {
            Entry::UndoScheduled { attempt, input, .. } => {
                undo.status = UndoStatus::Running;
                if *attempt == undo.spent + 1 {
                    undo.input = input.clone();
                }
                undo.attempts.push(Attempt::begun(*attempt, at));
                self.enter(index, |step| Phase::Undoing { step, attempt: *attempt });
            }
            Entry::UndoSucceeded { attempt, output, .. } => {
                Attempt::succeeded(&mut undo.attempts, *attempt, at);
                undo.status = UndoStatus::Done;
                undo.output = output.clone();
                step.undone += 1;
                step.undo = Value::Null;
                step.in_doubt = false;
                self.standing.retain(|standing| Some(*standing) != index);
                self.phase = Phase::Unwinding;
            }
            Entry::UndoFailed { attempt, failure, .. } => {
                Attempt::failed(&mut undo.attempts, *attempt, failure, at);
                self.phase = Phase::Unwinding;
            }
            Entry::UndoRetryArmed { attempt, due, .. } => {
                undo.status = UndoStatus::Retrying;
                self.enter(index, |step| Phase::UndoPausing { step, attempt: *attempt, due: *due });
            }
            Entry::UndoAbandoned { failure, .. } => {
                undo.status = UndoStatus::Abandoned;
                undo.failure = Some(failure.clone());
                self.phase = Phase::Unwinding;
            }
            _ => unreachable!("only entries about a step that is undone come here"),
        }
    }

    /// Changes the phase; a step that only an earlier version had is behind the run already.
    fn enter(&mut self, index: Option<usize>, phase: impl FnOnce(usize) -> Phase) {
        if let Some(index) = index {
            self.phase = phase(index);
        }
    }

    fn started(&mut self, at: Timestamp) {
        self.started_at.get_or_insert(at);
        self.begun_at = Some(at);
        self.scope.set_field("run", "startedAt", json!(self.started_at));
        if let Phase::Queued { from } = self.phase {
            self.phase = Phase::Ready { next: from };
        }
    }

    fn step_ended(&mut self, id: &str, status: StepStatus, output: Value, at: Timestamp) {
        let index = self.step_index(id);
        let step = state_of(&mut self.steps, &mut self.former, index, id);
        step.status = status;
        step.ended_at = Some(at);
        if !self.scope.root()["steps"][id]["error"].is_null() {
            self.scope.set_step(id, "error", Value::Null);
        }
        self.scope.set_step(id, "output", output);
        self.scope.set_step(id, "status", json!(status));
        self.enter(index, |step| Phase::Ready { next: step + 1 });
    }

    fn step_failed(&mut self, id: &str, attempt: u32, failure: &Failure, at: Timestamp) {
        let index = self.step_index(id);
        let step = state_of(&mut self.steps, &mut self.former, index, id);
        Attempt::failed(&mut step.attempts, attempt, failure, at);
        step.status = StepStatus::Failed;
        step.ended_at = Some(at);
        self.scope.set_step(id, "status", json!(StepStatus::Failed));
        self.scope.set_step(id, "error", json!(failure));
        if self.scope.root()["steps"][id]["output"].is_null() {
            self.scope.set_step(id, "output", json!({}));
        }
        self.enter(index, |step| Phase::Ready { next: step });
        if failure.class == FailureClass::InDoubt {
            self.stands(id);
        }
    }

    fn stands(&mut self, id: &str) {
        let index = self.step_index(id);
        let step = state_of(&mut self.steps, &mut self.former, index, id);
        step.in_doubt = step.status == StepStatus::Failed;
        // Whatever was undone before, this effect is new and has not been.
        step.compensation.status = UndoStatus::None;
        self.standing.retain(|standing| Some(*standing) != index);
        self.standing.extend(index);
    }

    fn unwinding(&mut self, ending: &Ending) {
        self.interrupt();
        let error = self.error_of(ending);
        let mut root = json!(error);
        let step = error.step.as_ref().and_then(|step| self.step(step));
        if let Some(failure) = step.and_then(StepState::failure) {
            root["class"] = json!(failure.class);
            root["details"] = Value::clone(&failure.details);
        }
        self.scope.set("error", root);
        self.error = Some(error);
        self.ending = Some(ending.clone());
        self.phase = Phase::Unwinding;
    }

    fn finished(&mut self, outcome: Outcome, at: Timestamp) {
        self.interrupt();
        self.scope.unset("error");
        self.outcome = Some(outcome);
        self.ended_at = Some(at);
        self.phase = Phase::Finished;
    }

    /// Marks the step that slept or paused, and now never goes on, as cancelled.
    fn interrupt(&mut self) {
        if let Phase::Sleeping { step, .. } | Phase::Pausing { step, .. } = self.phase {
            self.steps[step].status = StepStatus::Cancelled;
            self.steps[step].ended_at = Some(self.updated_at);
        }
    }

    fn resumed(&mut self, again: &[String]) {
        for step in self.steps.iter_mut().chain(self.former.values_mut()) {
            step.given = None;
            step.compensation.go_on();
        }
        for id in again {
            let index = self.step_index(id);
            state_of(&mut self.steps, &mut self.former, index, id).begin_anew();
            // What still stands may yet be undone, and its undo reads the output.
            if index.is_none_or(|index| !self.standing.contains(&index)) {
                self.scope.unset_step(id);
            }
        }
        self.cancel = None;
        self.timed_out = false;
        self.ending = None;
        self.outcome = None;
        self.ended_at = None;
        self.error = None;
        self.compensation = Compensation::None;
    }

    /// Takes over the steps of another version; a step keeps what is known of it by its id, also
    /// while a version in between does not have it.
    fn follow(&mut self, workflow: &Workflow, version: u32) {
        let known = std::mem::take(&mut self.steps);
        let stood: Vec<String> =
            self.standing.iter().map(|index| known[*index].id.clone()).collect();
        self.former.extend(known.into_iter().map(|state| (state.id.clone(), state)));
        let former = &mut self.former;
        let state = |id: &str| former.remove(id).unwrap_or_else(|| StepState::new(id));
        self.steps = workflow.steps.iter().map(|step| &*step.id).map(state).collect();
        self.former.retain(|id, state| *state != StepState::new(id));
        self.standing = stood.iter().filter_map(|id| self.step_index(id)).collect();
        self.version = version;
        self.timeout = workflow.timeout;
        self.limited = workflow.concurrency.is_some();
        self.show_workflow(workflow);
    }

    fn queue(&mut self, from: Option<&str>, input: Option<Value>) {
        let from = from.and_then(|id| self.step_index(id)).unwrap_or(self.steps.len());
        if let Some(step) = self.steps.get_mut(from) {
            step.given = input;
        }
        self.current = (from < self.steps.len()).then_some(from);
        self.phase = Phase::Queued { from };
    }
}

/// Returns the state of a step, of one that only an earlier version had too.
fn state_of<'a>(
    steps: &'a mut [StepState],
    former: &'a mut BTreeMap<String, StepState>,
    index: Option<usize>,
    id: &str,
) -> &'a mut StepState {
    match index {
        Some(index) => &mut steps[index],
        None => former.entry(id.to_owned()).or_insert_with(|| StepState::new(id)),
    }
}

impl UndoState {
    /// Makes room for another undoing in a run that goes on; what was abandoned still stands.
    fn go_on(&mut self) {
        if self.status == UndoStatus::Abandoned {
            self.status = UndoStatus::None;
        }
        self.failure = None;
        self.spent = count(&self.attempts);
    }
}

impl StepState {
    fn begin_anew(&mut self) {
        self.status = StepStatus::Pending;
        self.started_at = None;
        self.ended_at = None;
        self.trace = None;
        self.continued = false;
        self.compensation.status = UndoStatus::None;
        self.spent = count(&self.attempts);
    }
}

impl Attempt {
    fn begun(number: u32, at: Timestamp) -> Attempt {
        let outcome = AttemptOutcome::Running;
        Attempt { number, started_at: at, ended_at: None, outcome, failure: None }
    }

    fn succeeded(attempts: &mut [Attempt], number: u32, at: Timestamp) {
        if let Some(attempt) = attempts.iter_mut().rfind(|attempt| attempt.number == number) {
            attempt.ended_at = Some(at);
            attempt.outcome = AttemptOutcome::Succeeded;
        }
    }

    /// Ends the attempt, or records one that could not even begin.
    fn failed(attempts: &mut Vec<Attempt>, number: u32, failure: &Failure, at: Timestamp) {
        if attempts.last().is_none_or(|last| last.number != number) {
            attempts.push(Attempt::begun(number, at));
        }
        let Some(attempt) = attempts.last_mut() else { return };
        attempt.ended_at = Some(at);
        attempt.outcome = match failure.class {
            FailureClass::InDoubt => AttemptOutcome::InDoubt,
            FailureClass::Retryable | FailureClass::Terminal => AttemptOutcome::Failed,
        };
        attempt.failure = Some(failure.clone());
    }
}

fn count(attempts: &[Attempt]) -> u32 {
    u32::try_from(attempts.len()).unwrap_or(u32::MAX)
}
