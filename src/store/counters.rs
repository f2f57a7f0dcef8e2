//! How many runs and events there were, counted in the transactions that make them.

use super::codec::{self, Decode, Encode};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;

const TOTALS: u8 = b'n';
const HOUR: u8 = b'h';
const OF_WORKFLOW: u8 = b'k';
const HOUR_MS: i64 = 3_600_000;

/// A tenant's runs by their present status, and everything it ever accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// Events accepted.
    pub events: u64,
    /// Runs in each status, by `Status as usize`.
    pub runs: [u64; 8],
}

/// What happened in one hour.
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

impl TenantTx<'_, '_> {
    /// Counts accepted events.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn count_events(&mut self, number: u64) -> Result<(), StoreError> {
        let mut totals = self.view().totals()?;
        totals.events += number;
        self.put_totals(&totals);
        self.count_hour(|hour| hour.events += number)
    }

    /// Counts that a run of `workflow` went from one status to another; from `None` it is new.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn count_run(
        &mut self,
        workflow: &str,
        from: Option<Status>,
        to: Status,
    ) -> Result<(), StoreError> {
        let mut totals = self.view().totals()?;
        if let Some(from) = from {
            let count = &mut totals.runs[from as usize];
            *count = count.saturating_sub(1);
        }
        totals.runs[to as usize] += 1;
        self.put_totals(&totals);
        if from.is_some() && !to.is_final() {
            return Ok(());
        }
        self.count_hour(|hour| match (from, to) {
            (None, _) => hour.started += 1,
            (_, Status::Succeeded) => hour.succeeded += 1,
            (_, Status::Failed) => hour.failed += 1,
            _ => {} // A cancelled run is neither a success nor a failure.
        })?;
        let key = Key::of(self.tenant()).tag(OF_WORKFLOW).text(workflow).done();
        let mut counts = self.view().workflow_counts(workflow)?;
        match (from, to) {
            (None, _) => counts.started += 1,
            (_, Status::Succeeded) => counts.succeeded += 1,
            (_, Status::Failed) => counts.failed += 1,
            _ => counts.cancelled += 1, // The only final status that is left.
        }
        self.put(Space::Meta, key, codec::encode(&counts));
        Ok(())
    }

    fn put_totals(&mut self, totals: &Totals) {
        let key = Key::of(self.tenant()).tag(TOTALS).done();
        self.put(Space::Meta, key, codec::encode(totals));
    }

    fn count_hour(&mut self, count: impl FnOnce(&mut HourCounts)) -> Result<(), StoreError> {
        let key = hour_key(&self.view(), self.now());
        let mut hour: HourCounts = self.view().counted(&key)?;
        count(&mut hour);
        self.put(Space::Meta, key, codec::encode(&hour));
        Ok(())
    }
}

fn hour_key(view: &TenantView<'_>, moment: Timestamp) -> Vec<u8> {
    let hour = (moment.millis() / HOUR_MS).max(0).unsigned_abs();
    Key::of(view.tenant()).tag(HOUR).number(hour).done()
}
