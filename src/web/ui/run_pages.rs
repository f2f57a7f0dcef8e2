//! Handlers of a run's page: its parts, and what is pressed there.

use actix_web::web;
use serde::Deserialize;
use serde_json::Value;

use super::pages::back;
use super::run::{self, Around};
use super::run_panels::{ComparePanel, ContextPanel, Evaluated, HistoryPanel, Panel, RedoPanel};
use super::shell::Shell;
use super::visit::{Part, Visit, html};
use crate::app::App;
use crate::app::approvals::Verdict;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::redo::{Restart, Retry, VersionWish};
use crate::app::runs::RunFilter;
use crate::app::views::RunView;
use crate::domain::problem::Problem;
use crate::domain::run::Decision;
use crate::web::api::runs::run_id;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;
use crate::web::route::{Group, Route};

/// What people press on the page of a run.
pub static PAGES: Group = Group {
    tag: "run-page",
    about: "What people press on the page of a run.",
    routes: &[
        Route::post("/runs/{id}/restart", || web::to(restart))
            .named("page_run_restart", "Starts a new run with the same event, or an edited one.")
            .page("runs:write"),
        Route::post("/runs/{id}/migrate", || web::to(migrate))
            .named("page_run_migrate", "Moves a run to the newest version.")
            .page("runs:write"),
        Route::post("/runs/{id}/steps/{step}/decide", || web::to(decide))
            .named("page_run_decide", "Approves or rejects a step.")
            .page("approvals:write"),
        Route::post("/runs/{id}/steps/{step}/try-now", || web::to(try_now))
            .named("page_run_try_now", "Makes the next attempt of a step at once.")
            .page("runs:write"),
    ],
    schemas: &[],
    made: &[],
};

/// How many runs are offered to be compared with.
const NEAR: usize = 8;

/// Shows a run, or the part of its page that the address asks for.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let id = run_id(&id)?;
    let view = app.run(&visit.who, id)?;
    let panel = panel(&app, &visit.who, &visit.shell, &view, &query)?;
    let around = Around {
        relations: app.run_relations(&visit.who, id)?,
        step: query.text("step").unwrap_or_default().to_owned(),
        panel,
    };
    match visit.part {
        Part::Whole => html(&run::page(visit.shell, &view, around)),
        Part::Live => html(&run::live(visit.shell, &view, around)),
    }
}

fn panel(
    app: &App,
    who: &Principal,
    shell: &Shell,
    view: &RunView,
    query: &Query,
) -> Result<Panel, ApiError> {
    let id = view.summary.id;
    let tab = if query.text("diff").is_some() { Some("compare") } else { query.text("tab") };
    match tab {
        None | Some("timeline") => Ok(Panel::Timeline),
        Some("context") => context(app, who, shell, view, query),
        Some("history") => {
            Ok(Panel::History(Box::new(HistoryPanel::new(shell, id, &app.journal(who, id)?))))
        }
        Some("redo") => Ok(Panel::Redo(Box::new(redo(app, who, shell, view)?))),
        Some("compare") => {
            let other = query.text("diff").map(|other| run_id(other.trim())).transpose()?;
            let diff = other.map(|other| app.compare_runs(who, id, other)).transpose()?;
            let workflow = Some(view.summary.workflow.clone());
            let filter = RunFilter { workflow, ..RunFilter::default() };
            let near = app.runs(who, &filter, &PageRequest { limit: NEAR, after: None })?;
            Ok(Panel::Compare(Box::new(ComparePanel::new(shell, id, &near.data, diff.as_ref()))))
        }
        Some(other) => Err(ApiError::bad_parameter("tab", format!("there is no `{other}`"))),
    }
}

fn context(
    app: &App,
    who: &Principal,
    shell: &Shell,
    view: &RunView,
    query: &Query,
) -> Result<Panel, ApiError> {
    let id = view.summary.id;
    let at = query.number("at")?.map(|number| number as usize);
    let context = app.run_context(who, id, at)?;
    let expression = query.text("expression").unwrap_or_default();
    let evaluated: Option<Evaluated> = match expression.is_empty() {
        true => None,
        false => match app.evaluate_in_run(who, id, at, expression) {
            Ok(value) => Some(Ok(value)),
            Err(Error::Invalid(problems)) => Some(Err(problems.into_iter().map(told).collect())),
            Err(other) => return Err(other.into()),
        },
    };
    let panel = ContextPanel::new(shell, id, &context, (expression, evaluated));
    Ok(Panel::Context(Box::new(panel)))
}

