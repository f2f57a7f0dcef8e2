//! One run: a sentence, a chart of its steps and attempts, and everything that went in and out.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::Value;

use super::parts::chart::percent;
use super::parts::json_tree::JsonTree;
use super::parts::mark::Mark;
use super::parts::moment::{Moment, span};
use super::parts::trace::Trace;
use super::runs::{is_over, reason, undo_mark};
use super::settle::{Stuck, left, stuck};
use super::shell::Shell;
use crate::app::views::{AttemptView, CompensationView, RunView, StepErrorView, StepView};
use crate::domain::time::Timestamp;

/// The page.
#[derive(Template)]
#[template(path = "run.html")]
pub struct RunPage {
    shell: Shell,
    run: RunModel,
}

/// The part of the page that changes while the run goes on.
#[derive(Template)]
#[template(path = "run_live.html")]
pub struct RunLive {
    shell: Shell,
    run: RunModel,
}

/// What both show.
#[derive(Clone, Debug)]
struct RunModel {
    id: String,
    href: String,
    workflow: String,
    workflow_href: String,
    version: u32,
    mark: Mark,
    undo: Option<Mark>,
    sentence: String,
    why: Option<String>,
    until: Option<Moment>,
    event: Option<(String, String)>,
    subject: Option<String>,
    created: Moment,
    started: Option<Moment>,
    took: String,
    moving: bool,
    polls: bool,
    cancel_requested: bool,
    can_retry: bool,
    ticks: Vec<(String, &'static str, String)>,
    steps: Vec<Row>,
    undone: Vec<Row>,
    /// The steps that followed its failure.
    followed: Vec<Row>,
    stuck: Vec<Stuck>,
    /// What could not be undone, when the run is over.
    left: Option<String>,
    trigger: Option<JsonTree>,
    curl: String,
    journal_curl: String,
}

/// One row of the chart: a step, or the undo of one.
#[derive(Clone, Debug)]
struct Row {
    anchor: String,
    /// In how many other steps it stands, as far as the page shows it.
    depth: usize,
    mark: Mark,
    name: String,
    what: String,
    lane: Lane,
    took: String,
    note: String,
    until: Option<Moment>,
    fault: Option<Fault>,
    template: Option<JsonTree>,
    input: Option<JsonTree>,
    output: Option<JsonTree>,
    tries: Vec<Try>,
    skipped: Option<Trace>,
}

#[derive(Clone, Debug)]
struct Fault {
    code: String,
    class: &'static str,
    message: String,
    details: Option<JsonTree>,
}

#[derive(Clone, Debug)]
struct Try {
    number: u32,
    mark: Mark,
    started: Moment,
    took: String,
    error: String,
}

/// A row's bars, in percent of the run's time.
#[derive(Clone, Debug, Template)]
#[template(path = "components/lane.html")]
struct Lane {
    bars: Vec<Bar>,
    gaps: Vec<(String, String)>,
    tone: &'static str,
}

impl HtmlSafe for Lane {}

#[derive(Clone, Debug)]
struct Bar {
    tone: &'static str,
    hatch: &'static str,
    x: String,
    width: String,
    title: String,
}

/// The span of time that the chart shows.
#[derive(Clone, Copy, Debug)]
struct Frame {
    start: Timestamp,
    end: Timestamp,
}

/// How far steps inside others are moved to the right at most.
const DEPTH_MAX: usize = 6;
const NARROWEST_PERCENT: f64 = 0.9;

impl Frame {
    fn of(run: &RunView, now: Timestamp) -> Frame {
        let start = run.summary.created_at;
        let end = run.summary.ended_at.unwrap_or(now).max(start);
        Frame { start, end }
    }

    fn place(self, at: Timestamp) -> f64 {
        let whole = self.end.since(self.start).as_millis().max(1) as f64;
        (at.since(self.start).as_millis() as f64 * 100.0 / whole).min(100.0)
    }

