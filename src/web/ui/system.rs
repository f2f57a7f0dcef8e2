//! How the appliance does: its state, alerts, what the doctor found, figures, settings, its log.

use actix_web::web;
use askama::Template;
use serde::Deserialize;

use super::pages::back;
use super::parts::mark::Mark;
use super::parts::moment::Moment;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::error::Error;
use crate::app::lookout::SettingView;
use crate::app::notices::{NoticeTest, NoticeView};
use crate::app::overview::{Figure, Overview};
use crate::app::principal::Principal;
use crate::app::workers::WorkerView;
use crate::domain::alert::Alert;
use crate::domain::doctor::{Finding, Grade, bytes};
use crate::logs::LogLine;
use crate::web::api::watch::line_filter;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::state::Front;

/// An alert as the page shows it.
struct AlertRow {
    alert: Alert,
    raised: Moment,
    resolved: Option<Moment>,
}

/// A finding as the page shows it.
struct FindingRow {
    mark: Mark,
    finding: Finding,
}

/// A line of the log as the page shows it.
struct LineRow {
    time: String,
    level: &'static str,
    text: String,
}

/// The page.
#[derive(Template)]
#[template(path = "system.html")]
pub struct SystemPage {
    shell: Shell,
    sentence: String,
    tone: &'static str,
    drawing: &'static str,
    alerts: Vec<AlertRow>,
    recent: Vec<AlertRow>,
    troubles: Vec<FindingRow>,
    fine: Vec<FindingRow>,
    figures: Vec<Figure>,
    notices: Vec<NoticeView>,
    settings: Vec<SettingView>,
    lines: Vec<LineRow>,
    version: &'static str,
    is_whole: bool,
    level: String,
    wanted: String,
    stream: String,
    tested: Vec<NoticeTest>,
    workers: Vec<(WorkerView, Moment)>,
    streams: usize,
    tables: Vec<(&'static str, u64, String)>,
    agenda: Option<(u64, usize)>,
    curl: String,
}

/// What stands on the page beside the overview.
#[derive(Default)]
pub struct Machinery {
    /// Who works at tasks outside.
    pub workers: Vec<WorkerView>,
    /// How many streams of events are open.
    pub streams: usize,
    /// What the store holds: a family of rows, how many there are and their bytes.
    pub tables: Vec<(&'static str, u64, u64)>,
    /// How many firings of how many schedules come in the next 24 hours.
    pub agenda: Option<(u64, usize)>,
}

impl SystemPage {
    /// Shows the parts of the machine.
    pub fn with(mut self, parts: Machinery) -> SystemPage {
        let shell = &self.shell;
        let seen = |worker: WorkerView| {
            let at = shell.ago(&worker.last_seen_at);
            (worker, at)
        };
        self.workers = parts.workers.into_iter().map(seen).collect();
        self.streams = parts.streams;
        let told = |(name, rows, size): (&'static str, u64, u64)| (name, rows, bytes(size));
        self.tables = parts.tables.into_iter().map(told).collect();
        self.agenda = parts.agenda;
        self
    }
}

/// Makes the page; `asked` is the least level and the text of the lines that are shown.
pub fn page(
    shell: Shell,
    overview: Overview,
    (level, wanted): (&str, &str),
    tested: Vec<NoticeTest>,
) -> SystemPage {
    let (tone, drawing) = match overview.status {
        Grade::Ok => ("ok", "succeeded"),
        Grade::Warn => ("retry", "warning"),
        Grade::Fail => ("bad", "failed"),
    };
    let alert = |alert: Alert| AlertRow {
        raised: Moment::relative(alert.raised_at, shell.now),
        resolved: alert.resolved_at.map(|at| Moment::relative(at, shell.now)),
        alert,
    };
    let finding = |finding: Finding| FindingRow { mark: mark(finding.status), finding };
    let (fine, troubles): (Vec<_>, Vec<_>) = overview
        .diagnosis
        .data
        .into_iter()
        .map(finding)
        .partition(|it| it.finding.status == Grade::Ok);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("level", level), ("q", wanted)] {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    SystemPage {
        sentence: overview.sentence,
        tone,
        drawing,
        alerts: overview.alerts.into_iter().map(&alert).collect(),
        recent: overview.recent.into_iter().map(&alert).collect(),
        troubles,
        fine,
        figures: overview.figures,
        notices: overview.notices,
        settings: overview.settings,
        lines: overview.lines.iter().map(|line| row(line)).collect(),
        version: overview.version,
        is_whole: overview.is_whole,
        level: level.to_owned(),
        wanted: wanted.to_owned(),
        stream: shell.url(&format!("/v1/system/logs/stream?{}", query.finish())),
        tested,
        workers: Vec::new(),
        streams: 0,
        tables: Vec::new(),
        agenda: None,
        curl: shell.curl("/v1/system/doctor"),
        shell,
    }
}

fn mark(grade: Grade) -> Mark {
    Mark::of(match grade {
        Grade::Ok => "succeeded",
        Grade::Warn => "retrying",
        Grade::Fail => "failed",
    })
    .worded(match grade {
        Grade::Ok => "Fine",
        Grade::Warn => "Look at it",
        Grade::Fail => "Fails",
    })
}

fn row(line: &LogLine) -> LineRow {
    let mut text = line.message.clone();
    for (name, value) in [
        ("tenant", &line.tenant),
        ("run", &line.run),
        ("step", &line.step),
        ("request", &line.request_id),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {name}={value}"));
        }
    }
    for (name, value) in &line.fields {
        text.push_str(&format!(" {name}={value}"));
    }
    LineRow { time: line.time.to_string(), level: line.level.name(), text }
}

/// Shows it.
pub async fn show(
    app: web::Data<App>,
    front: web::Data<Front>,
    visit: Visit,
    query: Query,
) -> Answer {
    let filter = line_filter(&query)?;
    let overview = app.overview(&visit.who, filter).await?;
    let parts = machinery(&app, &front, &visit.who)?;
    let asked = (query.text("level").unwrap_or_default(), query.text("q").unwrap_or_default());
    html(&page(visit.shell, overview, asked, Vec::new()).with(parts))
}

fn machinery(app: &App, front: &Front, who: &Principal) -> Result<Machinery, Error> {
    let workers = match who.scopes.allow("tasks:read") {
        true => app.workers(who)?,
        false => Vec::new(),
    };
    let agenda = match who.scopes.allow("schedules:read") {
        true => {
            let agenda = app.agenda(who)?;
            Some((agenda.firings, agenda.schedules))
        }
        false => None,
    };
    let mut tables: Vec<(&'static str, u64, u64)> = Vec::new();
    for kind in app.storage(who)?.tenants.into_iter().flat_map(|tenant| tenant.kinds) {
        match tables.iter_mut().find(|(name, ..)| *name == kind.kind) {
            Some((_, rows, bytes)) => (*rows, *bytes) = (*rows + kind.rows, *bytes + kind.bytes),
            None => tables.push((kind.kind, kind.rows, kind.bytes)),
        }
    }
    tables.sort_by_key(|(_, _, bytes)| std::cmp::Reverse(*bytes));
    Ok(Machinery { workers, streams: front.streams.open_of(who.tenant), tables, agenda })
}

/// Tries whether notices arrive, and shows what came of it.
pub async fn test(app: web::Data<App>, visit: Visit) -> Answer {
    let tested = app.test_notices(&visit.who, None).await?;
    let overview = app.overview(&visit.who, Default::default()).await?;
    html(&page(visit.shell, overview, ("", ""), tested))
}

/// Which level is wanted.
#[derive(Deserialize)]
pub struct LevelForm {
    level: String,
}

/// How long a level that was set here lasts.
const LEVEL_LASTS: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// Changes what is logged for a quarter of an hour.
pub async fn level(app: web::Data<App>, visit: Visit, form: web::Form<LevelForm>) -> Answer {
    app.set_log_level(&visit.who, &form.level, Some(LEVEL_LASTS)).await?;
    Ok(back(&visit.shell, "/system"))
}
