//! The audit: who changed what, when and from where.

use actix_web::web;
use askama::Template;
use serde_json::Value;

use super::parts::list::{Address, Chip, Empty};
use super::parts::moment::Moment;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::audit::{AuditCheck, AuditFilter, AuditView};
use crate::app::views::Page;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;

/// The page.
#[derive(Template)]
#[template(path = "audit.html")]
pub struct AuditPage {
    shell: Shell,
    address: Address,
    chips: Vec<Chip>,
    rows: Vec<Row>,
    empty: Empty,
    curl: String,
    next: Option<String>,
    first: Option<String>,
    export: String,
    check: Option<AuditCheck>,
}

impl AuditPage {
    /// Shows what a check of the whole audit found.
    pub fn checked(&mut self, check: AuditCheck) {
        self.check = Some(check);
    }
}

/// A record as the page shows it.
#[derive(Clone, Debug)]
struct Row {
    view: AuditView,
    at: Moment,
    changes: Vec<Changed>,
}

/// One field that changed.
#[derive(Clone, Debug)]
struct Changed {
    name: String,
    before: String,
    after: String,
}

/// The filters of the list, as they stand in its address.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Who made the change.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// What it was done to.
    pub target: Option<String>,
    /// Since when.
    pub since: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

/// Makes the page.
pub fn page(shell: Shell, query: &AuditQuery, list: &Page<AuditView>) -> AuditPage {
    let pairs = vec![
        ("actor", query.actor.clone()),
        ("action", query.action.clone()),
        ("target", query.target.clone()),
        ("since", query.since.clone()),
    ];
    let export = Address::new("/v1/audit/export", pairs.clone()).here(&shell);
    let address = Address::new("/audit", pairs);
    let chips = address.chips(&shell);
    let row = |view: &AuditView| Row {
        at: shell.ago(&view.at),
        changes: changes(&view.before, &view.after),
        view: view.clone(),
    };
    let rows: Vec<Row> = list.data.iter().map(row).collect();
    AuditPage {
        empty: Empty::of(&rows, &chips),
        curl: shell.curl("/v1/audit"),
        next: list.next_cursor.as_ref().map(|cursor| address.with(&shell, "cursor", cursor)),
        first: query.cursor.as_ref().map(|_| address.here(&shell)),
        check: None,
        export,
        shell,
        address,
        chips,
        rows,
    }
}

fn changes(before: &Value, after: &Value) -> Vec<Changed> {
    let field = |value: &Value, name: &str| match value.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let names = [before, after].into_iter().filter_map(Value::as_object).flat_map(|map| map.keys());
    let mut seen: Vec<&String> = Vec::new();
    for name in names {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    let changed = |name: &&String| Changed {
        name: (*name).clone(),
        before: field(before, name),
        after: field(after, name),
    };
    seen.iter().map(changed).collect()
}

/// Shows the records.
pub async fn show(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    html(&shown(&app, visit, &query)?)
}

/// Checks every record and shows what was found.
pub async fn verify(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let check = app.verify_audit(&visit.who).await?;
    let mut page = shown(&app, visit, &query)?;
    page.checked(check);
    html(&page)
}

fn shown(app: &App, visit: Visit, query: &Query) -> Result<AuditPage, ApiError> {
    let text = |name| query.text(name).map(str::to_owned);
    let asked = AuditQuery {
        actor: text("actor"),
        action: text("action"),
        target: text("target"),
        since: text("since"),
        cursor: text("cursor"),
    };
    let filter = AuditFilter {
        actor: asked.actor.clone(),
        action: asked.action.clone(),
        target: asked.target.clone(),
        since: query.time("since")?,
    };
    let list = query.seal(app.audit(&visit.who, &filter, &query.page()?)?);
    Ok(page(visit.shell, &asked, &list))
}
