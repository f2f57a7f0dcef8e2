//! Handlers of the forms: parse, call, lead back to a page that shows the effect.

use actix_web::web;
use serde::Deserialize;
use serde_json::Value;

use super::pages::back;
use super::run::encoded;
use super::shell::safe_return;
use super::visit::Visit;
use crate::app::App;
use crate::app::error::Error;
use crate::app::incidents::{Settlement, resolution};
use crate::app::runs::Cancel;
use crate::app::workflows::{Activation, RunRequest};
use crate::domain::problem::Problem;
use crate::web::api::runs::run_id;
use crate::web::error::Answer;
use crate::web::state::Front;

/// Lets events start the workflow's newest version.
pub async fn enable(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    app.set_workflow(&visit.who, &name, Activation::On { version: None }).await?;
    Ok(back(&visit.shell, &format!("/workflows/{}", encoded(&name))))
}

/// Lets events no longer start it.
pub async fn disable(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    app.set_workflow(&visit.who, &name, Activation::Off).await?;
    Ok(back(&visit.shell, &format!("/workflows/{}", encoded(&name))))
}

/// The event that a run is started with.
#[derive(Deserialize)]
pub struct RunForm {
    event: Option<String>,
}

/// Starts one run and shows it.
pub async fn run(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    form: web::Form<RunForm>,
) -> Answer {
    let event = form.into_inner().event.map(Value::String);
    let request = RunRequest { event, ..RunRequest::default() };
    let started = app.run_workflow(&visit.who, &name, request).await?;
    Ok(back(&visit.shell, &format!("/runs/{}", started.summary.id)))
}

/// Whether finished steps are undone.
#[derive(Deserialize)]
pub struct CancelForm {
    compensate: Option<String>,
}

/// Cancels a run.
pub async fn cancel(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Form<CancelForm>,
) -> Answer {
    let undo = match form.compensate.as_deref() {
        Some("false") => Cancel::Keep,
        Some(_) | None => Cancel::Undo,
    };
    app.cancel_run(&visit.who, run_id(&id)?, undo).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

/// What is said of a step that waits for somebody.
#[derive(Deserialize)]
pub struct SettleForm {
    action: String,
    value: Option<String>,
    comment: Option<String>,
}

/// Says how a run goes on whose step waits for somebody.
pub async fn resolve(
    app: web::Data<App>,
    visit: Visit,
    place: web::Path<(String, String)>,
    form: web::Form<SettleForm>,
) -> Answer {
    let (id, step) = place.into_inner();
    let SettleForm { action, value, comment } = form.into_inner();
    let value = value.filter(|text| !text.trim().is_empty());
    let value = value.map(|text| serde_json::from_str::<Value>(&text)).transpose();
    let value = value.map_err(|error| {
        Error::Invalid(vec![Problem::new("/value", "syntax", format!("no JSON: {error}"))])
    })?;
    let (input, output) = if action == "retry" { (value, None) } else { (None, value) };
    let resolution = resolution(&action, input, output).map_err(|it| Error::Invalid(vec![it]))?;
    let settlement = Settlement { resolution, comment: comment.unwrap_or_default() };
    app.resolve_incident(&visit.who, run_id(&id)?, &step, settlement).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

/// Tries again to undo what could not be undone.
pub async fn compensate(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.compensate_run(&visit.who, run_id(&id)?).await?;
    Ok(back(&visit.shell, &format!("/runs/{id}")))
}

/// Where a replay goes.
#[derive(Deserialize)]
pub struct ReplayForm {
    workflow: Option<String>,
}

/// Makes an event like this one, for all or for one workflow, and shows it.
pub async fn replay(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    form: web::Form<ReplayForm>,
) -> Answer {
    let workflow = form.workflow.as_deref().filter(|name| !name.is_empty());
    let accepted = app.replay_event(&visit.who, &id, workflow).await?;
    Ok(back(&visit.shell, &format!("/events/{}", encoded(&accepted.id))))
}

/// Whether the demo's generator is to go on, and where the form stood.
#[derive(Deserialize)]
pub struct GeneratorForm {
    generator: String,
    #[serde(rename = "return")]
    back: Option<String>,
}

/// Pauses or resumes the demo's generator.
pub async fn generator(
    front: web::Data<Front>,
    visit: Visit,
    form: web::Form<GeneratorForm>,
) -> Answer {
    let demo = front.demo.as_ref();
    let missing = || Error::NotFound { what: "demo", id: "generator".to_owned() };
    let switch = &demo.ok_or_else(missing)?.switch;
    match form.generator.as_str() {
        "pause" => switch.pause(),
        _ => switch.resume(), // The form has these two buttons alone.
    }
    Ok(back(&visit.shell, safe_return(form.back.as_deref().unwrap_or_default())))
}
