//! Webhooks: subscriptions to events, and the deliveries that they lead to.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::super::auth::Caller;
use super::super::body::Json;
use super::super::error::{Answer, ApiError};
use super::super::fields::Fields;
use super::super::query::Query;
use super::super::route::{CURSOR, Group, LIMIT, PAGED, Param, Route};
use crate::app::App;
use crate::app::error::Error;
use crate::app::webhook_deliveries::{Replay, replay_problem};
use crate::app::webhooks::{MadeWebhook, OVERLAP, OVERLAP_MAX, Switch, WebhookDraft};
use crate::domain::problem::nearest;
use crate::domain::time::{Timestamp, parse_duration};
use crate::domain::webhook::DeliveryStatus;

/// Webhooks.
pub static GROUP: Group = Group {
    tag: "webhooks",
    about: "Subscriptions to events. Each gets its events one at a time and in their order, the \
            next when the former arrived or was given up on; signed by Standard Webhooks, with a \
            `webhook-id` that stays the same through every repetition. 2xx is a success; anything \
            else is tried again for over a day; 410 disables the subscription.",
    routes: &[
        Route::get("/v1/webhooks", || web::to(list))
            .named("webhooks_list", "Lists the subscriptions, oldest first.")
            .scope("webhooks:read")
            .query(PAGED)
            .answers(200, "WebhookPage"),
        Route::post("/v1/webhooks", || web::to(create))
            .named("webhooks_create", "Makes a subscription and shows its secret, this once.")
            .scope("webhooks:write")
            .body("NewWebhook")
            .answers(201, "CreatedWebhook"),
        Route::get("/v1/webhooks/{id}", || web::to(show))
            .named("webhooks_get", "Returns a subscription and how it fares.")
            .scope("webhooks:read")
            .answers(200, "Webhook"),
        Route::patch("/v1/webhooks/{id}", || web::to(change))
            .named("webhooks_update", "Changes the fields that are given; null clears one.")
            .scope("webhooks:write")
            .body("WebhookPatch")
            .answers(200, "Webhook"),
        Route::put("/v1/webhooks/{id}", || web::to(replace))
            .named("webhooks_put", "Replaces everything but the secret.")
            .scope("webhooks:write")
            .body("WebhookPut")
            .answers(200, "Webhook"),
        Route::delete("/v1/webhooks/{id}", || web::to(remove))
            .named("webhooks_delete", "Removes a subscription with its deliveries.")
            .scope("webhooks:write")
            .answers(204, ""),
        Route::post("/v1/webhooks/{id}/rotate-secret", || web::to(rotate))
            .named("webhooks_rotate_secret", "Makes another secret; the former signs for a while.")
            .scope("webhooks:write")
            .body("SecretRotation")
            .answers(200, "CreatedWebhook"),
        Route::post("/v1/webhooks/{id}/test", || web::to(test))
            .named("webhooks_test", "Sends a `webhook:test` event now and tells what came of it.")
            .scope("webhooks:write")
            .answers(200, "WebhookTrial"),
        Route::post("/v1/webhooks/{id}/enable", || web::to(enable))
            .named("webhooks_enable", "Delivers again, beginning with what waits.")
            .scope("webhooks:write")
            .answers(200, "Webhook"),
        Route::post("/v1/webhooks/{id}/disable", || web::to(disable))
            .named("webhooks_disable", "Delivers no more; what waits goes on waiting.")
            .scope("webhooks:write")
            .answers(200, "Webhook"),
        Route::get("/v1/webhooks/{id}/deliveries", || web::to(deliveries))
            .named("webhook_deliveries_list", "Lists the deliveries, newest first.")
            .scope("webhooks:read")
            .query(&[
                Param::text("status", "pending, delivering, delivered or dead."),
                LIMIT,
                CURSOR,
            ])
            .answers(200, "WebhookDeliveryPage"),
        Route::get("/v1/webhooks/{id}/deliveries/{delivery}", || web::to(delivery))
            .named("webhook_deliveries_get", "Returns a delivery with what is sent.")
            .scope("webhooks:read")
            .answers(200, "WebhookDelivery"),
        Route::post("/v1/webhooks/{id}/deliveries/{delivery}/redeliver", || web::to(redeliver))
            .named("webhook_deliveries_redeliver", "Makes a delivery once more.")
            .scope("webhooks:write")
            .answers(202, "WebhookDelivery"),
        Route::post("/v1/webhooks/{id}/replay", || web::to(replay))
            .named("webhooks_replay", "Delivers the events of a time, oldest first.")
            .scope("webhooks:write")
            .body("WebhookReplay")
            .answers(202, "Requeued"),
        Route::post("/v1/webhooks/{id}/recover", || web::to(recover))
            .named("webhooks_recover", "Makes every delivery once more that was given up on.")
            .scope("webhooks:write")
            .answers(202, "Requeued"),
    ],
    schemas: &[
        (
            "WebhookPatch",
            r#"{"type":"object","properties":{
                "url":{"type":"string","format":"uri"},
                "types":{"type":"array","items":{"type":"string"},"minItems":1,
                    "description":"Event types; `*` at the end stands for every one that begins so.",
                    "examples":[["ticket:*","account:created"]]},
                "filter":{"type":["object","null"],"description":"A condition on events."},
                "description":{"type":["string","null"]},
                "format":{"enum":["event","thena",null],"description":"`{type, timestamp, data}`, or Thena's `{message, messageAttributes}`."},
                "headers":{"type":["object","null"],"additionalProperties":{"type":"string"},
                    "description":"Sent with every delivery; their values are never read back."},
                "enabled":{"type":["boolean","null"]}}}"#,
        ),
        (
            "WebhookPut",
            r##"{"allOf":[{"$ref":"#/components/schemas/WebhookPatch"},
                {"type":"object","required":["url","types"]}]}"##,
        ),
        (
            "NewWebhook",
            r##"{"allOf":[{"$ref":"#/components/schemas/WebhookPut"},
                {"type":"object","properties":{"secret":{"type":"string",
                    "description":"`whsec_` and base64 of 24 to 64 bytes; made when absent."}}}]}"##,
        ),
        (
            "Webhook",
            r#"{"type":"object","required":["id","url","types","enabled"],"properties":{
                "id":{"type":"string"},"url":{"type":"string"},
                "types":{"type":"array","items":{"type":"string"}},
                "filter":{"type":["object","null"]},"description":{"type":"string"},
                "format":{"enum":["event","thena"]},
                "headers":{"type":"object","additionalProperties":{"const":"***"}},
                "enabled":{"type":"boolean"},
                "disabledReason":{"type":["string","null"]},
                "disabledAt":{"type":["string","null"]},
                "previousSecretUntil":{"type":["string","null"]},
                "deliveries":{"type":"object","properties":{"pending":{"type":"integer"},
                    "delivered":{"type":"integer"},"dead":{"type":"integer"}}},
                "failingSince":{"type":["string","null"]},
                "lastDeliveredAt":{"type":["string","null"]},
                "lastFailedAt":{"type":["string","null"]},
                "createdAt":{"type":"string"},"createdBy":{"type":"string"},
                "updatedAt":{"type":"string"}}}"#,
        ),
        (
            "CreatedWebhook",
            r##"{"allOf":[{"$ref":"#/components/schemas/Webhook"},
                {"type":"object","required":["secret"],"properties":{"secret":{"type":"string"}}}]}"##,
        ),
        (
            "WebhookPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/Webhook"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "SecretRotation",
            r#"{"type":"object","properties":{
                "overlap":{"type":["string","number"],"default":"24h",
                    "description":"How long the former secret signs too, at most 30d."},
                "secret":{"type":"string"}}}"#,
        ),
        (
            "WebhookDeliveryAttempt",
            r#"{"type":"object","properties":{"number":{"type":"integer"},"at":{"type":"string"},
                "outcome":{"enum":["running","delivered","failed","unknown"]},
                "statusCode":{"type":["integer","null"]},"durationMs":{"type":["integer","null"]},
                "error":{"type":["object","null"],"properties":{"code":{"type":"string"},
                    "message":{"type":"string"}}},
                "response":{"type":["string","null"]}}}"#,
        ),
        (
            "WebhookTrial",
            r##"{"allOf":[{"$ref":"#/components/schemas/WebhookDeliveryAttempt"},
                {"type":"object","properties":{"delivered":{"type":"boolean"},
                    "request":{"type":"object"}}}]}"##,
        ),
        (
            "WebhookDelivery",
            r##"{"type":"object","required":["id","status","attempts"],"properties":{
                "id":{"type":"string"},"webhookId":{"type":"string"},"eventId":{"type":"string"},
                "eventType":{"type":"string"},
                "messageId":{"type":"string","description":"The `webhook-id` of every attempt."},
                "origin":{"enum":["event","replay"]},
                "status":{"enum":["pending","delivering","delivered","dead"]},
                "attempts":{"type":"array","items":{"$ref":"#/components/schemas/WebhookDeliveryAttempt"}},
                "nextAttemptAt":{"type":["string","null"]},"createdAt":{"type":"string"},
                "endedAt":{"type":["string","null"]},
                "request":{"type":"object","description":"What is sent; lists leave it out.",
                    "properties":{"method":{"const":"POST"},"url":{"type":"string"},
                    "headers":{"type":"object"},"body":{"type":"object"}}}}}"##,
        ),
        (
            "WebhookDeliveryPage",
            r##"{"type":"object","required":["data","nextCursor"],"properties":{
                "data":{"type":"array","items":{"$ref":"#/components/schemas/WebhookDelivery"}},
                "nextCursor":{"type":["string","null"]}}}"##,
        ),
        (
            "WebhookReplay",
            r#"{"type":"object","required":["since"],"properties":{
                "since":{"type":"string","description":"A time, or how long ago: 2h."},
                "until":{"type":"string","description":"A time, or how long ago; now when absent."},
                "types":{"type":"array","items":{"type":"string"}}}}"#,
        ),
        (
            "Requeued",
            r#"{"type":"object","required":["queued","more"],"properties":{
                "queued":{"type":"integer"},
                "more":{"type":"boolean","description":"Whether a limit left some out."},
                "continueSince":{"type":["string","null"],
                    "description":"For a replay, the `since` of what was left out."}}}"#,
        ),
    ],
    made: &[],
};

