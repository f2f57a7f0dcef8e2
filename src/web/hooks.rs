//! The public door for other systems: who sends is known by the signature over the raw body.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Map, Value, json};

use super::body::Raw;
use super::cloudevents::media_type;
use super::error::{Answer, ApiError};
use super::json;
use super::route::{Group, Route};
use super::settings::WebSettings;
use super::state::Front;
use crate::app::App;
use crate::app::deliveries::DeliveryStatus;
use crate::app::error::Error;
use crate::app::hooks::{Believed, DeliveryOutcome, SlackAnswer};
use crate::domain::hook::Delivery;
use crate::domain::problem::Problem;

/// Hooks.
pub static GROUP: Group = Group {
    tag: "hooks",
    about: "Where other systems send to. No key is asked for: the signature over the body, made with \
            the connection's `signingSecret`, says who it is.",
    routes: &[
        Route::post("/hooks/slack/{connection}", || web::to(slack))
            .named(
                "hooks_slack",
                "Takes what Slack sends: events, presses of buttons and slash commands.",
            )
            .public()
            .body("HookBody")
            .answers(200, ""),
        Route::post("/hooks/{connection}", || web::to(generic))
            .named(
                "hooks_receive",
                "Takes what another system sends, signed by Standard Webhooks, or in the way of \
                 GitHub, Stripe or Linear, or with a shared secret.",
            )
            .public()
            .body("HookBody")
            .answers(202, "HookAnswer"),
    ],
    schemas: &[
        ("HookBody", r#"{"description":"Whatever the sender sends: JSON, a form or a text."}"#),
        (
            "HookAnswer",
            r#"{"type":"object","properties":{"deliveryId":{"type":"string"},
                "status":{"enum":["accepted","duplicate","unmatched","rejected"]},
                "reason":{"type":"string"},
                "accepted":{"type":"array","items":{"type":"object","properties":{
                    "id":{"type":"string"},"duplicate":{"type":"boolean"},
                    "runs":{"type":"array","items":{"type":"string"}}}}}}}"#,
        ),
    ],
    made: &[],
};

async fn slack(
    (app, front): (web::Data<App>, web::Data<Front>),
    name: web::Path<String>,
    request: HttpRequest,
    Raw(raw): Raw,
) -> Answer {
    let mut delivery = head(&request);
    let believed = believe(&app, &name, &delivery, &raw)?;
    if !believed.is_slack() {
        return Err(Error::NotFound { what: "hook", id: name.into_inner() }.into());
    }
    delivery.body = body(&request, &raw, &front.settings)?;
    answer_slack(&app, &believed, &delivery).await
}

async fn generic(
    (app, front): (web::Data<App>, web::Data<Front>),
    name: web::Path<String>,
    request: HttpRequest,
    Raw(raw): Raw,
) -> Answer {
    let mut delivery = head(&request);
    let believed = believe(&app, &name, &delivery, &raw)?;
    let limit = front.settings.event_bytes_max;
    if raw.len() > limit {
        let (size, limit) = (raw.len() as u64, limit as u64);
        return Err(Error::TooLarge { what: "an event", size, limit }.into());
    }
    delivery.body = match body(&request, &raw, &front.settings) {
        Ok(body) => body,
        Err(refusal) => {
            // The signature was good, so it is kept all the same, for a person to look at.
            let problem = Problem::new("", refusal.code(), refusal.detail());
            delivery.body = Value::String(String::from_utf8_lossy(&raw).into_owned());
            app.keep_unread(&believed, &delivery, vec![problem]).await?;
            return Err(refusal);
        }
    };
    if believed.is_slack() {
        return answer_slack(&app, &believed, &delivery).await;
    }
    answer(app.take_delivery(&believed, &delivery).await?)
}

/// What does not fit is refused, so that the sender shows it and tries again; what no rule wants is
/// taken, since nobody is to blame.
fn answer(outcome: DeliveryOutcome) -> Answer {
    if outcome.status != DeliveryStatus::Rejected {
        return Ok(HttpResponse::Accepted().json(outcome));
    }
    let id = outcome.delivery_id.clone();
    Err(ApiError::invalid(outcome.errors).with_member("deliveryId", id.into()))
}

fn believe(app: &App, name: &str, delivery: &Delivery, raw: &[u8]) -> Result<Believed, ApiError> {
    app.believe(name, delivery, raw).map_err(|error| match error {
        // No word on which part was wrong: whoever guesses learns nothing.
        Error::Unauthenticated(detail) => {
            ApiError::new(StatusCode::UNAUTHORIZED, "invalid_signature", detail)
        }
        error => error.into(),
    })
}

async fn answer_slack(app: &App, believed: &Believed, delivery: &Delivery) -> Answer {
    Ok(match app.take_slack(believed, delivery).await? {
        SlackAnswer::Challenge(challenge) => {
            HttpResponse::Ok().json(json!({ "challenge": challenge }))
        }
        SlackAnswer::Received => HttpResponse::Ok().finish(),
        SlackAnswer::Text(text) => {
            HttpResponse::Ok().json(json!({ "response_type": "ephemeral", "text": text }))
        }
    })
}

/// A header that came twice has both values, so that no signature is chosen among several.
fn head(request: &HttpRequest) -> Delivery {
    let mut headers: Map<String, Value> = Map::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let joined = match headers.get(name.as_str()).and_then(Value::as_str) {
            Some(earlier) => format!("{earlier}, {value}"),
            None => value,
        };
        headers.insert(name.as_str().to_owned(), Value::String(joined));
    }
    let query = pairs(request.query_string().as_bytes());
    Delivery { headers, query, body: Value::Null }
}

fn body(request: &HttpRequest, raw: &[u8], settings: &WebSettings) -> Result<Value, ApiError> {
    let media_type = media_type(request.headers());
    match media_type.as_str() {
        "application/x-www-form-urlencoded" => Ok(Value::Object(pairs(raw))),
        kind if kind.starts_with("text/") => {
            Ok(Value::String(String::from_utf8_lossy(raw).into_owned()))
        }
        _ => json::parse(raw, settings.json_depth_max),
    }
}

fn pairs(text: &[u8]) -> Map<String, Value> {
    let read = url::form_urlencoded::parse(text).into_owned();
    read.map(|(name, value)| (name, Value::String(value))).collect()
}
