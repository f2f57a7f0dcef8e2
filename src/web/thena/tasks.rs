//! Tasks: one for each attempt, each sleep and each compensation of a run.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::super::api::runs::run_id;
use super::super::auth::Caller;
use super::super::error::{Answer, ApiError};
use crate::app::App;
use crate::app::principal::Principal;
use crate::app::views::{
    AttemptView, CompensationView, JournalEntryView, RunView, StepErrorView, StepView,
};
use crate::domain::time::Timestamp;

const SLEEP: &str = "workflows:sleep-platform";
const WAIT: &str = "workflows:wait-for-event-platform";
const RUN: &str = "workflows:run-workflow-platform";
/// Failures that say that the caller may not do it, whoever asks again.
const UNAUTHORIZED: [&str; 9] = [
    "app_not_installed",
    "app_lacks_scope",
    "unauthorized",
    "forbidden",
    "missing_scope",
    "not_authed",
    "invalid_auth",
    "http_401",
    "http_403",
];

pub(super) async fn list(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
) -> Answer {
    Ok(HttpResponse::Ok().json(listed(&app, &who, &id)?))
}

/// Returns the tasks of an execution.
pub(super) fn listed(app: &App, who: &Principal, id: &str) -> Result<Value, ApiError> {
    let id = run_id(id)?;
    let tasks = tasks(&app.run(who, id)?, &app.journal(who, id)?);
    Ok(json!({ "data": tasks }))
}

/// Returns Thena's identifier of a step: a number where it was one.
pub(super) fn step_identifier(id: &str) -> Value {
    let digits = id.strip_prefix("step_").unwrap_or_default();
    match digits.parse::<u32>() {
        // `step_007` is no spelling of 7.
        Ok(number) if number.to_string() == digits => json!(number),
        _ => json!(id),
    }
}

struct Task {
    id: String,
    step: Value,
    activity: String,
    status: &'static str,
    input: Value,
    result: Value,
    error: Option<StepErrorView>,
    is_retry: bool,
    is_compensation: bool,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    updated_at: Timestamp,
}

impl Task {
    fn show(self) -> Value {
        let took = self.started_at.zip(self.ended_at).map(|(from, to)| to.since(from));
        json!({
            "id": self.id,
            "stepIdentifier": self.step,
            "activity": self.activity,
            "status": self.status,
            "input": self.input,
            "result": self.result,
            "error": self.error,
            "isRetry": self.is_retry,
            "isCompensation": self.is_compensation,
            "executionTime": took.map(|took| took.as_secs_f64()),
            "startedAt": self.started_at,
            "lastUpdatedAt": self.updated_at,
        })
    }
}

fn tasks(run: &RunView, journal: &[JournalEntryView]) -> Vec<Value> {
    let mut tasks = Vec::new();
    for step in &run.steps {
        tasks.extend(attempts(run, step));
        tasks.extend(sleeps(run, step, journal));
        tasks.extend(approval(run, step));
        tasks.extend(to_come(run, step));
    }
    for undo in &run.compensations {
        tasks.extend(undo_attempts(run, undo));
    }
    tasks.extend(undos_to_come(run));
    // In the order in which they began, what has not begun last; a retry of a run interleaves them.
    tasks.sort_by_key(|task| (task.started_at.is_none(), task.started_at));
    tasks.into_iter().map(Task::show).collect()
}

fn attempts<'a>(run: &'a RunView, step: &'a StepView) -> impl Iterator<Item = Task> + 'a {
    step.attempts.iter().map(move |attempt| Task {
        input: input(step),
        ..task(run, &step.id, activity(step), attempt, step.output.as_ref())
    })
}

fn undo_attempts<'a>(
    run: &'a RunView,
    undo: &'a CompensationView,
) -> impl Iterator<Item = Task> + 'a {
    undo.attempts.iter().map(move |attempt| {
        let task = task(run, &undo.step, undoing(run, undo), attempt, undo.output.as_ref());
        Task {
            id: format!("{}-{}-undo-{}", run.summary.id, undo.step, attempt.number),
            input: undo.input.clone().unwrap_or_default(),
            is_compensation: true,
            ..task
        }
    })
}

fn task(
    run: &RunView,
    step: &str,
    activity: &str,
    attempt: &AttemptView,
    output: Option<&Value>,
) -> Task {
    let finished = attempt.outcome == "succeeded";
    Task {
        id: format!("{}-{step}-{}", run.summary.id, attempt.number),
        step: step_identifier(step),
        activity: activity.to_owned(),
        status: status(attempt),
        input: Value::Null,
        result: output.filter(|_| finished).cloned().unwrap_or_default(),
        error: attempt.error.clone(),
        is_retry: attempt.number > 1,
        is_compensation: false,
        started_at: Some(attempt.started_at),
        ended_at: attempt.ended_at,
        updated_at: attempt.ended_at.unwrap_or(attempt.started_at),
    }
}

fn status(attempt: &AttemptView) -> &'static str {
    let code = attempt.error.as_ref().map(|error| error.code.as_str());
    match attempt.outcome.as_str() {
        "running" => "STARTED",
        "succeeded" => "FINISHED",
        _ if code.is_some_and(|code| UNAUTHORIZED.contains(&code)) => "UNAUTHORIZED",
        _ => "FAILED", // Failed, or nobody knows what came of it.
    }
}