async fn list(app: web::Data<App>, Caller(who): Caller, query: Query) -> Answer {
    let page = app.webhooks(&who, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn create(app: web::Data<App>, Caller(who): Caller, body: Json) -> Answer {
    let mut fields = body.fields();
    let secret = fields.text("secret");
    let draft = WebhookDraft { secret, ..read(fields, Filter::Given)? };
    let made = app.create_webhook(&who, draft.whole()).await?;
    Ok(HttpResponse::Created().json(with_secret(made)))
}

async fn show(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(app.webhook(&who, &id)?))
}

async fn change(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let filter = if body.0.get("filter").is_some() { Filter::Given } else { Filter::Absent };
    let clears_headers = body.0.get("headers").is_some_and(Value::is_null);
    let mut draft = read(body.fields(), filter)?;
    if clears_headers {
        draft.headers = Some(serde_json::Map::new());
    }
    Ok(HttpResponse::Ok().json(app.change_webhook(&who, &id, draft).await?))
}

async fn replace(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let draft = read(body.fields(), Filter::Given)?.whole();
    Ok(HttpResponse::Ok().json(app.change_webhook(&who, &id, draft).await?))
}

async fn remove(app: web::Data<App>, Caller(who): Caller, id: web::Path<String>) -> Answer {
    app.delete_webhook(&who, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn rotate(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let overlap = fields.duration("overlap").unwrap_or(OVERLAP);
    if overlap > OVERLAP_MAX {
        fields.problem("overlap", "out_of_range", "must be at most 30d");
    }
    let secret = fields.text("secret");
    fields.end()?;
    let made = app.rotate_webhook_secret(&who, &id, overlap, secret).await?;
    Ok(HttpResponse::Ok().json(with_secret(made)))
}

async fn test(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.test_webhook(&who, &id).await?))
}

async fn enable(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.switch_webhook(&who, &id, Switch::On).await?))
}

