//! One workflow: what starts it, its steps with the way back, its source, versions and last runs.

use askama::Template;
use serde_json::Value;

use super::authoring::WorkflowTabs;
use super::dashboard::grouped;
use super::editor::diagram::{Diagram, Drawn};
use super::parts::copy::Copy;
use super::parts::moment::Moment;
use super::parts::rules::{Rule, brief, rules};
use super::parts::source::Source;
use super::parts::strip::Strip;
use super::runs::{self, RunRow};
use super::shell::Shell;
use crate::app::views::{RunSummary, WorkflowView};
use crate::domain::problem::Problem;
use crate::domain::rehearsal::Rehearsed;
use crate::domain::workflow::outline::Outlined;

/// How the page's source is spelled, and which version it shows.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct WorkflowQuery {
    /// A version; the newest without one.
    pub version: Option<u32>,
    /// `yaml` or `json`.
    pub source: Option<String>,
}

/// What the page shows beside the workflow itself.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Every version, newest first.
    pub versions: Vec<WorkflowView>,
    /// Its newest runs.
    pub runs: Vec<RunSummary>,
    /// The newest event of the type that it listens to.
    pub newest_event: Option<String>,
    /// What happens if each of its steps fails.
    pub rehearsal: Vec<Rehearsed>,
    /// Its text in YAML, with the comments of whoever wrote it.
    pub yaml: String,
}

/// What a run that is started by hand runs with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ByHand {
    /// Nothing: the workflow needs no event.
    Plain,
    /// A recorded event, by its id.
    With(String),
    /// It needs an event and none has come yet.
    Not,
}

