//! What the nouns of the desk have in common: list, make, show, change by merge, remove.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::etag;
use super::super::fields::kind_of;
use super::super::query::Query;
use super::super::route::{CURSOR, LIMIT, Param};
use crate::app::App;
use crate::app::desk::{Record, tag_of};
use crate::domain::desk::RecordKind;
use crate::domain::problem::Problem;

/// What a plain list of records reads.
pub const SEARCHED: &[Param] =
    &[Param::text("q", "Only records with this text in some field."), LIMIT, CURSOR];

/// Makes the handler that lists records of `kind`.
pub fn list(kind: RecordKind) -> actix_web::Route {
    web::to(move |app: web::Data<App>, Caller(who): Caller, query: Query| async move {
        let page = app.records(&who, kind, query.text("q"), &query.page()?)?;
        Answer::Ok(HttpResponse::Ok().json(query.seal(page)))
    })
}

/// Makes the handler that makes a record of `kind`.
pub fn create(kind: RecordKind) -> actix_web::Route {
    web::to(move |app: web::Data<App>, Caller(who): Caller, body: Json| async move {
        let record = app.create_record(&who, kind, object(body)?).await?;
        Answer::Ok(created(&place_of(kind), &record))
    })
}

/// Makes the handler that shows a record of `kind`.
pub fn show(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>,
              Caller(who): Caller,
              id: web::Path<String>,
              request: HttpRequest| async move {
            let record = app.record(&who, kind, &id)?;
            if etag::is_known(&request, &tag_of(&record)) {
                let tag = (header::ETAG, tag_of(&record));
                return Answer::Ok(HttpResponse::NotModified().insert_header(tag).finish());
            }
            Ok(shown(StatusCode::OK, &record))
        },
    )
}

/// Makes the handler that changes a record of `kind`.
pub fn update(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>,
              Caller(who): Caller,
              (id, request): (web::Path<String>, HttpRequest),
              body: Json| async move {
            let condition = etag::precondition(&request);
            let patch = object(body)?;
            let record = app.update_record(&who, (kind, &id), patch, condition).await?;
            Answer::Ok(shown(StatusCode::OK, &record))
        },
    )
}

/// Makes the handler that removes a record of `kind`.
pub fn remove(kind: RecordKind) -> actix_web::Route {
    web::to(
        move |app: web::Data<App>,
              Caller(who): Caller,
              id: web::Path<String>,
              request: HttpRequest| async move {
            let condition = etag::precondition(&request);
            app.remove_record(&who, (kind, &id), condition).await?;
            Answer::Ok(HttpResponse::NoContent().finish())
        },
    )
}

/// Takes a body that must be an object.
///
/// # Errors
/// Refuses anything else with 422.
pub fn object(Json(body): Json) -> Result<Record, ApiError> {
    match body {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Record::new()),
        other => {
            let detail = format!("must be an object, not {}", kind_of(&other));
            Err(ApiError::invalid(vec![Problem::new("", "wrong_type", detail)]))
        }
    }
}

/// Answers with a record and its tag.
#[must_use]
pub fn shown(status: StatusCode, record: &Record) -> HttpResponse {
    HttpResponse::build(status).insert_header((header::ETAG, tag_of(record))).json(record)
}

/// Answers with a record that was just made, its tag and its place.
#[must_use]
pub fn created(place: &str, record: &Record) -> HttpResponse {
    let mut answer = shown(StatusCode::CREATED, record);
    let id = record.get("id").and_then(Value::as_str).unwrap_or_default();
    if let Ok(value) = HeaderValue::from_str(&format!("{place}/{id}")) {
        answer.headers_mut().insert(header::LOCATION, value);
    }
    answer
}

/// Answers a list that has no further pages.
#[must_use]
pub fn whole(data: Vec<Record>) -> HttpResponse {
    HttpResponse::Ok().json(json!({"data": data, "nextCursor": null}))
}

/// Returns the path under which records of `kind` are found.
#[must_use]
pub fn place_of(kind: RecordKind) -> String {
    let name = kind.name();
    let ending = match name.strip_suffix('y') {
        Some(stem) => return format!("/v1/{stem}ies"),
        None if name.ends_with("us") => "es",
        None => "s",
    };
    format!("/v1/{name}{ending}")
}

/// Describes one page of a list of `schema`.
#[must_use]
pub fn page_schema(schema: &str) -> Value {
    json!({"type": "object", "required": ["data", "nextCursor"], "properties": {
        "data": {"type": "array", "items": {"$ref": format!("#/components/schemas/{schema}")}},
        "nextCursor": {"type": ["string", "null"]},
    }})
}
