//! Where a workflow begins: its name, what starts it, or the drafts that are not published yet.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde_json::json;

use super::super::parts::moment::Moment;
use super::super::run::encoded;
use super::super::shell::Shell;
use super::super::visit::{Visit, html, see_other, with_status};
use super::posted::Posted;
use crate::app::App;
use crate::app::desk::Precondition;
use crate::app::drafts::{DraftLock, DraftText};
use crate::app::error::Error;
use crate::domain::workflow::source::yaml;
use crate::web::error::Answer;

/// The page.
#[derive(Template)]
#[template(path = "editor/new.html")]
struct NewPage {
    shell: Shell,
    name: String,
    title: String,
    event: String,
    fault: String,
    event_types: Vec<(String, String)>,
    drafts: Vec<(String, String, Moment)>,
}

/// Shows the page.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    html(&page(&app, visit, &Posted::default(), String::new())?)
}

fn page(app: &App, visit: Visit, posted: &Posted, fault: String) -> Result<NewPage, Error> {
    let types = app.event_types(&visit.who, None, None)?;
    let unborn = app.drafts(&visit.who)?.into_iter().filter(|draft| draft.base_version.is_none());
    let drafts = unborn.map(|draft| {
        let href = visit.shell.url(&format!("/workflows/{}/edit", encoded(&draft.name)));
        (draft.name, href, Moment::relative(draft.updated_at, visit.shell.now))
    });
    Ok(NewPage {
        drafts: drafts.collect(),
        event_types: types.into_iter().map(|known| (known.kind, known.name)).collect(),
        name: posted.text("name").to_owned(),
        title: posted.text("title").to_owned(),
        event: posted.text("event").to_owned(),
        fault,
        shell: visit.shell,
    })
}

/// Keeps the first draft and opens the editor.
pub async fn begin(app: web::Data<App>, visit: Visit, form: web::Bytes) -> Answer {
    let posted = Posted::read(&form);
    let title = posted.text("title").trim().to_owned();
    let name = match posted.text("name").trim() {
        "" => slug(&title),
        name => name.to_owned(),
    };
    let again = |fault: &str| {
        let page = page(&app, visit.clone(), &posted, fault.to_owned())?;
        Ok(with_status(StatusCode::UNPROCESSABLE_ENTITY, &page))
    };
    if name.is_empty() {
        return again("Give it a title or a name.");
    }
    if app.open_definition(&visit.who, &name).is_ok() {
        return again(&format!("There is a workflow or a draft called {name} already."));
    }
    let mut document = json!({"name": name});
    if !title.is_empty() {
        document["title"] = json!(title);
    }
    let event = posted.text("event").trim();
    if !event.is_empty() {
        document["trigger"] = json!({"event": event});
    }
    document["steps"] = json!([]);
    let text = DraftText::of(&yaml(&document), "yaml");
    let first = DraftLock { seen: Precondition::any_of(vec!["0".to_owned()]), hand: String::new() };
    match app.keep_draft(&visit.who, &name, text, first).await {
        Ok(_) => {
            let place = format!("/workflows/{}/edit?add=/steps/0#add", encoded(&name));
            Ok(see_other(visit.shell.url(&place)))
        }
        Err(Error::Invalid(problems)) => {
            again(problems.first().map_or("", |problem| problem.detail.as_str()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Makes a name of a title.
fn slug(title: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let plain: String = title.chars().map(letter).collect();
    let words: Vec<&str> = plain.split('-').filter(|word| !word.is_empty()).collect();
    words.join("-").chars().take(64).collect()
}
