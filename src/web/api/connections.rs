//! Connections: other systems with their settings and secrets, and what came from them.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, PAGED, Param, Route};
use crate::app::App;
use crate::app::connections::{ConnectionChange, NewConnection, SecretChanges};
use crate::app::deliveries::DeliveryStatus;
use crate::app::error::Error;
use crate::domain::connection::CONNECTED_APPS;

/// Connections.
pub static GROUP: Group = Group {
    tag: "connections",
    about: "Other systems with their settings and secrets; secrets go in and are never shown.",
    routes: &[
        Route::get("/v1/connections", || web::to(list))
            .named("connections_list", "Lists the connections by name.")
            .scope("connections:read")
            .query(PAGED)
            .answers(200, "ConnectionPage"),
        Route::post("/v1/connections", || web::to(create))
            .named("connections_create", "Makes a connection.")
            .scope("connections:write")
            .body("NewConnection")
            .answers(201, "Connection"),
        Route::get("/v1/connection-apps", || web::to(apps))
            .named(
                "connection_apps",
                "Lists the systems that connections lead to, with their settings and secrets.",
            )
            .scope("connections:read")
            .answers(200, "ConnectionApps"),
        Route::get("/v1/connections/{name}", || web::to(show))
            .named("connections_show", "Shows a connection without its secrets.")
            .scope("connections:read")
            .answers(200, "Connection"),
        Route::put("/v1/connections/{name}", || web::to(put))
            .named(
                "connections_put",
                "Makes a connection or replaces its settings; secrets that are not named stay.",
            )
            .scope("connections:write")
            .body("NewConnection")
            .answers(200, "Connection"),
        Route::patch("/v1/connections/{name}", || web::to(change))
            .named("connections_change", "Changes settings and exchanges secrets.")
            .scope("connections:write")
            .body("ConnectionChange")
            .answers(200, "Connection"),
        Route::delete("/v1/connections/{name}", || web::to(remove))
            .named("connections_remove", "Removes a connection with what came to it.")
            .scope("connections:write")
            .answers(204, ""),
        Route::post("/v1/connections/{name}/test", || web::to(test))
            .named("connections_test", "Asks the other system whether the connection works.")
            .scope("connections:write")
            .answers(200, "ConnectionTest"),
        Route::get("/v1/connections/{name}/deliveries", || web::to(deliveries))
            .named("connections_deliveries", "Lists what came to a connection, newest first.")
            .scope("connections:read")
            .query(&[
                Param::text("status", "accepted, duplicate, unmatched or rejected."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "DeliveryPage"),
        Route::post("/v1/connections/{name}/deliveries/{id}/replay", || web::to(replay))
            .named("connections_replay", "Makes an event of a delivery by the rules of now.")
            .scope("connections:write")
            .answers(200, "HookAnswer"),
    ],
    schemas: &[
        ("NewConnection", include_str!("schemas/new_connection.json")),
        (
            "ConnectionChange",
            r#"{"type":"object","properties":{
                "settings":{"type":"object","description":"Settings to set; null removes one."},
                "secrets":{"type":"object","description":"Secrets to set; null removes one."}}}"#,
        ),
        ("Connection", include_str!("schemas/connection.json")),
        (
            "ConnectionPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Connection"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "ConnectionApps",
            r#"{"type":"object","required":["data"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "app":{"type":"string"},"title":{"type":"string"},
                    "description":{"type":"string"},"baseUrl":{"type":["string","null"]},
                    "tokenUrl":{"type":["string","null"]},
                    "settings":{"type":"array","items":{"type":"object"}},
                    "secrets":{"type":"array","items":{"type":"object"}}}}},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
        (
            "ConnectionTest",
            r#"{"type":"object","properties":{"ok":{"type":"boolean"},
                "detail":{"type":"string"},"facts":{"type":"object"},
                "signingSecretSet":{"type":"boolean"},"hookPath":{"type":"string"},
                "latencyMs":{"type":["integer","null"]},
                "request":{"type":["object","null"],"description":"What was asked.",
                    "properties":{"method":{"type":"string"},"url":{"type":"string"}}},
                "response":{"type":["object","null"],"description":"What was answered.",
                    "properties":{"status":{"type":"integer"},"body":{}}}}}"#,
        ),
        (
            "DeliveryPage",
            r#"{"type":"object","properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "id":{"type":"string"},"receivedAt":{"type":"string","format":"date-time"},
                    "status":{"enum":["accepted","duplicate","unmatched","rejected"]},
                    "reason":{"type":["string","null"]},"errors":{"type":"array"},
                    "headers":{"type":"object"},"body":{},
                    "senderId":{"type":["string","null"]},"eventType":{"type":["string","null"]},
                    "eventId":{"type":["string","null"]}}}},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.connections(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn apps(Caller(_): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"data": CONNECTED_APPS, "nextCursor": null})))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let name = fields.required_text("name");
    let wanted = wanted(name, fields)?;
    Ok(HttpResponse::Created().json(app.create_connection(&who, wanted).await?))
}

async fn show(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.connection(&who, &name)?))
}

async fn put(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    if fields.text("name").is_some_and(|named| named != *name) {
        fields.problem("name", "other_name", "is not the name in the path");
    }
    let wanted = wanted(name.into_inner(), fields)?;
    Ok(HttpResponse::Ok().json(app.put_connection(&who, wanted).await?))
}

fn wanted(name: String, mut fields: Fields) -> Result<NewConnection, ApiError> {
    let app = fields.required_text("app");
    let (settings, secrets) = parts(&mut fields);
    fields.end()?;
    let secrets = SecretChanges::read(secrets)?;
    Ok(NewConnection { name, app, settings, secrets })
}

fn parts(fields: &mut Fields) -> (Map<String, Value>, Map<String, Value>) {
    let settings = fields.object("settings").unwrap_or_default();
    (settings, fields.object("secrets").unwrap_or_default())
}

async fn change(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let (settings, secrets) = parts(&mut fields);
    fields.end()?;
    let change = ConnectionChange { settings, secrets: SecretChanges::read(secrets)? };
    Ok(HttpResponse::Ok().json(app.change_connection(&who, &name, change).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_connection(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn test(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.test_connection(&who, &name).await?))
}

async fn deliveries(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let status = query.text("status").map(status_of).transpose()?;
    let page = app.deliveries(&who, &name, status, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

fn status_of(text: &str) -> Result<DeliveryStatus, ApiError> {
    serde_json::from_value(Value::String(text.to_owned())).map_err(|_| {
        let detail = "must be accepted, duplicate, unmatched or rejected";
        ApiError::bad_parameter("status", detail)
    })
}

async fn replay(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
) -> Answer {
    if !who.scopes.allow("events:write") {
        return Err(Error::Forbidden { scope: "events:write".to_owned() }.into());
    }
    let (name, id) = path.into_inner();
    Ok(HttpResponse::Ok().json(app.replay_delivery(&who, &name, &id).await?))
}
