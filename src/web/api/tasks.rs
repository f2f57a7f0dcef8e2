//! Tasks: what waits for workers, and what workers say of it.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::super::state::Front;
use crate::app::App;
use crate::app::error::Error;
use crate::app::tasks::{Poll, WorkFailure, accepted, failure_class};
use crate::domain::problem::Problem;

/// How long a name of a worker or a code of a failure may be, in letters.
const NAME_CHARS_MAX: usize = 100;
const MESSAGE_CHARS_MAX: usize = 4_000;

/// Tasks.
pub static GROUP: Group = Group {
    tag: "tasks",
    about: "Activities that workers carry out. A worker asks for tasks, holds each for a while \
            that every sign of life extends, and says what came of it. A task whose worker falls \
            silent is given to another, with the same `idempotencyKey` and another token; what the \
            first says afterwards is refused with 409.",
    routes: &[
        Route::post("/v1/tasks/poll", || web::to(poll))
            .named("tasks_poll", "Takes tasks, and waits for the first when there is none.")
            .scope("tasks:write")
            .body("TaskPoll")
            .answers(200, "TakenTasks"),
        Route::post("/v1/tasks/{id}/heartbeat", || web::to(heartbeat))
            .named("tasks_heartbeat", "Keeps a task, and tells whether its run still wants it.")
            .scope("tasks:write")
            .body("TaskHeartbeat")
            .answers(200, "TaskKept"),
        Route::post("/v1/tasks/{id}/complete", || web::to(complete))
            .named("tasks_complete", "Ends a task with its output.")
            .scope("tasks:write")
            .body("TaskCompletion")
            .answers(200, "TaskAccepted"),
        Route::post("/v1/tasks/{id}/fail", || web::to(fail))
            .named("tasks_fail", "Ends a task with a failure.")
            .scope("tasks:write")
            .body("TaskFailure")
            .answers(200, "TaskAccepted"),
        Route::get("/v1/tasks", || web::to(list))
            .named("tasks_list", "Lists the tasks that are not over, of the oldest runs first.")
            .scope("tasks:read")
            .query(&[Param::text("activity", "Only tasks of this activity."), LIMIT, CURSOR])
            .answers(200, "TaskPage"),
        Route::get("/v1/workers", || web::to(workers))
            .named("workers_list", "Lists the workers that were heard of lately, by name.")
            .scope("tasks:read")
            .query(&[Param::number("limit", "Taken for likeness; all are answered.")])
            .answers(200, "WorkerPage"),
    ],
    schemas: &[
        (
            "TaskPoll",
            r#"{"type":"object","required":["activities","worker"],"properties":{
                "activities":{"type":"array","items":{"type":"string"},"minItems":1},
                "worker":{"type":"string","description":"The worker's name."},
                "max":{"type":"integer","minimum":1,"default":1},
                "wait":{"type":["string","number"],"default":"0s",
                    "description":"How long to wait for the first task."},
                "lease":{"type":["string","number"],
                    "description":"How long a task is held after each sign of life."}}}"#,
        ),
        (
            "TakenTasks",
            r#"{"type":"object","required":["data"],"properties":{"data":{"type":"array",
                "items":{"type":"object","required":["id","token","activity","input","attempt",
                "runId","step","idempotencyKey","leaseUntil"],"properties":{
                "id":{"type":"string"},"token":{"type":"string"},"activity":{"type":"string"},
                "version":{"type":"integer"},"work":{"enum":["step","undo"]},"input":{},
                "attempt":{"type":"integer"},"runId":{"type":"string"},
                "workflow":{"type":"string"},"step":{"type":"string"},
                "idempotencyKey":{"type":"string"},
                "leaseUntil":{"type":"string","format":"date-time"},
                "until":{"type":"string","format":"date-time",
                    "description":"When the attempt is given up, whoever works at it."}}}}}}"#,
        ),
        (
            "TaskHeartbeat",
            r#"{"type":"object","required":["token"],"properties":{"token":{"type":"string"},
                "details":{"description":"How far it is; shown in the list of tasks."}}}"#,
        ),
        (
            "TaskKept",
            r#"{"type":"object","required":["leaseUntil","cancelled"],"properties":{
                "leaseUntil":{"type":"string","format":"date-time"},
                "cancelled":{"type":"boolean",
                    "description":"The run no longer wants it: break off, and fail the task."}}}"#,
        ),
        (
            "TaskCompletion",
            r#"{"type":"object","required":["token"],"properties":{"token":{"type":"string"},
                "output":{"description":"Checked against the activity's schema."}}}"#,
        ),
        (
            "TaskFailure",
            r#"{"type":"object","required":["token","code"],"properties":{
                "token":{"type":"string"},"code":{"type":"string"},"message":{"type":"string"},
                "class":{"enum":["retryable","terminal","inDoubt"],"default":"retryable"},
                "retryAfter":{"type":["string","number"]},"details":{}}}"#,
        ),
        (
            "TaskAccepted",
            r#"{"type":"object","required":["accepted"],"properties":{"accepted":{"const":true}}}"#,
        ),
        (
            "Task",
            r#"{"type":"object","required":["id","activity","status","runId","step"],
                "properties":{"id":{"type":"string"},"activity":{"type":"string"},
                "status":{"enum":["queued","taken"]},"work":{"enum":["step","undo"]},
                "runId":{"type":"string"},"workflow":{"type":"string"},"step":{"type":"string"},
                "attempt":{"type":"integer"},"since":{"type":"string"},"until":{"type":"string"},
                "taken":{"type":"integer"},"worker":{"type":["string","null"]},
                "leaseUntil":{"type":["string","null"]},"details":{},
                "cancelled":{"type":"boolean"}}}"#,
        ),
        (
            "TaskPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Task"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "WorkerPage",
            r#"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                "name":{"type":"string"},"activities":{"type":"array","items":{"type":"string"}},
                "lastSeenAt":{"type":"string","format":"date-time"},
                "tasks":{"type":"integer","description":"How many it holds."}}}},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
    ],
    made: &[],
};

