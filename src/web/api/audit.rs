//! The audit: who changed what, and whether the record of it is whole.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::error::Answer;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use crate::app::App;
use crate::app::audit::AuditFilter;

/// The audit.
pub static GROUP: Group = Group {
    tag: "audit",
    about: "Who changed what, when and from where: a chain of records that shows every gap.",
    routes: &[
        Route::get("/v1/audit", || web::to(list))
            .named("audit_list", "Lists what was changed, newest first.")
            .scope("audit:read")
            .query(&[
                Param::text("actor", "The id or the name of who made the change."),
                Param::text("action", "What was done: `workflow.save`, or `workflow` for all."),
                Param::text("target", "What it was done to."),
                Param::text("since", "Not earlier than a time, or than a span ago: `24h`."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "AuditPage"),
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

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let text = |name| query.text(name).map(str::to_owned);
    let filter = AuditFilter {
        actor: text("actor"),
        action: text("action"),
        target: text("target"),
        since: query.time("since")?,
    };
    let page = app.audit(&who, &filter, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn verify(app: web::Data<App>, Caller(who): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(app.verify_audit(&who).await?))
}
