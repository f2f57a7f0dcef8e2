//! What a backup says of itself: in its head what it is, in its tail what it holds.

use serde::{Deserialize, Serialize};

use crate::domain::time::Timestamp;
use crate::store::seam::{Layout, Part, Space, StoreError};

/// What a backup is and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// When the moment was that it shows.
    pub taken_at: Timestamp,
    /// The version of the program that took it.
    pub taken_by: String,
    /// The format of the store's file.
    pub format: u32,
    /// The version of the program that made the store's file, or brought it to its format.
    pub written_by: String,
    /// How many parts the store has.
    pub parts: Part,
    /// How many parts it had at first.
    pub parts_at_first: Part,
    /// The ids of the keys that its secrets are sealed with, the newest first; never a key.
    pub key_ids: Vec<String>,
    /// The last commit of each part.
    #[serde(default)]
    pub ends: Vec<PartEnd>,
    /// What each table holds.
    #[serde(default)]
    pub tables: Vec<TableTally>,
    /// The chains of the audit.
    #[serde(default)]
    pub audit: Vec<AuditEnd>,
    /// The rows of all tables.
    #[serde(default)]
    pub rows: u64,
    /// The bytes of their keys and values.
    #[serde(default)]
    pub row_bytes: u64,
    /// The size of the whole file, in bytes.
    #[serde(default)]
    pub file_bytes: u64,
    /// SHA-256 of everything before the last frame, in hexadecimal.
    #[serde(default)]
    pub sha256: String,
}

impl Manifest {
    /// Returns what the store is that it shows.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout {
            format: self.format,
            written_by: self.written_by.clone(),
            parts: self.parts,
            parts_at_first: self.parts_at_first,
        }
    }
}

/// The last commit of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEnd {
    /// The part.
    pub part: Part,
    /// Its owner.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
}

/// How much a table holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableTally {
    /// The table's name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// The bytes of its keys and values.
    pub bytes: u64,
}

/// The end of a chain of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEnd {
    /// The tenant that it tells of.
    pub tenant: u32,
    /// How many records it has.
    pub count: u64,
    /// The hash of the last one, in hexadecimal.
    pub hash: String,
    /// What is wrong with the chain, if anything is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Returns the name of a table by the number that stands for it in frames and checksums.
///
/// # Errors
/// Fails for a number that no table has.
pub fn name_of(table: u8) -> Result<&'static str, StoreError> {
    use crate::store::redb_store::{PARTS_TABLE, PLACES_TABLE};
    let name = match table {
        PARTS_TABLE => "parts",
        PLACES_TABLE => "places",
        _ => match space_of(table) {
            Some(Space::Meta) => "meta",
            Some(Space::Journal) => "journal",
            Some(Space::Run) => "run",
            Some(Space::Timer) => "timer",
            Some(Space::Cron) => "cron",
            Some(Space::Dedupe) => "dedupe",
            Some(Space::Inbox) => "inbox",
            Some(Space::Outbox) => "outbox",
            Some(Space::Row) => "row",
            Some(Space::Vis) => "vis",
            Some(Space::Blob) => "blob",
            Some(Space::Event) => "event",
            None => {
                return Err(StoreError::Refused(format!(
                    "it holds a table number {table}, which this version of ergane does not know"
                )));
            }
        },
    };
    Ok(name)
}

/// Returns the space whose table has this number.
#[must_use]
pub fn space_of(table: u8) -> Option<Space> {
    Space::ALL.into_iter().find(|space| *space as u8 == table)
}
