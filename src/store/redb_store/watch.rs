//! Looks after the disk while the store is open: its room, the reserve, and whether the file is
//! still the one that was opened.

use super::shared::Shared;
use crate::domain::condition::Condition;
use crate::store::seam::StoreError;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// How often it looks; what is over is seen that late.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The reserve and the watermark are at most this part of a disk, so that a small one is of use.
const PART_OF_DISK_MAX: u64 = 16;

/// How much of a disk there is, and how much of that is free, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// All of it.
    pub total: u64,
    /// What an ordinary user may still take.
    pub free: u64,
}

/// Returns the room on the disk of `path`. The standard library cannot ask for it, so the system's
/// `stat` is asked; where there is none, nobody knows, and the reserve alone tells a full disk.
pub fn room(path: &Path) -> Option<Room> {
    let output = Command::new("stat")
        .args(["-f", "-c", "%S %b %a"])
        .arg(path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    parse_room(&String::from_utf8_lossy(&output.stdout))
}

fn parse_room(text: &str) -> Option<Room> {
    let mut numbers = text.split_whitespace().map(|word| word.parse::<u64>().ok());
    let mut next = || numbers.next().flatten();
    let (block, total, free) = (next()?, next()?, next()?);
    let known = total > 0; // Some file systems say that they have none at all.
    known.then(|| Room { total: total.saturating_mul(block), free: free.saturating_mul(block) })
}

/// Begins to look after the disk, on a thread of its own, until the store is closed.
pub fn begin(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let shared = Arc::clone(shared);
    thread::Builder::new()
        .name("store-watch".into())
        .spawn(move || {
            look(&shared);
            while !shared.queue.closed_within(LOOK_EVERY) {
                look(&shared);
            }
        })
        .map(drop)
        .map_err(|error| StoreError::Unavailable(format!("cannot start a thread: {error}")))
}

fn look(shared: &Shared) {
    let _ = shared.check_identity(); // It is on the board.
    let room = room(&shared.settings.data_dir);
    shared.board.note_room(room.map(|room| room.free));
    look_at_room(shared, room);
}

/// Tells of too little room before the disk is full, takes the reserve when there is enough, and
/// takes the warning back only when the reserve is whole again.
fn look_at_room(shared: &Shared, room: Option<Room>) {
    let settings = &shared.settings;
    let part = room.map_or(u64::MAX, |room| room.total / PART_OF_DISK_MAX);
    let reserve_bytes = settings.reserve_bytes.min(part);
    let free_bytes_min = settings.free_bytes_min.min(part);
    let is_whole = shared.reserve.holds(reserve_bytes);
    if let Some(room) = room
        && room.free < free_bytes_min + if is_whole { 0 } else { reserve_bytes }
    {
        if room.free < free_bytes_min {
            shared.board.raise(Condition::DiskFull, too_little(room, free_bytes_min));
        }
        return;
    }
    if !is_whole && let Err(error) = shared.reserve.take(reserve_bytes) {
        if Condition::of_error(&error.to_string()) == Condition::DiskFull {
            let detail = "there is no room on the disk, not even for the reserve".to_owned();
            shared.board.raise(Condition::DiskFull, detail);
        }
        return; // Whatever else it is, the writer meets it as well and tells of it.
    }
    if !shared.is_read_only() {
        shared.board.lift(Condition::DiskFull);
    }
}

fn too_little(room: Room, least: u64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    format!(
        "the disk has {:.1} MiB left, and {:.1} MiB are the least for new work",
        room.free as f64 / MIB,
        least as f64 / MIB
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_of_the_system_is_read_or_not_believed() {
        assert_eq!(parse_room("4096 100 7\n"), Some(Room { total: 409_600, free: 28_672 }));
        for text in ["", "4096", "4096 0 0", "block size 3", "1 -2 3"] {
            assert_eq!(parse_room(text), None, "{text}");
        }
    }

    #[test]
    fn there_is_room_where_this_test_runs() {
        let room = room(Path::new("."));
        assert!(room.is_none_or(|room| room.total > room.free));
    }
}
