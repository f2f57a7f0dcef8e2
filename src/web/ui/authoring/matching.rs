//! The page of a trigger: what starts the workflow, edited in place, with the events that match.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use askama::Template;
use serde_json::{Value, json};

use super::super::editor::trigger::{self, Live, TriggerCard};
use super::super::run::encoded;
use super::super::shell::{Shell, quoted};
use super::super::visit::{Part, Visit, html, see_other};
use super::head::Head;
use super::{field, pairs};
use crate::app::App;
use crate::app::definitions::{Definition, Publish, Saved};
use crate::app::error::Error;
use crate::domain::problem::Problem;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::state::Front;

/// The page.
#[derive(Template)]
#[template(path = "authoring/match.html")]
struct MatchPage {
    shell: Shell,
    head: Head,
    card: TriggerCard,
    try_href: String,
    save_href: String,
    may_save: bool,
    loses_comments: bool,
}

/// The newest version of a workflow, which may be a draft; nothing for one that is not saved yet.
fn newest(app: &App, visit: &Visit, name: &str) -> Result<Option<(u32, Value)>, Error> {
    match app.workflow_versions(&visit.who, name) {
        Ok(versions) => Ok(versions.into_iter().next().map(|view| (view.version, view.definition))),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn page(state: (&App, &Front), visit: &Visit, name: &str, draft: &Value) -> MatchPage {
    let shell = &visit.shell;
    let trigger = &draft["trigger"];
    let body = json!({
        "filter": trigger["filter"].as_object().map_or_else(|| json!({}), |it| json!(it)),
        "type": trigger["event"], "last": 200,
    });
    let curl = format!("{} --json {}", shell.curl("/v1/filters/test"), quoted(&body.to_string()));
    let about = "Change the trigger and see at once which recorded events it matches, and why.";
    let place = format!("/workflows/{}", encoded(name));
    MatchPage {
        head: Head::new(shell, name, ("/match", "Trigger", about), curl),
        card: trigger::card(state, visit, name, draft),
        try_href: shell.url(&format!("{place}/match")),
        save_href: shell.url(&format!("{place}/trigger/save")),
        may_save: visit.who.scopes.allow("workflows:write"),
        loses_comments: state.0.has_comments(&visit.who, name),
        shell: shell.clone(),
    }
}

/// Shows the trigger of the newest version.
pub async fn show(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    name: web::Path<String>,
    _query: Query,
) -> Answer {
    let (_, draft) = newest(&app, &visit, &name)?.ok_or_else(|| missing(&name))?;
    html(&page((&app, &front), &visit, &name, &draft))
}

fn missing(name: &str) -> Error {
    Error::NotFound { what: "workflow", id: name.to_owned() }
}

/// Replaces the trigger of a definition by the one of a form.
fn with_trigger(mut draft: Value, fields: &[(String, String)]) -> Value {
    if let Some(trigger) = trigger::read(fields)
        && let Some(definition) = draft.as_object_mut()
    {
        definition.insert("trigger".to_owned(), trigger);
    }
    draft
}

/// Tries what the form says: the part that htmx asks for, or the whole page.
pub async fn try_it(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    let fields = pairs(&body);
    if visit.part == Part::Live {
        let trigger = trigger::read(&fields).unwrap_or_default();
        let show = field(&fields, "trigger.show").unwrap_or_default();
        return html(&Live::of((&app, &front), &visit, &name, &trigger, show));
    }
    let (_, saved) = newest(&app, &visit, &name)?.unwrap_or((0, json!({})));
    html(&page((&app, &front), &visit, &name, &with_trigger(saved, &fields)))
}

/// Renders the card again after a button of it was pressed; what stands around it hears of it.
pub async fn card(
    (app, front): (web::Data<App>, web::Data<Front>),
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Result<HttpResponse, crate::web::error::ApiError> {
    let fields = pairs(&body);
    let draft = with_trigger(json!({}), &fields);
    if visit.part == Part::Whole {
        let (_, saved) = newest(&app, &visit, &name)?.unwrap_or((0, json!({})));
        return html(&page((&app, &front), &visit, &name, &with_trigger(saved, &fields)));
    }
    let mut answer = html(&trigger::card((&app, &front), &visit, &name, &draft))?;
    let changed = header::HeaderValue::from_static("trigger-changed");
    answer
        .headers_mut()
        .insert(header::HeaderName::from_static("hx-trigger-after-settle"), changed);
    Ok(answer)
}

/// Saves the trigger as a draft and leads to what it changes.
pub async fn save(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(body): Raw,
) -> Answer {
    let (before, saved) = newest(&app, &visit, &name)?.ok_or_else(|| missing(&name))?;
    let fields = pairs(&body);
    if trigger::read(&fields).is_none() {
        let problem = Problem::new("/trigger", "required", "the form holds no trigger");
        return Err(Error::Invalid(vec![problem]).into());
    }
    let definition = Definition { document: with_trigger(saved, &fields), source: None };
    let saved = app.put_workflow(&visit.who, &name, definition, Publish::Draft).await?;
    let place = format!("/workflows/{}", encoded(&name));
    Ok(see_other(visit.shell.url(&match saved {
        Saved::Same(_) => format!("{place}/match"),
        Saved::Created(view) | Saved::Changed(view) => {
            format!("{place}/diff?from={before}&to={}", view.version)
        }
    })))
}
