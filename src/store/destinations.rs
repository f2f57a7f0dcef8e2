//! Which calls wait for their destination, and what is known of the throttles of activities.

use serde::{Deserialize, Serialize};

use super::family::{Meta, Row, Vis};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, damaged, from_json};
use crate::domain::destination::{Reason, Use};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

const DEFERRED: u8 = Vis::DeferredCall as u8;
const THROTTLE: u8 = Row::Throttle as u8;
const USES: u8 = Meta::ThrottleUses as u8;
/// How many bytes of a key stand behind the destination before the step.
const RUN_BYTES: usize = 16;

/// A call that waits for its destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeferredCall {
    /// Where it goes.
    pub destination: String,
    /// The run.
    pub run: RunId,
    /// The step's path.
    pub step: String,
    /// Why.
    pub reason: Reason,
}

/// How often an activity may be called, as somebody set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThrottleRow {
    /// The activity's identifier.
    pub activity: String,
    /// Whether it is held to; an activity's own throttle is not either when this is not.
    pub enabled: bool,
    /// How many calls a window takes.
    pub limit: u32,
    /// How long a window is, in milliseconds.
    pub window_ms: u64,
    /// What is counted together.
    pub key: String,
    /// When it was set.
    pub updated_at: Timestamp,
}

/// What was written of the uses of something that is throttled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsesRow {
    /// The uses of the last window.
    pub uses: Vec<Use>,
    /// How many more may have been made since without being written.
    pub spare: u32,
}

impl TenantView<'_> {
    /// Returns the calls that wait for a destination, after one of them, in the order of their runs.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn deferred_calls(
        &self,
        destination: &str,
        after: Option<&DeferredCall>,
        limit: usize,
    ) -> Result<Vec<DeferredCall>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(DEFERRED).text(destination));
        let after = after.map(|call| deferred_key(self, call));
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Vis, range, Direction::Ascending, limit)?;
        let from = prefix.start().len();
        rows.iter()
            .map(|(key, row)| {
                let wrong = || damaged(Space::Vis, key, "no deferred call");
                let (run, step) = key[from..].split_at_checked(RUN_BYTES).ok_or_else(wrong)?;
                let run = RunId::from_bytes(run.try_into().map_err(|_| wrong())?);
                let step = std::str::from_utf8(step).map_err(|_| wrong())?;
                let step = step.trim_end_matches('\0').to_owned();
                let reason = from_json(Space::Vis, key, row)?;
                Ok(DeferredCall { destination: destination.to_owned(), run, step, reason })
            })
            .collect()
    }

    /// Returns the throttles that were set, by activity.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn throttles(&self) -> Result<Vec<ThrottleRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(THROTTLE));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns the throttle that was set for an activity.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn throttle(&self, activity: &str) -> Result<Option<ThrottleRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(THROTTLE).text(activity).done())
    }

    /// Returns what was written of the uses of something.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn throttle_uses(&self, of: &str) -> Result<Option<UsesRow>, StoreError> {
        self.json(Space::Meta, &Key::of(self.tenant()).tag(USES).text(of).done())
    }
}

impl TenantTx<'_, '_> {
    /// Notes that a call waits.
    pub fn put_deferred_call(&mut self, call: &DeferredCall) {
        let key = deferred_key(&self.view(), call);
        self.put_json(Space::Vis, key, &call.reason);
    }

    /// Notes that a call waits no more.
    pub fn remove_deferred_call(&mut self, call: &DeferredCall) {
        let key = deferred_key(&self.view(), call);
        self.remove(Space::Vis, key);
    }

    /// Sets how often an activity may be called.
    pub fn put_throttle(&mut self, row: &ThrottleRow) {
        let key = Key::of(self.tenant()).tag(THROTTLE).text(&row.activity).done();
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }

    /// Leaves it to the activity again how often it may be called.
    pub fn remove_throttle(&mut self, activity: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(THROTTLE).text(activity).done());
        self.note_workflows(Workflows::Changed);
    }

    /// Writes the uses of something.
    pub fn put_throttle_uses(&mut self, of: &str, row: &UsesRow) {
        let key = Key::of(self.tenant()).tag(USES).text(of).done();
        self.put_json(Space::Meta, key, row);
    }

    /// Forgets the uses of something.
    pub fn remove_throttle_uses(&mut self, of: &str) {
        self.remove(Space::Meta, Key::of(self.tenant()).tag(USES).text(of).done());
    }
}

fn deferred_key(view: &TenantView<'_>, call: &DeferredCall) -> Vec<u8> {
    let base = Key::of(view.tenant()).tag(DEFERRED).text(&call.destination);
    base.bytes(&call.run.to_bytes()).text(&call.step).done()
}
