//! The deadlines and alarms of a part, in order, for the engine alone.

use std::ops::Bound;

use super::alarms::{Alarm, AlarmKind};
use super::ledger::Reads;
use super::runs::read_id;
use super::seam::{Direction, Space, StoreError};
use super::tenant::damaged;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;

/// How many bytes of a key stand before what is due: the time and the tenant.
const HEAD_BYTES: usize = 12;

/// What is to be woken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// A run.
    Run(RunId),
    /// Something else of the tenant.
    Alarm(Alarm),
}

/// When something is to be woken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// Never before this.
    pub due: Timestamp,
    /// Whose it is.
    pub tenant: TenantId,
    /// What is woken.
    pub what: Due,
}

/// Returns the deadlines that are due by `until`, earliest first: at most `limit` of runs and as
/// many alarms.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn deadlines(
    reads: &dyn Reads,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Deadline>, StoreError> {
    let to = (until.millis().max(0).unsigned_abs() + 1).to_be_bytes();
    let range = (Bound::Unbounded, Bound::Excluded(to.as_slice()));
    let runs = reads.scan(Space::Timer, range, Direction::Ascending, limit)?;
    let alarms = reads.scan(Space::Cron, range, Direction::Ascending, limit)?;
    let runs = runs.iter().map(|(key, _)| {
        let run = Due::Run(read_id(Space::Timer, key)?);
        read_deadline(Space::Timer, key, run)
    });
    let alarms = alarms.iter().map(|(key, _)| {
        let alarm = Due::Alarm(read_alarm(key)?);
        read_deadline(Space::Cron, key, alarm)
    });
    let mut found = runs.chain(alarms).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable();
    Ok(found)
}

fn read_deadline(space: Space, key: &[u8], what: Due) -> Result<Deadline, StoreError> {
    let wrong = || damaged(space, key, "no deadline");
    let due: [u8; 8] = key.get(..8).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
    let tenant = key.get(8..HEAD_BYTES).and_then(|bytes| bytes.try_into().ok());
    let due = i64::try_from(u64::from_be_bytes(due)).map_err(|_| wrong())?;
    Ok(Deadline {
        due: Timestamp::from_millis(due),
        tenant: TenantId(u32::from_be_bytes(tenant.ok_or_else(wrong)?)),
        what,
    })
}

fn read_alarm(key: &[u8]) -> Result<Alarm, StoreError> {
    let wrong = || damaged(Space::Cron, key, "no alarm");
    let (kind, id) = key.get(HEAD_BYTES..).and_then(|rest| rest.split_first()).ok_or_else(wrong)?;
    let kind = AlarmKind::from_number(*kind).ok_or_else(wrong)?;
    let id = std::str::from_utf8(id).map_err(|_| wrong())?.to_owned();
    Ok(Alarm { kind, id })
}
