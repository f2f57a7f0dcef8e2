//! Runs tried again: retried, restarted, moved to another version; with `dryRun`, only planned.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::Param;
use super::runs::run_id;
use crate::app::App;
use crate::app::redo::{Restart, Retry, VersionWish};

/// Plans instead of doing.
pub const DRY_RUN: Param = Param::flag("dryRun", "Says what it would do, and does nothing.");

/// The schemas of what is sent and answered.
pub const RETRY: &str = r#"{"type":"object","properties":{
    "from":{"type":"string","description":"The step to go on from."},
    "version":{"oneOf":[{"type":"integer","minimum":1},{"const":"latest"}],
        "description":"The workflow version to go on with; the run's own without it."},
    "input":{"description":"Replaces the rendered input of that step."}}}"#;
pub const RESTART: &str = r#"{"type":"object","properties":{
    "payload":{"description":"Takes the place of the event's payload; a new event is stored."},
    "version":{"oneOf":[{"type":"integer","minimum":1},{"const":"latest"}],
        "description":"The version to start; the one that events start without it."}}}"#;
pub const MIGRATE: &str = r#"{"type":"object","properties":{
    "version":{"oneOf":[{"type":"integer","minimum":1},{"const":"latest"}],"default":"latest",
        "description":"The version to go on with."}}}"#;

/// Reads `version`: a number, or `latest`.
pub fn version(fields: &mut Fields) -> Option<VersionWish> {
    let value = fields.value("version")?;
    if value == "latest" {
        return Some(VersionWish::Latest);
    }
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    if let Some(number) = number.filter(|number| *number > 0) {
        return Some(VersionWish::Number(number));
    }
    fields.problem("version", "out_of_range", "must be a whole number from 1, or `latest`");
    None
}

/// Goes on with a run that failed or was cancelled.
pub async fn retry(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    query: Query,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let retry = Retry {
        from: fields.text("from"),
        version: version(&mut fields).unwrap_or_default(),
        input: fields.value("input"),
    };
    fields.end()?;
    let id = run_id(&id)?;
    if query.flag("dryRun")? == Some(true) {
        return Ok(HttpResponse::Ok().json(app.plan_retry(&who, id, &retry)?));
    }
    Ok(HttpResponse::Accepted().json(app.retry_run(&who, id, retry).await?))
}

/// Starts a new run with the event of an old one.
pub async fn restart(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    query: Query,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let restart = Restart {
        payload: fields.value("payload"),
        version: version(&mut fields).unwrap_or_default(),
    };
    fields.end()?;
    let id = run_id(&id)?;
    if query.flag("dryRun")? == Some(true) {
        return Ok(HttpResponse::Ok().json(app.plan_restart(&who, id, &restart)?));
    }
    Ok(HttpResponse::Accepted().json(app.restart_run(&who, id, restart).await?))
}

/// Moves a run that goes on to another version.
pub async fn migrate(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    query: Query,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let wish = version(&mut fields).unwrap_or(VersionWish::Latest);
    fields.end()?;
    let id = run_id(&id)?;
    if query.flag("dryRun")? == Some(true) {
        return Ok(HttpResponse::Ok().json(app.plan_migration(&who, id, wish)?));
    }
    Ok(HttpResponse::Accepted().json(app.migrate_run(&who, id, wish).await?))
}
