//! Runs: listed, shown, waited for, cancelled, retried, restarted.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::super::auth::{Caller, shown_by};
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::super::state::Front;
use super::super::stream;
use super::{redo, run_lists};
use crate::app::App;
use crate::app::error::Error;
use crate::app::runs::Cancel;
use crate::domain::id::RunId;

const WAIT: Param = Param::text("wait", "Answers at the end of the run, or after this long: 30s.");

/// Which runs are listed, and which part of the list.
const LISTED: [Param; 14] = {
    let mut listed = [LIMIT; 14];
    let fields = run_lists::fields_and(CURSOR);
    let mut index = 0;
    while index < fields.len() {
        listed[index] = fields[index];
        index += 1;
    }
    listed
};

/// Runs.
pub static GROUP: Group = Group {
    tag: "runs",
    about: "Executions of workflow versions: where each stands, what it recorded, what it undid.",
    routes: &[
        Route::get("/v1/runs", || web::to(list))
            .named("runs_list", "Lists runs, newest first.")
            .scope("runs:read")
            .query(&LISTED)
            .answers(200, "RunPage"),
        Route::get("/v1/runs/{id}", || web::to(show))
            .named("runs_get", "Returns one run with its steps, attempts and compensations.")
            .scope("runs:read")
            .query(&[WAIT])
            .answers(200, "Run"),
        Route::get("/v1/runs/{id}/journal", || web::to(journal))
            .named("runs_journal", "Returns what the run recorded, in order.")
            .scope("runs:read")
            .answers(200, "Journal"),
        Route::get("/v1/runs/{id}/test-case", || web::to(case))
            .named("runs_test_case", "Makes a test case of what the run recorded.")
            .scope("runs:read")
            .answers(200, "TestCase"),
        Route::get("/v1/runs/{id}/stream", || web::to(follow))
            .named("runs_stream", "Sends what the run records, as server-sent events, to its end.")
            .scope("runs:read")
            .query(&[Param::text("lastEventId", "As the header `Last-Event-ID`, which beats it.")])
            .answers(200, ""),
        Route::post("/v1/runs/{id}/cancel", || web::to(cancel))
            .named("runs_cancel", "Stops the run; finished steps are undone unless told otherwise.")
            .scope("runs:write")
            .body("Cancel")
            .answers(202, "Run"),
        Route::post("/v1/runs/{id}/retry", || web::to(redo::retry))
            .named("runs_retry", "Goes on with a failed run from the step that failed.")
            .scope("runs:write")
            .query(&[redo::DRY_RUN])
            .body("Retry")
            .answers(202, "Run"),
        Route::post("/v1/runs/{id}/restart", || web::to(redo::restart))
            .named("runs_restart", "Starts a new run with the same event, or an edited one.")
            .scope("runs:write")
            .query(&[redo::DRY_RUN])
            .body("Restart")
            .answers(202, "Run"),
        Route::post("/v1/runs/{id}/migrate", || web::to(redo::migrate))
            .named("runs_migrate", "Moves a run that goes on to another version.")
            .scope("runs:write")
            .query(&[redo::DRY_RUN])
            .body("Migrate")
            .answers(202, "Run"),
    ],
    schemas: &[
        ("Run", include_str!("schemas/run.json")),
        (
            "RunPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Run"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "Journal",
            r#"{"type":"object","required":["data"],"properties":{"data":{"type":"array",
                "items":{"type":"object","required":["number","at","entry"],"properties":{
                "number":{"type":"integer"},"at":{"type":"string","format":"date-time"},
                "entry":{"type":"object"}}}}}}"#,
        ),
        (
            "Cancel",
            r#"{"type":"object","properties":{"compensate":{"type":"boolean","default":true},
                "reason":{"type":"string"}}}"#,
        ),
        (
            "TestCase",
            r#"{"type":"object","properties":{"name":{"type":"string"},
                "event":{"type":"object"},"mocks":{"type":"object"},
                "expect":{"type":"object"}}}"#,
        ),
        ("Retry", redo::RETRY),
        ("Restart", redo::RESTART),
        ("Migrate", redo::MIGRATE),
    ],
    made: &[],
};

/// Reads an id; what cannot be one names nothing.
///
/// # Errors
/// `NotFound`.
pub fn run_id(text: &str) -> Result<RunId, Error> {
    text.parse().map_err(|_| Error::NotFound { what: "run", id: text.to_owned() })
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = run_lists::filter(&app, &query)?;
    let page = app.runs(&who, &filter, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn show(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let longest = Duration::from_millis(front.settings.wait_ms_max);
    let run = match query.duration("wait", longest)? {
        Some(patience) => app.wait_for_run(&who, run_id(&id)?, patience).await?,
        None => app.run(&who, run_id(&id)?)?,
    };
    Ok(HttpResponse::Ok().json(run))
}

async fn journal(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"data": app.journal(&who, run_id(&id)?)?})))
}

async fn case(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.case_of_run(&who, run_id(&id)?)?))
}

async fn follow(
    (app, front): (web::Data<App>, web::Data<Front>),
    (Caller(who), id): (Caller, web::Path<String>),
    (request, query): (HttpRequest, Query),
) -> Answer {
    let after = match stream::last_event_id(&request).or(query.text("lastEventId")) {
        None => 0,
        Some(text) => text.parse().map_err(|_| {
            ApiError::bad_parameter("Last-Event-ID", "must be the number of a journal record")
        })?,
    };
    let run = app.run_stream(&who, run_id(&id)?, after)?;
    let open = front.streams.enter(who.tenant, front.settings.streams_max)?;
    Ok(stream::of_run(run, (open, shown_by(&request)), &front.settings))
}

async fn cancel(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let undo = match fields.flag("compensate") {
        Some(false) => Cancel::Keep,
        Some(true) | None => Cancel::Undo,
    };
    let _reason = fields.text("reason"); // Taken, so that it is no unknown field.
    fields.end()?;
    Ok(HttpResponse::Accepted().json(app.cancel_run(&who, run_id(&id)?, undo).await?))
}
