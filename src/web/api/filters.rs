//! Filters: the operators that there are, and what a filter says of events.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::beside::beside;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::fields::Fields;
use super::super::route::{Group, Route};
use super::super::state::Front;
use crate::app::App;
use crate::app::filters::{Subject, operators};
use crate::app::live_match::{LastEvents, Only};

const LAST_MAX: u64 = 100_000;
const SHOWN_MAX: u64 = 1_000;

/// Filters.
pub static GROUP: Group = Group {
    tag: "filters",
    about: "Conditions on events: the operators, and what a filter says of given or past events.",
    routes: &[
        Route::get("/v1/filter-operators", || web::to(list))
            .named("filters_operators", "Lists the operators.")
            .scope("workflows:read")
            .answers(200, "OperatorList"),
        Route::post("/v1/filters/test", || web::to(test))
            .named("filters_test", "Evaluates a filter on one event or on the last ones of a type.")
            .scope("workflows:read")
            .body("FilterTest")
            .answers(200, "FilterVerdict"),
    ],
    schemas: &[
        (
            "OperatorList",
            r#"{"type":"object","properties":{"data":{"type":"array","items":{"type":"object",
                "properties":{"name":{"type":"string"},"kind":{"type":"string"},
                "valueType":{"type":"string"},"appliesTo":{"type":"array","items":{"type":"string"}},
                "description":{"type":"string"},"example":{"type":"string"},
                "extension":{"type":"boolean","description":"Whether Thena lacks it."}}}}}}"#,
        ),
        (
            "FilterTest",
            r#"{"type":"object","required":["filter"],"properties":{
                "filter":{"type":"object"},
                "event":{"type":"object","properties":{"type":{"type":"string"},"payload":{}}},
                "eventId":{"type":"string"},
                "type":{"type":"string","description":"An event type, or `ticket:*`."},
                "last":{"type":"integer","minimum":1,"maximum":100000,"default":200,
                    "description":"How many of the newest events of the type."},
                "limit":{"type":"integer","minimum":1,"maximum":1000,"default":50,
                    "description":"How many of them are shown in `data`, the newest first."},
                "only":{"enum":["matched","unmatched"],
                    "description":"Which of them are shown; both without it."}}}"#,
        ),
        (
            "FilterVerdict",
            r#"{"type":"object","properties":{
                "matches":{"type":"boolean"},"trace":{},
                "matched":{"type":"integer"},"total":{"type":"integer"},
                "looked":{"type":"integer","description":"How many of `total` were looked at."},
                "partial":{"type":"boolean","description":"Whether the time was over before."},
                "tookMs":{"type":"integer"},
                "data":{"type":"array","items":{"type":"object","properties":{
                    "eventId":{"type":"string"},"type":{"type":"string"},
                    "subject":{"type":["string","null"]},
                    "receivedAt":{"type":"string","format":"date-time"},
                    "matches":{"type":"boolean"},"trace":{}}}}}}"#,
        ),
    ],
    made: &[],
};

async fn list(Caller(_): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"data": operators()})))
}

async fn test(
    (app, front): (web::Data<App>, web::Data<Front>),
    Caller(who): Caller,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let filter = fields.value("filter");
    if filter.is_none() {
        fields.missing("filter");
    }
    let (event, id) = (fields.value("event"), fields.text("eventId"));
    let time_max = Duration::from_millis(front.settings.live_match_ms_max);
    let last = last_events(&mut fields, time_max);
    let subject = match (event, id) {
        (Some(event), None) => Some(Subject::Given(event)),
        (None, Some(id)) => Some(Subject::Stored(id)),
        (None, None) | (Some(_), Some(_)) => None,
    };
    if subject.is_none() && last.is_none() {
        fields.problem("event", "required", "give one of `event`, `eventId` and `type`");
    }
    fields.end()?;
    let filter = filter.expect("a missing filter was refused above");
    match (subject, last) {
        (Some(subject), _) => Ok(HttpResponse::Ok().json(app.test_filter(&who, &filter, subject)?)),
        (None, Some(last)) => {
            let found = beside(move || app.match_last(&who, &filter, &last)).await?;
            Ok(HttpResponse::Ok().json(found))
        }
        (None, None) => unreachable!("it was refused above"),
    }
}

fn last_events(fields: &mut Fields, time_max: Duration) -> Option<LastEvents> {
    let kind = fields.text("type");
    let last = fields.number("last", 1..=LAST_MAX).unwrap_or(200);
    let limit = fields.number("limit", 1..=SHOWN_MAX).unwrap_or(50);
    let only = match fields.text("only").as_deref() {
        None => Only::Every,
        Some("matched") => Only::Matched,
        Some("unmatched") => Only::Unmatched,
        Some(_) => {
            fields.problem("only", "invalid_value", "must be `matched` or `unmatched`");
            Only::Every
        }
    };
    let kind = kind?;
    Some(LastEvents { kind, last: last as usize, limit: limit as usize, only, time_max })
}
