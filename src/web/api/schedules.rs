//! Schedules: when workflows start by themselves, and a look ahead.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, PAGED, Param, Route};
use crate::app::App;
use crate::app::schedules::{PreviewRequest, ScheduleChange, ScheduleName, of_cron};

const TRIGGER: &[Param] = &[Param::number(
    "trigger",
    "The position of the trigger, from 0; needed when the workflow has several schedules.",
)];
const COUNT_MAX: u64 = 100;
const COUNT: u64 = 10;

/// Schedules.
pub static GROUP: Group = Group {
    tag: "schedules",
    about: "When workflows start by themselves. A fixed time that clocks leap over comes at the \
            first instant after the gap, and one that comes twice comes the first time only; an \
            expression with `*` or a step in the minute or the hour follows real time.",
    routes: &[
        Route::get("/v1/schedules", || web::to(list))
            .named("schedules_list", "Lists schedules with what comes next and what was missed.")
            .scope("schedules:read")
            .query(PAGED)
            .answers(200, "SchedulePage"),
        Route::get("/v1/schedules/{workflow}", || web::to(show))
            .named("schedules_get", "Returns the schedule of a workflow.")
            .scope("schedules:read")
            .query(TRIGGER)
            .answers(200, "Schedule"),
        Route::post("/v1/schedules/{workflow}/run", || web::to(run))
            .named("schedules_run", "Starts a run of a schedule at once, beside its times.")
            .scope("schedules:write")
            .query(TRIGGER)
            .answers(202, "Run"),
        Route::post("/v1/schedules/{workflow}/pause", || web::to(pause))
            .named("schedules_pause", "Lets a schedule fire no more until it is resumed.")
            .scope("schedules:write")
            .query(TRIGGER)
            .answers(200, "Schedule"),
        Route::post("/v1/schedules/{workflow}/resume", || web::to(resume))
            .named("schedules_resume", "Lets a schedule go on with its next time.")
            .scope("schedules:write")
            .query(TRIGGER)
            .answers(200, "Schedule"),
        Route::post("/v1/schedules/{workflow}/skip-next", || web::to(skip_next))
            .named("schedules_skip_next", "Leaves out the next time of a schedule.")
            .scope("schedules:write")
            .query(TRIGGER)
            .answers(200, "Schedule"),
        Route::get("/v1/agenda", || web::to(agenda))
            .named("schedules_agenda", "Tells when schedules fire in the next 24 hours.")
            .scope("schedules:read")
            .answers(200, "Agenda"),
        Route::post("/v1/cron/preview", || web::to(preview))
            .named("cron_preview", "Tells the next times of a schedule that need not be saved.")
            .scope("schedules:read")
            .body("CronPreviewRequest")
            .answers(200, "CronPreview"),
    ],
    schemas: &[
        (
            "Agenda",
            r#"{"type":"object","properties":{"from":{"type":"string","format":"date-time"},
                "quarters":{"type":"array","items":{"type":"integer"},
                "description":"How many fire in each quarter of an hour from then on."},
                "firings":{"type":"integer"},"schedules":{"type":"integer"},
                "piles":{"type":"array","items":{"type":"object","properties":{
                    "at":{"type":"string","format":"date-time"},
                    "workflows":{"type":"array","items":{"type":"string"}}}},
                "description":"The minutes in which several fire, the fullest first."}}}"#,
        ),
        ("Schedule", include_str!("schemas/schedule.json")),
        (
            "SchedulePage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Schedule"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "ScheduleTime",
            r#"{"type":"object","required":["at","local"],"properties":{
                "at":{"type":"string","format":"date-time","description":"In UTC."},
                "local":{"type":"string","description":"What the zone's clocks show."},
                "firesAt":{"type":"string","format":"date-time","description":"With the jitter."},
                "note":{"type":"string","description":"What a change of the clocks does."}}}"#,
        ),
        (
            "CronPreviewRequest",
            r#"{"type":"object","properties":{
                "cron":{"type":"string","description":"Five fields, or six with the second first."},
                "timezone":{"type":"string","description":"An IANA name such as Europe/Berlin."},
                "schedule":{"type":"object","description":"Any form of a schedule, instead of cron and timezone."},
                "workflow":{"type":"string","description":"By its name the jitter is chosen."},
                "from":{"type":"string","format":"date-time"},
                "count":{"type":"integer","minimum":1,"maximum":100,"default":10}}}"#,
        ),
        (
            "CronPreview",
            r##"{"type":"object","required":["description","data"],"properties":{
                "description":{"type":"string","description":"In words."},
                "timezone":{"type":"string"},
                "rule":{"type":"string","description":"How it goes over changes of the clocks."},
                "data":{"type":"array","items":{"$ref":"#/components/schemas/ScheduleTime"}}}}"##,
        ),
    ],
    made: &[],
};

