//! Trying again: an attempt after a pause, and a whole run at the wish of its operator.

use std::time::Duration;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::decide::Decision;
use super::entry::{Ending, Entry, Failure, FailureClass};
use super::state::Run;
use super::status::{Status, StepStatus, UndoStatus};
use super::step::StepState;
use crate::domain::id::RunId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::workflow::{OnFailure, Retry, Workflow};

/// How often an undo is tried, whatever the step says of itself.
pub const UNDO_RETRY: Retry = Retry::DEFAULT;

/// The longest pause that the other side of a call may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Returns the pause before the next attempt, or `None` when no other follows; `made` counts the
/// attempts since the run began last.
pub(super) fn pause(retry: &Retry, made: u32, chance: f64, failure: &Failure) -> Option<Duration> {
    if failure.class == FailureClass::Terminal || made >= retry.attempts {
        return None;
    }
    let asked = failure.retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    Some(retry.pause_after(made, chance).max(asked))
}

/// Returns a number in 0..=1 that is always the same for the same attempt.
pub(super) fn chance(run: RunId, step: &str, attempt: u32) -> f64 {
    let mut bytes = run.to_bytes().to_vec();
    bytes.extend_from_slice(&attempt.to_be_bytes());
    bytes.extend_from_slice(step.as_bytes());
    (xxh3_64(&bytes) >> 11) as f64 / ((1_u64 << 53) - 1) as f64
}

/// Returns why the run cannot go on from the step `from`, or `None` when it can; `workflow` is the
/// version to go on with. The pointer is into the request to retry.
#[must_use]
pub fn retry_refusal(workflow: &Workflow, run: &Run, from: Option<&str>) -> Option<Problem> {
    if !matches!(run.status(), Status::Failed | Status::Cancelled) {
        let detail = format!("the run is {}", run.status().as_str());
        let problem = Problem::new("", "not_retryable", detail);
        return Some(problem.with_hint("only a run that failed or was cancelled can be retried"));
    }
    if let Some(step) = removed(workflow, run) {
        let detail = format!("this version has no step `{step}`, whose effects stand in the run");
        let problem = Problem::new("/version", "step_removed", detail);
        return Some(problem.with_hint("retry with a version that has it, or restart the run"));
    }
    let from = from?;
    let Some(index) = workflow.step_index(from) else {
        let problem = Problem::new("/from", "unknown_step", format!("there is no step `{from}`"));
        let near = nearest(from, workflow.steps.iter().map(|step| step.id.as_str()));
        return Some(match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    };
    let earliest = earliest_unsettled(workflow, run)?;
    if index <= earliest {
        return None;
    }
    let earliest = &workflow.steps[earliest].id;
    let detail = format!("`{from}` comes after `{earliest}`, which has to run first");
    let problem = Problem::new("/from", "step_too_late", detail);
    Some(problem.with_hint(format!("retry from `{earliest}` or from a step before it")))
}

/// Returns the step whose effects stand although `workflow` does not have it.
fn removed<'a>(workflow: &Workflow, run: &'a Run) -> Option<&'a str> {
    let standing = run.standing.iter().map(|index| run.steps[*index].id.as_str());
    standing.into_iter().find(|id| workflow.step_index(id).is_none())
}

/// Returns the position of the first step that has not finished or was undone.
fn earliest_unsettled(workflow: &Workflow, run: &Run) -> Option<usize> {
    workflow
        .steps
        .iter()
        .position(|step| !run.step(&step.id).is_some_and(|state| state.is_settled()))
}

impl Decision<'_> {
    pub(super) fn pause_before_retry(
        &self,
        step: &str,
        attempt: u32,
        failure: &Failure,
    ) -> Option<Duration> {
        let index = self.run.step_index(step)?;
        let made = attempt.saturating_sub(self.run.steps[index].spent);
        let chance = chance(self.run.id, step, attempt);
        pause(&self.workflow.steps[index].retry, made, chance, failure)
    }

    /// Arms another attempt, or does what the step says of its last failure.
    pub(super) fn settle_failure(&mut self, step: String, pause: Option<Duration>) {
        if self.run.is_stopping() {
            return; // Whoever stops the run decides what follows.
        }
        let Some(index) = self.run.step_index(&step) else { return };
        if let Some(pause) = pause {
            let attempt = self.run.steps[index].attempts.last().map_or(0, |last| last.number) + 1;
            return self.note(Entry::RetryArmed { step, attempt, due: self.now + pause });
        }
        match self.workflow.steps[index].on_failure {
            OnFailure::Continue => self.note(Entry::StepContinued { step }),
            OnFailure::Abort => self.fail(&Ending::StepFailed { step }),
            OnFailure::Compensate => self.unwind(Ending::StepFailed { step }),
        }
    }

    pub(super) fn resume(
        &mut self,
        by: String,
        from: Option<String>,
        input: Option<Value>,
        version: Option<u32>,
    ) {
        if retry_refusal(self.workflow, self.run, from.as_deref()).is_some() {
            return;
        }
        let earliest = earliest_unsettled(self.workflow, self.run);
        let from = from.or_else(|| Some(self.workflow.steps[earliest?].id.clone()));
        let version = version.unwrap_or(self.run.version);
        let input = input.filter(|input| !input.is_null());
        let again = again(self.workflow, self.run, from.as_deref());
        self.note(Entry::Resumed { from, again, by, version, input });
    }
}

/// Returns the steps to forget: those from `from` on that have begun, and those that are gone.
fn again(workflow: &Workflow, run: &Run, from: Option<&str>) -> Vec<String> {
    let onward = workflow.steps.iter().map(|step| step.id.as_str());
    let onward = onward.skip_while(|id| Some(*id) != from);
    let touched = |state: &StepState| {
        state.status != StepStatus::Pending || state.compensation.status != UndoStatus::None
    };
    let begun = onward.filter(|id| run.step(id).is_some_and(touched));
    let all = run.steps.iter().map(|step| step.id.as_str());
    let gone = all.filter(|id| workflow.step_index(id).is_none());
    begun.chain(gone).map(str::to_owned).collect()
}
