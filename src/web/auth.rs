//! Who is asking: a key, a session or a person on the box, and in which tenant.

use std::rc::Rc;

use actix_web::HttpRequest;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _};
use futures_util::future::{Ready, ready};
use subtle::ConstantTimeEq as _;

use super::connection::{Door, Link};
use super::error::ApiError;
use super::origin;
use super::settings::WebSettings;
use crate::app::App;
use crate::app::error::Error;
use crate::app::principal::Principal;

/// The cookie that holds a session's token.
pub const SESSION_COOKIE: &str = "ergane_session";
/// The same where the browser can be told to take it from this very host over TLS alone.
pub const HOST_COOKIE: &str = "__Host-ergane_session";

/// The cookie that holds the tenant which a browser looks into.
pub const TENANT_COOKIE: &str = "ergane_tenant";

/// What a request shows of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// An API key.
    Key(String),
    /// A browser's session.
    Session(String),
    /// Access to the box itself.
    Local,
}

/// The authenticated caller, for handlers.
#[derive(Clone, Debug)]
pub struct Caller(pub Principal);

impl FromRequest for Caller {
    type Error = ApiError;
    type Future = Ready<Result<Caller, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let principal = request.extensions().get::<Principal>().cloned();
        // Only a handler behind a public route can miss it, and such a one must not ask.
        ready(principal.map(Caller).ok_or_else(|| unauthenticated().into()))
    }
}

/// Finds out who is asking and in which tenant.
///
/// # Errors
/// `Unauthenticated` without a valid credential, `NotFound` for a tenant that the caller may not
/// name, `Forbidden` for a session that another site speaks for.
pub async fn identify(app: &App, request: &ServiceRequest) -> Result<Principal, Error> {
    let shown = credential(request.request()).ok_or_else(unauthenticated)?;
    if matches!(shown, Credential::Session(_)) {
        check_own_page(request)?;
    }
    let mut principal = principal_of(app, &shown).await?;
    if matches!(shown, Credential::Session(_)) {
        look_into(app, request.request(), &mut principal).await;
    }
    request.extensions_mut().insert(shown);
    principal.origin = origin::of(request.request());
    if let Some(named) = text(request.headers(), "x-tenant") {
        principal.tenant = app.tenant_for(&principal, named).await?;
    }
    Ok(principal)
}

/// Takes the tenant that the browser has chosen; one that is gone or not theirs is as good as none.
async fn look_into(app: &App, request: &HttpRequest, principal: &mut Principal) {
    if let Some(chosen) = request.cookie(TENANT_COOKIE)
        && let Ok(tenant) = app.tenant_for(principal, chosen.value()).await
    {
        principal.tenant = tenant;
    }
}

/// Returns the caller that a credential stands for at this moment, in its own tenant.
///
/// # Errors
/// `Unauthenticated` for one that is not valid any more.
pub async fn principal_of(app: &App, shown: &Credential) -> Result<Principal, Error> {
    match shown {
        Credential::Local => app.local_owner(),
        Credential::Key(key) => app.authenticate(key).await,
        Credential::Session(token) => app.authenticate_session(token).await,
    }
}

/// Returns whether whoever scrapes the metrics sees the names that tenants gave: with the token of
/// the settings or as an owner of the appliance; anybody where it listens for this machine alone.
pub async fn sees_tenants(app: &App, settings: &WebSettings, request: &HttpRequest) -> bool {
    let shown = credential(request);
    if let Some(Credential::Key(key)) = &shown
        && !settings.metrics_token.is_empty()
        && bool::from(key.as_bytes().ct_eq(settings.metrics_token.as_bytes()))
    {
        return true;
    }
    match shown {
        None => settings.listens_inside() && settings.metrics_token.is_empty(),
        Some(shown) => match principal_of(app, &shown).await {
            Ok(who) => app.owns_appliance(&who).unwrap_or(false),
            Err(_) => false,
        },
    }
}

/// Returns what a request has shown, once it was admitted.
#[must_use]
pub fn shown_by(request: &HttpRequest) -> Option<Credential> {
    request.extensions().get::<Credential>().cloned()
}

fn unauthenticated() -> Error {
    Error::Unauthenticated(
        "send a valid API key as `Authorization: Bearer <key>` or `x-api-key`".to_owned(),
    )
}

/// A key that is sent counts, even beside a cookie or on the control socket.
fn credential(request: &HttpRequest) -> Option<Credential> {
    let headers = request.headers();
    if let Some(value) = text(headers, header::AUTHORIZATION.as_str()) {
        let (scheme, key) = value.split_once(' ').unwrap_or(("", value));
        let is_bearer = scheme.eq_ignore_ascii_case("bearer");
        return is_bearer.then(|| Credential::Key(key.trim().to_owned()));
    }
    // Thena's apps show the key of their bot in a header of its own.
    if let Some(key) = text(headers, "x-api-key").or_else(|| text(headers, "x-bot-key")) {
        return Some(Credential::Key(key.to_owned()));
    }
    let link = request.conn_data::<Rc<Link>>();
    if link.is_some_and(|link| link.door == Door::Local) {
        return Some(Credential::Local);
    }
    let cookie = session_cookie(request)?;
    Some(Credential::Session(cookie))
}

/// Returns the token of the session that a request acts for; none where it shows something better.
pub fn session_shown(request: &ServiceRequest) -> Option<String> {
    match credential(request.request())? {
        Credential::Session(token) => Some(token),
        Credential::Key(_) | Credential::Local => None,
    }
}

/// Returns the token of the browser's session.
pub fn session_cookie(request: &HttpRequest) -> Option<String> {
    let cookie = request.cookie(HOST_COOKIE).or_else(|| request.cookie(SESSION_COOKIE))?;
    Some(cookie.value().to_owned())
}

/// A browser sends its cookie along with what another site makes it send.
fn check_own_page(request: &ServiceRequest) -> Result<(), Error> {
    if request.method().is_safe() || origin::is_own_page(request.request()) {
        return Ok(());
    }
    Err(Error::Forbidden { scope: "same-origin".to_owned() })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    #[test]
    fn a_key_is_found_wherever_it_may_stand() {
        for (name, value, found) in [
            ("authorization", "Bearer abc", Some(Credential::Key("abc".to_owned()))),
            ("authorization", "bearer  abc", Some(Credential::Key("abc".to_owned()))),
            ("authorization", "Basic abc", None),
            ("x-api-key", "abc", Some(Credential::Key("abc".to_owned()))),
            ("x-bot-key", "abc", Some(Credential::Key("abc".to_owned()))),
            ("cookie", "ergane_session=t", Some(Credential::Session("t".to_owned()))),
            ("accept", "*/*", None),
        ] {
            let request = TestRequest::default().insert_header((name, value)).to_srv_request();
            assert_eq!(credential(request.request()), found, "{name}: {value}");
        }
    }
}
