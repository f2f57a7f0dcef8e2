//! Approvals: who is asked about what, and their answers.

use actix_web::{HttpResponse, web};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, Param, Route};
use super::runs::run_id;
use crate::app::App;
use crate::app::approvals::{Approvals, Verdict};
use crate::domain::run::Decision;

/// Approvals.
pub static GROUP: Group = Group {
    tag: "approvals",
    about: "Steps that somebody must approve before they run.",
    routes: &[
        Route::get("/v1/approvals", || web::to(list))
            .named("approvals_list", "Lists approvals, those of the newest runs first.")
            .scope("approvals:read")
            .query(&[
                Param::text(
                    "status",
                    "`pending` (unless told otherwise), `mine` for those that the caller may \
                     decide, or `decided`.",
                ),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "ApprovalPage"),
        Route::post("/v1/runs/{id}/steps/{step}/approve", || web::to(approve))
            .named("runs_approve", "Lets a step that waits for approval go on.")
            .scope("approvals:write")
            .body("Verdict")
            .answers(202, "Run"),
        Route::post("/v1/runs/{id}/steps/{step}/reject", || web::to(reject))
            .named("runs_reject", "Fails a step that waits for approval.")
            .scope("approvals:write")
            .body("Verdict")
            .answers(202, "Run"),
    ],
    schemas: &[
        (
            "Approval",
            r#"{"type":"object","required":["run","step","workflow","status","approvers","requestedAt"],
                "properties":{"run":{"type":"string"},"step":{"type":"string"},
                "workflow":{"type":"string"},
                "status":{"enum":["pending","approved","rejected","withdrawn"]},
                "approvers":{"type":"array","items":{"type":"string"}},
                "reason":{"type":["string","null"]},
                "requestedAt":{"type":"string","format":"date-time"},
                "until":{"type":["string","null"]},"decidedBy":{"type":["string","null"]},
                "decidedAt":{"type":["string","null"]},"comment":{"type":["string","null"]},
                "subject":{"type":["string","null"]},"mayDecide":{"type":"boolean"},
                "escalatesAt":{"type":["string","null"]}}}"#,
        ),
        (
            "ApprovalPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Approval"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "Verdict",
            r#"{"type":"object","properties":{"comment":{"type":"string",
                "description":"What is said of it; kept with the decision."}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let list = match query.text("status") {
        None | Some("pending") => Approvals::Pending,
        Some("mine") => Approvals::Mine,
        Some("decided") => Approvals::Decided,
        Some(other) => {
            let detail = format!("`{other}` is no status; it must be pending, mine or decided");
            return Err(ApiError::bad_parameter("status", detail));
        }
    };
    let page = app.approvals(&who, list, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn approve(
    app: web::Data<App>,
    Caller(who): Caller,
    place: web::Path<(String, String)>,
    body: Json,
) -> Answer {
    decide(app, who, place, body, Decision::Approved).await
}

async fn reject(
    app: web::Data<App>,
    Caller(who): Caller,
    place: web::Path<(String, String)>,
    body: Json,
) -> Answer {
    decide(app, who, place, body, Decision::Rejected).await
}

async fn decide(
    app: web::Data<App>,
    who: crate::app::principal::Principal,
    place: web::Path<(String, String)>,
    body: Json,
    decision: Decision,
) -> Answer {
    let (id, step) = place.into_inner();
    let mut fields = body.fields();
    let comment = fields.text("comment").unwrap_or_default();
    fields.end()?;
    let run = app.decide(&who, run_id(&id)?, &step, Verdict { decision, comment }).await?;
    Ok(HttpResponse::Accepted().json(run))
}
