//! Runs: a head each for lists, a journal each for the truth, and the indexes that find them.

use std::ops::Bound;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::approvals::ApprovalList;
use super::events::EventKey;
use super::family::{Blob, Row, Vis};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{
    TenantTx, TenantView, TimerChange, TimerChangeKind, damaged, from_json, to_json,
};
use super::timers::Due;
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::run::{Record, RunHead, Status};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Priority;
use crate::domain::workflow::annotation::Joined;

const BY_STATUS: u8 = Vis::RunByStatus as u8;
const BY_WORKFLOW: u8 = Vis::RunByWorkflow as u8;
const BY_CONCURRENCY: u8 = Vis::RunByConcurrency as u8;
const BY_PRIORITY: u8 = Vis::RunByPriority as u8;
const GIVEN: u8 = Blob::GivenToRun as u8;
/// How many rows of an index or a list are read at once.
const PAGE: usize = 256;

/// A run as it is stored: the head that lists show, and what the run was started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRow {
    /// The summary, replaced with every transaction of the run.
    pub head: RunHead,
    /// The event that it was started with.
    pub event: EventKey,
    /// How many runs stand between it and the outside; 1 for a run that the outside started.
    pub depth: u32,
    /// The rendered concurrency key that it counts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<String>,
    /// How urgent it is among those that wait for room.
    #[serde(default, skip_serializing_if = "Priority::is_normal")]
    pub priority: Priority,
    /// The run whose step started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
}

/// What a run was given beside its event; most runs are given nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Given {
    /// The records that were joined into the event.
    pub annotations: Vec<Joined>,
    /// How many events came together in it; 0 where none were gathered.
    pub events: u32,
}

impl Given {
    /// Returns an event as the run sees it.
    #[must_use]
    pub fn seen(&self, event: &Event) -> Value {
        let mut seen = event.to_value();
        for joined in &self.annotations {
            joined.write(&mut seen);
        }
        seen
    }
}

/// Where a list of runs comes from.
#[derive(Clone, Copy, Debug)]
pub enum RunList<'a> {
    /// Every run of the tenant.
    All,
    /// Runs in one status; runs that succeeded have no such index.
    InStatus(Status),
    /// Runs of one workflow.
    OfWorkflow(&'a str),
}

impl TenantView<'_> {
    /// Returns a run without its journal.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn run(&self, id: RunId) -> Result<Option<RunRow>, StoreError> {
        let row: Option<RunRow> = self.json(Space::Run, &run_key(self, id))?;
        Ok(row.filter(|row| self.sees_workflow(&row.head.workflow)))
    }

    /// Returns what a run was given beside its event.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn given(&self, id: RunId) -> Result<Given, StoreError> {
        Ok(self.json(Space::Blob, &given_key(self, id))?.unwrap_or_default())
    }

    /// Returns the ids of the queued runs of a priority other than the normal one, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn queued_of_priority(
        &self,
        priority: Priority,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let prefix = Prefix::new(priority_key(self, priority));
        let after = after.map(|id| [prefix.start(), &id.to_bytes()].concat());
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Vis, range, Direction::Ascending, limit)?;
        rows.iter().map(|(key, _)| read_id(Space::Vis, key)).collect()
    }

    /// Returns what a run recorded, in order.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn journal(&self, id: RunId) -> Result<Vec<Record>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).bytes(&id.to_bytes()));
        let mut records = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let range = prefix.after(after.as_deref());
            let chunks = self.scan(Space::Journal, range, Direction::Ascending, PAGE)?;
            for (key, bytes) in &chunks {
                let chunk: Vec<Record> = from_json(Space::Journal, key, bytes)?;
                records.extend(chunk);
            }
            match chunks.last() {
                Some((key, _)) if chunks.len() == PAGE => after = Some(key.to_vec()),
                _ => return Ok(records),
            }
        }
    }

    /// Returns what a run recorded after the record `after`, with their numbers, in order.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn journal_after(&self, id: RunId, after: u64) -> Result<Vec<(u64, Record)>, StoreError> {
        let base = Key::of(self.tenant()).bytes(&id.to_bytes());
        let prefix = Prefix::new(base.clone());
        // The chunk with the next record may have begun earlier.
        let next = base.number(after.saturating_add(2)).done();
        let holding = prefix.before(Some(&next));
        let holding = self.scan(Space::Journal, holding, Direction::Descending, 1)?;
        let from = holding.first().map_or(prefix.start(), |(key, _)| key);
        let range = (Bound::Included(from), prefix.range().1);
        let chunks = self.scan(Space::Journal, range, Direction::Ascending, usize::MAX)?;
        let mut records = Vec::new();
        for (key, bytes) in &chunks {
            let first =
                key.last_chunk().ok_or_else(|| damaged(Space::Journal, key, "no number"))?;
            let chunk: Vec<Record> = from_json(Space::Journal, key, bytes)?;
            records.extend((u64::from_be_bytes(*first)..).zip(chunk));
        }
        records.retain(|(number, _)| *number > after);
        Ok(records)
    }

    /// Returns the runs of a list that were created before `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn runs_before(
        &self,
        list: RunList<'_>,
        before: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunRow>, StoreError> {
        let (space, prefix) = self.list_keys(list);
        let before = before.map(|id| [prefix.start(), &id.to_bytes()].concat());
        let range = prefix.before(before.as_deref());
        let rows = self.scan(space, range, Direction::Descending, limit)?;
        if matches!(list, RunList::All) {
            return rows.iter().map(|(key, row)| from_json(space, key, row)).collect();
        }
        let ids = rows.iter().map(|(key, _)| read_id(space, key));
        let heads = ids.map(|id| id.and_then(|id| self.run(id)));
        heads.filter_map(Result::transpose).collect()
    }

    /// Returns the ids of the runs in `status` after `after`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn runs_in_status(
        &self,
        status: Status,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let (space, prefix) = self.list_keys(RunList::InStatus(status));
        let after = after.map(|id| [prefix.start(), &id.to_bytes()].concat());
        let range = prefix.after(after.as_deref());
        let rows = self.scan(space, range, Direction::Ascending, limit)?;
        rows.iter().map(|(key, _)| read_id(space, key)).collect()
    }

    /// Returns the runs of a concurrency key that are not over, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn runs_of_key(&self, workflow: &str, key: &str) -> Result<Vec<RunId>, StoreError> {
        let prefix = Prefix::new(concurrency_key(self, workflow, key));
        let rows = self.scan(Space::Vis, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(row, _)| read_id(Space::Vis, row)).collect()
    }

    fn list_keys(&self, list: RunList<'_>) -> (Space, Prefix) {
        let base = Key::of(self.tenant());
        match list {
            RunList::All => (Space::Run, Prefix::new(base)),
            RunList::InStatus(status) => {
                (Space::Vis, Prefix::new(base.tag(BY_STATUS).tag(status as u8)))
            }
            RunList::OfWorkflow(name) => {
                (Space::Vis, Prefix::new(base.tag(BY_WORKFLOW).text(name)))
            }
        }
    }
}

