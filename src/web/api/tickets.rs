//! Tickets: what customers ask for, and what is done about it.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::etag;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::comments::{self, THREADS};
use super::records::{self, shown};
use crate::app::App;
use crate::app::desk::{TicketAction, TicketQuery};
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Tickets.
pub static GROUP: Group = Group {
    tag: "tickets",
    about: "What customers ask for. Every change emits its events in the same commit.",
    routes: &[
        Route::get("/v1/tickets", || web::to(list))
            .named("tickets_list", "Lists tickets, newest first.")
            .scope("tickets:read")
            .query(&[
                Param::text("teamId", "Only tickets of this team, by id or identifier."),
                Param::text("status", "Only tickets in this status, by name or id."),
                Param::text("priority", "Only tickets of this priority, by name or id."),
                Param::text("accountId", "Only tickets of this account, by id or domain."),
                Param::text("assignedAgentId", "Only tickets of this agent, by id or address."),
                Param::text("requestorEmail", "Only tickets that this person asked."),
                Param::flag("archived", "Only tickets that are, or are not, archived."),
                Param::text("q", "Only tickets with this text."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "TicketPage"),
        Route::post("/v1/tickets", || records::create(RecordKind::Ticket))
            .named("tickets_create", "Makes a ticket.")
            .scope("tickets:write")
            .body("NewTicket")
            .answers(201, "Ticket"),
        Route::get("/v1/tickets/{id}", || records::show(RecordKind::Ticket))
            .named("tickets_get", "Returns a ticket, by its id or identifier.")
            .scope("tickets:read")
            .answers(200, "Ticket"),
        Route::patch("/v1/tickets/{id}", || records::update(RecordKind::Ticket))
            .named("tickets_update", "Changes the fields that are given; null clears one.")
            .scope("tickets:write")
            .body("TicketPatch")
            .answers(200, "Ticket"),
        Route::delete("/v1/tickets/{id}", || records::remove(RecordKind::Ticket))
            .named("tickets_delete", "Removes a ticket and its comments.")
            .scope("tickets:write")
            .answers(204, ""),
        Route::post("/v1/tickets/{id}/preview", || web::to(preview))
            .named("tickets_preview", "Tells what a change of a ticket would set off.")
            .scope("tickets:read")
            .body("TicketPatch")
            .answers(200, "Foresight"),
        Route::get("/v1/tickets/{id}/comments", || comments::of(RecordKind::Ticket))
            .named("tickets_comments", "Lists the comments on a ticket, oldest first.")
            .scope("tickets:read")
            .query(&[THREADS, LIMIT, CURSOR])
            .answers(200, "CommentPage"),
        Route::post("/v1/tickets/{id}/comments", || comments::add_to(RecordKind::Ticket))
            .named("tickets_comment", "Adds a comment to a ticket.")
            .scope("tickets:write")
            .body("NewComment")
            .answers(201, "Comment"),
        Route::post("/v1/tickets/{id}/archive", || act(|_| Ok(TicketAction::Archive)))
            .named("tickets_archive", "Puts a ticket away.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/unarchive", || act(|_| Ok(TicketAction::Unarchive)))
            .named("tickets_unarchive", "Takes a ticket back.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/escalate", || act(|_| Ok(TicketAction::Escalate)))
            .named("tickets_escalate", "Marks that a ticket needs attention.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/unescalate", || act(|_| Ok(TicketAction::Unescalate)))
            .named("tickets_unescalate", "Takes that mark away.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/assign", || act(assignee))
            .named("tickets_assign", "Gives a ticket to an agent, or to nobody.")
            .scope("tickets:write")
            .body("Assign")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/tags", || act(|body| Ok(TicketAction::AddTags(tags(body)?))))
            .named("tickets_add_tags", "Adds tags to a ticket.")
            .scope("tickets:write")
            .body("TagNames")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/csat/send", || act(|_| Ok(TicketAction::SendSurvey)))
            .named("tickets_csat_send", "Asks the customer for an opinion.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
        Route::post("/v1/tickets/{id}/csat", || act(survey))
            .named("tickets_csat_receive", "Notes the customer's opinion.")
            .scope("tickets:write")
            .body("Survey")
            .answers(200, "Ticket"),
        Route::delete("/v1/tickets/{id}/tags/{tag}", || web::to(remove_tag))
            .named("tickets_remove_tag", "Removes a tag from a ticket.")
            .scope("tickets:write")
            .answers(200, "Ticket"),
    ],
    schemas: &[
        (
            "Assign",
            r#"{"type":"object","properties":{
                "assignedAgentId":{"type":["string","null"],"description":"By id or mail address; null for nobody."},
                "assignedAgentEmail":{"type":"string"}}}"#,
        ),
        (
            "Survey",
            r#"{"type":"object","required":["rating"],"properties":{
                "rating":{"type":"integer","minimum":1,"maximum":5},
                "comment":{"type":["string","null"]}}}"#,
        ),
        (
            "Foresight",
            r#"{"type":"object","properties":{"events":{"type":"array","items":{"type":"object",
                "properties":{"type":{"type":"string"},"workflows":{"type":"array",
                "items":{"type":"object","properties":{"workflow":{"type":"string"},
                "version":{"type":"integer"},"matches":{"type":"boolean",
                "description":"Whether its filter holds; a limit could still hold it back."},
                "trace":{}}}}}}}}}"#,
        ),
        (
            "TagNames",
            r#"{"type":"object","required":["tags"],"properties":{
                "tags":{"type":"array","items":{"type":"string"}}}}"#,
        ),
    ],
    made: &[
        ("Ticket", || output_schema(RecordKind::Ticket)),
        ("NewTicket", || create_schema(RecordKind::Ticket)),
        ("TicketPatch", || update_schema(RecordKind::Ticket)),
        ("TicketPage", || records::page_schema("Ticket")),
    ],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let text = |name| query.text(name).map(str::to_owned);
    let wanted = TicketQuery {
        status: text("status"),
        priority: text("priority"),
        team_id: text("teamId"),
        account_id: text("accountId"),
        assigned_agent_id: text("assignedAgentId"),
        requestor_email: text("requestorEmail"),
        is_archived: query.flag("archived")?,
        text: text("q"),
        ..TicketQuery::default()
    };
    let page = app.tickets(&who, wanted, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn preview(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let patch = records::object(body)?;
    Ok(HttpResponse::Ok().json(app.foresee(&who, (RecordKind::Ticket, &id), &patch)?))
}

fn act(read: fn(Json) -> Result<TicketAction, ApiError>) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>,
              Caller(who): Caller,
              (id, request): (web::Path<String>, HttpRequest),
              body: Json| async move {
            let action = read(body)?;
            let condition = etag::precondition(&request);
            let ticket = app.act_on_ticket(&who, &id, action, condition).await?;
            Answer::Ok(shown(StatusCode::OK, &ticket))
        },
    )
}

