//! Workflows: checked, saved in versions, switched on and off, started by hand.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::beside::beside;
use super::super::body::{Json, Raw};
use super::super::cloudevents::media_type;
use super::super::error::{Answer, ApiError};
use super::super::etag;
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::super::state::Front;
use super::trials;
use crate::app::App;
use crate::app::backtest::{BacktestRequest, Candidate};
use crate::app::definitions::{Definition, Publish, Saved, Told};
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::app::views::WorkflowView;
use crate::app::workflows::{Activation, RunRequest};
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

const BACKTEST_EVENTS_MAX: u64 = 20_000;
const BACKTEST_SHOWN_MAX: u64 = 500;
const DRAFT: Param = Param::flag("draft", "Saves without making the version active.");
const TESTS: Param = Param::text("tests", "`skip` saves although test cases fail; it is recorded.");
const VERSION: Param = Param::number("version", "This version; the active one without it.");

/// Workflows.
pub static GROUP: Group = Group {
    tag: "workflows",
    about: "Named, versioned definitions, as JSON or YAML, in this product's form or Thena's.",
    routes: &[
        Route::get("/v1/workflows", || web::to(list))
            .named("workflows_list", "Lists workflows by name.")
            .scope("workflows:read")
            .query(&[
                Param::text("event", "Only workflows that listen to this event type."),
                Param::flag("active", "Only those that are, or are not, active."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "WorkflowPage"),
        Route::post("/v1/workflows", || web::to(create))
            .named("workflows_create", "Saves a new workflow; it is active at once.")
            .scope("workflows:write")
            .query(&[DRAFT, TESTS])
            .body("Definition")
            .answers(201, "Workflow"),
        Route::post("/v1/workflows/validate", || web::to(validate))
            .named("workflows_validate", "Checks a definition and saves nothing.")
            .scope("workflows:read")
            .body("Definition")
            .answers(200, "Validation"),
        Route::get("/v1/workflows/{name}", || web::to(show))
            .named("workflows_get", "Returns one workflow, as it is active or in one version.")
            .scope("workflows:read")
            .query(&[VERSION, Param::text("format", "`thena` for Thena's shape, `yaml` for YAML.")])
            .answers(200, "Workflow"),
        Route::put("/v1/workflows/{name}", || web::to(put))
            .named("workflows_put", "Saves a workflow or a new version of it.")
            .scope("workflows:write")
            .query(&[
                DRAFT,
                TESTS,
                Param::flag("dryRun", "Answers the difference and saves nothing."),
            ])
            .body("Definition")
            .answers(200, "Workflow"),
        Route::delete("/v1/workflows/{name}", || web::to(delete))
            .named("workflows_delete", "Removes a workflow; its runs stay readable and go on.")
            .scope("workflows:write")
            .answers(204, ""),
        Route::get("/v1/workflows/{name}/versions", || web::to(versions))
            .named("workflows_versions", "Lists the versions of a workflow, newest first.")
            .scope("workflows:read")
            .answers(200, "WorkflowPage"),
        Route::post("/v1/workflows/{name}/enable", || web::to(enable))
            .named("workflows_enable", "Lets events start the workflow.")
            .scope("workflows:write")
            .query(&[VERSION])
            .answers(200, "Workflow"),
        Route::post("/v1/workflows/{name}/disable", || web::to(disable))
            .named("workflows_disable", "Lets no more events start the workflow.")
            .scope("workflows:write")
            .answers(200, "Workflow"),
        Route::post("/v1/workflows/{name}/run", || web::to(run))
            .named("workflows_run", "Starts a run by hand.")
            .scope("runs:write")
            .body("RunRequest")
            .answers(202, "Run"),
        Route::post("/v1/workflows/{name}/test", || web::to(trials::test))
            .named("workflows_test", "Tries a workflow without any effect.")
            .scope("workflows:read")
            .body("Trial")
            .answers(200, "TrialResult"),
        Route::post("/v1/workflows/{name}/tests", || web::to(trials::tests))
            .named("workflows_tests", "Plays the test cases of a workflow or of a definition.")
            .scope("workflows:read")
            .body("TestsRequest")
            .answers(200, "TestResults"),
        Route::post("/v1/workflows/{name}/backtest", || web::to(backtest))
            .named("workflows_backtest", "Tries a version or a draft of it on recorded events.")
            .scope("workflows:read")
            .body("BacktestRequest")
            .answers(200, "Backtest"),
        Route::post("/v1/workflows/backtest", || web::to(backtest_draft))
            .named("workflows_backtest_draft", "Tries a definition on recorded events.")
            .scope("workflows:read")
            .body("BacktestRequest")
            .answers(200, "Backtest"),
    ],
    schemas: &[
        ("BacktestRequest", include_str!("schemas/backtest_request.json")),
        ("Backtest", include_str!("schemas/backtest.json")),
        ("Definition", include_str!("schemas/definition.json")),
        ("Workflow", include_str!("schemas/workflow.json")),
        (
            "WorkflowPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Workflow"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "Validation",
            r##"{"type":"object","required":["valid","problems"],"properties":{
                "valid":{"type":"boolean"},
                "problems":{"type":"array","items":{"type":"object","properties":{
                    "pointer":{"type":"string"},
                    "code":{"type":"string","description":"Stable; the codes are listed below /docs."},
                    "detail":{"type":"string"},"hint":{"type":"string"},
                    "severity":{"enum":["error","warning"],
                        "description":"Only an error keeps the definition from being saved."}}}},
                "warnings":{"type":"array","items":{"type":"object"},
                    "description":"Those of the problems that are no errors."},
                "definition":{"type":["object","null"],"description":"The canonical form."},
                "rehearsal":{"type":"array","description":"What happens if each step fails.",
                    "items":{"type":"object","properties":{"step":{"type":"string"},
                    "ifFails":{"type":"object","properties":{
                        "undone":{"type":"array","items":{"type":"object","properties":{
                            "step":{"type":"string"},"by":{"enum":["platform","activity"]},
                            "activity":{"type":"string"}}}},
                        "stays":{"type":"array","items":{"type":"object","properties":{
                            "step":{"type":"string"},"why":{"type":"string"}}}},
                        "skipped":{"type":"array","items":{"type":"string"}},
                        "runs":{"type":"array","items":{"type":"string"}},
                        "outcome":{"type":"string"},
                        "told":{"type":"array","items":{"type":"string"}}}}}}}}}"##,
        ),
        ("Trial", include_str!("schemas/trial.json")),
        ("TrialResult", include_str!("schemas/trial_result.json")),
        (
            "TestsRequest",
            r#"{"type":"object","properties":{"version":{"type":"integer"},
                "definition":{"type":"object","description":"In place of a saved version."}}}"#,
        ),
        (
            "TestResults",
            r#"{"type":"object","properties":{"workflow":{"type":"string"},
                "version":{"type":["integer","null"]},"passed":{"type":"integer"},
                "failed":{"type":"integer"},"skipped":{"type":"integer"},
                "data":{"type":"array","items":{"type":"object","properties":{
                    "index":{"type":"integer"},"name":{"type":"string"},
                    "outcome":{"enum":["passed","failed","skipped"]},
                    "status":{"type":["string","null"]},
                    "problems":{"type":"array","items":{"type":"object"}},
                    "misses":{"type":"array","items":{"type":"object","properties":{
                        "pointer":{"type":"string"},"expected":{},"actual":{},
                        "detail":{"type":"string"}}}}}}}}}"#,
        ),
        (
            "RunRequest",
            r#"{"type":"object","properties":{
                "payload":{"description":"The payload of the event that the run begins with."},
                "event":{"description":"An event's id, or `{type, payload, subject}`."},
                "subject":{"type":"string"},
                "version":{"type":"integer"}}}"#,
        ),
    ],
    made: &[],
};

