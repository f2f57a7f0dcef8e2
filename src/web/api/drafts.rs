//! Drafts: definitions that are being written, kept as they are typed.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::{Json, Raw};
use super::super::cloudevents::media_type;
use super::super::error::{Answer, ApiError};
use super::super::etag;
use super::super::route::{Group, Param, Route};
use crate::app::App;
use crate::app::definitions::Publish;
use crate::app::drafts::{DraftLock, DraftText, DraftView};

/// The routes.
pub static GROUP: Group = Group {
    tag: "drafts",
    about: "Definitions that are being written: right or wrong, kept as they are typed.",
    routes: &[
        Route::get("/v1/drafts", || web::to(list))
            .named("drafts_list", "Lists all drafts by name.")
            .scope("workflows:read")
            .answers(200, "DraftList"),
        Route::get("/v1/workflows/{name}/draft", || web::to(show))
            .named("drafts_get", "Returns the draft of a workflow.")
            .scope("workflows:read")
            .answers(200, "Draft"),
        Route::put("/v1/workflows/{name}/draft", || web::to(keep))
            .named("drafts_put", "Keeps a text as the draft, whatever is wrong with it.")
            .scope("workflows:write")
            .headers(&[Param::text("If-Match", "The revision that it follows; 0 for a first one.")])
            .media("application/yaml", "application/json")
            .answers(200, "Draft"),
        Route::delete("/v1/workflows/{name}/draft", || web::to(discard))
            .named("drafts_delete", "Throws the draft away.")
            .scope("workflows:write")
            .answers(204, ""),
        Route::post("/v1/workflows/{name}/draft/publish", || web::to(publish))
            .named("drafts_publish", "Saves the draft as the version that events start.")
            .scope("workflows:write")
            .body("DraftPublish")
            .answers(200, "Workflow"),
        Route::post("/v1/workflows/{name}/references", || web::to(references))
            .named("workflows_references", "Lists what a step can refer to, with samples.")
            .scope("workflows:read")
            .body("ReferencesRequest")
            .answers(200, "References"),
    ],
    schemas: &[
        (
            "Draft",
            r#"{"type":"object","required":["name","text","format","revision"],"properties":{
                "name":{"type":"string"},"text":{"type":"string","description":"As it was typed."},
                "format":{"enum":["yaml","json"]},
                "revision":{"type":"integer","description":"Grows; the entity tag."},
                "baseVersion":{"type":["integer","null"]},"updatedBy":{"type":"string"},
                "updatedAt":{"type":"string","format":"date-time"}}}"#,
        ),
        (
            "DraftList",
            r##"{"type":"object","properties":{"data":{"type":"array",
                "items":{"$ref":"#/components/schemas/Draft"}},"nextCursor":{"type":"null"}}}"##,
        ),
        (
            "DraftPublish",
            r#"{"type":"object","properties":{
                "note":{"type":"string","maxLength":500,"description":"Says why, for the list of versions."},
                "tests":{"enum":["skip"],"description":"Whatever its test cases say."}}}"#,
        ),
        (
            "ReferencesRequest",
            r#"{"type":"object","required":["definition"],"properties":{
                "definition":{"type":"object","description":"As it is written, right or wrong."},
                "step":{"type":"string","description":"The pointer of the step that refers."},
                "event":{"type":"string","description":"The id of the event to take samples of."}}}"#,
        ),
        (
            "References",
            r#"{"type":"object","properties":{
                "event":{"type":["string","null"]},"runs":{"type":"array","items":{"type":"string"}},
                "data":{"type":"array","items":{"type":"object","properties":{
                    "path":{"type":"string"},"type":{"type":"string"},
                    "sample":{},"about":{"type":"string"}}}}}}"#,
        ),
    ],
    made: &[],
};

fn answer(draft: &DraftView) -> HttpResponse {
    let tag = etag::of(draft.revision);
    HttpResponse::Ok().insert_header((header::ETAG, tag)).json(draft)
}

fn lock(request: &HttpRequest) -> DraftLock {
    DraftLock { seen: etag::precondition(request), hand: String::new() }
}

async fn list(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"data": app.drafts(&who)?, "nextCursor": null})))
}

async fn show(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    Ok(answer(&app.draft_of(&who, &name)?))
}

async fn keep(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let text = std::str::from_utf8(&body)
        .map_err(|fault| ApiError::bad_parameter("body", format!("not UTF-8: {fault}")))?;
    let kind = media_type(request.headers());
    let format = if kind.ends_with("json") || kind.is_empty() { "json" } else { "yaml" };
    let kept = app.keep_draft(&who, &name, DraftText::of(text, format), lock(&request)).await?;
    Ok(answer(&kept))
}

async fn discard(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    request: HttpRequest,
) -> Answer {
    app.discard_draft(&who, &name, lock(&request)).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn publish(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    request: HttpRequest,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let (note, tests) = (fields.text("note"), fields.text("tests"));
    if tests.as_deref().is_some_and(|tests| tests != "skip") {
        fields.problem("tests", "unknown_value", "must be `skip`");
    }
    fields.end()?;
    let publish = if tests.is_some() { Publish::Untested } else { Publish::Active };
    let saved = app.publish_draft(&who, &name, lock(&request), note, publish).await?;
    Ok(HttpResponse::Ok().json(saved))
}

async fn references(
    app: web::Data<App>,
    (Caller(who), name): (Caller, web::Path<String>),
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let definition = fields.value("definition");
    if definition.is_none() {
        fields.missing("definition");
    }
    let (step, event) = (fields.text("step"), fields.text("event"));
    fields.end()?;
    let definition = definition.unwrap_or_default();
    let (sample, found) =
        app.references(&who, &name, &definition, step.as_deref(), event.as_deref())?;
    let answer = json!({"event": sample.event, "runs": sample.runs, "data": found});
    Ok(HttpResponse::Ok().json(answer))
}