fn told(problem: Problem) -> String {
    let hint = problem.hint.map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{}{hint}", problem.detail)
}

fn redo(app: &App, who: &Principal, shell: &Shell, view: &RunView) -> Result<RedoPanel, Error> {
    let id = view.summary.id;
    let plan = match view.can_retry {
        true => Some(app.plan_retry(who, id, &Retry::default())?),
        false => None,
    };
    let goes_on = !super::runs::is_over(&view.summary.status);
    let migration = match goes_on {
        // A workflow that was deleted has no newest version.
        true => app.plan_migration(who, id, VersionWish::Latest).ok(),
        false => None,
    };
    Ok(RedoPanel::new(shell, view, plan.as_ref(), migration.as_ref()))
}

/// How a run is tried again.
#[derive(Deserialize)]
pub struct RetryForm {
    from: Option<String>,
    version: Option<String>,
    input: Option<String>,
    /// The step whose input stood in the form at first.
    input_of: Option<String>,
}

/// Goes on from the step that failed, or as the form says.
pub async fn retry(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Form<RetryForm>,
) -> Answer {
    let id = run_id(&id)?;
    let form = form.into_inner();
    let edited = json_of("/input", form.input)?;
    let view = app.run(&visit.who, id)?;
    let shown = form.input_of.unwrap_or_default();
    let before = view.steps.into_iter().find(|step| step.id == shown).and_then(|it| it.input);
    let retry = Retry {
        from: form.from.filter(|from| !from.is_empty() && *from != shown),
        version: version(form.version.as_deref())?,
        input: edited.filter(|input| before.as_ref() != Some(input)),
    };
    let again = app.retry_run(&visit.who, id, retry).await?;
    Ok(back(&visit.shell, &format!("/runs/{}", again.summary.id)))
}

/// How a run is restarted.
#[derive(Deserialize)]
pub struct RestartForm {
    version: Option<String>,
    payload: Option<String>,
}

/// Starts a new run with the same event, or an edited one, and shows it.
pub async fn restart(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Form<RestartForm>,
) -> Answer {
    let id = run_id(&id)?;
    let form = form.into_inner();
    let edited = json_of("/payload", form.payload)?;
    let view = app.run(&visit.who, id)?;
    let before = view.trigger.as_ref().and_then(|trigger| trigger.get("payload"));
    let restart = Restart {
        version: version(form.version.as_deref())?,
        payload: edited.filter(|payload| before != Some(payload)),
    };
    let started = app.restart_run(&visit.who, id, restart).await?;
    Ok(back(&visit.shell, &format!("/runs/{}", started.summary.id)))
}

/// Moves a run to the newest version.
pub async fn migrate(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.migrate_run(&visit.who, run_id(&id)?, VersionWish::Latest).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

/// What somebody decides about a step.
#[derive(Deserialize)]
pub struct DecideForm {
    verdict: String,
    comment: Option<String>,
}

/// Approves or rejects a step.
pub async fn decide(
    app: web::Data<App>,
    visit: Visit,
    place: web::Path<(String, String)>,
    form: web::Form<DecideForm>,
) -> Answer {
    let (id, step) = place.into_inner();
    let decision = match form.verdict.as_str() {
        "approve" => Decision::Approved,
        "reject" => Decision::Rejected,
        _ => return Err(ApiError::bad_parameter("verdict", "must be approve or reject")),
    };
    let comment = form.into_inner().comment.unwrap_or_default();
    app.decide(&visit.who, run_id(&id)?, &step, Verdict { decision, comment }).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

/// Makes the next attempt of a step at once.
pub async fn try_now(
    app: web::Data<App>,
    visit: Visit,
    place: web::Path<(String, String)>,
) -> Answer {
    let (id, step) = place.into_inner();
    app.try_now(&visit.who, run_id(&id)?, &step).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

fn version(text: Option<&str>) -> Result<VersionWish, ApiError> {
    match text.unwrap_or_default() {
        "" => Ok(VersionWish::Own),
        "latest" => Ok(VersionWish::Latest),
        number => number
            .parse()
            .map(VersionWish::Number)
            .map_err(|_| ApiError::bad_parameter("version", "must be a number, or `latest`")),
    }
}

/// Reads what was written into a field; nothing counts as nothing.
pub(super) fn json_of(pointer: &str, text: Option<String>) -> Result<Option<Value>, Error> {
    let Some(text) = text.filter(|text| !text.trim().is_empty()) else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Error::Invalid(vec![Problem::new(pointer, "syntax", format!("no JSON: {error}"))])
    })
}
