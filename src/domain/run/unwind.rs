//! Undoing: the steps whose effects stand, newest first, each tried a few times.

use serde_json::{Value, json};

use super::decide::Deciding;
use super::entry::{Compensation, Ending, Entry, Failure};
use super::next::unrendered;
use super::retry;
use super::state::{Phase, Run};
use crate::domain::workflow::{UNDO_RETRY, Undo, Workflow};

impl Deciding<'_> {
    /// Begins to undo, or ends the run at once when there is nothing to undo.
    pub(super) fn unwind(&mut self, ending: Ending) {
        if self.step_to_undo().is_none() {
            return self.fail(&ending);
        }
        self.note(Entry::Unwinding { ending });
    }

    /// Goes on until an undo is in flight or the run has ended.
    pub(super) fn undo_next(&mut self) {
        while self.run.phase == Phase::Unwinding && self.run.busy.is_empty() {
            match self.step_to_undo() {
                Some(index) => self.begin_undo(index),
                None => {
                    let ending = self.run.ending.clone().unwrap_or(Ending::Cancelled);
                    self.fail(&ending);
                }
            }
        }
    }

    fn step_to_undo(&self) -> Option<usize> {
        let standing = self.run.standing.iter().rev().copied();
        standing.into_iter().find(|index| self.owes_undo(*index))
    }

    pub(super) fn owes_undo(&self, index: usize) -> bool {
        let step = self.workflow.step_at(&self.run.steps[index].id);
        step.is_some_and(|step| self.run.owes_undo(step, index))
    }

    pub(super) fn begin_undo(&mut self, index: usize) {
        let step = self.run.steps[index].id.clone();
        let made = self.run.steps[index].compensation.attempts.last();
        let attempt = made.map_or(0, |attempt| attempt.number) + 1;
        match self.render_undo(&step) {
            Ok(input) => self.note(Entry::UndoScheduled { step, attempt, input }),
            Err(failure) => self.note(Entry::UndoAbandoned { step, failure }),
        }
    }

    fn render_undo(&mut self, path: &str) -> Result<Value, Failure> {
        let workflow = self.workflow;
        let Some(Undo::Call { input, .. }) = workflow.step_at(path).map(|step| &step.compensate)
        else {
            return Ok(Value::Null);
        };
        if self.run.phase == Phase::Unwinding {
            return self.seen_from(path, |scope| input.render(scope)).map_err(unrendered);
        }
        // Only a part is given up: the run itself has no error.
        let error = self.error_of_part(path);
        self.run.scope.set("error", error);
        let rendered = self.seen_from(path, |scope| input.render(scope));
        self.run.scope.unset("error");
        rendered.map_err(unrendered)
    }

    fn error_of_part(&self, path: &str) -> Value {
        let around = self.around(path);
        let failed = around.iter().find_map(|around| {
            let closings = &self.nest(&around.path)?.closings;
            closings.iter().find(|c| c.holds(around.lane))?.failed.clone()
        });
        match failed {
            Some(step) => json!(self.run.error_of(&Ending::StepFailed { step })),
            None => json!({ "code": "cancelled", "message": "enough other branches had finished" }),
        }
    }

    pub(super) fn undo_failed(&mut self, step: String, attempt: u32, failure: Failure) {
        let spent = self.run.step(&step).map_or(0, |state| state.compensation.spent);
        let made = attempt.saturating_sub(spent);
        let chance = retry::chance(self.run.id, &step, attempt);
        let workflow = self.workflow;
        let retry = match workflow.step_at(&step).map(|step| &step.compensate) {
            Some(Undo::Call { retry, .. }) => retry,
            Some(Undo::Auto | Undo::None) | None => &UNDO_RETRY,
        };
        let pause = retry::pause(retry, made, chance, &failure);
        self.note(Entry::UndoFailed { step: step.clone(), attempt, failure: failure.clone() });
        match pause {
            Some(pause) => {
                let due = self.now + pause;
                self.note(Entry::UndoRetryArmed { step, attempt: attempt + 1, due });
            }
            None => self.note(Entry::UndoAbandoned { step, failure }),
        }
    }
}

impl Run {
    /// Returns the paths of the steps whose undo would be tried again after the end, in that order:
    /// those that were abandoned, or all that stand where the run was set aside before anything was
    /// tried.
    #[must_use]
    pub fn left_to_undo(&self, workflow: &Workflow) -> Vec<String> {
        if self.phase != Phase::Finished || self.compensation != Compensation::Incomplete {
            return Vec::new();
        }
        let abandoned: Vec<String> = self.undo_left().map(|state| state.id.clone()).collect();
        if !abandoned.is_empty() {
            return abandoned;
        }
        let owes = |index: usize| {
            let step = workflow.step_at(&self.steps[index].id);
            step.is_some_and(|step| self.owes_undo(step, index))
        };
        let standing = self.standing.iter().rev().filter(|index| owes(**index));
        standing.map(|index| self.steps[*index].id.clone()).collect()
    }
}
