//! What every thread of the engine shares: settings, activities, doors to tenants, who waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use actix::Addr;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;

use crate::activities::Activities;
use crate::activities::installed::Installed;
use crate::clock::Clock;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::domain::workflow::parse::restore;
use crate::metrics::Metrics;
use crate::store::seal::Sealer;
use crate::store::seam::{Store, StoreError};
use crate::store::workflows::VersionRow;

use super::bell::Bell;
use super::rest::Rest;
use super::router::EventRouter;
use super::settings::EngineSettings;
use super::standing::Standing;
use super::supervisor::TenantSupervisor;
use super::traces::Traces;

/// What does not belong to one thread.
pub struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Clock,
    /// When this process began, by the clock.
    pub(super) started_at: Timestamp,
    /// The last stretch of time that the clock leapt over.
    pub(super) leapt: Mutex<Option<Leap>>,
    pub(super) activities: Activities,
    /// What the steps of each tenant can do, as its own thread read it last.
    pub(super) installed: RwLock<HashMap<TenantId, Arc<Installed>>>,
    pub(super) settings: EngineSettings,
    pub(super) metrics: Arc<Metrics>,
    pub(super) sealer: Arc<Sealer>,
    pub(super) doors: RwLock<HashMap<TenantId, Doors>>,
    pub(super) waiters: Waiters,
    pub(super) bell: Arc<Bell>,
    pub(super) traces: Traces,
    pub(super) parts_ready: AtomicUsize,
    pub(super) calls_in_flight: AtomicUsize,
    pub(super) stopping: AtomicBool,
    pub(super) rest: Rest,
}

/// A stretch of time that the clock leapt over while this process ran.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leap {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// How requests reach the actors of a tenant.
#[derive(Clone)]
pub(super) struct Doors {
    pub(super) supervisor: Addr<TenantSupervisor>,
    pub(super) router: Addr<EventRouter>,
    pub(super) standing: Arc<Standing>,
}

impl Shared {
    /// Reads a stored definition, which was checked when it was saved.
    pub(super) fn compile(row: &VersionRow) -> Result<Arc<Workflow>, StoreError> {
        restore(&row.definition).map(Arc::new).map_err(|problems| {
            let first = problems.first().map(|problem| problem.detail.clone()).unwrap_or_default();
            StoreError::Unavailable(format!(
                "version {} of `{}` cannot be read: {first}",
                row.version, row.name
            ))
        })
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// Those who want to know when a run ends.
#[derive(Default)]
pub(super) struct Waiters {
    count: AtomicUsize,
    by_run: Mutex<HashMap<RunId, Vec<oneshot::Sender<()>>>>,
}

impl Waiters {
    pub(super) fn wait(&self, run: RunId) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        let mut by_run = self.by_run.lock();
        let waiting = by_run.entry(run).or_default();
        waiting.retain(|sender| !sender.is_closed());
        waiting.push(sender);
        self.count.store(by_run.len(), Ordering::SeqCst);
        receiver
    }

    /// Tells those who wait for `run`; nearly always nobody does, and then it costs one load.
    pub(super) fn ended(&self, run: RunId) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let mut by_run = self.by_run.lock();
        let senders = by_run.remove(&run).unwrap_or_default();
        self.count.store(by_run.len(), Ordering::SeqCst);
        for sender in senders {
            // Whoever gave up waiting has dropped the other end.
            let _ = sender.send(());
        }
    }
}
