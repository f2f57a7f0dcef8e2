//! Runs: listed, waited for, cancelled.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::{AcceptedEvent, IncomingEvent};
use super::page::PageRequest;
use super::principal::Principal;
use super::run_view::{load, summary};
use super::views::{JournalEntryView, Page, RunSummary, RunView};
use crate::domain::event_type::Pattern;
use crate::domain::id::RunId;
use crate::domain::run::{Input, Status};
use crate::domain::run_search::Count;
use crate::domain::time::Timestamp;
use crate::engine::Withheld;
use crate::store::runs::{RunList, RunRow};
use crate::store::tenant::TenantView;

/// How many runs a list looks at for one page; a page may have fewer than its limit then.
const LOOKED_AT_MAX: usize = 5_000;
pub(super) const CHUNK: usize = 200;
/// How soon a run that was said to have ended is looked at again while its end is being written.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// Which runs a list holds.
#[derive(Clone, Debug, Default)]
pub struct RunFilter {
    /// Any of these; empty for all.
    pub statuses: Vec<Status>,
    /// Of this workflow.
    pub workflow: Option<String>,
    /// Started by this event, or by one of this type.
    pub event: Option<String>,
    /// Created at or after this time.
    pub since: Option<Timestamp>,
    /// Created before this time.
    pub until: Option<Timestamp>,
    /// With this text in the id, the workflow, the subject, the event or the error.
    pub text: Option<String>,
    /// Whose error has this code.
    pub code: Option<String>,
    /// Whose error has this text, in lower case.
    pub error: Option<String>,
    /// That stand or failed at this step.
    pub step: Option<String>,
    /// With so many attempts at all their steps together.
    pub attempts: Option<Count>,
    /// Whose undoing stands like this: `none`, `done` or `incomplete`.
    pub undo: Option<String>,
    /// That wait for any of these; empty for all.
    pub waiting: Vec<String>,
}

/// What a cancelled run leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancel {
    /// Finished steps are undone.
    Undo,
    /// Finished steps stay.
    Keep,
}

