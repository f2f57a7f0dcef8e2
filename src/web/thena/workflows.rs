//! Workflows: listed, shown, made, changed, removed, switched.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::Value;

use super::super::api::workflows::definition;
use super::super::auth::Caller;
use super::super::body::Raw;
use super::super::error::{Answer, ApiError};
use super::super::fields::kind_of;
use super::super::query::Query;
use super::paging::Paging;
use crate::app::App;
use crate::app::principal::Principal;
use crate::app::thena::ThenaFilter;
use crate::domain::problem::Problem;

const TYPES: [&str; 2] = ["MANUAL", "WORKFLOW"];
const SUB_TYPES: [&str; 2] = ["WORKFLOW", "AI_AGENT"];

pub(super) async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    Ok(HttpResponse::Ok().json(listed(&app, &who, &query)?))
}

/// Returns a page of workflows.
pub(super) fn listed(app: &App, who: &Principal, query: &Query) -> Result<Value, ApiError> {
    let paging = Paging::of(query)?;
    let filter = ThenaFilter {
        team_id: query.text("teamId").map(str::to_owned),
        kind: query.text("type").map(|kind| one_of("type", kind, &TYPES)).transpose()?,
        sub_types: query
            .list("subTypes")
            .into_iter()
            .map(|it| one_of("subTypes", it, &SUB_TYPES))
            .collect::<Result<_, _>>()?,
    };
    let (data, more) = paging.cut(app.thena_workflows(who, &filter)?);
    Ok(paging.envelope(data, more))
}

fn one_of(name: &str, given: &str, known: &[&str]) -> Result<String, ApiError> {
    if known.contains(&given) {
        return Ok(given.to_owned());
    }
    let detail = format!("`{given}` is none of {}", known.join(", "));
    Err(ApiError::bad_parameter(name, detail))
}

pub(super) async fn create(
    app: web::Data<App>,
    Caller(who): Caller,
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let definition = definition(request.headers(), &body)?;
    Ok(HttpResponse::Created().json(app.create_thena_workflow(&who, definition).await?))
}

pub(super) async fn show(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    query: Query,
) -> Answer {
    Ok(HttpResponse::Ok().json(app.thena_workflow(&who, &id, query.number("version")?)?))
}

pub(super) async fn update(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
    request: HttpRequest,
    Raw(body): Raw,
) -> Answer {
    let fields = match definition(request.headers(), &body)?.document {
        Value::Object(fields) => fields,
        other => {
            let detail = format!("must be an object, not {}", kind_of(&other));
            return Err(ApiError::invalid(vec![Problem::new("", "wrong_type", detail)]));
        }
    };
    Ok(HttpResponse::Ok().json(app.update_thena_workflow(&who, &id, fields).await?))
}

pub(super) async fn delete(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
) -> Answer {
    Ok(HttpResponse::Ok().json(app.delete_thena_workflow(&who, &id).await?))
}

pub(super) async fn toggle(
    app: web::Data<App>,
    (Caller(who), id): (Caller, web::Path<String>),
) -> Answer {
    Ok(HttpResponse::Ok().json(app.toggle_thena_workflow(&who, &id).await?))
}
