//! One run: a sentence, a chart of its steps and attempts, and everything that went in and out.

use askama::Template;
use serde_json::Value;

use super::cures::cure;
use super::parts::json_tree::JsonTree;
use super::parts::list::Tab;
use super::parts::mark::Mark;
use super::parts::moment::{Moment, span};
use super::parts::trace::Trace;
use super::run_lane::{Frame, Lane, arrow, bar_hatch, lane, pause_lane, queue_bar, slept};
use super::run_panels::Panel;
use super::run_sentence::sentence;
use super::runs::{is_over, undo_mark};
use super::settle::{Asked, Stuck, asked, left, stuck};
use super::shell::{Shell, quoted};
use crate::app::run_insight::RunRelations;
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
    /// The steps that wait for somebody's approval.
    asked: Vec<Asked>,
    /// The part that is shown, and the way to the others.
    panel: Panel,
    tabs: Vec<Tab>,
    /// This very page.
    here: String,
    /// Runs and events that it belongs to: what, a name, where.
    relations: Vec<(&'static str, String, String)>,
    /// What could not be undone, when the run is over.
    left: Option<String>,
    trigger: Option<JsonTree>,
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
    /// Whether the address asks for it open.
    open: bool,
    /// The address at which it is open.
    link: String,
    /// The request that it makes, as a command.
    curl: Option<String>,
    /// Where it is said that the next attempt is to be made at once.
    try_now: Option<String>,
    /// The step that it undoes: its place on the page and its name.
    undoes: Option<(String, String)>,
}

/// What surrounds a run on its page.
#[derive(Clone, Debug)]
pub(super) struct Around {
    /// Where it comes from and what it started.
    pub(super) relations: RunRelations,
    /// The path of the step that the address asks for.
    pub(super) step: String,
    /// The part that is shown.
    pub(super) panel: Panel,
}

impl Default for Around {
    fn default() -> Around {
        Around { relations: RunRelations::default(), step: String::new(), panel: Panel::Timeline }
    }
}

#[derive(Clone, Debug)]
struct Fault {
    code: String,
    class: &'static str,
    message: String,
    /// What probably helps.
    cure: Option<&'static str>,
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

/// How far steps inside others are moved to the right at most.
const DEPTH_MAX: usize = 6;

/// Makes the page.
pub(super) fn page(shell: Shell, run: &RunView, around: Around) -> RunPage {
    let run = model(&shell, run, around);
    RunPage { shell, run }
}

/// Makes the part that is fetched again while the run goes on.
pub(super) fn live(shell: Shell, run: &RunView, around: Around) -> RunLive {
    let run = model(&shell, run, around);
    RunLive { shell, run }
}

fn model(shell: &Shell, run: &RunView, around: Around) -> RunModel {
    let Around { relations, step: open, panel } = around;
    let summary = &run.summary;
    let frame = Frame::of(run, shell.now);
    let path = format!("/runs/{}", summary.id);
    let until = summary.waiting_for.as_ref().and_then(|waiting| waiting.until);
    let asked = asked(shell, &path, run);
    let open = open.as_str();
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
        polls: !is_over(&summary.status)
            && run.aftermath.incidents.is_empty()
            && asked.is_empty()
            && matches!(panel, Panel::Timeline),
        tabs: tabs(shell, &path, &panel, run),
        here: match open.is_empty() {
            true => shell.url(&path),
            false => shell.url(&format!("{path}?step={}", encoded(open))),
        },
        relations: related(shell, &relations),
        panel,
        asked,
        cancel_requested: run.cancel_requested,
        can_retry: run.can_retry,
        ticks: frame.ticks(),
        steps: rows(shell, frame, run, open),
        followed: match run.aftermath.on_failure.is_empty() {
            true => vec![],
            // They stand on their own, so that they are shown as a run of their own would be.
            false => {
                let steps = run.aftermath.on_failure.clone();
                rows(shell, frame, &RunView { steps, ..run.clone() }, open)
            }
        },
        stuck: run.aftermath.incidents.iter().map(|it| stuck(shell, &path, it)).collect(),
        left: left(run),
        undone: run.compensations.iter().map(|undo| undo_row(shell, frame, run, undo)).collect(),
        trigger: run.trigger.as_ref().map(|trigger| JsonTree::new("trigger", trigger)),
    }
}

fn rows(shell: &Shell, frame: Frame, run: &RunView, open: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = (0..run.steps.len())
        .map(|index| Row { open: run.steps[index].id == open, ..step(shell, frame, run, index) })
        .collect();
    let begun = run.steps.iter().position(|step| !step.attempts.is_empty());
    if let (Some(index), Some(started)) = (begun, run.summary.started_at) {
        rows[index].lane.bars.extend(queue_bar(frame, run.summary.created_at, started));
    }
    rows
}

/// Returns the parts of the page as links.
fn tabs(shell: &Shell, path: &str, panel: &Panel, run: &RunView) -> Vec<Tab> {
    let tab = |word: &str, query: &str, chosen: bool| Tab {
        word: word.to_owned(),
        href: shell.url(&format!("{path}{query}")),
        chosen,
    };
    let may_write = shell.viewer.as_ref().is_some_and(|viewer| viewer.may("runs:write"));
    let redo = if run.can_retry { "Retry with changes" } else { "Run again" };
    let mut tabs = vec![
        tab("Timeline", "", matches!(panel, Panel::Timeline)),
        tab("Context", "?tab=context", matches!(panel, Panel::Context(_))),
        tab("History", "?tab=history", matches!(panel, Panel::History(_))),
        tab("Compare", "?tab=compare", matches!(panel, Panel::Compare(_))),
    ];
    if may_write {
        tabs.push(tab(redo, "?tab=redo", matches!(panel, Panel::Redo(_))));
    }
    tabs
}

