//! What is used where, how activities fare, and activities tried by themselves.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use crate::app::App;
use crate::app::activity_trial::Earnest;
use crate::app::uses::UseView;

/// Uses.
pub static GROUP: Group = Group {
    tag: "uses",
    about: "Which workflows use a connection, a secret or an activity, in their present versions; \
            how an activity has fared; and an activity tried by itself.",
    routes: &[
        Route::get("/v1/connections/{name}/uses", || web::to(of_connection))
            .named("connections_uses", "Lists the workflows that call over a connection.")
            .scope("connections:read")
            .answers(200, "UsePage"),
        Route::get("/v1/secrets/{name}/uses", || web::to(of_secret))
            .named("secrets_uses", "Lists the workflows that send a secret.")
            .scope("secrets:read")
            .answers(200, "UsePage"),
        Route::get("/v1/activities/{uniqueIdentifier}/uses", || web::to(of_activity))
            .named("activities_uses", "Lists the workflows that call an activity.")
            .scope("workflows:read")
            .answers(200, "UsePage"),
        Route::get("/v1/activities/{uniqueIdentifier}/record", || web::to(record))
            .named("activities_record", "Tells how an activity fared in the last seven days.")
            .scope("runs:read")
            .answers(200, "ActivityRecord"),
        Route::post("/v1/activities/{uniqueIdentifier}/try", || web::to(trial))
            .named("activities_try", "Tries an activity by itself, mocked or for real.")
            .scope("runs:write")
            .body("NewActivityTrial")
            .answers(200, "ActivityTrial"),
    ],
    schemas: &[
        (
            "UsePage",
            r#"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "workflow":{"type":"string"},"title":{"type":"string"},
                    "active":{"type":"boolean"},
                    "steps":{"type":"array","items":{"type":"string"}}}}},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
        (
            "ActivityRecord",
            r#"{"type":"object","properties":{
                "since":{"type":"string","format":"date-time"},
                "runs":{"type":"integer","description":"How many runs were looked at."},
                "more":{"type":"boolean","description":"Whether there were more."},
                "succeeded":{"type":"integer"},"failed":{"type":"integer"},
                "unknown":{"type":"integer"},
                "p50Ms":{"type":["integer","null"]},"p95Ms":{"type":["integer","null"]},
                "lastFailure":{"type":["object","null"],"properties":{
                    "run":{"type":"string"},"step":{"type":"string"},
                    "at":{"type":"string","format":"date-time"},"error":{"type":"object"}}}}}"#,
        ),
        (
            "NewActivityTrial",
            r#"{"type":"object","properties":{
                "input":{"description":"As the activity's input schema has it; {} unless given."},
                "mode":{"enum":["mock","real"],"default":"mock",
                    "description":"`real` does what the activity does, once."}}}"#,
        ),
        (
            "ActivityTrial",
            r#"{"type":"object","required":["activity","mode","ok"],"properties":{
                "activity":{"type":"string"},"mode":{"enum":["mock","real"]},
                "ok":{"type":"boolean"},"output":{},
                "error":{"type":["object","null"],"properties":{
                    "code":{"type":"string"},"message":{"type":"string"}}},
                "durationMs":{"type":"integer"}}}"#,
        ),
    ],
    made: &[],
};

fn listed(users: &[UseView]) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "data": users, "nextCursor": null }))
}

async fn of_connection(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
) -> Answer {
    app.connection(&who, &name)?;
    Ok(listed(app.uses(&who)?.of_connection(&name)))
}

async fn of_secret(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.named_secret(&who, &name)?;
    Ok(listed(app.uses(&who)?.of_secret(&name)))
}

async fn of_activity(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    let activity = app.activity(&who, &id)?;
    Ok(listed(app.uses(&who)?.of_activity(&activity.unique_identifier)))
}

async fn record(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.activity_record(&who, &id)?))
}

async fn trial(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let input = fields.value("input").unwrap_or_else(|| json!({}));
    let mode = fields.text("mode");
    let earnest = match mode.as_deref() {
        None | Some("mock") => Earnest::Mock,
        Some("real") => Earnest::Real,
        Some(_) => {
            fields.problem("mode", "unknown_mode", "must be mock or real");
            Earnest::Mock
        }
    };
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.try_activity(&who, &id, input, earnest).await?))
}
