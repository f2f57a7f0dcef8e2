//! Access to one tenant's records and to nothing else: every key begins with the tenant.

use std::collections::BTreeSet;
use std::ops::Bound;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::counters::Tally;
use super::ledger::{Reads, Tx};
use super::seam::{Direction, Pair, Space, StoreError};
use super::timers::Due;
use super::usage;
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;
use crate::domain::workflow::team;

/// Reads one tenant's records.
#[derive(Clone, Copy)]
pub struct TenantView<'a> {
    tenant: TenantId,
    reads: &'a dyn Reads,
    sight: Option<&'a Sight>,
}

/// What somebody does not see of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// The workflows of other teams, by name.
    pub hidden: BTreeSet<String>,
    /// Every name of the teams whose events are seen, beside those of no team.
    pub teams: BTreeSet<String>,
}

impl<'a> TenantView<'a> {
    /// Narrows what can be read to one tenant.
    #[must_use]
    pub fn new(tenant: TenantId, reads: &'a dyn Reads) -> TenantView<'a> {
        TenantView { tenant, reads, sight: None }
    }

    /// Hides from the reader what they do not see: workflows, and with them their runs.
    #[must_use]
    pub fn through(self, sight: &'a Sight) -> TenantView<'a> {
        TenantView { sight: Some(sight), ..self }
    }

    /// Returns whether the reader sees a workflow and its runs.
    #[must_use]
    pub fn sees_workflow(&self, name: &str) -> bool {
        self.sight.is_none_or(|sight| !sight.hidden.contains(name))
    }

    /// Returns whether the reader sees an event: one that is about no team, or about theirs.
    #[must_use]
    pub fn sees_event(&self, event: &Event) -> bool {
        let Some(sight) = self.sight else { return true };
        let names = team::names_of(&event.payload);
        names.is_empty() || names.iter().any(|name| sight.teams.contains(*name))
    }

    /// Returns whether the reader sees all that the tenant has.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.sight.is_none()
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    pub(super) fn bytes(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.reads.get(space, key)
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        space: Space,
        key: &[u8],
    ) -> Result<Option<T>, StoreError> {
        let Some(bytes) = self.reads.get(space, key)? else { return Ok(None) };
        from_json(space, key, &bytes).map(Some)
    }

    pub(super) fn scan(
        &self,
        space: Space,
        range: (Bound<&[u8]>, Bound<&[u8]>),
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.reads.scan(space, range, direction, limit)
    }
}

/// Changes one tenant's records, and collects what follows from the changes.
pub struct TenantTx<'t, 'a> {
    tenant: TenantId,
    tx: &'t mut Tx<'a>,
    clock: &'t Clock,
    now: Timestamp,
    emitted: Vec<Event>,
    timers: Vec<TimerChange>,
    woken: Vec<RunId>,
    workflows: Workflows,
    activities: Activities,
    tally: Tally,
}

/// Whether a transaction changed which activities the tenant has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activities {
    /// They are as they were.
    #[default]
    Unchanged,
    /// They must be read again.
    Changed,
}

/// Whether a transaction changed what is kept in memory: what events start, who is told, and what
/// must not be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workflows {
    /// They are as they were.
    #[default]
    Unchanged,
    /// They must be read again.
    Changed,
}

/// A deadline that a transaction set or lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    /// When it is due.
    pub due: Timestamp,
    /// What it wakes.
    pub what: Due,
    /// Whether it was set or lifted.
    pub kind: TimerChangeKind,
}

/// Whether a deadline was set or lifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerChangeKind {
    /// It is to be woken.
    Set,
    /// It is no longer to be woken.
    Lifted,
}

impl<'t, 'a> TenantTx<'t, 'a> {
    /// Narrows a transaction to one tenant.
    #[must_use]
    pub fn new(tenant: TenantId, tx: &'t mut Tx<'a>, clock: &'t Clock) -> TenantTx<'t, 'a> {
        let now = clock.now();
        let (emitted, timers, woken, workflows, activities, tally) = Default::default();
        TenantTx { tenant, tx, clock, now, emitted, timers, woken, workflows, activities, tally }
    }

    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// Returns the instant of the transaction: the same for everything that it does.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns random bits.
    #[must_use]
    pub fn random(&self) -> u64 {
        self.clock.random()
    }

