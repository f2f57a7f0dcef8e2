//! The list of workflows: what starts each, how its last runs went, and how it did in the last day.

use actix_web::web;
use askama::Template;

use super::authoring::sketch::trigger_words;
use super::dashboard::grouped;
use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::{Moment, span};
use super::parts::strip::Strip;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::pulse::WorkflowPulse;
use crate::app::views::Page;
use crate::web::api::authoring::pulse_filter;
use crate::web::beside::beside;
use crate::web::error::Answer;
use crate::web::query::Query;

/// What the list can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default)]
pub struct WorkflowsQuery {
    /// `active` or `inactive`.
    pub state: Option<String>,
    /// `event`, `schedule`, `lasting` or `manual`.
    pub trigger: Option<String>,
    /// `failing`, `never` or `draft`.
    pub only: Option<String>,
    /// A text in the name, title or event type.
    pub q: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

#[derive(Clone, Debug)]
struct Row {
    href: String,
    name: String,
    title: String,
    trigger: String,
    icon: &'static str,
    active: bool,
    version: u32,
    draft: Option<u32>,
    strip: Strip,
    day: String,
    rate: String,
    failed: u64,
    p95: String,
    last: Option<Moment>,
    warnings: usize,
}

/// The page.
#[derive(Template)]
#[template(path = "workflows.html")]
pub struct WorkflowsPage {
    shell: Shell,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    triggers: Vec<(&'static str, &'static str, bool)>,
    plights: Vec<(&'static str, &'static str, bool)>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    next: Option<String>,
    first: Option<String>,
    curl: String,
    may_write: bool,
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, query: &WorkflowsQuery, list: &Page<WorkflowPulse>) -> WorkflowsPage {
    let pairs = vec![
        ("state", query.state.clone()),
        ("trigger", query.trigger.clone()),
        ("only", query.only.clone()),
        ("q", query.q.clone()),
    ];
    let address = Address::new("/workflows", pairs);
    let rows: Vec<Row> = list.data.iter().map(|pulse| row(&shell, pulse)).collect();
    let chips = address.chips(&shell);
    let choices = [("", "All"), ("active", "Active"), ("inactive", "Inactive")];
    let triggers = [
        ("", "any trigger"),
        ("event", "an event"),
        ("schedule", "a schedule"),
        ("lasting", "a state that lasts"),
        ("manual", "by hand"),
    ];
    let plights =
        [("", "all"), ("failing", "failing"), ("never", "never ran"), ("draft", "with a draft")];
    let chosen = |name: &str| address.value(name).to_owned();
    let (trigger, only) = (chosen("trigger"), chosen("only"));
    WorkflowsPage {
        tabs: address.tabs(&shell, "state", &choices),
        triggers: triggers.map(|(value, word)| (value, word, value == trigger)).to_vec(),
        plights: plights.map(|(value, word)| (value, word, value == only)).to_vec(),
        empty: Empty::of(&rows, &chips),
        next: list.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: query.cursor.as_ref().map(|_| address.here(&shell)),
        curl: shell.curl("/v1/workflow-pulse"),
        may_write: shell.viewer.as_ref().is_some_and(|viewer| viewer.may("workflows:write")),
        shell,
        rows,
        chips,
        address,
    }
}

fn row(shell: &Shell, pulse: &WorkflowPulse) -> Row {
    let workflow = &pulse.workflow;
    let ended = pulse.succeeded_day + pulse.failed_day;
    Row {
        href: shell.url(&format!("/workflows/{}", encoded(&workflow.name))),
        name: workflow.name.clone(),
        title: if workflow.title.is_empty() { &workflow.name } else { &workflow.title }.clone(),
        trigger: trigger_words(&workflow.definition),
        icon: match workflow.trigger_kind.as_str() {
            "schedule" | "lasting" => "waiting",
            "manual" => "play",
            _ => "events", // Whoever sends it.
        },
        active: workflow.active,
        version: workflow.version,
        draft: pulse.has_draft.then_some(pulse.newest_version),
        strip: Strip::new(&workflow.last_runs),
        day: grouped(pulse.runs_day),
        rate: match ended {
            0 => "–".to_owned(),
            ended => format!("{} %", pulse.succeeded_day * 100 / ended),
        },
        failed: pulse.failed_day,
        p95: pulse.p95_ms.map_or_else(|| "–".to_owned(), span),
        last: pulse.last_run_at.map(|at| Moment::relative(at, shell.now)),
        warnings: workflow.warnings.len(),
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name: &str| query.text(name).map(str::to_owned);
    let asked = WorkflowsQuery {
        state: owned("state"),
        trigger: owned("trigger"),
        only: owned("only"),
        q: owned("q"),
        cursor: owned("cursor"),
    };
    let filter = pulse_filter(&query, asked.state.as_deref().map(|state| state == "active"))?;
    let (who, request) = (visit.who.clone(), query.page()?);
    let list = beside(move || app.workflow_pulses(&who, &filter, &request)).await?;
    html(&page(visit.shell, &asked, &query.seal(list)))
}
