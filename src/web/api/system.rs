//! Whether the server lives and is ready, what it measures and what it offers.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::super::auth::{self, Caller};
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, Param, Route};
use super::super::state::Front;
use super::super::{GROUPS, docs, metrics, openapi};
use crate::app::App;
use crate::app::system::Standing;

/// Health, metrics and descriptions.
pub static GROUP: Group = Group {
    tag: "system",
    about: "Whether the server lives and is ready, what it measures and what it offers.",
    routes: &[
        Route::get("/healthz", || web::to(healthz))
            .named("system_health", "Says that the process answers.")
            .public()
            .answers(200, "Health"),
        Route::get("/readyz", || web::to(readyz))
            .named("system_ready", "Says whether work is taken: the store writes, the engine runs.")
            .public()
            .answers(200, "Health"),
        Route::get("/metrics", || web::to(scrape))
            .named(
                "system_metrics",
                "Writes all metrics as Prometheus text; names of tenants only for who may see them.",
            )
            .public(),
        Route::get("/v1/system/info", || web::to(info))
            .named("system_info", "Says what the appliance is and how the tenant does in it.")
            .scope("system:read")
            .answers(200, "SystemInfo"),
        Route::get("/v1/system/usage", || web::to(usage))
            .named("system_usage", "Lists the quotas of the tenant with their use.")
            .scope("system:read")
            .answers(200, "Usage"),
        Route::get("/v1/system/ai-usage", || web::to(ai_usage))
            .named("system_ai_usage", "Sums tokens and costs of AI steps by day and workflow.")
            .scope("system:read")
            .query(&[
                Param::text("since", "From the day of this time on."),
                Param::text("until", "Up to the day of this time."),
            ])
            .answers(200, "AiUsage"),
        Route::get("/v1/system/secrets", || web::to(seal))
            .named("system_secrets", "Says which key seals the secrets, and where it is kept.")
            .scope("tenants:write")
            .answers(200, "SealState"),
        Route::post("/v1/system/secrets/rotate-key", || web::to(rotate_key))
            .named(
                "system_rotate_key",
                "Makes a new key and seals every secret with it, in the background.",
            )
            .scope("tenants:write")
            .answers(202, "SealState"),
        Route::get("/v1/system/clock", || web::to(clock))
            .named("system_clock", "Says what the clock says, and whether it is believed.")
            .scope("system:read")
            .answers(200, "ClockState"),
        Route::post("/v1/system/clock/accept", || web::to(accept_clock))
            .named("system_clock_accept", "Takes the clock for right: deadlines come by it.")
            .scope("tenants:write")
            .answers(200, "ClockState"),
        Route::get("/v1/openapi.json", || web::to(description))
            .named("system_openapi", "Describes this API as OpenAPI 3.1.")
            .public(),
        Route::get("/docs", || web::to(viewer))
            .named("system_docs", "Shows this description to people, offline.")
            .public(),
        Route::get("/docs/style.css", || web::to(style))
            .named("system_docs_style", "The look of that page.")
            .public(),
    ],
    schemas: &[
        (
            "AiUsage",
            r#"{"type":"object","required":["data","total"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "day":{"type":"string","format":"date"},"workflow":{"type":"string"},
                    "model":{"type":"string"},"calls":{"type":"integer"},
                    "inputTokens":{"type":"integer"},"outputTokens":{"type":"integer"},
                    "cost":{"type":"number"},"currency":{"type":"string"}}}},
                "total":{"type":"object","properties":{"calls":{"type":"integer"},
                    "inputTokens":{"type":"integer"},"outputTokens":{"type":"integer"},
                    "cost":{"type":"object","description":"By currency."}}},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
        (
            "Health",
            r##"{"type":"object","required":["status"],"properties":{
                "status":{"type":"string",
                    "description":"`ok`; `degraded`: part of the work waits, see `reasons`"},
                "reasons":{"type":"array","items":{"$ref":"#/components/schemas/Reason"}},
                "degraded":{"type":"array","items":{"type":"string"},
                    "description":"What works with something old."},
                "version":{"type":"string"}}}"##,
        ),
        (
            "Reason",
            r#"{"type":"object","required":["code","detail","cure","since"],"properties":{
                "code":{"type":"string","description":"What is wrong; stable."},
                "detail":{"type":"string"},"cure":{"type":"string"},
                "since":{"type":"string","format":"date-time"}}}"#,
        ),
        (
            "SystemInfo",
            r##"{"type":"object","properties":{"version":{"type":"string"},
                "status":{"enum":["ready","degraded","unready"]},
                "storeState":{"type":"string"},"storeBytes":{"type":"integer"},
                "diskFreeBytes":{"type":["integer","null"]},
                "reasons":{"type":"array","items":{"$ref":"#/components/schemas/Reason"}},
                "parts":{"type":"integer"},"activeRuns":{"type":"integer"},
                "crashes":{"type":"integer"},"quarantined":{"type":"integer"},
                "paused":{"type":["object","null"],
                    "description":"Why nothing goes on by itself, after a restore."}}}"##,
        ),
        (
            "ClockState",
            r#"{"type":"object","required":["now","state"],"properties":{
                "now":{"type":"string","format":"date-time"},
                "state":{"enum":["trusted","behind","ahead"]},
                "detail":{"type":["string","null"]}}}"#,
        ),
        (
            "SealState",
            r#"{"type":"object","properties":{
                "state":{"enum":["settled","resealing"]},
                "keyId":{"type":"string","description":"Tells keys apart; says nothing of them."},
                "olderKeyIds":{"type":"array","items":{"type":"string"},
                    "description":"Keys that only open what is not sealed anew yet."},
                "keptIn":{"type":"string","description":"The file, or `secret_key`."}}}"#,
        ),
    ],
    made: &[],
};

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}

