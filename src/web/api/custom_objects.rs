//! Custom objects: records of the kinds that a tenant names itself.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::etag;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use super::records::{self, created, object, shown};
use crate::app::App;
use crate::domain::desk::{RecordKind, output_schema};

/// Custom objects.
pub static GROUP: Group = Group {
    tag: "custom-objects",
    about: "Records of one's own kinds. The first object of a type makes the type; its events are \
            `custom-object:<tenant>:<type>:created`, `…:updated` and `…:deleted`.",
    routes: &[
        Route::get("/v1/custom-objects/{objectType}/records", || web::to(list))
            .named("custom_objects_list", "Lists the objects of a type, oldest first.")
            .scope("custom-objects:read")
            .query(PAGED)
            .answers(200, "CustomObjectPage"),
        Route::post("/v1/custom-objects/{objectType}/records", || web::to(create))
            .named("custom_objects_create", "Makes an object.")
            .scope("custom-objects:write")
            .body("CustomObjectValues")
            .answers(201, "CustomObject"),
        Route::get("/v1/custom-objects/{objectType}/records/{id}", || web::to(show))
            .named("custom_objects_get", "Returns an object.")
            .scope("custom-objects:read")
            .answers(200, "CustomObject"),
        Route::patch("/v1/custom-objects/{objectType}/records/{id}", || web::to(update))
            .named("custom_objects_update", "Changes the values that are given; null removes one.")
            .scope("custom-objects:write")
            .body("CustomObjectValues")
            .answers(200, "CustomObject"),
        Route::delete("/v1/custom-objects/{objectType}/records/{id}", || web::to(remove))
            .named("custom_objects_delete", "Removes an object.")
            .scope("custom-objects:write")
            .answers(204, ""),
    ],
    schemas: &[(
        "CustomObjectValues",
        r#"{"type":"object","properties":{"values":{"type":"object"},
            "metadata":{"type":"object"}}}"#,
    )],
    made: &[
        ("CustomObject", || output_schema(RecordKind::CustomObject)),
        ("CustomObjectPage", || records::page_schema("CustomObject")),
    ],
};

async fn list(
    app: web::Data<App>,
    Caller(who): Caller,
    object_type: web::Path<String>,
    query: Query,
) -> Answer {
    let page = app.custom_objects(&who, &object_type, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(
    app: web::Data<App>,
    Caller(who): Caller,
    object_type: web::Path<String>,
    body: Json,
) -> Answer {
    let record = app.create_custom_object(&who, &object_type, object(body)?).await?;
    Ok(created(&format!("/v1/custom-objects/{object_type}/records"), &record))
}

async fn show(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
) -> Answer {
    let (object_type, id) = path.into_inner();
    Ok(shown(StatusCode::OK, &app.custom_object(&who, &object_type, &id)?))
}

async fn update(
    app: web::Data<App>,
    Caller(who): Caller,
    (path, request): (web::Path<(String, String)>, HttpRequest),
    body: Json,
) -> Answer {
    let (object_type, id) = path.into_inner();
    let condition = etag::precondition(&request);
    let patch = object(body)?;
    let record = app.update_custom_object(&who, (&object_type, &id), patch, condition).await?;
    Ok(shown(StatusCode::OK, &record))
}

async fn remove(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
    request: HttpRequest,
) -> Answer {
    let (object_type, id) = path.into_inner();
    let condition = etag::precondition(&request);
    app.remove_custom_object(&who, (&object_type, &id), condition).await?;
    Ok(HttpResponse::NoContent().finish())
}
