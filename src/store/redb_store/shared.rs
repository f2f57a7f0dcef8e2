//! What the store's handles, its owners and its writer share.

use super::file;
use super::queue::Queue;
use super::reserve::Reserve;
use super::settings::StoreSettings;
use crate::domain::condition::Condition;
use crate::store::board::Board;
use crate::store::log::LogState;
use crate::store::seam::{Caps, Health, Part, StoreError};
use parking_lot::{Mutex, RwLock};
use redb::{
    Database, ReadTransaction, ReadableDatabase, StorageError, TransactionError, WriteTransaction,
};
use std::collections::HashMap;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

/// How long a reader waits for a file that is being opened again.
const READ_WAIT_MAX: Duration = Duration::from_millis(100);
/// How often, and after which pause, a reader asks for a handle in place of a spoiled one.
const READ_TRIES_MAX: u32 = 50;
const READ_PAUSE: Duration = Duration::from_millis(2);

/// The state behind every handle of one store.
pub struct Shared {
    /// Absent while the file cannot be opened. Held to begin a transaction and to open the file
    /// again, never during a transaction: the engine lets old snapshots fail by themselves when
    /// the file closes.
    pub database: RwLock<Option<Database>>,
    pub queue: Queue,
    pub health: RwLock<Health>,
    pub board: Board,
    pub reserve: Reserve,
    /// The device and the number of the file that was opened.
    pub identity: RwLock<Option<(u64, u64)>>,
    /// Where tenants were placed.
    pub places: RwLock<HashMap<u32, Part>>,
    pub settings: StoreSettings,
    pub path: PathBuf,
    /// Decides where a tenant lives that was never placed.
    pub parts_at_first: Part,
    /// How many transactions the writer has made durable since the start.
    pub commits: AtomicU64,
    /// How the log fares.
    pub log: Arc<Mutex<LogState>>,
    /// Held by every snapshot of the present file, so that the file can be let go when none is left.
    pub readers: RwLock<Arc<()>>,
    /// Whether the file is being written anew.
    pub compacting: AtomicBool,
    /// Whether what goes on beside the serving is to end.
    pub stopping: Arc<AtomicBool>,
}

/// A snapshot, counted among the readers of its file.
pub struct Reading {
    tx: ReadTransaction,
    _reader: Arc<()>,
}

impl Deref for Reading {
    type Target = ReadTransaction;

    fn deref(&self) -> &ReadTransaction {
        &self.tx
    }
}

impl Shared {
    /// Begins a snapshot. Opening a sound file again takes a moment, and a reader that waits for
    /// it sees no fault.
    #[allow(clippy::disallowed_methods, reason = "the writer wakes nobody when it is done")]
    pub fn begin_read(&self) -> Result<Reading, StoreError> {
        let mut tries_left = READ_TRIES_MAX;
        loop {
            let begun = {
                let database = self.database.try_read_for(READ_WAIT_MAX).ok_or_else(reopening)?;
                let reader = Arc::clone(&self.readers.read());
                let begun = database.as_ref().ok_or_else(reopening)?.begin_read();
                begun.map(|tx| Reading { tx, _reader: reader })
            };
            match begun {
                // A failed write spoils the handle for readers too, until the writer replaces it.
                Err(TransactionError::Storage(StorageError::PreviousIo)) if tries_left > 0 => {
                    tries_left -= 1;
                    std::thread::sleep(READ_PAUSE);
                }
                begun => return begun.map_err(|error| StoreError::Unavailable(error.to_string())),
            }
        }
    }

    /// Puts another file's handle in the place of the present one, which is returned with what
    /// its readers hold.
    pub fn replace(&self, database: Database) -> (Option<Database>, Arc<()>) {
        let mut present = self.database.write();
        let old = present.replace(database);
        (old, std::mem::take(&mut *self.readers.write()))
    }

    /// Puts the new file in the place of the present one, as the one that belongs there; returns
    /// what else can go wrong once it is there.
    pub fn put_in_place(&self) -> Result<io::Result<()>, String> {
        let mut identity = self.identity.write();
        let synced = file::put_in_place(&self.path)?;
        *identity = identity.and_then(|_| identity_of(&self.path));
        Ok(synced)
    }

    /// Begins the one write transaction.
    pub fn begin_write(&self) -> Result<WriteTransaction, String> {
        let database = self.database.read();
        let database = database.as_ref().ok_or("the file is being opened again")?;
        database.begin_write().map_err(|error| error.to_string())
    }

    /// Returns whether the file is still where it was opened, and notes it where everybody looks.
    /// What is written to a file without a name is gone with the process.
    pub fn check_identity(&self) -> Result<(), String> {
        // Held while looking, so that a new file is never seen before it is known.
        let identity = self.identity.read();
        if identity.is_none() || identity_of(&self.path) == *identity {
            self.board.lift(Condition::FileReplaced);
            return Ok(());
        }
        let what = if self.path.exists() { "is another file now" } else { "is gone" };
        let detail = format!("the store's file {} {what}", self.path.display());
        self.board.raise(Condition::FileReplaced, detail.clone());
        Err(detail)
    }

    /// Returns whether the store takes no writes.
    pub fn is_read_only(&self) -> bool {
        *self.health.read() != Health::Healthy
    }

    /// Returns what this store can do.
    pub fn caps(&self) -> Caps {
        Caps {
            batch_bytes_max: self.settings.batch_bytes_max,
            value_bytes_max: self.settings.batch_bytes_max,
            parts: self.settings.parts,
        }
    }

    /// Refuses a part that does not exist.
    pub fn check_part(&self, part: Part) -> Result<(), StoreError> {
        if part < self.settings.parts {
            return Ok(());
        }
        let parts = self.settings.parts;
        Err(StoreError::Refused(format!("part {part} does not exist: the store has {parts}")))
    }
}

/// Returns the device and the number of the file at `path`.
pub fn identity_of(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn reopening() -> StoreError {
    StoreError::Unavailable("the file is being opened again after a fault".into())
}
