//! The demo: its generator's switch, and the stand-ins for systems outside. Served in a demo alone.

use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::{Value, json};

use super::super::body::Raw;
use super::super::error::{Answer, ApiError};
use super::super::route::{Group, Route};
use super::super::ui::assets;
use crate::app::App;
use crate::app::demo::{Demo, DemoMessage};

/// What a demo serves beside everything else.
pub static GROUPS: &[&Group] = &[&SWITCH, &SINKS];

const RETRY_AFTER_SECONDS: u64 = 5;

static SWITCH: Group = Group {
    tag: "demo",
    about: "The demo's generator of events.",
    routes: &[
        Route::get("/v1/demo", || web::to(show))
            .named("demo_show", "Says whether the generator runs and what it has done.")
            .scope("demo:read")
            .answers(200, "Demo"),
        Route::post("/v1/demo/pause", || web::to(pause))
            .named("demo_pause", "Pauses the generator.")
            .scope("demo:write")
            .answers(200, "Demo"),
        Route::post("/v1/demo/resume", || web::to(resume))
            .named("demo_resume", "Lets the generator go on.")
            .scope("demo:write")
            .answers(200, "Demo"),
        Route::get("/v1/demo/messages", || web::to(messages))
            .named("demo_messages", "Lists what the stand-ins received, newest first.")
            .scope("demo:read"),
        Route::get("/demo", || web::to(page))
            .named("demo_page", "Shows what the stand-ins received.")
            .page("demo:read"),
    ],
    schemas: &[(
        "Demo",
        r#"{"type":"object","required":["running","ratePerMinute","sent"],"properties":{
            "running":{"type":"boolean"},"ratePerMinute":{"type":"integer"},
            "sent":{"type":"integer"}}}"#,
    )],
    made: &[],
};

static SINKS: Group = Group {
    tag: "demo-sinks",
    about: "Stand-ins for systems outside: one works, one refuses some, one is down.",
    routes: &[
        Route::post("/demo/pager", || web::to(pager))
            .named("demo_pager", "Takes every page.")
            .public(),
        Route::post("/demo/billing", || web::to(billing))
            .named("demo_billing", "Pays refunds, and refuses those of every third ticket.")
            .public(),
        Route::post("/demo/crm", || web::to(crm))
            .named("demo_crm", "Is down, and says when to try again.")
            .public(),
    ],
    schemas: &[],
    made: &[],
};

#[derive(Template)]
#[template(path = "demo.html")]
struct Page {
    base: String,
    icon: String,
    messages: Vec<DemoMessage>,
}

async fn show(demo: web::Data<Demo>) -> HttpResponse {
    HttpResponse::Ok().json(demo.switch.view())
}

async fn pause(demo: web::Data<Demo>) -> HttpResponse {
    demo.switch.pause();
    HttpResponse::Ok().json(demo.switch.view())
}

async fn resume(demo: web::Data<Demo>) -> HttpResponse {
    demo.switch.resume();
    HttpResponse::Ok().json(demo.switch.view())
}

async fn messages(demo: web::Data<Demo>) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "data": demo.inbox.messages(), "nextCursor": null }))
}

async fn page(
    demo: web::Data<Demo>,
    front: web::Data<super::super::state::Front>,
) -> Result<HttpResponse, ApiError> {
    let icon = assets::path_of("favicon.svg");
    let page = Page { base: front.settings.base(), icon, messages: demo.inbox.messages() };
    let html = page.render().map_err(|error| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.to_string())
    })?;
    Ok(HttpResponse::Ok().content_type("text/html; charset=utf-8").body(html))
}

async fn pager(letter: Letter) -> Answer {
    let answer = json!({ "paged": "on-call", "ticket": letter.body["ticket"] });
    Ok(letter.answered("pager", StatusCode::ACCEPTED).json(answer))
}

async fn billing(letter: Letter) -> Answer {
    let ticket = letter.body["ticket"].as_str().unwrap_or_default().to_owned();
    let number = number_of(&ticket);
    if number.is_multiple_of(3) {
        let answer = json!({
            "code": "period_closed",
            "detail": format!("the invoice of {ticket} belongs to a month that is closed"),
        });
        return Ok(letter.answered("billing", StatusCode::UNPROCESSABLE_ENTITY).json(answer));
    }
    let answer = json!({ "refund": format!("RF-{ticket}"), "amount": 40 + number * 7 % 360 });
    Ok(letter.answered("billing", StatusCode::OK).json(answer))
}

async fn crm(letter: Letter) -> Answer {
    let answer = json!({ "code": "maintenance", "detail": "the CRM is down for maintenance" });
    let mut response = letter.answered("crm", StatusCode::SERVICE_UNAVAILABLE);
    Ok(response.insert_header((header::RETRY_AFTER, RETRY_AFTER_SECONDS)).json(answer))
}

/// Returns the number of a ticket such as `BIL-12`; 0 without one, which is refused.
fn number_of(ticket: &str) -> u64 {
    ticket.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// A message to a stand-in, with where it is kept.
struct Letter {
    body: Value,
    key: String,
    at: crate::domain::time::Timestamp,
    demo: web::Data<Demo>,
}

impl Letter {
    /// Keeps the message with the status that is about to be answered.
    fn answered(self, sink: &str, status: StatusCode) -> actix_web::HttpResponseBuilder {
        self.demo.inbox.keep(DemoMessage {
            at: self.at,
            sink: sink.to_owned(),
            status: status.as_u16(),
            idempotency_key: self.key,
            body: self.body,
        });
        HttpResponse::build(status)
    }
}

impl actix_web::FromRequest for Letter {
    type Error = ApiError;
    type Future = futures_util::future::LocalBoxFuture<'static, Result<Letter, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let raw = Raw::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let Raw(bytes) = raw.await?;
            let text = String::from_utf8_lossy(&bytes);
            let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(text));
            let key = request.headers().get("idempotency-key");
            let key = key.and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
            let served = "a demo is served with its state";
            let demo = request.app_data::<web::Data<Demo>>().expect(served).clone();
            let at = request.app_data::<web::Data<App>>().expect(served).now();
            Ok(Letter { body, key, at, demo })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn billing_refuses_every_third_ticket_and_those_without_a_number() {
        let refused: Vec<&str> = ["SUP-1", "SUP-2", "BIL-3", "PLA-12", "none"]
            .into_iter()
            .filter(|ticket| number_of(ticket).is_multiple_of(3))
            .collect();
        assert_eq!(refused, ["BIL-3", "PLA-12", "none"]);
    }
}
