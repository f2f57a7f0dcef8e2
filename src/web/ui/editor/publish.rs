//! Publishing a draft: what it changes, a note, and what it leaves alone.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;

use super::super::pages::back;
use super::super::parts::rules::brief;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Visit, with_status};
use super::posted::Posted;
use crate::app::App;
use crate::app::definitions::Publish;
use crate::app::drafts::NOTE_CHARS_MAX;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::runs::RunFilter;
use crate::domain::problem::Problem;
use crate::domain::run::Status;
use crate::domain::workflow::diff::ChangeKind;
use crate::web::error::Answer;

/// How many runs in flight are counted.
const COUNTED_MAX: usize = 100;

/// The page.
#[derive(Template)]
#[template(path = "editor/publish.html")]
struct PublishPage {
    shell: Shell,
    name: String,
    href: String,
    edit_href: String,
    from: Option<u32>,
    to: u32,
    rows: Vec<Row>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    in_flight: String,
    tests: usize,
    note: String,
    note_chars_max: usize,
    revision: u64,
    has_draft: bool,
}

/// One difference.
struct Row {
    pointer: String,
    word: &'static str,
    tone: &'static str,
    before: String,
    after: String,
}

/// Shows what publishing would change.
pub async fn show(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    page(&app, visit, &name, Vec::new(), "")
}

fn page(app: &App, visit: Visit, name: &str, faults: Vec<Problem>, note: &str) -> Answer {
    let opened = app.open_definition(&visit.who, name)?;
    let (revision, has_draft) = (opened.revision(), opened.draft.is_some());
    let (plan, mut problems, tests) = match opened.source.definition() {
        Ok(definition) => {
            let tests = definition.document["tests"].as_array().map_or(0, Vec::len);
            match app.plan_workflow(&visit.who, name, definition) {
                Ok(plan) => (Some(plan), Vec::new(), tests),
                Err(Error::Invalid(problems)) => (None, problems, tests),
                Err(error) => return Err(error.into()),
            }
        }
        Err(problem) => (None, vec![problem], 0),
    };
    problems.extend(faults);
    let status = match problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let changes = plan.as_ref().map(|plan| plan.diff.as_slice()).unwrap_or_default();
    let rows = changes.iter().map(|change| {
        let (word, tone) = match change.kind {
            ChangeKind::Added => ("added", "ok"),
            ChangeKind::Removed => ("removed", "bad"),
            ChangeKind::Changed => ("changed", "run"),
        };
        let side =
            |value: &Option<serde_json::Value>| value.as_ref().map(brief).unwrap_or_default();
        let (before, after) = (side(&change.before), side(&change.after));
        Row { pointer: change.pointer.clone(), word, tone, before, after }
    });
    let path = format!("/workflows/{}", encoded(name));
    let from = plan.as_ref().and_then(|plan| plan.from_version);
    let page = PublishPage {
        rows: rows.collect(),
        from,
        to: plan.as_ref().map_or(1, |plan| plan.to_version),
        warnings: plan.map(|plan| plan.warnings).unwrap_or_default(),
        problems,
        in_flight: in_flight(app, &visit, name)?,
        tests,
        note: note.to_owned(),
        note_chars_max: NOTE_CHARS_MAX,
        revision,
        has_draft,
        name: name.to_owned(),
        edit_href: visit.shell.url(&format!("{path}/edit")),
        href: visit.shell.url(&format!("{path}/publish")),
        shell: visit.shell,
    };
    Ok(with_status(status, &page))
}

/// Tells how many runs keep the version that they began with.
fn in_flight(app: &App, visit: &Visit, name: &str) -> Result<String, Error> {
    if !visit.who.scopes.allow("runs:read") {
        return Ok(String::new());
    }
    let statuses = ["queued", "running", "retrying", "waiting", "compensating"];
    let statuses = statuses.iter().filter_map(|name| Status::parse(name)).collect();
    let filter = RunFilter { workflow: Some(name.to_owned()), statuses, ..RunFilter::default() };
    let runs = app.runs(&visit.who, &filter, &PageRequest { limit: COUNTED_MAX, after: None })?;
    let more = if runs.next_cursor.is_some() { " or more" } else { "" };
    Ok(match runs.data.len() {
        0 => "No run is in flight.".to_owned(),
        1 => format!("1 run in flight keeps v{}.", runs.data[0].version),
        count => format!("{count}{more} runs in flight keep the versions that they began with."),
    })
}

/// Publishes the draft.
pub async fn publish(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    form: web::Bytes,
) -> Answer {
    let posted = Posted::read(&form);
    let note = posted.text("note").to_owned();
    let publish = match posted.text("tests") {
        "skip" => Publish::Untested,
        _ => Publish::Active,
    };
    let saved =
        app.publish_draft(&visit.who, &name, posted.lock(), Some(note.clone()), publish).await;
    match saved {
        Ok(view) => Ok(back(&visit.shell, &format!("/workflows/{}", encoded(&view.name)))),
        Err(Error::Invalid(problems)) => page(&app, visit, &name, problems, &note),
        Err(Error::Stale { .. }) => {
            let detail = "somebody changed the draft since this page was shown; look again";
            let problem = Problem::new("", "stale", detail);
            page(&app, visit, &name, vec![problem], &note)
        }
        Err(error) => Err(error.into()),
    }
}
