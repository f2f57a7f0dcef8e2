//! Tenants that leave with everything, arrive, and go for good.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt as _;
use futures_util::stream::unfold;

use super::super::auth::Caller;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, JSON, Param, Route};
use super::super::state::Front;
use crate::app::App;
use crate::app::error::Error;
use crate::app::moving::{
    Export, Farewell, Import, ImportOptions, KeptSecrets, MovedKeys, Rehearsal,
};
use crate::domain::secret::Secret;

const PASSPHRASE: &str = "x-passphrase";
const EXPORT: &str = "application/octet-stream";
/// The longest time for which the runs of a tenant are undone before it is removed.
const UNDO_MAX: Duration = Duration::from_secs(24 * 60 * 60);
const SECRETS_HEADER: &[Param] =
    &[Param::text("X-Passphrase", "What the secrets in the file are sealed with, in UTF-8.")];

/// Moves of tenants.
pub static GROUP: Group = Group {
    tag: "moving",
    about: "A tenant leaves with everything that it has, arrives in another appliance with the same \
            ids, or is removed for good; for the owner of the appliance alone.",
    routes: &[
        Route::get("/v1/tenants/{slug}/export", || web::to(export))
            .named(
                "tenants_export",
                "Writes everything of a tenant as it is at this moment into one file.",
            )
            .scope("tenants:write")
            .query(&[Param::text("secrets", "`none` leaves secrets out.")])
            .headers(SECRETS_HEADER)
            .media(JSON, EXPORT)
            .answers(200, "TenantExport"),
        Route::post("/v1/tenants/import", || web::to(import))
            .named(
                "tenants_import",
                "Reads an export into a tenant that is suspended until somebody resumes it.",
            )
            .scope("tenants:write")
            .query(&[
                Param::text("as", "The name that the tenant gets; its own without it."),
                Param::flag("dryRun", "Only checks the file."),
                Param::text("keys", "`new` gives every API key another text."),
            ])
            .headers(SECRETS_HEADER)
            .media(EXPORT, JSON)
            .body("TenantExport")
            .answers(201, "TenantImport"),
        Route::delete("/v1/tenants/{slug}", || web::to(remove))
            .named(
                "tenants_delete",
                "Removes a tenant: its keys end at once, all that it kept goes in the background.",
            )
            .scope("tenants:write")
            .query(&[
                Param::text("confirm", "The name of the tenant once more."),
                Param::text("undo", "For how long its runs are undone before, such as `10m`."),
            ])
            .answers(202, "TenantRemoval"),
        Route::get("/v1/system/removals", || web::to(removals))
            .named("tenants_removals", "Lists the removals that go on.")
            .scope("tenants:write")
            .answers(200, "TenantRemovals"),
    ],
    schemas: &[
        ("TenantExport", r#"{"type":"string","format":"binary"}"#),
        (
            "TenantImport",
            r#"{"type":"object","properties":{
                "slug":{"type":"string"},"name":{"type":"string"},
                "state":{"enum":["suspended","checked"]},
                "exportedAt":{"type":"string","format":"date-time"},
                "rows":{"type":"object","additionalProperties":{"type":"integer"}},
                "people":{"type":"integer"},"keys":{"type":"integer"},
                "missing":{"type":"array","items":{"type":"object","properties":{
                    "kind":{"enum":["secret","connection","webhook","person"]},
                    "name":{"type":"string"}}}},
                "newKeys":{"type":"array","items":{"type":"object","properties":{
                    "id":{"type":"string"},"name":{"type":"string"},"key":{"type":"string"}}}}}}"#,
        ),
        (
            "TenantRemoval",
            r#"{"type":"object","properties":{"slug":{"type":"string"},
                "state":{"enum":["undoing","removing"]},
                "since":{"type":"string","format":"date-time"},
                "rowsRemoved":{"type":"integer"}}}"#,
        ),
        (
            "TenantRemovals",
            r##"{"type":"object","properties":{"data":{"type":"array",
                "items":{"$ref":"#/components/schemas/TenantRemoval"}}}}"##,
        ),
    ],
    made: &[],
};

