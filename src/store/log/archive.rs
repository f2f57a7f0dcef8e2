//! Keeps the segments that backups need beside them, and no others.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::segment::{Reader, Segment, list, unreadable};
use crate::domain::time::Timestamp;
use crate::store::backup::files::{make_directory, name_file};
use crate::store::seam::StoreError;

/// Moves every segment that is not written to any more from one directory to another; returns how
/// many there were.
///
/// # Errors
/// Fails as the disk does; what was moved stays so, and nothing is lost.
pub fn archive(from: &Path, to: &Path) -> Result<usize, StoreError> {
    let mut segments = list(from)?;
    segments.pop(); // The newest is being written.
    if segments.is_empty() {
        return Ok(0);
    }
    make_directory(to)?;
    for Segment { path, .. } in &segments {
        let name = path.file_name().expect("it was listed by its name");
        let (target, part) = (to.join(name), to.join(name).with_extension("part"));
        // Copied and not renamed: the directory may lie on another disk.
        copied(path, &part).map_err(|error| unreadable(path, &error))?;
        name_file(&part, &target)?;
        fs::remove_file(path).map_err(|error| unreadable(path, &error))?;
    }
    Ok(segments.len())
}

fn copied(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    File::open(to)?.sync_all()
}

/// Removes the segments that no backup from `oldest` on needs: those whose successor was begun
/// before it. Without a backup none is needed.
///
/// # Errors
/// Fails as the disk does.
pub fn prune(directory: &Path, oldest: Option<Timestamp>) -> Result<usize, StoreError> {
    let segments = list(directory)?;
    let mut removed = 0;
    for (index, segment) in segments.iter().enumerate() {
        let next = segments.get(index + 1);
        let is_needed = match (oldest, next) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(oldest), Some(next)) => {
                Reader::open(&next.path)?.is_none_or(|next| next.head.at > oldest)
            }
        };
        if !is_needed {
            fs::remove_file(&segment.path).map_err(|error| unreadable(&segment.path, &error))?;
            removed += 1;
        }
    }
    Ok(removed)
}
