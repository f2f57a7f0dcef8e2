//! Folds one record into a run: total, deterministic, and the only way in which a run changes.

use serde_json::{Value, json};

use super::entry::{Compensation, Ending, Entry, Failure, FailureClass, Outcome, Record};
use super::state::{Attempt, AttemptOutcome, Cancel, Phase, Run, StepState};
use super::status::{StepStatus, UndoStatus};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;

impl Run {
    /// Folds one record into the state; `workflow` is the version that the run follows now.
    ///
    /// An entry about a step that this version does not have changes nothing but the time.
    pub fn apply(&mut self, workflow: &Workflow, record: &Record) {
        let at = record.at;
        if self.updated_at != at {
            self.updated_at = at;
            self.show_run();
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
            Entry::Resumed { from, version, input, .. } => {
                self.resumed(workflow, from.as_deref(), *version, input.clone());
            }
            Entry::StepSkipped { step, .. }
            | Entry::StepScheduled { step, .. }
            | Entry::StepSucceeded { step, .. }
            | Entry::StepFailed { step, .. }
            | Entry::RetryArmed { step, .. }
            | Entry::StepContinued { step }
            | Entry::SleepStarted { step, .. }
            | Entry::SleepEnded { step } => {
                if let Some(index) = self.step_index(step) {
                    self.apply_forward(index, &record.entry, at);
                }
            }
            Entry::UndoScheduled { step, .. }
            | Entry::UndoSucceeded { step, .. }
            | Entry::UndoFailed { step, .. }
            | Entry::UndoRetryArmed { step, .. }
            | Entry::UndoAbandoned { step, .. } => {
                if let Some(index) = self.step_index(step) {
                    self.apply_backward(index, &record.entry, at);
                }
            }
        }
    }

    fn apply_forward(&mut self, index: usize, entry: &Entry, at: Timestamp) {
        self.current = Some(index);
        let step = &mut self.steps[index];
        match entry {
            Entry::StepSkipped { trace, .. } => {
                step.trace = Some(trace.clone());
                self.step_ended(index, StepStatus::Skipped, json!({}), at);
            }
            Entry::StepScheduled { attempt, input, .. } => {
                step.status = StepStatus::Running;
                step.started_at.get_or_insert(at);
                let first = *attempt == step.spent + 1;
                step.attempts.push(Attempt::begun(*attempt, at));
                if first {
                    self.scope.set_step(&step.id, "input", input.clone());
                }
                self.phase = Phase::Executing { step: index, attempt: *attempt };
            }
            Entry::StepSucceeded { attempt, output, undo, .. } => {
                Attempt::succeeded(&mut step.attempts, *attempt, at);
                step.undo = undo.clone();
                step.in_doubt = false;
                self.stands(index);
                self.step_ended(index, StepStatus::Succeeded, output.clone(), at);
            }
            Entry::StepFailed { attempt, failure, .. } => {
                self.step_failed(index, *attempt, failure, at);
            }
            Entry::RetryArmed { attempt, due, .. } => {
                step.status = StepStatus::Retrying;
                self.phase = Phase::Pausing { step: index, attempt: *attempt, due: *due };
            }
            Entry::StepContinued { .. } => {
                step.continued = true;
                self.phase = Phase::Ready { next: index + 1 };
            }
            Entry::SleepStarted { until, .. } => {
                step.status = StepStatus::Waiting;
                step.started_at.get_or_insert(at);
                self.phase = Phase::Sleeping { step: index, until: *until };
            }
            Entry::SleepEnded { .. } => {
                step.started_at.get_or_insert(at);
                self.step_ended(index, StepStatus::Succeeded, json!({}), at);
            }
            _ => unreachable!("only entries about a step that runs come here"),
        }
    }

    fn apply_backward(&mut self, index: usize, entry: &Entry, at: Timestamp) {
        let step = &mut self.steps[index];
        let undo = &mut step.compensation;
        match entry {
            Entry::UndoScheduled { attempt, input, .. } => {
                undo.status = UndoStatus::Running;
                if *attempt == undo.spent + 1 {
                    undo.input = input.clone();
                }
                undo.attempts.push(Attempt::begun(*attempt, at));
                self.phase = Phase::Undoing { step: index, attempt: *attempt };
            }
            Entry::UndoSucceeded { attempt, output, .. } => {
                Attempt::succeeded(&mut undo.attempts, *attempt, at);
                undo.status = UndoStatus::Done;
                undo.output = output.clone();
                step.undone += 1;
                step.undo = Value::Null;
                step.in_doubt = false;
                self.standing.retain(|standing| *standing != index);
                self.phase = Phase::Unwinding;
            }
            Entry::UndoFailed { attempt, failure, .. } => {
                Attempt::failed(&mut undo.attempts, *attempt, failure, at);
                self.phase = Phase::Unwinding;
            }
            Entry::UndoRetryArmed { attempt, due, .. } => {
                undo.status = UndoStatus::Retrying;
                self.phase = Phase::UndoPausing { step: index, attempt: *attempt, due: *due };
            }
            Entry::UndoAbandoned { failure, .. } => {
                undo.status = UndoStatus::Abandoned;
                undo.failure = Some(failure.clone());
                self.phase = Phase::Unwinding;
            }
            _ => unreachable!("only entries about a step that is undone come here"),
        }
    }

