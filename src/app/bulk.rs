//! One action on many runs or events: counted, then done by a job that outlives the process.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::EventFilter;
use super::page::PageRequest;
use super::principal::Principal;
use super::run_view::summary;
use super::runs::{CHUNK, RunFilter, newest, run_row};
use super::views::{EventView, Page, RunSummary};
use crate::domain::bulk::{BulkAction, BulkOptions, BulkReason, BulkStatus, BulkSubject};
use crate::domain::id::{RunId, Uid};
use crate::domain::problem::Problem;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::bulk::{BulkAuthor, BulkRow};
use crate::store::events::EventKey;
use crate::store::tenant::TenantView;

/// How many members a dry run shows.
const SAMPLE_MAX: usize = 10;
const EVENT_CHUNK: usize = 250;

/// Which runs or events are meant.
#[derive(Clone, Debug)]
pub enum BulkChoice {
    /// Runs that a list would hold.
    Runs(RunFilter),
    /// Events that a list would hold.
    Events(EventFilter),
    /// These.
    Ids(Vec<String>),
}

/// What is to be done to whom.
#[derive(Clone, Debug)]
pub struct BulkRequest {
    /// What.
    pub action: BulkAction,
    /// How.
    pub options: BulkOptions,
    /// To whom.
    pub choice: BulkChoice,
    /// The same in the words of who asked, for the audit.
    pub asked: Value,
}

/// Those that were meant at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkSelection {
    /// What would be done.
    pub action: BulkAction,
    /// How many runs or events are meant.
    pub total: u64,
    /// The newest of them: runs, or events.
    pub sample: Vec<BulkSample>,
    /// All of them, oldest first, as far as a job may have them.
    #[serde(skip)]
    members: Vec<String>,
}

/// One of those that are meant.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum BulkSample {
    /// A run.
    Run(Box<RunSummary>),
    /// An event.
    Event(Box<EventView>),
}

/// A bulk job.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkView {
    /// Names it.
    pub id: String,
    /// What it does.
    pub action: BulkAction,
    /// How.
    pub options: BulkOptions,
    /// Which runs or events were asked for.
    pub filter: Value,
    /// Who asked.
    pub created_by: String,
    /// `running`, `paused`, `finished` or `cancelled`.
    pub status: BulkStatus,
    /// How many runs or events it has.
    pub total: u64,
    /// How many were acted on.
    pub done: u64,
    /// How many could not be acted on.
    pub failed: u64,
    /// How many needed nothing any more.
    pub skipped: u64,
    /// How many were not looked at yet.
    pub left: u64,
    /// Why some were not acted on, with the first ids of each reason.
    pub reasons: Vec<BulkReason>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What somebody wants of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkWish {
    /// It waits.
    Pause,
    /// It goes on.
    Resume,
    /// It ends where it is.
    Cancel,
}

impl App {
    /// Finds who is meant; it may take a while and a thread of its own.
    ///
    /// # Errors
    /// `Forbidden` without the scope for events, `Invalid` for statuses that the action cannot act
    /// on and for ids that name nothing.
    pub fn select_bulk(
        &self,
        who: &Principal,
        request: &BulkRequest,
    ) -> Result<BulkSelection, Error> {
        let action = request.action;
        if action.subject() == BulkSubject::Events && !who.scopes.allow("events:write") {
            return Err(Error::Forbidden { scope: "events:write".to_owned() });
        }
        let members_max = self.engine().settings().bulk_members_max;
        let mut found = Found { now: self.now(), members_max, ..Found::default() };
        self.read(who, |view| match &request.choice {
            BulkChoice::Runs(filter) => found.runs(view, &meant(action, filter)?),
            BulkChoice::Events(filter) => found.events(view, filter),
            BulkChoice::Ids(ids) => found.named(view, action, ids),
        })?;
        found.members.reverse();
        let Found { total, sample, members, .. } = found;
        Ok(BulkSelection { action, total, sample, members })
    }

