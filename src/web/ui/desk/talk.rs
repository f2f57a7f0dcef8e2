//! Handlers of the tickets' pages and forms: tickets, their changes and their comments.

use actix_web::web;
use serde_json::{Map, Value};

use super::blank::Form;
use super::filled::Filled;
use super::nouns::TICKET_CHANGES;
use super::said::said;
use crate::app::App;
use crate::app::desk::{CommentForm as Shape, Precondition, Record, TicketAction, TicketQuery};
use crate::app::error::Error;
use crate::app::events::EventFilter;
use crate::app::page::PageRequest;
use crate::app::runs::RunFilter;
use crate::domain::desk::RecordKind;
use crate::domain::problem::Problem;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;
use crate::web::ui::door::refusal;
use crate::web::ui::pages::back;
use crate::web::ui::run::encoded;
use crate::web::ui::ticket::{self, Asked, TicketPage};
use crate::web::ui::tickets::{self, TicketsQuery};
use crate::web::ui::visit::{Visit, html, with_status};

/// How many comments a ticket's page shows at most.
const COMMENTS_MAX: usize = 200;
/// How many events about a ticket its page looks at.
const EVENTS_MAX: usize = 200;
/// How many runs about a ticket its page shows.
const RUNS_MAX: usize = 25;

/// Lists tickets.
pub async fn tickets(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let text = |name: &str| query.text(name).map(str::to_owned);
    let asked = TicketsQuery {
        status: text("status"),
        priority: text("priority"),
        team: text("team"),
        q: text("q"),
        cursor: text("cursor"),
    };
    let filter = TicketQuery {
        status: asked.status.clone(),
        priority: asked.priority.clone(),
        team_id: asked.team.clone(),
        text: asked.q.clone(),
        ..TicketQuery::default()
    };
    let list = app.tickets(&visit.who, filter, &query.page()?)?.map(Value::Object);
    html(&tickets::page(visit.shell, &asked, &query.seal(list)))
}

/// Shows a ticket with its conversation and the runs that it started.
pub async fn ticket(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    query: Query,
) -> Answer {
    let record = app.record(&visit.who, RecordKind::Ticket, &key)?;
    let mut page = shown(&app, visit, &record, None, &[])?;
    page.say(said(&query));
    html(&page)
}

fn shown(
    app: &App,
    visit: Visit,
    record: &Record,
    typed: Option<&Filled>,
    problems: &[Problem],
) -> Result<TicketPage, Error> {
    let who = &visit.who;
    let id = record.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let page = |limit| PageRequest { limit, after: None };
    let place = (RecordKind::Ticket, id.as_str());
    let comments = app.comments_on(who, place, Shape::Flat, &page(COMMENTS_MAX))?;
    let filter = RunFilter { text: Some(id.clone()), ..RunFilter::default() };
    let runs = match who.scopes.allow("runs:read") {
        true => app.runs(who, &filter, &page(RUNS_MAX))?.data,
        false => Vec::new(),
    };
    let about = EventFilter { subject: Some(id.clone()), ..EventFilter::default() };
    let events = match who.scopes.allow("events:read") {
        true => app.events(who, &about, &page(EVENTS_MAX))?.data,
        false => Vec::new(),
    };
    let blanks = match who.scopes.allow("tickets:write") {
        true => form(record).blanks(app, who, typed, problems)?,
        false => Vec::new(),
    };
    let comments: Vec<Value> = comments.data.into_iter().map(Value::Object).collect();
    let mut page = ticket::page(visit.shell, &Value::Object(record.clone()), &comments, &runs);
    page.tell(&events, &runs);
    page.ask(blanks);
    Ok(page)
}

fn form(record: &Record) -> Form<'_> {
    let custom = "ticket";
    Form { kind: RecordKind::Ticket, names: TICKET_CHANGES, custom, record: Some(record) }
}

/// Changes what the form of a ticket's page asks.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    body: web::Bytes,
) -> Answer {
    let typed = Filled::read(&body);
    let record = app.record(&visit.who, RecordKind::Ticket, &key)?;
    let place = (RecordKind::Ticket, key.as_str());
    let changed = match form(&record).answers(&app, &visit.who, &typed) {
        Ok(patch) => app.update_record(&visit.who, place, patch, Precondition::none()).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(back(&visit.shell, &format!("/tickets/{}?said=saved", encoded(&key)))),
        Err(error) => again(&app, visit, (&record, &typed), &error),
    }
}

/// Shows what a change would set off, with the change still in the form.
pub async fn preview(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    body: web::Bytes,
) -> Answer {
    let typed = Filled::read(&body);
    let record = app.record(&visit.who, RecordKind::Ticket, &key)?;
    let place = (RecordKind::Ticket, key.as_str());
    let seen = form(&record)
        .answers(&app, &visit.who, &typed)
        .and_then(|patch| app.foresee(&visit.who, place, &patch));
    match seen {
        Ok(foresight) => {
            let mut page = shown(&app, visit, &record, Some(&typed), &[])?;
            page.foretell(Asked::Told(foresight));
            html(&page)
        }
        Err(error) => again(&app, visit, (&record, &typed), &error),
    }
}

fn again(app: &App, visit: Visit, (record, typed): (&Record, &Filled), error: &Error) -> Answer {
    let Some((status, told)) = refusal(error) else { return Err(ApiError::from(error.clone())) };
    let problems: &[Problem] = match error {
        Error::Invalid(problems) => problems,
        _ => &[], // It is about the whole.
    };
    let mut page = shown(app, visit, record, Some(typed), problems)?;
    page.foretell(Asked::Refused(told));
    Ok(with_status(status, &page))
}

/// Comments on a ticket.
pub async fn comment(
    app: web::Data<App>,
    visit: Visit,
    key: web::Path<String>,
    body: web::Bytes,
) -> Answer {
    let typed = Filled::read(&body);
    let comment = [
        ("content", typed.text("content").to_owned()),
        ("commentVisibility", typed.text("visibility").to_owned()),
        ("impersonatedUserName", visit.who.name.clone()),
    ];
    let given = comment.into_iter().filter(|(_, value)| !value.is_empty());
    let comment: Map<_, _> =
        given.map(|(name, value)| (name.to_owned(), Value::String(value))).collect();
    app.comment_on(&visit.who, (RecordKind::Ticket, &key), comment).await?;
    Ok(back(&visit.shell, &format!("/tickets/{}?said=commented", encoded(&key))))
}

/// Escalates a ticket.
pub async fn escalate(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    act(&app, &visit, &key, (TicketAction::Escalate, "escalated")).await
}

/// Takes that mark away.
pub async fn unescalate(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    act(&app, &visit, &key, (TicketAction::Unescalate, "unescalated")).await
}

/// Puts a ticket away.
pub async fn archive(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    act(&app, &visit, &key, (TicketAction::Archive, "archived")).await
}

/// Takes it back.
pub async fn unarchive(app: web::Data<App>, visit: Visit, key: web::Path<String>) -> Answer {
    act(&app, &visit, &key, (TicketAction::Unarchive, "unarchived")).await
}

async fn act(app: &App, visit: &Visit, key: &str, (action, word): (TicketAction, &str)) -> Answer {
    app.act_on_ticket(&visit.who, key, action, Precondition::none()).await?;
    Ok(back(&visit.shell, &format!("/tickets/{}?said={word}", encoded(key))))
}
