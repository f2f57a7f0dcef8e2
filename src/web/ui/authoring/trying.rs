//! The page on which a workflow is tried: nothing is written, nothing is called.

use actix_web::web;
use askama::Template;
use serde_json::{Value, json};

use super::super::parts::json_tree::JsonTree;
use super::super::parts::mark::Mark;
use super::super::parts::moment::{Moment, span};
use super::super::parts::rules::brief;
use super::super::parts::trace::Trace;
use super::super::run::encoded;
use super::super::shell::{Shell, quoted};
use super::super::visit::{Visit, html};
use super::head::Head;
use super::{Choice, field, pairs};
use crate::app::App;
use crate::app::error::Error;
use crate::app::events::EventFilter;
use crate::app::page::PageRequest;
use crate::app::trial::{Otherwise, Trial, TrialRequest};
use crate::app::views::{EventView, StepView, WorkflowView};
use crate::app::workflows::RunRequest;
use crate::domain::event_type::Pattern;
use crate::domain::problem::Problem;
use crate::domain::run::Failure;
use crate::domain::trial::FailAt;
use crate::domain::trial::stage::Source;
use crate::domain::workflow::cases::read_mocks;
use crate::web::beside::beside;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;

const EVENTS_OFFERED: usize = 25;
const VERSIONS_OFFERED: usize = 20;

#[derive(Template)]
#[template(path = "authoring/test.html")]
struct TestPage {
    shell: Shell,
    head: Head,
    here: String,
    events: Vec<Choice>,
    cases: Vec<Choice>,
    versions: Vec<Choice>,
    modes: Vec<Choice>,
    up_to: Vec<Choice>,
    fail_at: Vec<Choice>,
    payload: String,
    result: Option<Outcome>,
    refused: Vec<Problem>,
}

/// What the trial showed.
struct Outcome {
    matches: bool,
    trace: Option<Trace>,
    mark: Mark,
    sentence: String,
    why: Option<String>,
    problems: Vec<Problem>,
    steps: Vec<StepRow>,
    undo: Vec<UndoRow>,
    jumps: Vec<(String, String)>,
}

struct StepRow {
    anchor: String,
    mark: Mark,
    name: String,
    what: String,
    source: String,
    depth: usize,
    fault: Option<(String, String)>,
    skipped: Option<Trace>,
    input: Option<JsonTree>,
    output: Option<JsonTree>,
    expressions: Vec<(String, String, bool)>,
}

struct UndoRow {
    name: String,
    activity: String,
    input: Option<JsonTree>,
}

/// What is to be tried, as the form or the address says it.
#[derive(Clone, Default)]
struct Asked {
    event: String,
    case: String,
    payload: String,
    mode: String,
    up_to: String,
    fail_at: String,
    version: Option<u32>,
}

impl Asked {
    fn of(fields: &[(String, String)]) -> Asked {
        let text = |name: &str| field(fields, name).unwrap_or_default().to_owned();
        Asked {
            event: text("event"),
            case: text("case"),
            payload: text("payload"),
            mode: text("mode"),
            up_to: text("upTo"),
            fail_at: text("failAt"),
            version: field(fields, "version").and_then(|text| text.parse().ok()),
        }
    }
}

/// Shows the page; an address may say what is tried.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let names = ["event", "case", "mode", "upTo", "failAt", "version"];
    let fields: Vec<(String, String)> = names
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), query.text(name)?.to_owned())))
        .collect();
    try_on(app, visit, name.into_inner(), Asked::of(&fields)).await
}

/// Tries what the form says.
pub async fn try_it(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    try_on(app, visit, name.into_inner(), Asked::of(&pairs(&body))).await
}

async fn try_on(app: web::Data<App>, visit: Visit, name: String, mut asked: Asked) -> Answer {
    let versions = app.workflow_versions(&visit.who, &name)?;
    let chosen = versions.iter().find(|view| Some(view.version) == asked.version);
    let view = chosen.or(versions.first()).cloned();
    let missing = || Error::NotFound { what: "workflow", id: name.clone() };
    let view = view.ok_or_else(missing)?;
    asked.version = Some(view.version);
    let events = recorded(&app, &visit, &view)?;
    if asked.event.is_empty() && asked.case.is_empty() && asked.payload.is_empty() {
        asked.event = events.first().map(|event| event.id.clone()).unwrap_or_default();
    }
    let tried = match request(&view, &asked) {
        Err(problems) => Err(Error::Invalid(problems).into()),
        Ok(request) => {
            let (app, who, name) = (app.clone(), visit.who.clone(), view.name.clone());
            beside(move || app.try_workflow(&who, &name, request)).await
        }
    };
    let (result, refused) = match tried {
        Ok(trial) => (Some(outcome(&visit.shell, trial)), Vec::new()),
        Err(refusal) if refusal.problems().is_empty() => {
            (None, vec![Problem::new("", refusal.code(), refusal.detail())])
        }
        Err(refusal) => (None, refusal.problems().to_vec()),
    };
    html(&page(visit.shell, (&view, &versions), &asked, &events, (result, refused)))
}

