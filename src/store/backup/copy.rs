//! Copies one moment of a store into a backup, at a pace that leaves the disk to others.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use super::contents::Contents;
use super::frame::{Kind, framed, push_row};
use super::manifest::Manifest;
use super::{END, MAGIC};
use crate::domain::time::Timestamp;
use crate::store::seam::{Layout, Portion, Store, StoreError};

/// How many plain bytes a frame gathers.
const FRAME_BYTES: usize = 256 * 1024;
/// The longest pause between two frames, so that a slow disk does not make a backup endless.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// How much of the machine a backup takes.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// For which share of the time it works, in percent; it rests for the others.
    pub work_percent: u32,
    /// How many bytes of rows it copies in a second at most.
    pub bytes_per_second_max: u64,
}

impl Pace {
    /// As fast as it goes, where nobody else wants the machine.
    pub const FULL: Pace = Pace { work_percent: 100, bytes_per_second_max: u64::MAX };

    /// Rests after some work.
    #[allow(clippy::disallowed_methods, reason = "a thread of its own, and the rest is the point")]
    pub(super) fn rest(self, worked: Duration, bytes: usize) {
        let percent = self.work_percent.clamp(1, 100);
        let by_share = worked * (100 - percent) / percent;
        let by_bytes =
            Duration::from_secs_f64(bytes as f64 / self.bytes_per_second_max.max(1) as f64)
                .saturating_sub(worked);
        let pause = by_share.max(by_bytes).min(PAUSE_MAX);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

/// How far a backup has come, and whether it shall be broken off.
#[derive(Debug, Default)]
pub struct Progress {
    /// Rows that were copied or checked.
    pub rows: AtomicU64,
    /// Bytes of rows that were copied or checked.
    pub bytes: AtomicU64,
    /// Set by whoever wants it to end.
    pub stop: AtomicBool,
}

impl Progress {
    pub(super) fn note(&self, rows: u64, bytes: u64) -> Result<(), StoreError> {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        match self.stop.load(Ordering::Relaxed) {
            true => Err(StoreError::Unavailable("the backup was broken off".to_owned())),
            false => Ok(()),
        }
    }
}

/// How a backup is to be taken.
pub struct Order<'a> {
    /// The present instant.
    pub at: Timestamp,
    /// The ids of the keys that secrets are sealed with.
    pub key_ids: Vec<String>,
    /// How fast.
    pub pace: Pace,
    /// Where to tell how far it is.
    pub progress: &'a Progress,
}

/// Writes a backup of everything that `store` holds at this moment, and returns what it holds.
///
/// # Errors
/// Fails when the store cannot be read, a record in it is damaged, or `out` cannot be written.
pub fn copy(
    store: &dyn Store,
    out: &mut dyn Write,
    order: Order<'_>,
) -> Result<Manifest, StoreError> {
    let mut writing = Writing {
        out,
        digest: Sha256::new(),
        bytes: 0,
        plain: Vec::with_capacity(FRAME_BYTES * 2),
        rows: 0,
        table: 0,
        since: Instant::now(),
        contents: Contents::new(order.at),
        manifest: Manifest::default(),
        order,
    };
    store.admin().copy(&mut |portion| match portion {
        Portion::Layout(layout) => writing.begin(layout),
        Portion::Row { table, key, value } => writing.row(table, key, value),
    })?;
    writing.end()
}

struct Writing<'a, 'b> {
    out: &'a mut dyn Write,
    digest: Sha256,
    bytes: u64,
    plain: Vec<u8>,
    rows: u32,
    table: u8,
    since: Instant,
    contents: Contents,
    manifest: Manifest,
    order: Order<'b>,
}

impl Writing<'_, '_> {
    fn begin(&mut self, layout: Layout) -> Result<(), StoreError> {
        self.manifest = Manifest {
            taken_at: self.order.at,
            taken_by: env!("CARGO_PKG_VERSION").to_owned(),
            format: layout.format,
            written_by: layout.written_by,
            parts: layout.parts,
            parts_at_first: layout.parts_at_first,
            key_ids: std::mem::take(&mut self.order.key_ids),
            ..Manifest::default()
        };
        self.write(MAGIC)?;
        let head = serde_json::to_vec(&self.manifest).expect("a manifest is plain data");
        self.write(&framed(Kind::Head, 0, 0, &head))
    }

    fn row(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if table != self.table || self.plain.len() >= FRAME_BYTES {
            self.flush()?;
            self.table = table;
        }
        // Each record's checksum is looked at on the way, so that no damage is carried on.
        self.contents.see(table, key, value)?;
        push_row(&mut self.plain, key, Some(value));
        self.rows += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        if self.rows == 0 {
            return Ok(());
        }
        let frame = framed(Kind::Rows, self.table, self.rows, &self.plain);
        self.write(&frame)?;
        self.order.progress.note(self.rows.into(), self.plain.len() as u64)?;
        self.order.pace.rest(self.since.elapsed(), self.plain.len());
        self.since = Instant::now();
        self.rows = 0;
        self.plain.clear();
        Ok(())
    }

    fn end(mut self) -> Result<Manifest, StoreError> {
        self.flush()?;
        self.contents.finish(&mut self.manifest)?;
        self.manifest.sha256 = hex::encode(self.digest.clone().finalize());
        let tail = serde_json::to_vec(&self.manifest).expect("a manifest is plain data");
        let tail = framed(Kind::Tail, 0, 0, &tail);
        self.write(&tail)?;
        self.write(&(tail.len() as u64).to_le_bytes())?;
        self.write(END)?;
        self.out.flush().map_err(|error| cannot_write(&error))?;
        self.manifest.file_bytes = self.bytes;
        Ok(self.manifest)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.out.write_all(bytes).map_err(|error| cannot_write(&error))?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn cannot_write(error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("the backup cannot be written: {error}"))
}