    fn started(&mut self, at: Timestamp) {
        self.started_at.get_or_insert(at);
        self.begun_at = Some(at);
        if let Phase::Queued { from } = self.phase {
            self.phase = Phase::Ready { next: from };
        }
        self.show_run();
    }

    fn step_ended(&mut self, index: usize, status: StepStatus, output: Value, at: Timestamp) {
        let step = &mut self.steps[index];
        if !self.scope.root()["steps"][&step.id]["error"].is_null() {
            self.scope.set_step(&step.id, "error", Value::Null);
        }
        step.status = status;
        step.ended_at = Some(at);
        self.scope.set_step(&step.id, "output", output);
        self.scope.set_step(&step.id, "status", json!(status));
        self.phase = Phase::Ready { next: index + 1 };
    }

    fn step_failed(&mut self, index: usize, attempt: u32, failure: &Failure, at: Timestamp) {
        let step = &mut self.steps[index];
        Attempt::failed(&mut step.attempts, attempt, failure, at);
        step.status = StepStatus::Failed;
        step.ended_at = Some(at);
        self.scope.set_step(&step.id, "status", json!(StepStatus::Failed));
        self.scope.set_step(&step.id, "error", json!(failure));
        if self.scope.root()["steps"][&step.id]["output"].is_null() {
            self.scope.set_step(&step.id, "output", json!({}));
        }
        self.phase = Phase::Ready { next: index };
        if failure.class == FailureClass::InDoubt {
            self.steps[index].in_doubt = true;
            self.stands(index);
        }
    }

    fn stands(&mut self, index: usize) {
        self.standing.retain(|standing| *standing != index);
        self.standing.push(index);
        // Whatever was undone before, this effect is new and has not been.
        self.steps[index].compensation.status = UndoStatus::None;
    }

    fn unwinding(&mut self, ending: &Ending) {
        self.interrupt();
        let error = self.error_of(ending);
        let mut root = json!(error);
        if let Some(failure) = error.step.and_then(|step| self.step(&step)?.failure().cloned()) {
            root["class"] = json!(failure.class);
            root["details"] = failure.details;
        }
        self.scope.set("error", root);
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

    fn resumed(
        &mut self,
        workflow: &Workflow,
        from: Option<&str>,
        version: u32,
        input: Option<Value>,
    ) {
        self.follow(workflow, version);
        let from = from.and_then(|id| self.step_index(id)).unwrap_or(self.steps.len());
        for index in 0..self.steps.len() {
            let standing = self.standing.contains(&index);
            let step = &mut self.steps[index];
            step.given = None;
            if step.compensation.status == UndoStatus::Abandoned {
                step.compensation.status = UndoStatus::None;
            }
            step.compensation.failure = None;
            step.compensation.spent = count(&step.compensation.attempts);
            if index >= from {
                step.begin_anew();
                if !standing {
                    self.scope.unset_step(&self.steps[index].id);
                }
            }
        }
        if let Some(step) = self.steps.get_mut(from) {
            step.given = input;
        }
        self.cancel = None;
        self.timed_out = false;
        self.ending = None;
        self.outcome = None;
        self.ended_at = None;
        self.error = None;
        self.compensation = Compensation::None;
        self.current = (from < self.steps.len()).then_some(from);
        self.phase = Phase::Queued { from };
    }

    /// Takes over the steps of another version; a step keeps what is known of it by its id.
    fn follow(&mut self, workflow: &Workflow, version: u32) {
        let known = std::mem::take(&mut self.steps);
        self.steps = workflow
            .steps
            .iter()
            .map(|step| {
                let state = known.iter().find(|state| state.id == step.id);
                state.cloned().unwrap_or_else(|| StepState::new(&step.id))
            })
            .collect();
        for state in &known {
            if workflow.step_index(&state.id).is_none() {
                self.scope.unset_step(&state.id);
            }
        }
        let stood = std::mem::take(&mut self.standing);
        self.standing =
            stood.iter().filter_map(|index| self.step_index(&known[*index].id)).collect();
        self.version = version;
        self.timeout = workflow.timeout;
        self.limited = workflow.concurrency.is_some();
        self.show_workflow(workflow);
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
