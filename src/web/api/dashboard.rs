//! What a person sees first, as data: the last day in figures, and what needs attention.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use crate::app::App;

/// The dashboard.
pub static GROUP: Group = Group {
    tag: "dashboard",
    about: "The last day in figures, and what needs attention, grouped by cause.",
    routes: &[
        Route::get("/v1/dashboard", || web::to(show))
            .named("dashboard_get", "Returns the last day in figures and what needs attention.")
            .scope("runs:read")
            .answers(200, "Dashboard"),
        Route::post("/v1/dashboard/causes/{id}/retry", || web::to(retry))
            .named(
                "dashboard_retry_cause",
                "Retries every run of the last day that failed for one cause, by a bulk job.",
            )
            .scope("runs:write")
            .answers(202, "BulkJob"),
    ],
    schemas: &[
        (
            "Dashboard",
            r##"{"type":"object","required":["hours","minutes","attention","recent"],"properties":{
                "events24h":{"type":"integer"},"runs24h":{"type":"integer"},
                "succeeded24h":{"type":"integer"},"failed24h":{"type":"integer"},
                "queued":{"type":"integer"},"running":{"type":"integer"},
                "retrying":{"type":"integer"},"waiting":{"type":"integer"},
                "compensating":{"type":"integer"},
                "incidents":{"type":"integer","description":"Up to 500."},
                "approvals":{"type":"integer","description":"Up to 500."},
                "hours":{"type":"array","items":{"$ref":"#/components/schemas/DashboardSpan"}},
                "minutes":{"type":"array","items":{"$ref":"#/components/schemas/DashboardSpan"}},
                "attention":{"type":"array","items":{"$ref":"#/components/schemas/Cause"}},
                "upcoming":{"type":"array","items":{"type":"object","properties":{
                    "workflow":{"type":"string"},"trigger":{"type":"integer"},
                    "description":{"type":"string"},
                    "at":{"type":"string","format":"date-time"},"local":{"type":"string"}}}},
                "changed":{"type":"array","items":{"type":"object","properties":{
                    "name":{"type":"string"},"version":{"type":"integer"},
                    "active":{"type":"boolean"},"by":{"type":"string"},
                    "at":{"type":"string","format":"date-time"}}}},
                "recent":{"type":"array","items":{"$ref":"#/components/schemas/Run"}}}}"##,
        ),
        (
            "DashboardSpan",
            r#"{"type":"object","required":["at","events","succeeded","failed"],"properties":{
                "at":{"type":"string","format":"date-time"},"events":{"type":"integer"},
                "succeeded":{"type":"integer"},"failed":{"type":"integer"}}}"#,
        ),
        (
            "Cause",
            r#"{"type":"object","required":["id","workflow","code","count","newest"],"properties":{
                "id":{"type":"string"},"workflow":{"type":"string"},
                "step":{"type":["string","null"]},"code":{"type":"string"},
                "message":{"type":"string","description":"The newest of them."},
                "count":{"type":"integer"},"newest":{"type":"string"},
                "firstAt":{"type":"string","format":"date-time"},
                "lastAt":{"type":"string","format":"date-time"}}}"#,
        ),
    ],
    made: &[],
};

async fn show(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.dashboard(&who)?))
}

async fn retry(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Accepted().json(app.retry_cause(&who, &id).await?))
}
