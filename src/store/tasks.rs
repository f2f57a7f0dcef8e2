//! Work that runs hand out to workers: what waits for one, and who holds what until when.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::{Meta, Row, Vis};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use crate::domain::id::RunId;
use crate::domain::run::Work;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Priority;

const TASK: u8 = Row::Task as u8;
const QUEUED: u8 = Vis::TaskQueued as u8;
const WINDOW: u8 = Meta::TaskWindow as u8;
/// How many bytes of a queue's key stand behind its name: urgency, turn, time, run and mark.
const TAIL_BYTES: usize = 1 + 8 + 8 + 16 + 8;

/// Names a task: its run, and what of the run it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The run.
    pub run: RunId,
    mark: u64,
}

impl TaskId {
    /// Names an attempt of a step of a run.
    #[must_use]
    pub fn of(run: RunId, step: &str, attempt: u32, work: Work) -> TaskId {
        let text = format!("{attempt} {work:?} {step}");
        TaskId { run, mark: xxhash_rust::xxh3::xxh3_64(text.as_bytes()) }
    }

    fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&self.run.to_bytes());
        bytes[16..].copy_from_slice(&self.mark.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<TaskId> {
        let run = RunId::from_bytes(*bytes.first_chunk()?);
        Some(TaskId { run, mark: u64::from_be_bytes(*bytes.last_chunk()?) })
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{:016x}", self.run, self.mark)
    }
}

impl FromStr for TaskId {
    type Err = ();

    fn from_str(text: &str) -> Result<TaskId, ()> {
        let (run, mark) = text.split_once('.').ok_or(())?;
        let is_mark = mark.len() == 16 && mark.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mark = is_mark.then(|| u64::from_str_radix(mark, 16).ok()).flatten().ok_or(())?;
        Ok(TaskId { run: run.parse().map_err(|_| ())?, mark })
    }
}

/// An attempt that a worker is to make.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRow {
    /// The run that handed it out.
    pub run: RunId,
    /// The path of the step.
    pub step: String,
    /// The number of the attempt.
    pub attempt: u32,
    /// What is to be done.
    pub work: Work,
    /// The workflow.
    pub workflow: String,
    /// The activity that is carried out.
    pub activity: String,
    /// The version of it.
    pub version: u32,
    /// Where it waits for a worker.
    pub queue: String,
    /// The rendered input.
    pub input: Value,
    /// The same through every attempt, retry and restart of the step.
    pub key: String,
    /// How urgent the run is.
    pub priority: Priority,
    /// Its place among the tasks of other runs: one of each run before a second of any.
    pub turn: u64,
    /// When it was handed out.
    pub queued_at: Timestamp,
    /// When the attempt is given up.
    pub until: Timestamp,
    /// Who works at it.
    pub lease: Option<Lease>,
    /// How many workers have taken it.
    pub leases: u32,
    /// Whether the run wants it back; whoever works at it is told.
    pub withdrawn: bool,
    /// Whether its result is on the way to the run.
    pub ended: bool,
}

/// A worker's hold on a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Lease {
    /// The digest of what proves the hold.
    pub digest: String,
    /// The worker's name.
    pub worker: String,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Until when it holds.
    pub until: Timestamp,
    /// When it is looked at; a lease that was extended rings once too early.
    pub alarm: Timestamp,
    /// How long it holds from each sign of life, in milliseconds.
    pub lasts_ms: u64,
    /// What the worker said of its progress last.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub details: Value,
}

impl TaskRow {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> TaskId {
        TaskId::of(self.run, &self.step, self.attempt, self.work)
    }

    /// Returns whether a worker may take it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        self.lease.is_none() && !self.ended
    }
}

/// How many tasks of a throttled activity were taken in the window that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskWindow {
    /// When the window began.
    pub began_at: Timestamp,
    /// How many were taken in it.
    pub taken: u32,
}