fn named(workflow: &str, query: &Query) -> Result<ScheduleName, ApiError> {
    let wrong = || ApiError::bad_parameter("trigger", "must be a whole number from 0");
    let trigger = query.text("trigger").map(|text| text.parse().map_err(|_| wrong()));
    Ok(ScheduleName { workflow: workflow.to_owned(), trigger: trigger.transpose()? })
}

async fn agenda(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.agenda(&who)?))
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.schedules(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn show(
    app: web::Data<App>,
    Caller(who): Caller,
    workflow: web::Path<String>,
    query: Query,
) -> Answer {
    Ok(HttpResponse::Ok().json(app.schedule(&who, &named(&workflow, &query)?)?))
}

async fn run(
    app: web::Data<App>,
    Caller(who): Caller,
    workflow: web::Path<String>,
    query: Query,
) -> Answer {
    let run = app.run_schedule(&who, &named(&workflow, &query)?).await?;
    Ok(HttpResponse::Accepted().json(run))
}

async fn pause(
    app: web::Data<App>,
    Caller(who): Caller,
    workflow: web::Path<String>,
    query: Query,
) -> Answer {
    let name = named(&workflow, &query)?;
    Ok(HttpResponse::Ok().json(app.change_schedule(&who, &name, ScheduleChange::Pause).await?))
}

async fn resume(
    app: web::Data<App>,
    Caller(who): Caller,
    workflow: web::Path<String>,
    query: Query,
) -> Answer {
    let name = named(&workflow, &query)?;
    Ok(HttpResponse::Ok().json(app.change_schedule(&who, &name, ScheduleChange::Resume).await?))
}

async fn skip_next(
    app: web::Data<App>,
    Caller(who): Caller,
    workflow: web::Path<String>,
    query: Query,
) -> Answer {
    let name = named(&workflow, &query)?;
    Ok(HttpResponse::Ok().json(app.change_schedule(&who, &name, ScheduleChange::SkipNext).await?))
}

async fn preview(app: web::Data<App>, Caller(_): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let (cron, timezone) = (fields.text("cron"), fields.text("timezone"));
    let schedule = fields.value("schedule");
    let from = fields.time("from");
    let count = fields.number("count", 1..=COUNT_MAX).unwrap_or(COUNT);
    let workflow = fields.text("workflow");
    let given = match (cron, schedule) {
        (Some(cron), None) => Some((of_cron(&cron, timezone.as_deref()), "")),
        (None, Some(schedule)) if timezone.is_none() => Some((schedule, "/schedule")),
        _ => None, // None of them, or both.
    };
    if given.is_none() && !fields.has_problem("cron") {
        let detail = "give `cron` and `timezone`, or `schedule` with both within it";
        fields.problem("cron", "required", detail);
    }
    fields.end()?;
    let (schedule, at) = given.expect("what is missing was refused above");
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let request = PreviewRequest { schedule, at, from, count, workflow };
    Ok(HttpResponse::Ok().json(app.preview_schedule(&request)?))
}
