//! Reads a backup whole and says whether it is what it says; needs no store and no key.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::time::Instant;

use sha2::{Digest as _, Sha256};

use super::contents::Contents;
use super::copy::{Pace, Progress};
use super::frame::{Frame, FrameFault, Kind, read_frame, take_row};
use super::manifest::Manifest;
use super::{END, FOOT_BYTES, MAGIC};
use crate::domain::time::Timestamp;
use crate::store::seam::{Portion, StoreError};

/// Is handed what a backup holds: what the store is, then each row.
pub(super) type Take<'a> = &'a mut dyn FnMut(Portion<'_>) -> Result<(), StoreError>;

/// Is handed the key and the value of a row.
type TakePair<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<(), StoreError>;

/// Reads a backup to its end: every frame, every record's checksum, the order of the rows, the
/// counts, the chains of the audit and the digest of the whole.
///
/// # Errors
/// `Refused` for a file that is no backup, not whole, or changed since; `Damaged` for a record
/// that does not match its checksum; `Unavailable` when it cannot be read.
pub fn check(
    path: &Path,
    now: Timestamp,
    pace: Pace,
    progress: &Progress,
) -> Result<(Manifest, Contents), StoreError> {
    walk(path, now, pace, progress, &mut |_| Ok(()))
}

/// Reads a backup to its end and hands over what it is and its rows.
pub(super) fn walk(
    path: &Path,
    now: Timestamp,
    pace: Pace,
    progress: &Progress,
    take: Take<'_>,
) -> Result<(Manifest, Contents), StoreError> {
    let mut reading = Reading::open(path)?;
    take(Portion::Layout(reading.head.layout()))?;
    let mut contents = Contents::new(now);
    loop {
        let since = Instant::now();
        let digest = reading.digest.clone();
        let frame = reading.frame()?;
        match frame.kind {
            Kind::Rows => {
                rows_of(path, &frame, &mut |key, value| {
                    contents.see(frame.table, key, value)?;
                    take(Portion::Row { table: frame.table, key, value })
                })?;
                progress.note(frame.rows.into(), frame.plain.len() as u64)?;
                pace.rest(since.elapsed(), frame.plain.len());
            }
            Kind::Tail => {
                let told = reading.end(&frame)?;
                compare(path, &reading.head, &told, &mut contents, digest)?;
                let manifest = Manifest { file_bytes: reading.bytes, ..told };
                return Ok((manifest, contents));
            }
            Kind::Head | Kind::Commit => {
                return Err(refused(path, "it holds a frame in the wrong place"));
            }
        }
    }
}

/// Returns what a backup says of itself, as far as its head and its tail are sound; the rows in
/// between are not read.
///
/// # Errors
/// `Refused` for a file that is no whole backup, `Unavailable` when it cannot be read.
pub fn read_manifest(path: &Path) -> Result<Manifest, StoreError> {
    let mut reading = Reading::open(path)?;
    let file = reading.from.get_mut();
    let length = file.metadata().map_err(|error| unreadable(path, &error))?.len();
    let not_whole = || refused(path, "it is not whole");
    let at = length.checked_sub(FOOT_BYTES as u64).ok_or_else(not_whole)?;
    let mut foot = [0; FOOT_BYTES];
    let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(&mut foot));
    read.map_err(|error| unreadable(path, &error))?;
    let (tail_bytes, end) = foot.split_first_chunk::<8>().ok_or_else(not_whole)?;
    if end != END {
        return Err(not_whole());
    }
    let start = at.checked_sub(u64::from_le_bytes(*tail_bytes)).ok_or_else(not_whole)?;
    file.seek(SeekFrom::Start(start)).map_err(|error| unreadable(path, &error))?;
    let mut from = BufReader::new(file);
    let frame = match read_frame(&mut from, &mut |_| ()) {
        Ok(Some(frame)) if frame.kind == Kind::Tail => frame,
        _ => return Err(not_whole()), // Whatever stands there, it is not the end of a backup.
    };
    let manifest = manifest_of(path, &frame)?;
    Ok(Manifest { file_bytes: length, ..manifest })
}

/// Hands over the rows of a frame.
fn rows_of(path: &Path, frame: &Frame, take: TakePair<'_>) -> Result<(), StoreError> {
    let mut rest = frame.plain.as_slice();
    let mut rows = 0;
    loop {
        match take_row(&mut rest) {
            Ok(Some((key, Some(value)))) => take(key, value)?,
            Ok(None) if rows == frame.rows => return Ok(()),
            _ => return Err(refused(path, "a frame does not hold the rows that it says")),
        }
        rows += 1;
    }
}

fn compare(
    path: &Path,
    head: &Manifest,
    told: &Manifest,
    contents: &mut Contents,
    digest: Sha256,
) -> Result<(), StoreError> {
    let mut found = head.clone();
    contents.finish(&mut found)?;
    found.sha256 = hex::encode(digest.finalize());
    match found == *told {
        true => Ok(()),
        false => Err(refused(path, "it does not hold what it says that it holds")),
    }
}

struct Reading<'a> {
    path: &'a Path,
    from: BufReader<File>,
    digest: Sha256,
    bytes: u64,
    head: Manifest,
}

impl Reading<'_> {
    fn open(path: &Path) -> Result<Reading<'_>, StoreError> {
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let mut from = BufReader::with_capacity(256 * 1024, file);
        let mut magic = [0; MAGIC.len()];
        let read = from.read_exact(&mut magic);
        if read.is_err() || magic != *MAGIC {
            return Err(refused(path, "it is no backup that this version of ergane reads"));
        }
        let mut digest = Sha256::new();
        digest.update(magic);
        let bytes = MAGIC.len() as u64;
        let mut reading = Reading { path, from, digest, bytes, head: Manifest::default() };
        let frame = reading.frame()?;
        if frame.kind != Kind::Head {
            return Err(refused(path, "it does not begin as a backup does"));
        }
        reading.head = manifest_of(path, &frame)?;
        Ok(reading)
    }

    fn frame(&mut self) -> Result<Frame, StoreError> {
        let digest = &mut self.digest;
        let frame = match read_frame(&mut self.from, &mut |bytes| digest.update(bytes)) {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(FrameFault::Cut) => return Err(refused(self.path, "it is not whole")),
            Err(FrameFault::Damaged(what)) => {
                return Err(refused(self.path, &format!("it is damaged: {what}")));
            }
            Err(FrameFault::Unreadable(error)) => return Err(unreadable(self.path, &error)),
        };
        self.bytes += frame.bytes;
        Ok(frame)
    }

    /// Reads what stands after the tail, and returns what that says.
    fn end(&mut self, tail: &Frame) -> Result<Manifest, StoreError> {
        let mut foot = Vec::new();
        self.from.read_to_end(&mut foot).map_err(|error| unreadable(self.path, &error))?;
        let expected = [&tail.bytes.to_le_bytes()[..], END].concat();
        if foot != expected {
            return Err(refused(self.path, "its end is not the end of a backup"));
        }
        self.bytes += FOOT_BYTES as u64;
        manifest_of(self.path, tail)
    }
}

fn manifest_of(path: &Path, frame: &Frame) -> Result<Manifest, StoreError> {
    serde_json::from_slice(&frame.plain)
        .map_err(|_| refused(path, "what it says of itself cannot be read"))
}

fn refused(path: &Path, reason: &str) -> StoreError {
    StoreError::Refused(format!("the backup {} cannot be used: {reason}", path.display()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("cannot read {}: {error}", path.display()))
}
