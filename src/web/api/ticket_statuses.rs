//! Ticket statuses: the four, those below them, and the tenant's own.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::etag;
use super::super::route::{Group, Route};
use super::records::{self, created, object, shown, whole};
use crate::app::App;
use crate::domain::desk::{RecordKind, create_schema, output_schema, update_schema};

/// Ticket statuses.
pub static GROUP: Group = Group {
    tag: "ticket-statuses",
    about: "Open, In progress, On hold and Closed, what comes below them, and one's own. Those of \
            the platform stay; tickets of a status that ends move to the default beside it.",
    routes: &[
        Route::get("/v1/ticket-statuses", || web::to(list))
            .named("ticket_statuses_list", "Lists every status, the platform's own first.")
            .scope("tickets:read")
            .answers(200, "TicketStatusPage"),
        Route::post("/v1/ticket-statuses", || web::to(create))
            .named("ticket_statuses_create", "Makes a status below one of the four.")
            .scope("tickets:write")
            .body("NewTicketStatus")
            .answers(201, "TicketStatus"),
        Route::get("/v1/ticket-statuses/{id}", || web::to(show))
            .named("ticket_statuses_get", "Returns a status, by its id or name.")
            .scope("tickets:read")
            .answers(200, "TicketStatus"),
        Route::patch("/v1/ticket-statuses/{id}", || web::to(update))
            .named("ticket_statuses_update", "Changes the fields that are given; null clears one.")
            .scope("tickets:write")
            .body("TicketStatusPatch")
            .answers(200, "TicketStatus"),
        Route::delete("/v1/ticket-statuses/{id}", || web::to(remove))
            .named("ticket_statuses_delete", "Removes a status and moves its tickets.")
            .scope("tickets:write")
            .answers(204, ""),
    ],
    schemas: &[],
    made: &[
        ("TicketStatus", status_schema),
        ("NewTicketStatus", || create_schema(RecordKind::TicketStatus)),
        ("TicketStatusPatch", || update_schema(RecordKind::TicketStatus)),
        ("TicketStatusPage", || records::page_schema("TicketStatus")),
    ],
};

fn status_schema() -> Value {
    let mut schema = output_schema(RecordKind::TicketStatus);
    for (name, about) in [
        ("isClosed", "Whether tickets in it are closed."),
        ("isBuiltIn", "Whether it comes with the platform."),
    ] {
        schema["properties"][name] = json!({"type": "boolean", "description": about});
    }
    schema
}

async fn list(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(whole(app.ticket_statuses(&who)?))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let status = app.create_ticket_status(&who, object(body)?).await?;
    Ok(created("/v1/ticket-statuses", &status))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(shown(StatusCode::OK, &app.ticket_status(&who, &id)?))
}

async fn update(
    app: web::Data<App>,
    Caller(who): Caller,
    (id, request): (web::Path<String>, HttpRequest),
    body: Json,
) -> Answer {
    let condition = etag::precondition(&request);
    let status = app.update_ticket_status(&who, &id, object(body)?, condition).await?;
    Ok(shown(StatusCode::OK, &status))
}

async fn remove(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    request: HttpRequest,
) -> Answer {
    app.remove_ticket_status(&who, &id, etag::precondition(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}
