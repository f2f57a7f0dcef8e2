//! Event types: the built-in ones, and those that a tenant registers.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::event_types::NewEventType;

/// Event types.
pub static GROUP: Group = Group {
    tag: "event-types",
    about: "What can happen: each type with the JSON Schema that its payloads must fit.",
    routes: &[
        Route::get("/v1/event-types", || web::to(list))
            .named("event_types_list", "Lists the event types, built-in ones first.")
            .scope("events:read")
            .query(&[
                Param::text("source", "Only types of this source."),
                Param::number("limit", "Taken for likeness with other lists; all are answered."),
            ])
            .answers(200, "EventTypePage"),
        Route::post("/v1/event-types", || web::to(create))
            .named("event_types_create", "Registers an event type.")
            .scope("events:write")
            .body("NewEventType")
            .answers(201, "EventType"),
        Route::get("/v1/event-types/{type}", || web::to(show))
            .named("event_types_get", "Returns one event type.")
            .scope("events:read")
            .answers(200, "EventType"),
        Route::put("/v1/event-types/{type}", || web::to(put))
            .named("event_types_put", "Registers an event type or replaces its registration.")
            .scope("events:write")
            .body("NewEventType")
            .answers(200, "EventType"),
    ],
    schemas: &[
        (
            "NewEventType",
            r#"{"type":"object","required":["type"],"properties":{
                "type":{"type":"string","examples":["order:placed"]},
                "name":{"type":"string"},"description":{"type":"string"},
                "source":{"type":"string"},
                "schema":{"description":"JSON Schema of the payload."}}}"#,
        ),
        (
            "EventType",
            r#"{"type":"object","required":["type","name","schema"],"properties":{
                "type":{"type":"string"},"uid":{"type":"string"},"name":{"type":"string"},
                "description":{"type":"string"},"source":{"type":"string"},
                "aliases":{"type":"array","items":{"type":"string"}},
                "builtIn":{"type":"boolean"},"schema":{},"example":{},
                "createdAt":{"type":["string","null"]},"updatedAt":{"type":["string","null"]}}}"#,
        ),
        (
            "EventTypePage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/EventType"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let data = app.event_types(&who, query.text("source"))?;
    Ok(HttpResponse::Ok().json(json!({"data": data, "nextCursor": null})))
}

async fn show(app: web::Data<App>, Caller(who): Caller, kind: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.event_type(&who, &kind)?))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let wanted = read(body, None)?;
    Ok(HttpResponse::Created().json(app.put_event_type(&who, wanted).await?))
}

async fn put(
    app: web::Data<App>,
    Caller(who): Caller,
    kind: web::Path<String>,
    body: Json,
) -> Answer {
    let wanted = read(body, Some(kind.into_inner()))?;
    Ok(HttpResponse::Ok().json(app.put_event_type(&who, wanted).await?))
}

fn read(body: Json, named: Option<String>) -> Result<NewEventType, crate::app::error::Error> {
    let mut fields = body.fields();
    let kind = match named {
        None => fields.required_text("type"),
        Some(named) => {
            if fields.text("type").is_some_and(|kind| kind != named) {
                fields.problem("type", "contradiction", "is not the type that the path names");
            }
            named
        }
    };
    let wanted = NewEventType {
        kind,
        name: fields.text("name").unwrap_or_default(),
        description: fields.text("description").unwrap_or_default(),
        source: fields.text("source").unwrap_or_default(),
        schema: fields.value("schema"),
    };
    fields.end()?;
    Ok(wanted)
}
