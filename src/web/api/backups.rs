//! Backups and the pause after a restore, for the owner of the appliance.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use crate::app::App;
use crate::app::error::Error;
use crate::app::restored::Resumed;
use crate::domain::id::RunId;

/// How many bytes of a download are read at once.
const PIECE_BYTES: usize = 64 * 1_024;

/// Backups.
pub static GROUP: Group = Group {
    tag: "backups",
    about: "Everything at one moment in one file, taken while the server works and checked before \
            it gets its name; for the owner of the appliance alone. The key of the secrets is not \
            in it.",
    routes: &[
        Route::get("/v1/system/backups", || web::to(list))
            .named("backups_list", "Lists the backups and tells how they fare.")
            .scope("tenants:write")
            .answers(200, "BackupList"),
        Route::post("/v1/system/backups", || web::to(create))
            .named("backups_create", "Begins to take a backup; it goes on in the background.")
            .scope("tenants:write")
            .answers(202, "BackupJob"),
        Route::get("/v1/system/backups/{name}", || web::to(download))
            .named("backups_download", "Sends a backup as a file.")
            .scope("tenants:write"),
        Route::delete("/v1/system/backups/{name}", || web::to(remove))
            .named("backups_delete", "Removes a backup.")
            .scope("tenants:write")
            .answers(204, ""),
        Route::post("/v1/system/backups/{name}/verify", || web::to(verify))
            .named("backups_verify", "Reads a backup whole and says whether it is sound.")
            .scope("tenants:write")
            .answers(200, "Backup"),
        Route::post("/v1/system/resume", || web::to(resume))
            .named("system_resume", "Lets a restored appliance go on, or one tenant or run of it.")
            .scope("tenants:write")
            .body("Resume")
            .answers(200, "Pause"),
    ],
    schemas: &[
        (
            "Backup",
            r#"{"type":"object","required":["name","bytes"],"properties":{
                "name":{"type":"string","examples":["ergane-20261123T100000Z.backup"]},
                "bytes":{"type":"integer"},
                "manifest":{"type":["object","null"],"description":"What it says of itself.",
                    "properties":{"takenAt":{"type":"string","format":"date-time"},
                    "takenBy":{"type":"string"},"format":{"type":"integer"},
                    "writtenBy":{"type":"string"},"parts":{"type":"integer"},
                    "partsAtFirst":{"type":"integer"},
                    "keyIds":{"type":"array","items":{"type":"string"}},
                    "ends":{"type":"array","items":{"type":"object"}},
                    "tables":{"type":"array","items":{"type":"object"}},
                    "audit":{"type":"array","items":{"type":"object"}},
                    "rows":{"type":"integer"},"rowBytes":{"type":"integer"},
                    "fileBytes":{"type":"integer"},"sha256":{"type":"string"}}},
                "fault":{"type":["string","null"],"description":"Why it cannot be used."},
                "verifiedAt":{"type":["string","null"],"format":"date-time"}}}"#,
        ),
        (
            "BackupJob",
            r#"{"type":"object","required":["name","state"],"properties":{
                "name":{"type":"string"},"state":{"enum":["running","completed","failed"]},
                "startedAt":{"type":"string","format":"date-time"},
                "bytes":{"type":"integer"},"bytesExpected":{"type":"integer"},
                "reason":{"type":["string","null"]}}}"#,
        ),
        (
            "BackupList",
            r##"{"type":"object","required":["data","state"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Backup"}},
                "state":{"type":"object","properties":{"directory":{"type":"string"},
                    "schedule":{"type":["string","null"]},
                    "nextAt":{"type":["string","null"],"format":"date-time"},
                    "lastSuccessAt":{"type":["string","null"],"format":"date-time"},
                    "lastBytes":{"type":["integer","null"]},
                    "lastFailure":{"type":["object","null"],"properties":{
                        "at":{"type":"string","format":"date-time"},
                        "reason":{"type":"string"}}},
                    "job":{"anyOf":[{"$ref":"#/components/schemas/BackupJob"},{"type":"null"}]},
                    "isOverdue":{"type":"boolean"},"pointInTime":{"type":"boolean"},
                    "logFault":{"type":["string","null"]}}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "Pause",
            r#"{"type":"object","properties":{"paused":{"type":["object","null"],
                "description":"What is still paused.","properties":{
                "since":{"type":"string","format":"date-time"},
                "shows":{"type":"string","format":"date-time"},"reason":{"type":"string"},
                "tenants":{"type":"array","items":{"type":"string"}},
                "runs":{"type":"array","items":{"type":"string"}}}}}}"#,
        ),
        (
            "Resume",
            r#"{"type":"object","properties":{
                "tenant":{"type":"string","description":"This tenant alone."},
                "run":{"type":"string","description":"This run alone."}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.list_backups(&who)?))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Accepted().json(app.start_backup(&who).await?))
}

async fn verify(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.verify_backup(&who, &name).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    app.remove_backup(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Sends a backup, piece by piece.
pub async fn download(app: web::Data<App>, Caller(who): Caller, name: web::Path<String>) -> Answer {
    let (path, bytes) = app.download_backup(&who, &name).await?;
    let file = File::open(&path)
        .await
        .map_err(|error| Error::Internal(format!("cannot read {}: {error}", path.display())))?;
    let pieces = stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        // What is packed already is not packed again on its way.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .no_chunking(bytes)
        .streaming(Box::pin(pieces)))
}

async fn resume(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let tenant = fields.text("tenant");
    let run = fields.text("run");
    let run: Option<RunId> = match run.as_deref().map(str::parse) {
        None => None,
        Some(Ok(run)) => Some(run),
        Some(Err(_)) => {
            fields.problem("run", "invalid_id", "is no id of a run");
            None
        }
    };
    if tenant.is_some() && run.is_some() {
        fields.problem("run", "conflict", "cannot be given together with a tenant");
    }
    fields.end()?;
    let resumed = match (tenant, run) {
        (_, Some(run)) => Resumed::Run(run),
        (Some(tenant), None) => Resumed::Tenant(tenant),
        (None, None) => Resumed::Everything,
    };
    let paused = app.resume(&who, resumed).await?;
    Ok(HttpResponse::Ok().json(json!({ "paused": paused })))
}