fn survey(body: Json) -> Result<TicketAction, ApiError> {
    let mut fields = body.fields();
    let rating = fields.value("rating").unwrap_or_default();
    let comment = fields.value("comment").unwrap_or_default();
    fields.end()?;
    Ok(TicketAction::AnswerSurvey { rating, comment })
}

fn assignee(body: Json) -> Result<TicketAction, ApiError> {
    let mut fields = body.fields();
    let agents = ["assignedAgentId", "assignedAgentEmail", "agentId", "agentEmail"];
    let named = agents.map(|name| fields.text(name));
    fields.end()?;
    Ok(TicketAction::Assign(named.into_iter().flatten().next()))
}

fn tags(body: Json) -> Result<Vec<String>, ApiError> {
    let mut fields = body.fields();
    let tags = fields.texts("tags");
    if tags.is_none() && !fields.has_problem("tags") {
        fields.missing("tags");
    }
    fields.end()?;
    Ok(tags.unwrap_or_default())
}

async fn remove_tag(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    let (id, tag) = path.into_inner();
    let (action, condition) = (TicketAction::RemoveTags(vec![tag]), etag::precondition(&request));
    let ticket = app.act_on_ticket(&who, &id, action, condition).await?;
    Ok(shown(StatusCode::OK, &ticket))
}
