//! Says why a run is not moving and when it will.

use super::error::Error;
use super::views::{AttemptView, RunView, StepView, WaitingForView};
use crate::domain::id::RunId;
use crate::domain::workflow::Workflow;
use crate::store::tenant::TenantView;

/// How many of the runs before it are named.
const BEHIND_MAX: usize = 100;

/// Completes what a run waits for by what its steps and the runs before it tell.
pub(super) fn complete(
    view: TenantView<'_>,
    workflow: &Workflow,
    concurrency_key: Option<&str>,
    run: &mut RunView,
) -> Result<(), Error> {
    let Some(waiting) = &run.summary.waiting_for else {
        run.summary.waiting_for = call_in_flight(workflow, run);
        return Ok(());
    };
    let mut waiting = waiting.clone();
    match waiting.kind.as_str() {
        "concurrency" => {
            if let Some(key) = concurrency_key {
                let holders = view.runs_of_key(&workflow.name, key)?;
                queue_place(workflow, key, &holders, run.summary.id, &mut waiting);
            }
        }
        "retry" => next_attempt(workflow, run, &mut waiting),
        _ => {} // The words of `reason_of` say all that there is.
    }
    run.summary.waiting_for = Some(waiting);
    Ok(())
}

/// Says in a sentence what lists can say without reading more.
pub(super) fn reason_of(waiting: &WaitingForView) -> String {
    let step = waiting.step.as_ref().map_or_else(String::new, |step| format!(" of step `{step}`"));
    let until = waiting.until.map_or_else(String::new, |until| format!(" until {until}"));
    match waiting.kind.as_str() {
        "start" => "it waits for its turn to begin".to_owned(),
        "concurrency" => "it waits for another run of its concurrency key to end".to_owned(),
        "sleep" => format!("the sleep{step} lasts{until}"),
        "retry" => format!("the next attempt{step} waits{until}"),
        "event" => format!("the event{step} is awaited{until}"),
        "approval" if waiting.approvers.is_empty() => {
            format!("the approval{step} is awaited{until}")
        }
        "approval" => {
            format!("the approval{step} by {} is awaited{until}", waiting.approvers.join(", "))
        }
        "run" => {
            let run = waiting.run.map_or_else(String::new, |run| format!(" {run}"));
            format!("the run{run}{step} has not ended")
        }
        "incident" | "doubt" => {
            let code = waiting.code.as_deref().unwrap_or("failed");
            let since = waiting.since.map_or_else(String::new, |since| format!(" since {since}"));
            match waiting.kind.as_str() {
                "doubt" => format!(
                    "nobody knows whether the call{step} happened ({code}); somebody has to say \
                     so{since}"
                ),
                _ => format!("the failure{step} ({code}) waits for somebody to settle it{since}"),
            }
        }
        kind => format!("it waits for {kind}{step}{until}"),
    }
}

fn queue_place(
    workflow: &Workflow,
    key: &str,
    holders: &[RunId],
    run: RunId,
    waiting: &mut WaitingForView,
) {
    let before: Vec<RunId> = holders.iter().copied().take_while(|holder| *holder < run).collect();
    let limit = workflow.concurrency.as_ref().map_or(1, |concurrency| concurrency.limit);
    let ahead = before.len();
    let place = (ahead + 1).saturating_sub(limit as usize);
    waiting.reason = match place {
        0 => format!("its turn has come in the concurrency key `{key}`; it is about to begin"),
        place => format!(
            "it is number {place} in the queue of the concurrency key `{key}`: {ahead} before it \
             have not ended, and {limit} may be at work"
        ),
    };
    waiting.behind = before.into_iter().take(BEHIND_MAX).collect();
}

fn next_attempt(workflow: &Workflow, run: &RunView, waiting: &mut WaitingForView) {
    let Some(step) = run.steps.iter().find(|step| waiting.step.as_ref() == Some(&step.id)) else {
        return;
    };
    let undo = run.compensations.iter().find(|undo| undo.step == step.id);
    let undo = undo.filter(|_| run.summary.status == "compensating");
    let attempts = undo.map_or(&step.attempts, |undo| &undo.attempts);
    let Some(last) = attempts.last() else { return };
    let number = last.number + 1;
    let why = last.error.as_ref().map_or_else(String::new, |error| format!(": {}", error.message));
    let what = if undo.is_some() { "to undo step" } else { "of step" };
    let until = waiting.until.map_or_else(String::new, |until| format!(" at {until}"));
    let of = match workflow.step_at(&step.id) {
        Some(known) if undo.is_none() => format!(" of {}", known.retry.attempts),
        _ => String::new(), // An undo has attempts of its own.
    };
    waiting.attempt = Some(number);
    waiting.reason = format!(
        "attempt {number}{of} {what} `{}` begins{until}; attempt {} failed{why}",
        step.id, last.number
    );
}

/// A call to the outside that was made, or will be when the tenant's share of calls allows it.
fn call_in_flight(workflow: &Workflow, run: &RunView) -> Option<WaitingForView> {
    let is_open = |attempt: &&AttemptView| attempt.ended_at.is_none();
    let undone = run
        .compensations
        .iter()
        .find_map(|undo| Some((&undo.step, undo.attempts.last().filter(is_open)?, "to undo step")));
    let called = |step: &StepView| step.status == "running";
    let made = run
        .steps
        .iter()
        .filter(|step| called(step))
        .find_map(|step| Some((&step.id, step.attempts.last().filter(is_open)?, "of step")));
    let (step, attempt, what) = undone.or(made)?;
    let timeout = workflow.step_at(step)?.timeout;
    let number = attempt.number;
    let latest = attempt.started_at + timeout;
    Some(WaitingForView {
        kind: "call".to_owned(),
        step: Some(step.clone()),
        attempt: Some(number),
        reason: format!(
            "attempt {number} {what} `{step}` is in flight since {}; it is given up at {latest}",
            attempt.started_at
        ),
        ..WaitingForView::default()
    })
}
