//! Takes a request's body, bounded in size and in time.

use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;
use tokio::time::Instant;

use super::cloudevents::media_type;
use super::connection::Link;
use super::error::ApiError;
use super::settings::BodyLimits;
use super::state::Front;
use super::{fields::Fields, json};
use crate::app::error::Error;

/// How much of a coding's name is repeated to its sender.
const CODING_CHARS_SHOWN: usize = 32;

/// The bytes of a body, as they came.
#[derive(Debug)]
pub struct Raw(pub Bytes);

/// A JSON body; `Null` when there is none.
#[derive(Debug)]
pub struct Json(pub Value);

impl Json {
    /// Begins to read the body field by field.
    #[must_use]
    pub fn fields(self) -> Fields {
        Fields::new(self.0)
    }
}

/// Reads a whole body.
///
/// # Errors
/// Refuses with 413 what is larger than allowed, with 408 what takes too long or comes too slowly,
/// with 415 what is packed and with 400 what breaks off.
pub async fn collect(
    request: &HttpRequest,
    payload: Payload,
    limits: BodyLimits,
) -> Result<Bytes, ApiError> {
    let headers = request.headers();
    check_coding(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: u64 = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    check_size(announced, limits.bytes_max)?;
    let Ok(body) = tokio::time::timeout(limits.timeout, read(payload, limits)).await else {
        let limit_ms = limits.timeout.as_millis();
        return Err(too_slow(format!("the body did not arrive within {limit_ms} ms")));
    };
    if let (Ok(_), Some(link)) = (&body, request.conn_data::<Rc<Link>>()) {
        link.body_taken();
    }
    body
}

/// What is packed could unpack to any size, and nobody is offered to send it.
fn check_coding(headers: &HeaderMap) -> Result<(), ApiError> {
    let coding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    match coding.map(str::trim) {
        None | Some("" | "identity") => Ok(()),
        Some(coding) => {
            let coding: String = coding.chars().take(CODING_CHARS_SHOWN).collect();
            Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_content_encoding",
                format!("a body packed as `{coding}` is not taken; send it as it is"),
            )
            .with_header(header::ACCEPT_ENCODING, "identity"))
        }
    }
}

async fn read(mut payload: Payload, limits: BodyLimits) -> Result<Bytes, ApiError> {
    let began = Instant::now();
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(chunk) = next(&mut payload, began, first.len() + all.len(), limits).await? {
        check_size((first.len() + all.len() + chunk.len()) as u64, limits.bytes_max)?;
        if first.is_empty() && all.is_empty() {
            first = chunk; // Most bodies are one chunk, which then is never copied.
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// Waits for more of a body, until `taken` bytes are too few for the time that it has had.
async fn next(
    payload: &mut Payload,
    began: Instant,
    taken: usize,
    limits: BodyLimits,
) -> Result<Option<Bytes>, ApiError> {
    let rate = limits.bytes_per_second_min.max(1);
    let earned = Duration::from_millis((taken as u64).saturating_mul(1_000) / rate);
    let deadline = began + limits.grace + earned.min(limits.timeout);
    match tokio::time::timeout_at(deadline, payload.next()).await {
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(fault))) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            "bad_body",
            format!("the body broke off: {fault}"),
        )),
        Err(_) => Err(too_slow(format!("the body comes with less than {rate} bytes a second"))),
    }
}

fn too_slow(detail: String) -> ApiError {
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "timeout", detail)
}

fn check_size(size: u64, bytes_max: usize) -> Result<(), ApiError> {
    let limit = bytes_max as u64;
    if size > limit {
        return Err(Error::TooLarge { what: "a body", size, limit }.into());
    }
    Ok(())
}

impl FromRequest for Raw {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Raw, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let front = front(&request);
            collect(&request, payload, front.settings.body_limits()).await.map(Raw)
        })
    }
}

impl FromRequest for Json {
    type Error = ApiError;
    type Future = LocalBoxFuture<'static, Result<Json, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let raw = Raw::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let Raw(bytes) = raw.await?;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Json(Value::Null));
            }
            check_media_type(&media_type(request.headers()))?;
            let depth_max = front(&request).settings.json_depth_max;
            json::parse_unambiguous(&bytes, depth_max).map(Json)
        })
    }
}

/// A browser's form cannot send these types across sites without asking first.
fn check_media_type(media_type: &str) -> Result<(), ApiError> {
    if matches!(media_type, "" | "application/json") || media_type.ends_with("+json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        format!("`{media_type}` is not understood here; send application/json"),
    ))
}

fn front(request: &HttpRequest) -> web::Data<Front> {
    let front = request.app_data::<web::Data<Front>>();
    front.expect("every server is built with its state").clone()
}
