//! Signing in with a key, signing out, and the switch between light and dark.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::shell::{Shell, Theme, safe_return};
use super::visit::{self, THEME_COOKIE, see_other, with_status};
use super::{assets, sign_in};
use crate::app::App;
use crate::app::error::Error;
use crate::web::auth::SESSION_COOKIE;
use crate::web::error::Answer;

/// Where a good key leads.
#[derive(Debug, Deserialize)]
pub struct Next {
    next: Option<String>,
}

/// Shows the door.
pub async fn show(request: HttpRequest, query: web::Query<Next>) -> Answer {
    let next = query.next.as_deref().unwrap_or_default();
    visit::html(&sign_in::page(visit::shell(&request), next, None))
}

/// What the form at the door sends.
#[derive(Deserialize)]
pub struct SignIn {
    key: String,
    next: Option<String>,
}

/// Takes a key and begins a session.
pub async fn enter(request: HttpRequest, app: web::Data<App>, form: web::Form<SignIn>) -> Answer {
    let shell = visit::shell(&request);
    let next = form.next.as_deref().unwrap_or_default();
    if is_foreign(&request) {
        let problem = "The form came from another site. Please try again here.".to_owned();
        return Ok(refused(StatusCode::FORBIDDEN, shell, next, problem));
    }
    match app.sign_in(form.key.trim()).await {
        Ok(token) => {
            let place = place(&shell, next);
            let mut answer = see_other(place);
            let cookie = session_cookie(&shell, token);
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(Error::Unauthenticated(_)) => {
            let problem = "This key is not known, it has ended, or it was revoked.".to_owned();
            Ok(refused(StatusCode::UNAUTHORIZED, shell, next, problem))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns where to go: the page that was asked for, or the dashboard.
fn place(shell: &Shell, next: &str) -> String {
    match safe_return(next) {
        "/" => shell.url("/"),
        path => path.to_owned(),
    }
}

fn refused(status: StatusCode, shell: Shell, next: &str, problem: String) -> HttpResponse {
    with_status(status, &sign_in::page(shell, next, Some(problem)))
}

/// Tells whether another site made the browser send this, so as to sign it in as someone else.
pub(super) fn is_foreign(request: &HttpRequest) -> bool {
    let site = request.headers().get("sec-fetch-site").and_then(|value| value.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}

pub(super) fn session_cookie(shell: &Shell, token: String) -> Cookie<'static> {
    Cookie::build(SESSION_COOKIE, token)
        .path(shell.cookie_path().to_owned())
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(shell.origin.starts_with("https://"))
        .finish()
}

/// Ends the session.
pub async fn leave(request: HttpRequest, app: web::Data<App>) -> Answer {
    let shell = visit::shell(&request);
    if let Some(cookie) = request.cookie(SESSION_COOKIE).filter(|_| !is_foreign(&request)) {
        app.sign_out(cookie.value()).await?;
    }
    let mut answer = see_other(shell.url("/sign-in"));
    let mut cookie = session_cookie(&shell, String::new());
    cookie.make_removal();
    answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(answer)
}

/// What the theme's switch sends where no script runs.
#[derive(Deserialize)]
pub struct Switch {
    theme: String,
    #[serde(rename = "return")]
    back: Option<String>,
}

/// Keeps the chosen theme.
pub async fn theme(request: HttpRequest, form: web::Form<Switch>) -> Answer {
    let shell = visit::shell(&request);
    let back = safe_return(form.back.as_deref().unwrap_or_default());
    let mut answer = see_other(shell.url(back));
    let chosen = Theme::from_cookie(&form.theme).map_or("", Theme::word);
    let cookie = Cookie::build(THEME_COOKIE, chosen)
        .path(shell.cookie_path().to_owned())
        .same_site(SameSite::Lax)
        .max_age(Duration::days(365))
        .finish();
    answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
    Ok(answer)
}

/// Serves a file of `static/`.
pub async fn asset(request: HttpRequest, file: web::Path<String>) -> Answer {
    let asset = assets::find(&format!("/static/{file}"));
    let asset = asset.ok_or_else(|| Error::NotFound { what: "file", id: file.into_inner() })?;
    let known = request.headers().get("if-none-match").and_then(|value| value.to_str().ok());
    let fresh = known == Some(asset.etag.as_str());
    let mut answer = if fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header(("cache-control", "public, max-age=31536000, immutable"))
        .insert_header(("etag", asset.etag));
    if fresh {
        return Ok(answer.finish());
    }
    Ok(answer.content_type(asset.content_type).body(asset.bytes.into_owned()))
}
