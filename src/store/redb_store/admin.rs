//! What the embedded store tells an administrator.

use super::ended;
use super::file::parse_format;
use super::queue::Request;
use super::shared::Shared;
use super::tables::{
    PART_BYTES, PARTS, PARTS_TAG, PLACES, PLACES_TAG, PartState, damaged, of, opened_place,
};
use super::view::{OpenTable, reading, unavailable, unreadable};
use crate::store::envelope;
use crate::store::log::LogState;
use crate::store::seam::{
    Admin, Compacted, Directory, Epoch, Layout, Part, Portion, Space, SpaceStats, StoreError,
    SurveyPlace, TakePortion,
};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use std::fs;
use std::ops::Bound;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

/// The file system counts in blocks of this size, whatever its own are.
const DISK_BLOCK_BYTES: u64 = 512;

impl Admin for Shared {
    fn stats(&self) -> Result<Vec<SpaceStats>, StoreError> {
        let tx = self.begin_read()?;
        Space::ALL.into_iter().map(|space| space_stats(&tx, space)).collect()
    }

    fn verify(&self) -> Result<Vec<StoreError>, StoreError> {
        let tx = self.begin_read()?;
        let mut faults = Vec::new();
        for space in Space::ALL {
            let open = |key: &[u8], row: &[u8]| match envelope::open(space as u8, key, row) {
                Ok(_) => Ok(()),
                Err(reason) => Err(damaged(space, &key[PART_BYTES.min(key.len())..], reason)),
            };
            check(&tx, of(space), space, &open, &mut faults);
        }
        let part = |key: &[u8], row: &[u8]| PartState::opened(key, row).map(|_| ());
        check(&tx, PARTS, Space::Meta, &part, &mut faults);
        let place = |key: &[u8], row: &[u8]| opened_place(key, row).map(|_| ());
        check(&tx, PLACES, Space::Meta, &place, &mut faults);
        Ok(faults)
    }

    fn copy(&self, take: TakePortion<'_>) -> Result<(), StoreError> {
        let tx = self.begin_read()?;
        let format = parse_format(&tx).map_err(|reason| {
            StoreError::Unavailable(reason.unwrap_or_else(|| "the store has no format".to_owned()))
        })?;
        take(Portion::Layout(Layout {
            format: format.number,
            written_by: format.written_by,
            parts: format.parts,
            parts_at_first: format.parts_at_first,
        }))?;
        // The places come first, as whoever takes the rows may want to know where a tenant lies.
        let own = [(PLACES_TAG, PLACES), (PARTS_TAG, PARTS)];
        let spaces = Space::ALL.into_iter().map(|space| (space as u8, of(space)));
        for (table, definition) in own.into_iter().chain(spaces) {
            reading(Space::Meta, &[], || {
                let rows = tx.open_table(definition).map_err(|error| unavailable(&error))?;
                each(&rows, Space::Meta, |key, value| take(Portion::Row { table, key, value }))
            })?;
        }
        Ok(())
    }

    fn log(&self) -> LogState {
        self.log.lock().clone()
    }

    fn renew_log(&self) -> Result<(), StoreError> {
        let (answer, answered) = sync_channel(1);
        self.queue.push(Request::Renew { answer });
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }

    fn bytes_on_disk(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |file| file.blocks() * DISK_BLOCK_BYTES)
    }

    fn survey(
        &self,
        from: Option<&SurveyPlace>,
        rows_max: usize,
        take: &mut dyn FnMut(Space, &[u8], u64),
    ) -> Result<Option<SurveyPlace>, StoreError> {
        let tx = self.begin_read()?;
        let mut left = rows_max.max(1);
        let first = from.map_or(Space::Meta, |place| place.space);
        for space in Space::ALL.into_iter().filter(|space| *space >= first) {
            let after = from.filter(|place| place.space == space);
            let after = after.map_or(&[][..], |place| &place.key);
            if let Some(key) = survey_space(&tx, (space, after), &mut left, take)? {
                return Ok(Some(SurveyPlace { space, key }));
            }
        }
        Ok(None)
    }

    fn directory_on_disk(&self) -> Option<PathBuf> {
        self.path.parent().map(Path::to_path_buf)
    }

    fn compact(&self) -> Result<Compacted, StoreError> {
        self.compact_beside()
    }

    fn stop_side_work(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }
}

