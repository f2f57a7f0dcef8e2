//! What is kept for how long: the rules of a tenant, what they would remove, and the removing.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::error::Error;
use crate::app::retention::Pause;
use crate::domain::retention::Rules;

/// Retention.
pub static GROUP: Group = Group {
    tag: "retention",
    about: "For how long what is over is kept. What is needed is never removed: live runs, events \
            of runs that are kept, parents of runs that live.",
    routes: &[
        Route::get("/v1/retention", || web::to(show))
            .named("retention_get", "Shows the rules, those that hold, and what was removed.")
            .scope("retention:read")
            .answers(200, "Retention"),
        Route::put("/v1/retention", || web::to(change))
            .named("retention_change", "Replaces the tenant's rules.")
            .scope("retention:write")
            .query(&[Param::flag("dryRun", "Changes nothing; counts what would go, by rule.")])
            .body("RetentionRules")
            .answers(200, "Retention"),
        Route::get("/v1/retention/preview", || web::to(preview))
            .named("retention_preview", "Counts what would be removed now, by rule.")
            .scope("retention:read")
            .answers(200, "RetentionPreview"),
        Route::post("/v1/retention/run", || web::to(run))
            .named(
                "retention_run",
                "Removes now what is past its time, and answers when it is done.",
            )
            .scope("retention:write")
            .answers(200, "RetentionPass"),
        Route::post("/v1/retention/pause", || web::to(pause))
            .named("retention_pause", "Removes nothing, of any tenant, until it is resumed.")
            .scope("tenants:write")
            .answers(200, "Retention"),
        Route::post("/v1/retention/resume", || web::to(resume))
            .named("retention_resume", "Removes again what is past its time.")
            .scope("tenants:write")
            .answers(200, "Retention"),
    ],
    schemas: &[
        (
            "RetentionOfRuns",
            r#"{"type":"object","description":"Durations after the end such as 7d, or forever.",
                "properties":{"succeeded":{"type":["string","number","null"]},
                "failed":{"type":["string","number","null"]},
                "cancelled":{"type":["string","number","null"]},
                "compensationIncomplete":{"type":["string","number","null"]},
                "count":{"type":["integer","null"],"description":"Runs of each workflow."},
                "bytes":{"type":["integer","null"],"description":"Of all runs; not by workflow."}}}"#,
        ),
        (
            "RetentionRules",
            r##"{"type":"object","description":"What is not said the appliance decides.",
                "properties":{"runs":{"$ref":"#/components/schemas/RetentionOfRuns"},
                "events":{"type":"object","properties":{
                    "matched":{"type":["string","number","null"]},
                    "unmatched":{"type":["string","number","null"]},
                    "count":{"type":["integer","null"]},"bytes":{"type":["integer","null"]}}},
                "rejectedEvents":{"type":["string","number","null"]},
                "hookDeliveries":{"type":["string","number","null"]},
                "webhookDeliveries":{"type":"object","properties":{
                    "delivered":{"type":["string","number","null"]},
                    "dead":{"type":["string","number","null"]}}},
                "audit":{"type":["string","number","null"],
                    "description":"Never less than the appliance's floor."},
                "dedupe":{"type":["string","number","null"],
                    "description":"How long ids of events are remembered after the events."},
                "workflows":{"type":"object","description":"By name; before everything else.",
                    "additionalProperties":{"$ref":"#/components/schemas/RetentionOfRuns"}}}}"##,
        ),
        (
            "Retention",
            r##"{"type":"object","properties":{
                "rules":{"$ref":"#/components/schemas/RetentionRules"},
                "effective":{"$ref":"#/components/schemas/RetentionRules"},
                "auditFloor":{"type":"string"},"paused":{"type":"boolean"},
                "removed":{"type":"object","additionalProperties":{"type":"integer"}},
                "lastPass":{"oneOf":[{"$ref":"#/components/schemas/RetentionPass"},
                    {"type":"null"}]}}}"##,
        ),
        (
            "RetentionPass",
            r#"{"type":"object","properties":{"startedAt":{"type":"string","format":"date-time"},
                "tookMs":{"type":"integer"},
                "removed":{"type":"object","additionalProperties":{"type":"integer"}}}}"#,
        ),
        (
            "RetentionPreview",
            r#"{"type":"object","properties":{"data":{"type":"array","items":{"type":"object",
                "properties":{"rule":{"type":"string"},"workflow":{"type":["string","null"]},
                "count":{"type":"integer"}}}},"total":{"type":"integer"},
                "truncated":{"type":"boolean"}}}"#,
        ),
    ],
    made: &[],
};

async fn show(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.retention(&who)?))
}

async fn change(app: web::Data<App>, Caller(who): Caller, query: Query, body: Json) -> Answer {
    let rules = Rules::parse(&body.0).map_err(Error::Invalid)?;
    if query.flag("dryRun")? == Some(true) {
        return Ok(HttpResponse::Ok().json(app.preview_retention(&who, Some(rules)).await?));
    }
    Ok(HttpResponse::Ok().json(app.set_retention(&who, rules).await?))
}

async fn preview(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.preview_retention(&who, None).await?))
}

async fn run(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.run_retention(&who).await?))
}

async fn pause(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.pause_retention(&who, Pause::Paused).await?))
}

async fn resume(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.pause_retention(&who, Pause::Resumed).await?))
}
