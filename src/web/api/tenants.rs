//! Tenants: the organisations that share the appliance and nothing else.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;
use crate::app::tenants::Rest;
use crate::domain::problem::Problem;

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
        Route::get("/v1/tenants/{slug}", || web::to(show))
            .named("tenants_get", "Returns a tenant with how much it has.")
            .scope("tenants:read")
            .answers(200, "Tenant"),
        Route::patch("/v1/tenants/{slug}", || web::to(name))
            .named("tenants_name", "Changes what people call a tenant.")
            .scope("tenants:write")
            .body("TenantName")
            .answers(200, "Tenant"),
        Route::post("/v1/tenants/{slug}/suspend", || web::to(suspend))
            .named(
                "tenants_suspend",
                "Suspends a tenant: it takes no new work, its runs rest, its deadlines wait.",
            )
            .scope("tenants:write")
            .answers(200, "Tenant"),
        Route::post("/v1/tenants/{slug}/resume", || web::to(resume))
            .named("tenants_resume", "Lets a suspended tenant go on exactly where it was.")
            .scope("tenants:write")
            .answers(200, "Tenant"),
        Route::get("/v1/tenants/{slug}/quotas", || web::to(quotas))
            .named("tenants_quotas", "Lists the quotas of a tenant with their use.")
            .scope("tenants:read")
            .answers(200, "Usage"),
        Route::put("/v1/tenants/{slug}/quotas", || web::to(set_quotas))
            .named("tenants_set_quotas", "Sets quotas of one tenant; null takes one back.")
            .scope("tenants:write")
            .body("QuotaChange")
            .answers(200, "Usage"),
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
                "name":{"type":"string"},"createdAt":{"type":"string","format":"date-time"},
                "suspendedAt":{"type":"string","format":"date-time"},
                "people":{"type":"integer"},"keys":{"type":"integer"},
                "workflows":{"type":"integer"},"activeRuns":{"type":"integer"},
                "waitingRuns":{"type":"integer"},"events":{"type":"integer"},
                "runs":{"type":"integer"},"first":{"type":"boolean",
                "description":"Whether the appliance itself lives in it."},
                "storedBytes":{"type":"integer","description":"An estimate, without indexes."}}}"#,
        ),
        (
            "TenantName",
            r#"{"type":"object","required":["name"],"properties":{"name":{"type":"string"}}}"#,
        ),
        (
            "QuotaChange",
            r#"{"type":"object","additionalProperties":{"type":["integer","null"],"minimum":0,
                "description":"By the name of the quota; 0 for any amount, null for the default."}}"#,
        ),
        (
            "Usage",
            r#"{"type":"object","required":["tenant","data"],"properties":{
                "tenant":{"type":"string"},
                "suspendedAt":{"type":["string","null"],"format":"date-time"},
                "data":{"type":"array","items":{"type":"object","properties":{
                    "name":{"type":"string"},"unit":{"type":"string"},
                    "limit":{"type":["integer","null"],"description":"Null for any amount."},
                    "own":{"type":"boolean","description":"Whether this tenant has its own."},
                    "used":{"type":["integer","null"]},"percent":{"type":["integer","null"]},
                    "resets":{"type":["string","null"],"format":"date-time"}}}}}}"#,
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

async fn show(app: web::Data<App>, Caller(who): Caller, slug: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.tenant_details(&who, &slug)?))
}

async fn name(
    app: web::Data<App>,
    Caller(who): Caller,
    slug: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let name = fields.required_text("name");
    fields.end()?;
    Ok(HttpResponse::Ok().json(app.name_tenant(&who, &slug, &name).await?))
}

async fn suspend(app: web::Data<App>, Caller(who): Caller, slug: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.rest_tenant(&who, &slug, Rest::Suspend).await?))
}

async fn resume(app: web::Data<App>, Caller(who): Caller, slug: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.rest_tenant(&who, &slug, Rest::Resume).await?))
}

async fn quotas(app: web::Data<App>, Caller(who): Caller, slug: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.tenant_quotas(&who, &slug)?))
}

async fn set_quotas(
    app: web::Data<App>,
    Caller(who): Caller,
    slug: web::Path<String>,
    body: Json,
) -> Answer {
    let (mut wanted, mut problems) = (BTreeMap::new(), Vec::new());
    let given = body.0.as_object().cloned().unwrap_or_default();
    for (name, value) in given {
        match (value.is_null(), value.as_u64()) {
            (true, _) => drop(wanted.insert(name, None)),
            (false, Some(limit)) => drop(wanted.insert(name, Some(limit))),
            (false, None) => {
                let detail = "must be a whole number, 0 for any amount, or null for the default";
                problems.push(Problem::new(format!("/{name}"), "invalid_type", detail));
            }
        }
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid(problems));
    }
    Ok(HttpResponse::Ok().json(app.set_quotas(&who, &slug, wanted).await?))
}