fn recorded(app: &App, visit: &Visit, view: &WorkflowView) -> Result<Vec<EventView>, Error> {
    let Some(kind) = view.event.as_deref().filter(|_| visit.who.scopes.allow("events:read")) else {
        return Ok(Vec::new());
    };
    let filter = EventFilter { kind: Some(Pattern::restore(kind)), ..EventFilter::default() };
    let page = PageRequest { limit: EVENTS_OFFERED, after: None };
    Ok(app.events(&visit.who, &filter, &page)?.data)
}

fn request(view: &WorkflowView, asked: &Asked) -> Result<TrialRequest, Vec<Problem>> {
    let mut request = TrialRequest {
        start: RunRequest { version: asked.version, ..RunRequest::default() },
        up_to: (!asked.up_to.is_empty()).then(|| asked.up_to.clone()),
        ..TrialRequest::default()
    };
    if !asked.payload.is_empty() {
        let payload = serde_json::from_str(&asked.payload).map_err(|error| {
            vec![Problem::new("/payload", "syntax", format!("no JSON: {error}"))]
        })?;
        request.start.payload = Some(payload);
    } else if !asked.case.is_empty() {
        let cases = view.definition["tests"].as_array().map_or(&[][..], Vec::as_slice);
        let case = cases.iter().find(|case| case["name"] == asked.case.as_str());
        let case = case.ok_or_else(|| {
            let detail = format!("there is no case `{}`", asked.case);
            vec![Problem::new("/case", "not_found", detail)]
        })?;
        request.start.event = Some(case.get("event").unwrap_or(&case["eventId"]).clone());
        if let Some(event) = request.start.event.as_mut().and_then(Value::as_object_mut) {
            event.entry("type").or_insert_with(|| json!(view.event));
        }
        if let Some(mocks) = case.get("mocks") {
            request.mocks = read_mocks(mocks, "/mocks")?;
        }
    } else if !asked.event.is_empty() {
        request.start.event = Some(json!(asked.event));
    }
    if asked.mode == "recorded" {
        request.otherwise = Otherwise::Recorded;
    }
    if !asked.fail_at.is_empty() {
        let failure = Failure::terminal("trial", "this step was asked to fail");
        request.fail_at.push(FailAt { step: asked.fail_at.clone(), failure });
    }
    Ok(request)
}

fn page(
    shell: Shell,
    (view, versions): (&WorkflowView, &[WorkflowView]),
    asked: &Asked,
    events: &[EventView],
    (result, refused): (Option<Outcome>, Vec<Problem>),
) -> TestPage {
    let mut body = json!({"mode": "mock", "version": view.version});
    if !asked.event.is_empty() {
        body["event"] = json!(asked.event);
    }
    for (name, text) in [("upTo", &asked.up_to), ("failAt", &asked.fail_at)] {
        if !text.is_empty() {
            body[name] = json!(text);
        }
    }
    let place = format!("/workflows/{}", encoded(&view.name));
    let api = shell.curl(&format!("/v1{place}/test"));
    let curl = format!("{api} --json {}", quoted(&body.to_string()));
    let about = "Every step is rendered and a script answers for the world. Nothing is written and \
                 nothing is called.";
    let steps = step_ids(&view.definition["steps"]);
    let steps = |none: &str, chosen: &str| {
        let all = steps.iter().map(|id| (id.clone(), id.clone()));
        choices(std::iter::once((String::new(), none.to_owned())).chain(all), chosen)
    };
    let cases = view.definition["tests"].as_array().map_or(&[][..], Vec::as_slice);
    let cases = cases.iter().filter_map(|case| case["name"].as_str());
    let cases = cases.map(|name| (name.to_owned(), name.to_owned()));
    let none = |word: &str| std::iter::once((String::new(), word.to_owned()));
    let modes =
        [("mock", "samples of the activities"), ("recorded", "what the last runs recorded")];
    TestPage {
        head: Head::new(&shell, &view.name, ("/test", "Test", about), curl),
        here: shell.url(&format!("{place}/test")),
        events: choices(none("none").chain(events.iter().map(event_choice)), &asked.event),
        cases: choices(none("none").chain(cases), &asked.case),
        versions: choices(
            versions.iter().take(VERSIONS_OFFERED).map(version_choice),
            &view.version.to_string(),
        ),
        modes: choices(modes.map(|(it, word)| (it.to_owned(), word.to_owned())), &asked.mode),
        up_to: steps("the end", &asked.up_to),
        fail_at: steps("no step fails", &asked.fail_at),
        payload: asked.payload.clone(),
        result,
        refused,
        shell,
    }
}