impl Directory for Shared {
    fn owners(&self) -> Result<Vec<(Part, Epoch)>, StoreError> {
        let tx = self.begin_read()?;
        reading(Space::Meta, &[], || {
            let parts = tx.open_table(PARTS).map_err(|error| unavailable(&error))?;
            let mut owners = Vec::new();
            each(&parts, Space::Meta, |key, row| {
                let state = PartState::opened(key, row)?;
                let part = key.try_into().map_err(|_| damaged(Space::Meta, key, "not a part"))?;
                owners.push((Part::from_be_bytes(part), state.epoch));
                Ok(())
            })?;
            Ok(owners)
        })
    }

    fn place(&self, tenant: u32) -> Part {
        let by_default = tenant % u32::from(self.parts_at_first);
        let by_default = Part::try_from(by_default).expect("a remainder is below its divisor");
        self.places.read().get(&tenant).copied().unwrap_or(by_default)
    }
}

fn space_stats(tx: &ReadTransaction, space: Space) -> Result<SpaceStats, StoreError> {
    reading(space, &[], || {
        let table = tx.open_table(of(space)).map_err(|error| unavailable(&error))?;
        let mut stats = SpaceStats { space, rows: 0, bytes: 0 };
        each(&table, space, |key, row| {
            let stored = (key.len() + row.len()) as u64;
            stats.rows += 1;
            stats.bytes += stored.saturating_sub((PART_BYTES + envelope::OVERHEAD_BYTES) as u64);
            Ok(())
        })?;
        Ok(stats)
    })
}

/// Surveys one space after a key; answers the last key when `left` ran out before the rows did.
fn survey_space(
    tx: &ReadTransaction,
    (space, after): (Space, &[u8]),
    left: &mut usize,
    take: &mut dyn FnMut(Space, &[u8], u64),
) -> Result<Option<Vec<u8>>, StoreError> {
    reading(space, &[], || {
        let table = tx.open_table(of(space)).map_err(|error| unavailable(&error))?;
        let bounds = (Bound::Excluded(after), Bound::Unbounded);
        let rows = table.range::<&[u8]>(bounds).map_err(|error| unreadable(space, &[], &error))?;
        for row in rows {
            let (key, value) = row.map_err(|error| unreadable(space, &[], &error))?;
            let key = key.value();
            take(
                space,
                &key[PART_BYTES.min(key.len())..],
                (key.len() + value.value().len()) as u64,
            );
            *left -= 1;
            if *left == 0 {
                return Ok(Some(key.to_vec()));
            }
        }
        Ok(None)
    })
}

/// Says whether a stored row is sound.
type OpenRow<'a> = &'a dyn Fn(&[u8], &[u8]) -> Result<(), StoreError>;

/// Reads a whole table and collects what is wrong with it.
fn check(
    tx: &ReadTransaction,
    definition: super::tables::BytesTable,
    space: Space,
    open: OpenRow<'_>,
    faults: &mut Vec<StoreError>,
) {
    let whole = reading(space, &[], || {
        let table = tx.open_table(definition).map_err(|error| unavailable(&error))?;
        let expected = table.len().map_err(|error| unreadable(space, &[], &error))?;
        let mut found = 0;
        each(&table, space, |key, row| {
            found += 1;
            faults.extend(open(key, row).err());
            // A damaged signpost above the rows hides a row from look-ups and not from this walk.
            if !matches!(table.get(key), Ok(Some(_))) {
                let key = &key[PART_BYTES.min(key.len())..];
                faults.push(damaged(space, key, "it is not found by its key"));
            }
            Ok(())
        })?;
        if found == expected {
            return Ok(());
        }
        Err(damaged(space, &[], format!("the table holds {found} rows and counts {expected}")))
    });
    faults.extend(whole.err());
}

/// Hands every row of a table to `take`, as stored.
pub fn each(
    table: &OpenTable,
    space: Space,
    mut take: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for row in table.iter().map_err(|error| unreadable(space, &[], &error))? {
        let (key, value) = row.map_err(|error| unreadable(space, &[], &error))?;
        take(key.value(), value.value())?;
    }
    Ok(())
}
