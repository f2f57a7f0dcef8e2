//! The test cases of a workflow: played as the page is shown, added and removed.

use actix_web::web;
use askama::Template;
use serde_json::{Value, json};

use super::super::parts::mark::Mark;
use super::super::parts::rules::brief;
use super::super::run::encoded;
use super::super::shell::{Shell, quoted};
use super::super::visit::{Visit, html, see_other};
use super::head::Head;
use super::{field, pairs};
use crate::app::App;
use crate::app::cases::{Cases, CasesView};
use crate::app::error::Error;
use crate::app::views::WorkflowView;
use crate::domain::problem::Problem;
use crate::domain::trial::{CaseOutcome, CaseResult};
use crate::web::beside::beside;
use crate::web::body::Raw;
use crate::web::error::Answer;

const EXAMPLE: &str = r#"{
  "name": "an urgent ticket starts it",
  "event": { "type": "ticket:created", "payload": { "ticket": { "priorityName": "urgent" } } },
  "expect": { "matches": true }
}"#;

#[derive(Template)]
#[template(path = "authoring/cases.html")]
struct CasesPage {
    shell: Shell,
    head: Head,
    here: String,
    remove_href: String,
    version: u32,
    is_live: bool,
    tone: &'static str,
    sentence: String,
    rows: Vec<CaseRow>,
    may_write: bool,
    example: &'static str,
}

struct CaseRow {
    name: String,
    about: String,
    mark: Mark,
    word: &'static str,
    misses: Vec<(String, String)>,
    test_href: String,
}

/// Plays the cases of the newest version and shows what came of them.
pub async fn show(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    let name = name.into_inner();
    let versions = app.workflow_versions(&visit.who, &name)?;
    let missing = || Error::NotFound { what: "workflow", id: name.clone() };
    let view = versions.into_iter().next().ok_or_else(missing)?;
    let (playing, who, version) = (app.clone(), visit.who.clone(), view.version);
    let play = move || playing.play_cases(&who, &name, Cases::Saved(Some(version)));
    let played = beside(play).await?;
    html(&page(visit.shell.clone(), &visit, &view, &played))
}

fn page(shell: Shell, visit: &Visit, view: &WorkflowView, played: &CasesView) -> CasesPage {
    let place = format!("/workflows/{}", encoded(&view.name));
    let about = "Events with what must come of them. They are played at every save; one that fails \
                 keeps a version from going live.";
    let body = json!({ "version": view.version }).to_string();
    let curl = format!("{} --json {}", shell.curl(&format!("/v1{place}/tests")), quoted(&body));
    let cases = view.definition["tests"].as_array().map_or(&[][..], Vec::as_slice);
    let (tone, sentence) = sentence(played);
    CasesPage {
        head: Head::new(&shell, &view.name, ("/cases", "Cases", about), curl),
        here: shell.url(&format!("{place}/cases")),
        remove_href: shell.url(&format!("{place}/cases/remove")),
        version: view.version,
        is_live: view.active,
        tone,
        sentence,
        rows: played.data.iter().map(|it| row(&shell, &place, it, &cases[it.index])).collect(),
        may_write: visit.who.scopes.allow("workflows:write"),
        example: EXAMPLE,
        shell,
    }
}

fn sentence(played: &CasesView) -> (&'static str, String) {
    let all = played.data.len();
    match (played.failed, played.skipped) {
        (0, 0) => ("ok", format!("{all} of {all} cases pass")),
        (0, skipped) => ("wait", format!("{} pass, {skipped} could not be played", played.passed)),
        (failed, _) => ("bad", format!("{failed} of {all} cases fail")),
    }
}

fn row(shell: &Shell, place: &str, result: &CaseResult, case: &Value) -> CaseRow {
    let (status, word) = match result.outcome {
        CaseOutcome::Passed => ("succeeded", "passes"),
        CaseOutcome::Failed => ("failed", "fails"),
        CaseOutcome::Skipped => ("skipped", "not played"),
    };
    let event = case["event"]["type"].as_str().or(case["eventId"].as_str()).unwrap_or("");
    let expected = match case["expect"]["matches"].as_bool() {
        Some(false) => "must not start it".to_owned(),
        _ => match case["expect"]["status"].as_str() {
            Some(status) => format!("must end {status}"),
            None => "must start it".to_owned(),
        },
    };
    CaseRow {
        about: if event.is_empty() { expected } else { format!("{event} {expected}") },
        mark: Mark::of(status),
        word,
        misses: result
            .misses
            .iter()
            .map(|miss| {
                let values =
                    format!("expected {}, was {}", brief(&miss.expected), brief(&miss.actual));
                (miss.detail.clone(), values)
            })
            .collect(),
        test_href: shell.url(&format!("{place}/test?case={}", encoded(&result.name))),
        name: result.name.clone(),
    }
}

/// Adds a case: one of an event, or one that was typed.
pub async fn add(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    let fields = pairs(&body);
    let case = match (field(&fields, "case.event"), field(&fields, "case")) {
        (Some(event), _) => app.case_of_event(&visit.who, &name, event)?,
        (None, Some(text)) => serde_json::from_str(text).map_err(|error| {
            let problem = Problem::new("/case", "syntax", format!("no JSON: {error}"));
            Error::Invalid(vec![problem])
        })?,
        (None, None) => {
            let problem = Problem::new("/case", "required", "there is no case in the form");
            return Err(Error::Invalid(vec![problem]).into());
        }
    };
    app.add_case(&visit.who, &name, case).await?;
    Ok(see_other(visit.shell.url(&format!("/workflows/{}/cases", encoded(&name)))))
}

/// Removes a case.
pub async fn remove(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    let fields = pairs(&body);
    app.remove_case(&visit.who, &name, field(&fields, "name").unwrap_or_default()).await?;
    Ok(see_other(visit.shell.url(&format!("/workflows/{}/cases", encoded(&name)))))
}
