//! Stands before every route of the table: method, caller, scope, rate, repeats.

use std::rc::Rc;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error as ActixError, HttpMessage as _, HttpResponse, web};
use url::{Position, Url};

use super::error::ApiError;
use super::route::{Access, Route, Verb};
use super::state::{Allowance, Front, Verdict};
use super::{auth, idempotency, origin, proof};
use crate::app::App;
use crate::app::error::Error;
use crate::app::principal::Principal;
use crate::failpoint;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Where a person without a session is led.
pub const SIGN_IN: &str = "/sign-in";

/// Lets a request through to its handler or answers in its place.
///
/// # Errors
/// Passes on what the handler's service fails with.
pub async fn pass(
    routes: Rc<[&'static Route]>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let Some(route) = routes.iter().copied().find(|route| route.verb.takes(request.method()))
    else {
        let refusal = method_not_allowed(&routes);
        return Ok(request.error_response(refusal));
    };
    request.extensions_mut().insert(route);
    let app = state::<App>(&request);
    let front = state::<Front>(&request);
    let principal = match admit(&app, route, &request).await {
        Ok(principal) => principal,
        Err(Stop::Refused(refusal)) => return Ok(request.error_response(refusal)),
        Err(Stop::Led(elsewhere)) => return Ok(request.into_response(elsewhere)),
    };
    if let Err(refusal) = proof::check(route, &mut request, front.settings.body_limits()).await {
        return Ok(request.error_response(refusal));
    }
    let allowance = front.rate.take(bucket(principal.as_ref(), &request));
    let mut response = match allowance {
        Some(Allowance { verdict: Verdict::Refused, .. }) => {
            request.error_response(too_many(&front))
        }
        _ => proceed((&app, &front), principal, request, next).await?,
    };
    if let Some(allowance) = allowance {
        show(&mut response, allowance, &front);
    }
    Ok(response)
}

fn state<T: 'static>(request: &ServiceRequest) -> web::Data<T> {
    request.app_data::<web::Data<T>>().expect("every server is built with its state").clone()
}

enum Stop {
    Refused(ApiError),
    Led(HttpResponse),
}

async fn admit(
    app: &App,
    route: &Route,
    request: &ServiceRequest,
) -> Result<Option<Principal>, Stop> {
    let scope = match route.access {
        Access::Public => return Ok(None),
        Access::Known | Access::OwnPage => None,
        Access::Scope(scope) | Access::Page(scope) => Some(scope),
    };
    match auth::identify(app, request).await {
        Ok(principal) => match scope.filter(|scope| !principal.scopes.allow(scope)) {
            None => Ok(Some(principal)),
            Some(scope) => {
                let scope = scope.to_owned();
                Err(Stop::Refused(Error::Forbidden { scope }.into()))
            }
        },
        Err(Error::Unauthenticated(_))
            if matches!(route.access, Access::Page(_) | Access::OwnPage) =>
        {
            Err(Stop::Led(to_sign_in(request)))
        }
        Err(error) => Err(Stop::Refused(error.into())),
    }
}

/// Leads to the door, and from there back to where the person was.
fn to_sign_in(request: &ServiceRequest) -> HttpResponse {
    if request.headers().contains_key("hx-request") {
        // A part of a page has no room for the door: the browser asks for the whole page again.
        return HttpResponse::Unauthorized().insert_header(("hx-refresh", "true")).finish();
    }
    let base = state::<Front>(request).settings.base();
    // Where a form was sent to cannot be visited afterwards; the page that held it can.
    let page = match Verb::Get.takes(request.method()) {
        true => request.uri().path_and_query().map(|page| page.as_str().to_owned()),
        false => sender(request),
    };
    let page = page.unwrap_or_default();
    let next: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
    let place = format!("{base}{SIGN_IN}?next={next}");
    HttpResponse::SeeOther().insert_header((header::LOCATION, place)).finish()
}

fn sender(request: &ServiceRequest) -> Option<String> {
    let page = request.headers().get(header::REFERER)?.to_str().ok()?;
    let page = Url::parse(page).ok()?;
    Some(page[Position::BeforePath..Position::AfterQuery].to_owned())
}

async fn proceed(
    (app, front): (&App, &Front),
    principal: Option<Principal>,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, ActixError> {
    let Some(principal) = principal else {
        return next.call(request).await;
    };
    failpoint::hit("request.handle");
    request.extensions_mut().insert(principal.clone());
    let repeats = request.headers().contains_key(idempotency::KEY);
    if repeats && Verb::Post.takes(request.method()) {
        return idempotency::once((app, front), &principal, request, next).await;
    }
    next.call(request).await
}

fn method_not_allowed(routes: &[&'static Route]) -> ApiError {
    let names: Vec<_> = routes.iter().map(|route| route.verb.name()).collect();
    let allowed = names.join(", ");
    let detail = format!("this path takes {allowed}");
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
        .with_header(header::ALLOW, allowed)
}

fn too_many(front: &Front) -> ApiError {
    let detail = format!(
        "this key may make {} requests a second; slow down",
        front.settings.requests_per_second
    );
    Error::Busy { detail, retry_after: Duration::from_secs(1) }.into()
}

/// Callers without a key share a bucket with their address.
fn bucket(principal: Option<&Principal>, request: &ServiceRequest) -> u64 {
    let hasher = ahash::RandomState::with_seeds(1, 2, 3, 4);
    match principal {
        Some(principal) => hasher.hash_one((principal.tenant, &principal.id)),
        None => hasher.hash_one(origin::of(request.request()).address),
    }
}

fn show(response: &mut ServiceResponse<BoxBody>, allowance: Allowance, front: &Front) {
    let now = front.clock.now().millis() / 1_000;
    let headers = response.headers_mut();
    headers.insert(LIMIT, HeaderValue::from(allowance.limit));
    headers.insert(REMAINING, HeaderValue::from(allowance.remaining));
    headers.insert(RESET, HeaderValue::from(now + i64::from(allowance.reset_seconds)));
}
