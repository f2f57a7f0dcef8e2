//! Undoing: the steps whose effects stand, newest first, each tried a few times.

use serde_json::Value;

use super::decide::Decision;
use super::entry::{Ending, Entry, Failure};
use super::next::unrendered;
use super::retry;
use super::state::Phase;
use crate::domain::workflow::Undo;

impl Decision<'_> {
    /// Begins to undo, or ends the run at once when there is nothing to undo.
    pub(super) fn unwind(&mut self, ending: Ending) {
        if self.step_to_undo().is_none() {
            return self.fail(&ending);
        }
        self.note(Entry::Unwinding { ending });
    }

    /// Goes on until an undo is in flight or the run has ended.
    pub(super) fn undo_next(&mut self) {
        while self.run.phase == Phase::Unwinding {
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
        standing.into_iter().find(|index| self.run.owes_undo(&self.workflow.steps[*index], *index))
    }

    fn begin_undo(&mut self, index: usize) {
        let step = self.workflow.steps[index].id.clone();
        let made = self.run.steps[index].compensation.attempts.last();
        let attempt = made.map_or(0, |attempt| attempt.number) + 1;
        match self.render_undo(index) {
            Ok(input) => self.note(Entry::UndoScheduled { step, attempt, input }),
            Err(failure) => self.note(Entry::UndoAbandoned { step, failure }),
        }
    }

    fn render_undo(&self, index: usize) -> Result<Value, Failure> {
        match &self.workflow.steps[index].compensate {
            Undo::Call { input, .. } => input.render(&self.run.scope).map_err(unrendered),
            Undo::Auto | Undo::None => Ok(Value::Null),
        }
    }

    pub(super) fn undo_failed(&mut self, step: String, attempt: u32, failure: Failure) {
        let spent = self.run.step(&step).map_or(0, |state| state.compensation.spent);
        let made = attempt.saturating_sub(spent);
        let chance = retry::chance(self.run.id, &step, attempt);
        let pause = retry::pause(&retry::UNDO_RETRY, made, chance, &failure);
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
