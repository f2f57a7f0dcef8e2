//! Backups: everything that the store holds at one moment, in one file that proves itself whole.
//!
//! The file is a line of magic, a frame that says what it is, frames of rows in order of table and
//! key as the store holds them (each with its own checksum), a frame that says what was in it with
//! a digest of everything before, and the length of that last frame. A reader needs no store.

mod check;
mod contents;
mod copy;
pub mod files;
pub mod frame;
mod manifest;
pub mod pause;
mod restore;

pub use check::{check, read_manifest};
pub use contents::{Contents, TenantContents};
pub use copy::{Order, Pace, Progress, copy};
pub use manifest::{AuditEnd, Manifest, PartEnd, TableTally};
pub use restore::{Outcome, Restoring, Start, restore};

/// How every backup begins.
pub const MAGIC: &[u8; 16] = b"ergane backup 1\n";
/// How every whole backup ends, after the length of its last frame.
pub const END: &[u8; 8] = b"ergn end";
/// The bytes after the last frame: its length and the end.
pub const FOOT_BYTES: usize = 16;