    /// Starts a job for those that were found.
    ///
    /// # Errors
    /// `Invalid` for more than one job may have, `Conflict` when too many jobs go on.
    pub async fn start_bulk(
        &self,
        who: &Principal,
        request: BulkRequest,
        selection: BulkSelection,
    ) -> Result<BulkView, Error> {
        let settings = self.engine().settings();
        if selection.total > selection.members.len() as u64 {
            let (total, limit) = (selection.total, settings.bulk_members_max);
            let detail = format!("{total} are meant, and one job may have {limit}");
            let problem = Problem::new("/filter", "too_many", detail);
            let hint = "narrow it with `since` and `until`, and start several jobs";
            return Err(Error::Invalid(vec![problem.with_hint(hint)]));
        }
        let (active_max, kept_max) = (settings.bulk_jobs_active_max, settings.bulk_jobs_kept_max);
        let rate = request.options.per_second.min(settings.bulk_per_second_max);
        let options = BulkOptions { per_second: rate, ..request.options };
        let by = BulkAuthor {
            kind: who.kind.word().to_owned(),
            id: who.id.clone(),
            name: who.email.clone().unwrap_or_else(|| who.name.clone()),
        };
        let (action, filter) = (request.action, request.asked);
        self.write(who, Change::of("bulk.start", ""), move |tx, change| {
            let jobs = tx.view().bulk_jobs()?;
            if jobs.iter().filter(|job| !job.status.is_final()).count() >= active_max {
                let detail = format!("{active_max} bulk jobs go on already; wait for one to end");
                return Err(Error::Conflict { code: "too_many_jobs", detail });
            }
            let ended = jobs.iter().filter(|job| job.status.is_final());
            ended.skip(kept_max.saturating_sub(1)).for_each(|old| tx.remove_bulk_job(&old.id));
            let now = tx.now();
            let row = BulkRow {
                id: Uid::new('B', now, tx.random()).to_string(),
                action,
                options,
                filter,
                by,
                status: BulkStatus::Running,
                total: selection.total,
                progress: Default::default(),
                created_at: now,
                ended_at: None,
                next_at: Some(now),
            };
            tx.add_bulk_job(&row, &selection.members)?;
            change.target(&row.id);
            change.after(&json!({
                "action": row.action,
                "filter": row.filter,
                "options": row.options,
                "total": row.total,
            }));
            Ok(BulkView::from(row))
        })
        .await
    }

    /// Lists the jobs, newest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn bulk_jobs(&self, who: &Principal, page: &PageRequest) -> Result<Page<BulkView>, Error> {
        let jobs = self.read(who, |view| Ok(view.bulk_jobs()?))?;
        let mut rest =
            jobs.into_iter().filter(|job| page.after.as_ref().is_none_or(|it| job.id < *it));
        let data: Vec<BulkView> = rest.by_ref().take(page.limit).map(BulkView::from).collect();
        let more = rest.next().is_some();
        Ok(Page { next_cursor: data.last().filter(|_| more).map(|job| job.id.clone()), data })
    }

    /// Returns one job.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such job.
    pub fn bulk_job(&self, who: &Principal, id: &str) -> Result<BulkView, Error> {
        self.read(who, |view| job(view, id).map(BulkView::from))
    }

    /// Holds a job, lets it go on, or ends it.
    ///
    /// # Errors
    /// `NotFound` for an unknown job, `Conflict` for one that has ended.
    pub async fn change_bulk(
        &self,
        who: &Principal,
        id: &str,
        wish: BulkWish,
    ) -> Result<BulkView, Error> {
        let wanted = id.to_owned();
        let action = match wish {
            BulkWish::Pause => "bulk.pause",
            BulkWish::Resume => "bulk.resume",
            BulkWish::Cancel => "bulk.cancel",
        };
        self.write(who, Change::of(action, id), move |tx, change| {
            let mut row = job(tx.view(), &wanted)?;
            if row.status.is_final() {
                let detail = format!("the job has ended: it is {}", row.status.as_str());
                return Err(Error::Conflict { code: "job_ended", detail });
            }
            change.before(&json!({ "status": row.status }));
            (row.status, row.next_at) = match wish {
                BulkWish::Pause => (BulkStatus::Paused, None),
                // One that goes on keeps its pace.
                BulkWish::Resume => (BulkStatus::Running, row.next_at.or(Some(tx.now()))),
                BulkWish::Cancel => (BulkStatus::Cancelled, None),
            };
            if row.status.is_final() {
                row.ended_at = Some(tx.now());
                tx.append_audit(tx.tenant(), &row.audit_of_end(tx.now()))?;
            }
            change.after(&json!({ "status": row.status, "done": row.progress.done }));
            tx.put_bulk_job(&row)?;
            Ok(BulkView::from(row))
        })
        .await
    }
}

/// Those that were found so far, newest first.
#[derive(Default)]
struct Found {
    now: Timestamp,
    members_max: usize,
    total: u64,
    sample: Vec<BulkSample>,
    members: Vec<String>,
}

impl Found {
    fn take(&mut self, member: String, show: impl FnOnce(Timestamp) -> BulkSample) {
        self.total += 1;
        if self.sample.len() < SAMPLE_MAX {
            self.sample.push(show(self.now));
        }
        if self.members.len() < self.members_max {
            self.members.push(member);
        }
    }

