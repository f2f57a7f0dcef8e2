//! Alarms: durable deadlines of everything in a tenant that is not a run.

use super::key::Key;
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView, TimerChange, TimerChangeKind};
use super::timers::Due;
use crate::domain::time::Timestamp;

/// What an alarm is for; the number is part of its key and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum AlarmKind {
    /// The next slot of a schedule.
    Schedule = 1,
    /// The end of a window in which a trigger gathers or holds back.
    Window = 2,
    /// A record has been in a state for as long as a trigger asks.
    Lasting = 3,
    /// A service level is about to be missed, or is.
    Sla = 4,
    /// The next attempt to deliver to a subscriber.
    Delivery = 5,
    /// A worker's hold on a task ends, unless it has shown a sign of life.
    Lease = 9,
    /// The next members of a bulk job.
    Bulk = 12,
}

impl AlarmKind {
    /// Returns the kind with this number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<AlarmKind> {
        use AlarmKind::{Bulk, Delivery, Lasting, Lease, Schedule, Sla, Window};
        [Schedule, Window, Lasting, Sla, Delivery, Lease, Bulk]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// An alarm of a tenant, without its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alarm {
    /// What it is for.
    pub kind: AlarmKind,
    /// What it concerns, in the words of its kind.
    pub id: String,
}

impl TenantView<'_> {
    /// Returns whether an alarm is set.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn has_alarm(&self, due: Timestamp, kind: AlarmKind, id: &str) -> Result<bool, StoreError> {
        Ok(self.bytes(Space::Cron, &alarm_key(self, due, kind, id))?.is_some())
    }
}

impl TenantTx<'_, '_> {
    /// Sets an alarm: it rings once, not before `due`. Setting it again at the same time changes
    /// nothing; one at another time rings as well.
    pub fn set_alarm(&mut self, due: Timestamp, kind: AlarmKind, id: &str) {
        let key = alarm_key(&self.view(), due, kind, id);
        self.put(Space::Cron, key, Vec::new());
        self.note_alarm(due, kind, id, TimerChangeKind::Set);
    }

    /// Lifts an alarm, whether it is set or not.
    pub fn lift_alarm(&mut self, due: Timestamp, kind: AlarmKind, id: &str) {
        let key = alarm_key(&self.view(), due, kind, id);
        self.remove(Space::Cron, key);
        self.note_alarm(due, kind, id, TimerChangeKind::Lifted);
    }

    fn note_alarm(&mut self, due: Timestamp, kind: AlarmKind, id: &str, change: TimerChangeKind) {
        let what = Due::Alarm(Alarm { kind, id: id.to_owned() });
        self.note_timer(TimerChange { due, what, kind: change });
    }
}

/// Like the deadlines of runs, alarms are kept in one order of time for the whole part.
fn alarm_key(view: &TenantView<'_>, due: Timestamp, kind: AlarmKind, id: &str) -> Vec<u8> {
    let due = due.millis().max(0).unsigned_abs();
    let base = Key::bare().number(due).bytes(&view.tenant().0.to_be_bytes());
    base.tag(kind as u8).bytes(id.as_bytes()).done()
}
