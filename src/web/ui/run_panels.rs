//! What a run's page shows beside its timeline: context, history, another try, another run.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::Value;

use super::parts::json_tree::JsonTree;
use super::parts::mark::Mark;
use super::parts::moment::{Moment, span};
use super::parts::rules::brief;
use super::shell::Shell;
use crate::app::redo::{MigrationView, RedoView};
use crate::app::run_insight::{RunContext, RunDiff, StepFate};
use crate::app::views::{JournalEntryView, RunSummary, RunView};
use crate::domain::difference::Difference;
use crate::domain::id::RunId;

/// How many records the history shows, and how much of each.
const RECORDS_MAX: usize = 500;
const RECORD_CHARS_MAX: usize = 240;

/// What stands below the head of a run's page.
#[derive(Clone, Debug)]
pub(super) enum Panel {
    /// The chart of its steps.
    Timeline,
    /// What its expressions saw.
    Context(Box<ContextPanel>),
    /// Its journal.
    History(Box<HistoryPanel>),
    /// How it could be tried again.
    Redo(Box<RedoPanel>),
    /// Another run beside it.
    Compare(Box<ComparePanel>),
}

/// What the expressions of the run saw at one moment.
#[derive(Clone, Debug, Template)]
#[template(path = "components/run_context.html")]
pub(super) struct ContextPanel {
    shell: Shell,
    href: String,
    number: usize,
    total: usize,
    at: Moment,
    entry: String,
    steps: Vec<(String, Mark)>,
    before: Option<String>,
    after: Option<String>,
    expression: String,
    value: Option<JsonTree>,
    problems: Vec<String>,
    context: JsonTree,
}

impl HtmlSafe for ContextPanel {}

/// What came of an expression: its value, or what is wrong with it.
pub(super) type Evaluated = Result<Value, Vec<String>>;

impl ContextPanel {
    pub(super) fn new(
        shell: &Shell,
        id: RunId,
        context: &RunContext,
        (expression, evaluated): (&str, Option<Evaluated>),
    ) -> ContextPanel {
        let place = |number: usize| shell.url(&format!("/runs/{id}?tab=context&at={number}"));
        let (value, problems) = match evaluated {
            None => (None, vec![]),
            Some(Ok(value)) => (Some(JsonTree::new("", &value)), vec![]),
            Some(Err(problems)) => (None, problems),
        };
        ContextPanel {
            href: shell.url(&format!("/runs/{id}")),
            number: context.number,
            total: context.total,
            at: Moment::absolute(context.at),
            entry: told(&context.entry),
            steps: context.steps.iter().map(|it| (it.id.clone(), Mark::of(&it.status))).collect(),
            before: (context.number > 1).then(|| place(context.number - 1)),
            after: (context.number < context.total).then(|| place(context.number + 1)),
            expression: expression.to_owned(),
            value,
            problems,
            context: JsonTree::new("", &context.context),
            shell: shell.clone(),
        }
    }
}

/// The journal of the run.
#[derive(Clone, Debug, Template)]
#[template(path = "components/run_history.html")]
pub(super) struct HistoryPanel {
    records: Vec<RecordRow>,
    cut: usize,
    json: String,
}

impl HtmlSafe for HistoryPanel {}

#[derive(Clone, Debug)]
struct RecordRow {
    number: u64,
    at: Moment,
    kind: String,
    step: String,
    rest: String,
    context: String,
}

impl HistoryPanel {
    pub(super) fn new(shell: &Shell, id: RunId, journal: &[JournalEntryView]) -> HistoryPanel {
        let cut = journal.len().saturating_sub(RECORDS_MAX);
        let row = |record: &JournalEntryView| RecordRow {
            number: record.number,
            at: Moment::absolute(record.at),
            kind: record.entry["type"].as_str().unwrap_or_default().to_owned(),
            step: record.entry["step"].as_str().unwrap_or_default().to_owned(),
            rest: rest(&record.entry),
            context: shell.url(&format!("/runs/{id}?tab=context&at={}", record.number)),
        };
        HistoryPanel {
            records: journal[cut..].iter().map(row).collect(),
            cut,
            json: shell.url(&format!("/v1/runs/{id}/journal")),
        }
    }
}

/// Writes a record in a line: what happened, to which step.
fn told(entry: &Value) -> String {
    let kind = entry["type"].as_str().unwrap_or_default();
    match entry["step"].as_str() {
        Some(step) => format!("{kind} {step}"),
        None => kind.to_owned(),
    }
}

/// Writes what a record says beside its type and its step.
fn rest(entry: &Value) -> String {
    let fields = entry.as_object().into_iter().flatten();
    let fields = fields.filter(|(name, _)| !matches!(name.as_str(), "type" | "step"));
    clipped(fields.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("  "))
}

