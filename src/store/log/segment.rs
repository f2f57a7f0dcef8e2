//! Segments of the log: their names, their heads, and reading them up to where they are sound.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::record::{self, Record};
use crate::domain::time::Timestamp;
use crate::store::backup::PartEnd;
use crate::store::backup::frame::{FrameFault, Kind, framed, read_frame};
use crate::store::seam::StoreError;

const MAGIC: &[u8; 16] = b"ergane log 001\n\n";
const EXTENSION: &str = "log";

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SegmentHead {
    /// The number of its first record.
    pub first: u64,
    /// When it was begun.
    pub at: Timestamp,
    /// The end of each part when it was begun.
    pub ends: Vec<PartEnd>,
}

/// A segment, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment {
    /// The number of its first record.
    pub first: u64,
    /// Where it lies.
    pub path: PathBuf,
}

/// Returns the name of the segment whose first record has this number.
#[must_use]
pub fn name_of(first: u64) -> String {
    format!("{first:020}.{EXTENSION}")
}

/// Lists the segments in a directory, oldest first; a directory that is not there has none.
///
/// # Errors
/// Fails when it cannot be read.
pub fn list(directory: &Path) -> Result<Vec<Segment>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(directory, &error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unreadable(directory, &error))?.path();
        let is_ours = path.extension().is_some_and(|extension| extension == EXTENSION);
        let first = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (true, Some(first)) = (is_ours, first) {
            found.push(Segment { first, path });
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the first bytes of a segment.
pub(super) fn beginning(head: &SegmentHead) -> Vec<u8> {
    let json = serde_json::to_vec(head).expect("a head is plain data");
    [&MAGIC[..], &framed(Kind::Head, 0, 0, &json)].concat()
}

/// Reads segments record by record.
pub struct Reader {
    from: BufReader<File>,
    /// What the segment says of itself.
    pub head: SegmentHead,
    /// How many bytes were read that are sound.
    pub sound_bytes: u64,
}

impl Reader {
    /// Opens a segment; `None` when it was broken off before its head was whole.
    ///
    /// # Errors
    /// Fails when it cannot be read.
    pub fn open(path: &Path) -> Result<Option<Reader>, StoreError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let mut from = BufReader::with_capacity(256 * 1024, file);
        let mut magic = [0; MAGIC.len()];
        if from.read_exact(&mut magic).is_err() || magic != *MAGIC {
            return Ok(None);
        }
        let Ok(Some(frame)) = read_frame(&mut from, &mut |_| ()) else { return Ok(None) };
        let Ok(head) = serde_json::from_slice(&frame.plain) else { return Ok(None) };
        let sound_bytes = MAGIC.len() as u64 + frame.bytes;
        Ok(Some(Reader { from, head, sound_bytes }))
    }

    /// Returns the next record; `None` at the end, or where the segment is not sound any more.
    pub fn next_record(&mut self) -> Option<Record> {
        let frame = match read_frame(&mut self.from, &mut |_| ()) {
            Ok(Some(frame)) if frame.kind == Kind::Commit => frame,
            Ok(_) | Err(FrameFault::Cut | FrameFault::Damaged(_) | FrameFault::Unreadable(_)) => {
                return None;
            }
        };
        let record = record::read(&frame.plain).ok()?;
        self.sound_bytes += frame.bytes;
        Some(record)
    }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot read {}: {error}", path.display()))
}
