//! The one place that turns a refusal into HTTP: a status, `application/problem+json`, headers.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

use crate::app::error::Error;
use crate::domain::problem::Problem;

/// When to ask a paused appliance again: a person has to let it go on.
const PAUSED_RETRY_AFTER: Duration = Duration::from_secs(60);
/// How much a full bucket of requests or events holds.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
/// How much is left of it.
pub const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");

/// A refusal on its way out.
#[derive(Clone, Debug)]
pub struct ApiError(Box<Refusal>);

#[derive(Clone, Debug)]
struct Refusal {
    status: StatusCode,
    code: String,
    detail: String,
    problems: Vec<Problem>,
    headers: Vec<(HeaderName, String)>,
    extra: serde_json::Map<String, serde_json::Value>,
}

/// What a handler answers.
pub type Answer = Result<HttpResponse, ApiError>;

/// The document of RFC 9457, with what the contract adds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    #[serde(rename = "type")]
    kind: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    request_id: &'a str,
    errors: &'a [Problem],
    #[serde(flatten)]
    extra: &'a serde_json::Map<String, serde_json::Value>,
}

impl ApiError {
    /// Refuses with `status`, a stable `code` and a sentence.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> ApiError {
        ApiError(Box::new(Refusal {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            problems: Vec::new(),
            headers: Vec::new(),
            extra: serde_json::Map::new(),
        }))
    }

    /// Refuses an input with everything that is wrong with it.
    #[must_use]
    pub fn invalid(problems: Vec<Problem>) -> ApiError {
        ApiError::from(Error::Invalid(problems))
    }

    /// Refuses one query parameter or header.
    pub fn bad_parameter(name: &str, detail: impl Into<String>) -> ApiError {
        let detail = detail.into();
        let problem = Problem::new(format!("/{name}"), "invalid_parameter", detail.clone());
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_parameter", format!("`{name}`: {detail}"))
            .listing(vec![problem])
    }

    /// Adds what is wrong, one by one.
    #[must_use]
    pub fn listing(mut self, problems: Vec<Problem>) -> ApiError {
        self.0.problems = problems;
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> ApiError {
        self.0.headers.push((name, value.into()));
        self
    }

    /// Adds a member to the document.
    #[must_use]
    pub fn with_member(mut self, name: &str, value: serde_json::Value) -> ApiError {
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    /// Says when to try again, in whole seconds, at least one.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> ApiError {
        let seconds = pause.as_millis().div_ceil(1_000).max(1);
        self.with_header(header::RETRY_AFTER, seconds.to_string())
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// Returns the sentence.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Returns everything that is wrong.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// Returns a member that was added to the document, when it is a text.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&str> {
        self.0.extra.get(name)?.as_str()
    }

    /// Returns a header of the answer.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        let found = self.0.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Answers with the whole document; `instance` is the path that was asked for.
    #[must_use]
    pub fn render(&self, instance: &str, request_id: &str) -> HttpResponse {
        let document = Document {
            kind: format!("/docs#error-{}", self.0.code),
            title: self.0.status.canonical_reason().unwrap_or("Error"),
            status: self.0.status.as_u16(),
            detail: &self.0.detail,
            instance,
            code: &self.0.code,
            request_id,
            errors: &self.0.problems,
            extra: &self.0.extra,
        };
        let body = serde_json::to_vec(&document).expect("a problem has only JSON-safe fields");
        let mut answer = HttpResponse::build(self.0.status);
        answer.content_type("application/problem+json");
        for (name, value) in &self.0.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                answer.insert_header((name.clone(), value));
            }
        }
        answer.body(body)
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        let detail = error.to_string();
        let plain = |status, code: &str| ApiError::new(status, code, detail.clone());
        match error {
            Error::NotFound { what, .. } => plain(
                StatusCode::NOT_FOUND,
                &format!("{}_not_found", what.replace([' ', '-'], "_")),
            ),
            Error::Gone { what, .. } => plain(StatusCode::GONE, &format!("{what}_removed")),
            Error::Invalid(problems) => invalid(problems),
            Error::Conflict { code, .. } => plain(StatusCode::CONFLICT, code),
            Error::Incompatible { problems, .. } => {
                plain(StatusCode::CONFLICT, "incompatible_schema").listing(problems)
            }
            Error::Unfit { code, problems, .. } => {
                plain(StatusCode::CONFLICT, code).listing(problems)
            }
            Error::Stale { etag } => {
                plain(StatusCode::PRECONDITION_FAILED, "stale").with_header(header::ETAG, etag)
            }
            Error::Unauthenticated(_) => plain(StatusCode::UNAUTHORIZED, "unauthenticated")
                .with_header(header::WWW_AUTHENTICATE, "Bearer"),
            Error::Forbidden { scope } => {
                plain(StatusCode::FORBIDDEN, "forbidden").with_member("scope", scope.into())
            }
            Error::TooLarge { limit, .. } => {
                plain(StatusCode::PAYLOAD_TOO_LARGE, "too_large").with_member("limit", limit.into())
            }
            Error::Busy { retry_after, .. } => {
                plain(StatusCode::TOO_MANY_REQUESTS, "busy").retry_after(retry_after)
            }
            Error::OverQuota { quota, limit, used, retry_after, .. } => {
                let members = |refusal: ApiError| {
                    let named = refusal.with_member("quota", quota.name().into());
                    named.with_member("limit", limit.into()).with_member("used", used.into())
                };
                match retry_after {
                    None => members(plain(StatusCode::CONFLICT, "quota_exceeded")),
                    Some(pause) => members(plain(StatusCode::TOO_MANY_REQUESTS, "quota_exceeded"))
                        .with_header(RATE_LIMIT, limit.to_string())
                        .with_header(RATE_REMAINING, "0")
                        .retry_after(pause),
                }
            }
            Error::Suspended { .. } => plain(StatusCode::FORBIDDEN, "tenant_suspended"),
            Error::Unavailable { retry_after, .. } => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "unavailable").retry_after(retry_after)
            }
            Error::Paused => {
                plain(StatusCode::SERVICE_UNAVAILABLE, "paused").retry_after(PAUSED_RETRY_AFTER)
            }
            Error::Troubled { code, retry_after, .. } => {
                plain(StatusCode::SERVICE_UNAVAILABLE, code).retry_after(retry_after)
            }
            Error::Internal(_) => internal(&detail),
        }
    }
}