/// Lists where the run comes from and what its steps started.
fn related(shell: &Shell, relations: &RunRelations) -> Vec<(&'static str, String, String)> {
    let run = |word: &'static str, id: String| {
        let href = shell.url(&format!("/runs/{id}"));
        (word, id, href)
    };
    let mut all = vec![];
    all.extend(relations.parent.map(|id| run("Started by a step of", id.to_string())));
    let caused = relations.caused_by.filter(|id| relations.parent != Some(*id));
    all.extend(caused.map(|id| run("Its event comes from", id.to_string())));
    all.extend(relations.restart_of.clone().map(|id| run("Restart of", id)));
    all.extend(relations.replay_of.clone().map(|id| {
        let href = shell.url(&format!("/events/{}", encoded(&id)));
        ("Replay of the event", id, href)
    }));
    all.extend(relations.children.iter().map(|child| run("Started", child.run.to_string())));
    all
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
        open: false,
        link: shell.url(&format!("/runs/{}?step={}", run.summary.id, encoded(&step.id))),
        curl: request(step),
        try_now: try_now(shell, run, &step.id, step.status == "retrying"),
        undoes: None,
        mark,
    }
}

/// Returns where the next attempt is asked for, while one waits for its time.
fn try_now(shell: &Shell, run: &RunView, step: &str, pauses: bool) -> Option<String> {
    let waiting = run.summary.waiting_for.as_ref()?;
    let is_it = waiting.kind == "retry" && waiting.step.as_deref() == Some(step);
    let may = shell.viewer.as_ref().is_some_and(|viewer| viewer.may("runs:write"));
    let path = format!("/runs/{}/steps/{}/try-now", run.summary.id, encoded(step));
    (pauses && is_it && may).then(|| shell.url(&path))
}

/// Writes the request of a step that calls an address as a command; secrets stand in it as they do
/// in the input, by their names.
fn request(step: &StepView) -> Option<String> {
    if !step.activity.contains("http-request") {
        return None;
    }
    let input = step.input.as_ref()?;
    let url = input.get("url").and_then(Value::as_str)?;
    let method = input.get("method").and_then(Value::as_str).unwrap_or("GET");
    let mut command = format!("curl -X {} {}", quoted(method), quoted(url));
    for (name, value) in input.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        command.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    if let Some(body) = input.get("body").filter(|body| !body.is_null()) {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        if !body.is_string() {
            command.push_str(" -H 'Content-Type: application/json'");
        }
        command.push_str(&format!(" -d {}", quoted(&text)));
    }
    Some(command)
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

fn is_open(step: &StepView) -> bool {
    matches!(step.status.as_str(), "waiting" | "retrying" | "running")
}

fn undo_row(shell: &Shell, frame: Frame, run: &RunView, undo: &CompensationView) -> Row {
    let mark = Mark::of_undo(&undo.status);
    let place = run.steps.iter().position(|step| step.id == undo.step);
    let ended = place.and_then(|index| {
        let step = &run.steps[index];
        step.ended_at.or_else(|| step.attempts.last().and_then(|attempt| attempt.ended_at))
    });
    let begun = undo.attempts.first().map(|attempt| attempt.started_at);
    Row {
        anchor: format!("undo-{}", undo.step.replace(['.', '[', ']'], "-")),
        depth: 0,
        lane: Lane {
            arrow: arrow(frame, ended, begun),
            ..lane(frame, shell.now, &undo.attempts, (mark.tone, "hatch-undo"))
        },
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
        open: false,
        link: String::new(),
        curl: None,
        try_now: try_now(shell, run, &undo.step, undo.status == "retrying"),
        undoes: place.map(|index| {
            let anchor = format!("step-{}", undo.step.replace(['.', '[', ']'], "-"));
            (anchor, numbered(run, index, &undo.step))
        }),
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
        cure: cure(&error.code),
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
    fn the_step_of_the_address_is_open_and_says_what_helps() {
        let around = Around { step: "notify".to_owned(), ..Around::default() };
        let html = page(Shell::for_tests("/ops"), &samples::failed_run(), around).to_string();
        for part in [
            "id=\"step-notify\" open",
            "Invite the bot",
            "/ops/runs/",
            "?tab=context",
            "marker-end",
            "href=\"#step-",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
    }

    #[test]
    fn a_call_can_be_made_again_by_hand() {
        let mut step = samples::failed_run().steps.remove(0);
        step.activity = "workflows:http-request-platform".to_owned();
        step.input = Some(serde_json::json!({
            "method": "POST", "url": "https://example.com/a'b", "body": {"a": 1},
        }));
        let wanted = r#"curl -X 'POST' 'https://example.com/a'\''b' -H 'Content-Type: application/json' -d '{"a":1}'"#;
        assert_eq!(request(&step).as_deref(), Some(wanted));
    }

    #[test]
    fn a_finished_run_asks_for_nothing_more() {
        let shell = Shell::for_tests("");
        let show = |run: &RunView| page(shell.clone(), run, Around::default()).to_string();
        assert!(!show(&samples::failed_run()).contains("hx-get"));
        assert!(show(&samples::waiting_run()).contains("moved"));
    }
}
