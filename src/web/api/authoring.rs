//! What helps to write workflows: fields of events, versions compared, test cases, templates.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::beside::beside;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use crate::app::App;
use crate::app::definitions::{Publish, Saved};
use crate::app::pulse::{Plight, PulseFilter};
use crate::app::templates::{template, templates};

const FROM: Param = Param::number("from", "The version before; the one that events start.");
const TO: Param = Param::number("to", "The version after; the newest.");

/// What helps to write workflows.
pub static GROUP: Group = Group {
    tag: "authoring",
    about: "What helps to write workflows: fields of events, versions, test cases, templates.",
    routes: &[
        Route::get("/v1/event-types/recent", || web::to(choices))
            .named("event_types_recent", "Lists event types with how many came in seven days.")
            .scope("events:read")
            .answers(200, "EventChoices"),
        Route::get("/v1/event-types/{type}/fields", || web::to(fields))
            .named("event_types_fields", "Tells what events of a type hold, with examples.")
            .scope("events:read")
            .answers(200, "EventFields"),
        Route::get("/v1/workflow-pulse", || web::to(pulse))
            .named("workflows_pulse", "Lists workflows with how they did in the last day.")
            .scope("workflows:read")
            .query(&[
                Param::flag("active", "Only those that are, or are not, active."),
                Param::text("trigger", "Only `event`, `schedule`, `lasting` or `manual` ones."),
                Param::text("only", "Only `failing`, `never` or `draft` ones."),
                Param::text("q", "A text in the name, the title or the event type."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "WorkflowPulsePage"),
        Route::get("/v1/workflows/{name}/versions/records", || web::to(records))
            .named("workflows_version_records", "Tells how the versions of a workflow fared.")
            .scope("workflows:read")
            .answers(200, "VersionRecords"),
        Route::get("/v1/workflows/{name}/diff", || web::to(diff))
            .named("workflows_diff", "Tells how two versions of a workflow differ.")
            .scope("workflows:read")
            .query(&[FROM, TO])
            .answers(200, "VersionDiff"),
        Route::post("/v1/workflows/{name}/restore", || web::to(restore))
            .named("workflows_restore", "Saves an old version again, as the newest.")
            .scope("workflows:write")
            .body("RestoreRequest")
            .answers(200, "Workflow"),
        Route::post("/v1/workflows/{name}/duplicate", || web::to(duplicate))
            .named("workflows_duplicate", "Saves a workflow under another name, as a draft.")
            .scope("workflows:write")
            .body("NameRequest")
            .answers(201, "Workflow"),
        Route::post("/v1/workflows/{name}/cases", || web::to(add_case))
            .named("workflows_add_case", "Keeps a test case with a workflow, in a draft.")
            .scope("workflows:write")
            .body("CaseRequest")
            .answers(201, "Workflow"),
        Route::delete("/v1/workflows/{name}/cases/{case}", || web::to(remove_case))
            .named("workflows_remove_case", "Removes a test case of a workflow, in a draft.")
            .scope("workflows:write")
            .answers(200, "Workflow"),
        Route::get("/v1/workflow-templates", || web::to(list_templates))
            .named("templates_list", "Lists the workflows to begin with.")
            .scope("workflows:read")
            .answers(200, "TemplatePage"),
        Route::get("/v1/workflow-templates/{id}", || web::to(show_template))
            .named("templates_get", "Returns a workflow to begin with.")
            .scope("workflows:read")
            .answers(200, "Template"),
        Route::post("/v1/workflow-templates/{id}/use", || web::to(use_template))
            .named("templates_use", "Makes a workflow of a template, as a draft.")
            .scope("workflows:write")
            .body("NameRequest")
            .answers(201, "Workflow"),
    ],
    schemas: &[
        (
            "EventChoices",
            r#"{"type":"object","properties":{"data":{"type":"array","items":{"type":"object",
                "properties":{"type":{"type":"string"},"name":{"type":"string"},
                "description":{"type":"string"},"source":{"type":"string"},
                "recent":{"type":"integer","description":"In seven days, at most 1,000."}}}}}}"#,
        ),
        (
            "EventFields",
            r#"{"type":"object","properties":{"type":{"type":"string"},"name":{"type":"string"},
                "description":{"type":"string"},"recent":{"type":"integer"},
                "recentIsMore":{"type":"boolean"},"newestEvent":{"type":["string","null"]},
                "sample":{"description":"The newest payload, else one as it could be."},
                "fields":{"type":"array","items":{"type":"object","properties":{
                    "path":{"type":"string"},"types":{"type":"array","items":{"type":"string"}},
                    "description":{"type":"string"},"examples":{"type":"array"},
                    "seen":{"type":"integer","description":"In how many of the last 50 events."},
                    "declared":{"type":"boolean"}}}}}}"#,
        ),
        (
            "WorkflowPulsePage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"allOf":[{"$ref":"#/components/schemas/Workflow"},
                    {"type":"object","properties":{"newestVersion":{"type":"integer"},
                    "hasDraft":{"type":"boolean"},"runsDay":{"type":"integer"},
                    "succeededDay":{"type":"integer"},"failedDay":{"type":"integer"},
                    "p95Ms":{"type":["integer","null"]},
                    "lastRunAt":{"type":["string","null"]}}}]}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "VersionRecords",
            r#"{"type":"object","properties":{"data":{"type":"array","items":{"type":"object",
                "properties":{"version":{"type":"integer"},"runs":{"type":"integer"},
                "succeeded":{"type":"integer"},"failed":{"type":"integer"},
                "firstRunAt":{"type":["string","null"]},"lastRunAt":{"type":["string","null"]}}}}}}"#,
        ),
        (
            "VersionDiff",
            r#"{"type":"object","properties":{"workflow":{"type":"string"},
                "from":{"type":"integer"},"to":{"type":"integer"},
                "changes":{"type":"array","items":{"type":"object","properties":{
                    "pointer":{"type":"string"},"kind":{"enum":["added","removed","changed"]},
                    "before":{},"after":{}}}},
                "before":{"type":"string","description":"As YAML."},"after":{"type":"string"}}}"#,
        ),
        (
            "RestoreRequest",
            r#"{"type":"object","required":["version"],"properties":{
                "version":{"type":"integer"},
                "draft":{"type":"boolean","description":"Saves without making it active."}}}"#,
        ),
        (
            "NameRequest",
            r#"{"type":"object","properties":{
                "name":{"type":"string","description":"A free one is found without it."}}}"#,
        ),
        (
            "CaseRequest",
            r#"{"type":"object","properties":{
                "case":{"type":"object","description":"As below `tests` in a definition."},
                "eventId":{"type":"string","description":"In place of it: an event that came."}}}"#,
        ),
        (
            "Template",
            r#"{"type":"object","properties":{"id":{"type":"string"},"group":{"type":"string"},
                "title":{"type":"string"},"description":{"type":"string"},
                "needs":{"type":"array","items":{"type":"string"},
                    "description":"The connections that it calls."},
                "definition":{"type":"object"},"source":{"type":"string"}}}"#,
        ),
        (
            "TemplatePage",
            r##"{"type":"object","properties":{"data":{"type":"array",
                "items":{"$ref":"#/components/schemas/Template"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn choices(app: web::Data<App>, Caller(who): Caller) -> Answer {
    let data = beside(move || app.event_choices(&who)).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

async fn fields(app: web::Data<App>, Caller(who): Caller, kind: web::Path<String>) -> Answer {
    let fields = beside(move || app.event_fields(&who, &kind)).await?;
    Ok(HttpResponse::Ok().json(fields))
}

/// Reads which workflows a list holds.
///
/// # Errors
/// Refuses an unknown word of `only`.
pub fn pulse_filter(query: &Query, active: Option<bool>) -> Result<PulseFilter, ApiError> {
    let only = query.text("only").map(|name| {
        let wrong = || ApiError::bad_parameter("only", "must be failing, never or draft");
        Plight::named(name).ok_or_else(wrong)
    });
    Ok(PulseFilter {
        active,
        trigger: query.text("trigger").map(str::to_owned),
        text: query.text("q").map(str::to_owned),
        only: only.transpose()?,
    })
}

async fn pulse(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = pulse_filter(&query, query.flag("active")?)?;
    let asked = query.page()?;
    let page = beside(move || app.workflow_pulses(&who, &filter, &asked)).await?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn records(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    let data = beside(move || app.version_records(&who, &name)).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": data })))
}

async fn diff(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    query: Query,
) -> Answer {
    let (from, to) = (query.number("from")?, query.number("to")?);
    Ok(HttpResponse::Ok().json(app.diff_versions(&who, &name, from, to)?))
}

async fn restore(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let version = fields.number("version", 1..=u64::from(u32::MAX)).map(|it| it as u32);
    let publish = match fields.flag("draft") {
        Some(true) => Publish::Draft,
        Some(false) | None => Publish::Active,
    };
    if version.is_none() && !fields.has_problem("version") {
        fields.missing("version");
    }
    fields.end()?;
    let version = version.expect("a missing version was refused above");
    let saved = app.restore_version(&who, &name, version, publish).await?;
    let (Saved::Created(view) | Saved::Changed(view) | Saved::Same(view)) = saved;
    Ok(HttpResponse::Ok().json(view))
}

async fn duplicate(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let copy = fields.text("name");
    fields.end()?;
    let made = app.duplicate_workflow(&who, &name, copy.as_deref()).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(made))
}

async fn add_case(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let (case, event) = (fields.object("case"), fields.text("eventId"));
    if case.is_some() == event.is_some() && !fields.has_problem("case") {
        fields.problem("case", "required", "give one of `case` and `eventId`");
    }
    fields.end()?;
    let case = match (case, event) {
        (_, Some(event)) => app.case_of_event(&who, &name, &event)?,
        (case, None) => json!(case),
    };
    let saved = app.add_case(&who, &name, case).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(saved))
}

async fn remove_case(
    app: web::Data<App>,
    Caller(who): Caller,
    place: web::Path<(String, String)>,
) -> Answer {
    let (name, case) = place.into_inner();
    Ok(HttpResponse::Ok().json(app.remove_case(&who, &name, &case).await?))
}

async fn list_templates(Caller(_): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "data": templates(), "nextCursor": null })))
}

async fn show_template(Caller(_): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(template(&id)?))
}

async fn use_template(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let name = fields.text("name");
    fields.end()?;
    let made = app.use_template(&who, &id, name.as_deref()).await?;
    Ok(HttpResponse::build(StatusCode::CREATED).json(made))
}