impl App {
    /// Lists runs, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn runs(
        &self,
        who: &Principal,
        filter: &RunFilter,
        page: &PageRequest,
    ) -> Result<Page<RunSummary>, Error> {
        let now = self.now();
        let after: Option<RunId> = page.after.as_ref().and_then(|id| id.parse().ok());
        let mut before = after.or_else(|| filter.newest_possible());
        self.read(who, |view| {
            let lists = filter.lists();
            let mut data = Vec::new();
            let mut looked_at = 0;
            loop {
                let chunk = newest(view, &lists, before)?;
                let last_chunk = chunk.len() < CHUNK;
                for row in chunk {
                    let id = row.head.id;
                    if filter.since.is_some_and(|since| id.created_at() < since) {
                        return Ok(Page { data, next_cursor: None });
                    }
                    before = Some(id);
                    looked_at += 1;
                    if filter.holds(&row) && view.sees_workflow(&row.head.workflow) {
                        let subject_name = subject_name(view, &row)?;
                        data.push(RunSummary { subject_name, ..summary(&row.head, now) });
                    }
                    if data.len() == page.limit || looked_at == LOOKED_AT_MAX {
                        let more = !newest(view, &lists, before)?.is_empty();
                        return Ok(Page { data, next_cursor: more.then(|| id.to_string()) });
                    }
                }
                if last_chunk {
                    return Ok(Page { data, next_cursor: None });
                }
            }
        })
    }

    /// Returns one run with its steps.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub fn run(&self, who: &Principal, id: RunId) -> Result<RunView, Error> {
        let now = self.now();
        self.read(who, |view| {
            let row = run_row(view, id)?;
            let key = row.concurrency_key.clone();
            let loaded = load(view, row)?;
            let mut shown = loaded.view(now);
            super::waiting::complete(view, &loaded.workflow, key.as_deref(), &mut shown)?;
            Ok(shown)
        })
    }

    /// Returns one run when it has ended, or as it stands when `patience` is over.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub async fn wait_for_run(
        &self,
        who: &Principal,
        id: RunId,
        patience: Duration,
    ) -> Result<RunView, Error> {
        let give_up = Instant::now() + patience;
        loop {
            let end = self.engine().end_of(id);
            let status = self.read(who, |view| Ok(run_row(view, id)?.head.status))?;
            if status.is_final() || Instant::now() >= give_up {
                return self.run(who, id);
            }
            // It may be told before the end can be read; then it is looked at again soon.
            if tokio::time::timeout_at(give_up, end).await.is_ok() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// Returns what a run recorded, in order.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub fn journal(&self, who: &Principal, id: RunId) -> Result<Vec<JournalEntryView>, Error> {
        let loaded = self.loaded(who, id)?;
        let records = loaded.journal.iter().zip(1..);
        Ok(records.map(|(record, number)| entry_view(number, record)).collect())
    }

    /// Stops a run; one that waits is stopped at once, an attempt in flight is awaited.
    ///
    /// # Errors
    /// `NotFound` for an unknown run, `Conflict` for one that has ended.
    pub async fn cancel_run(
        &self,
        who: &Principal,
        id: RunId,
        cancel: Cancel,
    ) -> Result<RunView, Error> {
        let status = self.read(who, |view| Ok(run_row(view, id)?.head.status))?;
        if status.is_final() {
            let detail = format!("the run has ended: it is {}", status.as_str());
            return Err(Error::Conflict { code: "run_ended", detail });
        }
        let mut change = Change::of("run.cancel", id.to_string());
        change.after(&json!({ "compensate": cancel == Cancel::Undo }));
        self.record_change(who, change).await?;
        let input = Input::Cancel { by: who.name.clone(), compensate: cancel == Cancel::Undo };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }

    /// Starts one workflow, active or not, with an event that is made for it.
    pub(super) async fn start(
        &self,
        who: &Principal,
        name: &str,
        version: Option<u32>,
        event: IncomingEvent,
    ) -> Result<AcceptedEvent, Error> {
        let row = self.read(who, |view| super::workflows::present(view, name))?;
        let version = version.unwrap_or(row.version);
        self.admit_events(who.tenant, 1)?;
        let started = self.engine().start_run(who.tenant, row.name, version, event).await;
        Ok(started?.into())
    }

    /// Returns the run that was just started.
    pub(super) fn started(
        &self,
        who: &Principal,
        accepted: &AcceptedEvent,
    ) -> Result<RunView, Error> {
        let id = accepted.runs.first().copied();
        let id = id.ok_or_else(|| Error::Internal("a start answered without a run".to_owned()))?;
        self.run(who, id)
    }
}

pub(super) fn run_row(view: TenantView<'_>, id: RunId) -> Result<RunRow, Error> {
    if let Some(row) = view.run(id)? {
        return Ok(row);
    }
    let removed = view.retention_state()?.runs_through;
    Err(match removed.is_some_and(|through| id.created_at() <= through) {
        true => Error::Gone {
            what: "run",
            detail: format!("the run {id} was removed by retention, or never was"),
        },
        false => Error::NotFound { what: "run", id: id.to_string() },
    })
}

pub(super) fn entry_view(number: u64, record: &crate::domain::run::Record) -> JournalEntryView {
    let mut entry = json!(record.entry);
    if let Value::Object(fields) = &mut entry
        && let Some(kind) = fields.shift_remove("entry")
    {
        fields.shift_insert(0, "type".to_owned(), kind);
    }
    JournalEntryView { number, at: record.at, entry }
}

/// Returns the newest runs of several lists together.
pub(super) fn newest(
    view: TenantView<'_>,
    lists: &[RunList<'_>],
    before: Option<RunId>,
) -> Result<Vec<RunRow>, Error> {
    let mut rows = Vec::new();
    for list in lists {
        rows.extend(view.runs_before(*list, before, CHUNK)?);
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.head.id));
    rows.truncate(CHUNK);
    Ok(rows)
}