/// A sleep and a wait are no attempts: the journal alone says when they began and ended.
fn sleeps(run: &RunView, step: &StepView, journal: &[JournalEntryView]) -> Vec<Task> {
    let mut slept: Vec<(Timestamp, Option<Timestamp>)> = Vec::new();
    for record in journal.iter().filter(|record| record.entry["step"] == step.id.as_str()) {
        match record.entry["type"].as_str() {
            Some("sleepStarted" | "waitStarted") => slept.push((record.at, None)),
            Some("sleepEnded" | "waitEnded") => match slept.last_mut() {
                Some((_, ended @ None)) => *ended = Some(record.at),
                _ => slept.push((record.at, Some(record.at))), // It was no pause at all.
            },
            _ => {} // Not about a sleep or a wait.
        }
    }
    let sleeps = (1..).zip(slept).map(|(number, (started_at, ended_at))| {
        let (status, ended_at) = match ended_at {
            Some(_) => ("FINISHED", ended_at),
            None if step.status == "waiting" => ("STARTED", None),
            None => ("FAILED", run.summary.ended_at), // Somebody stopped it.
        };
        Task {
            id: format!("{}-{}-sleep-{number}", run.summary.id, step.id),
            step: step_identifier(&step.id),
            activity: activity(step).to_owned(),
            status,
            input: input(step),
            result: Value::Null,
            error: None,
            is_retry: number > 1,
            is_compensation: false,
            started_at: Some(started_at),
            ended_at,
            updated_at: ended_at.unwrap_or(started_at),
        }
    });
    sleeps.collect()
}

/// Shows a step that somebody must approve before it has its first attempt.
fn approval(run: &RunView, step: &StepView) -> Option<Task> {
    let approval = step.approval.as_ref().filter(|approval| approval.status == "pending")?;
    Some(Task {
        id: format!("{}-{}-approval", run.summary.id, step.id),
        step: step_identifier(&step.id),
        activity: activity(step).to_owned(),
        status: "AWAITING_USER_INPUT",
        input: input(step),
        started_at: Some(approval.requested_at),
        updated_at: approval.requested_at,
        ..scheduled(run, None)
    })
}

/// Returns the attempt that follows: the next of a step that is retried, or the first of the step
/// that is next.
fn to_come(run: &RunView, step: &StepView) -> Option<Task> {
    let is_next = || {
        let forward = matches!(run.summary.status.as_str(), "queued" | "running");
        let first = run.steps.iter().find(|step| step.status == "pending");
        forward && !is_busy(run) && first.is_some_and(|first| first.id == step.id)
    };
    let is_due = step.status == "retrying" || (step.status == "pending" && is_next());
    let last = step.attempts.last();
    is_due.then(|| {
        let number = last.map_or(1, |attempt| attempt.number + 1);
        Task {
            id: format!("{}-{}-{number}", run.summary.id, step.id),
            step: step_identifier(&step.id),
            activity: activity(step).to_owned(),
            input: input(step),
            is_retry: number > 1,
            ..scheduled(run, last)
        }
    })
}

fn is_busy(run: &RunView) -> bool {
    run.steps.iter().any(|step| matches!(step.status.as_str(), "running" | "retrying" | "waiting"))
}

fn undos_to_come(run: &RunView) -> impl Iterator<Item = Task> + '_ {
    let again = run.compensations.iter().filter(|undo| undo.status == "retrying").map(|undo| {
        let number = undo.attempts.last().map_or(1, |attempt| attempt.number + 1);
        Task {
            id: format!("{}-{}-undo-{number}", run.summary.id, undo.step),
            step: step_identifier(&undo.step),
            activity: undoing(run, undo).to_owned(),
            input: undo.input.clone().unwrap_or_default(),
            is_retry: true,
            is_compensation: true,
            ..scheduled(run, undo.attempts.last())
        }
    });
    let owed =
        run.steps.iter().rev().filter(|step| step.compensation.as_deref() == Some("pending"));
    again.chain(owed.map(|step| Task {
        id: format!("{}-{}-undo-1", run.summary.id, step.id),
        step: step_identifier(&step.id),
        activity: activity(step).to_owned(),
        is_compensation: true,
        ..scheduled(run, step.attempts.last())
    }))
}

fn scheduled(run: &RunView, last: Option<&AttemptView>) -> Task {
    let last = last.map(|attempt| attempt.ended_at.unwrap_or(attempt.started_at));
    Task {
        id: String::new(),
        step: Value::Null,
        activity: String::new(),
        status: "SCHEDULED",
        input: Value::Null,
        result: Value::Null,
        error: None,
        is_retry: false,
        is_compensation: false,
        started_at: None,
        ended_at: None,
        updated_at: last.unwrap_or(run.summary.created_at),
    }
}

fn activity(step: &StepView) -> &str {
    match step.activity.as_str() {
        "sleep" => SLEEP,
        "waitFor" => WAIT,
        "run" => RUN,
        activity => activity,
    }
}

/// Returns what undoes a step: what the platform puts back is named by what the step did.
fn undoing<'a>(run: &'a RunView, undo: &'a CompensationView) -> &'a str {
    let step = run.steps.iter().find(|step| step.id == undo.step);
    match step.filter(|_| undo.activity == "auto") {
        Some(step) => activity(step),
        None => &undo.activity,
    }
}

fn input(step: &StepView) -> Value {
    if step.activity == "sleep" {
        let duration = step.input.as_ref().unwrap_or(&step.template);
        return json!({"duration": duration});
    }
    step.input.clone().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests;
