//! How the appliance does: what the doctor finds, which alerts are raised, what is logged.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::{Caller, shown_by};
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{Group, LIMIT, Param, Route};
use super::super::state::Front;
use super::super::stream;
use crate::app::App;
use crate::app::doctor::Depth;
use crate::app::watch_settings::{NoticeKind, NoticeSettings};
use crate::domain::alert::AlertKind;
use crate::logs::{Level, LineFilter};

const NOTICE_KINDS: [&str; 3] = ["mail", "slack", "webhook"];
const LINES_SHOWN: usize = 200;
const LINES_SHOWN_MAX: usize = 2_000;

const LINE_PARAMS: &[Param] = &[
    Param::text("level", "The least level: `trace`, `debug`, `info`, `warn` or `error`."),
    Param::text("since", "Not older than this time, or this long ago."),
    Param::text("q", "A text in the message or the fields."),
    Param::text("target", "The part of the program, such as `ergane::engine`."),
    Param::text("run", "Only lines about this run."),
    LIMIT,
];

/// How the appliance does.
pub static GROUP: Group = Group {
    tag: "watch",
    about: "How the appliance does: what its doctor finds, which alerts are raised, what is \
            logged. Whoever does not own the appliance sees what is about the own tenant.",
    routes: &[
        Route::get("/v1/system/doctor", || web::to(doctor))
            .named("system_doctor", "Examines everything that tends to go wrong, with its cure.")
            .scope("system:read")
            .query(&[Param::flag("deep", "Reads every record of the store as well.")])
            .answers(200, "Diagnosis"),
        Route::get("/v1/system/alerts", || web::to(alerts))
            .named("system_alerts", "Lists the alerts that are raised, and the last that were.")
            .scope("system:read")
            .answers(200, "Alerts"),
        Route::get("/v1/system/notices", || web::to(notices))
            .named("system_notices", "Lists where alerts are told.")
            .scope("tenants:write")
            .answers(200, "Notices"),
        Route::put("/v1/system/notices/{name}", || web::to(put_notice))
            .named(
                "system_notices_put",
                "Tells alerts in another place: a connection for mail or Slack, or a webhook.",
            )
            .scope("tenants:write")
            .body("NewNotice")
            .answers(200, "Notice"),
        Route::delete("/v1/system/notices/{name}", || web::to(remove_notice))
            .named("system_notices_remove", "Tells alerts in that place no more.")
            .scope("tenants:write")
            .answers(204, ""),
        Route::post("/v1/system/notices/test", || web::to(test_notices))
            .named("system_notices_test", "Sends a notice at once, and says what came of it.")
            .scope("tenants:write")
            .body("NoticeTest")
            .answers(200, "NoticeResults"),
        Route::get("/v1/system/logs", || web::to(lines))
            .named("system_logs", "Returns the newest log lines that are kept, oldest first.")
            .scope("system:read")
            .query(LINE_PARAMS)
            .answers(200, "LogLines"),
        Route::get("/v1/system/logs/stream", || web::to(follow))
            .named(
                "system_logs_stream",
                "Sends log lines as they are written, as server-sent events.",
            )
            .scope("system:read")
            .query(LINE_PARAMS)
            .answers(200, ""),
        Route::get("/v1/system/log-level", || web::to(level))
            .named("system_log_level", "Says what is logged at present.")
            .scope("tenants:write")
            .answers(200, "LogLevel"),
        Route::put("/v1/system/log-level", || web::to(set_level))
            .named(
                "system_log_level_set",
                "Changes what is logged, for a time or until the next start.",
            )
            .scope("tenants:write")
            .body("NewLogLevel")
            .answers(200, "LogLevel"),
    ],
    schemas: &[
        (
            "Diagnosis",
            r#"{"type":"object","required":["status","data"],"properties":{
                "status":{"enum":["ok","warn","fail"],"description":"The worst of it."},
                "data":{"type":"array","items":{"type":"object",
                    "required":["check","status","detail","cure"],"properties":{
                    "check":{"type":"string"},"status":{"enum":["ok","warn","fail"]},
                    "tenant":{"type":"string"},"detail":{"type":"string"},
                    "cure":{"type":["string","null"]}}}}}}"#,
        ),
        (
            "LogLines",
            r#"{"type":"object","required":["data"],"properties":{
                "data":{"type":"array","items":{"type":"object",
                    "required":["number","time","level","target","message"],"properties":{
                    "number":{"type":"integer"},"time":{"type":"string","format":"date-time"},
                    "level":{"enum":["trace","debug","info","warn","error"]},
                    "target":{"type":"string"},"message":{"type":"string"},
                    "tenant":{"type":"string"},"run":{"type":"string"},"step":{"type":"string"},
                    "requestId":{"type":"string"},"fields":{"type":"object"}}}},
                "dropped":{"type":"integer","description":"Lines that no stream took in time."},
                "nextCursor":{"type":["string","null"]}}}"#,
        ),
        (
            "LogLevel",
            r#"{"type":"object","properties":{"level":{"type":"string"},
                "configured":{"type":"string"},
                "until":{"type":["string","null"],"format":"date-time"}}}"#,
        ),
        (
            "NewLogLevel",
            r#"{"type":"object","required":["level"],"properties":{
                "level":{"type":"string","examples":["debug","info,ergane::engine=debug"]},
                "for":{"description":"How long, such as `10m`; at most a day."}}}"#,
        ),
        (
            "NoticeTest",
            r#"{"type":"object","properties":{"name":{"type":"string",
                "description":"Only this destination."}}}"#,
        ),
        (
            "NoticeResults",
            r#"{"type":"object","required":["data"],"properties":{
                "data":{"type":"array","items":{"type":"object","properties":{
                    "name":{"type":"string"},"ok":{"type":"boolean"},
                    "detail":{"type":"string"}}}}}}"#,
        ),
    ],
    made: &[
        ("Alerts", alerts_schema),
        ("Notice", notice_schema),
        ("Notices", notices_schema),
        ("NewNotice", new_notice_schema),
    ],
};

