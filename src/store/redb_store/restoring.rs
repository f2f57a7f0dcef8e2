//! A file that is being made from rows: named only when it is whole, so that a broken-off restore
//! leaves nothing that looks like a store.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, Durability, ReadableDatabase};

use super::file::{self, FORMAT_NUMBER, Format};
use super::tables::{
    PART_BYTES, PARTS, PARTS_TAG, PLACES, PLACES_TAG, PartState, damaged, of, opened_place,
};
use super::view::{part_state, unavailable};
use crate::store::backup::PartEnd;
use crate::store::envelope;
use crate::store::seam::{Layout, Part, Space, StoreError};

/// The number that stands for the table of parts in backups and checksums.
pub const PARTS_TABLE: u8 = PARTS_TAG;
/// The number that stands for the table of places.
pub const PLACES_TABLE: u8 = PLACES_TAG;

/// A row as it is to stand in a table: its key with the part, its value with the envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRow {
    /// The table's number.
    pub table: u8,
    /// The stored key.
    pub key: Vec<u8>,
    /// The stored value, or `None` to remove the key.
    pub value: Option<Vec<u8>>,
}

impl NewRow {
    /// Seals a value for its place.
    #[must_use]
    pub fn sealed(part: Part, space: Space, key: &[u8], payload: &[u8]) -> NewRow {
        let mut bytes = [&part.to_be_bytes()[..], key].concat();
        let key_bytes = bytes.len();
        envelope::seal_onto(&mut bytes, space as u8, 0..key_bytes, payload);
        let value = bytes.split_off(key_bytes);
        NewRow { table: space as u8, key: bytes, value: Some(value) }
    }
}

/// A store's file that has no name yet.
pub struct NewStore {
    database: Database,
    for_sync: File,
    unnamed: Unnamed,
    path: PathBuf,
    parts: Part,
    _lock: File,
}

/// Removes the file that was broken off.
struct Unnamed(PathBuf);

impl Drop for Unnamed {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0); // It has its name now, or the next start removes it.
    }
}

impl NewStore {
    /// Begins a file in a directory without a store; the directory is made where it is missing.
    ///
    /// # Errors
    /// `Refused` when there is a store, another process holds the directory, or it is of a format
    /// that this version does not know.
    pub fn begin(directory: &Path, layout: &Layout) -> Result<NewStore, StoreError> {
        if layout.format > FORMAT_NUMBER {
            return Err(StoreError::Refused(format!(
                "it is of format {}, written by ergane {}, and this is ergane {}, which reads up \
                 to format {FORMAT_NUMBER}; restore it with ergane {} or a later one",
                layout.format,
                layout.written_by,
                env!("CARGO_PKG_VERSION"),
                layout.written_by,
            )));
        }
        let lock = file::lock_directory(directory)?;
        let path = directory.join(file::FILE_NAME);
        if path.exists() {
            return Err(StoreError::Refused(format!(
                "there is a store in {} already; move it away, or give another --data-dir",
                directory.display()
            )));
        }
        file::remove_unfinished(directory)?;
        let new = directory.join(file::NEW_FILE_NAME);
        let file = file::create_file(&new)?;
        let for_sync = file.try_clone().map_err(|error| file::cannot("create", &new, &error))?;
        let database = FileBackend::new(file)
            .and_then(|backend| Database::builder().create_with_backend(backend))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let format = Format {
            number: layout.format,
            written_by: layout.written_by.clone(),
            parts: layout.parts,
            parts_at_first: layout.parts_at_first,
            progress: None,
        };
        file::write_first(&database, &format)
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let unnamed = Unnamed(new);
        Ok(NewStore { database, for_sync, unnamed, path, parts: layout.parts, _lock: lock })
    }

    /// Writes rows as one transaction; it becomes durable with the whole file.
    ///
    /// # Errors
    /// Fails when the disk does not let us.
    pub fn write(&mut self, rows: &[NewRow]) -> Result<(), StoreError> {
        self.write_rows(rows).map_err(|error| {
            StoreError::Unavailable(format!("cannot write {}: {error}", self.unnamed.0.display()))
        })
    }

    fn write_rows(&self, rows: &[NewRow]) -> Result<(), redb::Error> {
        let mut tx = self.database.begin_write()?;
        tx.set_durability(Durability::None)?;
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|row| row.table == first.table).count();
            let mut table = tx.open_table(table_of(first.table))?;
            for row in &rest[..count] {
                match &row.value {
                    Some(value) => drop(table.insert(row.key.as_slice(), value.as_slice())?),
                    None => drop(table.remove(row.key.as_slice())?),
                }
            }
            rest = &rest[count..];
        }
        tx.commit()?;
        Ok(())
    }

    /// Returns the last commit of each part.
    ///
    /// # Errors
    /// Fails when the file cannot be read.
    pub fn ends(&self) -> Result<Vec<PartEnd>, StoreError> {
        let tx = self.database.begin_read();
        let tx = tx.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let table = tx.open_table(PARTS).map_err(|error| unavailable(&error))?;
        let end = |part| part_state(&table, part).map(|state| end_of(part, state));
        (0..self.parts).map(end).collect()
    }

    /// Makes everything durable and gives the file its name.
    ///
    /// # Errors
    /// Fails when the disk does not let us; there is no store then.
    pub fn finish(self) -> Result<(), StoreError> {
        let NewStore { database, for_sync, unnamed, path, parts: _, _lock } = self;
        let new = &unnamed.0;
        let commit = || -> Result<(), redb::Error> {
            let mut tx = database.begin_write()?;
            tx.set_quick_repair(true);
            tx.commit()?;
            Ok(())
        };
        commit().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        database.close().map_err(|error| StoreError::Unavailable(error.to_string()))?;
        for_sync.sync_all().map_err(|error| file::cannot("write", new, &error))?;
        file::name(new, &path)
    }
}

fn table_of(table: u8) -> super::tables::BytesTable {
    match table {
        PARTS_TAG => PARTS,
        PLACES_TAG => PLACES,
        _ => {
            let space = Space::ALL.into_iter().find(|space| *space as u8 == table);
            of(space.expect("the tables of a backup are checked as they are read"))
        }
    }
}

/// Returns what a row of the table of parts says.
///
/// # Errors
/// `Damaged` for a row that does not match its checksum.
pub fn read_part(key: &[u8], row: &[u8]) -> Result<PartEnd, StoreError> {
    let state = PartState::opened(key, row)?;
    let part = key.try_into().map_err(|_| damaged(Space::Meta, key, "not a part"))?;
    Ok(end_of(Part::from_be_bytes(part), state))
}

/// Returns what a row of the table of places says.
///
/// # Errors
/// `Damaged` for a row that does not match its checksum.
pub fn read_place(key: &[u8], row: &[u8]) -> Result<(u32, Part), StoreError> {
    opened_place(key, row)
}

pub(super) fn end_of(part: Part, state: PartState) -> PartEnd {
    PartEnd { part, epoch: state.epoch.0, seq: state.seq.0 }
}

const _: () = assert!(PART_BYTES == 2, "a sealed row begins with its part");
