//! The audit: who changed what, and whether the record of it is whole.

use std::future::ready;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::unfold;

use super::super::auth::Caller;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, JSON, LIMIT, Param, Route};
use crate::app::App;
use crate::app::audit::AuditFilter;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;

const NDJSON: &str = "application/x-ndjson";
/// How many records an export reads at once.
const EXPORTED_AT_ONCE: usize = 200;
const ACTOR: Param = Param::text("actor", "The id or the name of who made the change.");
const ACTION: Param =
    Param::text("action", "What was done: `workflow.save`, or `workflow` for all.");
const TARGET: Param = Param::text("target", "What it was done to.");
const SINCE: Param = Param::text("since", "Not earlier than a time, or than a span ago: `24h`.");
const FILTERS: &[Param] = &[ACTOR, ACTION, TARGET, SINCE];

/// The audit.
pub static GROUP: Group = Group {
    tag: "audit",
    about: "Who changed what, when and from where: a chain of records that shows every gap.",
    routes: &[
        Route::get("/v1/audit", || web::to(list))
            .named("audit_list", "Lists what was changed, newest first.")
            .scope("audit:read")
            .query(&[ACTOR, ACTION, TARGET, SINCE, LIMIT, CURSOR])
            .answers(200, "AuditPage"),
        Route::get("/v1/audit/export", || web::to(export))
            .named("audit_export", "Writes every record, newest first, one in a line.")
            .scope("audit:read")
            .query(FILTERS)
            .media(JSON, NDJSON)
            .answers(200, "AuditRecord"),
        Route::get("/v1/audit/verify", || web::to(verify))
            .named("audit_verify", "Checks that no record was changed, moved, added or taken out.")
            .scope("audit:read")
            .answers(200, "AuditCheck"),
    ],
    schemas: &[
        (
            "AuditRecord",
            r#"{"type":"object","properties":{"id":{"type":"string"},
                "at":{"type":"string","format":"date-time"},
                "actor":{"type":"object","properties":{
                    "kind":{"enum":["person","key","commandLine","program"]},
                    "id":{"type":"string"},"name":{"type":"string"}}},
                "action":{"type":"string"},"target":{"type":"string"},
                "before":{},"after":{},
                "from":{"type":"object","properties":{"address":{"type":["string","null"]},
                    "requestId":{"type":["string","null"]}}},
                "hash":{"type":"string"},"previousHash":{"type":"string"}}}"#,
        ),
        (
            "AuditPage",
            r##"{"type":"object","properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/AuditRecord"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "AuditCheck",
            r#"{"type":"object","properties":{"valid":{"type":"boolean"},
                "count":{"type":"integer"},
                "firstBroken":{"type":["object","null"],"properties":{
                    "id":{"type":"string"},"reason":{"type":"string"}}},
                "heads":{"type":"object","properties":{
                    "access":{"type":"string"},"work":{"type":"string"}}}}}"#,
        ),
    ],
    made: &[],
};

fn filter_of(query: &Query) -> Result<AuditFilter, ApiError> {
    let text = |name| query.text(name).map(str::to_owned);
    Ok(AuditFilter {
        actor: text("actor"),
        action: text("action"),
        target: text("target"),
        since: query.time("since")?,
    })
}

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.audit(&who, &filter_of(&query)?, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn export(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let filter = filter_of(&query)?;
    let first = Some(PageRequest { limit: EXPORTED_AT_ONCE, after: None });
    let lines = unfold(first, move |wanted| {
        let piece = wanted.map(|page| piece(&app, &who, &filter, &page));
        ready(piece)
    });
    Ok(HttpResponse::Ok()
        .content_type(NDJSON)
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"audit.ndjson\""))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(lines))
}

type Piece = (Result<Bytes, actix_web::Error>, Option<PageRequest>);

/// Writes some records as lines; an error cuts the file off.
fn piece(app: &App, who: &Principal, filter: &AuditFilter, page: &PageRequest) -> Piece {
    let found = match app.audit(who, filter, page) {
        Ok(found) => found,
        Err(error) => return (Err(actix_web::error::ErrorInternalServerError(error)), None),
    };
    let mut text = String::new();
    for record in &found.data {
        text.push_str(&serde_json::to_string(record).unwrap_or_default());
        text.push('\n');
    }
    let next = found.next_cursor.map(|after| PageRequest { after: Some(after), ..page.clone() });
    (Ok(text.into()), next)
}

async fn verify(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.verify_audit(&who).await?))
}