impl TenantView<'_> {
    /// Returns a task.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn task(&self, id: TaskId) -> Result<Option<TaskRow>, StoreError> {
        self.json(Space::Row, &task_key(self, id))
    }

    /// Returns tasks after `after`, those of the oldest runs first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn tasks_after(
        &self,
        after: Option<TaskId>,
        limit: usize,
    ) -> Result<Vec<TaskRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(TASK));
        let after = after.map(|id| task_key(self, id));
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Ascending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns what waits in a queue, in the order in which it is taken: the most urgent first,
    /// then one of each run, the oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn tasks_queued(&self, queue: &str, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(QUEUED).text(queue));
        let rows = self.scan(Space::Vis, prefix.range(), Direction::Ascending, limit)?;
        rows.iter()
            .map(|(key, _)| {
                let id = key.len().checked_sub(24).and_then(|at| TaskId::from_bytes(&key[at..]));
                id.ok_or_else(|| damaged(Space::Vis, key, "no task's id"))
            })
            .collect()
    }

    /// Returns the turn of what is next in a queue among what is as urgent; 0 when nothing waits.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn next_turn(&self, queue: &str, priority: Priority) -> Result<u64, StoreError> {
        let key = Key::of(self.tenant()).tag(QUEUED).text(queue).tag(priority.number());
        let prefix = Prefix::new(key);
        let rows = self.scan(Space::Vis, prefix.range(), Direction::Ascending, 1)?;
        let turn = rows.first().and_then(|(key, _)| {
            let at = key.len().checked_sub(TAIL_BYTES)? + 1;
            key.get(at..)?.first_chunk().map(|turn| u64::from_be_bytes(*turn))
        });
        Ok(turn.unwrap_or(0))
    }

    /// Returns how many tasks were taken under a throttle in its present window.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn task_window(&self, throttle: &str) -> Result<TaskWindow, StoreError> {
        let key = Key::of(self.tenant()).tag(WINDOW).text(throttle).done();
        Ok(self.json(Space::Meta, &key)?.unwrap_or_default())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a task, and keeps it in its queue while it is free.
    pub fn put_task(&mut self, row: &TaskRow) {
        let key = task_key(&self.view(), row.id());
        self.put_json(Space::Row, key, row);
        let queued = queue_key(&self.view(), row);
        if row.is_free() {
            self.put(Space::Vis, queued, Vec::new());
        } else {
            self.remove(Space::Vis, queued);
        }
    }

    /// Removes a task.
    pub fn remove_task(&mut self, row: &TaskRow) {
        let key = task_key(&self.view(), row.id());
        self.remove(Space::Row, key);
        let queued = queue_key(&self.view(), row);
        self.remove(Space::Vis, queued);
    }

    /// Notes how many tasks were taken under a throttle.
    pub fn put_task_window(&mut self, throttle: &str, window: TaskWindow) {
        let key = Key::of(self.tenant()).tag(WINDOW).text(throttle).done();
        self.put_json(Space::Meta, key, &window);
    }
}

/// Returns whether a key of `Space::Vis` is one of a queue.
pub(super) fn is_of_queue(key: &[u8]) -> bool {
    key.get(4) == Some(&QUEUED)
}

fn task_key(view: &TenantView<'_>, id: TaskId) -> Vec<u8> {
    Key::of(view.tenant()).tag(TASK).bytes(&id.to_bytes()).done()
}

fn queue_key(view: &TenantView<'_>, row: &TaskRow) -> Vec<u8> {
    let queued_at = row.queued_at.millis().max(0).unsigned_abs();
    let base = Key::of(view.tenant()).tag(QUEUED).text(&row.queue).tag(row.priority.number());
    base.number(row.turn).number(queued_at).bytes(&row.id().to_bytes()).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_s_id_is_read_back_and_nothing_else_is_one() {
        let run = RunId::new(0, Timestamp::from_millis(1_000), 7);
        let id = TaskId::of(run, "a", 1, Work::Step);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(TaskId::from_bytes(&id.to_bytes()), Some(id));
        assert_ne!(id, TaskId::of(run, "a", 1, Work::Undo));
        assert_ne!(id, TaskId::of(run, "a", 2, Work::Step));
        for text in ["", ".", "run_1.0", &format!("{run}."), &format!("{run}.00000000000000+f")] {
            assert_eq!(text.parse::<TaskId>(), Err(()), "{text}");
        }
    }
}