impl RunFilter {
    /// Chooses the shortest lists that hold every run which the filter lets through.
    pub(super) fn lists(&self) -> Vec<RunList<'_>> {
        if !self.statuses.is_empty() && !self.statuses.contains(&Status::Succeeded) {
            let mut statuses = self.statuses.clone();
            statuses.sort_by_key(|status| *status as u8);
            statuses.dedup();
            return statuses.into_iter().map(RunList::InStatus).collect();
        }
        // Nothing that succeeded waits or was undone, and the others have indexes.
        let is_undone = self.undo.as_deref().is_some_and(|undo| undo != "none");
        if self.statuses.is_empty() && (!self.waiting.is_empty() || is_undone) {
            let others = Status::ALL.into_iter().filter(|it| *it != Status::Succeeded);
            return others.map(RunList::InStatus).collect();
        }
        match &self.workflow {
            Some(name) => vec![RunList::OfWorkflow(name)],
            None => vec![RunList::All],
        }
    }

    /// Returns an id above those of all runs that were created early enough.
    pub(super) fn newest_possible(&self) -> Option<RunId> {
        self.until.map(|until| RunId::new(0, until, 0))
    }

    pub(super) fn holds(&self, row: &RunRow) -> bool {
        let head = &row.head;
        let text = self.text.as_ref().map(|text| text.to_lowercase());
        (self.statuses.is_empty() || self.statuses.contains(&head.status))
            && self.workflow.as_ref().is_none_or(|name| head.workflow == *name)
            && self.until.is_none_or(|until| head.created_at < until)
            && self.event.as_ref().is_none_or(|event| {
                head.event_id == *event || Pattern::restore(event).covers(&head.event_kind)
            })
            && self
                .code
                .as_ref()
                .is_none_or(|code| head.error.as_ref().is_some_and(|error| error.code == *code))
            && text.is_none_or(|text| shows(row, &text))
            && self.holds_details(row)
    }

    fn holds_details(&self, row: &RunRow) -> bool {
        let head = &row.head;
        let error = head.error.as_ref();
        let at_step = |step: &String| {
            head.current_step.as_ref() == Some(step)
                || error.is_some_and(|error| error.step.as_ref() == Some(step))
        };
        let waits_for = |waiting: &[String]| {
            let kind = head.waiting_for.as_ref().map(|it| it.kind.as_str());
            kind.is_some_and(|kind| waiting.iter().any(|it| it == kind))
        };
        self.step.as_ref().is_none_or(at_step)
            && self.attempts.is_none_or(|count| count.holds(head.attempts))
            && self.undo.as_ref().is_none_or(|undo| head.compensation.as_str() == undo)
            && (self.waiting.is_empty() || waits_for(&self.waiting))
            && self.error.as_ref().is_none_or(|text| {
                error.is_some_and(|error| {
                    error.message.to_lowercase().contains(text)
                        || error.code.to_lowercase().contains(text)
                })
            })
    }
}

/// Returns what people call the subject of a run, where its event tells: a ticket's identifier.
fn subject_name(view: TenantView<'_>, row: &RunRow) -> Result<Option<String>, Error> {
    if !row.head.event_kind.starts_with("ticket:") {
        return Ok(None);
    }
    let stored = view.event(row.event)?;
    let payload = stored.as_ref().map(|stored| &stored.event.payload);
    let name = payload.and_then(|payload| payload["ticket"]["ticketIdentifier"].as_str());
    Ok(name.map(str::to_owned))
}

fn shows(row: &RunRow, text: &str) -> bool {
    let head = &row.head;
    let error = head.error.as_ref().map(|error| error.message.as_str());
    let shown = [Some(head.workflow.as_str()), Some(&head.event_id), Some(&head.event_kind)];
    let shown = shown.into_iter().chain([head.subject.as_deref(), error]).flatten();
    head.id.to_string().to_lowercase().contains(text)
        || shown.into_iter().any(|shown| shown.to_lowercase().contains(text))
}

impl From<Withheld> for Error {
    fn from(withheld: Withheld) -> Error {
        match withheld {
            Withheld::Because(detail) => Error::Conflict { code: "withheld", detail },
            Withheld::NoWorkflow => Error::NotFound { what: "version", id: String::new() },
            Withheld::Store(error) => error.into(),
        }
    }
}
