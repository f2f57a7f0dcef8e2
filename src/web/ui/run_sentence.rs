//! How a run stands, in one sentence of plain English.

use super::parts::moment::span;
use super::runs::reason;
use crate::app::views::{RunView, StepView};

/// Says in a sentence how the run stands.
pub(super) fn sentence(run: &RunView) -> String {
    let summary = &run.summary;
    let place = place(run);
    let at = if place.is_empty() { String::new() } else { format!(" at {place}") };
    match summary.status.as_str() {
        "queued" => "Queued, waiting for its turn".to_owned(),
        "running" if place.is_empty() => "Running".to_owned(),
        "running" => format!("Running {place} of {}", summary.steps_total),
        "retrying" => format!("Retrying {place}{}", tries_so_far(run)),
        "waiting" => {
            let kind = summary.waiting_for.as_ref().map(|waiting| reason(&waiting.kind));
            format!("Waiting{at}: {}", kind.unwrap_or_else(|| "asleep".to_owned()))
        }
        "compensating" if !run.aftermath.on_failure.is_empty() => {
            format!("Failed{at}; the steps that follow a failure are at work{}", undone(run))
        }
        "compensating" => format!("Undoing after it failed{at}; {}", undone_so_far(run)),
        "succeeded" => succeeded(run),
        "failed" => format!("Failed{at}{}{}", after_attempts(run), undone(run)),
        "cancelled" => format!("Cancelled{at}{}", undone(run)),
        other => super::parts::mark::capital(other),
    }
}

/// Names the step where the run stands or failed: `step 2 notify`.
pub(super) fn place(run: &RunView) -> String {
    let failed = run.summary.error.as_ref().and_then(|error| error.step.as_ref());
    let Some(id) = failed.or(run.summary.current_step.as_ref()) else {
        return String::new();
    };
    match run.steps.iter().position(|step| &step.id == id) {
        Some(index) if run.steps[index].depth == 0 => {
            let before = run.steps[..index].iter().filter(|step| step.depth == 0).count();
            format!("step {} {id}", before + 1)
        }
        Some(_) | None => format!("step {id}"),
    }
}

pub(super) fn stands(run: &RunView) -> Option<&StepView> {
    let failed = run.summary.error.as_ref().and_then(|error| error.step.as_ref());
    let id = failed.or(run.summary.current_step.as_ref())?;
    run.steps.iter().find(|step| &step.id == id)
}

pub(super) fn after_attempts(run: &RunView) -> String {
    match stands(run).map_or(0, |step| step.attempts.len()) {
        0 | 1 => String::new(),
        many => format!(" after {many} attempts"),
    }
}

pub(super) fn tries_so_far(run: &RunView) -> String {
    match stands(run).map_or(0, |step| step.attempts.len()) {
        0 => String::new(),
        many => format!("; {} failed", counted(many, "attempt")),
    }
}

pub(super) fn succeeded(run: &RunView) -> String {
    let skipped = run.steps.iter().filter(|step| step.status == "skipped").count();
    let took = span(run.summary.duration_ms);
    match skipped {
        0 => format!("Succeeded in {took}"),
        some => format!("Succeeded in {took}; {} skipped", counted(some, "step")),
    }
}

pub(super) fn undone_so_far(run: &RunView) -> String {
    let done = run.compensations.iter().filter(|undo| undo.status == "done").count();
    let begun = run.steps.iter().filter(|step| step.compensation.is_some()).count();
    let all = begun.max(run.compensations.len());
    format!("{done} of {} undone", counted(all, "step"))
}

pub(super) fn undone(run: &RunView) -> String {
    let done = run.compensations.iter().filter(|undo| undo.status == "done").count();
    let broken = run.compensations.iter().filter(|undo| undo.status == "failed").count();
    match (done, broken) {
        (0, 0) => String::new(),
        (done, 0) => format!("; {} undone", counted(done, "step")),
        (done, broken) => format!("; {} undone, {broken} could not be", counted(done, "step")),
    }
}

pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
