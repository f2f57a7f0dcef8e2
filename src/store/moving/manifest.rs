//! What an export says of itself: a manifest in front, a trailer behind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::access::TenantRow;
use super::passphrase::LockTerms;
use crate::domain::time::Timestamp;

/// The layout of rows that this version writes and reads.
pub const ROWS_FORMAT: u32 = 1;

/// How an export is read, for whoever finds one.
pub const ABOUT: &str = "frames of kind(1) zero(3) length(4) xxh3-64(8) payload; the checksum covers \
    the frame's number, its kind and its payload; rows are LZ4 blocks behind their length of \
    table(1) key length(4) key value length(4) value; numbers are big-endian; the trailer tells \
    how much there was";

/// What is exported, and how its secrets are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The layout of the rows.
    pub format: u32,
    /// How it is read.
    pub about: String,
    /// The version that wrote it.
    pub written_by: String,
    /// When it was written.
    pub exported_at: Timestamp,
    /// Whose it is.
    /// It has no number, and is neither suspended nor closed.
    pub tenant: TenantRow,
    /// How the secrets in it are kept.
    pub secrets: MovedSecrets,
}

/// How the secrets of an export are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kept", rename_all = "camelCase")]
pub enum MovedSecrets {
    /// Sealed with a passphrase.
    Sealed(LockTerms),
    /// Not at all.
    LeftOut,
}

/// How much there was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trailer {
    /// Frames before this one.
    pub frames: u64,
    /// Rows of each table by its name.
    pub rows: BTreeMap<String, u64>,
    /// SHA-256 of everything before, in hexadecimal.
    pub sha256: String,
    /// The same signed with the passphrase, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// The secrets that were left out.
    #[serde(default)]
    pub missing: Vec<MissingSecret>,
}

/// A secret that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MissingSecret {
    /// `secret`, `connection`, `webhook` or `person`.
    pub kind: String,
    /// Its name; for a connection, its name and that of the secret.
    pub name: String,
}

impl Trailer {
    /// Returns how many rows there were altogether.
    #[must_use]
    pub fn rows_all(&self) -> u64 {
        self.rows.values().sum()
    }
}
