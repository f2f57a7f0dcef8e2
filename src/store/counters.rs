//! How many runs and events there were, counted in the transactions that make them.

use super::codec::{self, Decode, Encode};
use super::family::Meta;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use super::usage::{UseChange, Used};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;

const TOTALS: u8 = Meta::Totals as u8;
const HOUR: u8 = Meta::Hour as u8;
const MINUTE: u8 = Meta::Minute as u8;
const OF_WORKFLOW: u8 = Meta::CountOfWorkflow as u8;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// How many minutes are kept; a later one takes the place of the one an hour before it.
const MINUTES_KEPT: u64 = 60;

/// A tenant's runs by their present status, and everything it ever accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// Events accepted.
    pub events: u64,
    /// Runs in each status, by `Status as usize`.
    pub runs: [u64; 8],
}

/// What happened in one hour, or in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct HourCounts {
    /// Events accepted.
    pub events: u64,
    /// Runs created.
    pub started: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
}

/// What happened in the minute that has this place in its hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct MinuteRow {
    minute: u64,
    counts: HourCounts,
}

/// A workflow's runs since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct WorkflowCounts {
    /// Runs created.
    pub started: u64,
    /// Runs that succeeded.
    pub succeeded: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that were cancelled.
    pub cancelled: u64,
}

impl TenantView<'_> {
    /// Returns the tenant's totals.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn totals(&self) -> Result<Totals, StoreError> {
        let key = Key::of(self.tenant()).tag(TOTALS).done();
        self.counted(&key)
    }

    /// Returns the counts of each hour from `since`, oldest first; hours without any are left out.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn hours(&self, since: Timestamp) -> Result<Vec<(Timestamp, HourCounts)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(HOUR));
        let before = hour_key(self, Timestamp::from_millis(since.millis() - HOUR_MS));
        let range = prefix.after(Some(&before));
        let rows = self.scan(Space::Meta, range, Direction::Ascending, usize::MAX)?;
        rows.iter()
            .map(|(key, row)| {
                let number = key[prefix.start().len()..].iter();
                let hour = number.fold(0i64, |hour, byte| hour << 8 | i64::from(*byte));
                let counts = codec::decode(row).map_err(|e| damaged(Space::Meta, key, e))?;
                Ok((Timestamp::from_millis(hour * HOUR_MS), counts))
            })
            .collect()
    }

    /// Returns the counts of each minute of the last hour from `since`, in no order; minutes
    /// without any are left out.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn minutes(&self, since: Timestamp) -> Result<Vec<(Timestamp, HourCounts)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(MINUTE));
        let rows = self.scan(Space::Meta, prefix.after(None), Direction::Ascending, usize::MAX)?;
        let mut minutes = Vec::with_capacity(rows.len());
        for (key, row) in &rows {
            let row: MinuteRow = codec::decode(row).map_err(|e| damaged(Space::Meta, key, e))?;
            let at = Timestamp::from_millis(row.minute.cast_signed() * MINUTE_MS);
            if at >= since {
                minutes.push((at, row.counts));
            }
        }
        Ok(minutes)
    }

    /// Returns the counts of a workflow.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn workflow_counts(&self, name: &str) -> Result<WorkflowCounts, StoreError> {
        let key = Key::of(self.tenant()).tag(OF_WORKFLOW).text(name).done();
        self.counted(&key)
    }

    fn counted<T: Default + Decode<()>>(&self, key: &[u8]) -> Result<T, StoreError> {
        let Some(bytes) = self.bytes(Space::Meta, key)? else { return Ok(T::default()) };
        codec::decode(&bytes).map_err(|error| damaged(Space::Meta, key, error))
    }
}

/// What one transaction adds to the counters; they are read and written once, at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    events: u64,
    arrived: [u64; 8],
    left: [u64; 8],
    hour: HourCounts,
    workflows: Vec<(String, WorkflowCounts)>,
    pub(super) kept: UseChange,
}

/// What the counters say after a transaction that moved them.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// The totals, if they moved.
    pub totals: Option<Totals>,
    /// What is kept, if that has changed.
    pub used: Option<Used>,
}

impl Tally {
    /// Adds what a part of the transaction has counted.
    pub(super) fn absorb(&mut self, other: Tally) {
        self.events += other.events;
        for status in 0..self.arrived.len() {
            self.arrived[status] += other.arrived[status];
            self.left[status] += other.left[status];
        }
        self.hour.add(&other.hour);
        self.kept.absorb(&other.kept);
        for (name, counts) in other.workflows {
            self.of_workflow(&name).add(&counts);
        }
    }