impl TenantTx<'_, '_> {
    /// Writes a run and keeps its indexes; `before` is the status that it had, `None` for a new run.
    pub fn put_run(&mut self, before: Option<Status>, row: &RunRow) {
        let head = &row.head;
        let id = head.id;
        let key = run_key(&self.view(), id);
        match before {
            Some(before) => {
                self.put(Space::Run, key, to_json(row));
                if before != head.status {
                    self.remove(Space::Vis, status_key(&self.view(), before, id));
                }
            }
            None => {
                self.put_new(Space::Run, key, to_json(row));
                let of_workflow = Key::of(self.tenant()).tag(BY_WORKFLOW).text(&head.workflow);
                self.put_new(Space::Vis, of_workflow.bytes(&id.to_bytes()).done(), Vec::new());
            }
        }
        if !row.priority.is_normal() {
            self.keep_priority(before, row);
        }
        let moved = before.is_none_or(|before| before != head.status);
        // Runs that succeeded are most of all runs; a list of them reads the heads instead.
        if moved && head.status != Status::Succeeded {
            self.put_new(Space::Vis, status_key(&self.view(), head.status, id), Vec::new());
        }
    }

    /// Removes a run that is over, with all that is its own: journal, input, indexes and what
    /// waited or was decided for it. The totals no longer count it; what counts since ever does.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub(super) fn remove_run(&mut self, row: &RunRow) -> Result<(), StoreError> {
        let (id, tenant) = (row.head.id, self.tenant());
        let bytes = id.to_bytes();
        let journal = Prefix::new(Key::of(tenant).bytes(&bytes));
        self.remove_all(Space::Journal, &journal)?;
        for tag in [Row::Incident as u8, Row::Task as u8] {
            self.remove_all(Space::Row, &Prefix::new(Key::of(tenant).tag(tag).bytes(&bytes)))?;
        }
        for list in [ApprovalList::Open, ApprovalList::Over] {
            let approvals = Key::of(tenant).tag(Row::Approval as u8).tag(list as u8);
            self.remove_all(Space::Row, &Prefix::new(approvals.bytes(&bytes)))?;
        }
        self.remove(Space::Blob, given_key(&self.view(), id));
        self.remove(Space::Vis, status_key(&self.view(), row.head.status, id));
        let of_workflow = Key::of(tenant).tag(BY_WORKFLOW).text(&row.head.workflow);
        self.remove(Space::Vis, of_workflow.bytes(&bytes).done());
        if let Some(key) = &row.concurrency_key {
            self.release_key(&row.head.workflow, key, id);
        }
        self.remove(Space::Run, run_key(&self.view(), id));
        self.uncount_run(row.head.status);
        Ok(())
    }

    fn keep_priority(&mut self, before: Option<Status>, row: &RunRow) {
        let key = priority_key(&self.view(), row.priority).bytes(&row.head.id.to_bytes()).done();
        match (before == Some(Status::Queued), row.head.status == Status::Queued) {
            (false, true) => self.put(Space::Vis, key, Vec::new()),
            (true, false) => self.remove(Space::Vis, key),
            (false, false) | (true, true) => {} // It was none of those that wait, or still is one.
        }
    }

    /// Writes what a new run is given beside its event.
    pub fn put_given(&mut self, id: RunId, given: &Given) {
        if *given != Given::default() {
            let key = given_key(&self.view(), id);
            self.put_new(Space::Blob, key, to_json(given));
        }
    }

    /// Appends to a run's journal; `first` is the number of the first of `records`.
    pub fn append_journal(&mut self, id: RunId, first: u64, records: &[Record]) {
        let key = Key::of(self.tenant()).bytes(&id.to_bytes()).number(first).done();
        self.put_new(Space::Journal, key, to_json(&records));
    }

    /// Notes that a run counts for a concurrency key.
    pub fn hold_key(&mut self, workflow: &str, key: &str, id: RunId) {
        let row = concurrency_key(&self.view(), workflow, key).bytes(&id.to_bytes()).done();
        self.put_new(Space::Vis, row, Vec::new());
    }

    /// Notes that a run no longer counts for a concurrency key.
    pub fn release_key(&mut self, workflow: &str, key: &str, id: RunId) {
        let row = concurrency_key(&self.view(), workflow, key).bytes(&id.to_bytes()).done();
        self.remove(Space::Vis, row);
    }

    /// Sets a deadline of a run.
    pub fn set_timer(&mut self, due: Timestamp, run: RunId) {
        self.put_new(Space::Timer, timer_key(due, &self.view(), run), Vec::new());
        self.note_timer(TimerChange { due, what: Due::Run(run), kind: TimerChangeKind::Set });
    }

    /// Lifts a deadline of a run.
    pub fn lift_timer(&mut self, due: Timestamp, run: RunId) {
        self.remove(Space::Timer, timer_key(due, &self.view(), run));
        self.note_timer(TimerChange { due, what: Due::Run(run), kind: TimerChangeKind::Lifted });
    }
}

