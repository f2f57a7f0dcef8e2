//! Around every request: its id, its line in the log, the headers and documents of every answer.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error as ActixError, HttpMessage as _, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tracing::{debug, warn};

use super::connection::{AtWork, Link, Tail};
use super::crowd::Place;
use super::error::{ApiError, of_framework};
use super::origin;
use super::pack::pack;
use super::route::Route;
use super::settings::WebSettings;
use super::state::Front;
use super::thena;
use super::ui;
use crate::app::App;
use crate::app::error::Error;
use crate::app::principal::Principal;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_CHARS_MAX: usize = 128;
const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";

const NO_CONTENT_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// The largest body that the framework takes over whole before it is sent.
const SHORT_BYTES_MAX: u64 = 32 << 10;
/// How much of a larger one is handed over at once, in bytes.
const PIECE_BYTES: usize = 32 << 10;

/// The request's id, for handlers and logs.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// Passes a request on and finishes its answer.
///
/// # Errors
/// Passes on what the services below fail with.
pub async fn wrap(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let began = Instant::now();
    let front = request.app_data::<web::Data<Front>>();
    let front = front.expect("every server is built with its state").clone();
    let id = request_id(request.headers(), &front);
    request.extensions_mut().insert(RequestId(id.clone()));
    let link = request.request().conn_data::<Rc<Link>>();
    let at_work = link.map(|link| link.begin(tail(request.headers())));
    let proxied = origin::behind_proxy(request.request()).map(|client| front.crowd.enter(client));
    let excess = excess(&request, &front.settings);
    let response = match excess.or_else(|| matches!(proxied, Some(None)).then(crowded)) {
        Some(refusal) => request.error_response(refusal),
        None => next.call(request).await?,
    };
    let mut response = with_document(response, &id, &front);
    dress(&mut response, &id);
    thena::envelope::dress(&mut response);
    let route = response.request().extensions().get::<&'static Route>().copied();
    let status = response.status().as_u16();
    front.metrics.count(route, status, began.elapsed());
    if matches!(status, 429 | 503 | 507) {
        let who = response.request().extensions().get::<Principal>().map(|who| who.tenant);
        front.metrics.refused(who, status);
    }
    log(&response, &id, began);
    Ok(pack(response).map_body(|_, body| held(body, at_work, proxied.flatten())))
}

fn tail(headers: &HeaderMap) -> Tail {
    let length = headers.get(header::CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let comes = headers.contains_key(header::TRANSFER_ENCODING)
        || length.is_some_and(|length| length != b"0");
    if comes { Tail::Body } else { Tail::Nothing }
}

/// Refuses what is out of proportion before anything is done with it.
fn excess(request: &ServiceRequest, limits: &WebSettings) -> Option<ApiError> {
    let refusal = |status, code, detail| Some(ApiError::new(status, code, detail));
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if uri > limits.uri_bytes_max {
        let detail = format!("the address has {uri} bytes, the limit is {}", limits.uri_bytes_max);
        return refusal(StatusCode::URI_TOO_LONG, "uri_too_long", detail);
    }
    let names = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    let head: usize = names.sum();
    if head > limits.head_bytes_max {
        let detail =
            format!("the headers have {head} bytes, the limit is {}", limits.head_bytes_max);
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return refusal(status, "headers_too_large", detail);
    }
    None
}

fn crowded() -> ApiError {
    let detail = "this address has too many requests in flight; wait for some".to_owned();
    Error::Busy { detail, retry_after: Duration::from_secs(1) }.into()
}

/// A body that is still on its way holds what was taken for its request, and goes out in pieces: a
/// client that does not read costs one piece beside what is shared.
struct Held {
    body: BoxBody,
    rest: Bytes,
    _at_work: Option<AtWork>,
    _place: Option<Place>,
}

impl MessageBody for Held {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_next(ctx)) {
                Some(Ok(chunk)) => this.rest = chunk,
                end => return Poll::Ready(end),
            }
        }
        let piece = this.rest.len().min(PIECE_BYTES);
        Poll::Ready(Some(Ok(this.rest.split_to(piece))))
    }
}

fn held(body: BoxBody, at_work: Option<AtWork>, place: Option<Place>) -> BoxBody {
    let is_short = match body.size() {
        BodySize::None => true,
        BodySize::Sized(bytes) => bytes <= SHORT_BYTES_MAX,
        BodySize::Stream => false,
    };
    if is_short {
        return body; // It is handed to the connection in one piece.
    }
    BoxBody::new(Held { body, rest: Bytes::new(), _at_work: at_work, _place: place })
}