fn kinds() -> Vec<&'static str> {
    AlertKind::ALL.iter().map(|kind| kind.word()).collect()
}

fn alerts_schema() -> Value {
    let time = json!({ "type": ["string", "null"], "format": "date-time" });
    let alert = json!({ "type": "object", "properties": {
        "id": { "type": "string" },
        "kind": { "enum": kinds() },
        "tenant": { "type": ["string", "null"] },
        "subject": { "type": "string" },
        "detail": { "type": "string" },
        "cure": { "type": ["string", "null"] },
        "raisedAt": time,
        "resolvedAt": time,
        "told": { "type": "boolean", "description": "False for what comes again and again." },
        "toldAt": time,
    } });
    json!({ "type": "object", "required": ["data", "recent"], "properties": {
        "data": { "type": "array", "items": alert, "description": "Raised, the newest first." },
        "recent": { "type": "array", "items": alert, "description": "Over, the last first." },
        "noticesWaiting": { "type": "integer" },
    } })
}

fn notice_schema() -> Value {
    json!({ "type": "object", "properties": {
        "name": { "type": "string" },
        "kind": { "enum": NOTICE_KINDS },
        "to": { "type": "string" },
        "alerts": { "type": "array", "items": { "enum": kinds() } },
    } })
}

fn notices_schema() -> Value {
    json!({ "type": "object", "required": ["data"], "properties": {
        "data": { "type": "array", "items": notice_schema() },
        "nextCursor": { "type": ["string", "null"] },
    } })
}

fn new_notice_schema() -> Value {
    let text = |about: &str| json!({ "type": "string", "description": about });
    json!({ "type": "object", "required": ["kind"], "properties": {
        "kind": { "enum": NOTICE_KINDS },
        "to": text("The mail addresses, with commas."),
        "channel": text("The channel in Slack."),
        "url": text("The address of a webhook; it is not signed."),
        "tenant": text("The tenant of the connection; the first one without it."),
        "connection": text("The connection that mail or Slack goes over."),
        "alerts": { "type": "array", "items": { "enum": kinds() },
            "description": "Only these; all of them without it." },
    } })
}

async fn doctor(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let depth = match query.flag("deep")? {
        Some(true) => Depth::Deep,
        Some(false) | None => Depth::Shallow,
    };
    Ok(HttpResponse::Ok().json(app.doctor(&who, depth).await?))
}

