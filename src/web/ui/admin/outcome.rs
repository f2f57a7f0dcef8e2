//! What a form came to, told on the page that it leads back to.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::app::error::Error;
use crate::domain::problem::Problem;
use crate::web::query::Query;
use crate::web::ui::door::refusal;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::see_other;

/// What an address may say that was done; anything else says nothing.
const DONE: [(&str, &str); 15] = [
    ("made", "It is made."),
    ("saved", "It is saved."),
    ("removed", "It is removed."),
    ("revoked", "The key is revoked; it opens nothing any more."),
    ("queued", "The delivery is made once more."),
    ("recovered", "Everything that was given up on is delivered once more."),
    ("replayed", "The delivery was taken again by the rules of now."),
    ("on", "Events are delivered again; what waited goes first."),
    ("off", "It is paused: events wait and are not lost."),
    ("installed", "The app is installed."),
    ("uninstalled", "The app is uninstalled; the workflows below fail at its steps."),
    ("updated", "The app follows its new manifest."),
    ("imported", "The activities are there; steps can call them."),
    ("resealing", "A new key seals from now on; everything else is sealed anew behind it."),
    ("reset", "Calls go there again."),
];

/// What is told above a page.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What was done.
    pub done: Option<&'static str>,
    /// What was not, and why.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Reads what the address says that was done.
    pub fn of(query: &Query) -> Outcome {
        let said = query.text("done").unwrap_or_default();
        let done = DONE.iter().find(|(word, _)| *word == said).map(|(_, text)| *text);
        Outcome { done, problems: Vec::new() }
    }

    /// Tells why something was refused, with the status to answer; other errors have a page of
    /// their own.
    pub fn refused(error: Error) -> Result<(StatusCode, Outcome), Error> {
        if let Error::Invalid(problems) = &error {
            let problems = problems.iter().map(sentence).collect();
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, Outcome { done: None, problems }));
        }
        match refusal(&error) {
            Some((status, text)) => Ok((status, Outcome { done: None, problems: vec![text] })),
            None => Err(error),
        }
    }

    /// Tells one problem of a field.
    pub fn problem(field: &str, detail: &str) -> Outcome {
        let text = sentence(&Problem::new(format!("/{field}"), "", detail));
        Outcome { done: None, problems: vec![text] }
    }
}

/// Writes a problem as a sentence that names its field.
pub fn sentence(problem: &Problem) -> String {
    let field = problem.pointer.trim_start_matches('/').replace('/', " › ");
    let hint = problem.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    let space = if field.is_empty() { "" } else { ": " };
    format!("{field}{space}{}{hint}", problem.detail)
}

/// Leads to a page that tells what was done.
pub fn back_with(shell: &Shell, path: &str, done: &str) -> HttpResponse {
    let joint = if path.contains('?') { '&' } else { '?' };
    see_other(shell.url(&format!("{path}{joint}done={done}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_field_and_what_to_do() {
        let problem = Problem::new("/settings/baseUrl", "invalid_url", "must be a URL");
        let told = sentence(&problem.with_hint("such as https://example.com"));
        assert_eq!(told, "settings › baseUrl: must be a URL (such as https://example.com)");
        assert_eq!(sentence(&Problem::new("", "x", "is wrong")), "is wrong");
    }
}