    fn bar(self, from: Timestamp, to: Timestamp) -> (String, String) {
        let width = (self.place(to) - self.place(from)).max(NARROWEST_PERCENT);
        let x = self.place(from).min(100.0 - width);
        (percent(x), percent(width))
    }

    fn ticks(self) -> Vec<(String, &'static str, String)> {
        let whole = self.end.since(self.start).as_millis() as i64;
        let tick = |quarter: i64| {
            let anchor = match quarter {
                0 => "start",
                4 => "end",
                _ => "middle",
            };
            let text = if quarter == 0 { "0".to_owned() } else { span(whole * quarter / 4) };
            ((quarter * 25).to_string(), anchor, text)
        };
        if whole < 8 { vec![tick(0), tick(4)] } else { (0..=4).map(tick).collect() }
    }
}

/// Makes the page.
pub fn page(shell: Shell, run: &RunView) -> RunPage {
    let run = model(&shell, run);
    RunPage { shell, run }
}

/// Makes the part that is fetched again while the run goes on.
pub fn live(shell: Shell, run: &RunView) -> RunLive {
    let run = model(&shell, run);
    RunLive { shell, run }
}

fn model(shell: &Shell, run: &RunView) -> RunModel {
    let summary = &run.summary;
    let frame = Frame::of(run, shell.now);
    let path = format!("/runs/{}", summary.id);
    let until = summary.waiting_for.as_ref().and_then(|waiting| waiting.until);
    RunModel {
        id: summary.id.to_string(),
        href: shell.url(&path),
        workflow: summary.workflow.clone(),
        workflow_href: shell
            .url(&format!("/workflows/{}?version={}", summary.workflow, summary.version)),
        version: summary.version,
        mark: Mark::of(&summary.status),
        undo: undo_mark(&summary.compensation),
        sentence: sentence(run),
        why: summary.error.as_ref().map(|error| format!("{}: {}", error.code, error.message)),
        until: until.map(|until| Moment::relative(until, shell.now)),
        event: summary.event_id.as_ref().map(|id| {
            let kind = summary.event_type.clone().unwrap_or_else(|| id.clone());
            (kind, shell.url(&format!("/events/{}", encoded(id))))
        }),
        subject: summary.subject.clone(),
        created: Moment::absolute(summary.created_at),
        started: summary.started_at.map(Moment::absolute),
        took: span(summary.duration_ms),
        // What somebody writes into a form is not to be swept away.
        moving: !is_over(&summary.status),
        polls: !is_over(&summary.status) && run.aftermath.incidents.is_empty(),
        cancel_requested: run.cancel_requested,
        can_retry: run.can_retry,
        ticks: frame.ticks(),
        steps: rows(shell, frame, run),
        followed: match run.aftermath.on_failure.is_empty() {
            true => vec![],
            // They stand on their own, so that they are shown as a run of their own would be.
            false => {
                let steps = run.aftermath.on_failure.clone();
                rows(shell, frame, &RunView { steps, ..run.clone() })
            }
        },
        stuck: run.aftermath.incidents.iter().map(|it| stuck(shell, &path, it)).collect(),
        left: left(run),
        undone: run.compensations.iter().map(|undo| undo_row(shell, frame, undo)).collect(),
        trigger: run.trigger.as_ref().map(|trigger| JsonTree::new("trigger", trigger)),
        curl: shell.curl(&format!("/v1{path}")),
        journal_curl: shell.curl(&format!("/v1{path}/journal")),
    }
}

fn rows(shell: &Shell, frame: Frame, run: &RunView) -> Vec<Row> {
    (0..run.steps.len()).map(|index| step(shell, frame, run, index)).collect()
}

/// Percent-encodes a segment of a path.
pub fn encoded(segment: &str) -> String {
    url::form_urlencoded::byte_serialize(segment.as_bytes()).collect::<String>().replace('+', "%20")
}

fn step(shell: &Shell, frame: Frame, run: &RunView, index: usize) -> Row {
    let step = &run.steps[index];
    let mark = Mark::of(&step.status);
    let id = step.id.as_str();
    let named = if step.title.is_empty() { id } else { &step.title };
    let root = format!("steps.{}", step.id);
    let undone = match step.compensation.as_deref() {
        Some("done") => "↩ undone",
        Some("failed") => "undo failed",
        Some("running") => "↩ undoing",
        Some(_) | None => "",
    };
    Row {
        anchor: format!("step-{}", step.id.replace(['.', '[', ']'], "-")),
        depth: step.depth.min(DEPTH_MAX),
        lane: match slept(run, index, shell.now) {
            Some((from, to)) => pause_lane(frame, step, from, to),
            None => lane(frame, shell.now, &step.attempts, (mark.tone, bar_hatch(step))),
        },
        name: numbered(run, index, named),
        what: step.activity.clone(),
        took: match slept(run, index, shell.now) {
            Some((from, to)) => span(to.since(from).as_millis() as i64),
            None => took(shell.now, &step.attempts),
        },
        note: match step.attempts.len() {
            0 | 1 => said_of_approval(step).unwrap_or_else(|| undone.to_owned()),
            many if undone.is_empty() => format!("{many} attempts"),
            many => format!("{many} attempts · {undone}"),
        },
        until: step.until.filter(|_| is_open(step)).map(|at| Moment::relative(at, shell.now)),
        fault: step.error.as_ref().map(|error| fault(&format!("{root}.error"), error)),
        template: shown(&step.template).map(|value| JsonTree::new("", value)),
        input: step.input.as_ref().map(|value| JsonTree::new(&format!("{root}.input"), value)),
        output: step.output.as_ref().map(|value| JsonTree::new(&format!("{root}.output"), value)),
        tries: step.attempts.iter().map(|attempt| read_try(shell.now, attempt)).collect(),
        skipped: step.skipped_because.as_ref().and_then(Trace::read),
        mark,
    }
}

/// Puts a number before the name of a step that stands in no other.
fn numbered(run: &RunView, index: usize, name: &str) -> String {
    if run.steps[index].depth > 0 {
        return name.to_owned();
    }
    let before = run.steps[..index].iter().filter(|step| step.depth == 0).count();
    format!("{}. {name}", before + 1)
}

fn said_of_approval(step: &StepView) -> Option<String> {
    let approval = step.approval.as_ref()?;
    Some(match approval.decided_by.as_deref() {
        None => format!("asks {}", named_approvers(&approval.approvers)),
        Some("timeout") => format!("{}, as nobody decided", approval.status),
        Some(by) => format!("{} by {by}", approval.status),
    })
}

fn named_approvers(approvers: &[String]) -> String {
    if approvers.is_empty() { "for approval".to_owned() } else { approvers.join(", ") }
}

/// Returns when a pause without attempts of its own began and ended: between its neighbours.
fn slept(run: &RunView, index: usize, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let step = &run.steps[index];
    let has_begun = matches!(step.status.as_str(), "succeeded" | "waiting" | "cancelled");
    if !step.attempts.is_empty() {
        return None;
    }
    // A step around others, a wait and a sleep know themselves when they began.
    if let Some(from) = step.started_at {
        return Some((from, step.ended_at.unwrap_or(now)));
    }
    if bar_hatch(step).is_empty() || !has_begun {
        return None;
    }
    let ends = run.steps[..index].iter().flat_map(|step| &step.attempts);
    let from = ends.filter_map(|attempt| attempt.ended_at).max();
    let starts = run.steps[index + 1..].iter().flat_map(|step| &step.attempts);
    let to = starts.map(|attempt| attempt.started_at).min().or(run.summary.ended_at);
    Some((from.unwrap_or(run.summary.created_at), to.unwrap_or(now)))
}

fn pause_lane(frame: Frame, step: &StepView, from: Timestamp, to: Timestamp) -> Lane {
    let (x, width) = frame.bar(from, to);
    let word = match step.activity.as_str() {
        "branch" | "forEach" | "parallel" => "Went on",
        "waitFor" => "Waited",
        _ => "Asleep",
    };
    let title = format!("{word} for {}", span(to.since(from).as_millis() as i64));
    let bar = Bar { tone: "wait", hatch: "hatch-wait", x, width, title };
    Lane { bars: vec![bar], gaps: vec![], tone: "wait" }
}

fn is_open(step: &StepView) -> bool {
    matches!(step.status.as_str(), "waiting" | "retrying" | "running")
}

fn bar_hatch(step: &StepView) -> &'static str {
    let waits = matches!(step.activity.as_str(), "sleep" | "waitFor" | "run");
    if waits || step.activity.contains(":sleep-") { "hatch-wait" } else { "" }
}

