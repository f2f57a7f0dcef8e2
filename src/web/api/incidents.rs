//! Incidents: steps that wait for somebody to say how their runs go on.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::runs::run_id;
use crate::app::App;
use crate::app::causes::Cause;
use crate::app::error::Error;
use crate::app::incidents::{IncidentFilter, Settlement, resolution};

/// Incidents.
pub static GROUP: Group = Group {
    tag: "incidents",
    about: "Steps that have failed for good, or of which nobody knows whether they acted.",
    routes: &[
        Route::get("/v1/incidents", || web::to(list))
            .named("incidents_list", "Lists open incidents, those of the newest runs first.")
            .scope("runs:read")
            .query(&[
                Param::text("workflow", "Only those of this workflow's runs."),
                Param::text("code", "Only those that a failure of this code began."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "IncidentPage"),
        Route::get("/v1/incidents/causes", || web::to(causes))
            .named("incidents_causes", "Tells what the open incidents have in common.")
            .scope("runs:read")
            .answers(200, "IncidentCauses"),
        Route::post("/v1/incidents/resolve", || web::to(settle))
            .named("incidents_resolve", "Says how every run goes on whose incident has one cause.")
            .scope("runs:write")
            .body("CauseSettlement")
            .answers(202, "CauseSettled"),
        Route::post("/v1/runs/{id}/steps/{step}/resolve", || web::to(resolve))
            .named("runs_resolve", "Says how a run goes on whose step waits for somebody.")
            .scope("runs:write")
            .body("Settlement")
            .answers(202, "Run"),
        Route::post("/v1/runs/{id}/compensate", || web::to(compensate))
            .named("runs_compensate", "Tries again to undo what could not be undone.")
            .scope("runs:write")
            .answers(202, "Run"),
    ],
    schemas: &[
        (
            "Incident",
            r#"{"type":"object","required":["run","step","workflow","kind","code","message","since"],
                "properties":{"run":{"type":"string"},"step":{"type":"string"},
                "workflow":{"type":"string"},
                "kind":{"enum":["incident","doubt"],
                "description":"A doubt: nobody knows whether the step acted."},
                "code":{"type":"string"},"message":{"type":"string"},
                "since":{"type":"string","format":"date-time"},
                "subject":{"type":["string","null"]}}}"#,
        ),
        (
            "IncidentPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Incident"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "IncidentCauses",
            r##"{"type":"object","required":["data","partial"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "workflow":{"type":"string"},"step":{"type":"string"},
                    "code":{"type":"string"},"kind":{"enum":["incident","doubt"]},
                    "message":{"type":"string"},"count":{"type":"integer"},
                    "firstAt":{"type":"string","format":"date-time"},
                    "lastAt":{"type":"string","format":"date-time"},
                    "newest":{"type":"array","items":{"$ref":"#/components/schemas/Incident"}}}}},
                "partial":{"type":"boolean",
                    "description":"Whether there are more than were looked at."}}}"##,
        ),
        (
            "CauseSettlement",
            r#"{"type":"object","required":["workflow","step","code","action"],"properties":{
                "workflow":{"type":"string"},"step":{"type":"string"},"code":{"type":"string"},
                "action":{"enum":["retry","skip","complete","fail"]},
                "output":{"description":"With complete: what the steps answered."},
                "comment":{"type":"string"}}}"#,
        ),
        (
            "CauseSettled",
            r#"{"type":"object","properties":{"settled":{"type":"integer"},
                "left":{"type":"integer","description":"How many another request may settle."},
                "refused":{"type":"array","items":{"type":"object","properties":{
                    "run":{"type":"string"},"detail":{"type":"string"}}}}}}"#,
        ),
        (
            "Settlement",
            r#"{"type":"object","required":["action"],"properties":{
                "action":{"enum":["retry","skip","complete","fail"],
                "description":"Do it again; go on without it; it has happened; end the run as under compensate."},
                "input":{"description":"With retry: replaces the rendered input."},
                "output":{"description":"With complete: what the step answered; {} unless told."},
                "comment":{"type":"string"}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = IncidentFilter {
        workflow: query.text("workflow").map(str::to_owned),
        code: query.text("code").map(str::to_owned),
    };
    let page = app.incidents(&who, &filter, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn causes(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.causes(&who)?))
}

async fn settle(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let [workflow, step, code, action] =
        ["workflow", "step", "code", "action"].map(|name| fields.required_text(name));
    let output = fields.value("output");
    let comment = fields.text("comment").unwrap_or_default();
    fields.end()?;
    let resolution = resolution(&action, None, output).map_err(|it| Error::Invalid(vec![it]))?;
    let (cause, settlement) = (Cause { workflow, step, code }, Settlement { resolution, comment });
    Ok(HttpResponse::Accepted().json(app.settle_cause(&who, &cause, &settlement).await?))
}

async fn resolve(
    app: web::Data<App>,
    Caller(who): Caller,
    place: web::Path<(String, String)>,
    body: Json,
) -> Answer {
    let (id, step) = place.into_inner();
    let mut fields = body.fields();
    let action = fields.required_text("action");
    let (input, output) = (fields.value("input"), fields.value("output"));
    let comment = fields.text("comment").unwrap_or_default();
    fields.end()?;
    let resolution = resolution(&action, input, output).map_err(|it| Error::Invalid(vec![it]))?;
    let settlement = Settlement { resolution, comment };
    let run = app.resolve_incident(&who, run_id(&id)?, &step, settlement).await?;
    Ok(HttpResponse::Accepted().json(run))
}

async fn compensate(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Accepted().json(app.compensate_run(&who, run_id(&id)?).await?))
}