    /// Reads what earlier transactions and this one wrote.
    #[must_use]
    pub fn view(&self) -> TenantView<'_> {
        TenantView::new(self.tenant, &*self.tx)
    }

    /// Notes an event that follows from the changes; it is accepted in the same transaction.
    pub fn emit(&mut self, event: Event) {
        self.emitted.push(event);
    }

    /// Returns whether events were noted.
    #[must_use]
    pub fn has_emitted(&self) -> bool {
        !self.emitted.is_empty()
    }

    /// Puts a field into the metadata of the events that were noted and have none of that name: of
    /// those that a run caused, or of those that no run did.
    pub fn mark_emitted(&mut self, cause: Option<RunId>, name: &str, value: &serde_json::Value) {
        let own = |event: &&mut Event| event.cause.map(|cause| cause.run_id) == cause;
        for event in self.emitted.iter_mut().filter(own) {
            event.metadata.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// Takes the events that were noted.
    pub fn take_emitted(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.emitted)
    }

    /// Takes the deadlines that were set and lifted.
    pub fn take_timers(&mut self) -> Vec<TimerChange> {
        std::mem::take(&mut self.timers)
    }

    /// Takes the runs that have something to look at.
    pub fn take_woken(&mut self) -> Vec<RunId> {
        std::mem::take(&mut self.woken)
    }

    /// Returns whether what events start was changed.
    #[must_use]
    pub fn workflows(&self) -> Workflows {
        self.workflows
    }

    /// Returns whether the activities of the tenant were changed.
    #[must_use]
    pub fn activities(&self) -> Activities {
        self.activities
    }

    /// Runs `attempt`; its changes and events are taken back when it fails or panics.
    ///
    /// # Errors
    /// Returns the failure of `attempt`, or `on_panic` of what it panicked with.
    pub fn attempt<T, E>(
        &mut self,
        attempt: impl FnOnce(&mut TenantTx<'_, 'a>) -> Result<T, E>,
        on_panic: impl FnOnce(String) -> E,
    ) -> Result<T, E> {
        let (tenant, clock, now, depth) = (self.tenant, self.clock, self.now, self.tx.depth());
        let tx = &mut *self.tx;
        // The savepoint's layers are cut back below, so nothing half-written is seen after a panic.
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            tx.savepoint(|tx| {
                let mut inner = TenantTx { now, ..TenantTx::new(tenant, tx, clock) };
                let value = attempt(&mut inner)?;
                let TenantTx { emitted, timers, woken, workflows, activities, tally, .. } = inner;
                Ok((value, (emitted, timers, woken), (workflows, activities), tally))
            })
        }));
        match caught {
            Ok(Ok((value, (emitted, timers, woken), (workflows, activities), tally))) => {
                self.tally.absorb(tally);
                self.emitted.extend(emitted);
                self.timers.extend(timers);
                self.woken.extend(woken);
                self.note_workflows(workflows);
                if activities == Activities::Changed {
                    self.note_activities();
                }
                Ok(value)
            }
            Ok(Err(error)) => Err(error),
            Err(panic) => {
                self.tx.unwind_to(depth);
                Err(on_panic(panic_message(panic.as_ref())))
            }
        }
    }

    pub(super) fn put(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        self.note_use(space, &key, Some(value.len()));
        self.tx.put(space, key, value);
    }

    pub(super) fn put_new(&mut self, space: Space, key: Vec<u8>, value: Vec<u8>) {
        if usage::is_counted(space) {
            self.tally.kept.note((space, &key), None, Some(value.len()));
        }
        self.tx.put_new(space, key, value);
    }

    pub(super) fn put_json<T: Serialize>(&mut self, space: Space, key: Vec<u8>, value: &T) {
        self.put(space, key, to_json(value));
    }

    pub(super) fn remove(&mut self, space: Space, key: Vec<u8>) {
        self.note_use(space, &key, None);
        self.tx.remove(space, key);
    }

    /// Notes how much more or less is kept; what cannot be read now counts as nothing.
    fn note_use(&mut self, space: Space, key: &[u8], after: Option<usize>) {
        if usage::is_counted(space) {
            let before = self.tx.get(space, key).ok().flatten().map(|value| value.len());
            self.tally.kept.note((space, key), before, after);
        }
    }

    pub(super) fn note_workflows(&mut self, workflows: Workflows) {
        if workflows == Workflows::Changed {
            self.workflows = Workflows::Changed;
        }
    }

    pub(super) fn note_activities(&mut self) {
        self.activities = Activities::Changed;
    }

    pub(super) fn tally(&mut self) -> &mut Tally {
        &mut self.tally
    }

    pub(super) fn wake(&mut self, run: RunId) {
        self.woken.push(run);
    }

    pub(super) fn note_timer(&mut self, change: TimerChange) {
        self.timers.push(change);
    }
}

/// Returns what a panic said.
#[must_use]
pub fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

pub(super) fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("stored records have only JSON-safe fields")
}

pub(super) fn from_json<T: DeserializeOwned>(
    space: Space,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(space, key, error))
}

pub(super) fn damaged(space: Space, key: &[u8], reason: impl ToString) -> StoreError {
    StoreError::Damaged { space, key: hex::encode(key), reason: reason.to_string() }
}
