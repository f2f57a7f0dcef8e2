//! How Thena's API refuses, and the headers of its answers.

use actix_web::HttpMessage as _;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::super::error::ApiError;
use crate::app::principal::Principal;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const ROOT: &str = "/api/v1/";
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const ADDRESS: HeaderName = HeaderName::from_static("x-ratelimit-ip");
const USER: HeaderName = HeaderName::from_static("x-ratelimit-userid");
const ORGANIZATION: HeaderName = HeaderName::from_static("x-ratelimit-orgid");
const PATH: HeaderName = HeaderName::from_static("x-ratelimit-path");

/// Returns whether Thena's API answers at `path`, on a server under `base`.
#[must_use]
pub fn speaks(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|path| path.starts_with(ROOT))
}

/// Refuses as Thena does: `{status: false, message, timestamp, errors}`, and 400 for bad input.
#[must_use]
pub fn refuse(refusal: &ApiError, request_id: &str, now: Timestamp) -> HttpResponse {
    let is_invalid =
        refusal.status() == StatusCode::UNPROCESSABLE_ENTITY && !refusal.problems().is_empty();
    let status = if is_invalid { StatusCode::BAD_REQUEST } else { refusal.status() };
    let document = json!({
        "status": false,
        "code": refusal.code(),
        "message": refusal.detail(),
        "timestamp": now,
        "errors": refusal.problems().iter().map(error).collect::<Value>(),
        "requestId": request_id,
    });
    // Rendered for its headers: when to try again, what is allowed, how to authenticate.
    let mut answer = refusal.render("", request_id);
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer.set_body(BoxBody::new(document.to_string()))
}

fn error(problem: &Problem) -> Value {
    let mut error =
        json!({"path": problem.pointer, "code": problem.code, "message": problem.detail});
    if let Some(hint) = &problem.hint {
        error["hint"] = json!(hint);
    }
    error
}

/// Says beside the rate limit whose it is and where it was met, as Thena does.
pub fn dress(response: &mut ServiceResponse<BoxBody>) {
    let request = response.request();
    if !request.path().contains(ROOT) || !response.headers().contains_key(LIMIT) {
        return;
    }
    let principal = request.extensions().get::<Principal>().cloned();
    let said = [
        (ADDRESS, request.peer_addr().map(|address| address.ip().to_string())),
        (USER, principal.as_ref().map(|who| who.id.clone())),
        (ORGANIZATION, principal.as_ref().map(|who| who.tenant.to_string())),
        (PATH, Some(request.path().to_owned())),
    ];
    for (name, value) in said {
        if let Some(Ok(value)) = value.map(|value| HeaderValue::from_str(&value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::error::Error;
    use actix_web::body::to_bytes;
    use std::time::Duration;

    #[actix_web::test]
    async fn refusals_have_thenas_statuses_and_document() {
        let now = Timestamp::from_millis(1_000);
        let text = || "x".to_owned();
        let soon = Duration::from_secs(2);
        let problems = vec![Problem::new("/workflowDefinition/0", "missing", "it is missing")];
        for (error, status, code, errors) in [
            (
                Error::Invalid(problems),
                400,
                "invalid",
                json!([{"path": "/workflowDefinition/0", "code": "missing",
                    "message": "it is missing"}]),
            ),
            (Error::Unauthenticated(text()), 401, "unauthenticated", json!([])),
            (
                Error::NotFound { what: "workflow", id: text() },
                404,
                "workflow_not_found",
                json!([]),
            ),
            (Error::Busy { detail: text(), retry_after: soon }, 429, "busy", json!([])),
        ] {
            let answer = refuse(&ApiError::from(error), "req_1", now);
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), status == 429);
            let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
            assert_eq!(kind, Some(HeaderValue::from_static("application/json")));
            let body = to_bytes(answer.into_body()).await.expect("it is in memory");
            let document: Value = serde_json::from_slice(&body).expect("it is JSON");
            assert_eq!(document["status"], false);
            assert_eq!(document["code"], code);
            assert_eq!(document["timestamp"], "1970-01-01T00:00:01.000Z");
            assert_eq!(document["errors"], errors);
            assert!(document["message"].is_string());
        }
    }

    #[test]
    fn only_paths_below_the_root_speak_thena() {
        for (path, base, speaks_thena) in [
            ("/api/v1/workflows", "", true),
            ("/ergane/api/v1/nothing", "/ergane", true),
            ("/ergane/api/v1/nothing", "", false),
            ("/v1/workflows", "", false),
            ("/api/v10", "", false),
        ] {
            assert_eq!(speaks(path, base), speaks_thena, "{path} under `{base}`");
        }
    }
}
