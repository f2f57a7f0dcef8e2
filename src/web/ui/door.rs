//! Signing in and out, and the switch between light and dark.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;

use super::shell::{Shell, Theme, safe_return};
use super::visit::{self, THEME_COOKIE, see_other, with_status};
use super::{assets, sign_in};
use crate::app::App;
use crate::app::error::Error;
use crate::app::sign_in::Credentials;
use crate::web::auth::{HOST_COOKIE, SESSION_COOKIE, session_cookie as session_token};
use crate::web::error::Answer;
use crate::web::origin;

/// What a form that another site sent is answered with.
pub(super) const FOREIGN: &str = "The form came from another site. Please try again here.";

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

/// What the forms at the door send: a mail address with a password, or a key.
#[derive(Deserialize)]
pub struct SignIn {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
    key: Option<String>,
    next: Option<String>,
}

/// Takes a password or a key and begins a session; one that the browser had ends.
pub async fn enter(request: HttpRequest, app: web::Data<App>, form: web::Form<SignIn>) -> Answer {
    let shell = visit::shell(&request);
    let form = form.into_inner();
    let next = form.next.as_deref().unwrap_or_default();
    if !origin::is_own_page(&request) {
        return Ok(refused(StatusCode::FORBIDDEN, shell, next, FOREIGN.to_owned()));
    }
    let from = origin::of(&request);
    let entered = match form.key.as_deref().map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => app.sign_in_with_key(key, from).await,
        None => {
            let (email, password, code) = (form.email, form.password, form.code);
            app.sign_in(Credentials { email, password, code }, from).await
        }
    };
    match entered {
        Ok(entered) => {
            if let Some(former) = session_token(&request) {
                app.sign_out(&former).await?;
            }
            let mut answer = see_other(place(&shell, next));
            let cookie = session_cookie(&shell, entered.token);
            answer.add_cookie(&cookie).map_err(|error| Error::Internal(error.to_string()))?;
            Ok(answer)
        }
        Err(error) => match refusal(&error) {
            Some((status, problem)) => Ok(refused(status, shell, next, problem)),
            None => Err(error.into()),
        },
    }
}

/// Says what a form on a page of its own is answered with when it is refused.
pub(super) fn refusal(error: &Error) -> Option<(StatusCode, String)> {
    match error {
        Error::Unauthenticated(detail) => Some((StatusCode::UNAUTHORIZED, sentence(detail))),
        Error::Busy { detail, retry_after } => {
            let seconds = retry_after.as_millis().div_ceil(1_000).max(1);
            let text = format!("{} Try again in {seconds} s.", sentence(detail));
            Some((StatusCode::TOO_MANY_REQUESTS, text))
        }
        Error::Conflict { detail, .. } => Some((StatusCode::CONFLICT, sentence(detail))),
        Error::Invalid(problems) => {
            let lines = problems.iter().map(|problem| {
                let field = problem.pointer.trim_start_matches('/');
                sentence(format!("{field} {}", problem.detail).trim())
            });
            Some((StatusCode::UNPROCESSABLE_ENTITY, lines.collect::<Vec<_>>().join(" ")))
        }
        Error::Forbidden { scope } => {
            let text = format!("This needs the scope {scope}, which you do not have.");
            Some((StatusCode::FORBIDDEN, text))
        }
        _ => None, // The page of errors says it.
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().collect::<String>());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
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

/// Returns the cookie of a session; where that can be had, one that this very host alone may set.
pub fn session_cookie(shell: &Shell, token: String) -> Cookie<'static> {
    let is_host = shell.is_secure() && shell.base.is_empty();
    let name = if is_host { HOST_COOKIE } else { SESSION_COOKIE };
    Cookie::build(name, token)
        .path(shell.cookie_path().to_owned())
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(shell.is_secure())
        .finish()
}

/// Ends the session.
pub async fn leave(request: HttpRequest, app: web::Data<App>) -> Answer {
    let shell = visit::shell(&request);
    if let Some(token) = session_token(&request).filter(|_| origin::is_own_page(&request)) {
        app.sign_out(&token).await?;
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
    // What was packed came with a weak tag.
    let fresh = known.is_some_and(|known| known.trim_start_matches("W/") == asset.etag);
    let mut answer = if fresh { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header(("cache-control", "public, max-age=31536000, immutable"))
        .insert_header(("etag", asset.etag));
    if fresh {
        return Ok(answer.finish());
    }
    Ok(answer.content_type(asset.content_type).body(asset.bytes.into_owned()))
}
