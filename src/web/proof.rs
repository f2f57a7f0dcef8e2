//! Proves that whoever sends a form or a call with a session's cookie has read a page of that
//! session: a token that only the session's own pages hold. It is derived from the session, so
//! that nothing is stored.
//!
//! What is sent before there is a session (signing in, setting up, joining, a hosted form) acts
//! for nobody who is signed in; the first three are protected by where the form stood.

use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest, web};
use ring::hmac;

use super::auth;
use super::body;
use super::error::ApiError;
use super::idempotency::put_back;
use super::multipart;
use super::route::{Access, Route};
use super::settings::BodyLimits;
use super::state::Front;
use crate::clock::Clock;

/// The field of a form that carries the token.
pub const FIELD: &str = "_token";
/// The header of a call that carries it.
pub const HEADER: &str = "x-csrf-token";

/// How many bytes the mask has, and the proof itself.
const PROOF_BYTES: usize = 32;
const PURPOSE: &[u8] = b"ergane: a page of this session, 1";
const FORM: &str = "application/x-www-form-urlencoded";
/// Forms that anybody may send, and that do something to the session if there is one.
const OF_ANY_SESSION: [&str; 2] = ["page_leave", "page_theme"];

/// Returns a token of a session, which looks different each time: pages are packed, and how well
/// something packs beside what a visitor wrote would tell what it is (the attack named BREACH).
#[must_use]
pub fn of(session: &str, clock: &Clock) -> String {
    let mask: Vec<u8> = (0..PROOF_BYTES / 8).flat_map(|_| clock.random().to_be_bytes()).collect();
    let proof = hmac::sign(&key(session), PURPOSE);
    hex::encode([mask.as_slice(), &mixed(&mask, proof.as_ref())].concat())
}

/// Puts a mask over a proof, or takes it off again.
fn mixed(mask: &[u8], proof: &[u8]) -> Vec<u8> {
    mask.iter().zip(proof).map(|(mask, byte)| mask ^ byte).collect()
}

/// Returns a token of the browser's session; empty without one.
#[must_use]
pub fn of_request(request: &HttpRequest) -> String {
    let front = request.app_data::<web::Data<Front>>();
    let session = front.zip(auth::session_cookie(request));
    session.map(|(front, session)| of(&session, &front.clock)).unwrap_or_default()
}

fn key(session: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, session.as_bytes())
}

/// Compares in a time that tells nothing of how much is right.
fn fits(session: &str, shown: &str) -> bool {
    let shown = hex::decode(shown).unwrap_or_default();
    let Some((mask, proof)) = shown.split_at_checked(PROOF_BYTES) else { return false };
    proof.len() == PROOF_BYTES && hmac::verify(&key(session), PURPOSE, &mixed(mask, proof)).is_ok()
}

/// Lets a request through that changes nothing, comes with a key, or shows its session's token.
/// The body of a form is taken here, within its limits, and put back for the handler.
///
/// # Errors
/// Refuses with 403 what shows no token or another session's, and what [`body::collect`] refuses.
pub async fn check(
    route: &Route,
    request: &mut ServiceRequest,
    limits: BodyLimits,
) -> Result<(), ApiError> {
    if request.method().is_safe() {
        return Ok(());
    }
    let form = if is_form(route, request) {
        let payload = request.take_payload();
        let body = body::collect(request.request(), payload, limits).await?;
        put_back(request, body.clone());
        Some(body)
    } else {
        None
    };
    let Some(session) = session_that_acts(route, request) else { return Ok(()) };
    let named = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    let typed = form.as_deref().and_then(|form| typed(request, form));
    if named.or(typed.as_deref()).is_some_and(|shown| fits(&session, shown)) {
        return Ok(());
    }
    let detail = "this was not sent from a page of this session; load the page again and repeat";
    Err(ApiError::new(StatusCode::FORBIDDEN, "token_missing", detail.to_owned()))
}

fn is_form(route: &Route, request: &ServiceRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    route.is_page() || kind.is_some_and(|kind| kind.trim_start().starts_with(FORM))
}

fn session_that_acts(route: &Route, request: &ServiceRequest) -> Option<String> {
    let acts = route.access != Access::Public || OF_ANY_SESSION.contains(&route.id);
    auth::session_shown(request).filter(|_| acts)
}

fn typed(request: &ServiceRequest, form: &[u8]) -> Option<String> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if let Some(boundary) = kind.and_then(multipart::boundary) {
        let parts = multipart::parts(boundary, form);
        return parts.into_iter().find(|(name, _)| name == FIELD).map(|(_, value)| value);
    }
    let mut pairs = url::form_urlencoded::parse(form);
    pairs.find(|(name, _)| name == FIELD).map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_fits_its_own_session_alone() {
        let clock = Clock::system();
        let token = of("session-one", &clock);
        assert!(fits("session-one", &token) && !fits("session-two", &token));
        for wrong in ["", "00", "not hexadecimal", &token[..126], &format!("{token}00")] {
            assert!(!fits("session-one", wrong), "{wrong}");
        }
        assert!(!token.contains("session"), "it tells nothing of the session");
        let another = of("session-one", &clock);
        assert!(another != token && fits("session-one", &another), "each looks different");
    }
}