/// Reads a definition, JSON or YAML by its content type.
///
/// # Errors
/// Refuses another content type with 415, malformed text with 400 and keys that stand twice with
/// 422.
pub fn definition(headers: &HeaderMap, body: &[u8]) -> Result<Definition, ApiError> {
    let content_type = media_type(headers);
    let format = match content_type.as_str() {
        "" | "application/json" => Format::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Format::Yaml,
        other if other.ends_with("+json") => Format::Json,
        other if other.ends_with("+yaml") => Format::Yaml,
        other => return Err(unsupported(other)),
    };
    let text = std::str::from_utf8(body).map_err(|fault| {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_text", format!("not UTF-8: {fault}"))
    })?;
    let document = parse_text(text, format, TextLimits::default()).map_err(|problem| {
        let status = match problem.code.as_str() {
            "syntax" | "too_deep" => StatusCode::BAD_REQUEST,
            "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY, // It can be read, and is wrong.
        };
        let code = match (problem.code.as_str(), format) {
            ("syntax", Format::Json) => "invalid_json",
            ("syntax", Format::Yaml) => "invalid_yaml",
            (code, _) => code,
        };
        ApiError::new(status, code, problem.detail.clone()).listing(vec![problem.clone()])
    })?;
    let source = (format == Format::Yaml).then(|| text.to_owned());
    Ok(Definition { document, source })
}