fn run_key(view: &TenantView<'_>, id: RunId) -> Vec<u8> {
    Key::of(view.tenant()).bytes(&id.to_bytes()).done()
}

fn given_key(view: &TenantView<'_>, id: RunId) -> Vec<u8> {
    Key::of(view.tenant()).tag(GIVEN).bytes(&id.to_bytes()).done()
}

fn priority_key(view: &TenantView<'_>, priority: Priority) -> Key {
    Key::of(view.tenant()).tag(BY_PRIORITY).tag(priority.number())
}

fn status_key(view: &TenantView<'_>, status: Status, id: RunId) -> Vec<u8> {
    let base = Key::of(view.tenant()).tag(BY_STATUS).tag(status as u8);
    base.bytes(&id.to_bytes()).done()
}

/// The rendered key may be long and holds what users wrote, so its digest stands for it.
fn concurrency_key(view: &TenantView<'_>, workflow: &str, key: &str) -> Key {
    let digest = xxhash_rust::xxh3::xxh3_128(key.as_bytes());
    let base = Key::of(view.tenant()).tag(BY_CONCURRENCY).text(workflow);
    base.bytes(&digest.to_be_bytes())
}

/// The one family of keys that begins with a time and not with the tenant: a part's deadlines are
/// kept in one order, and only the engine reads them.
fn timer_key(due: Timestamp, view: &TenantView<'_>, run: RunId) -> Vec<u8> {
    let due = due.millis().max(0).unsigned_abs();
    Key::bare().number(due).bytes(&view.tenant().0.to_be_bytes()).bytes(&run.to_bytes()).done()
}

pub(super) fn read_id(space: Space, key: &[u8]) -> Result<RunId, StoreError> {
    let start = key.len().checked_sub(16).ok_or_else(|| damaged(space, key, "no run's id"))?;
    let bytes = key[start..].try_into().map_err(|_| damaged(space, key, "no run's id"))?;
    Ok(RunId::from_bytes(bytes))
}
