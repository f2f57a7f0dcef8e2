//! The list of workflows.

use askama::Template;

use super::dashboard::grouped;
use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::Moment;
use super::parts::strip::Strip;
use super::shell::Shell;
use crate::app::views::{Page, WorkflowView};

/// What the list can be filtered by, as it stands in the address.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct WorkflowsQuery {
    /// `active` or `inactive`.
    pub state: Option<String>,
    /// A text in the name, title or event type.
    pub q: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

impl WorkflowsQuery {
    /// Returns whether a workflow passes the filters.
    pub fn admits(&self, workflow: &WorkflowView) -> bool {
        let state = match self.state.as_deref() {
            Some("active") => workflow.active,
            Some("inactive") => !workflow.active,
            _ => true,
        };
        let text = self.q.as_deref().unwrap_or_default().to_lowercase();
        let event = workflow.event.as_deref().unwrap_or_default();
        let fields = [workflow.name.as_str(), workflow.title.as_str(), event];
        state && fields.iter().any(|field| field.to_lowercase().contains(&text))
    }
}

#[derive(Clone, Debug)]
struct Row {
    href: String,
    name: String,
    title: String,
    trigger: String,
    active: bool,
    version: u32,
    strip: Strip,
    started: String,
    rate: String,
    failed: String,
    saved: Moment,
    warnings: usize,
}

/// The page.
#[derive(Template)]
#[template(path = "workflows.html")]
pub struct WorkflowsPage {
    shell: Shell,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, query: &WorkflowsQuery, list: &Page<WorkflowView>) -> WorkflowsPage {
    let pairs = vec![("state", query.state.clone()), ("q", query.q.clone())];
    let address = Address::new("/workflows", pairs);
    let admitted = list.data.iter().filter(|workflow| query.admits(workflow));
    let rows: Vec<Row> = admitted.map(|workflow| row(&shell, workflow)).collect();
    let chips = address.chips(&shell);
    let choices = [("", "All"), ("active", "Active"), ("inactive", "Inactive")];
    WorkflowsPage {
        tabs: address.tabs(&shell, "state", &choices),
        empty: Empty::of(&rows, &chips),
        next: list.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: query.cursor.as_ref().map(|_| address.here(&shell)),
        curl: shell.curl("/v1/workflows"),
        shell,
        rows,
        chips,
        address,
    }
}

fn row(shell: &Shell, workflow: &WorkflowView) -> Row {
    let totals = workflow.totals;
    let ended = totals.succeeded + totals.failed;
    Row {
        href: shell.url(&format!("/workflows/{}", workflow.name)),
        name: workflow.name.clone(),
        title: if workflow.title.is_empty() { &workflow.name } else { &workflow.title }.clone(),
        trigger: workflow.event.clone().unwrap_or_else(|| "by hand".to_owned()),
        active: workflow.active,
        version: workflow.version,
        strip: Strip::new(&workflow.last_runs),
        started: grouped(totals.started),
        rate: match ended {
            0 => "–".to_owned(),
            ended => format!("{} %", totals.succeeded * 100 / ended),
        },
        failed: grouped(totals.failed),
        saved: Moment::relative(workflow.updated_at, shell.now),
        warnings: workflow.warnings.len(),
    }
}
