//! What failed, grouped by cause, so that one decision is enough for all runs that share it.

use std::time::Duration;

use serde_json::json;

use super::App;
use super::access::digest;
use super::bulk::{BulkChoice, BulkRequest, BulkView};
use super::error::Error;
use super::principal::Principal;
use super::views::CauseView;
use crate::domain::bulk::{BulkAction, BulkOptions};
use crate::domain::run::{RunHead, Status};
use crate::domain::time::Timestamp;
use crate::store::runs::{RunList, RunRow};
use crate::store::tenant::TenantView;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const FAILURES_MAX: usize = 1_000;
const CAUSES_MAX: usize = 10;
const ID_CHARS: usize = 16;

impl App {
    /// Retries every run of the last day that failed for one cause, by a bulk job.
    ///
    /// # Errors
    /// `NotFound` when no failed run of the last day has this cause, `Conflict` when too many jobs
    /// go on.
    pub async fn retry_cause(&self, who: &Principal, cause: &str) -> Result<BulkView, Error> {
        let since = self.now() - DAY;
        let (runs, asked) = self.read(who, |view| {
            let mut failed = failures(view, since)?;
            failed.retain(|row| Cause::of(&row.head).id() == cause);
            let runs: Vec<String> = failed.iter().map(|row| row.head.id.to_string()).collect();
            let asked = failed.first().map(|row| {
                let Cause { workflow, step, code, .. } = Cause::of(&row.head);
                json!({ "cause": cause, "workflow": workflow, "step": step, "errorCode": code })
            });
            Ok((runs, asked))
        })?;
        let missing = || Error::NotFound { what: "cause", id: cause.to_owned() };
        let request = BulkRequest {
            action: BulkAction::Retry,
            options: BulkOptions::default(),
            choice: BulkChoice::Ids(runs),
            asked: asked.ok_or_else(missing)?,
        };
        let found = self.select_bulk(who, &request)?;
        self.start_bulk(who, request, found).await
    }
}

/// Returns the newest runs that the caller sees and that failed since `since`, newest first.
pub(super) fn failures(view: TenantView<'_>, since: Timestamp) -> Result<Vec<RunRow>, Error> {
    let mut failed = view.runs_before(RunList::InStatus(Status::Failed), None, FAILURES_MAX)?;
    failed.retain(|row| {
        view.sees_workflow(&row.head.workflow)
            && row.head.ended_at.is_some_and(|ended| ended >= since)
    });
    Ok(failed)
}

/// Groups runs that failed, newest first, by what they failed of; the largest group is first.
pub(super) fn causes(failed: &[RunRow]) -> Vec<CauseView> {
    let mut causes: Vec<(Cause<'_>, CauseView)> = Vec::new();
    for row in failed {
        let head = &row.head;
        let (cause, ended) = (Cause::of(head), head.ended_at.unwrap_or(head.created_at));
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, view)) => {
                view.count += 1;
                view.first_at = view.first_at.min(ended);
                view.last_at = view.last_at.max(ended);
            }
            None => {
                let view = CauseView {
                    id: cause.id(),
                    workflow: cause.workflow.to_owned(),
                    step: cause.step.map(str::to_owned),
                    code: cause.code.to_owned(),
                    message: head.error.as_ref().map(|it| it.message.clone()).unwrap_or_default(),
                    count: 1,
                    newest: head.id,
                    first_at: ended,
                    last_at: ended,
                };
                causes.push((cause, view));
            }
        }
    }
    let mut views: Vec<CauseView> = causes.into_iter().map(|(_, view)| view).collect();
    views.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    views.truncate(CAUSES_MAX);
    views
}

/// What failures have in common that one cure helps.
#[derive(PartialEq)]
struct Cause<'a> {
    workflow: &'a str,
    step: Option<&'a str>,
    code: &'a str,
    message: String,
}

impl Cause<'_> {
    fn of(head: &RunHead) -> Cause<'_> {
        let error = head.error.as_ref();
        Cause {
            workflow: &head.workflow,
            step: error.and_then(|error| error.step.as_deref()),
            code: error.map_or("failed", |error| &error.code),
            message: error.map(|error| normalised(&error.message)).unwrap_or_default(),
        }
    }

    fn id(&self) -> String {
        let parts = json!([self.workflow, self.step, self.code, self.message]);
        digest(&parts.to_string()).chars().take(ID_CHARS).collect()
    }
}

/// Puts `#` for every word with a digit in it: ids, counts and times tell failures apart that
/// are the same.
fn normalised(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
    let mut rest = message;
    while let Some(first) = rest.chars().next() {
        let end = match is_word(first) {
            true => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        text.push_str(if word.chars().any(|letter| letter.is_ascii_digit()) { "#" } else { word });
        rest = after;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_differ_in_ids_and_numbers_are_the_same() {
        for (one, other) in [
            ("the other side answered 422", "the other side answered 503"),
            ("no run `run_01KAQ7M2X`", "no run `run_01KAQ7M9Z`"),
            ("after 30.5 s at 10:00:01", "after 4.25 s at 09:59:58"),
        ] {
            assert_eq!(normalised(one), normalised(other));
        }
        assert_ne!(normalised("not in #support"), normalised("not in #sales"));
        assert_eq!(normalised("zwölf Äpfel"), "zwölf Äpfel");
    }
}