async fn readyz(app: web::Data<App>, front: web::Data<Front>) -> Answer {
    let Standing { status, reasons } = app.standing();
    if status != "unready" {
        let mut answer = json!({"status": status, "reasons": reasons});
        // What is not as it should be is named without its place.
        let stale = front.certificates.iter().filter(|(_, found)| found.fault().is_some());
        let stale: Vec<_> = stale.map(|(door, _)| format!("{door} certificate")).collect();
        if !stale.is_empty() {
            answer["degraded"] = json!(stale);
        }
        return Ok(HttpResponse::Ok().json(answer));
    }
    let details: Vec<&str> = reasons.iter().map(|reason| reason.detail.as_str()).collect();
    let refusal = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", details.join("; "));
    Err(refusal.with_header(header::RETRY_AFTER, "1").with_member("reasons", json!(reasons)))
}

async fn scrape(
    request: HttpRequest,
    app: web::Data<App>,
    front: web::Data<Front>,
) -> HttpResponse {
    for (door, certificate) in &front.certificates {
        front.metrics.see_certificate(door, certificate);
    }
    let text = metrics::joined(&app.metrics_text(), &front.metrics.text());
    let text = match auth::sees_tenants(&app, &front.settings, &request).await {
        true => text,
        false => metrics::without_names(&text),
    };
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let content_type = match accepted.is_some_and(|it| it.contains("openmetrics-text")) {
        true => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        false => "text/plain; version=0.0.4; charset=utf-8",
    };
    HttpResponse::Ok().content_type(content_type).body(text)
}

async fn info(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.system_info(&who).await?))
}

async fn usage(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.usage(&who)?))
}

async fn ai_usage(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let (data, total) = app.ai_usage(&who, query.time("since")?, query.time("until")?)?;
    Ok(HttpResponse::Ok().json(json!({"data": data, "total": total, "nextCursor": null})))
}

async fn seal(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.seal_state(&who)?))
}

async fn rotate_key(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Accepted().json(app.rotate_seal_key(&who).await?))
}

async fn clock(app: web::Data<App>) -> Answer {
    Ok(HttpResponse::Ok().json(app.clock_state()))
}

async fn accept_clock(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.accept_clock(&who).await?))
}

async fn description(front: web::Data<Front>) -> HttpResponse {
    let make = || openapi::document(GROUPS, &front.settings.base()).to_string().into();
    let text = front.description.get_or_init(make).clone();
    HttpResponse::Ok().content_type("application/json").body(text)
}

/// The page is large and the same until the binary is another, so a browser may keep it and ask
/// whether it still holds.
async fn viewer(request: HttpRequest, front: web::Data<Front>) -> HttpResponse {
    let make = || docs::page(GROUPS, &front.settings.base()).into();
    let page = front.viewer.get_or_init(make).clone();
    let digest = ring::digest::digest(&ring::digest::SHA256, &page);
    let tag = format!("\"{}\"", hex::encode(&digest.as_ref()[..8]));
    let known = request.headers().get("if-none-match").and_then(|value| value.to_str().ok());
    // What was packed came with a weak tag.
    let is_known = known.is_some_and(|known| known.trim_start_matches("W/") == tag);
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    // Also where nothing is sent: a browser takes the headers of that for those of what it has.
    answer.content_type("text/html; charset=utf-8");
    answer.insert_header(("cache-control", "private, no-cache")).insert_header(("etag", tag));
    if is_known { answer.finish() } else { answer.body(page) }
}

async fn style() -> HttpResponse {
    let text = include_str!("../../../templates/docs.css");
    HttpResponse::Ok().content_type("text/css; charset=utf-8").body(text)
}