async fn poll(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let activities = fields.texts("activities").unwrap_or_default();
    if activities.is_empty() && !fields.has_problem("activities") {
        fields.problem("activities", "required", "name the activities that the worker carries out");
    }
    let worker = fields.required_text("worker");
    if worker.chars().count() > NAME_CHARS_MAX {
        fields.problem("worker", "too_long", format!("has more than {NAME_CHARS_MAX} letters"));
    }
    let most = app.engine().settings().tasks_taken_max as u64;
    let max = fields.number("max", 1..=most).unwrap_or(1);
    let longest = Duration::from_millis(front.settings.wait_ms_max);
    let wait = fields.duration("wait").unwrap_or_default().min(longest);
    let lease = fields.duration("lease");
    if lease.is_some_and(|lease| lease.is_zero()) {
        fields.problem("lease", "out_of_range", "must be more than nothing");
    }
    fields.end()?;
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    let poll = Poll { activities, worker, max, wait, lease };
    let data = app.poll_tasks(&who, poll).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

async fn heartbeat(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let token = fields.required_text("token");
    let details = fields.value("details");
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.heartbeat_task(&who, &id, &token, details).await?))
}

async fn complete(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let token = fields.required_text("token");
    let output = fields.value("output").unwrap_or_default();
    fields.end()?;
    app.complete_task(&who, &id, &token, output).await?;
    Ok(HttpResponse::Ok().json(accepted()))
}

async fn fail(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let token = fields.required_text("token");
    let code = fields.required_text("code");
    let is_code = |letter: char| letter.is_ascii_alphanumeric() || "_-.".contains(letter);
    if code.len() > NAME_CHARS_MAX || !code.chars().all(is_code) {
        let detail = "must be letters, digits, dots, hyphens and underscores";
        fields.problem("code", "not_allowed", detail);
    }
    let message = fields.text("message").unwrap_or_default();
    let message = message.chars().take(MESSAGE_CHARS_MAX).collect();
    let class = fields.text("class").unwrap_or_else(|| "retryable".to_owned());
    let retry_after = fields.duration("retryAfter");
    let details = fields.value("details").unwrap_or_default();
    fields.end()?;
    let class = failure_class(&class).map_err(|problem: Problem| Error::Invalid(vec![problem]))?;
    let failed = WorkFailure { code, message, class, retry_after, details };
    app.fail_task(&who, &id, &token, failed).await?;
    Ok(HttpResponse::Ok().json(accepted()))
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.tasks(&who, query.text("activity"), &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn workers(app: web::Data<App>, Caller(who): Caller, _query: Query) -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "data": app.workers(&who)?, "nextCursor": null })))
}
