//! The list of runs, and the rows of runs that other pages show too.

use askama::Template;

use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::mark::{Mark, capital};
use super::parts::moment::{Moment, span};
use super::shell::Shell;
use crate::app::views::{Page, RunSummary, WaitingForView};

/// What the list of runs can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct RunsQuery {
    /// A status.
    pub status: Option<String>,
    /// A workflow's name.
    pub workflow: Option<String>,
    /// The id of the event that started it.
    pub event: Option<String>,
    /// Not older than an instant or a span such as `24h`.
    pub since: Option<String>,
    /// A text in the subject, the id or the error.
    pub q: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

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
        subject_short: short(run.subject.as_deref().unwrap_or_default()),
        subject: run.subject.clone().unwrap_or_default(),
        created: Moment::relative(run.created_at, shell.now),
        took: span(run.duration_ms),
        progress: format!("{}/{}", run.steps_done, run.steps_total),
        note: note(run, waiting),
        until: until.map(|until| Moment::relative(until, shell.now)),
        error: run.error.as_ref().map(|error| {
            let step = error.step.as_ref().map_or_else(String::new, |step| format!("{step}: "));
            format!("{step}{} {}", error.code, error.message)
        }),
    }
}

fn note(run: &RunSummary, waiting: Option<&WaitingForView>) -> String {
    match waiting {
        Some(waiting) => reason(&waiting.kind),
        None if is_over(&run.status) => String::new(),
        None => run.current_step.clone().unwrap_or_default(),
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
        other => capital(other),
    }
}

/// Returns the mark of a run's undo, unless nothing was undone.
pub fn undo_mark(compensation: &str) -> Option<Mark> {
    (compensation != "none" && !compensation.is_empty()).then(|| Mark::of_undo(compensation))
}

/// The page.
#[derive(Template)]
#[template(path = "runs.html")]
pub struct RunsPage {
    shell: Shell,
    rows: Vec<RunRow>,
    tabs: Vec<Tab>,
    windows: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    here: String,
    live: bool,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

const STATUSES: [(&str, &str); 9] = [
    ("", "All"),
    ("running", "Running"),
    ("retrying", "Retrying"),
    ("waiting", "Waiting"),
    ("queued", "Queued"),
    ("compensating", "Undoing"),
    ("succeeded", "Succeeded"),
    ("failed", "Failed"),
    ("cancelled", "Cancelled"),
];

const WINDOWS: [(&str, &str); 4] =
    [("", "Any time"), ("1h", "1 h"), ("24h", "24 h"), ("7d", "7 d")];

/// Makes the page of one part of the list.
pub fn page(shell: Shell, query: &RunsQuery, runs: &Page<RunSummary>) -> RunsPage {
    let address = Address::new(
        "/runs",
        vec![
            ("status", query.status.clone()),
            ("workflow", query.workflow.clone()),
            ("event", query.event.clone()),
            ("since", query.since.clone()),
            ("q", query.q.clone()),
        ],
    );
    let rows = rows(&shell, &runs.data);
    let chips = address.chips(&shell);
    let here = address.here(&shell);
    let api = here[shell.base.len()..].to_owned();
    let next = runs.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor));
    let later = query.cursor.is_some();
    RunsPage {
        tabs: address.tabs(&shell, "status", &STATUSES),
        windows: address.tabs(&shell, "since", &WINDOWS),
        empty: Empty::of(&rows, &chips),
        curl: shell.curl(&format!("/v1{api}")),
        live: !later,
        first: later.then(|| here.clone()),
        shell,
        rows,
        chips,
        address,
        here,
        next,
    }
}
