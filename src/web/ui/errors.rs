//! What a person reads when a page cannot be shown: what happened, why, and what to press.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse};
use askama::Template;

use super::parts::mark::capital;
use super::run::encoded;
use super::shell::Shell;
use super::visit;
use crate::app::principal::Scopes;
use crate::domain::problem::Problem;
use crate::domain::role::Role;
use crate::web::error::ApiError;

/// The page.
#[derive(Template)]
#[template(path = "errors.html")]
pub struct ErrorPage {
    shell: Shell,
    status: u16,
    title: &'static str,
    detail: String,
    advice: &'static str,
    problems: Vec<Problem>,
    /// The roles that have what was missing.
    roles: Vec<&'static str>,
    scope: String,
    /// After how many seconds to try again.
    wait: Option<String>,
    request_id: String,
    link: (&'static str, String),
    /// Everything that somebody needs who is asked for help.
    details: String,
    in_frame: bool,
}

/// Tells whether a refusal of this request is read by a person: a browser asked for a page.
pub fn is_read_by_a_person(request: &HttpRequest) -> bool {
    let accepted = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
    if !accepted.is_some_and(|accepted| accepted.contains("text/html")) {
        return false;
    }
    let path = visit::shell(request).here;
    !["/v1", "/api", "/hooks", "/metrics"].iter().any(|it| path.starts_with(it))
}

/// Answers with the page of a refusal.
pub fn answer(request: &HttpRequest, refusal: &ApiError, request_id: &str) -> HttpResponse {
    visit::with_status(refusal.status(), &page(visit::shell(request), refusal, request_id))
}

/// Makes the page of a refusal.
pub fn page(shell: Shell, refusal: &ApiError, request_id: &str) -> ErrorPage {
    let status = refusal.status().as_u16();
    let (title, advice) = words(status);
    let link = match status {
        401 => ("Sign in", shell.url(&format!("/sign-in?next={}", encoded(&shell.here)))),
        412 | 429 | 503 => ("Try again", shell.url(&shell.here)),
        _ => ("Go to the dashboard", shell.url("/")),
    };
    ErrorPage {
        status,
        title,
        detail: capital(refusal.detail()),
        advice,
        problems: refusal.problems().to_vec(),
        roles: refusal.member("scope").map(roles_with).unwrap_or_default(),
        scope: refusal.member("scope").unwrap_or_default().to_owned(),
        wait: refusal.header(&header::RETRY_AFTER).map(str::to_owned),
        request_id: request_id.to_owned(),
        details: format!(
            "{status} {}: {}\npage {}\nrequest {request_id}\nat {}",
            refusal.code(),
            refusal.detail(),
            shell.here,
            shell.now
        ),
        link,
        in_frame: shell.viewer.is_some(),
        shell,
    }
}

/// Returns the roles that may do what `scope` names; the mightiest may do everything.
fn roles_with(scope: &str) -> Vec<&'static str> {
    let may = |role: &&Role| Scopes::of_roles(&[**role]).allow(scope);
    Role::ALL.iter().filter(may).map(|role| role.name()).collect()
}

fn words(status: u16) -> (&'static str, &'static str) {
    match status {
        400 | 422 => ("That is not valid", "Nothing was changed. Go back and mend it."),
        401 => ("Please sign in", "The session has ended, or there was none."),
        403 => (
            "Not allowed",
            "Whoever manages people or keys of this tenant can give you what is missing.",
        ),
        404 => (
            "Not found",
            "It may have been deleted, or it belongs to another tenant. Check the address, or \
             find it by id or name.",
        ),
        409 => (
            "That does not fit the present state",
            "Nothing was changed. Go back and look at it as it is now.",
        ),
        410 => (
            "Removed when its time was over",
            "What is over is kept for as long as the retention rules say; see /system/storage.",
        ),
        412 => ("It was changed meanwhile", "Nothing was overwritten. Look at it as it is now."),
        413 => ("Too large", "Nothing was accepted."),
        429 => ("Too much at once", "Wait a moment; nothing that was accepted is lost."),
        503 => ("It cannot be done now", "Wait a moment; nothing that was accepted is lost."),
        500..600 => (
            "Something broke here",
            "It was logged with the request id below; nothing that was accepted is lost.",
        ),
        _ => ("That did not work", "Nothing was changed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::error::Error;

    #[test]
    fn a_missing_thing_is_named_and_there_is_a_way_on() {
        let error = Error::NotFound { what: "run", id: "<b>".to_owned() };
        let page = page(Shell::for_tests("/ops"), &error.into(), "req_1");
        let html = page.to_string();
        for part in ["There is no run `&#60;b&#62;`", "href=\"/ops/\"", "req_1", ">404<"] {
            assert!(html.contains(part), "{part}");
        }
    }

    #[test]
    fn whoever_may_not_learns_which_role_may() {
        let error = Error::Forbidden { scope: "workflows:write".to_owned() };
        let html = page(Shell::for_tests(""), &error.into(), "req_1").to_string();
        assert!(html.contains("editor") && html.contains("workflows:write"), "{html}");
        assert!(!html.contains("viewer"), "{html}");
    }

    #[test]
    fn whoever_is_too_fast_learns_when_to_come_back() {
        let retry_after = std::time::Duration::from_secs(7);
        let error = Error::Unavailable { detail: "draining".to_owned(), retry_after };
        let html = page(Shell::for_tests(""), &error.into(), "req_1").to_string();
        assert!(html.contains("7 s") && html.contains("http-equiv=\"refresh\""), "{html}");
    }
}
