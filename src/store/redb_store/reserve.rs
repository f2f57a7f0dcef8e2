//! The reserve: a file of real blocks beside the store, which gives way when the disk is full.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

const FILE_NAME: &str = "ergane.reserve";
const NEW_FILE_NAME: &str = "ergane.reserve.new";
/// The file system counts in blocks of this size, whatever its own are.
const DISK_BLOCK_BYTES: u64 = 512;
const PIECE_BYTES: usize = 256 * 1024;

/// Room that is held back for the end of what has begun, and for making room.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    new_path: PathBuf,
}

impl Reserve {
    /// Returns the reserve of a data directory, whether it is there or not.
    pub fn in_directory(directory: &Path) -> Reserve {
        Reserve { path: directory.join(FILE_NAME), new_path: directory.join(NEW_FILE_NAME) }
    }

    /// Returns whether at least `bytes` of the disk are held.
    pub fn holds(&self, bytes: u64) -> bool {
        fs::metadata(&self.path)
            .is_ok_and(|file| file.len() >= bytes && file.blocks() * DISK_BLOCK_BYTES >= bytes)
    }

    /// Takes `bytes` of the disk; half of a reserve is none.
    pub fn take(&self, bytes: u64) -> io::Result<()> {
        let taken = self.write(bytes).and_then(|()| fs::rename(&self.new_path, &self.path));
        if taken.is_err() {
            let _ = fs::remove_file(&self.new_path); // It may never have been made.
        }
        taken
    }

    fn write(&self, bytes: u64) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.new_path)?;
        let piece = noise();
        let mut left = bytes;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            file.write_all(&piece[..part])?;
            left -= part as u64;
        }
        file.sync_all()
    }

    /// Gives the room back; answers whether there was any.
    pub fn release(&self) -> bool {
        fs::remove_file(&self.path).is_ok()
    }
}

/// What a file system that compresses cannot make smaller.
fn noise() -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let words = (0..PIECE_BYTES / 8).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_holds_real_blocks_until_it_is_released() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::in_directory(directory.path());
        assert!(!reserve.holds(1) && !reserve.release());
        reserve.take(600_000).unwrap();
        assert!(reserve.holds(600_000) && !reserve.holds(700_000));
        assert!(reserve.release() && !reserve.holds(1));
        let left = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(left, 0);
    }
}
