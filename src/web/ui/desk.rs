//! Handlers of the desk's pages and forms: tickets and their comments.

use actix_web::web;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::pages::{back, beside};
use super::run::encoded;
use super::ticket;
use super::tickets::{self, TicketsQuery};
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::desk::{CommentForm as Shape, Precondition, Record, TicketAction, TicketQuery};
use crate::app::page::PageRequest;
use crate::app::runs::RunFilter;
use crate::domain::desk::RecordKind;
use crate::web::error::Answer;
use crate::web::query::Query;

/// How many comments a ticket's page shows at most.
const COMMENTS_MAX: usize = 200;

/// Lists tickets.
pub async fn tickets(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let text = |name: &str| query.text(name).map(str::to_owned);
    let asked = TicketsQuery {
        status: text("status"),
        priority: text("priority"),
        q: text("q"),
        cursor: text("cursor"),
    };
    let filter = TicketQuery {
        status: asked.status.clone(),
        priority: asked.priority.clone(),
        text: asked.q.clone(),
        ..TicketQuery::default()
    };
    let list = app.tickets(&visit.who, filter, &query.page()?)?.map(Value::Object);
    html(&tickets::page(visit.shell, &asked, &query.seal(list)))
}

/// Shows a ticket with its conversation and the runs that it started.
pub async fn ticket(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    let ticket = app.record(&visit.who, RecordKind::Ticket, &key)?;
    let id = ticket.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let all = PageRequest { limit: COMMENTS_MAX, after: None };
    let place = (RecordKind::Ticket, id.as_str());
    let comments = app.comments_on(&visit.who, place, Shape::Flat, &all)?.map(Value::Object);
    let filter = RunFilter { text: Some(id.clone()), ..RunFilter::default() };
    let runs = app.runs(&visit.who, &filter, &beside())?;
    html(&ticket::page(visit.shell, &Value::Object(ticket), &comments.data, &runs.data))
}

/// What can be changed of a ticket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketForm {
    status_name: String,
    priority_name: String,
}

/// Changes a ticket's status and priority.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    form: web::Form<TicketForm>,
) -> Answer {
    let form = form.into_inner();
    let patch = record([("statusName", form.status_name), ("priorityName", form.priority_name)]);
    let place = (RecordKind::Ticket, key.as_str());
    app.update_record(&visit.who, place, patch, Precondition::none()).await?;
    Ok(back(&visit.shell, &format!("/tickets/{}", encoded(&key))))
}

fn record<const N: usize>(fields: [(&str, String); N]) -> Record {
    let given = fields.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name.to_owned(), Value::String(value))).collect::<Map<_, _>>()
}

/// A comment as it is typed.
#[derive(Deserialize)]
pub struct Typed {
    content: String,
    visibility: String,
}

/// Comments on a ticket.
pub async fn comment(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    form: web::Form<Typed>,
) -> Answer {
    let form = form.into_inner();
    let comment = record([
        ("content", form.content),
        ("commentVisibility", form.visibility),
        ("impersonatedUserName", visit.who.name.clone()),
    ]);
    app.comment_on(&visit.who, (RecordKind::Ticket, &key), comment).await?;
    Ok(back(&visit.shell, &format!("/tickets/{}", encoded(&key))))
}

/// Escalates a ticket.
pub async fn escalate(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    let (action, any) = (TicketAction::Escalate, Precondition::none());
    app.act_on_ticket(&visit.who, &key, action, any).await?;
    Ok(back(&visit.shell, &format!("/tickets/{}", encoded(&key))))
}