fn undo_row(shell: &Shell, frame: Frame, undo: &CompensationView) -> Row {
    let mark = Mark::of_undo(&undo.status);
    Row {
        anchor: format!("undo-{}", undo.step.replace(['.', '[', ']'], "-")),
        depth: 0,
        lane: lane(frame, shell.now, &undo.attempts, (mark.tone, "hatch-undo")),
        name: format!("↩ {}", undo.step),
        what: match undo.activity.as_str() {
            "auto" => "puts back what the step changed".to_owned(),
            activity => activity.to_owned(),
        },
        took: took(shell.now, &undo.attempts),
        note: match undo.attempts.len() {
            0 | 1 => String::new(),
            many => format!("{many} attempts"),
        },
        until: None,
        fault: undo.error.as_ref().map(|error| fault("error", error)),
        template: None,
        input: undo.input.as_ref().map(|value| JsonTree::new("", value)),
        output: undo.output.as_ref().map(|value| JsonTree::new("", value)),
        tries: undo.attempts.iter().map(|attempt| read_try(shell.now, attempt)).collect(),
        skipped: None,
        mark,
    }
}

fn shown(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn fault(root: &str, error: &StepErrorView) -> Fault {
    Fault {
        code: error.code.clone(),
        class: match error.class.as_str() {
            "retryable" => "may go away by itself; was tried again",
            "inDoubt" => "the call may have taken effect: check before trying again",
            _ => "trying again would not help",
        },
        message: error.message.clone(),
        details: shown(&error.details)
            .map(|value| JsonTree::new(&format!("{root}.details"), value)),
    }
}

fn read_try(now: Timestamp, attempt: &AttemptView) -> Try {
    let error = attempt.error.as_ref();
    Try {
        number: attempt.number,
        mark: Mark::of(&attempt.outcome),
        started: Moment::absolute(attempt.started_at),
        took: span(length_ms(now, attempt)),
        error: error.map_or_else(String::new, |e| format!("{}: {}", e.code, e.message)),
    }
}

fn length_ms(now: Timestamp, attempt: &AttemptView) -> i64 {
    attempt.ended_at.unwrap_or(now).since(attempt.started_at).as_millis() as i64
}

fn took(now: Timestamp, attempts: &[AttemptView]) -> String {
    match (attempts.first(), attempts.last()) {
        (Some(first), Some(last)) => {
            span(last.ended_at.unwrap_or(now).since(first.started_at).as_millis() as i64)
        }
        _ => String::new(),
    }
}

fn lane(
    frame: Frame,
    now: Timestamp,
    attempts: &[AttemptView],
    (tone, hatch): (&'static str, &'static str),
) -> Lane {
    let bars = attempts.iter().map(|attempt| {
        let (x, width) = frame.bar(attempt.started_at, attempt.ended_at.unwrap_or(now));
        let mark = Mark::of(&attempt.outcome);
        let tone = if hatch.is_empty() || mark.tone == "bad" { mark.tone } else { tone };
        let title = format!("Attempt {}: {}", attempt.number, mark.word);
        Bar { tone, hatch: if mark.tone == "bad" { "" } else { hatch }, x, width, title }
    });
    let gaps = attempts.windows(2).filter_map(|pair| {
        let from = frame.place(pair[0].ended_at?);
        Some((percent(from), percent(frame.place(pair[1].started_at))))
    });
    let pause = attempts.last().filter(|_| tone == "retry").and_then(|last| last.ended_at);
    let pause = pause.map(|end| (percent(frame.place(end)), percent(frame.place(now))));
    Lane { bars: bars.collect(), gaps: gaps.chain(pause).collect(), tone }
}

/// Says in a sentence how the run stands.
fn sentence(run: &RunView) -> String {
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
fn place(run: &RunView) -> String {
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

fn stands(run: &RunView) -> Option<&StepView> {
    let failed = run.summary.error.as_ref().and_then(|error| error.step.as_ref());
    let id = failed.or(run.summary.current_step.as_ref())?;
    run.steps.iter().find(|step| &step.id == id)
}

fn after_attempts(run: &RunView) -> String {
    match stands(run).map_or(0, |step| step.attempts.len()) {
        0 | 1 => String::new(),
        many => format!(" after {many} attempts"),
    }
}

fn tries_so_far(run: &RunView) -> String {
    match stands(run).map_or(0, |step| step.attempts.len()) {
        0 => String::new(),
        many => format!("; {} failed", counted(many, "attempt")),
    }
}

fn succeeded(run: &RunView) -> String {
    let skipped = run.steps.iter().filter(|step| step.status == "skipped").count();
    let took = span(run.summary.duration_ms);
    match skipped {
        0 => format!("Succeeded in {took}"),
        some => format!("Succeeded in {took}; {} skipped", counted(some, "step")),
    }
}

fn undone_so_far(run: &RunView) -> String {
    let done = run.compensations.iter().filter(|undo| undo.status == "done").count();
    let begun = run.steps.iter().filter(|step| step.compensation.is_some()).count();
    let all = begun.max(run.compensations.len());
    format!("{done} of {} undone", counted(all, "step"))
}

fn undone(run: &RunView) -> String {
    let done = run.compensations.iter().filter(|undo| undo.status == "done").count();
    let broken = run.compensations.iter().filter(|undo| undo.status == "failed").count();
    match (done, broken) {
        (0, 0) => String::new(),
        (done, 0) => format!("; {} undone", counted(done, "step")),
        (done, broken) => format!("; {} undone, {broken} could not be", counted(done, "step")),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_failed_run_says_where_how_often_and_what_was_undone() {
        let said = sentence(&samples::failed_run());
        assert_eq!(said, "Failed at step 3 notify after 3 attempts; 2 steps undone");
    }

    #[test]
    fn a_waiting_run_says_what_for() {
        assert_eq!(sentence(&samples::waiting_run()), "Waiting at step 2 pause: asleep");
    }

    #[test]
    fn bars_stay_inside_the_chart_and_short_ones_can_be_seen() {
        let frame = Frame { start: Timestamp::from_millis(0), end: Timestamp::from_millis(1_000) };
        let at = Timestamp::from_millis;
        for (from, to, bar) in [(0, 500, ("0", "50")), (999, 999, ("99.1", "0.9"))] {
            let (x, width) = frame.bar(at(from), at(to));
            assert_eq!((x.as_str(), width.as_str()), bar);
        }
    }

    #[test]
    fn a_finished_run_asks_for_nothing_more() {
        let shell = Shell::for_tests("");
        assert!(!page(shell.clone(), &samples::failed_run()).to_string().contains("hx-get"));
        assert!(page(shell, &samples::waiting_run()).to_string().contains("moved"));
    }
}
