//! How a tenant stands with the engine, seen from every thread: whether it rests, how many runs it
//! has, how much it keeps, and how much of it waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use crate::domain::run::Status;
use crate::store::access::TenantRow;
use crate::store::counters::{Counted, Totals};
use crate::store::usage::Used;

/// The name under which a tenant's own number of runs at work is kept.
const ACTIVE_RUNS: &str = "activeRuns";
/// Which share of what may wait for the disk one tenant may have at once.
const OWN_SHARE: usize = 2;
/// Which share it may have while others wait as well, so that none is kept out by another.
const SMALL_SHARE: usize = 16;
/// How long one tenant works before the others of its thread have their turn.
pub(super) const TURN_MAX: Duration = Duration::from_millis(2);

/// Whether a tenant works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It does.
    Working,
    /// It is suspended: its runs rest where they stand, and its deadlines wait.
    Resting,
}

/// What waits for the disk in one part.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    bytes: AtomicUsize,
    /// Counts the batches, to tell what is in this one from what was in the last.
    batch: AtomicU64,
}

impl Pressure {
    pub(super) fn set(&self, bytes: usize) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Notes that a batch has become durable.
    pub(super) fn relieve(&self) {
        self.batch.fetch_add(1, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}

/// How one tenant stands.
#[derive(Debug)]
pub(super) struct Standing {
    rests: AtomicBool,
    active_runs_max: AtomicUsize,
    pressure: Arc<Pressure>,
    own_bytes: AtomicUsize,
    own_batch: AtomicU64,
    runs: [AtomicU64; 8],
    kept_bytes: AtomicU64,
    /// Its name in labels.
    pub(super) slug: RwLock<String>,
    /// Messages that wait to be looked at.
    pub(super) mailbox: AtomicUsize,
    /// Runs with an actor.
    pub(super) live: AtomicUsize,
    /// Run actors that crashed since the start.
    pub(super) crashes: AtomicUsize,
}

/// A message counts as waiting until this is dropped.
pub(super) struct Queued(Arc<Standing>);

impl Queued {
    pub(super) fn at(standing: &Arc<Standing>) -> Queued {
        standing.mailbox.fetch_add(1, Ordering::Relaxed);
        Queued(Arc::clone(standing))
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.mailbox.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a tenant has at this moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Runs at work: running, retrying or being undone.
    pub active_runs: u64,
    /// Runs that wait or queue.
    pub waiting_runs: u64,
    /// Bytes kept.
    pub stored_bytes: u64,
}

impl Standing {
    pub(super) fn new(row: &TenantRow, pressure: Arc<Pressure>) -> Standing {
        let standing = Standing {
            rests: AtomicBool::new(false),
            active_runs_max: AtomicUsize::new(0),
            pressure,
            own_bytes: AtomicUsize::new(0),
            own_batch: AtomicU64::new(0),
            runs: Default::default(),
            kept_bytes: AtomicU64::new(0),
            slug: RwLock::new(row.slug.clone()),
            mailbox: AtomicUsize::new(0),
            live: AtomicUsize::new(0),
            crashes: AtomicUsize::new(0),
        };
        standing.follow(row);
        standing
    }

    /// Takes over what is written of the tenant.
    pub(super) fn follow(&self, row: &TenantRow) {
        let most = row.quotas.get(ACTIVE_RUNS).copied().unwrap_or_default();
        self.active_runs_max.store(usize::try_from(most).unwrap_or(usize::MAX), Ordering::Relaxed);
        self.rests.store(row.suspended_at.is_some(), Ordering::SeqCst);
        self.slug.write().clone_from(&row.slug);
    }

    pub(super) fn rests(&self) -> bool {
        self.rests.load(Ordering::Relaxed)
    }

    /// Returns how many runs may be at work at once, of the `most` that any tenant may have.
    pub(super) fn active_runs_max(&self, most: usize) -> usize {
        match self.active_runs_max.load(Ordering::Relaxed) {
            0 => most,
            own => own.min(most),
        }
    }

    pub(super) fn count(&self, counted: &Counted) {
        let Counted { totals, used } = counted;
        if let Some(totals) = totals {
            self.set_totals(totals);
        }
        if let Some(used) = used {
            self.set_used(used);
        }
    }

    pub(super) fn set_totals(&self, totals: &Totals) {
        for (count, now) in self.runs.iter().zip(totals.runs) {
            count.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn set_used(&self, used: &Used) {
        self.kept_bytes.store(used.bytes, Ordering::Relaxed);
    }

    pub(super) fn load(&self) -> Load {
        let sum = |statuses: &[Status]| {
            statuses.iter().map(|status| self.runs[*status as usize].load(Ordering::Relaxed)).sum()
        };
        Load {
            active_runs: sum(&[Status::Running, Status::Retrying, Status::Compensating]),
            waiting_runs: sum(&[Status::Queued, Status::Waiting]),
            stored_bytes: self.kept_bytes.load(Ordering::Relaxed),
        }
    }

    /// Notes that the tenant has decided so many bytes that wait for the disk.
    pub(super) fn add_pressure(&self, bytes: usize) {
        let batch = self.pressure.batch.load(Ordering::Relaxed);
        if self.own_batch.swap(batch, Ordering::Relaxed) == batch {
            self.own_bytes.fetch_add(bytes, Ordering::Relaxed);
        } else {
            self.own_bytes.store(bytes, Ordering::Relaxed);
        }
    }

    pub(super) fn set_pressure(&self, bytes: usize) {
        self.pressure.set(bytes);
    }

    /// Returns whether the tenant has to wait until the disk has taken more: sooner when it is the
    /// tenant itself that fills the batch than when others do.
    pub(super) fn is_pressed(&self, most: usize) -> bool {
        let all = self.pressure.bytes.load(Ordering::Relaxed);
        let is_of_this_batch =
            self.own_batch.load(Ordering::Relaxed) == self.pressure.batch.load(Ordering::Relaxed);
        let own = if is_of_this_batch { self.own_bytes.load(Ordering::Relaxed) } else { 0 };
        own > most / OWN_SHARE || all > most && own > most / SMALL_SHARE || all / OWN_SHARE > most
    }
}

/// Tells an actor when it has worked long enough for the others to have their turn: an actor that
/// finds its mailbox full empties it without a pause otherwise.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<Instant>);

impl Turn {
    /// Returns whether the turn is over; then the next one begins.
    pub(super) fn is_over(&mut self) -> bool {
        let began = *self.0.get_or_insert_with(Instant::now);
        let is_over = began.elapsed() > TURN_MAX;
        if is_over {
            self.0 = None;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::TenantId;
    use crate::domain::time::Timestamp;

    fn standing(pressure: &Arc<Pressure>) -> Standing {
        let row = TenantRow::new(TenantId(1), "a", "A", Timestamp::default());
        Standing::new(&row, Arc::clone(pressure))
    }

    #[test]
    fn who_fills_the_batch_waits_and_their_neighbour_does_not() {
        let pressure = Arc::new(Pressure::default());
        let (flood, quiet) = (standing(&pressure), standing(&pressure));
        flood.add_pressure(60);
        pressure.set(60);
        assert!(flood.is_pressed(100) && !quiet.is_pressed(100));
        flood.add_pressure(60);
        quiet.add_pressure(5);
        pressure.set(125);
        assert!(flood.is_pressed(100) && !quiet.is_pressed(100));
        pressure.set(300);
        assert!(quiet.is_pressed(100));
        pressure.relieve();
        assert!(!flood.is_pressed(100) && !quiet.is_pressed(100));
    }

    #[test]
    fn a_tenant_has_its_own_number_of_runs_at_work_unless_all_have_fewer() {
        let pressure = Arc::default();
        let one = standing(&pressure);
        assert_eq!(one.active_runs_max(50), 50);
        let mut row = TenantRow::new(TenantId(1), "a", "A", Timestamp::default());
        row.quotas.insert(ACTIVE_RUNS.to_owned(), 8);
        row.suspended_at = Some(Timestamp::default());
        one.follow(&row);
        assert_eq!((one.active_runs_max(50), one.active_runs_max(5)), (8, 5));
        assert!(one.rests());
    }
}
