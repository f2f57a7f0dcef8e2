//! Bulk jobs: a row each, and the members that are still to be looked at in chunks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::alarms::AlarmKind;
use super::audit::AuditRow;
use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::bulk::{BulkAction, BulkOptions, BulkProgress, BulkStatus};
use crate::domain::time::Timestamp;

const JOB: u8 = Row::BulkJob as u8;
const MEMBERS: u8 = Row::BulkMembers as u8;
/// How many members one row holds.
const CHUNK: u64 = 500;

/// A job as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkRow {
    /// Names the job; ids sort by age.
    pub id: String,
    /// What is done.
    pub action: BulkAction,
    /// How.
    pub options: BulkOptions,
    /// Which members were asked for, in the words of who asked.
    pub filter: Value,
    /// Who asked.
    pub by: BulkAuthor,
    /// Where it stands.
    pub status: BulkStatus,
    /// How many members it has.
    pub total: u64,
    /// What came of it so far.
    pub progress: BulkProgress,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it goes on; nothing while it is held and after its end.
    pub next_at: Option<Timestamp>,
}

/// Who asked for a job, for the audit of its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkAuthor {
    /// `person`, `key`, `commandLine` or `program`.
    pub kind: String,
    /// Their id.
    pub id: String,
    /// What people call them.
    pub name: String,
}

impl BulkRow {
    /// Returns the record of its end: what was asked and what came of it.
    #[must_use]
    pub fn audit_of_end(&self, at: Timestamp) -> AuditRow {
        let BulkProgress { done, failed, skipped, .. } = &self.progress;
        AuditRow {
            at,
            actor_kind: self.by.kind.clone(),
            actor_id: self.by.id.clone(),
            actor_name: self.by.name.clone(),
            action: "bulk.end".to_owned(),
            target: self.id.clone(),
            before: Value::Null,
            after: serde_json::json!({
                "action": self.action,
                "filter": self.filter,
                "status": self.status,
                "total": self.total,
                "done": done,
                "failed": failed,
                "skipped": skipped,
            }),
            address: None,
            request: None,
        }
    }
}

impl TenantView<'_> {
    /// Returns one job.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn bulk_job(&self, id: &str) -> Result<Option<BulkRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(JOB).text(id).done())
    }

    /// Returns every job, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn bulk_jobs(&self) -> Result<Vec<BulkRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(JOB));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Descending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns the next members of a job that were not looked at, at most `limit`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn bulk_members(&self, job: &BulkRow, limit: usize) -> Result<Vec<String>, StoreError> {
        let key = members_key(self, &job.id).number(job.progress.seen / CHUNK).done();
        let chunk: Vec<String> = self.json(Space::Row, &key)?.unwrap_or_default();
        let from = usize::try_from(job.progress.seen % CHUNK).unwrap_or(usize::MAX);
        Ok(chunk.into_iter().skip(from).take(limit).collect())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a new job with its members.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn add_bulk_job(&mut self, row: &BulkRow, members: &[String]) -> Result<(), StoreError> {
        for (number, chunk) in members.chunks(CHUNK as usize).enumerate() {
            let key = members_key(&self.view(), &row.id).number(number as u64).done();
            self.put_json(Space::Row, key, &chunk);
        }
        self.put_bulk_job(row)
    }

    /// Writes a job, sets its alarm in place of the one before, and forgets members that are no
    /// longer needed.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn put_bulk_job(&mut self, row: &BulkRow) -> Result<(), StoreError> {
        let before = self.view().bulk_job(&row.id)?;
        if let Some(due) = before.as_ref().and_then(|before| before.next_at) {
            self.lift_alarm(due, AlarmKind::Bulk, &row.id);
        }
        if let Some(due) = row.next_at {
            self.set_alarm(due, AlarmKind::Bulk, &row.id);
        }
        let first = before.map_or(0, |before| before.progress.seen / CHUNK);
        let end = match row.status.is_final() {
            true => row.total.div_ceil(CHUNK),
            false => row.progress.seen / CHUNK,
        };
        for number in first..end {
            let key = members_key(&self.view(), &row.id).number(number).done();
            self.remove(Space::Row, key);
        }
        let key = Key::of(self.tenant()).tag(JOB).text(&row.id).done();
        self.put_json(Space::Row, key, row);
        Ok(())
    }

    /// Forgets a job that has ended.
    pub fn remove_bulk_job(&mut self, id: &str) {
        let key = Key::of(self.tenant()).tag(JOB).text(id).done();
        self.remove(Space::Row, key);
    }
}

fn members_key(view: &TenantView<'_>, id: &str) -> Key {
    Key::of(view.tenant()).tag(MEMBERS).text(id)
}
