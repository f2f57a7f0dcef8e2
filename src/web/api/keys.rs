//! API keys: made, listed, revoked.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{Group, PAGED, Route};
use crate::app::App;
use crate::app::keys::NewKey;

/// Keys.
pub static GROUP: Group = Group {
    tag: "keys",
    about: "What programs sign in with; the key itself is shown once.",
    routes: &[
        Route::get("/v1/keys", || web::to(list))
            .named("keys_list", "Lists the keys of the tenant.")
            .scope("keys:read")
            .query(PAGED)
            .answers(200, "KeyPage"),
        Route::post("/v1/keys", || web::to(create))
            .named("keys_create", "Makes a key and shows it, this once.")
            .scope("keys:write")
            .body("NewKey")
            .answers(201, "CreatedKey"),
        Route::delete("/v1/keys/{id}", || web::to(revoke))
            .named("keys_revoke", "Revokes a key at once.")
            .scope("keys:write")
            .answers(204, ""),
    ],
    schemas: &[
        (
            "NewKey",
            r#"{"type":"object","required":["name","scopes"],"properties":{
                "name":{"type":"string"},
                "scopes":{"type":"array","items":{"type":"string"},
                    "examples":[["events:write","runs:read"]]},
                "expiresAt":{"type":["string","null"],"format":"date-time"}}}"#,
        ),
        (
            "Key",
            r#"{"type":"object","properties":{"id":{"type":"string"},"name":{"type":"string"},
                "prefix":{"type":"string"},"scopes":{"type":"array","items":{"type":"string"}},
                "createdAt":{"type":"string"},"expiresAt":{"type":["string","null"]},
                "lastUsedAt":{"type":["string","null"]},"createdBy":{"type":["string","null"]}}}"#,
        ),
        (
            "CreatedKey",
            r##"{"allOf":[{"$ref":"#/components/schemas/Key"},
                {"type":"object","required":["id","key"],"properties":{"key":{"type":"string"}}}]}"##,
        ),
        (
            "KeyPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Key"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.keys(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let name = fields.required_text("name");
    let scopes = fields.texts("scopes");
    if scopes.is_none() && !fields.has_problem("scopes") {
        fields.missing("scopes");
    }
    let expires_at = fields.time("expiresAt");
    fields.end()?;
    let wanted = NewKey { name, scopes: scopes.unwrap_or_default(), expires_at };
    let made = app.create_key(&who, wanted).await?;
    let mut answer = json!(made.view);
    answer["key"] = json!(made.key);
    Ok(HttpResponse::Created().json(answer))
}

async fn revoke(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.revoke_key(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