/// The page.
#[derive(Template)]
#[template(path = "workflow.html")]
pub struct WorkflowPage {
    shell: Shell,
    tabs: WorkflowTabs,
    name: String,
    title: String,
    description: String,
    active: bool,
    version: u32,
    is_newest: bool,
    newest: u32,
    href: String,
    trigger: String,
    by_hand: ByHand,
    trigger_rules: Vec<Rule>,
    limits: Vec<String>,
    steps: Vec<StepCard>,
    undone: usize,
    warnings: Vec<Problem>,
    diagram: Diagram,
    rehearsal: Vec<(String, String)>,
    strip: Strip,
    totals: Vec<(&'static str, String, String)>,
    saved: Moment,
    created_by: String,
    identifier: String,
    source: Source,
    source_copy: Copy,
    is_json: bool,
    yaml_href: String,
    json_href: String,
    versions: Vec<VersionRow>,
    rows: Vec<RunRow>,
    curl: String,
}

/// One step as a card.
#[derive(Clone, Debug)]
struct StepCard {
    number: usize,
    id: String,
    title: String,
    what: String,
    condition: Vec<Rule>,
    chips: Vec<String>,
    inputs: Vec<(String, String)>,
    undo: WayBack,
}

/// How a step is undone.
#[derive(Clone, Debug, PartialEq, Eq)]
enum WayBack {
    /// There is nothing to undo.
    Nothing,
    /// It stays done.
    Never,
    /// The platform puts back what it changed.
    Auto,
    /// Another activity undoes it.
    Call { activity: String, inputs: Vec<(String, String)> },
}

#[derive(Clone, Debug)]
struct VersionRow {
    version: u32,
    href: String,
    current: bool,
    saved: Moment,
    by: String,
}

/// Makes the page.
pub fn page(
    shell: Shell,
    query: &WorkflowQuery,
    workflow: &WorkflowView,
    around: &Surroundings,
) -> WorkflowPage {
    let path = format!("/workflows/{}", workflow.name);
    let href = shell.url(&path);
    let newest = around.versions.iter().map(|view| view.version).max().unwrap_or(workflow.version);
    let is_json = query.source.as_deref() == Some("json");
    let text = if is_json { json(&workflow.definition) } else { around.yaml.clone() };
    let pinned = query.version.map_or_else(String::new, |version| format!("version={version}&"));
    let definition = &workflow.definition;
    let steps = steps(definition);
    WorkflowPage {
        tabs: WorkflowTabs::new(&shell, &workflow.name, ""),
        name: workflow.name.clone(),
        title: workflow.title.clone(),
        description: workflow.description.clone(),
        active: workflow.active,
        version: workflow.version,
        is_newest: workflow.version == newest,
        newest,
        trigger: workflow.event.clone().unwrap_or_else(|| workflow.trigger_kind.clone()),
        by_hand: match (&workflow.event, &around.newest_event) {
            (None, _) => ByHand::Plain,
            (Some(_), Some(id)) => ByHand::With(id.clone()),
            (Some(_), None) => ByHand::Not,
        },
        trigger_rules: rules(&definition["trigger"]["filter"]),
        limits: limits(definition),
        diagram: diagram(definition, &href),
        undone: steps.iter().filter(|step| step.undo.is_way()).count(),
        steps,
        warnings: workflow.warnings.clone(),
        rehearsal: around
            .rehearsal
            .iter()
            .map(|rehearsed| (rehearsed.step.clone(), rehearsed.if_fails.sentence()))
            .collect(),
        strip: Strip::new(&workflow.last_runs),
        totals: totals(&shell, workflow),
        saved: Moment::relative(workflow.updated_at, shell.now),
        created_by: workflow.created_by.clone(),
        identifier: workflow.unique_identifier.clone(),
        source: Source::new(if is_json { "Source in JSON" } else { "Source in YAML" }, &text),
        source_copy: Copy::new(text, "source"),
        is_json,
        yaml_href: format!("{href}?{pinned}source=yaml#source"),
        json_href: format!("{href}?{pinned}source=json#source"),
        versions: around.versions.iter().map(|view| version(&shell, workflow, view)).collect(),
        rows: runs::rows(&shell, &around.runs),
        curl: shell.curl(&format!("/v1{path}")),
        href,
        shell,
    }
}

fn diagram(definition: &Value, href: &str) -> Diagram {
    let start = super::editor::trigger_word(definition);
    let look = |step: &Outlined| Drawn {
        href: format!("{href}/edit?open={}#card", step.at),
        undo: way_back(&step.value["compensate"], step.value["activity"].as_str()).is_way(),
        tone: "",
    };
    Diagram::new(definition, &start, &look)
}

fn totals(shell: &Shell, workflow: &WorkflowView) -> Vec<(&'static str, String, String)> {
    let totals = workflow.totals;
    let list = |status: &str| {
        shell.url(&format!("/runs?workflow={}{status}", super::run::encoded(&workflow.name)))
    };
    vec![
        ("started", grouped(totals.started), list("")),
        ("succeeded", grouped(totals.succeeded), list("&status=succeeded")),
        ("failed", grouped(totals.failed), list("&status=failed")),
        ("cancelled", grouped(totals.cancelled), list("&status=cancelled")),
    ]
}

fn version(shell: &Shell, shown: &WorkflowView, view: &WorkflowView) -> VersionRow {
    VersionRow {
        version: view.version,
        href: shell.url(&format!("/workflows/{}?version={}", view.name, view.version)),
        current: view.version == shown.version,
        saved: Moment::relative(view.updated_at, shell.now),
        by: view.created_by.clone(),
    }
}

fn json(definition: &Value) -> String {
    serde_json::to_string_pretty(definition).unwrap_or_else(|_| definition.to_string())
}

fn limits(definition: &Value) -> Vec<String> {
    let timeout = text(&definition["timeout"]).map(|timeout| format!("fails after {timeout}"));
    let concurrency = definition["concurrency"].as_object().map(|rule| {
        let field = |name: &str| rule.get(name).map(brief).unwrap_or_default();
        format!("{} at a time for {} · {}", field("limit"), field("key"), field("policy"))
    });
    timeout.into_iter().chain(concurrency).collect()
}

fn text(value: &Value) -> Option<String> {
    (!value.is_null()).then(|| brief(value))
}

fn steps(definition: &Value) -> Vec<StepCard> {
    let steps = definition["steps"].as_array().map_or(&[][..], Vec::as_slice);
    steps.iter().enumerate().map(|(index, step)| card(index, step)).collect()
}

fn card(index: usize, step: &Value) -> StepCard {
    let id = text(&step["id"]).unwrap_or_else(|| (index + 1).to_string());
    let activity = text(&step["activity"]);
    let sleep = text(&step["sleep"]);
    let inputs = if sleep.is_some() { vec![] } else { inputs(&step["input"]) };
    StepCard {
        number: index + 1,
        title: text(&step["title"]).filter(|title| !title.is_empty()).unwrap_or_else(|| id.clone()),
        what: match (&activity, sleep) {
            (Some(activity), _) => activity.clone(),
            (None, Some(sleep)) => format!("sleep {sleep}"),
            (None, None) => String::new(),
        },
        id,
        condition: rules(&step["if"]),
        chips: chips(step),
        inputs,
        undo: way_back(&step["compensate"], activity.as_deref()),
    }
}

fn chips(step: &Value) -> Vec<String> {
    let retry = &step["retry"];
    let attempts = text(&retry["attempts"]).filter(|attempts| attempts != "1");
    let attempts = attempts.map(|attempts| match text(&retry["initial"]) {
        Some(pause) => format!("{attempts} attempts, first pause {pause}"),
        None => format!("{attempts} attempts"),
    });
    let timeout = text(&step["timeout"]).map(|timeout| format!("timeout {timeout}"));
    let on_failure = match step["onFailure"].as_str() {
        Some("abort") => Some("on failure: stop, undo nothing".to_owned()),
        Some("continue") => Some("on failure: go on".to_owned()),
        Some(_) | None => None,
    };
    [attempts, timeout, on_failure].into_iter().flatten().collect()
}

fn inputs(input: &Value) -> Vec<(String, String)> {
    let fields = input.as_object().into_iter().flatten();
    fields.map(|(name, value)| (name.clone(), brief(value))).collect()
}

fn way_back(undo: &Value, activity: Option<&str>) -> WayBack {
    match (undo, activity) {
        (Value::Object(call), _) => WayBack::Call {
            activity: call.get("activity").map(brief).unwrap_or_default(),
            inputs: call.get("input").map(inputs).unwrap_or_default(),
        },
        (Value::String(word), _) if word == "none" => WayBack::Never,
        (Value::String(word), _) if word == "auto" => WayBack::Auto,
        (_, Some(activity)) if changes_records(activity) => WayBack::Auto,
        (_, Some(_) | None) => WayBack::Nothing,
    }
}

/// Tells from its name whether an activity changes the platform's own records, which are put back
/// without being told how.
fn changes_records(activity: &str) -> bool {
    let reads = ["get-", "search-", "sleep-", "wait-", "transform-", "http-", "publish-", "run-"];
    activity.ends_with("-platform")
        && activity.split_once(':').is_some_and(|(_, verb)| {
            !reads.iter().any(|prefix| verb.starts_with(prefix)) && !verb.contains("email")
        })
}

impl WayBack {
    fn is_way(&self) -> bool {
        matches!(self, WayBack::Auto | WayBack::Call { .. })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_way_back_is_told_for_every_step() {
        let call = json!({"activity": "slack.deleteMessage", "input": {"ts": "{{x}}"}});
        for (undo, activity, way) in [
            (json!("none"), "tickets:update-ticket-platform", WayBack::Never),
            (json!(null), "tickets:update-ticket-platform", WayBack::Auto),
            (json!(null), "tickets:get-ticket-platform", WayBack::Nothing),
            (json!(null), "slack.postMessage", WayBack::Nothing),
            (
                call,
                "slack.postMessage",
                WayBack::Call {
                    activity: "slack.deleteMessage".to_owned(),
                    inputs: vec![("ts".to_owned(), "{{x}}".to_owned())],
                },
            ),
        ] {
            assert_eq!(way_back(&undo, Some(activity)), way, "{undo} {activity}");
        }
    }
}
