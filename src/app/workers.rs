//! Who works for a tenant: remembered while they are heard of, and how many wait at once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// How many workers of one tenant are remembered; the one that was silent longest gives way.
const REMEMBERED_MAX: usize = 1_000;
/// How many tasks are looked at to tell who holds how many.
const COUNTED_MAX: usize = 10_000;
/// When a worker that found no place to wait may try again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A worker as the API lists it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerView {
    /// Its name.
    pub name: String,
    /// The activities that it asked for last.
    pub activities: Vec<String>,
    /// When it was heard of last.
    pub last_seen_at: Timestamp,
    /// How many tasks it holds.
    pub tasks: usize,
}

/// The workers of every tenant, as this process saw them.
#[derive(Default)]
pub struct Workers {
    seen: Mutex<HashMap<TenantId, HashMap<String, Seen>>>,
    waiting: Mutex<HashMap<TenantId, usize>>,
    closing: AtomicBool,
}

#[derive(Clone, Default)]
struct Seen {
    activities: BTreeSet<String>,
    at: Timestamp,
}

/// A place among those who wait.
pub(super) struct Waits {
    workers: Arc<Workers>,
    tenant: TenantId,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let mut waiting = self.workers.waiting.lock();
        if let Some(count) = waiting.get_mut(&self.tenant) {
            *count = count.saturating_sub(1);
        }
    }
}

impl Workers {
    pub(super) fn enter(
        self: &Arc<Workers>,
        tenant: TenantId,
        limit: usize,
    ) -> Result<Waits, Error> {
        let mut waiting = self.waiting.lock();
        let count = waiting.entry(tenant).or_default();
        if *count >= limit {
            let detail = format!("{limit} workers wait for tasks already");
            return Err(Error::Busy { detail, retry_after: RETRY_AFTER });
        }
        *count += 1;
        Ok(Waits { workers: Arc::clone(self), tenant })
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    /// Notes that a worker was heard of; without activities, those that it named stay.
    pub(super) fn seen(&self, tenant: TenantId, name: &str, activities: &[String], at: Timestamp) {
        let mut all = self.seen.lock();
        let known = all.entry(tenant).or_default();
        if known.len() >= REMEMBERED_MAX && !known.contains_key(name) {
            let oldest = known.iter().min_by_key(|(_, seen)| seen.at).map(|(name, _)| name.clone());
            oldest.map(|oldest| known.remove(&oldest));
        }
        let seen = known.entry(name.to_owned()).or_default();
        seen.at = at;
        if !activities.is_empty() {
            seen.activities = activities.iter().cloned().collect();
        }
    }
}

impl App {
    /// Answers those who wait for tasks with none, from now on.
    pub fn send_workers_home(&self) {
        self.workers.closing.store(true, Ordering::SeqCst);
    }

    /// Lists the workers that were heard of lately or hold a task, by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn workers(&self, who: &Principal) -> Result<Vec<WorkerView>, Error> {
        let since = self.now() - Duration::from_millis(self.engine().settings().worker_seen_ms);
        let mut known: HashMap<String, Seen> = HashMap::new();
        if let Some(seen) = self.workers.seen.lock().get(&who.tenant) {
            let lately = seen.iter().filter(|(_, seen)| seen.at >= since);
            known.extend(lately.map(|(name, seen)| (name.clone(), seen.clone())));
        }
        let rows = self.read(who, |view| Ok(view.tasks_after(None, COUNTED_MAX)?))?;
        let mut held: HashMap<String, usize> = HashMap::new();
        for (row, lease) in rows.iter().filter_map(|row| Some((row, row.lease.as_ref()?))) {
            let seen = known.entry(lease.worker.clone()).or_default();
            seen.at = seen.at.max(lease.taken_at);
            seen.activities.insert(row.activity.clone());
            *held.entry(lease.worker.clone()).or_default() += usize::from(!row.ended);
        }
        let mut views: Vec<WorkerView> = known
            .into_iter()
            .map(|(name, seen)| WorkerView {
                tasks: held.get(&name).copied().unwrap_or(0),
                name,
                activities: seen.activities.into_iter().collect(),
                last_seen_at: seen.at,
            })
            .collect();
        views.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(views)
    }
}
