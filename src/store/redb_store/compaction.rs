//! Writes the store into a new file while it serves, and puts the new file in the old one's place.
//!
//! A snapshot is copied beside the serving. What is written meanwhile is remembered by key and
//! copied after it, round by round, until little is left; that little is copied while the writer
//! stands still, the new file is synced and renamed, and the handle is exchanged. Readers of the
//! old file finish on it. Killed at any moment, one of the two files is whole and in its place.

use super::file::{self, NewFile};
use super::queue::Request;
use super::shared::{Reading, Shared};
use super::tables::{FORMAT, HEARTBEAT, PARTS, PLACES, StoredKey, of};
use super::view::reading;
use super::writer::Writer;
use crate::store::seam::{Compacted, Space, StoreError};
use redb::{Database, ReadTransaction, ReadableTable, WriteTransaction};
use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many rows are copied between two looks at the clock and at whether to stop.
const ROWS_AT_ONCE: u64 = 1_000;
/// The tail that the writer may be stopped for, in rows.
const TAIL_ROWS_MAX: usize = 2_000;
const ROUNDS_MAX: u32 = 12;
/// How long the copy rests at once at most, so that a stop need not wait for it.
const PAUSE_MAX: Duration = Duration::from_millis(200);
const READERS_LOOK_EVERY: Duration = Duration::from_millis(20);
const DISK_BLOCK_BYTES: u64 = 512;

/// The keys that were written since they were asked for last.
pub type Written = BTreeSet<(Space, StoredKey)>;

/// What the writer remembers for a copy that goes on.
#[derive(Default)]
pub struct Copying {
    written: Written,
    /// More was written than may be remembered; the copy is given up.
    is_lost: bool,
}

impl Copying {
    /// Remembers a key.
    pub fn note(&mut self, space: Space, key: &[u8], keys_max: usize) {
        if self.written.len() >= keys_max {
            self.is_lost = true;
            self.written.clear();
        }
        if !self.is_lost {
            self.written.insert((space, StoredKey::from_slice(key)));
        }
    }
}

/// Whether a look at what was written is the first of a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The writer begins to remember.
    First,
    /// It goes on.
    Next,
}

/// What the writer is asked to do for a copy, between two groups.
pub enum Aside {
    /// Begins to remember, or goes on, and gives what was remembered with a snapshot that has it.
    Turn { turn: Turn, answer: SyncSender<Result<(Written, Reading), String>> },
    /// Copies the tail and exchanges the files.
    Exchange { new: Box<NewFile>, answer: SyncSender<Result<Exchanged, String>> },
    /// Forgets what was remembered.
    Forget,
}

/// The old file after the exchange.
pub struct Exchanged {
    old: Option<Database>,
    readers: Arc<()>,
    tail_rows: u64,
    pause: Duration,
}

/// Only one copy goes on at a time.
struct Working<'a>(&'a AtomicBool);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Shared {
    /// Writes the store into a new file and puts that in the place of the old one.
    pub fn compact_beside(&self) -> Result<Compacted, StoreError> {
        if self.compacting.swap(true, Ordering::SeqCst) {
            return Err(StoreError::Refused("the store is being compacted already".to_owned()));
        }
        let _working = Working(&self.compacting);
        let begun = Instant::now();
        let bytes_before = self.file_bytes();
        let copied = self.copy_and_exchange();
        if copied.is_err() {
            self.queue.push(Request::Aside(Aside::Forget));
            file::remove_copy(&self.path);
        }
        let (exchanged, rows) = copied.map_err(StoreError::Unavailable)?;
        let compacted = Compacted {
            bytes_before,
            bytes_after: self.file_bytes(),
            rows: rows + exchanged.tail_rows,
            took_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            pause_us: u64::try_from(exchanged.pause.as_micros()).unwrap_or(u64::MAX),
        };
        self.keep_for_readers(exchanged);
        Ok(compacted)
    }

    /// The engine lets snapshots fail when their file is closed, so the old one stays open until
    /// its last reader is done, and its room on the disk is free only then.
    fn keep_for_readers(&self, Exchanged { old, readers, .. }: Exchanged) {
        let stopping = Arc::clone(&self.stopping);
        let kept = thread::Builder::new().name("store-old-file".into()).spawn(move || {
            while Arc::strong_count(&readers) > 1 && !stopping.load(Ordering::SeqCst) {
                thread::park_timeout(READERS_LOOK_EVERY);
            }
            drop(old);
        });
        if let Err(error) = kept {
            tracing::warn!("Readers of the old file may have to read again: {error}");
        }
    }

    fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |file| file.blocks() * DISK_BLOCK_BYTES)
    }

    fn copy_and_exchange(&self) -> Result<(Exchanged, u64), String> {
        let (_, snapshot) = self.turn(Turn::First)?;
        check_tables(&snapshot)?;
        let mut new = file::create_copy(&self.settings, &self.path)?;
        let mut pace = Pace::new(self.settings.compact_bytes_per_second);
        let mut rows = self.copy_all(&snapshot, &new.database, &mut pace)?;
        drop(snapshot);
        // Loading may have left holes; nobody else has the file yet.
        new.database.compact().map_err(|error| error.to_string())?;
        for _ in 0..ROUNDS_MAX {
            let (written, snapshot) = self.turn(Turn::Next)?;
            rows += copy_keys(&written, &snapshot, &new.database)?;
            if written.len() <= TAIL_ROWS_MAX {
                break;
            }
        }
        let (answer, answered) = sync_channel(1);
        self.queue.push(Request::Aside(Aside::Exchange { new: Box::new(new), answer }));
        let exchanged = answered.recv().map_err(|_| broken_off())??;
        Ok((exchanged, rows))
    }

    fn turn(&self, turn: Turn) -> Result<(Written, Reading), String> {
        let (answer, answered) = sync_channel(1);
        self.queue.push(Request::Aside(Aside::Turn { turn, answer }));
        answered.recv().map_err(|_| broken_off())?
    }

    /// Copies every row in order, so that the new file's pages are full.
    fn copy_all(
        &self,
        from: &ReadTransaction,
        new: &Database,
        pace: &mut Pace,
    ) -> Result<u64, String> {
        let text = |error: redb::Error| error.to_string();
        let tx = new.begin_write().map_err(|error| text(error.into()))?;
        let mut rows = 0;
        for space in Space::ALL {
            self.copy_space(from, &tx, space, (&mut rows, pace))?;
        }
        let made = || -> Result<(), redb::Error> {
            tx.open_table(PARTS)?;
            tx.open_table(PLACES)?;
            tx.open_table(HEARTBEAT)?;
            let (from, mut to) = (from.open_table(FORMAT)?, tx.open_table(FORMAT)?);
            for row in from.iter()? {
                let (key, value) = row?;
                to.insert(key.value(), value.value())?;
            }
            Ok(())
        };
        made().map_err(text)?;
        tx.commit().map_err(|error| error.to_string())?;
        Ok(rows)
    }

    fn copy_space(
        &self,
        from: &ReadTransaction,
        tx: &WriteTransaction,
        space: Space,
        (rows, pace): (&mut u64, &mut Pace),
    ) -> Result<(), String> {
        let copied = reading(space, &[], || {
            let mut copy = || -> Result<bool, redb::Error> {
                let source = from.open_table(of(space))?;
                let mut table = tx.open_table(of(space))?;
                let mut end = table.upper_bound_mut(std::ops::Bound::<&[u8]>::Unbounded)?;
                for row in source.iter()? {
                    let (key, value) = row?;
                    let (key, value) = (key.value(), value.value());
                    end.insert_before(key, value)
                        .map_err(|error| redb::Error::Corrupted(error.to_string()))?;
                    *rows += 1;
                    pace.add(key.len() + value.len());
                    if rows.is_multiple_of(ROWS_AT_ONCE) {
                        if self.stopping.load(Ordering::SeqCst) {
                            return Ok(false);
                        }
                        pace.keep();
                    }
                }
                end.close()?;
                Ok(true)
            };
            copy().map_err(|error| StoreError::Unavailable(error.to_string()))
        });
        match copied {
            Ok(true) => Ok(()),
            Ok(false) => Err(broken_off()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Writer {
    /// Does something for a copy.
    pub(super) fn perform_aside(&mut self, aside: Aside) {
        match aside {
            Aside::Forget => self.copying = None,
            Aside::Turn { turn, answer } => {
                let _ = answer.send(self.take_turn(turn));
            }
            Aside::Exchange { new, answer } => {
                let begun = Instant::now();
                let exchanged = self.exchange(*new).map(|(old, readers, tail_rows)| Exchanged {
                    old,
                    readers,
                    tail_rows,
                    pause: begun.elapsed(),
                });
                // Whoever asked may be gone; then the old file closes here.
                let _ = answer.send(exchanged);
            }
        }
    }

    fn take_turn(&mut self, turn: Turn) -> Result<(Written, Reading), String> {
        if turn == Turn::First {
            self.copying = Some(Copying::default());
        }
        let copying = self.copying.as_mut().ok_or_else(broken_off)?;
        if copying.is_lost {
            self.copying = None;
            return Err("too much is written for a copy to catch up; try again later".to_owned());
        }
        let written = std::mem::take(&mut copying.written);
        let snapshot = self.shared.begin_read().map_err(|error| error.to_string())?;
        Ok((written, snapshot))
    }

    fn exchange(&mut self, new: NewFile) -> Result<(Option<Database>, Arc<()>, u64), String> {
        let (written, snapshot) = self.take_turn(Turn::Next)?;
        self.copying = None;
        let rows = copy_keys(&written, &snapshot, &new.database)?;
        copy_own_tables(&snapshot, &new.database)?;
        drop(snapshot);
        new.file.sync_all().map_err(|error| error.to_string())?;
        let synced = self.shared.put_in_place()?;
        let (old, readers) = self.shared.replace(new.database);
        if let Err(error) = synced {
            // The new file is in its place and goes on; only a power cut now could undo that.
            tracing::error!("The directory of the store could not be synced: {error}");
        }
        Ok((old, readers, rows))
    }
}

/// A table that this version does not know would be lost in the copy.
fn check_tables(snapshot: &ReadTransaction) -> Result<(), String> {
    use redb::TableHandle as _;
    let known: BTreeSet<String> = Space::ALL
        .into_iter()
        .map(|space| of(space).name().to_owned())
        .chain([PARTS.name(), PLACES.name()].map(str::to_owned))
        .chain([FORMAT.name(), HEARTBEAT.name()].map(str::to_owned))
        .collect();
    let tables = snapshot.list_tables().map_err(|error| error.to_string())?;
    for table in tables {
        if !known.contains(table.name()) {
            return Err(format!("the file has a table `{}` that is not known", table.name()));
        }
    }
    Ok(())
}

/// Brings the rows of some keys to where the snapshot has them.
fn copy_keys(written: &Written, from: &ReadTransaction, to: &Database) -> Result<u64, String> {
    let copy = || -> Result<(), redb::Error> {
        let tx = to.begin_write()?;
        for space in Space::ALL {
            let keys: Vec<&StoredKey> =
                written.iter().filter(|(of, _)| *of == space).map(|(_, key)| key).collect();
            if keys.is_empty() {
                continue;
            }
            let (source, mut table) = (from.open_table(of(space))?, tx.open_table(of(space))?);
            for key in keys {
                match source.get(key.as_slice())? {
                    Some(value) => drop(table.insert(key.as_slice(), value.value())?),
                    None => drop(table.remove(key.as_slice())?),
                }
            }
        }
        tx.commit()?;
        Ok(())
    };
    copy().map_err(|error| error.to_string())?;
    Ok(written.len() as u64)
}

/// Copies who owns what; nobody but the writer changes it, and it is small.
fn copy_own_tables(from: &ReadTransaction, to: &Database) -> Result<(), String> {
    let copy = || -> Result<(), redb::Error> {
        let mut tx = to.begin_write()?;
        tx.set_quick_repair(true);
        for definition in [PARTS, PLACES] {
            let (source, mut table) = (from.open_table(definition)?, tx.open_table(definition)?);
            for row in source.iter()? {
                let (key, value) = row?;
                table.insert(key.value(), value.value())?;
            }
        }
        tx.commit()?;
        Ok(())
    };
    copy().map_err(|error| error.to_string())
}

fn broken_off() -> String {
    "the copy was broken off, since the store stopped or failed; it is as it was".to_owned()
}

/// Lets a copy leave room on the disk for those who wait for it.
struct Pace {
    begun: Instant,
    bytes: u64,
    bytes_per_second: u64,
}

impl Pace {
    fn new(bytes_per_second: u64) -> Pace {
        Pace { begun: Instant::now(), bytes: 0, bytes_per_second: bytes_per_second.max(1) }
    }

    fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn keep(&self) {
        let due = Duration::from_millis(self.bytes.saturating_mul(1_000) / self.bytes_per_second);
        if let Some(early) = due.checked_sub(self.begun.elapsed()) {
            thread::park_timeout(early.min(PAUSE_MAX));
        }
    }
}
