//! Filters: the operators that there are, and what a filter says of events.

use actix_web::{HttpResponse, web};
use serde_json::json;

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::Answer;
use super::super::route::{Group, Route};
use crate::app::App;
use crate::app::filters::{Subject, operators};

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
                "type":{"type":"string"},
                "last":{"type":"integer","minimum":1,"maximum":1000,"default":200}}}"#,
        ),
        (
            "FilterVerdict",
            r#"{"type":"object","properties":{
                "matches":{"type":"boolean"},"trace":{},
                "matched":{"type":"integer"},"total":{"type":"integer"},
                "data":{"type":"array","items":{"type":"object"}}}}"#,
        ),
    ],
    made: &[],
};

async fn list(Caller(_): Caller) -> Answer {
    Ok(HttpResponse::Ok().json(json!({"data": operators()})))
}

async fn test(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let filter = fields.value("filter");
    if filter.is_none() {
        fields.missing("filter");
    }
    let (event, id) = (fields.value("event"), fields.text("eventId"));
    let (kind, last) = (fields.text("type"), fields.number("last", 1..=1_000).unwrap_or(200));
    let subject = match (event, id, kind) {
        (Some(event), None, _) => Some(Subject::Given(event)),
        (None, Some(id), _) => Some(Subject::Stored(id)),
        (None, None, Some(kind)) => Some(Subject::Last { kind, count: last as usize }),
        _ => None, // None or two of them.
    };
    if subject.is_none() {
        fields.problem("event", "required", "give one of `event`, `eventId` and `type`");
    }
    fields.end()?;
    let (filter, subject) = filter.zip(subject).expect("what is missing was refused above");
    Ok(HttpResponse::Ok().json(app.test_filter(&who, &filter, subject)?))
}
