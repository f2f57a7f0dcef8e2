//! The rest of a restored appliance: nothing goes on by itself, until somebody says so.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::orders::GoOn;
use super::{Engine, Refusal};
use crate::domain::id::{RunId, TenantId};
use crate::domain::run::Input;
use crate::domain::time::Timestamp;
use crate::store::backup::pause::PauseRow;

/// Whether the engine rests, and but for what.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Asked at every turn, and nearly always false.
    is_on: AtomicBool,
    row: RwLock<Option<PauseRow>>,
    /// When something went on that had rested.
    ended_at: RwLock<Option<Timestamp>>,
}

impl Rest {
    pub(super) fn set(&self, row: Option<PauseRow>) {
        let mut own = self.row.write();
        self.is_on.store(row.is_some(), Ordering::SeqCst);
        *own = row;
    }

    /// Returns whether anything rests.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    /// Returns whether a tenant rests.
    pub(super) fn of_tenant(&self, tenant: TenantId) -> bool {
        self.is_on() && self.row.read().as_ref().is_some_and(|row| !row.tenants.contains(&tenant))
    }

    /// Returns whether a run rests.
    pub(super) fn of_run(&self, tenant: TenantId, run: RunId) -> bool {
        let rests = |row: &PauseRow| !row.tenants.contains(&tenant) && !row.runs.contains(&run);
        self.is_on() && self.row.read().as_ref().is_some_and(rests)
    }

    /// Returns whether an instant was spent resting.
    pub(super) fn was_at(&self, instant: Timestamp) -> bool {
        self.ended_at.read().is_some_and(|end| instant < end)
    }

    /// Refuses what would set something off.
    pub(super) fn refuse<E>(&self, tenant: TenantId) -> Result<(), Refusal<E>> {
        if self.of_tenant(tenant) { Err(Refusal::Paused) } else { Ok(()) }
    }

    /// Refuses an input, unless the run goes on or is only to be ended without a further call.
    pub(super) fn refuse_input<E>(
        &self,
        tenant: TenantId,
        run: RunId,
        input: &Input,
    ) -> Result<(), Refusal<E>> {
        let ends_it = matches!(input, Input::Cancel { compensate: false, .. });
        if !ends_it && self.of_run(tenant, run) { Err(Refusal::Paused) } else { Ok(()) }
    }
}

impl Engine {
    /// Returns why the engine rests, and but for what; `None` when it does not.
    #[must_use]
    pub fn pause(&self) -> Option<PauseRow> {
        self.shared.rest.row.read().clone()
    }

    /// Returns whether a tenant rests.
    #[must_use]
    pub fn rests(&self, tenant: TenantId) -> bool {
        self.shared.rest.of_tenant(tenant)
    }

    /// Goes on with what a pause that was written no longer holds: all of it without one.
    pub fn go_on(&self, row: Option<PauseRow>) {
        let now = self.shared.clock.now();
        let runs = row.as_ref().map(|row| row.runs.clone()).unwrap_or_default();
        self.shared.rest.set(row);
        *self.shared.rest.ended_at.write() = Some(now);
        for doors in self.shared.doors.read().values() {
            doors.supervisor.do_send(GoOn(runs.iter().copied().collect()));
        }
    }
}
