//! Trying again: an attempt after a pause, and a whole run at the wish of its operator.

use std::time::Duration;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::decide::Deciding;
use super::entry::{Entry, Failure, FailureClass};
use super::redo::Redo;
use super::state::Run;
use super::status::Status;
use crate::domain::id::RunId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::workflow::{InDoubt, OnFailure, Retry, Workflow};

/// The longest pause that the other side of a call may ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);

/// Returns the pause before the next attempt, or `None` when no other follows; `made` counts the
/// attempts since the run began last.
pub(super) fn pause(retry: &Retry, made: u32, chance: f64, failure: &Failure) -> Option<Duration> {
    let may_pass = match retry.on.as_slice() {
        [] => failure.class != FailureClass::Terminal,
        named => named.iter().any(|kind| kind.covers(&failure.code)),
    };
    if !may_pass || made >= retry.attempts {
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
    if workflow.around(from).is_none() || (from.contains('[') && run.step(from).is_none()) {
        let problem = Problem::new("/from", "unknown_step", format!("there is no step `{from}`"));
        let known = workflow.all_steps();
        let near = nearest(from, known.iter().map(|step| step.id.as_str()));
        return Some(match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
    let redo = Redo::plan(workflow, run, Some(from));
    let earliest = redo.first.filter(|_| !redo.reached)?;
    let detail = format!("`{from}` comes after `{earliest}`, which has to run first");
    let problem = Problem::new("/from", "step_too_late", detail);
    Some(problem.with_hint(format!("retry from `{earliest}` or from a step before it")))
}

/// Returns the step whose effects stand although `workflow` does not have it.
fn removed<'a>(workflow: &Workflow, run: &'a Run) -> Option<&'a str> {
    let standing = run.standing.iter().map(|index| run.steps[*index].id.as_str());
    standing.into_iter().find(|id| workflow.around(id).is_none())
}

impl Deciding<'_> {
    pub(super) fn pause_before_retry(
        &self,
        step: &str,
        attempt: u32,
        failure: &Failure,
    ) -> Option<Duration> {
        let definition = self.workflow.step_at(step)?;
        if failure.class == FailureClass::InDoubt && definition.in_doubt == Some(InDoubt::Ask) {
            return None; // Somebody says whether it happened, before it is made again.
        }
        let made = attempt.saturating_sub(self.run.step(step)?.spent);
        let chance = chance(self.run.id, step, attempt);
        pause(&definition.retry, made, chance, failure)
    }

    /// Arms another attempt, or does what the step says of its last failure.
    pub(super) fn settle_failure(&mut self, step: String, pause: Option<Duration>) {
        if self.run.is_stopping() || self.is_given_up(&step) {
            return; // Whoever stops the run, or this part of it, decides what follows.
        }
        let Some(definition) = self.workflow.step_at(&step) else { return };
        if let Some(pause) = pause {
            let attempt = self.next_attempt(&step);
            return self.note(Entry::RetryArmed { step, attempt, due: self.now + pause });
        }
        if let Some(kind) = self.incident_of(definition, &step) {
            return self.note(Entry::IncidentOpened { step, kind });
        }
        match definition.on_failure {
            OnFailure::Continue => self.note(Entry::StepContinued { step }),
            policy @ (OnFailure::Abort | OnFailure::Compensate | OnFailure::Pause) => {
                self.pass_on_failure(step, policy);
            }
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
        let redo = Redo::plan(self.workflow, self.run, from.as_deref());
        let from = from.or(redo.first);
        let version = version.unwrap_or(self.run.version);
        let input = input.filter(|input| !input.is_null());
        let mut again = redo.again;
        let all = self.run.steps.iter().map(|step| step.id.as_str());
        again.extend(all.filter(|id| self.workflow.around(id).is_none()).map(str::to_owned));
        let handles = self.run.steps.iter().filter(|state| state.handles);
        for state in handles.filter(|state| self.workflow.around(&state.id).is_some()) {
            again.push(state.id.clone());
        }
        let reopened = redo.reopened;
        self.note(Entry::Resumed { from, again, reopened, by, version, input });
    }
}
