//! Brings a file of an older format to the present one: in small steps, each with its progress in
//! the same transaction, so that whatever breaks it off is gone on with at the next start.

use std::fs::{self, File};
use std::path::Path;

use redb::{Database, ReadableTable, WriteTransaction};

use super::file::{self, FORMAT_NUMBER, Format};
use super::tables::{PART_BYTES, damaged, of};
use crate::store::envelope;
use crate::store::event_index;
use crate::store::seam::{Part, Space, StoreError};

/// Where in the record of the format it stands how far a migration is.
pub const PROGRESS: &str = "migrating";
/// How many rows one transaction looks at.
const ROWS_AT_ONCE: usize = 2_000;

/// Reads what stands under a key of the same part.
pub type ReadRow<'a> = &'a dyn Fn(Space, &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
/// Rows that a migration writes: their space, key and value.
pub type NewRows = Vec<(Space, Vec<u8>, Vec<u8>)>;

/// Returns what is to be written for a row, by its key and value.
type Turn = fn(&[u8], &[u8], ReadRow<'_>) -> Result<NewRows, StoreError>;

/// One step from a format to the next.
struct Migration {
    /// The format that it leads from.
    from: u32,
    /// What it does, for a person.
    about: &'static str,
    /// The space whose rows it looks at, once each.
    space: Space,
    /// What it makes of each; doing so again changes nothing.
    turn: Turn,
}

/// Every step, in order; one is never changed once it was released.
const MIGRATIONS: [Migration; 1] = [Migration {
    from: 1,
    about: "index the events from before there was an index of their types",
    space: Space::Event,
    turn: event_index::index_again,
}];

const _: () = assert!(MIGRATIONS.len() + 1 == FORMAT_NUMBER as usize, "a format has its step");

/// Returns whether a file has to be brought to the present format, or further on its way there.
pub fn is_needed(format: &Format) -> bool {
    format.number < FORMAT_NUMBER || format.progress.is_some()
}

/// Copies the file as it is before anything in it is changed; a copy that is there is kept. The
/// database must be closed.
pub fn keep_copy(path: &Path) -> Result<(), StoreError> {
    let copy = path.with_file_name(format!("{}.before-{FORMAT_NUMBER}", file::FILE_NAME));
    if copy.exists() {
        return Ok(());
    }
    let part = copy.with_extension("part");
    let made = fs::copy(path, &part).and_then(|_| File::open(&part)?.sync_all());
    if let Err(error) = made {
        let _ = fs::remove_file(&part); // It is of no use, and takes room.
        return Err(StoreError::Unavailable(format!(
            "cannot copy {} before it is brought to format {FORMAT_NUMBER}: {error}; make room, \
             nothing was changed",
            path.display()
        )));
    }
    file::name(&part, &copy)?;
    tracing::info!(copy = %copy.display(), "Kept a copy of the store as it was");
    Ok(())
}

/// Brings a file to the present format.
pub fn migrate(database: &Database, mut format: Format) -> Result<Format, StoreError> {
    loop {
        let (from, mut after) = match &format.progress {
            Some(progress) => read_progress(progress)?,
            None if format.number < FORMAT_NUMBER => (format.number, None),
            None => return Ok(format),
        };
        let known = MIGRATIONS.iter().find(|migration| migration.from == from);
        let migration = known.ok_or_else(|| {
            StoreError::Refused(format!("there is no way on from format {from} of the store"))
        })?;
        tracing::info!(from, to = from + 1, "Migrating the store: {}", migration.about);
        // The number comes first, so that an older program leaves the half-done file alone.
        format.number = from + 1;
        format.written_by = env!("CARGO_PKG_VERSION").to_owned();
        let mut is_over = false;
        while !is_over {
            let turned = turn_batch(database, migration, &format, after.as_deref())?;
            is_over = turned.is_none();
            after = turned;
        }
        format.progress = None;
    }
}

/// Looks at the next rows, writes what they ask for and how far it is; `None` at the end.
fn turn_batch(
    database: &Database,
    migration: &Migration,
    format: &Format,
    after: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, StoreError> {
    let tx = database.begin_write().map_err(|error| failed(&error.into()))?;
    let rows = next_rows(&tx, migration.space, after)?;
    let last = rows.last().filter(|_| rows.len() == ROWS_AT_ONCE).map(|(key, _)| key.clone());
    for (key, value) in &rows {
        let payload = envelope::open(migration.space as u8, key, value)
            .map_err(|reason| damaged(migration.space, &key[PART_BYTES..], reason))?;
        let (part, own) = key.split_at(PART_BYTES);
        let part = Part::from_be_bytes([part[0], part[1]]);
        let read = |space: Space, key: &[u8]| read_row(&tx, part, space, key);
        for (space, key, value) in (migration.turn)(own, &payload, &read)? {
            write_row(&tx, part, (space, &key, &value)).map_err(|error| failed(&error))?;
        }
    }
    let progress = last.as_ref().map(|last| format!("{}:{}", migration.from, hex::encode(last)));
    let format = Format { progress, ..format.clone() };
    file::write_format(&tx, &format).map_err(|error| failed(&error))?;
    tx.commit().map_err(|error| failed(&error.into()))?;
    Ok(last)
}

type StoredRow = (Vec<u8>, Vec<u8>);

fn next_rows(
    tx: &WriteTransaction,
    space: Space,
    after: Option<&[u8]>,
) -> Result<Vec<StoredRow>, StoreError> {
    let read = || -> Result<Vec<StoredRow>, redb::Error> {
        let table = tx.open_table(of(space))?;
        let low = match after {
            Some(after) => std::ops::Bound::Excluded(after),
            None => std::ops::Bound::Unbounded,
        };
        let mut rows = Vec::new();
        for row in table.range::<&[u8]>((low, std::ops::Bound::Unbounded))?.take(ROWS_AT_ONCE) {
            let (key, value) = row?;
            rows.push((key.value().to_vec(), value.value().to_vec()));
        }
        Ok(rows)
    };
    read().map_err(|error| failed(&error))
}

fn read_row(
    tx: &WriteTransaction,
    part: Part,
    space: Space,
    key: &[u8],
) -> Result<Option<Vec<u8>>, StoreError> {
    let stored = super::tables::stored_key(part, key);
    let read = || -> Result<Option<Vec<u8>>, redb::Error> {
        let table = tx.open_table(of(space))?;
        Ok(table.get(stored.as_slice())?.map(|value| value.value().to_vec()))
    };
    let Some(value) = read().map_err(|error| failed(&error))? else { return Ok(None) };
    let payload = envelope::open(space as u8, &stored, &value);
    payload.map(|it| Some(it.into_owned())).map_err(|reason| damaged(space, key, reason))
}

fn write_row(
    tx: &WriteTransaction,
    part: Part,
    (space, key, value): (Space, &[u8], &[u8]),
) -> Result<(), redb::Error> {
    let mut stored = super::tables::stored_key(part, key).to_vec();
    let key_bytes = stored.len();
    envelope::seal_onto(&mut stored, space as u8, 0..key_bytes, value);
    let (key, value) = stored.split_at(key_bytes);
    tx.open_table(of(space))?.insert(key, value)?;
    Ok(())
}

fn read_progress(progress: &str) -> Result<(u32, Option<Vec<u8>>), StoreError> {
    let wrong = || {
        StoreError::Refused(format!(
            "the store is migrating as `{progress}` says, which makes no sense; put the copy from before back"
        ))
    };
    let (from, after) = progress.split_once(':').ok_or_else(wrong)?;
    let after = hex::decode(after).map_err(|_| wrong())?;
    Ok((from.parse().map_err(|_| wrong())?, Some(after).filter(|after| !after.is_empty())))
}

fn failed(error: &redb::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "cannot bring the store to format {FORMAT_NUMBER}: {error}; it goes on at the next start"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::tables::FORMAT;
    use super::*;
    use crate::domain::id::TenantId;
    use crate::store::ledger::Snapshot;
    use crate::store::redb_store::{RedbStore, StoreSettings};
    use crate::store::seam::{Batch, Mutation, Store as _};
    use crate::store::tenant::TenantView;

    const EVENTS: u64 = 2 * ROWS_AT_ONCE as u64 + 10;

    fn event(number: u64) -> Mutation {
        let kind = if number.is_multiple_of(3) { "b" } else { "a" };
        let json = format!(r#"{{"event":{{"type":"{kind}","id":"{number}"}},"receivedAt":"x"}}"#);
        let key = crate::store::key::Key::of(TenantId(1)).number(number << 16).done();
        Mutation { space: Space::Event, key: key.into(), value: Some(json.into_bytes().into()) }
    }

    /// Makes a file of format 1: events without an index, but for one that has it already.
    fn old_file(settings: &StoreSettings) {
        let store = RedbStore::open(settings).unwrap();
        let mutations = (1..=EVENTS).map(event).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(store.claim(0).unwrap().commit(Batch { mutations })).unwrap();
        store.close();
        let database = Database::open(settings.data_dir.join(file::FILE_NAME)).unwrap();
        let tx = database.begin_write().unwrap();
        tx.open_table(FORMAT).unwrap().insert("format", "1").unwrap();
        tx.commit().unwrap();
    }

    fn indexed(store: &RedbStore, kind: &str) -> Vec<u64> {
        let snapshot = Snapshot::of(store, 0).unwrap();
        let view = TenantView::new(TenantId(1), &snapshot);
        let keys = view.events_of_kind(kind, None, usize::MAX).unwrap();
        keys.into_iter().map(|key| key.0 >> 16).collect()
    }

    #[test]
    fn a_file_of_the_first_format_gets_its_index_and_is_copied_before() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: directory.path().into(), ..Default::default() };
        old_file(&settings);
        let store = RedbStore::open(&settings).unwrap();
        let expected: Vec<u64> = (1..=EVENTS).rev().filter(|it| it.is_multiple_of(3)).collect();
        assert_eq!(indexed(&store, "b"), expected);
        assert_eq!(indexed(&store, "a").len() + expected.len(), EVENTS as usize);
        assert!(store.admin().verify().unwrap().is_empty());
        store.close();
        assert!(directory.path().join("ergane.redb.before-2").exists());
        // A second opening has nothing to do.
        assert_eq!(indexed(&RedbStore::open(&settings).unwrap(), "b"), expected);
    }

    #[test]
    fn a_migration_that_was_broken_off_goes_on_where_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let settings = StoreSettings { data_dir: directory.path().into(), ..Default::default() };
        old_file(&settings);
        let path = directory.path().join(file::FILE_NAME);
        let database = Database::open(&path).unwrap();
        let format = file::read_format(&database, &path).unwrap();
        let format = Format { number: 2, ..format };
        let last = turn_batch(&database, &MIGRATIONS[0], &format, None).unwrap().unwrap();
        assert_eq!(u64::from_be_bytes(*last.last_chunk().unwrap()) >> 16, ROWS_AT_ONCE as u64);
        let format = file::read_format(&database, &path).unwrap();
        assert_eq!((format.number, is_needed(&format)), (2, true));
        drop(database);
        let store = RedbStore::open(&settings).unwrap();
        assert_eq!(indexed(&store, "a").len() + indexed(&store, "b").len(), EVENTS as usize);
    }
}