fn unsupported(content_type: &str) -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!(
            "`{content_type}` is not understood here; send application/json or application/yaml"
        ),
    )
}

fn tag_of(workflow: &WorkflowView) -> String {
    etag::of(format!("{}-{}", workflow.version, if workflow.active { "on" } else { "off" }))
}

fn answer(status: StatusCode, workflow: &WorkflowView) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::ETAG, tag_of(workflow))).json(workflow)
}

/// Refuses a change that is meant for another version than the present one.
fn check_tag(
    app: &App,
    who: &Principal,
    name: &str,
    request: &HttpRequest,
) -> Result<(), ApiError> {
    if !request.headers().contains_key(header::IF_MATCH) {
        return Ok(());
    }
    let present = match app.workflow(who, name, None) {
        Ok(workflow) => tag_of(&workflow),
        Err(Error::NotFound { .. }) => etag::of("none"),
        Err(error) => return Err(error.into()),
    };
    Ok(etag::check(request, &present)?)
}

fn publish(query: &Query) -> Result<Publish, ApiError> {
    Ok(match query.flag("draft")? {
        Some(true) => Publish::Draft,
        Some(false) | None => match query.text("tests") {
            None => Publish::Active,
            Some("skip") => Publish::Untested,
            Some(_) => return Err(ApiError::bad_parameter("tests", "must be `skip`")),
        },
    })
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let (event, active) = (query.text("event"), query.flag("active")?);
    let page = app.workflows(&who, event, active, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(
    app: web::Data<App>,
    Caller(who): Caller,
    (request, query): (HttpRequest, Query),
    Raw(body): Raw,
) -> Answer {
    let definition = definition(request.headers(), &body)?;
    let saved = app.create_workflow(&who, definition, publish(&query)?).await?;
    let place = format!("/v1/workflows/{}", saved.name);
    let mut answer = answer(StatusCode::CREATED, &saved);
    if let Ok(value) = header::HeaderValue::from_str(&place) {
        answer.headers_mut().insert(header::LOCATION, value);
    }
    Ok(answer)
}

async fn put(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    (request, query): (HttpRequest, Query),
    Raw(body): Raw,
) -> Answer {
    let definition = definition(request.headers(), &body)?;
    check_tag(&app, &who, &name, &request)?;
    if query.flag("dryRun")? == Some(true) {
        return Ok(HttpResponse::Ok().json(app.plan_workflow(&who, &name, definition)?));
    }
    match app.put_workflow(&who, &name, definition, publish(&query)?).await? {
        Saved::Created(workflow) => Ok(answer(StatusCode::CREATED, &workflow)),
        Saved::Changed(workflow) | Saved::Same(workflow) => Ok(answer(StatusCode::OK, &workflow)),
    }
}

async fn validate(
    app: web::Data<App>,
    Caller(who): Caller,
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let definition = match definition(request.headers(), &body) {
        Ok(definition) => definition,
        Err(refusal) if refusal.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            return Err(refusal);
        }
        Err(refusal) => {
            let problems = Told::all(refusal.problems().to_vec(), Vec::new());
            let verdict = json!({"valid": false, "problems": problems, "warnings": []});
            return Ok(HttpResponse::Ok().json(verdict));
        }
    };
    Ok(HttpResponse::Ok().json(app.validate_workflow(&who, &definition)?))
}

async fn show(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    (request, query): (HttpRequest, Query),
) -> Answer {
    let version = query.number("version")?;
    match query.text("format") {
        None | Some("json") => {}
        Some("thena") => {
            return Ok(HttpResponse::Ok().json(app.export_thena(&who, &name, version)?));
        }
        Some("yaml") => {
            let text = app.export_yaml(&who, &name, version)?;
            return Ok(HttpResponse::Ok().content_type("application/yaml").body(text));
        }
        Some(_) => return Err(ApiError::bad_parameter("format", "must be json, yaml or thena")),
    }
    let workflow = app.workflow(&who, &name, version)?;
    if etag::is_known(&request, &tag_of(&workflow)) {
        return Ok(HttpResponse::NotModified()
            .insert_header((header::ETAG, tag_of(&workflow)))
            .finish());
    }
    Ok(answer(StatusCode::OK, &workflow))
}

async fn delete(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    request: HttpRequest,
) -> Answer {
    check_tag(&app, &who, &name, &request)?;
    app.delete_workflow(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn versions(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    let data = app.workflow_versions(&who, &name)?;
    Ok(HttpResponse::Ok().json(json!({"data": data, "nextCursor": null})))
}

async fn enable(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    query: Query,
) -> Answer {
    let version = query.number("version")?;
    let workflow = app.set_workflow(&who, &name, Activation::On { version }).await?;
    Ok(answer(StatusCode::OK, &workflow))
}

async fn disable(app: web::Data<App>, (Caller(who), name): (Caller, web::Path<String>)) -> Answer {
    let workflow = app.set_workflow(&who, &name, Activation::Off).await?;
    Ok(answer(StatusCode::OK, &workflow))
}

async fn run(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let request = start(&mut fields);
    fields.end()?;
    Ok(HttpResponse::Accepted().json(app.run_workflow(&who, &name, request).await?))
}

pub(super) fn start(fields: &mut Fields) -> RunRequest {
    RunRequest {
        payload: fields.value("payload"),
        event: fields.value("event"),
        subject: fields.text("subject"),
        version: fields.number("version", 1..=u64::from(u32::MAX)).map(|it| it as u32),
    }
}

async fn backtest(
    (app, front): (web::Data<App>, web::Data<Front>),
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let definition = fields.value("definition");
    let version = fields.number("version", 1..=u64::from(u32::MAX)).map(|it| it as u32);
    if definition.is_some() && version.is_some() {
        fields.problem("version", "contradiction", "give `definition` or `version`, not both");
    }
    let candidate = definition.map_or(Candidate::Saved(version), Candidate::Draft);
    let request = backtest_of(Some(name.into_inner()), candidate, &mut fields, (&app, &front));
    fields.end()?;
    let found = beside(move || app.backtest(&who, &request)).await?;
    Ok(HttpResponse::Ok().json(found))
}

async fn backtest_draft(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let definition = fields.value("definition");
    if definition.is_none() {
        fields.missing("definition");
    }
    let draft = Candidate::Draft(definition.unwrap_or_default());
    let request = backtest_of(None, draft, &mut fields, (&app, &front));
    fields.end()?;
    let found = beside(move || app.backtest(&who, &request)).await?;
    Ok(HttpResponse::Ok().json(found))
}

fn backtest_of(
    name: Option<String>,
    candidate: Candidate,
    fields: &mut Fields,
    (app, front): (&App, &Front),
) -> BacktestRequest {
    BacktestRequest {
        name,
        candidate,
        since: fields.time_or_ago("since", app.now()),
        limit: fields.number("limit", 1..=BACKTEST_EVENTS_MAX).unwrap_or(1_000) as usize,
        shown: fields.number("show", 0..=BACKTEST_SHOWN_MAX).unwrap_or(50) as usize,
        time_max: Duration::from_millis(front.settings.backtest_ms_max),
    }
}
