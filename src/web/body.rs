//! Takes a request's body, bounded in size and in time.

use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use super::cloudevents::media_type;
use super::error::ApiError;
use super::state::Front;
use super::{fields::Fields, json};
use crate::app::error::Error;

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
/// Refuses with 413 what is larger than `bytes_max`, with 408 what takes longer than `timeout` and
/// with 400 what breaks off.
pub async fn collect(
    headers: &HeaderMap,
    payload: Payload,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, ApiError> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let announced: u64 = announced.and_then(|text| text.parse().ok()).unwrap_or(0);
    check_size(announced, bytes_max)?;
    match tokio::time::timeout(timeout, read(payload, bytes_max)).await {
        Ok(body) => body,
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!("the body did not arrive within {} ms", timeout.as_millis()),
        )),
    }
}

async fn read(mut payload: Payload, bytes_max: usize) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|fault| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                "bad_body",
                format!("the body broke off: {fault}"),
            )
        })?;
        check_size((first.len() + all.len() + chunk.len()) as u64, bytes_max)?;
        if first.is_empty() && all.is_empty() {
            first = chunk; // Most bodies are one chunk, which then is never copied.
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&chunk);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
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
            let (bytes_max, timeout) =
                (front.settings.body_bytes_max, front.settings.body_timeout());
            collect(request.headers(), payload, bytes_max, timeout).await.map(Raw)
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
            json::parse(&bytes, front(&request).settings.json_depth_max).map(Json)
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