/// Returns the id that a request got.
pub fn id_of(request: &HttpRequest) -> String {
    request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default()
}

/// Takes over the caller's id if it is harmless in a log, else makes one.
fn request_id(headers: &HeaderMap, front: &Front) -> String {
    let given = headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or("");
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    if !given.is_empty() && given.len() <= REQUEST_ID_CHARS_MAX && given.chars().all(harmless) {
        return given.to_owned();
    }
    format!("req_{:016x}", front.clock.random())
}

/// Every refusal becomes a problem document that names its request.
fn with_document(
    response: ServiceResponse<BoxBody>,
    id: &str,
    front: &Front,
) -> ServiceResponse<BoxBody> {
    let Some(refusal) = refusal_in(&response) else {
        return response;
    };
    let path = response.request().path();
    let mut document = if thena::envelope::speaks(path, &front.settings.base()) {
        thena::envelope::refuse(&refusal, id, front.clock.now())
    } else if ui::errors::is_read_by_a_person(response.request()) {
        ui::errors::answer(response.request(), &refusal, id)
    } else {
        refusal.render(path, id)
    };
    for (name, value) in response.headers() {
        let described = name == header::CONTENT_TYPE || name == header::CONTENT_LENGTH;
        if !described && !document.headers().contains_key(name) {
            document.headers_mut().append(name.clone(), value.clone());
        }
    }
    response.into_response(document)
}

fn refusal_in(response: &ServiceResponse<BoxBody>) -> Option<ApiError> {
    let status = response.status();
    if let Some(error) = response.response().error() {
        let own = error.as_error::<ApiError>().cloned();
        return Some(own.unwrap_or_else(|| of_framework(status, &error.to_string())));
    }
    let bare = matches!(response.response().body().size(), BodySize::Sized(0));
    let is_failure = status.is_client_error() || status.is_server_error();
    (is_failure && bare && status != StatusCode::PRECONDITION_FAILED)
        .then(|| of_framework(status, status.canonical_reason().unwrap_or("refused")))
}

/// Answers what no route takes.
pub async fn unknown(request: actix_web::HttpRequest) -> Result<HttpResponse, ApiError> {
    let detail = format!("there is nothing at {}", request.path());
    Err(ApiError::new(StatusCode::NOT_FOUND, "not_found", detail))
}

fn dress(response: &mut ServiceResponse<BoxBody>, id: &str) {
    let path = response.request().path();
    let is_page = is_html(response.headers());
    let is_secure = origin::is_secure(response.request());
    let is_asset = path.contains("/static/") || path.contains("/assets/");
    let is_kept = is_asset && !response.status().is_client_error();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
    let mut set = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if !is_kept {
        set(header::CACHE_CONTROL, "no-store");
    }
    if is_secure {
        set(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
    set(header::X_FRAME_OPTIONS, "DENY");
    if is_page {
        set(header::CONTENT_SECURITY_POLICY, CONTENT_POLICY);
        set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    } else {
        // What is no page loads, runs and frames nothing, whatever a browser takes it for.
        set(header::CONTENT_SECURITY_POLICY, NO_CONTENT_POLICY);
    }
}

fn is_html(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.starts_with("text/html"))
}

fn log(response: &ServiceResponse<BoxBody>, id: &str, began: Instant) {
    let request = response.request();
    let (method, status) = (request.method(), response.status().as_u16());
    let took_us = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    // The path may name things, and the query and the bodies hold what is nobody else's business:
    // the log has the route's template.
    let route = request.extensions().get::<&'static Route>().map_or("unknown", |it| it.path);
    let tenant = request.extensions().get::<Principal>().map(|who| who.tenant);
    let tenant = tenant.and_then(|id| request.app_data::<web::Data<App>>()?.tenant_slug(id));
    if status >= 500 {
        warn!(request.id = id, tenant, took_us, status, "{method} {route} answered {status}");
    } else if tracing::enabled!(tracing::Level::DEBUG) {
        let bytes = match response.response().body().size() {
            actix_web::body::BodySize::Sized(bytes) => Some(bytes),
            _ => None, // A stream's is not known yet.
        };
        debug!(
            request.id = id,
            tenant, took_us, bytes, status, "{method} {route} answered {status}"
        );
    }
}
