//! A pasted OpenAPI document: what activities it would become, before it does.

use actix_web::web;
use askama::Template;

use super::activities::notes_of;
use super::connections::{SHOWN_MAX, may};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use crate::app::App;
use crate::app::api_imports::{Description, ImportSummary, ImportView, NewImport};
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::domain::activity::custom::Answers;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Part, Visit, html, with_status};

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    name: String,
    text: String,
    base_url: String,
    connection: String,
    strict: bool,
}

/// What an import would do.
struct Preview {
    title: String,
    base_url: String,
    /// What happens to activities, in words, with their identifiers.
    groups: Vec<(&'static str, Vec<String>)>,
    removed: Vec<(String, String)>,
    left_out: Vec<String>,
    notes: Vec<String>,
}

struct Row {
    href: String,
    summary: ImportSummary,
    at: Moment,
}

/// The page.
#[derive(Template)]
#[template(path = "admin/api_import.html")]
pub struct ImportPage {
    shell: Shell,
    outcome: Outcome,
    typed: Typed,
    preview: Option<Preview>,
    connections: Vec<String>,
    rows: Vec<Row>,
    can_write: bool,
    curl: String,
}

/// The part of the page that tells what would happen.
#[derive(Template)]
#[template(path = "admin/api_preview.html")]
struct PreviewPart {
    shell: Shell,
    outcome: Outcome,
    preview: Option<Preview>,
}

/// Makes the page without a document.
pub fn page(
    shell: Shell,
    imports: Vec<ImportSummary>,
    connections: Vec<String>,
    outcome: Outcome,
) -> ImportPage {
    let row = |summary: ImportSummary| Row {
        href: shell.url(&format!("/activities/imports/{}", encoded(&summary.name))),
        at: shell.ago(&summary.imported_at),
        summary,
    };
    ImportPage {
        rows: imports.into_iter().map(row).collect(),
        can_write: may(&shell, "workflows:write"),
        curl: shell.curl("/v1/activities/imports"),
        typed: Typed::default(),
        preview: None,
        connections,
        outcome,
        shell,
    }
}

fn shown(app: &App, visit: Visit, outcome: Outcome) -> Result<ImportPage, Error> {
    let imports = app.imports(&visit.who)?;
    let connections = connections(app, &visit.who)?;
    Ok(page(visit.shell, imports, connections, outcome))
}

fn connections(app: &App, who: &Principal) -> Result<Vec<String>, Error> {
    if !who.scopes.allow("connections:read") {
        return Ok(Vec::new());
    }
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let rows = app.connections(who, &all)?.data.into_iter();
    Ok(rows.filter(|row| row.app == "http").map(|row| row.name).collect())
}

/// Shows the form and what was imported before.
pub async fn show(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    html(&shown(&app, visit, Outcome::of(&query))?)
}

fn preview_of(view: &ImportView) -> Preview {
    let groups = [
        ("New", &view.added),
        ("With a new version", &view.changed),
        ("As they are", &view.unchanged),
    ];
    Preview {
        title: view.title.clone(),
        base_url: view.base_url.to_string(),
        groups: groups
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(word, names)| (word, names.clone()))
            .collect(),
        removed: view
            .removed
            .iter()
            .map(|gone| (gone.unique_identifier.clone(), gone.used_by.join(", ")))
            .collect(),
        left_out: notes_of(&view.left_out),
        notes: notes_of(&view.notes),
    }
}

/// Shows what a document would become, or makes activities of it.
pub async fn import(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let sent = Sent::read(&raw);
    let text = |name| sent.text(name).to_owned();
    let typed = Typed {
        name: text("name"),
        text: text("text"),
        base_url: text("baseUrl"),
        connection: text("connection"),
        strict: sent.is_ticked("strict"),
    };
    let wanted = NewImport {
        name: typed.name.clone(),
        description: Description::Text(typed.text.clone()),
        base_url: sent.given("baseUrl"),
        connection: sent.given("connection"),
        answers: if typed.strict { Answers::Strict } else { Answers::Lenient },
        operations: None,
    };
    if sent.text("deed") == "import" {
        return match app.import_api(&visit.who, wanted).await {
            Ok(_) => {
                let place = format!("/activities?category={}", encoded(&typed.name));
                Ok(back_with(&visit.shell, &place, "imported"))
            }
            Err(error) => refused(&app, visit, typed, error),
        };
    }
    match (app.preview_import(&visit.who, wanted), visit.part) {
        (Ok(view), Part::Live) => html(&PreviewPart {
            shell: visit.shell,
            outcome: Outcome::default(),
            preview: Some(preview_of(&view)),
        }),
        (Ok(view), Part::Whole) => {
            let mut page = shown(&app, visit, Outcome::default())?;
            (page.preview, page.typed) = (Some(preview_of(&view)), typed);
            html(&page)
        }
        (Err(error), Part::Live) => {
            let (_, outcome) = Outcome::refused(error)?;
            // The fragment is shown where it was asked for, which a refusal would not be.
            html(&PreviewPart { shell: visit.shell, outcome, preview: None })
        }
        (Err(error), Part::Whole) => refused(&app, visit, typed, error),
    }
}

fn refused(app: &App, visit: Visit, typed: Typed, error: Error) -> Answer {
    let (status, outcome) = Outcome::refused(error)?;
    let mut page = shown(app, visit, outcome)?;
    page.typed = typed;
    Ok(with_status(status, &page))
}

/// Takes the activities of an import back.
pub async fn remove(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    app.remove_import(&visit.who, &name).await?;
    Ok(back_with(&visit.shell, "/activities/import", "removed"))
}
