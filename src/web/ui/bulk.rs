//! One action on all runs of a list: counted and confirmed, then watched while it is done.

use actix_web::web;
use askama::Template;
use serde::Deserialize;
use serde_json::json;

use super::pages::{back, status};
use super::parts::list::Address;
use super::parts::mark::capital;
use super::parts::moment::Moment;
use super::run::encoded;
use super::runs::{self, RunRow};
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::bulk::{BulkChoice, BulkRequest, BulkSample, BulkSelection, BulkView, BulkWish};
use crate::app::error::Error;
use crate::app::runs::RunFilter;
use crate::app::views::RunSummary;
use crate::domain::bulk::{BulkAction, BulkOptions, BulkStatus};
use crate::domain::time::Timestamp;
use crate::web::beside::beside;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;

/// Which runs are meant, as a form or an address says it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BulkForm {
    action: String,
    status: Option<String>,
    workflow: Option<String>,
    event: Option<String>,
    since: Option<String>,
    q: Option<String>,
}

#[derive(Template)]
#[template(path = "bulk.html")]
struct ConfirmPage {
    shell: Shell,
    title: String,
    button: String,
    note: &'static str,
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
    let text = |name: &str| query.text(name).map(str::to_owned);
    let form = BulkForm {
        action: text("action").unwrap_or_default(),
        status: text("status"),
        workflow: text("workflow"),
        event: text("event"),
        // From here on it is the same instant, however long somebody thinks.
        since: query.time("since")?.map(|since| since.to_string()),
        q: text("q"),
    };
    let found = select(&app, &visit, request(&form)?).await?;
    html(&confirm_page(visit.shell, &form, found))
}

/// Starts the job and shows it.
pub async fn start(app: web::Data<App>, visit: Visit, form: web::Form<BulkForm>) -> Answer {
    let request = request(&form)?;
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

fn request(form: &BulkForm) -> Result<BulkRequest, ApiError> {
    let refused = || ApiError::bad_parameter("action", "must be retry or cancel");
    let known = [BulkAction::Retry, BulkAction::Cancel];
    let action = BulkAction::named(&form.action).filter(|action| known.contains(action));
    let since = form.since.as_deref().map(str::parse::<Timestamp>).transpose();
    let filter = RunFilter {
        statuses: form.status.as_deref().map(status).transpose()?.into_iter().collect(),
        workflow: form.workflow.clone(),
        event: form.event.clone(),
        since: since.map_err(|fault| ApiError::bad_parameter("since", fault.to_string()))?,
        text: form.q.clone(),
        ..RunFilter::default()
    };
    let asked = json!({
        "status": form.status, "workflow": form.workflow, "event": form.event,
        "since": form.since, "q": form.q,
    });
    Ok(BulkRequest {
        action: action.ok_or_else(refused)?,
        options: BulkOptions::default(),
        choice: BulkChoice::Runs(filter),
        asked,
    })
}

/// Returns what can be done to all runs of a list of this status, with its words.
pub fn offered(
    shell: &Shell,
    status: &str,
    list: &[(&'static str, Option<String>)],
) -> Option<(String, String)> {
    let action = match status {
        "failed" => "retry",
        "waiting" | "queued" | "running" | "retrying" => "cancel",
        _ => return None, // There is nothing that all of them need.
    };
    let mut address = vec![("action", Some(action.to_owned()))];
    address.extend(list.iter().cloned());
    let href = Address::new("/bulk", address).here(shell);
    Some((href, format!("{} all of them…", capital(action))))
}

fn confirm_page(shell: Shell, form: &BulkForm, found: BulkSelection) -> ConfirmPage {
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
    let given = [
        ("action", Some(form.action.clone())),
        ("status", form.status.clone()),
        ("workflow", form.workflow.clone()),
        ("event", form.event.clone()),
        ("since", form.since.clone()),
        ("q", form.q.clone()),
    ];
    let list: Vec<_> = given[1..].to_vec();
    let fields = given.into_iter().filter_map(|(name, value)| Some((name, value?)));
    ConfirmPage {
        title: format!("{} {}", capital(action), runs(found.total)),
        button: format!("{} {}", capital(action), runs(found.total)),
        note: match found.action {
            BulkAction::Cancel => {
                "Finished steps are undone. Those that end meanwhile are left alone."
            }
            _ => {
                "Each goes on from the step that failed, with its own version. The newest are shown."
            }
        },
        total: found.total,
        rows: runs::rows(&shell, &sample),
        fields: fields.collect(),
        dangerous: found.action == BulkAction::Cancel,
        back: Address::new("/runs", list).here(&shell),
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
