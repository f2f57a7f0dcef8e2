//! One action on all runs of a list: counted and confirmed, then watched while it is done.

use actix_web::web;
use askama::Template;
use serde_json::{Map, Value};

use super::pages::back;
use super::parts::mark::capital;
use super::parts::moment::Moment;
use super::run::encoded;
use super::run_list::listed;
use super::runs::{self, RunRow};
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::bulk::{BulkChoice, BulkRequest, BulkSample, BulkSelection, BulkView, BulkWish};
use crate::app::error::Error;
use crate::app::run_words::RunWords;
use crate::app::views::RunSummary;
use crate::domain::bulk::{BulkAction, BulkOptions, BulkStatus};
use crate::domain::run_search::statuses;
use crate::web::api::run_lists::{refused, words};
use crate::web::beside::beside;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;

const ACTIONS: [BulkAction; 3] = [BulkAction::Retry, BulkAction::Restart, BulkAction::Cancel];

#[derive(Template)]
#[template(path = "bulk.html")]
struct ConfirmPage {
    shell: Shell,
    title: String,
    button: String,
    note: &'static str,
    /// Which runs are meant.
    filter: Vec<(&'static str, String)>,
    total: u64,
    rows: Vec<RunRow>,
    fields: Vec<(&'static str, String)>,
    dangerous: bool,
    back: String,
}

#[derive(Template)]
#[template(path = "bulk_job.html")]
struct JobPage {
    shell: Shell,
    title: String,
    sentence: String,
    here: String,
    status: &'static str,
    moving: bool,
    paused: bool,
    total: u64,
    done: u64,
    skipped: u64,
    failed: u64,
    created: Moment,
    by: String,
    reasons: Vec<Reason>,
}

struct Reason {
    code: String,
    detail: String,
    count: u64,
    sample: Vec<(String, String)>,
}

/// Shows what would be done to whom.
pub async fn confirm(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let asked = words(&query).unfolded().map_err(refused)?;
    // From here on it is the same instant, however long somebody thinks.
    let asked = asked.pinned(app.now());
    let name = query.text("action").unwrap_or_default();
    let found = select(&app, &visit, request(&app, name, &asked)?).await?;
    html(&confirm_page(visit.shell, &asked, found))
}

/// Starts the job and shows it.
pub async fn start(
    app: web::Data<App>,
    visit: Visit,
    form: web::Form<Vec<(String, String)>>,
) -> Answer {
    let value = |name: &str| form.iter().find(|pair| pair.0 == name).map(|pair| pair.1.clone());
    let asked = RunWords::of(&|name| value(name));
    let request = request(&app, &value("action").unwrap_or_default(), &asked)?;
    let found = select(&app, &visit, request.clone()).await?;
    let job = app.start_bulk(&visit.who, request, found).await?;
    Ok(back(&visit.shell, &format!("/bulk/{}", encoded(&job.id))))
}

/// Shows a job.
pub async fn job(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    let view = app.bulk_job(&visit.who, &id)?;
    html(&job_page(visit.shell, view))
}

/// Holds a job, lets it go on, or ends it.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, String)>,
) -> Answer {
    let (id, wish) = path.into_inner();
    let wish = match wish.as_str() {
        "pause" => BulkWish::Pause,
        "resume" => BulkWish::Resume,
        "cancel" => BulkWish::Cancel,
        _ => return Err(Error::NotFound { what: "action", id: wish }.into()),
    };
    app.change_bulk(&visit.who, &id, wish).await?;
    Ok(back(&visit.shell, &format!("/bulk/{}", encoded(&id))))
}

async fn select(app: &App, visit: &Visit, request: BulkRequest) -> Result<BulkSelection, ApiError> {
    let (app, who) = (app.clone(), visit.who.clone());
    beside(move || app.select_bulk(&who, &request)).await
}

fn request(app: &App, name: &str, asked: &RunWords) -> Result<BulkRequest, ApiError> {
    let refusal = || ApiError::bad_parameter("action", "must be retry, restart or cancel");
    let action = BulkAction::named(name).filter(|action| ACTIONS.contains(action));
    let pairs = asked.pairs().iter();
    let said: Map<String, Value> =
        pairs.map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
    Ok(BulkRequest {
        action: action.ok_or_else(refusal)?,
        options: BulkOptions::default(),
        choice: BulkChoice::Runs(asked.filter(app.now()).map_err(refused)?),
        asked: Value::Object(said),
    })
}

/// Returns what can be done to all runs of a list, with its words.
pub fn offered(shell: &Shell, asked: &RunWords) -> Vec<(String, &'static str)> {
    let statuses = asked.value("status").and_then(|text| statuses(text).ok()).unwrap_or_default();
    let fits = |action: &BulkAction| {
        let possible = action.acts_on();
        statuses.iter().all(|status| possible.contains(status))
    };
    let offer = |action: BulkAction| {
        let mut address = asked.clone();
        address.set("action", action.as_str().to_owned());
        let word = match (action, statuses.is_empty()) {
            (BulkAction::Retry, true) => "Retry those that failed…",
            (BulkAction::Retry, false) => "Retry all…",
            (BulkAction::Restart, true) => "Restart those that failed…",
            (BulkAction::Restart, false) => "Restart all…",
            (_, true) => "Cancel those that go on…",
            (_, false) => "Cancel all…",
        };
        (listed("/bulk", &address).here(shell), word)
    };
    ACTIONS.into_iter().filter(fits).map(offer).collect()
}

fn confirm_page(shell: Shell, asked: &RunWords, found: BulkSelection) -> ConfirmPage {
    let action = found.action.as_str();
    let runs = |count: u64| if count == 1 { "1 run".to_owned() } else { format!("{count} runs") };
    let sample: Vec<RunSummary> = found
        .sample
        .into_iter()
        .filter_map(|sample| match sample {
            BulkSample::Run(run) => Some(*run),
            BulkSample::Event(_) => None,
        })
        .collect();
    let meant = found.action.meant();
    let meant: Vec<&str> = meant.into_iter().map(|status| status.as_str()).collect();
    let mut said = asked.clone();
    if said.value("status").is_none() {
        said.set("status", meant.join(","));
    }
    let mut fields = asked.pairs().to_vec();
    fields.push(("action", action.to_owned()));
    ConfirmPage {
        title: format!("{} {}", capital(action), runs(found.total)),
        button: format!("{} {}", capital(action), runs(found.total)),
        note: match found.action {
            BulkAction::Cancel => {
                "Finished steps are undone. Those that end meanwhile are left alone."
            }
            BulkAction::Restart => {
                "For each a new run begins with the same event and the version that is active now; \
                 the old one stays as it is."
            }
            _ => "Each goes on from the step that failed, with its own version.",
        },
        filter: said.pairs().to_vec(),
        total: found.total,
        rows: runs::rows(&shell, &sample),
        fields,
        dangerous: found.action == BulkAction::Cancel,
        back: listed("/runs", asked).here(&shell),
        shell,
    }
}

fn job_page(shell: Shell, view: BulkView) -> JobPage {
    let seen = view.total - view.left;
    let sentence = match view.status {
        BulkStatus::Running => format!("{seen} of {} were looked at", view.total),
        BulkStatus::Paused => format!("Held after {seen} of {}", view.total),
        BulkStatus::Finished => format!("All {} were looked at", view.total),
        BulkStatus::Cancelled => format!("Ended after {seen} of {}", view.total),
    };
    let reasons = view.reasons.into_iter().map(|reason| {
        let href = |id: String| (id.clone(), shell.url(&format!("/runs/{}", encoded(&id))));
        let sample = reason.sample.into_iter().map(href).collect();
        Reason { code: reason.code, detail: reason.detail, count: reason.count, sample }
    });
    JobPage {
        title: format!("{} many runs", capital(view.action.as_str())),
        sentence,
        here: shell.url(&format!("/bulk/{}", encoded(&view.id))),
        status: view.status.as_str(),
        moving: view.status == BulkStatus::Running,
        paused: view.status == BulkStatus::Paused,
        total: view.total,
        done: view.done,
        skipped: view.skipped,
        failed: view.failed,
        created: Moment::relative(view.created_at, shell.now),
        by: view.created_by,
        reasons: reasons.collect(),
        shell,
    }
}
