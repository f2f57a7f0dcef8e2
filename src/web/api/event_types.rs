//! Event types: the built-in ones, and those that a tenant registers.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, PAGED, Param, Route};
use crate::app::App;
use crate::app::event_types::{NewEventType, Strictness};
use crate::domain::event_type::Origin;

const FORCED: &[Param] =
    &[Param::flag("force", "Takes a schema that refuses what the one before took.")];

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
                Param::text("kind", "Only `system`, `integration`, `timer` or `custom` types."),
                Param::number("limit", "Taken for likeness with other lists; all are answered."),
            ])
            .answers(200, "EventTypePage"),
        Route::post("/v1/event-types", || web::to(create))
            .named("event_types_create", "Registers an event type, or replaces its registration.")
            .scope("events:write")
            .query(FORCED)
            .body("NewEventType")
            .answers(201, "EventType"),
        Route::get("/v1/event-types/{type}", || web::to(show))
            .named("event_types_get", "Returns one event type.")
            .scope("events:read")
            .answers(200, "EventType"),
        Route::put("/v1/event-types/{type}", || web::to(put))
            .named("event_types_put", "Registers an event type or replaces its registration.")
            .scope("events:write")
            .query(FORCED)
            .body("NewEventType")
            .answers(200, "EventType"),
        Route::delete("/v1/event-types/{type}", || web::to(remove))
            .named("event_types_delete", "Removes an event type of one's own; its events stay.")
            .scope("events:write")
            .answers(204, ""),
        Route::get("/v1/event-types/{type}/versions", || web::to(versions))
            .named("event_types_versions", "Lists every schema that a type had, newest first.")
            .scope("events:read")
            .query(PAGED)
            .answers(200, "EventSchemaPage"),
    ],
    schemas: &[
        (
            "NewEventType",
            r#"{"type":"object","required":["type"],"properties":{
                "type":{"type":"string","examples":["order:placed"]},
                "name":{"type":["string","null"]},"description":{"type":["string","null"]},
                "source":{"type":["string","null"]},
                "example":{"description":"A payload as it could be; it must fit the schema."},
                "schema":{"description":"JSON Schema of the payload."}}}"#,
        ),
        (
            "EventSchemaPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "version":{"type":"integer"},"schema":{},
                    "createdAt":{"type":"string","format":"date-time"},
                    "incompatibilities":{"type":"array","items":{"type":"object"},
                        "description":"What it refuses that the version before took."}}}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "EventType",
            r#"{"type":"object","required":["type","name","schema"],"properties":{
                "type":{"type":"string"},"uid":{"type":"string"},"name":{"type":"string"},
                "description":{"type":"string"},"source":{"type":"string"},
                "aliases":{"type":"array","items":{"type":"string"}},
                "kind":{"enum":["system","integration","timer","custom"]},
                "builtIn":{"type":"boolean"},"version":{"type":"integer"},"schema":{},"example":{},
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
    let origin = match query.text("kind") {
        None => None,
        Some(name) => Some(origin(name)?),
    };
    query.page()?;
    let data = app.event_types(&who, query.text("source"), origin)?;
    Ok(HttpResponse::Ok().json(json!({"data": data, "nextCursor": null})))
}

fn origin(name: &str) -> Result<Origin, ApiError> {
    let found = Origin::ALL.iter().find(|(_, known)| *known == name);
    found.map(|(origin, _)| *origin).ok_or_else(|| {
        ApiError::bad_parameter("kind", "must be system, integration, timer or custom")
    })
}

async fn show(app: web::Data<App>, Caller(who): Caller, kind: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.event_type(&who, &kind)?))
}

async fn create(app: web::Data<App>, Caller(who): Caller, query: Query, body: Json) -> Answer {
    let wanted = read(body, None, &query)?;
    Ok(HttpResponse::Created().json(app.put_event_type(&who, wanted).await?))
}

async fn put(
    app: web::Data<App>,
    Caller(who): Caller,
    (kind, query): (web::Path<String>, Query),
    body: Json,
) -> Answer {
    let wanted = read(body, Some(kind.into_inner()), &query)?;
    Ok(HttpResponse::Ok().json(app.put_event_type(&who, wanted).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, kind: web::Path<String>) -> Answer {
    app.remove_event_type(&who, &kind).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn versions(
    app: web::Data<App>,
    Caller(who): Caller,
    kind: web::Path<String>,
    query: Query,
) -> Answer {
    let all = app.schema_versions(&who, &kind)?;
    // Newest first, so the sort key counts down.
    let page = query.page()?.cut(all, |row| format!("{:010}", u32::MAX - row.version));
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

fn read(body: Json, named: Option<String>, query: &Query) -> Result<NewEventType, ApiError> {
    let strictness = match query.flag("force")? {
        Some(true) => Strictness::Forced,
        Some(false) | None => Strictness::Compatible,
    };
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
        example: fields.value("example"),
        strictness,
    };
    fields.end()?;
    Ok(wanted)
}
