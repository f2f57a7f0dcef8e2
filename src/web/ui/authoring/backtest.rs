//! What a version would have done with the events that really came.

use std::time::Duration;

use actix_web::web;
use askama::Template;
use serde_json::json;

use super::super::dashboard::grouped;
use super::super::parts::moment::Moment;
use super::super::parts::trace::Trace;
use super::super::run::encoded;
use super::super::shell::{Shell, quoted};
use super::super::visit::{Visit, html};
use super::Choice;
use super::head::Head;
use crate::app::App;
use crate::app::backtest::{Backtest, BacktestRequest, Candidate, EventForecast};
use crate::app::views::WorkflowView;
use crate::web::beside::beside;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::state::Front;

const EVENTS_TRIED: usize = 1_000;
const EVENTS_SHOWN: usize = 50;
const VERSIONS_OFFERED: usize = 20;

#[derive(Template)]
#[template(path = "authoring/backtest.html")]
struct BacktestPage {
    shell: Shell,
    head: Head,
    here: String,
    versions: Vec<Choice>,
    spans: Vec<Choice>,
    tiles: Vec<(&'static str, String, &'static str)>,
    sentence: String,
    note: String,
    steps: Vec<(String, usize, usize)>,
    undecided: String,
    rows: Vec<EventRow>,
}

struct EventRow {
    href: String,
    id: String,
    kind: String,
    received: Moment,
    tone: &'static str,
    icon: &'static str,
    word: &'static str,
    trace: Option<Trace>,
    trace_now: Option<Trace>,
    run: Option<String>,
}

/// Tries a version on what was recorded, and shows what changes against the one that is live.
pub async fn show(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let versions = app.workflow_versions(&visit.who, &name)?;
    let newest = versions.first().map(|view| view.version);
    let version = query.number("version")?.or(newest);
    let request = BacktestRequest {
        name: Some(name.clone()),
        candidate: Candidate::Saved(version),
        since: query.time("since")?,
        limit: EVENTS_TRIED,
        shown: EVENTS_SHOWN,
        time_max: Duration::from_millis(front.settings.backtest_ms_max),
    };
    let who = visit.who.clone();
    let found = beside(move || app.backtest(&who, &request)).await?;
    html(&page(visit.shell, &versions, query.text("since").unwrap_or_default(), &found))
}

fn page(shell: Shell, versions: &[WorkflowView], since: &str, found: &Backtest) -> BacktestPage {
    let place = format!("/workflows/{}", encoded(&found.workflow));
    let body = json!({ "version": found.version, "limit": EVENTS_TRIED }).to_string();
    let curl = format!("{} --json {}", shell.curl(&format!("/v1{place}/backtest")), quoted(&body));
    let about = "What a version would have started among the events that really came, and what \
                 changes against the version that is live. Nothing is written.";
    let chosen = found.version.map(|version| version.to_string()).unwrap_or_default();
    let version = |view: &WorkflowView| Choice {
        value: view.version.to_string(),
        word: format!("v{}{}", view.version, if view.active { " · live" } else { "" }),
        chosen: view.version.to_string() == chosen,
    };
    let spans =
        [("", "all that is kept"), ("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days")];
    let span = |(value, word): (&str, &str)| Choice {
        chosen: value == since,
        value: value.to_owned(),
        word: word.to_owned(),
    };
    BacktestPage {
        head: Head::new(&shell, &found.workflow, ("/backtest", "Backtest", about), curl),
        here: shell.url(&format!("{place}/backtest")),
        versions: versions.iter().take(VERSIONS_OFFERED).map(version).collect(),
        spans: spans.map(span).to_vec(),
        tiles: tiles(found),
        sentence: sentence(found),
        note: match found.partial {
            true => format!("The time was over after {} of {} events.", found.looked, found.total),
            false => format!("{} events were looked at in {} ms.", found.looked, found.took_ms),
        },
        steps: found.steps.iter().map(|it| (it.id.clone(), it.runs, it.skipped)).collect(),
        undecided: found.undecided_steps.join(", "),
        rows: found.data.iter().map(|forecast| row(&shell, forecast)).collect(),
        shell,
    }
}

fn tiles(found: &Backtest) -> Vec<(&'static str, String, &'static str)> {
    let count = |number: usize| grouped(number as u64);
    vec![
        ("events", count(found.looked), ""),
        ("would start", count(found.starts), "ok"),
        ("start now", count(found.starts_now), ""),
        ("gained", count(found.gained), "run"),
        ("lost", count(found.lost), "bad"),
        ("other steps", count(found.steps_changed), "retry"),
    ]
}

fn sentence(found: &Backtest) -> String {
    let starts = format!("{} of {} events would start a run", found.starts, found.looked);
    match (found.against, found.gained + found.lost + found.steps_changed) {
        (Some(against), 0) => format!("{starts}, the same as by version {against}"),
        (Some(against), _) => format!(
            "{starts}: {} more and {} fewer than by version {against}",
            found.gained, found.lost
        ),
        (None, _) => starts,
    }
}

fn row(shell: &Shell, forecast: &EventForecast) -> EventRow {
    let (tone, icon, word) = match (forecast.change, forecast.starts) {
        ("gained", _) => ("run", "plus", "gained"),
        ("lost", _) => ("bad", "no", "lost"),
        ("steps", _) => ("retry", "warning", "other steps"),
        (_, true) => ("ok", "yes", "starts"),
        (_, false) => ("idle", "no", "does not"),
    };
    let differs = forecast.trace != forecast.trace_now;
    EventRow {
        href: shell.url(&format!("/events/{}", encoded(&forecast.event_id))),
        id: forecast.event_id.clone(),
        kind: forecast.kind.clone(),
        received: Moment::relative(forecast.received_at, shell.now),
        tone,
        icon,
        word,
        trace: Trace::read(&forecast.trace),
        trace_now: Trace::read(&forecast.trace_now).filter(|_| differs),
        run: forecast.run_id.map(|id| shell.url(&format!("/runs/{id}"))),
    }
}