fn invalid(problems: Vec<Problem>) -> ApiError {
    let detail = match problems.as_slice() {
        [] => "the input is not valid".to_owned(),
        [one] if one.pointer.is_empty() => one.detail.clone(),
        [one] => format!("{}: {}", one.pointer, one.detail),
        [first, rest @ ..] => {
            format!("{}: {} (and {} more)", first.pointer, first.detail, rest.len())
        }
    };
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).listing(problems)
}

/// Says no more than that it failed; the cause is for the log alone.
fn internal(cause: &str) -> ApiError {
    tracing::error!(cause, "A request failed for an inner reason");
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "something went wrong inside; the log names the cause by the request id",
    )
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}: {}", self.0.status.as_u16(), self.0.code, self.0.detail)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.0.status
    }

    /// The outermost layer renders it again, when it knows the request.
    fn error_response(&self) -> HttpResponse {
        self.render("", "")
    }
}

/// Gives an error of the framework its code and its sentence.
#[must_use]
pub fn of_framework(status: StatusCode, detail: &str) -> ApiError {
    let code = match status {
        StatusCode::BAD_REQUEST => "bad_request",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::METHOD_NOT_ALLOWED => "method_not_allowed",
        StatusCode::REQUEST_TIMEOUT => "timeout",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_media_type",
        _ if status.is_server_error() => return internal(detail),
        _ => "refused",
    };
    ApiError::new(status, code, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::quota::Quota;
    use crate::domain::time::Timestamp;
    use actix_web::body::to_bytes;
    use serde_json::Value;

    #[actix_web::test]
    async fn every_refusal_has_its_status_and_its_document() {
        let soon = Duration::from_millis(1_500);
        let text = || "x".to_owned();
        for (error, status, code) in [
            (Error::NotFound { what: "event type", id: text() }, 404, "event_type_not_found"),
            (Error::Invalid(vec![Problem::new("/a", "b", "c")]), 422, "invalid"),
            (Error::Conflict { code: "exists", detail: text() }, 409, "exists"),
            (Error::Stale { etag: "\"3\"".to_owned() }, 412, "stale"),
            (Error::Unauthenticated(text()), 401, "unauthenticated"),
            (Error::Forbidden { scope: text() }, 403, "forbidden"),
            (Error::TooLarge { what: "body", size: 2, limit: 1 }, 413, "too_large"),
            (Error::Busy { detail: text(), retry_after: soon }, 429, "busy"),
            (Error::Unavailable { detail: text(), retry_after: soon }, 503, "unavailable"),
            (
                Error::OverQuota {
                    quota: Quota::Keys,
                    limit: 3,
                    used: 3,
                    detail: text(),
                    retry_after: None,
                },
                409,
                "quota_exceeded",
            ),
            (Error::Suspended { since: Timestamp::default() }, 403, "tenant_suspended"),
            (Error::Internal("secret path".to_owned()), 500, "internal"),
        ] {
            let answer = ApiError::from(error).render("/v1/x", "req_1");
            let retry = answer.headers().get(header::RETRY_AFTER).cloned();
            assert_eq!(answer.status().as_u16(), status);
            assert_eq!(retry.is_some(), status == 429 || status == 503);
            let body = to_bytes(answer.into_body()).await.expect("it is in memory");
            let document: Value = serde_json::from_slice(&body).expect("it is JSON");
            assert_eq!(document["code"], code);
            assert_eq!(document["status"], status);
            assert_eq!(
                (&document["instance"], &document["requestId"]),
                (&"/v1/x".into(), &"req_1".into())
            );
            assert!(!document["detail"].as_str().unwrap_or("").contains("secret"));
        }
    }
}
