//! The rows of runs that several pages show, and the words for how runs stand.

use super::parts::mark::{Mark, capital};
use super::parts::moment::{Moment, span};
use super::shell::Shell;
use crate::app::views::RunSummary;

/// One run in a table.
#[derive(Clone, Debug)]
pub struct RunRow {
    /// Its id.
    pub id: String,
    /// Its page.
    pub href: String,
    /// Its status.
    pub mark: Mark,
    /// How its undo stands, when there is one.
    pub undo: Option<Mark>,
    /// The workflow's name.
    pub workflow: String,
    /// The version that it follows.
    pub version: u32,
    /// The type of the event that started it.
    pub event_type: String,
    /// What that event is about.
    pub subject: String,
    /// The same, short enough for a cell.
    pub subject_short: String,
    /// When it was created.
    pub created: Moment,
    /// How long it took.
    pub took: String,
    /// `2/5`.
    pub progress: String,
    /// The step where it stands, unless its note or its error names it.
    pub step: String,
    /// How many attempts were made at all its steps.
    pub attempts: u32,
    /// Where it stands, or why it does not move.
    pub note: String,
    /// When it will move by itself.
    pub until: Option<Moment>,
    /// Why it failed.
    pub error: Option<String>,
}

/// Reads the rows of a table from runs.
pub fn rows(shell: &Shell, runs: &[RunSummary]) -> Vec<RunRow> {
    runs.iter().map(|run| row(shell, run)).collect()
}

fn row(shell: &Shell, run: &RunSummary) -> RunRow {
    let waiting = run.waiting_for.as_ref();
    let until = waiting.and_then(|waiting| waiting.until);
    RunRow {
        id: run.id.to_string(),
        href: shell.url(&format!("/runs/{}", run.id)),
        mark: Mark::of(&run.status),
        undo: undo_mark(&run.compensation),
        workflow: run.workflow.clone(),
        version: run.version,
        event_type: run.event_type.clone().unwrap_or_else(|| "by hand".to_owned()),
        subject_short: match &run.subject_name {
            Some(name) => name.clone(),
            None => short(run.subject.as_deref().unwrap_or_default()),
        },
        subject: run.subject.clone().unwrap_or_default(),
        created: Moment::relative(run.created_at, shell.now),
        took: span(run.duration_ms),
        progress: format!("{}/{}", run.steps_done, run.steps_total),
        step: run.current_step.clone().filter(|_| !is_over(&run.status)).unwrap_or_default(),
        attempts: run.attempts,
        note: waiting.map(|waiting| reason(&waiting.kind)).unwrap_or_default(),
        until: until.map(|until| Moment::relative(until, shell.now)),
        error: run.error.as_ref().map(|error| {
            let step = error.step.as_ref().map_or_else(String::new, |step| format!("{step}: "));
            format!("{step}{} {}", error.code, error.message)
        }),
    }
}

/// Tells whether a run of this status will not move again by itself.
pub fn is_over(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "cancelled")
}

/// Cuts a long identifier to its end, which is what tells it from others.
pub fn short(id: &str) -> String {
    let count = id.chars().count();
    if count <= 16 {
        return id.to_owned();
    }
    let end: String = id.chars().skip(count - 8).collect();
    format!("…{end}")
}

/// Says what a run waits for, in words.
pub fn reason(kind: &str) -> String {
    match kind {
        "sleep" => "asleep".to_owned(),
        "retry" => "next attempt".to_owned(),
        "concurrency" => "behind another run of the same key".to_owned(),
        "call" => "for an answer from outside".to_owned(),
        "event" => "for an event".to_owned(),
        "approval" => "for an approval".to_owned(),
        "incident" => "for somebody to settle a failure".to_owned(),
        "doubt" => "for somebody to say whether a call happened".to_owned(),
        "run" => "for another run".to_owned(),
        "destination" => "for its destination".to_owned(),
        other => capital(other),
    }
}

/// Returns the mark of a run's undo, unless nothing was undone.
pub fn undo_mark(compensation: &str) -> Option<Mark> {
    (compensation != "none" && !compensation.is_empty()).then(|| Mark::of_undo(compensation))
}
