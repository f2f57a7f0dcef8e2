//! Answers a repeated request that carries an `Idempotency-Key` as it answered the first.

use std::time::Duration;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error as ActixError, HttpMessage as _, HttpResponse};
use bytes::Bytes;
use futures_util::stream;
use sha2::{Digest as _, Sha256};

use super::body;
use super::error::ApiError;
use super::state::Front;
use crate::app::App;
use crate::app::idempotency::KeptAnswer;
use crate::app::principal::Principal;

/// The request header.
pub const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const KEPT_HEADERS: [HeaderName; 2] = [header::ETAG, header::LOCATION];
const KEY_CHARS_MAX: usize = 255;

/// Passes a request on unless it was answered before.
///
/// # Errors
/// Refuses with 422 a key that came with another body, with 409 one whose first request is still
/// in flight and with 400 a malformed key.
pub async fn once(
    (app, front): (&App, &Front),
    principal: &Principal,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let payload = request.take_payload();
    let limits = front.settings.body_limits();
    let collected = body::collect(request.request(), payload, limits).await;
    let (scope, body) = match (scope(&request, principal), collected) {
        (Ok(scope), Ok(body)) => (scope, body),
        (Err(refusal), _) | (_, Err(refusal)) => return Ok(request.error_response(refusal)),
    };
    let Some(_entered) = front.in_flight.enter(&scope) else {
        return Ok(request.error_response(in_flight()));
    };
    let body_hash: [u8; 32] = Sha256::digest(&body).into();
    match app.idempotency_find(principal, &scope).await {
        Ok(Some(kept)) if kept.body_hash == body_hash => {
            return Ok(request.into_response(replayed(&kept)));
        }
        Ok(Some(_)) => return Ok(request.error_response(reused())),
        Ok(None) => {}
        Err(error) => return Ok(request.error_response(ApiError::from(error))),
    }
    put_back(&mut request, body);
    let (answer, kept) = kept_from(next.call(request).await?, body_hash).await?;
    if let Some(kept) = kept
        && let Err(error) = app.idempotency_keep(principal, &scope, kept).await
    {
        // What was asked for is done and durable; only a repeat would not be recognised.
        tracing::warn!(%error, "Could not keep the answer to an idempotent request");
    }
    Ok(answer)
}

fn scope(request: &ServiceRequest, principal: &Principal) -> Result<String, ApiError> {
    let key = request.headers().get(KEY).and_then(|value| value.to_str().ok()).unwrap_or("");
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        let detail = format!("must have 1 to {KEY_CHARS_MAX} visible characters");
        return Err(ApiError::bad_parameter("Idempotency-Key", detail));
    }
    let place = request.uri().path_and_query().map_or("", |it| it.as_str());
    Ok(format!("{}\n{place}\n{key}", principal.id))
}

fn in_flight() -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "idempotency_in_flight",
        "the first request with this idempotency key is still being answered",
    )
    .retry_after(Duration::from_secs(1))
}

fn reused() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency_key_reused",
        "this idempotency key came with another body before; use a new key for a new request",
    )
}

pub(super) fn put_back(request: &mut ServiceRequest, body: Bytes) {
    request.set_payload(Payload::Stream { payload: Box::pin(stream::iter([Ok(body)])) });
}

fn replayed(kept: &KeptAnswer) -> HttpResponse {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    for (name, value) in &kept.headers {
        answer.insert_header((name.as_str(), value.as_str()));
    }
    answer.content_type(kept.content_type.as_str());
    answer.insert_header((REPLAYED, HeaderValue::from_static("true")));
    answer.body(kept.body.clone())
}

/// Takes a copy of the answer, unless the same request could be answered otherwise later.
async fn kept_from(
    response: ServiceResponse<BoxBody>,
    body_hash: [u8; 32],
) -> Result<(ServiceResponse<BoxBody>, Option<KeptAnswer>), ActixError> {
    if !response.status().is_success() {
        return Ok((response, None));
    }
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let body = to_bytes(body).await.map_err(actix_web::error::ErrorInternalServerError)?;
    let text = |name: &HeaderName| head.headers().get(name)?.to_str().ok().map(str::to_owned);
    let headers = KEPT_HEADERS.iter();
    let headers = headers.filter_map(|name| Some((name.as_str().to_owned(), text(name)?)));
    let kept = std::str::from_utf8(&body).ok().map(|body| KeptAnswer {
        body_hash,
        status: head.status().as_u16(),
        content_type: text(&header::CONTENT_TYPE).unwrap_or_default(),
        headers: headers.collect(),
        body: body.to_owned(),
    });
    let answer = head.set_body(BoxBody::new(body));
    Ok((ServiceResponse::new(request, answer), kept))
}
