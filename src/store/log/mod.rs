//! The log: every group of commits once more, in segments, so that a backup can be carried on to
//! any later moment.
//!
//! It is not the truth, the store's file is: nothing waits for the log to reach the disk, and when
//! it cannot be written it is turned off until the next backup begins a new one. A record is
//! written before its commit and taken back when that fails, so that after a crash the log may be
//! ahead of the file, which shows, and never silently behind.

pub mod archive;
mod record;
pub mod replay;
pub mod segment;
mod sync;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

pub use record::{Record, Step, add_row};
pub use writer::Log;

/// How a log is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Where its segments lie.
    pub directory: PathBuf,
    /// How large a segment becomes, in bytes.
    pub segment_bytes_max: u64,
    /// How long a segment is written to.
    pub segment_age_max: Duration,
    /// How often it is synced.
    pub sync_every: Duration,
}

/// How the log fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// Whether it is kept at all.
    pub is_wanted: bool,
    /// Why it is not written now.
    pub fault: Option<String>,
    /// Whether a backup must be taken before it leads anywhere: it began anew.
    pub needs_base: bool,
    /// What was written since the start, in bytes.
    pub bytes: u64,
}
