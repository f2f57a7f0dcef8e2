//! Makes a store of a backup: checked before anything is touched, named when it is whole.

use std::path::{Path, PathBuf};

use super::check::{check, walk};
use super::contents::Contents;
use super::copy::{Pace, Progress};
use super::manifest::Manifest;
use super::pause::{PauseRow, pause_key};
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::log::replay::{Replayed, replay};
use crate::store::redb_store::{NewRow, NewStore, PLACES_TABLE, read_place};
use crate::store::seam::{Part, Portion, Space, StoreError};

/// How many bytes of rows one transaction writes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// How a store is to be restored.
pub struct Restoring<'a> {
    /// The backup.
    pub backup: &'a Path,
    /// The directory that gets the store; it must have none.
    pub data_dir: &'a Path,
    /// The present instant.
    pub now: Timestamp,
    /// Goes on beyond the backup, to the last commit before this instant.
    pub at: Option<Timestamp>,
    /// The directories with the segments of the log that lead there.
    pub logs: &'a [PathBuf],
    /// Whether it goes on at once where it stood, or rests until somebody says so.
    pub start: Start,
}

/// How a restored appliance starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing goes on by itself.
    Paused,
    /// Everything goes on where it stood.
    Active,
}

/// What was restored.
#[derive(Debug)]
pub struct Outcome {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// What it holds.
    pub contents: Contents,
    /// What the log added to it.
    pub replayed: Option<Replayed>,
}

/// Restores a backup.
///
/// # Errors
/// `Refused` when the backup cannot be used, the directory has a store, or the log does not lead
/// to the instant that was asked for; the directory has no store then.
pub fn restore(order: &Restoring<'_>) -> Result<Outcome, StoreError> {
    let progress = Progress::default();
    // Once to see whether it is whole, and only then once more to take it over.
    let (manifest, _) = check(order.backup, order.now, Pace::FULL, &progress)?;
    if order.at.is_some_and(|at| at < manifest.taken_at) {
        return Err(StoreError::Refused(format!(
            "the backup was taken at {}, after the instant that was asked for; take an earlier one",
            manifest.taken_at
        )));
    }
    let mut new = NewStore::begin(order.data_dir, &manifest.layout())?;
    let mut home: Part = 0; // Where the appliance's own rows lie unless they were placed.
    let mut rows: Vec<NewRow> = Vec::new();
    let mut bytes = 0;
    let walked = walk(order.backup, order.now, Pace::FULL, &progress, &mut |portion| {
        let Portion::Row { table, key, value } = portion else { return Ok(()) };
        if table == PLACES_TABLE {
            let (tenant, part) = read_place(key, value)?;
            home = if tenant == APPLIANCE.0 { part } else { home };
        }
        bytes += key.len() + value.len();
        rows.push(NewRow { table, key: key.to_vec(), value: Some(value.to_vec()) });
        if bytes >= BATCH_BYTES {
            new.write(&std::mem::take(&mut rows))?;
            bytes = 0;
        }
        Ok(())
    });
    let (manifest, contents) = walked?;
    new.write(&rows)?;
    let replayed = match order.at {
        Some(at) => Some(replay(&mut new, &manifest, order.logs, at)?),
        None => None,
    };
    if order.start == Start::Paused {
        let row = pause_row(order, &manifest, replayed.as_ref());
        let json = serde_json::to_vec(&row).expect("a pause is plain data");
        new.write(&[NewRow::sealed(home, Space::Meta, &pause_key(), &json)])?;
    }
    new.finish()?;
    Ok(Outcome { manifest, contents, replayed })
}

fn pause_row(order: &Restoring<'_>, manifest: &Manifest, replayed: Option<&Replayed>) -> PauseRow {
    let shows = replayed.and_then(|replayed| replayed.last).unwrap_or(manifest.taken_at);
    let name = order.backup.file_name().unwrap_or_default().to_string_lossy().into_owned();
    PauseRow {
        since: order.now,
        shows,
        reason: format!("restored from {name}, which shows {shows}"),
        tenants: Default::default(),
        runs: Default::default(),
    }
}
