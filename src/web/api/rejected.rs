//! Refused events: looked at, mended, tried again, forgotten.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;

/// Refused events.
pub static GROUP: Group = Group {
    tag: "rejected-events",
    about: "Events whose payload broke the schema of their type: kept with what was wrong, until \
            they are replayed, removed or too many.",
    routes: &[
        Route::get("/v1/events/rejected", || web::to(list))
            .named("rejected_events_list", "Lists refused events, newest first.")
            .scope("events:read")
            .query(PAGED)
            .answers(200, "RejectedEventPage"),
        Route::get("/v1/events/rejected/{id}", || web::to(show))
            .named("rejected_events_get", "Returns one refused event with what was wrong.")
            .scope("events:read")
            .answers(200, "RejectedEvent"),
        Route::post("/v1/events/rejected/{id}/replay", || web::to(replay))
            .named(
                "rejected_events_replay",
                "Tries a refused event again, with another payload where one is given.",
            )
            .scope("events:write")
            .body("RejectedEventReplay")
            .answers(202, "EventsAccepted"),
        Route::delete("/v1/events/rejected/{id}", || web::to(remove))
            .named("rejected_events_delete", "Forgets a refused event.")
            .scope("events:write")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "RejectedEvent",
            r#"{"type":"object","required":["id","type","problems"],"properties":{
                "id":{"type":"string"},"eventId":{"type":["string","null"]},
                "type":{"type":"string"},"source":{"type":"string"},
                "subject":{"type":["string","null"]},"time":{"type":["string","null"]},
                "actor":{"type":"object"},"payload":{},"payloadBytes":{"type":"integer"},
                "payloadCut":{"type":"boolean"},"metadata":{"type":"object"},
                "problems":{"type":"array","items":{"type":"object","properties":{
                    "pointer":{"type":"string"},"code":{"type":"string"},
                    "detail":{"type":"string"},"hint":{"type":"string"}}}},
                "rejectedAt":{"type":"string","format":"date-time"},
                "triedAt":{"type":"string","format":"date-time"},
                "attempts":{"type":"integer"}}}"#,
        ),
        (
            "RejectedEventPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/RejectedEvent"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "RejectedEventReplay",
            r#"{"type":"object","properties":{"payload":{
                "description":"Takes the place of the payload that was refused."}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.rejected_events(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.rejected_event(&who, &id)?))
}

async fn replay(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let payload = fields.value("payload");
    fields.end()?;
    let accepted = app.replay_rejected(&who, &id, payload).await?;
    Ok(HttpResponse::Accepted().json(json!({"accepted": [accepted], "rejected": []})))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.remove_rejected(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
