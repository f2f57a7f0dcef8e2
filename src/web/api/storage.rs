//! How much of the disk everything takes, and the compaction of the store's file.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use crate::app::App;

/// Disk use.
pub static GROUP: Group = Group {
    tag: "storage",
    about: "How much of the disk everything takes, measured by a slow walk beside the serving.",
    routes: &[
        Route::get("/v1/system/storage", || web::to(show))
            .named("system_storage", "Shows what was measured last: of the tenant, or of all.")
            .scope("system:read")
            .answers(200, "Storage"),
        Route::post("/v1/system/storage/measure", || web::to(measure))
            .named("system_measure", "Measures anew, and answers when it is done.")
            .scope("tenants:write")
            .answers(200, "Storage"),
        Route::post("/v1/system/compact", || web::to(compact))
            .named("system_compact", "Writes the store's file anew while it serves.")
            .scope("tenants:write")
            .answers(200, "Compaction"),
    ],
    schemas: &[
        (
            "Storage",
            r##"{"type":"object","properties":{
                "measuredAt":{"type":["string","null"],"format":"date-time"},
                "tookMs":{"type":["integer","null"]},
                "file":{"type":["object","null"],"description":"For the owner of the appliance.",
                    "properties":{"bytes":{"type":"integer"},"rowBytes":{"type":"integer"},
                    "freeBytes":{"type":"integer","description":"What compaction would free."},
                    "freePercent":{"type":"integer"},"diskFreeBytes":{"type":["integer","null"]},
                    "growthBytesPerDay":{"type":["integer","null"]},
                    "daysUntilFull":{"type":["integer","null"]},
                    "spaces":{"type":"array","items":{"type":"object","properties":{
                        "space":{"type":"string"},"rows":{"type":"integer"},
                        "bytes":{"type":"integer"}}}},
                    "lastCompaction":{"oneOf":[{"$ref":"#/components/schemas/Compaction"},
                        {"type":"null"}]}}},
                "tenants":{"type":"array","items":{"type":"object","properties":{
                    "tenant":{"type":"string"},"rows":{"type":"integer"},
                    "bytes":{"type":"integer"},"kinds":{"type":"array","items":{"type":"object",
                    "properties":{"kind":{"type":"string"},"rows":{"type":"integer"},
                    "bytes":{"type":"integer"}}}}}}},
                "findings":{"type":"array","items":{"type":"object","properties":{
                    "code":{"type":"string"},"detail":{"type":"string"},
                    "cure":{"type":"string"}}}}}}"##,
        ),
        (
            "Compaction",
            r#"{"type":"object","properties":{"startedAt":{"type":"string","format":"date-time"},
                "bytesBefore":{"type":"integer"},"bytesAfter":{"type":"integer"},
                "rows":{"type":"integer"},"tookMs":{"type":"integer"},
                "pauseUs":{"type":"integer",
                    "description":"The longest time that commits stood still."}}}"#,
        ),
    ],
    made: &[],
};

async fn show(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.storage(&who)?))
}

async fn measure(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    app.measure_storage().await?;
    Ok(HttpResponse::Ok().json(app.storage(&who)?))
}

async fn compact(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.compact_store(&who).await?))
}