/// Cuts a text to what a table can hold.
fn clipped(text: String) -> String {
    match text.char_indices().nth(RECORD_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// How the run could be tried again, with changes.
#[derive(Clone, Debug, Template)]
#[template(path = "components/run_redo.html")]
pub(super) struct RedoPanel {
    shell: Shell,
    href: String,
    version: u32,
    retry: Option<RetryPlan>,
    payload: String,
    migration: Option<(u32, Vec<String>)>,
    case: String,
}

impl HtmlSafe for RedoPanel {}

#[derive(Clone, Debug)]
struct RetryPlan {
    from: String,
    steps: Vec<String>,
    input: String,
    kept: String,
    again: String,
    missing: Vec<String>,
}

impl RedoPanel {
    pub(super) fn new(
        shell: &Shell,
        run: &RunView,
        plan: Option<&RedoView>,
        migration: Option<&MigrationView>,
    ) -> RedoPanel {
        let id = run.summary.id;
        let payload = run.trigger.as_ref().and_then(|trigger| trigger.get("payload"));
        let moves = migration.filter(|plan| plan.to_version != plan.from_version);
        RedoPanel {
            href: shell.url(&format!("/runs/{id}")),
            version: run.summary.version,
            retry: plan.map(|plan| retry_plan(run, plan)),
            payload: pretty(payload.unwrap_or(&Value::Null)),
            migration: moves.map(|plan| {
                let why = plan.problems.iter().map(|it| format!("{}: {}", it.pointer, it.detail));
                (plan.to_version, why.collect())
            }),
            case: shell.url(&format!("/v1/runs/{id}/test-case")),
            shell: shell.clone(),
        }
    }
}

fn retry_plan(run: &RunView, plan: &RedoView) -> RetryPlan {
    let from = plan.from.clone().unwrap_or_default();
    let step = run.steps.iter().find(|step| step.id == from);
    let input = step.and_then(|step| step.input.as_ref());
    let list = |steps: &[String]| match steps {
        [] => "none".to_owned(),
        steps => steps.join(", "),
    };
    let runs: Vec<String> = plan.again.iter().chain(&plan.fresh).cloned().collect();
    let missing = plan.missing.iter().map(|it| format!("{} reads {}", it.step, it.path));
    RetryPlan {
        steps: run.steps.iter().filter(|step| step.depth == 0).map(|it| it.id.clone()).collect(),
        input: input.map(pretty).unwrap_or_default(),
        kept: list(&plan.kept),
        again: list(&runs),
        missing: missing.collect(),
        from,
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// Another run beside this one.
#[derive(Clone, Debug, Template)]
#[template(path = "components/run_compare.html")]
pub(super) struct ComparePanel {
    shell: Shell,
    href: String,
    other: String,
    other_href: String,
    /// Runs of the same workflow: id, status, when, where the comparison is.
    near: Vec<(String, Mark, Moment, String)>,
    trigger: Vec<Changed>,
    steps: Vec<Beside>,
    is_compared: bool,
}

impl HtmlSafe for ComparePanel {}

#[derive(Clone, Debug)]
struct Changed {
    path: String,
    left: String,
    right: String,
}

#[derive(Clone, Debug)]
struct Beside {
    step: String,
    left: Option<(Mark, String)>,
    right: Option<(Mark, String)>,
    differs: bool,
    changes: Vec<Changed>,
}

impl ComparePanel {
    pub(super) fn new(
        shell: &Shell,
        id: RunId,
        near: &[RunSummary],
        diff: Option<&RunDiff>,
    ) -> ComparePanel {
        let place = |other: RunId| shell.url(&format!("/runs/{id}?diff={other}"));
        let others = near.iter().filter(|run| run.id != id);
        let other = diff.map(|diff| diff.right.to_string()).unwrap_or_default();
        ComparePanel {
            href: shell.url(&format!("/runs/{id}")),
            other_href: shell.url(&format!("/runs/{other}")),
            other,
            near: others
                .map(|run| {
                    let when = Moment::relative(run.created_at, shell.now);
                    (run.id.to_string(), Mark::of(&run.status), when, place(run.id))
                })
                .collect(),
            trigger: diff.map(|diff| changed("", &diff.trigger)).unwrap_or_default(),
            steps: diff.map(beside).unwrap_or_default(),
            is_compared: diff.is_some(),
            shell: shell.clone(),
        }
    }
}

fn beside(diff: &RunDiff) -> Vec<Beside> {
    let row = |step: &crate::app::run_insight::StepDiff| {
        let mut changes = changed("input", &step.input);
        changes.extend(changed("output", &step.output));
        let outcome = |fate: &Option<StepFate>| {
            fate.as_ref().map(|fate| (fate.status.clone(), fate.code.clone()))
        };
        Beside {
            step: step.step.clone(),
            differs: !changes.is_empty() || outcome(&step.left) != outcome(&step.right),
            left: step.left.as_ref().map(fate),
            right: step.right.as_ref().map(fate),
            changes,
        }
    };
    diff.steps.iter().map(row).collect()
}

fn fate(fate: &StepFate) -> (Mark, String) {
    let mut parts = vec![];
    parts.extend(fate.code.clone());
    if fate.attempts > 1 {
        parts.push(format!("{} attempts", fate.attempts));
    }
    parts.extend(fate.took_ms.map(span));
    (Mark::of(&fate.status), parts.join(" · "))
}

fn changed(root: &str, found: &[Difference]) -> Vec<Changed> {
    let shown = |value: &Option<Value>| {
        value.as_ref().map_or_else(|| "—".to_owned(), |value| clipped(brief(value)))
    };
    let row = |it: &Difference| {
        let joint = if root.is_empty() || it.path.is_empty() || it.path.starts_with('[') {
            ""
        } else {
            "."
        };
        Changed {
            path: format!("{root}{joint}{}", it.path),
            left: shown(&it.left),
            right: shown(&it.right),
        }
    };
    found.iter().map(row).collect()
}
