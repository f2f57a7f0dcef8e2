//! The organization: the tenant itself.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::etag;
use super::super::route::{Group, Route};
use super::records::{object, shown};
use crate::app::App;
use crate::domain::desk::{RecordKind, output_schema, update_schema};

/// The organization.
pub static GROUP: Group = Group {
    tag: "organization",
    about: "The tenant itself, as its workflows see it.",
    routes: &[
        Route::get("/v1/organization", || web::to(show))
            .named("organization_get", "Returns the organization.")
            .scope("organization:read")
            .answers(200, "Organization"),
        Route::patch("/v1/organization", || web::to(update))
            .named("organization_update", "Changes the fields that are given; null clears one.")
            .scope("organization:write")
            .body("OrganizationPatch")
            .answers(200, "Organization"),
    ],
    schemas: &[],
    made: &[
        ("Organization", || output_schema(RecordKind::Organization)),
        ("OrganizationPatch", || update_schema(RecordKind::Organization)),
    ],
};

async fn show(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(shown(StatusCode::OK, &app.organization(&who)?))
}

async fn update(
    app: web::Data<App>,
    Caller(who): Caller,
    request: HttpRequest,
    body: Json,
) -> Answer {
    let condition = etag::precondition(&request);
    let organization = app.update_organization(&who, object(body)?, condition).await?;
    Ok(shown(StatusCode::OK, &organization))
}
