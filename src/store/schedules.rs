//! Schedules: a row for each schedule of a workflow, which always agrees with its one alarm.

use serde::{Deserialize, Serialize};

use super::alarms::AlarmKind;
use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::id::RunId;
use crate::domain::schedule::Schedule;
use crate::domain::time::Timestamp;

const SCHEDULE: u8 = Row::Schedule as u8;

/// How far a schedule of a workflow has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleRow {
    /// The workflow's name.
    pub workflow: String,
    /// The position of the trigger among the workflow's, from 0.
    pub trigger: u32,
    /// The version that it starts.
    pub version: u32,
    /// The times and the zone, by which it is known again in another version.
    pub times: String,
    /// Whether its workflow is active.
    pub active: bool,
    /// Since when it is paused, and by whom.
    pub paused: Option<Pause>,
    /// Slots up to this one have fired or been left out; they never fire again.
    pub done_until: Timestamp,
    /// What comes next; nothing while it is paused or its workflow is not active.
    pub next: Option<NextSlot>,
    /// The last firing.
    pub last: Option<Firing>,
    /// The newest runs that may still be active, oldest first.
    pub running: Vec<RunId>,
    /// How often it has fired.
    pub fired: u64,
    /// How many slots were missed.
    pub missed: u64,
    /// How many slots were missed since it fired last.
    pub missed_since: u64,
    /// The newest slots that did not fire, newest first.
    pub left_out: Vec<LeftOut>,
}

/// Since when a schedule is paused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
}

/// The next slot of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextSlot {
    /// The slot.
    pub slot: Timestamp,
    /// When its alarm rings: with the jitter.
    pub due: Timestamp,
}

/// A slot that fired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Firing {
    /// The slot.
    pub slot: Timestamp,
    /// When it fired.
    pub at: Timestamp,
    /// The run that it started.
    pub run: RunId,
}

/// A slot that did not fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// The slot.
    pub slot: Timestamp,
    /// Why not.
    pub reason: String,
}

impl ScheduleRow {
    /// Begins at an instant: slots that came before do not concern it.
    #[must_use]
    pub fn new(workflow: &str, trigger: u32, schedule: &Schedule, now: Timestamp) -> ScheduleRow {
        ScheduleRow {
            workflow: workflow.to_owned(),
            trigger,
            version: 0,
            times: schedule.times(),
            active: false,
            paused: None,
            done_until: now,
            next: None,
            last: None,
            running: Vec::new(),
            fired: 0,
            missed: 0,
            missed_since: 0,
            left_out: Vec::new(),
        }
    }

    /// Looks for the next slot after those that are done with.
    pub fn plan(&mut self, schedule: &Schedule) {
        let goes_on = self.active && self.paused.is_none();
        self.next = goes_on
            .then(|| schedule.next_after(self.done_until))
            .flatten()
            .map(|slot| NextSlot { slot, due: schedule.fires_at(slot, &self.workflow) });
    }

    /// Is done with everything that came before an instant.
    pub fn go_on_from(&mut self, now: Timestamp) {
        // After the clock went back, slots that fired before are still done with.
        self.done_until = self.done_until.max(now);
    }

    /// Notes a slot that does not fire, and forgets the oldest of too many.
    pub fn leave_out(&mut self, slot: Timestamp, reason: impl Into<String>, listed_max: usize) {
        self.left_out.insert(0, LeftOut { slot, reason: reason.into() });
        self.left_out.truncate(listed_max);
    }

    fn alarm(&self) -> String {
        format!("{}#{}", self.workflow, self.trigger)
    }
}

/// Reads which schedule an alarm is for: the workflow and the trigger.
#[must_use]
pub fn of_alarm(id: &str) -> Option<(&str, u32)> {
    let (workflow, trigger) = id.rsplit_once('#')?;
    Some((workflow, trigger.parse().ok()?))
}

impl TenantView<'_> {
    /// Returns one schedule.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn schedule(
        &self,
        workflow: &str,
        trigger: u32,
    ) -> Result<Option<ScheduleRow>, StoreError> {
        self.json(Space::Row, &schedule_key(self, workflow, trigger))
    }

    /// Returns every schedule, by workflow and trigger.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn schedules(&self) -> Result<Vec<ScheduleRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(SCHEDULE));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns whether the alarm for a schedule's next slot is set, or need not be.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn is_schedule_armed(&self, row: &ScheduleRow) -> Result<bool, StoreError> {
        let Some(next) = row.next else { return Ok(true) };
        self.has_alarm(next.due, AlarmKind::Schedule, &row.alarm())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a schedule and sets its alarm in place of the one before.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn put_schedule(&mut self, row: &ScheduleRow) -> Result<(), StoreError> {
        let before = self.view().schedule(&row.workflow, row.trigger)?;
        if let Some(next) = before.and_then(|before| before.next) {
            self.lift_alarm(next.due, AlarmKind::Schedule, &row.alarm());
        }
        if let Some(next) = row.next {
            self.set_alarm(next.due, AlarmKind::Schedule, &row.alarm());
        }
        let key = schedule_key(&self.view(), &row.workflow, row.trigger);
        self.put_json(Space::Row, key, row);
        Ok(())
    }

    /// Removes a schedule with its alarm.
    pub fn remove_schedule(&mut self, row: &ScheduleRow) {
        if let Some(next) = row.next {
            self.lift_alarm(next.due, AlarmKind::Schedule, &row.alarm());
        }
        let key = schedule_key(&self.view(), &row.workflow, row.trigger);
        self.remove(Space::Row, key);
    }
}

fn schedule_key(view: &TenantView<'_>, workflow: &str, trigger: u32) -> Vec<u8> {
    Key::of(view.tenant()).tag(SCHEDULE).text(workflow).number(trigger.into()).done()
}