    fn runs(&mut self, view: TenantView<'_>, filter: &RunFilter) -> Result<(), Error> {
        let lists = filter.lists();
        let mut before: Option<RunId> = None;
        loop {
            let chunk = newest(view, &lists, before)?;
            let is_last = chunk.len() < CHUNK;
            for row in chunk {
                let id = row.head.id;
                if filter.since.is_some_and(|since| id.created_at() < since) {
                    return Ok(());
                }
                before = Some(id);
                if filter.holds(&row) {
                    let show = |now| BulkSample::Run(Box::new(summary(&row.head, now)));
                    self.take(id.to_string(), show);
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    fn events(&mut self, view: TenantView<'_>, filter: &EventFilter) -> Result<(), Error> {
        let mut before = filter.until.map(EventKey::at);
        loop {
            let chunk = view.events_before(before, EVENT_CHUNK)?;
            let is_last = chunk.len() < EVENT_CHUNK;
            for (key, stored) in chunk {
                if filter.since.is_some_and(|since| stored.received_at < since) {
                    return Ok(());
                }
                before = Some(key);
                if view.sees_event(&stored.event) && filter.holds(&stored) {
                    self.take(member_of(key), |_| BulkSample::Event(Box::new(stored.into())));
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Takes those that were named, the last first.
    fn named(
        &mut self,
        view: TenantView<'_>,
        action: BulkAction,
        ids: &[String],
    ) -> Result<(), Error> {
        let mut known = std::collections::BTreeSet::new();
        let mut problems = Vec::new();
        for (index, id) in ids.iter().enumerate().rev() {
            if !known.insert(id) {
                continue;
            }
            let found = match action.subject() {
                BulkSubject::Runs => self.named_run(view, id)?,
                BulkSubject::Events => self.named_event(view, id)?,
            };
            if found.is_none() {
                let detail = format!("there is no `{id}`");
                problems.push(Problem::new(format!("/ids/{index}"), "not_found", detail));
            }
        }
        problems.reverse();
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }

    fn named_run(&mut self, view: TenantView<'_>, id: &str) -> Result<Option<()>, Error> {
        let Ok(parsed) = id.parse() else { return Ok(None) };
        match run_row(view, parsed) {
            Ok(row) => {
                let show = |now| BulkSample::Run(Box::new(summary(&row.head, now)));
                self.take(id.to_owned(), show);
                Ok(Some(()))
            }
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn named_event(&mut self, view: TenantView<'_>, id: &str) -> Result<Option<()>, Error> {
        let Some(key) = view.event_by_id(id, None)? else { return Ok(None) };
        let Some(stored) = view.event(key)? else { return Ok(None) };
        self.take(member_of(key), |_| BulkSample::Event(Box::new(stored.into())));
        Ok(Some(()))
    }
}

fn member_of(key: EventKey) -> String {
    format!("{:016x}", key.0)
}

/// Returns the filter with the statuses that are meant where none are named.
fn meant(action: BulkAction, filter: &RunFilter) -> Result<RunFilter, Error> {
    if filter.statuses.is_empty() {
        return Ok(RunFilter { statuses: action.meant(), ..filter.clone() });
    }
    let possible = action.acts_on();
    let impossible = filter.statuses.iter().find(|status| !possible.contains(status));
    let Some(status) = impossible else { return Ok(filter.clone()) };
    let detail = format!("`{}` cannot act on a run that is {}", action.as_str(), status.as_str());
    let words: Vec<&str> = possible.into_iter().map(Status::as_str).collect();
    let hint = format!("it acts on runs that are {}", words.join(", "));
    Err(Error::Invalid(vec![
        Problem::new("/filter/status", "contradiction", detail).with_hint(hint),
    ]))
}

fn job(view: TenantView<'_>, id: &str) -> Result<BulkRow, Error> {
    let missing = || Error::NotFound { what: "bulk job", id: id.to_owned() };
    view.bulk_job(id)?.ok_or_else(missing)
}

impl From<BulkRow> for BulkView {
    fn from(row: BulkRow) -> BulkView {
        let progress = row.progress;
        BulkView {
            id: row.id,
            action: row.action,
            options: row.options,
            filter: row.filter,
            created_by: row.by.name,
            status: row.status,
            total: row.total,
            done: progress.done,
            failed: progress.failed,
            skipped: progress.skipped,
            left: row.total.saturating_sub(progress.seen),
            reasons: progress.reasons,
            created_at: row.created_at,
            ended_at: row.ended_at,
        }
    }
}
