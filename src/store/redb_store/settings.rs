//! What an operator may choose about the embedded store.

use crate::store::log::LogSettings;
use crate::store::seam::Part;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// How the embedded store is laid out and how much it may use.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// The directory that holds the store's file; made on the first start. Set by the wiring, since
    /// it holds more than the store.
    #[serde(skip)]
    pub data_dir: PathBuf,
    /// Into how many parts the store is divided; it may grow at a restart, never shrink.
    pub parts: Part,
    /// How many bytes of the file may be kept in memory.
    pub cache_bytes: usize,
    /// The largest batch, in bytes of its keys and values, that one commit may carry.
    pub batch_bytes_max: usize,
    /// After how many idle milliseconds one commit prepares the file for an instant restart.
    pub quick_repair_idle_ms: u64,
    /// How many batches may wait for the writer before a further one waits for room.
    pub writer_queue_batches_max: usize,
    /// Whether each commit syncs its data before it syncs the pointer to them. Off, because the
    /// file's own checksums find a torn commit at the next start, and every record is checked
    /// again when read; on, a commit costs a quarter to a third more, and even a client who
    /// chooses the stored bytes, the order of the disk's writes and the moment of a power cut
    /// cannot make half a commit look whole.
    pub two_phase: bool,
    /// Up to how many bytes a file is read whole and checked at each start, not only after a
    /// crash: a spoiled key would make records disappear without an error. It costs about three
    /// seconds for each gigabyte; with 0 a damaged file opens and shows what can still be read.
    pub check_on_open_bytes_max: u64,
    /// How many bytes of the disk are held back, so that what has begun can end and room can be made
    /// when the disk is full; never more than a sixteenth of the disk.
    pub reserve_bytes: u64,
    /// How many bytes must be free for new work to be taken; never more than a sixteenth of the
    /// disk.
    pub free_bytes_min: u64,
    /// After how many milliseconds a write that does not end is told of and new work is refused.
    pub stalled_after_ms: u64,
    /// How fast the file is written anew beside the serving, in bytes a second.
    pub compact_bytes_per_second: u64,
    /// How many keys that are written meanwhile are remembered before that is given up.
    pub compact_keys_max: usize,
    /// How everything is logged once more, if it is. Set by the wiring, as it belongs to backups.
    #[serde(skip)]
    pub log: Option<LogSettings>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("ergane-data"),
            parts: 1,
            cache_bytes: 32 * 1024 * 1024,
            batch_bytes_max: 128 * 1024 * 1024,
            quick_repair_idle_ms: 75,
            writer_queue_batches_max: 64,
            two_phase: false,
            check_on_open_bytes_max: 64 * 1024 * 1024,
            reserve_bytes: 16 * 1024 * 1024,
            free_bytes_min: 64 * 1024 * 1024,
            stalled_after_ms: 5_000,
            compact_bytes_per_second: 64 * 1024 * 1024,
            compact_keys_max: 1_000_000,
            log: None,
        }
    }
}
