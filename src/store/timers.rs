//! The deadlines of a part, in order, for the engine alone.

use std::ops::Bound;

use super::ledger::Reads;
use super::runs::read_id;
use super::seam::{Direction, Space, StoreError};
use super::tenant::damaged;
use crate::domain::id::{RunId, TenantId};
use crate::domain::time::Timestamp;

/// When a run is to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Deadline {
    /// Never before this.
    pub due: Timestamp,
    /// The run's tenant.
    pub tenant: TenantId,
    /// The run.
    pub run: RunId,
}

/// Returns at most `limit` deadlines after `after` that are due by `until`, earliest first.
///
/// # Errors
/// Fails on an unreadable or damaged record.
pub fn deadlines(
    reads: &dyn Reads,
    after: Option<Deadline>,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Deadline>, StoreError> {
    let from = after.map(|deadline| {
        let mut key = millis(deadline.due).to_be_bytes().to_vec();
        key.extend_from_slice(&deadline.tenant.0.to_be_bytes());
        key.extend_from_slice(&deadline.run.to_bytes());
        key
    });
    let to = (millis(until) + 1).to_be_bytes();
    let from = from.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let range = (from, Bound::Excluded(to.as_slice()));
    let rows = reads.scan(Space::Timer, range, Direction::Ascending, limit)?;
    rows.iter().map(|(key, _)| read_deadline(key)).collect()
}

fn read_deadline(key: &[u8]) -> Result<Deadline, StoreError> {
    let wrong = || damaged(Space::Timer, key, "no deadline");
    let due: [u8; 8] = key.get(..8).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
    let tenant = key.get(8..12).and_then(|bytes| bytes.try_into().ok()).ok_or_else(wrong)?;
    let due = i64::try_from(u64::from_be_bytes(due)).map_err(|_| wrong())?;
    Ok(Deadline {
        due: Timestamp::from_millis(due),
        tenant: TenantId(u32::from_be_bytes(tenant)),
        run: read_id(Space::Timer, key)?,
    })
}

fn millis(moment: Timestamp) -> u64 {
    moment.millis().max(0).unsigned_abs()
}
