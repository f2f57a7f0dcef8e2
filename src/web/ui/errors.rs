//! What a person reads when a page cannot be shown: what happened, why, and what to press.

use askama::Template;

use super::shell::Shell;
use crate::app::error::Error;
use crate::domain::problem::Problem;

/// The page.
#[derive(Template)]
#[template(path = "errors.html")]
pub struct ErrorPage {
    shell: Shell,
    status: u16,
    title: &'static str,
    detail: String,
    advice: String,
    problems: Vec<Problem>,
    request_id: String,
    link: (&'static str, String),
    in_frame: bool,
}

/// Makes the page of a refusal, and the HTTP status that goes with it.
pub fn page(shell: Shell, error: &Error, request_id: &str) -> (u16, ErrorPage) {
    let (status, title, advice) = words(error);
    let link = match error {
        Error::Unauthenticated(_) => ("Sign in", shell.url("/sign-in")),
        Error::Unavailable { .. } | Error::Busy { .. } | Error::Stale { .. } => {
            ("Try again", shell.url(&shell.here))
        }
        _ => ("Go to the dashboard", shell.url("/")),
    };
    let problems = match error {
        Error::Invalid(problems) => problems.clone(),
        _ => vec![],
    };
    let page = ErrorPage {
        status,
        title,
        detail: super::parts::mark::capital(&error.to_string()),
        advice,
        problems,
        request_id: request_id.to_owned(),
        link,
        in_frame: shell.viewer.is_some(),
        shell,
    };
    (status, page)
}

fn words(error: &Error) -> (u16, &'static str, String) {
    let in_seconds = |after: &std::time::Duration| {
        format!("Try again in {} s; nothing that was accepted is lost.", after.as_secs().max(1))
    };
    match error {
        Error::NotFound { .. } => (
            404,
            "Not found",
            "It may have been deleted, or it belongs to another tenant. Check the address, or \
             find it by id or name."
                .to_owned(),
        ),
        Error::Invalid(_) => (422, "That is not valid", "Mend what is listed here.".to_owned()),
        Error::Conflict { .. } => (
            409,
            "That does not fit the present state",
            "Nothing was changed. Go back and look at it as it is now.".to_owned(),
        ),
        Error::Stale { .. } => (
            412,
            "It was changed meanwhile",
            "Nothing was overwritten. Look at the present version, then try again.".to_owned(),
        ),
        Error::Unauthenticated(_) => {
            (401, "Please sign in", "The session has ended, or there was none.".to_owned())
        }
        Error::Forbidden { scope } => (
            403,
            "Not allowed",
            format!("Ask whoever manages keys for one with the scope `{scope}`."),
        ),
        Error::TooLarge { .. } => (413, "Too large", "Nothing was accepted.".to_owned()),
        Error::Busy { retry_after, .. } => (429, "Too much at once", in_seconds(retry_after)),
        Error::Unavailable { retry_after, .. } => {
            (503, "It cannot be written now", in_seconds(retry_after))
        }
        Error::Internal(_) => (
            500,
            "Something broke here",
            "It was logged with the request id below; nothing that was accepted is lost."
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_thing_is_named_and_there_is_a_way_on() {
        let error = Error::NotFound { what: "run", id: "<b>".to_owned() };
        let (status, page) = page(Shell::for_tests("/ops"), &error, "req_1");
        let html = page.to_string();
        assert_eq!(status, 404);
        for part in ["There is no run `&#60;b&#62;`", "href=\"/ops/\"", "req_1"] {
            assert!(html.contains(part), "{part}");
        }
    }
}
