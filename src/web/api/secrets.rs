//! Secrets: put, listed by name, removed; nothing gives a value back.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;
use crate::app::secrets::NewSecret;
use crate::domain::secret::Secret;

/// Secrets.
pub static GROUP: Group = Group {
    tag: "secrets",
    about: "Passwords and tokens that steps may send to the hosts that they are bound to; their \
            values are never shown again.",
    routes: &[
        Route::get("/v1/secrets", || web::to(list))
            .named("secrets_list", "Lists the secrets by name, without their values.")
            .scope("secrets:read")
            .query(PAGED)
            .answers(200, "SecretPage"),
        Route::put("/v1/secrets/{name}", || web::to(put))
            .named("secrets_put", "Puts a secret in place or replaces it.")
            .scope("secrets:write")
            .body("NewSecret")
            .answers(200, "Secret"),
        Route::delete("/v1/secrets/{name}", || web::to(remove))
            .named("secrets_remove", "Removes a secret; steps that name it fail from then on.")
            .scope("secrets:write")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "NewSecret",
            r#"{"type":"object","required":["value"],"properties":{
                "value":{"type":"string","writeOnly":true,"minLength":1},
                "hosts":{"type":"array","items":{"type":"string"},
                    "description":"The hosts that it may be sent to; without one it goes nowhere.",
                    "examples":[["api.example.com","*.example.org"]]}}}"#,
        ),
        (
            "Secret",
            r#"{"type":"object","properties":{"name":{"type":"string"},
                "hosts":{"type":"array","items":{"type":"string"}},
                "version":{"type":"integer"},
                "createdAt":{"type":"string","format":"date-time"},
                "updatedAt":{"type":"string","format":"date-time"},
                "updatedBy":{"type":["string","null"]}}}"#,
        ),
        (
            "SecretPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Secret"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.secrets(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn put(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let value = Secret::new(fields.required_text("value"));
    let hosts = fields.texts("hosts").unwrap_or_default();
    fields.end()?;
    let wanted = NewSecret { name: name.into_inner(), value, hosts };
    Ok(HttpResponse::Ok().json(app.put_secret(&who, wanted).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_secret(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
