//! Lists of runs as a whole: counted by time, exported, and saved under a name.

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::unfold;
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, JSON, Param, Route};
use crate::app::App;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::run_views::Sharing;
use crate::app::run_words::RunWords;
use crate::app::runs::RunFilter;
use crate::domain::problem::Problem;

const NDJSON: &str = "application/x-ndjson";
const EXPORT_PAGE: usize = 200;

/// What tells one list of runs from another.
pub const FIELDS: [Param; 12] = [
    Param::text("status", "One status, or several with commas."),
    Param::text("workflow", "Only runs of this workflow."),
    Param::text("event", "Only runs that this event, or an event of this type, started."),
    Param::text("step", "Only runs that stand or failed at this step."),
    Param::text("error", "Only runs whose error has this text."),
    Param::text("errorCode", "Only runs whose error has this code."),
    Param::text("attempts", "Only runs with so many attempts in all: `3`, `>3`, `<=3`."),
    Param::text("undo", "Only runs whose undoing is `none`, `done` or `incomplete`."),
    Param::text("waitingFor", "Only runs that wait for this: `sleep`, `approval`, `incident` …"),
    Param::text("since", "Only runs created since this time, or this long ago."),
    Param::text("until", "Only runs created before this time, or this long ago."),
    Param::text(
        "q",
        "A search: fields as `status:failed step:notify attempts:>3 error:\"no answer\" since:2h`, \
         and text in the id, the workflow, the subject or the error.",
    ),
];

/// Returns what tells one list of runs from another, and one more.
#[must_use]
pub const fn fields_and(other: Param) -> [Param; 13] {
    let mut all = [other; 13];
    let mut index = 0;
    while index < FIELDS.len() {
        all[index] = FIELDS[index];
        index += 1;
    }
    all
}

/// Lists of runs.
pub static GROUP: Group = Group {
    tag: "run-lists",
    about: "Lists of runs as a whole: counted by time, exported, and saved under a name.",
    routes: &[
        Route::get("/v1/runs/histogram", || web::to(histogram))
            .named("runs_histogram", "Counts the runs of a list by the time of their creation.")
            .scope("runs:read")
            .query(&FIELDS)
            .answers(200, "RunHistogram"),
        Route::get("/v1/runs/export", || web::to(export))
            .named("runs_export", "Sends every run of a list, one a line, newest first.")
            .scope("runs:read")
            .query(&FIELDS)
            .media(JSON, NDJSON)
            .answers(200, ""),
        Route::get("/v1/run-views", || web::to(list))
            .named("run_views_list", "Lists searches under a name: built in, shared, your own.")
            .scope("runs:read")
            .answers(200, "SavedRunViewList"),
        Route::post("/v1/run-views", || web::to(save))
            .named("run_views_save", "Saves a search under a name.")
            .scope("runs:read")
            .body("SavedRunViewDraft")
            .answers(201, "SavedRunView"),
        Route::delete("/v1/run-views/{id}", || web::to(remove))
            .named("run_views_delete", "Removes a saved search.")
            .scope("runs:read")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "RunHistogram",
            r#"{"type":"object","required":["data","total"],"properties":{
                "from":{"type":"string","format":"date-time"},
                "to":{"type":"string","format":"date-time"},"stepMs":{"type":"integer"},
                "total":{"type":"integer"},
                "complete":{"type":"boolean","description":"Otherwise the oldest are missing."},
                "data":{"type":"array","items":{"type":"object","properties":{
                    "from":{"type":"string","format":"date-time"},
                    "to":{"type":"string","format":"date-time"},
                    "succeeded":{"type":"integer"},"failed":{"type":"integer"},
                    "other":{"type":"integer"}}}}}}"#,
        ),
        (
            "SavedRunView",
            r#"{"type":"object","required":["id","title","q","kind"],"properties":{
                "id":{"type":"string"},"title":{"type":"string"},
                "q":{"type":"string","description":"To be given to the list."},
                "kind":{"enum":["builtIn","shared","private"]},
                "createdBy":{"type":["string","null"]},"createdAt":{"type":["string","null"]},
                "removable":{"type":"boolean"}}}"#,
        ),
        (
            "SavedRunViewList",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/SavedRunView"}}}}"##,
        ),
        (
            "SavedRunViewDraft",
            r#"{"type":"object","required":["title","q"],"properties":{
                "title":{"type":"string","maxLength":60},"q":{"type":"string"},
                "shared":{"type":"boolean","default":false,
                    "description":"Needs `runs:write`."}}}"#,
        ),
    ],
    made: &[],
};

/// Reads which runs are meant.
pub fn words(query: &Query) -> RunWords {
    let statuses = query.list("status").join(",");
    RunWords::of(&|name| match name {
        "status" => Some(statuses.clone()),
        name => query.text(name).map(str::to_owned),
    })
}

/// Refuses a query for the first of its problems.
#[must_use]
pub fn refused(problems: Vec<Problem>) -> ApiError {
    let first = problems.into_iter().next();
    let first = first.expect("a refusal has a problem");
    let hint = first.hint.map_or_else(String::new, |hint| format!("; {hint}"));
    ApiError::bad_parameter(first.pointer.trim_start_matches('/'), first.detail + &hint)
}

/// Reads which runs are meant, as a filter.
///
/// # Errors
/// Refuses with 400 what cannot be.
pub fn filter(app: &App, query: &Query) -> Result<RunFilter, ApiError> {
    words(query).filter(app.now()).map_err(refused)
}

async fn histogram(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    Ok(HttpResponse::Ok().json(app.run_histogram(&who, &filter(&app, &query)?)?))
}

/// What is left to be sent of an export.
struct Export {
    app: App,
    who: Principal,
    filter: RunFilter,
    next: Option<PageRequest>,
}

impl Export {
    fn page(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(request) = self.next.take() else { return Ok(None) };
        let page = self.app.runs(&self.who, &self.filter, &request)?;
        self.next =
            page.next_cursor.map(|after| PageRequest { limit: EXPORT_PAGE, after: Some(after) });
        let mut lines = Vec::new();
        for run in &page.data {
            serde_json::to_writer(&mut lines, run).expect("views have only JSON-safe fields");
            lines.push(b'\n');
        }
        Ok(Some(lines.into()))
    }
}

async fn export(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = filter(&app, &query)?;
    let next = Some(PageRequest { limit: EXPORT_PAGE, after: None });
    let export = Export { app: App::clone(&app), who, filter, next };
    let pages = unfold(export, |mut export| async move {
        let page = export.page().transpose()?;
        Some((page.map_err(|error| std::io::Error::other(error.to_string())), export))
    });
    Ok(HttpResponse::Ok()
        .content_type(NDJSON)
        .insert_header(("content-disposition", "attachment; filename=\"runs.ndjson\""))
        .streaming(pages))
}

async fn list(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "data": app.run_views(&who)? })))
}

async fn save(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let (title, q) = (fields.required_text("title"), fields.required_text("q"));
    let sharing =
        if fields.flag("shared") == Some(true) { Sharing::Shared } else { Sharing::Private };
    fields.end()?;
    let view = app.save_run_view(&who, &title, &q, sharing).await?;
    Ok(HttpResponse::Created().json(view))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.remove_run_view(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