async fn export(
    app: web::Data<App>,
    Caller(who): Caller,
    slug: web::Path<String>,
    query: Query,
    request: HttpRequest,
) -> Answer {
    let passphrase = passphrase(request.headers())?;
    let secrets = KeptSecrets::asked_for(passphrase.as_deref(), query.text("secrets"))?;
    Ok(sent(app.export_tenant(&who, &slug, secrets).await?))
}

/// Answers with an export as a file.
pub fn sent(export: Export) -> HttpResponse {
    let name = format!("attachment; filename=\"{}\"", export.file_name);
    let pieces = unfold(export.pieces, async |mut pieces| {
        // An error cuts the file off, and one without an end is never taken for a whole one.
        let piece = pieces.recv().await?.map_err(actix_web::error::ErrorInternalServerError);
        Some((piece, pieces))
    });
    HttpResponse::Ok()
        .content_type(EXPORT)
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(Box::pin(pieces))
}

async fn import(
    app: web::Data<App>,
    front: web::Data<Front>,
    Caller(who): Caller,
    query: Query,
    request: HttpRequest,
    body: web::Payload,
) -> Answer {
    let options = ImportOptions {
        slug: query.text("as").map(str::to_owned),
        passphrase: passphrase(request.headers())?.map(Secret::new),
        rehearsal: match query.flag("dryRun")? {
            Some(true) => Rehearsal::Dry,
            Some(false) | None => Rehearsal::Real,
        },
        keys: match query.text("keys") {
            None => MovedKeys::Same,
            Some("new") => MovedKeys::New,
            Some(_) => return Err(ApiError::bad_parameter("keys", "must be `new`")),
        },
    };
    let import = take(app.begin_import(&who, options)?, &front, body).await?;
    let view = import.finish().await?;
    let status = if view.state == "checked" { StatusCode::OK } else { StatusCode::CREATED };
    Ok(HttpResponse::build(status).json(view))
}

/// Reads the body as fast as it can be written, however large it is.
async fn take(
    mut import: Import,
    front: &Front,
    mut body: web::Payload,
) -> Result<Import, ApiError> {
    let (limit, patience) = (front.settings.import_bytes_max, front.settings.body_limits().timeout);
    let mut size = 0_u64;
    loop {
        let piece = match tokio::time::timeout(patience, body.next()).await {
            Ok(Some(Ok(piece))) => piece,
            Ok(None) => return Ok(import),
            Ok(Some(Err(fault))) => {
                let detail = format!("the body broke off: {fault}");
                return Err(ApiError::new(StatusCode::BAD_REQUEST, "bad_body", detail));
            }
            Err(_) => {
                let detail = format!("nothing came for {} ms", patience.as_millis());
                return Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail));
            }
        };
        size += piece.len() as u64;
        if size > limit {
            return Err(Error::TooLarge { what: "an export", size, limit }.into());
        }
        import.take(&piece).await?;
    }
}

async fn remove(
    app: web::Data<App>,
    Caller(who): Caller,
    slug: web::Path<String>,
    query: Query,
) -> Answer {
    let farewell = match query.duration("undo", UNDO_MAX)? {
        Some(longest) => Farewell::Undo(longest),
        None => Farewell::Stop,
    };
    let removal = app.remove_tenant(&who, &slug, query.text("confirm"), farewell).await?;
    Ok(HttpResponse::Accepted().json(removal))
}

async fn removals(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(serde_json::json!({ "data": app.removals(&who)? })))
}

fn passphrase(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(value) = headers.get(PASSPHRASE) else { return Ok(None) };
    let text = std::str::from_utf8(value.as_bytes());
    let text = text.map_err(|_| ApiError::bad_parameter("X-Passphrase", "must be UTF-8"))?;
    Ok(Some(text.to_owned()))
}
