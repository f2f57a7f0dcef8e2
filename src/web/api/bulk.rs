//! One action on many runs or events, by a durable job.

use actix_web::{HttpResponse, web};
use serde_json::{Map, Value, json};

use super::super::auth::Caller;
use super::super::beside::beside;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use super::redo::version;
use crate::app::App;
use crate::app::bulk::{BulkChoice, BulkRequest, BulkWish};
use crate::app::error::Error;
use crate::app::events::EventFilter;
use crate::app::run_words::RunWords;
use crate::app::runs::RunFilter;
use crate::domain::bulk::{BulkAction, BulkOptions, BulkSubject};
use crate::domain::event_type::Pattern;
use crate::domain::problem::{Problem, nearest};
use crate::domain::run::Status;
use crate::domain::run_search::FIELDS;
use crate::domain::time::Timestamp;

/// Bulk jobs.
pub static GROUP: Group = Group {
    tag: "bulk",
    about: "One action on many runs or events: counted first, then done by a job that survives a \
            crash, acts on each at most once, and keeps to a rate.",
    routes: &[
        Route::post("/v1/bulk", || web::to(start))
            .named("bulk_start", "Counts those that are meant, or starts a job for them.")
            .scope("runs:write")
            .body("BulkRequest")
            .answers(202, "BulkJob"),
        Route::get("/v1/bulk", || web::to(list))
            .named("bulk_list", "Lists bulk jobs, newest first.")
            .scope("runs:read")
            .query(PAGED)
            .answers(200, "BulkJobPage"),
        Route::get("/v1/bulk/{id}", || web::to(show))
            .named("bulk_get", "Returns one bulk job with what came of it so far.")
            .scope("runs:read")
            .answers(200, "BulkJob"),
        Route::post("/v1/bulk/{id}/pause", || web::to(pause))
            .named("bulk_pause", "Holds a job.")
            .scope("runs:write")
            .answers(200, "BulkJob"),
        Route::post("/v1/bulk/{id}/resume", || web::to(resume))
            .named("bulk_resume", "Lets a job go on.")
            .scope("runs:write")
            .answers(200, "BulkJob"),
        Route::post("/v1/bulk/{id}/cancel", || web::to(cancel))
            .named("bulk_cancel", "Ends a job; what it has done stays done.")
            .scope("runs:write")
            .answers(200, "BulkJob"),
    ],
    schemas: &[
        (
            "BulkRequest",
            r#"{"type":"object","required":["action"],"properties":{
                "action":{"enum":["retry","restart","cancel","migrate","replay"]},
                "filter":{"type":"object","description":"Which runs; for `replay`, which events.",
                    "properties":{
                    "status":{"oneOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}],
                        "description":"Without it, those that the action is for."},
                    "workflow":{"type":"string"},"event":{"type":"string"},
                    "since":{"type":"string"},"until":{"type":"string"},"q":{"type":"string"},
                    "errorCode":{"type":"string"},"step":{"type":"string"},"error":{"type":"string"},
                    "attempts":{"type":"string"},"undo":{"type":"string"},
                    "waitingFor":{"type":"string"},"type":{"type":"string"},
                    "source":{"type":"string"},"subject":{"type":"string"},
                    "matched":{"type":"boolean"}}},
                "ids":{"type":"array","items":{"type":"string"},"description":"Instead of a filter."},
                "options":{"type":"object","properties":{
                    "from":{"type":"string","description":"The step to retry from."},
                    "version":{"oneOf":[{"type":"integer"},{"const":"latest"}]},
                    "compensate":{"type":"boolean","default":true},
                    "workflow":{"type":"string","description":"The workflow that replays start."},
                    "perSecond":{"type":"integer","minimum":1}}},
                "dryRun":{"type":"boolean","default":false,
                    "description":"Answers `{action, total, sample}` and starts nothing."}}}"#,
        ),
        (
            "BulkJob",
            r#"{"type":"object","properties":{"id":{"type":"string"},
                "action":{"type":"string"},"options":{"type":"object"},"filter":{},
                "createdBy":{"type":"string"},
                "status":{"enum":["running","paused","finished","cancelled"]},
                "total":{"type":"integer"},"done":{"type":"integer"},"failed":{"type":"integer"},
                "skipped":{"type":"integer"},"left":{"type":"integer"},
                "reasons":{"type":"array","items":{"type":"object","properties":{
                    "outcome":{"enum":["failed","skipped"]},"code":{"type":"string"},
                    "detail":{"type":"string"},"count":{"type":"integer"},
                    "sample":{"type":"array","items":{"type":"string"}}}}},
                "createdAt":{"type":"string","format":"date-time"},
                "endedAt":{"type":["string","null"],"format":"date-time"}}}"#,
        ),
        (
            "BulkJobPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/BulkJob"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn start(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let dry_run = fields.flag("dryRun") == Some(true);
    let request = request(&mut fields, app.now())?;
    fields.end()?;
    let (reader, caller, asked) = (app.clone(), who.clone(), request.clone());
    let found = beside(move || reader.select_bulk(&caller, &asked)).await?;
    if dry_run {
        return Ok(HttpResponse::Ok().json(found));
    }
    Ok(HttpResponse::Accepted().json(app.start_bulk(&who, request, found).await?))
}

fn request(fields: &mut Fields, now: Timestamp) -> Result<BulkRequest, Error> {
    let name = fields.required_text("action");
    let action = BulkAction::named(&name);
    if action.is_none() && !fields.has_problem("action") {
        let known = BulkAction::ALL.map(BulkAction::as_str);
        let detail = match nearest(&name, known) {
            Some(near) => format!("`{name}` is no action; did you mean `{near}`?"),
            None => format!("`{name}` is no action; it must be one of {}", known.join(", ")),
        };
        fields.problem("action", "invalid_value", detail);
    }
    let action = action.unwrap_or(BulkAction::Cancel);
    let options = options(fields, action)?;
    let (filter, ids) = (fields.object("filter"), fields.texts("ids"));
    let asked = match (&filter, &ids) {
        (Some(filter), _) => Value::Object(filter.clone()),
        (None, ids) => json!({ "ids": ids.as_ref().map_or(0, Vec::len) }),
    };
    let choice = match (filter, ids) {
        (Some(_), Some(_)) => {
            fields.problem("ids", "contradiction", "give `filter` or `ids`, not both");
            BulkChoice::Ids(Vec::new())
        }
        (None, Some(ids)) => BulkChoice::Ids(ids),
        (Some(filter), None) => choice(action, filter, now)?,
        (None, None) => {
            if !fields.has_problem("filter") && !fields.has_problem("ids") {
                let detail = "say which: `filter`, which may be empty, or `ids`";
                fields.problem("filter", "required", detail);
            }
            BulkChoice::Ids(Vec::new())
        }
    };
    Ok(BulkRequest { action, options, choice, asked })
}

fn options(fields: &mut Fields, action: BulkAction) -> Result<BulkOptions, Error> {
    let usual = BulkOptions::default();
    let mut inner = Fields::new(fields.object("options").map_or(Value::Null, Value::Object));
    let options = BulkOptions {
        from: inner.text("from"),
        version: version(&mut inner).unwrap_or(match action {
            BulkAction::Migrate => crate::app::redo::VersionWish::Latest,
            _ => usual.version, // A retry follows the run's own version, a restart the active one.
        }),
        compensate: inner.flag("compensate").unwrap_or(usual.compensate),
        workflow: inner.text("workflow"),
        per_second: inner
            .number("perSecond", 1..=u64::from(u32::MAX))
            .map_or(usual.per_second, |number| number as u32),
    };
    inner.end().map_err(|error| below("/options", error))?;
    Ok(options)
}

fn choice(
    action: BulkAction,
    filter: Map<String, Value>,
    now: Timestamp,
) -> Result<BulkChoice, Error> {
    let mut inner = Fields::new(Value::Object(filter));
    let choice = match action.subject() {
        BulkSubject::Runs => BulkChoice::Runs(runs(&mut inner, now)?),
        BulkSubject::Events => BulkChoice::Events(EventFilter {
            kind: inner.text("type").map(|text| Pattern::restore(&text)),
            source: inner.text("source"),
            subject: inner.text("subject"),
            since: inner.time_or_ago("since", now),
            until: inner.time_or_ago("until", now),
            matched: inner.flag("matched"),
            text: inner.text("q"),
        }),
    };
    inner.end().map_err(|error| below("/filter", error))?;
    Ok(choice)
}

/// Reads which runs are meant: fields, a typed search, or both.
fn runs(fields: &mut Fields, now: Timestamp) -> Result<RunFilter, Error> {
    let statuses = statuses(fields);
    let named = statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(",");
    let since = fields.time_or_ago("since", now);
    let until = fields.time_or_ago("until", now);
    let mut texts: Vec<(&str, Option<String>)> = Vec::new();
    for name in FIELDS.into_iter().chain(["q"]) {
        let value = match name {
            "status" => Some(named.clone()),
            "since" => since.map(|at| at.to_string()),
            "until" => until.map(|at| at.to_string()),
            name => fields.text(name),
        };
        texts.push((name, value));
    }
    let words = RunWords::of(&|name| texts.iter().find(|it| it.0 == name)?.1.clone());
    words.filter(now).map_err(|problems| below("/filter", Error::Invalid(problems)))
}

/// Reads one status, several with commas, or a list of them.
fn statuses(fields: &mut Fields) -> Vec<Status> {
    let words: Vec<String> = match fields.value("status") {
        None => Vec::new(),
        Some(Value::String(text)) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().unwrap_or_default().to_owned()).collect()
        }
        Some(_) => vec![String::new()],
    };
    let mut found = Vec::new();
    for word in words {
        match Status::parse(&word) {
            Some(status) => found.push(status),
            None => {
                let known = Status::ALL.map(Status::as_str).join(", ");
                let detail = format!("`{word}` is no status; it must be one of {known}");
                fields.problem("status", "invalid_value", detail);
            }
        }
    }
    found
}

/// Moves the places of problems below a field.
fn below(base: &str, error: Error) -> Error {
    let Error::Invalid(problems) = error else { return error };
    let moved = problems.into_iter().map(|problem| {
        let pointer = format!("{base}{}", problem.pointer);
        Problem { pointer, ..problem }
    });
    Error::Invalid(moved.collect())
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.bulk_jobs(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.bulk_job(&who, &id)?))
}

async fn pause(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.change_bulk(&who, &id, BulkWish::Pause).await?))
}

async fn resume(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.change_bulk(&who, &id, BulkWish::Resume).await?))
}

async fn cancel(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.change_bulk(&who, &id, BulkWish::Cancel).await?))
}