async fn disable(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Ok().json(app.switch_webhook(&who, &id, Switch::Off).await?))
}

async fn deliveries(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let status = query.text("status").map(status).transpose()?;
    let page = app.webhook_deliveries(&who, &id, status, &query.page()?)?;
    Ok(HttpResponse::Ok().json(query.seal(page)))
}

async fn delivery(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
) -> Answer {
    let (webhook, id) = path.into_inner();
    Ok(HttpResponse::Ok().json(app.webhook_delivery(&who, &webhook, &id)?))
}

async fn redeliver(
    app: web::Data<App>,
    Caller(who): Caller,
    path: web::Path<(String, String)>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    let (webhook, id) = path.into_inner();
    Ok(HttpResponse::Accepted().json(app.redeliver(&who, &webhook, &id).await?))
}

async fn replay(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    let mut fields = body.fields();
    let now = app.now();
    let since = moment(&mut fields, "since", now);
    if since.is_none() && !fields.has_problem("since") {
        fields.missing("since");
    }
    let until = moment(&mut fields, "until", now);
    let types = fields.texts("types");
    fields.end()?;
    let replay = Replay { since: since.unwrap_or(now), until, types };
    if let Some(problem) = replay_problem(&replay) {
        return Err(ApiError::invalid(vec![problem]));
    }
    Ok(HttpResponse::Accepted().json(app.replay_events(&who, &id, replay).await?))
}

