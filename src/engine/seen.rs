//! What the layers above see of the engine itself: how full it is, what is late, what stands still.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use crate::domain::id::{RunId, TenantId};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::metrics::readings::Readings;
use crate::store::ledger::Snapshot;
use crate::store::seam::StoreError;
use crate::store::timers::{Cursor, deadlines};

use super::{Engine, Refusal, shared};

impl Engine {
    /// Notes what the tenants' threads show of themselves, of at most `tenants_max` tenants.
    pub fn measure(&self, readings: &mut Readings, tenants_max: usize) {
        let doors = self.shared.doors.read();
        let mut known: Vec<_> = doors.iter().map(|(id, doors)| (*id, &doors.standing)).collect();
        known.sort_by_key(|(id, _)| *id);
        for (_, standing) in known.into_iter().take(tenants_max) {
            let slug = standing.slug.read().clone();
            let slug = [slug.as_str()];
            let count =
                |number: &std::sync::atomic::AtomicUsize| number.load(Ordering::Relaxed) as f64;
            readings.note("ergane_runs_live", &slug, count(&standing.live));
            readings.note("ergane_mailbox_messages", &slug, count(&standing.mailbox));
            readings.note("ergane_run_crashes", &slug, count(&standing.crashes));
        }
        let calls = self.shared.calls_in_flight.load(Ordering::SeqCst);
        readings.note("ergane_calls_in_flight", &[], calls as f64);
    }

    /// Returns the name of a tenant that is open.
    #[must_use]
    pub fn slug_of(&self, tenant: TenantId) -> Option<String> {
        self.shared.doors.read().get(&tenant).map(|doors| doors.standing.slug.read().clone())
    }

    /// Returns when this process began, by the clock.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.shared.started_at
    }

    /// Returns the last stretch of time that the clock leapt over: from when to when.
    #[must_use]
    pub fn leapt(&self) -> Option<(Timestamp, Timestamp)> {
        let leapt = *self.shared.leapt.lock();
        leapt.map(|shared::Leap { from, to }| (from, to))
    }

    /// Returns how many deadlines of all tenants have passed before `moment`, `limit` at most.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn overdue(&self, moment: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let mut count = 0;
        for part in 0..self.shared.store.caps().parts {
            let snapshot = Snapshot::of(&*self.shared.store, part)?;
            let from = Cursor::from(Timestamp::default());
            count += deadlines(&snapshot, moment, &from, limit.saturating_sub(count))?.0.len();
        }
        Ok(count)
    }

    /// Returns runs that are said to be at work and that nothing works at: a fault of ours.
    ///
    /// # Errors
    /// Returns that the tenant cannot be asked now.
    pub async fn idle_runs(
        &self,
        tenant: TenantId,
        limit: usize,
    ) -> Result<Vec<RunId>, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let state = Rc::clone(state);
            let read = state.transact(|tx| {
                let mut found = Vec::new();
                for status in [Status::Running, Status::Compensating] {
                    found.extend(tx.view().runs_in_status(status, None, limit)?);
                }
                Ok::<_, StoreError>(found)
            });
            let idle = read.map(|settled| {
                let all = settled.value.into_iter();
                all.filter(|run| state.address_of(*run).is_none()).collect()
            });
            let answer = idle.map_err(|abort| match abort {
                super::Abort::Refused(error) => Refusal::Refused(error),
                super::Abort::Closed(error) => Refusal::from(error),
            });
            let _ = reply.send(answer); // Whoever asked may have gone.
        })
        .await
    }
}
