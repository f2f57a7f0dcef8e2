//! What workflows are made of: activities, events, operators of filters.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::error::Answer;
use super::super::query::Query;
use crate::app::App;
use crate::app::activities::ActivityView;
use crate::app::error::Error;
use crate::app::event_types::EventTypeView;
use crate::app::filters::operators;
use crate::app::principal::Principal;
use crate::app::thena::trigger_event;
use crate::domain::event_type;
use crate::domain::filter::OperatorInfo;
use crate::domain::time::parse_duration;

pub(super) async fn activities(app: web::Data<App>, Caller(who): Caller, _: Query) -> Answer {
    Ok(HttpResponse::Ok().json(all_activities(&app, &who)))
}

/// Returns every activity of the tenant.
pub(super) fn all_activities(app: &App, who: &Principal) -> Value {
    let data: Value = app.activities(who, None).iter().map(activity).collect();
    json!({ "data": data })
}

pub(super) async fn events(app: web::Data<App>, Caller(who): Caller, _: Query) -> Answer {
    Ok(HttpResponse::Ok().json(all_events(&app, &who)?))
}

/// Returns every event type of the tenant.
pub(super) fn all_events(app: &App, who: &Principal) -> Result<Value, Error> {
    let data: Value = app.event_types(who, None, None)?.iter().map(event).collect();
    Ok(json!({ "data": data }))
}

/// The operators that Thena has; those beyond it are listed by our own API.
pub(super) async fn filters(Caller(_): Caller, _: Query) -> Answer {
    let data: Value = operators().iter().filter(|it| !it.extension).map(operator).collect();
    Ok(HttpResponse::Ok().json(json!({"data": data})))
}

fn activity(known: &ActivityView) -> Value {
    // Letters that depend on the identifier alone, behind the letter of activities.
    let uid = event_type::uid(&known.unique_identifier).replacen('E', "A", 1);
    json!({
        "id": uid,
        "uid": uid,
        "name": known.name,
        "uniqueIdentifier": known.unique_identifier,
        "description": known.description,
        "category": known.category,
        "version": known.version,
        "source": known.source,
        "inputSchema": known.input_schema,
        "outputSchema": known.output_schema,
        "throttler": throttler(&known.throttle),
        "metadata": {"compensation": known.compensation, "scopes": known.scopes},
        "isActive": true,
        "createdAt": null,
        "updatedAt": null,
    })
}

fn throttler(throttle: &Value) -> Value {
    let window = throttle["window"].as_str().and_then(|window| parse_duration(window).ok());
    json!({
        "isEnabled": !throttle.is_null(),
        "ttl": window.map(|window| window.as_secs_f64()),
        "limit": throttle["limit"],
        "key": throttle["key"],
    })
}

fn event(known: &EventTypeView) -> Value {
    let built_in = event_type::find(&known.kind).filter(|_| known.built_in);
    let category = built_in.map_or("custom".to_owned(), |it| it.group.to_lowercase());
    let mut event = trigger_event(known);
    event["id"] = json!(known.uid);
    event["name"] = json!(known.name);
    event["category"] = json!(category);
    event["payloadSchema"] = known.schema.clone();
    event["isActive"] = json!(true);
    event["createdAt"] = json!(known.created_at);
    event["updatedAt"] = json!(known.updated_at);
    event
}

fn operator(known: &OperatorInfo) -> Value {
    let mut operator = json!(known);
    if let Ok(example) = serde_json::from_str(known.example) {
        operator["example"] = example;
    }
    operator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_one_of_thenas_operators_is_listed_with_its_kind() {
        let listed: Vec<Value> =
            operators().iter().filter(|it| !it.extension).map(operator).collect();
        assert_eq!(listed.len(), 20);
        let logical: Vec<_> = listed.iter().filter(|it| it["kind"] == "logical").collect();
        assert_eq!(logical.len(), 2);
        assert!(listed.iter().all(|it| it["example"].is_object() && it["appliesTo"].is_array()));
    }

    #[test]
    fn an_event_has_the_fields_of_the_registry() {
        let known = event_type::find("ticket:created").expect("it is built in");
        let shown = event(&EventTypeView::from(known));
        for field in ["uid", "eventName", "eventType", "source", "description", "category"] {
            assert!(shown[field].as_str().is_some_and(|text| !text.is_empty()), "{field}");
        }
        assert_eq!(shown["isActive"], true);
        let schema = &shown["schema"]["properties"];
        assert!(schema["message"]["properties"]["payload"]["properties"]["ticket"].is_object());
        assert!(schema["messageAttributes"].is_object());
    }

    #[test]
    fn a_throttle_is_told_in_seconds() {
        let told = throttler(&json!({"limit": 5, "window": "1m", "key": "tenant"}));
        assert_eq!(told, json!({"isEnabled": true, "ttl": 60.0, "limit": 5, "key": "tenant"}));
        assert_eq!(throttler(&Value::Null)["isEnabled"], false);
    }
}
