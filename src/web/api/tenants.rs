//! Tenants: the organisations that share the appliance and nothing else.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;

/// Tenants.
pub static GROUP: Group = Group {
    tag: "tenants",
    about: "Organisations, each in its own walled space; for the owner alone.",
    routes: &[
        Route::get("/v1/tenants", || web::to(list))
            .named("tenants_list", "Lists the tenants.")
            .scope("tenants:read")
            .query(PAGED)
            .answers(200, "TenantPage"),
        Route::post("/v1/tenants", || web::to(create))
            .named("tenants_create", "Makes a tenant.")
            .scope("tenants:write")
            .body("NewTenant")
            .answers(201, "Tenant"),
    ],
    schemas: &[
        (
            "NewTenant",
            r#"{"type":"object","required":["slug"],"properties":{
                "slug":{"type":"string","pattern":"^[a-z0-9][a-z0-9-]*$"},
                "name":{"type":"string"}}}"#,
        ),
        (
            "Tenant",
            r#"{"type":"object","properties":{"id":{"type":"integer"},"slug":{"type":"string"},
                "name":{"type":"string"},"createdAt":{"type":"string","format":"date-time"}}}"#,
        ),
        (
            "TenantPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Tenant"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.tenants(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let slug = fields.required_text("slug");
    let name = fields.text("name").unwrap_or_else(|| slug.clone());
    fields.end()?;
    Ok(HttpResponse::Created().json(app.create_tenant(&who, &slug, &name).await?))
}
