//! The embedded store: one file, one writer, group commit.

mod admin;
mod compaction;
mod file;
mod migrate;
mod owned;
mod queue;
mod reserve;
mod restoring;
mod rows;
mod settings;
mod shared;
mod tables;
mod view;
mod watch;
mod writer;

#[cfg(test)]
mod images;
#[cfg(test)]
mod tests;

pub(in crate::store) use migrate::{NewRows, ReadRow};
pub use restoring::{NewRow, NewStore, PARTS_TABLE, PLACES_TABLE, read_part, read_place};
pub use settings::StoreSettings;
pub(in crate::store) use tables::PART_BYTES;

use crate::clock::Clock;
use crate::store::board::Board;
use crate::store::seam::{
    Admin, Caps, CommitError, Directory, Health, Owned, Part, Space, Store, StoreError, View,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use owned::{RedbOwned, unanswered};
use parking_lot::RwLock;
use queue::{Queue, Request};
use reserve::Reserve;
use rows::Rows;
use shared::{Shared, identity_of};
use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tables::PartState;
use tokio::sync::oneshot;
use view::RedbView;
use writer::{Reopen, Writer};

/// The store in one file of this machine; dropping it closes the file.
pub struct RedbStore {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    _directory_lock: File,
}

impl RedbStore {
    /// Opens the store, makes it on the first start and repairs it after a crash.
    ///
    /// # Errors
    /// `Refused` with a cure when the file is held, foreign, damaged or newer than this version;
    /// `Unavailable` when the disk does not let us.
    pub fn open(settings: &StoreSettings) -> Result<RedbStore, StoreError> {
        let opened = file::open(settings)?;
        let (again, path) = (settings.clone(), opened.path.clone());
        Self::start(settings, opened, Box::new(move || file::reopen(&again, &path)))
    }

    fn start(
        settings: &StoreSettings,
        opened: file::OpenFile,
        reopen: Reopen,
    ) -> Result<RedbStore, StoreError> {
        let shared = Arc::new(Shared {
            database: RwLock::new(Some(opened.database)),
            queue: Queue::new(settings.writer_queue_batches_max),
            health: RwLock::new(Health::Healthy),
            board: Board::new(Clock::system(), Duration::from_millis(settings.stalled_after_ms)),
            reserve: Reserve::in_directory(&settings.data_dir),
            identity: RwLock::new(identity_of(&opened.path)),
            places: RwLock::new(HashMap::new()),
            settings: settings.clone(),
            path: opened.path,
            parts_at_first: opened.format.parts_at_first,
            commits: AtomicU64::new(0),
            log: Arc::default(),
            readers: RwLock::default(),
            compacting: AtomicBool::new(false),
            stopping: Arc::default(),
        });
        let writer = Writer::new(shared.clone(), reopen)?;
        let writer = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || writer.run())
            .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))?;
        Ok(RedbStore { shared, writer: Some(writer), _directory_lock: opened.lock })
    }

    /// Begins to look after the room on the disk and the identity of the file.
    ///
    /// # Errors
    /// Fails when no thread can be started.
    pub fn watch(&self) -> Result<(), StoreError> {
        watch::begin(&self.shared)
    }

    /// Fixes in which part a tenant lives.
    ///
    /// # Errors
    /// Fails when the part does not exist or the store cannot be written.
    pub fn place_tenant(&self, tenant: u32, part: Part) -> Result<(), StoreError> {
        self.shared.check_part(part)?;
        let (answer, answered) = sync_channel(1);
        self.shared.queue.push(Request::Place { tenant, part, answer });
        answered.recv().unwrap_or_else(|_| Err(ended()))
    }

    /// Returns how many transactions were made durable since the start; a group is one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.commits.load(Ordering::Relaxed)
    }

    /// Writes what waits, closes the file for an instant restart and returns when that is done.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.shared.queue.close();
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("The store's writer panicked; the file is repaired at the next start");
        }
    }
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Store for RedbStore {
    fn claim(&self, part: Part) -> Result<Box<dyn Owned>, StoreError> {
        self.shared.check_part(part)?;
        let (answer, answered) = sync_channel(1);
        self.shared.queue.push(Request::Claim { part, answer });
        let (epoch, seq) = answered.recv().unwrap_or_else(|_| Err(ended()))?;
        Ok(Box::new(RedbOwned::new(self.shared.clone(), part, PartState { epoch, seq })))
    }

    fn read(&self, part: Part) -> Result<Box<dyn View>, StoreError> {
        Ok(Box::new(RedbView::take(&self.shared, part)?))
    }

    fn inbox_put(
        &self,
        part: Part,
        id: Bytes,
        message: Bytes,
    ) -> BoxFuture<'static, Result<bool, CommitError>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            shared
                .check_part(part)
                .map_err(|error| CommitError::NotCommitted(error.to_string()))?;
            let (bytes, bytes_max) = (id.len() + message.len(), shared.settings.batch_bytes_max);
            if bytes > bytes_max {
                return Err(CommitError::TooLarge { bytes, bytes_max });
            }
            let rows = Rows::one(part, Space::Inbox, &id, &message);
            let (answer, answered) = oneshot::channel();
            shared.queue.push_when_free(move || Request::Put { rows, answer }).await;
            answered.await.unwrap_or_else(|_| Err(unanswered()))
        })
    }

    fn health(&self) -> Health {
        self.shared.health.read().clone()
    }

    fn board(&self) -> &Board {
        &self.shared.board
    }

    fn caps(&self) -> Caps {
        self.shared.caps()
    }

    fn directory(&self) -> &dyn Directory {
        &*self.shared
    }

    fn admin(&self) -> &dyn Admin {
        &*self.shared
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the store's writer has ended".into())
}
