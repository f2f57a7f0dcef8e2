//! Carries a restored backup on: applies the records of the log that follow it, up to an instant.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::record::{Record, Step};
use super::segment::{Reader, Segment, list};
use crate::domain::time::Timestamp;
use crate::store::backup::{Manifest, PartEnd};
use crate::store::redb_store::{NewRow, NewStore};
use crate::store::seam::{Part, StoreError};

/// How many bytes of rows one transaction writes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What the log added to a backup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// How many groups of commits.
    pub groups: u64,
    /// When the last of them was written; `None` when none was.
    pub last: Option<Timestamp>,
}

/// What a record is to the store that was reached so far.
enum Turn {
    /// It is in the store already.
    Past,
    /// It is the next one.
    Next,
    /// Something between is missing.
    Missing,
}

/// Applies what follows `manifest` and was written by `until`.
pub(in crate::store) fn replay(
    new: &mut NewStore,
    manifest: &Manifest,
    directories: &[PathBuf],
    until: Timestamp,
) -> Result<Replayed, StoreError> {
    let mut reached: BTreeMap<Part, PartEnd> =
        manifest.ends.iter().map(|end| (end.part, *end)).collect();
    let mut replayed = Replayed::default();
    let mut rows: Vec<NewRow> = Vec::new();
    let mut bytes = 0;
    'segments: for segment in segments_of(directories)? {
        let Some(mut reader) = Reader::open(&segment.path)? else { continue };
        while let Some(record) = reader.next_record() {
            if record.at > until {
                break 'segments;
            }
            match turn_of(&record, &reached, replayed.groups) {
                Turn::Past => continue,
                Turn::Missing => return Err(gap(&segment, &record, replayed, manifest)),
                Turn::Next => {}
            }
            reached.extend(record.steps.iter().map(|step| (step.after.part, step.after)));
            replayed.groups += 1;
            replayed.last = Some(record.at);
            let size = |row: &NewRow| row.key.len() + row.value.as_ref().map_or(0, Vec::len);
            bytes += record.rows.iter().map(size).sum::<usize>();
            rows.extend(record.rows);
            if bytes >= BATCH_BYTES {
                new.write(&std::mem::take(&mut rows))?;
                bytes = 0;
            }
        }
    }
    new.write(&rows)?;
    Ok(replayed)
}

fn turn_of(record: &Record, reached: &BTreeMap<Part, PartEnd>, groups: u64) -> Turn {
    let end_of = |step: &Step| {
        let nothing = PartEnd { part: step.before.part, epoch: 0, seq: 0 };
        reached.get(&step.before.part).copied().unwrap_or(nothing)
    };
    if record.steps.is_empty() {
        // Nothing tells where it belongs but the records around it.
        return if groups > 0 { Turn::Next } else { Turn::Past };
    }
    if record.steps.iter().all(|step| end_of(step) == step.before) {
        return Turn::Next;
    }
    let is_past = |step: &Step| {
        let end = end_of(step);
        step.after.epoch <= end.epoch && step.after.seq <= end.seq
    };
    if record.steps.iter().all(is_past) { Turn::Past } else { Turn::Missing }
}

fn gap(segment: &Segment, record: &Record, replayed: Replayed, manifest: &Manifest) -> StoreError {
    let reached = replayed.last.unwrap_or(manifest.taken_at);
    StoreError::Refused(format!(
        "the log leads from the backup to {reached} and has a gap before its record {} of {} in \
         {}; give that instant with --at, name the directory of the missing segments with --log, \
         or take a later backup",
        record.number,
        record.at,
        segment.path.display()
    ))
}

/// Lists the segments of several directories; of one that lies in two the longer is taken, since
/// the other was not yet whole when it was copied.
fn segments_of(directories: &[PathBuf]) -> Result<Vec<Segment>, StoreError> {
    let mut found: BTreeMap<u64, (u64, Segment)> = BTreeMap::new();
    for directory in directories {
        for segment in list(directory)? {
            let bytes = std::fs::metadata(&segment.path).map_or(0, |file| file.len());
            let known = found.get(&segment.first).map_or(0, |(known, _)| *known);
            if bytes > known {
                found.insert(segment.first, (bytes, segment));
            }
        }
    }
    Ok(found.into_values().map(|(_, segment)| segment).collect())
}