async fn alerts(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.alerts(&who)?))
}

async fn notices(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({ "data": app.notices(&who)?, "nextCursor": null })))
}

async fn put_notice(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let kind = fields.required_text("kind");
    let kind = match kind.as_str() {
        "mail" => NoticeKind::Mail,
        "slack" => NoticeKind::Slack,
        "webhook" => NoticeKind::Webhook,
        _ => {
            if !fields.has_problem("kind") {
                fields.problem("kind", "not_listed", "must be `mail`, `slack` or `webhook`");
            }
            NoticeKind::Webhook
        }
    };
    let mut text = |name: &'static str| fields.text(name).unwrap_or_default();
    let (to, channel, url) = (text("to"), text("channel"), text("url"));
    let (tenant, connection) = (text("tenant"), text("connection"));
    let words = fields.texts("alerts").unwrap_or_default();
    let known = |word: &String| AlertKind::ALL.into_iter().find(|kind| kind.word() == word);
    if let Some(unknown) = words.iter().find(|word| known(word).is_none()) {
        let detail = format!("there is no alert `{unknown}`");
        fields.problem("alerts", "not_listed", detail);
    }
    let alerts = words.iter().filter_map(known).collect();
    fields.end()?;
    let (name, more) = (name.into_inner(), NoticeSettings::default());
    let notice =
        NoticeSettings { name, kind, to, channel, url, tenant, connection, alerts, ..more };
    Ok(HttpResponse::Ok().json(app.put_notice(&who, notice).await?))
}

async fn remove_notice(
    app: web::Data<App>,
    Caller(who): Caller,
    name: web::Path<String>,
) -> Answer {
    app.remove_notice(&who, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn test_notices(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let name = fields.text("name");
    fields.end()?;
    let results = app.test_notices(&who, name.as_deref()).await?;
    Ok(HttpResponse::Ok().json(json!({ "data": results })))
}

/// Reads which lines are asked for.
///
/// # Errors
/// Refuses a level that is none.
pub fn line_filter(query: &Query) -> Result<LineFilter, ApiError> {
    let text = |name: &str| query.text(name).map(str::to_owned);
    let level = match query.text("level") {
        None => None,
        Some(name) => Some(Level::named(name).ok_or_else(|| {
            let detail = "must be `trace`, `debug`, `info`, `warn` or `error`";
            ApiError::bad_parameter("level", detail)
        })?),
    };
    Ok(LineFilter {
        level,
        since: query.time("since")?,
        text: text("q"),
        target: text("target"),
        run: text("run"),
        tenant: None,
    })
}

async fn lines(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(LINES_SHOWN).min(LINES_SHOWN_MAX);
    let lines = app.log_lines(&who, line_filter(&query)?, limit)?;
    let lines: Vec<Value> = lines.iter().map(|line| json!(**line)).collect();
    let dropped = crate::logs::book().dropped();
    Ok(HttpResponse::Ok().json(json!({ "data": lines, "dropped": dropped, "nextCursor": null })))
}

async fn follow(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    (request, query): (HttpRequest, Query),
) -> Answer {
    let after = match stream::last_event_id(&request) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            let detail = "must be the id of a message that this stream sent";
            ApiError::bad_parameter("Last-Event-ID", detail)
        })?),
    };
    let open = front.streams.enter(who.tenant, front.settings.streams_max)?;
    let lines = app.log_stream(&who, line_filter(&query)?, after)?;
    Ok(stream::of_log(lines, (open, shown_by(&request)), &front.settings))
}

async fn level(app: web::Data<App>, Caller(who): Caller) -> Answer {
    let state = app.log_level(&who)?;
    Ok(HttpResponse::Ok().json(shown(&state)))
}

async fn set_level(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let level = fields.required_text("level");
    let lasting: Option<Duration> = fields.duration("for");
    fields.end()?;
    let state = app.set_log_level(&who, &level, lasting).await?;
    Ok(HttpResponse::Ok().json(shown(&state)))
}

fn shown(state: &crate::logs::LevelState) -> Value {
    json!({ "level": state.level, "configured": state.configured, "until": state.until })
}
