//! A look into a run: its context at each moment, its relations, another run beside it.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use super::runs::run_id;
use crate::app::App;

const AT: Param = Param::number("at", "The number of a journal record; the last without it.");

/// A look into a run.
pub static GROUP: Group = Group {
    tag: "run-insight",
    about: "What a run's expressions saw at each moment, where it comes from, how it differs from \
            another.",
    routes: &[
        Route::get("/v1/runs/{id}/context", || web::to(context))
            .named("runs_context", "Returns what expressions could see after a journal record.")
            .scope("runs:read")
            .query(&[AT])
            .answers(200, "RunContext"),
        Route::post("/v1/runs/{id}/evaluate", || web::to(evaluate))
            .named("runs_evaluate", "Evaluates an expression against what a run saw.")
            .scope("runs:read")
            .body("RunExpression")
            .answers(200, "RunExpressionValue"),
        Route::get("/v1/runs/{id}/relations", || web::to(relations))
            .named("runs_relations", "Returns where a run comes from and what it started.")
            .scope("runs:read")
            .answers(200, "RunRelations"),
        Route::get("/v1/runs/{id}/diff", || web::to(diff))
            .named("runs_diff", "Says how a run differs from another, step by step.")
            .scope("runs:read")
            .query(&[Param::text("with", "The other run.")])
            .answers(200, "RunDiff"),
        Route::post("/v1/runs/{id}/steps/{step}/try-now", || web::to(try_now))
            .named("runs_try_now", "Makes the next attempt of a step that pauses, at once.")
            .scope("runs:write")
            .answers(202, "Run"),
    ],
    schemas: &[
        (
            "RunContext",
            r#"{"type":"object","properties":{"number":{"type":"integer"},
                "total":{"type":"integer"},"at":{"type":"string","format":"date-time"},
                "entry":{"type":"object"},"steps":{"type":"array","items":{"type":"object",
                    "properties":{"id":{"type":"string"},"status":{"type":"string"}}}},
                "context":{"type":"object"}}}"#,
        ),
        (
            "RunExpression",
            r#"{"type":"object","required":["expression"],"properties":{
                "expression":{"type":"string","description":"With or without its braces."},
                "at":{"type":"integer","minimum":1}}}"#,
        ),
        ("RunExpressionValue", r#"{"type":"object","properties":{"value":{}}}"#),
        (
            "RunRelations",
            r#"{"type":"object","properties":{"parent":{"type":["string","null"]},
                "causedBy":{"type":["string","null"]},"restartOf":{"type":["string","null"]},
                "replayOf":{"type":["string","null"]},"children":{"type":"array","items":{
                    "type":"object","properties":{"step":{"type":"string"},
                    "run":{"type":"string"}}}}}}"#,
        ),
        (
            "RunDiff",
            r#"{"type":"object","properties":{"left":{"type":"string"},
                "right":{"type":"string"},"trigger":{"type":"array","items":{"type":"object",
                    "properties":{"path":{"type":"string"},"left":{},"right":{}}}},
                "steps":{"type":"array","items":{"type":"object","properties":{
                    "step":{"type":"string"},"left":{"type":["object","null"]},
                    "right":{"type":["object","null"]},"input":{"type":"array"},
                    "output":{"type":"array"}}}}}}"#,
        ),
    ],
    made: &[],
};

async fn context(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let at = query.number("at")?.map(|number| number as usize);
    Ok(HttpResponse::Ok().json(app.run_context(&who, run_id(&id)?, at)?))
}

async fn evaluate(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let expression = fields.required_text("expression");
    let at = fields.number("at", 1..=u64::from(u32::MAX)).map(|number| number as usize);
    fields.end()?;
    let value = app.evaluate_in_run(&who, run_id(&id)?, at, &expression)?;
    Ok(HttpResponse::Ok().json(json!({ "value": value })))
}

async fn relations(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.run_relations(&who, run_id(&id)?)?))
}

async fn diff(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let missing = || ApiError::bad_parameter("with", "names the run to compare with");
    let other = run_id(query.text("with").ok_or_else(missing)?)?;
    Ok(HttpResponse::Ok().json(app.compare_runs(&who, run_id(&id)?, other)?))
}

async fn try_now(
    app: web::Data<App>,
    Caller(who): Caller,
    place: web::Path<(String, String)>,
) -> Answer {
    let (id, step) = place.into_inner();
    Ok(HttpResponse::Accepted().json(app.try_now(&who, run_id(&id)?, &step).await?))
}