    fn of_workflow(&mut self, name: &str) -> &mut WorkflowCounts {
        let known = self.workflows.iter().position(|(known, _)| known == name);
        let at = known.unwrap_or_else(|| {
            self.workflows.push((name.to_owned(), WorkflowCounts::default()));
            self.workflows.len() - 1
        });
        &mut self.workflows[at].1
    }

    fn moves_totals(&self) -> bool {
        self.events > 0 || self.arrived != self.left
    }
}

impl HourCounts {
    /// Adds what happened in another span.
    pub fn add(&mut self, other: &HourCounts) {
        self.events += other.events;
        self.started += other.started;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
    }
}

impl WorkflowCounts {
    fn add(&mut self, other: &WorkflowCounts) {
        self.started += other.started;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
    }
}

impl TenantTx<'_, '_> {
    /// Counts accepted events.
    pub fn count_events(&mut self, number: u64) {
        let tally = self.tally();
        tally.events += number;
        tally.hour.events += number;
    }

    /// Counts that a run of `workflow` went from one status to another; from `None` it is new.
    pub fn count_run(&mut self, workflow: &str, from: Option<Status>, to: Status) {
        let tally = self.tally();
        tally.arrived[to as usize] += 1;
        match from {
            None => {
                tally.hour.started += 1;
                tally.of_workflow(workflow).started += 1;
            }
            Some(from) => tally.left[from as usize] += 1,
        }
        match to {
            Status::Succeeded => {
                tally.hour.succeeded += 1;
                tally.of_workflow(workflow).succeeded += 1;
            }
            Status::Failed => {
                tally.hour.failed += 1;
                tally.of_workflow(workflow).failed += 1;
            }
            Status::Cancelled => tally.of_workflow(workflow).cancelled += 1,
            Status::Queued
            | Status::Running
            | Status::Retrying
            | Status::Waiting
            | Status::Compensating => {} // Only beginnings and ends are kept over time.
        }
    }

    /// Counts that a run in `status` was removed; what counts since ever goes on counting it.
    pub fn uncount_run(&mut self, status: Status) {
        self.tally().left[status as usize] += 1;
    }

    /// Writes what was counted, and returns what it comes to; the last act of a transaction.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn write_counters(&mut self) -> Result<Counted, StoreError> {
        let tally = std::mem::take(self.tally());
        let mut counted = Counted { used: self.write_used(&tally.kept)?, totals: None };
        if tally.moves_totals() {
            let key = Key::of(self.tenant()).tag(TOTALS).done();
            let mut totals = self.view().totals()?;
            totals.events += tally.events;
            for (status, count) in totals.runs.iter_mut().enumerate() {
                *count = (*count + tally.arrived[status]).saturating_sub(tally.left[status]);
            }
            self.put(Space::Meta, key, codec::encode(&totals));
            counted.totals = Some(totals);
        }
        if tally.hour != HourCounts::default() {
            let key = hour_key(&self.view(), self.now());
            let mut hour: HourCounts = self.view().counted(&key)?;
            hour.add(&tally.hour);
            self.put(Space::Meta, key, codec::encode(&hour));
            self.add_minute(&tally.hour)?;
        }
        for (name, added) in &tally.workflows {
            let key = Key::of(self.tenant()).tag(OF_WORKFLOW).text(name).done();
            let mut counts = self.view().workflow_counts(name)?;
            counts.add(added);
            self.put(Space::Meta, key, codec::encode(&counts));
        }
        Ok(counted)
    }

    fn add_minute(&mut self, added: &HourCounts) -> Result<(), StoreError> {
        let minute = (self.now().millis() / MINUTE_MS).max(0).unsigned_abs();
        let key = Key::of(self.tenant()).tag(MINUTE).number(minute % MINUTES_KEPT).done();
        let kept: MinuteRow = self.view().counted(&key)?;
        let mut row = match kept.minute == minute {
            true => kept,
            false => MinuteRow { minute, counts: HourCounts::default() },
        };
        row.counts.add(added);
        self.put(Space::Meta, key, codec::encode(&row));
        Ok(())
    }
}

fn hour_key(view: &TenantView<'_>, moment: Timestamp) -> Vec<u8> {
    let hour = (moment.millis() / HOUR_MS).max(0).unsigned_abs();
    Key::of(view.tenant()).tag(HOUR).number(hour).done()
}