async fn recover(
    app: web::Data<App>,
    Caller(who): Caller,
    id: web::Path<String>,
    body: Json,
) -> Answer {
    body.fields().end()?;
    Ok(HttpResponse::Accepted().json(app.recover_deliveries(&who, &id).await?))
}

/// Whether a body says anything of the filter; null takes it away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filter {
    Given,
    Absent,
}

/// Reads the fields that a subscription can be changed by.
fn read(mut fields: Fields, given: Filter) -> Result<WebhookDraft, Error> {
    let filter = fields.value("filter");
    let draft = WebhookDraft {
        url: fields.text("url"),
        types: fields.texts("types"),
        filter: (given == Filter::Given).then_some(filter),
        description: fields.text("description"),
        format: fields.text("format"),
        headers: fields.object("headers"),
        enabled: fields.flag("enabled"),
        secret: None,
    };
    fields.end()?;
    Ok(draft)
}

fn with_secret(made: MadeWebhook) -> Value {
    let mut answer = json!(made.view);
    answer["secret"] = json!(made.secret);
    answer
}

/// Takes an instant, or how long ago it was.
fn moment(fields: &mut Fields, name: &'static str, now: Timestamp) -> Option<Timestamp> {
    let text = fields.text(name)?;
    let ago = || parse_duration(&text).ok().map(|ago: Duration| now - ago);
    let moment = text.parse().ok().or_else(ago);
    if moment.is_none() {
        let detail = "must be a time such as 2026-11-23T10:00:00.000Z, or how long ago: 2h";
        fields.problem(name, "invalid_time", detail);
    }
    moment
}

fn status(name: &str) -> Result<DeliveryStatus, ApiError> {
    DeliveryStatus::parse(name).ok_or_else(|| {
        let known = DeliveryStatus::ALL.map(DeliveryStatus::as_str);
        let hint = match nearest(name, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it must be one of {}", known.join(", ")),
        };
        ApiError::bad_parameter("status", format!("`{name}` is no status; {hint}"))
    })
}