fn event_choice(event: &EventView) -> (String, String) {
    let subject = event.subject.as_deref().unwrap_or(&event.id);
    let day = event.received_at.to_string().replace('T', " ");
    let minute = day.get(5..16).unwrap_or(&day);
    (event.id.clone(), format!("{minute} · {subject}"))
}

fn version_choice(view: &WorkflowView) -> (String, String) {
    let live = if view.active { " · live" } else { "" };
    (view.version.to_string(), format!("v{}{live}", view.version))
}

fn choices(all: impl IntoIterator<Item = (String, String)>, chosen: &str) -> Vec<Choice> {
    let choice = |(value, word): (String, String)| Choice { chosen: value == chosen, value, word };
    all.into_iter().map(choice).collect()
}

/// Returns the ids of all steps, those inside of others behind them.
fn step_ids(steps: &Value) -> Vec<String> {
    let mut ids = Vec::new();
    let mut waiting: Vec<&Value> = vec![steps];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Array(items) => waiting.extend(items.iter().rev()),
            Value::Object(fields) => {
                let is_step = fields.contains_key("id") && fields["id"].is_string();
                ids.extend(
                    fields.get("id").filter(|_| is_step).and_then(Value::as_str).map(str::to_owned),
                );
                let inner = ["steps", "branch", "forEach", "parallel", "branches"];
                waiting.extend(inner.iter().rev().filter_map(|key| fields.get(*key)));
            }
            _ => {} // Nothing that holds steps.
        }
    }
    ids
}

fn outcome(shell: &Shell, trial: Trial) -> Outcome {
    let status = trial.run.summary.status.clone();
    let error = trial.run.summary.error.as_ref();
    let undone = trial.undo.len();
    let sentence = match (trial.matches, status.as_str()) {
        (false, _) => "This event would start nothing: its filter does not hold".to_owned(),
        (_, "succeeded") => "A run would succeed".to_owned(),
        (_, "failed") if undone == 1 => "A run would fail, and one step would be undone".to_owned(),
        (_, "failed") => format!("A run would fail, and {undone} steps would be undone"),
        (_, "waiting") => "A run would wait".to_owned(),
        (_, other) => format!("A run would be {other}"),
    };
    Outcome {
        matches: trial.matches,
        trace: Trace::read(&trial.trace),
        mark: Mark::of(if trial.matches { &status } else { "skipped" }),
        sentence,
        why: error
            .filter(|_| trial.matches)
            .map(|error| format!("{}: {}", error.code, error.message)),
        problems: trial.problems.clone(),
        jumps: jumps(&trial),
        undo: trial
            .undo
            .iter()
            .map(|undo| UndoRow {
                name: undo.step.clone(),
                activity: undo.activity.clone(),
                input: undo.input.as_ref().map(|input| JsonTree::new("", input)),
            })
            .collect(),
        steps: trial.run.steps.iter().map(|step| step_row(shell, step, &trial)).collect(),
    }
}

fn jumps(trial: &Trial) -> Vec<(String, String)> {
    let told = trial.time_jumps.iter().map(|jump| {
        let step = jump.step.clone().unwrap_or_else(|| "the run".to_owned());
        let long = span(jump.until.millis() - jump.from.millis());
        (step, format!("{} of {long}", jump.kind))
    });
    told.collect()
}

fn step_row(shell: &Shell, step: &StepView, trial: &Trial) -> StepRow {
    let tried = trial.steps.iter().find(|tried| tried.id == step.id);
    let source = tried.and_then(|tried| tried.source.as_ref()).map(|source| match source {
        Source::Given => "answer given".to_owned(),
        Source::Recorded { run } => format!("answer recorded in {run}"),
        Source::Computed => "computed".to_owned(),
        Source::Sample => "sample answer".to_owned(),
        Source::Failed => "asked to fail".to_owned(),
    });
    let until = step.until.map(|until| Moment::relative(until, shell.now).to_string());
    let expressions = tried.map_or(&[][..], |tried| &tried.expressions);
    StepRow {
        anchor: format!("try-{}", step.id),
        mark: Mark::of(&step.status),
        name: if step.title.is_empty() { &step.id } else { &step.title }.clone(),
        what: step.activity.clone(),
        source: source.or(until.map(|_| "waits".to_owned())).unwrap_or_default(),
        depth: step.depth.min(6),
        fault: step.error.as_ref().map(|error| (error.code.clone(), error.message.clone())),
        skipped: step.skipped_because.as_ref().and_then(Trace::read),
        input: step.input.as_ref().map(|input| JsonTree::new("", input)),
        output: step
            .output
            .as_ref()
            .filter(|_| step.error.is_none())
            .map(|output| JsonTree::new(&format!("steps.{}.output", step.id), output)),
        expressions: expressions
            .iter()
            .map(|it| match (&it.value, &it.error) {
                (_, Some(error)) => (it.expression.clone(), error.clone(), false),
                (Some(value), None) => (it.expression.clone(), brief(value), true),
                (None, None) => (it.expression.clone(), String::new(), true),
            })
            .collect(),
    }
}
