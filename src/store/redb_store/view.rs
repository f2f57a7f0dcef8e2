//! A snapshot of one part, each record checked as it is read.

use super::shared::Shared;
use super::tables::{PART_BYTES, PARTS, PartState, StoredKey, damaged, of, stored_key};
use crate::failpoint;
use crate::store::envelope;
use crate::store::seam::{
    Direction, Pair, Part, Range, Seq, Space, StoreError, View, bounds_cross,
};
use bytes::Bytes;
use redb::{AccessGuard, ReadOnlyTable, ReadTransaction};
use std::cell::OnceCell;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub type OpenTable = ReadOnlyTable<&'static [u8], &'static [u8]>;

pub struct RedbView {
    part: Part,
    seq: Seq,
    tx: ReadTransaction,
    /// Opening a table walks a tree, so each is opened once and only when it is read.
    tables: [OnceCell<OpenTable>; Space::ALL.len()],
}

impl RedbView {
    /// Takes a snapshot of `part`.
    pub fn take(shared: &Shared, part: Part) -> Result<RedbView, StoreError> {
        shared.check_part(part)?;
        let tx = shared.begin_read()?;
        let seq = reading(Space::Meta, &[], || {
            let parts = tx.open_table(PARTS).map_err(|error| unavailable(&error))?;
            part_state(&parts, part)
        })?;
        Ok(RedbView { part, seq: seq.seq, tx, tables: Default::default() })
    }

    fn table(&self, space: Space) -> Result<&OpenTable, StoreError> {
        let slot = &self.tables[space as usize];
        if let Some(table) = slot.get() {
            return Ok(table);
        }
        let table = self.tx.open_table(of(space)).map_err(|error| unavailable(&error))?;
        Ok(slot.get_or_init(|| table))
    }

    fn bounds(&self, range: Range<'_>) -> (Bound<StoredKey>, Bound<StoredKey>) {
        let stored = |key: &[u8]| stored_key(self.part, key);
        let low = match range.0 {
            Bound::Included(key) => Bound::Included(stored(key)),
            Bound::Excluded(key) => Bound::Excluded(stored(key)),
            Bound::Unbounded => Bound::Included(stored(&[])),
        };
        let high = match (range.1, self.part.checked_add(1)) {
            (Bound::Included(key), _) => Bound::Included(stored(key)),
            (Bound::Excluded(key), _) => Bound::Excluded(stored(key)),
            (Bound::Unbounded, Some(next)) => Bound::Excluded(stored_key(next, &[])),
            (Bound::Unbounded, None) => Bound::Unbounded,
        };
        (low, high)
    }
}

impl View for RedbView {
    fn seq(&self) -> Seq {
        self.seq
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let stored = stored_key(self.part, key);
        reading(space, key, || {
            let found = self.table(space)?.get(stored.as_slice());
            let Some(value) = found.map_err(|error| unreadable(space, key, &error))? else {
                return Ok(None);
            };
            let payload = envelope::open(space as u8, &stored, value.value())
                .map_err(|reason| damaged(space, key, reason))?;
            Ok(Some(Bytes::from(payload.into_owned())))
        })
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let (low, high) = self.bounds(range);
        // The engine is not asked for bounds that cross, as it may take them for a mistake.
        if limit == 0 || bounds_cross(&low, &high) {
            return Ok(Vec::new());
        }
        reading(space, &[], || {
            let bounds = (low.as_ref().map(|k| &k[..]), high.as_ref().map(|k| &k[..]));
            let mut rows = self
                .table(space)?
                .range::<&[u8]>(bounds)
                .map_err(|error| unreadable(space, &[], &error))?;
            let mut pairs = Vec::new();
            while pairs.len() < limit {
                let next = match direction {
                    Direction::Ascending => rows.next(),
                    Direction::Descending => rows.next_back(),
                };
                let Some(row) = next else { break };
                let (key, value) = row.map_err(|error| unreadable(space, &[], &error))?;
                pairs.push(pair(space, &key, &value)?);
            }
            Ok(pairs)
        })
    }
}

fn pair(
    space: Space,
    key: &AccessGuard<'_, &'static [u8]>,
    value: &AccessGuard<'_, &'static [u8]>,
) -> Result<Pair, StoreError> {
    let stored = key.value();
    let payload = envelope::open(space as u8, stored, value.value())
        .map_err(|reason| damaged(space, &stored[PART_BYTES.min(stored.len())..], reason))?;
    Ok((Bytes::copy_from_slice(&stored[PART_BYTES..]), Bytes::from(payload.into_owned())))
}

/// Returns the last owner and commit of `part`.
pub fn part_state(parts: &OpenTable, part: Part) -> Result<PartState, StoreError> {
    let key = part.to_be_bytes();
    match parts.get(key.as_slice()).map_err(|error| unreadable(Space::Meta, &key, &error))? {
        Some(row) => PartState::opened(&key, row.value()),
        None => Ok(PartState::default()),
    }
}

/// Runs a read; damaged pages may make the engine panic, and we want an error instead.
pub fn reading<T>(
    space: Space,
    key: &[u8],
    read: impl FnOnce() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let read = || {
        failpoint::fail("store.read")
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        read()
    };
    catch_unwind(AssertUnwindSafe(read))
        .unwrap_or_else(|_| Err(damaged(space, key, "the structure around it makes no sense")))
}

pub fn unavailable(error: &redb::TableError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

pub fn unreadable(space: Space, key: &[u8], error: &redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(reason) => damaged(space, key, reason.clone()),
        other => StoreError::Unavailable(other.to_string()),
    }
}
