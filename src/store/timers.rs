//! The deadlines and alarms of a part, in order, for the engine alone.

use std::ops::Bound;

use super::alarms::{Alarm, AlarmKind};
use super::ledger::Reads;
use super::runs::read_id;
use super::seam::{Direction, Pair, Space, StoreError};
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

/// Where a reading of deadlines stands, in the index of runs and in that of alarms.
#[derive(Clone, Debug)]
pub struct Cursor {
    runs: Side,
    alarms: Side,
}

#[derive(Clone, Debug)]
enum Side {
    /// With this time.
    From([u8; 8]),
    /// After this key.
    After(Vec<u8>),
    /// There are no more.
    Done,
}

impl Cursor {
    /// Begins with the deadlines of a time.
    #[must_use]
    pub fn from(time: Timestamp) -> Cursor {
        let from = time.millis().max(0).unsigned_abs().to_be_bytes();
        Cursor { runs: Side::From(from), alarms: Side::From(from) }
    }
}

impl Side {
    fn read(
        &mut self,
        (reads, space): (&dyn Reads, Space),
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let to = (until.millis().max(0).unsigned_abs() + 1).to_be_bytes();
        let from = match self {
            Side::From(time) => Bound::Included(time.as_slice()),
            Side::After(key) => Bound::Excluded(key.as_slice()),
            Side::Done => return Ok(Vec::new()),
        };
        if matches!(from, Bound::Included(from) | Bound::Excluded(from) if from >= to.as_slice()) {
            *self = Side::Done;
            return Ok(Vec::new());
        }
        let range = (from, Bound::Excluded(to.as_slice()));
        let found = reads.scan(space, range, Direction::Ascending, limit)?;
        *self = match found.last() {
            Some((key, _)) if found.len() == limit => Side::After(key.to_vec()),
            _ => Side::Done, // That was the last.
        };
        Ok(found)
    }
}

/// Returns the next deadlines that are due by `until`, earliest first: at most `limit` of runs and
/// as many alarms; and where to go on, if there may be more.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn deadlines(
    reads: &dyn Reads,
    until: Timestamp,
    cursor: &Cursor,
    limit: usize,
) -> Result<(Vec<Deadline>, Option<Cursor>), StoreError> {
    let mut next = cursor.clone();
    let runs = next.runs.read((reads, Space::Timer), until, limit)?;
    let alarms = next.alarms.read((reads, Space::Cron), until, limit)?;
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
    let is_over = matches!((&next.runs, &next.alarms), (Side::Done, Side::Done));
    Ok((found, (!is_over).then_some(next)))
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
