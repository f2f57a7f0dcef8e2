//! Handlers of the pages: parse the address, call the use case, render.

use actix_web::{HttpResponse, web};

use super::event;
use super::events::{self, EventsQuery};
use super::parts::list::Address;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html, see_other};
use super::workflow::{self, Surroundings, WorkflowQuery};
use crate::app::App;
use crate::app::events::EventFilter;
use crate::app::explain::Breadth;
use crate::app::page::PageRequest;
use crate::app::runs::RunFilter;
use crate::domain::desk::RecordKind;
use crate::domain::event_type::Pattern;
use crate::domain::id::RunId;
use crate::web::error::Answer;
use crate::web::query::Query;

/// How many runs a page about something else shows.
const RUNS_BESIDE: usize = 10;

fn owned(query: &Query, name: &str) -> Option<String> {
    query.text(name).map(str::to_owned)
}

pub async fn workflow(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let asked =
        WorkflowQuery { version: query.number("version")?, source: owned(&query, "source") };
    let view = app.workflow(&visit.who, &name, asked.version)?;
    let filter = RunFilter { workflow: Some(name.into_inner()), ..RunFilter::default() };
    let newest =
        EventFilter { kind: view.event.as_deref().map(Pattern::restore), ..EventFilter::default() };
    let one = PageRequest { limit: 1, after: None };
    let newest = match visit.who.scopes.allow("events:read") {
        true => app.events(&visit.who, &newest, &one)?.data,
        false => vec![],
    };
    let around = Surroundings {
        newest_event: newest.into_iter().next().map(|event| event.id),
        versions: app.workflow_versions(&visit.who, &view.name)?,
        runs: app.runs(&visit.who, &filter, &beside())?.data,
        rehearsal: app.rehearse_workflow(&visit.who, &view.name, view.version)?,
        yaml: app.export_yaml(&visit.who, &view.name, Some(view.version))?,
    };
    html(&workflow::page(visit.shell, &asked, &view, &around))
}

/// Asks for as many runs as a page about something else shows.
pub fn beside() -> PageRequest {
    PageRequest { limit: RUNS_BESIDE, after: None }
}

pub async fn events(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let asked = EventsQuery {
        kind: owned(&query, "type"),
        matched: owned(&query, "matched"),
        source: owned(&query, "source"),
        subject: owned(&query, "subject"),
        q: owned(&query, "q"),
        since: owned(&query, "since"),
        cursor: owned(&query, "cursor"),
    };
    let filter = EventFilter {
        source: asked.source.clone(),
        subject: asked.subject.clone(),
        text: asked.q.clone(),
        kind: asked.kind.as_deref().map(Pattern::restore),
        since: query.time("since")?,
        matched: query.flag("matched")?.filter(|_| asked.matched.is_some()),
        ..EventFilter::default()
    };
    let list = app.events(&visit.who, &filter, &query.page()?)?;
    let kinds: Vec<&str> = list.data.iter().map(|event| event.kind.as_str()).collect();
    let listeners = app.listeners(&visit.who, &kinds)?;
    html(&events::page(visit.shell, &asked, &query.seal(list), &listeners))
}

pub async fn event(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    let view = app.event(&visit.who, &id)?;
    let explanations = app.explain_event(&visit.who, &id, Breadth::All)?;
    html(&event::page(visit.shell, &view, &explanations))
}

/// Leads to what a text means: a run's, event's or ticket's id, a workflow's name, else runs.
pub async fn search(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let text = query.text("q").unwrap_or_default().trim();
    Ok(see_other(meaning(&app, &visit, text)))
}

fn meaning(app: &App, visit: &Visit, text: &str) -> String {
    let (who, shell) = (&visit.who, &visit.shell);
    if let Ok(id) = text.parse::<RunId>() {
        return shell.url(&format!("/runs/{id}"));
    }
    if let Some(kind) = text.strip_prefix("type:") {
        return list(shell, "/events", "type", kind);
    }
    if who.scopes.allow("workflows:read") && app.workflow(who, text, None).is_ok() {
        return shell.url(&format!("/workflows/{}", encoded(text)));
    }
    if who.scopes.allow("events:read") && app.event(who, text).is_ok() {
        return shell.url(&format!("/events/{}", encoded(text)));
    }
    if who.scopes.allow("tickets:read") && app.record(who, RecordKind::Ticket, text).is_ok() {
        return shell.url(&format!("/tickets/{}", encoded(text)));
    }
    list(shell, "/runs", "q", text)
}

fn list(shell: &Shell, path: &'static str, name: &'static str, value: &str) -> String {
    Address::new(path, vec![]).with(shell, name, value)
}

/// Leads back to where a form was sent from.
pub fn back(shell: &Shell, path: &str) -> HttpResponse {
    see_other(shell.url(path))
}
