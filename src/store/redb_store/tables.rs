//! The tables of the file and how a key carries its part.

use crate::store::envelope;
use crate::store::seam::{Epoch, Part, Seq, Space, StoreError};
use redb::TableDefinition;
use smallvec::SmallVec;

pub type BytesTable = TableDefinition<'static, &'static [u8], &'static [u8]>;
/// A stored key: the part, then the key; short ones stay off the heap.
pub type StoredKey = SmallVec<[u8; 64]>;

/// What the file is and who wrote it; plain, so that any version can read it.
pub const FORMAT: TableDefinition<&str, &str> = TableDefinition::new("format");
/// The epoch and the sequence of each part.
pub const PARTS: BytesTable = TableDefinition::new("parts");
/// Where a tenant was placed.
pub const PLACES: BytesTable = TableDefinition::new("places");
/// Written and emptied again to find out whether writing works.
pub const HEARTBEAT: TableDefinition<&str, &[u8]> = TableDefinition::new("heartbeat");

/// These stand where a space stands in the checksums of the rows of our own tables.
pub const PARTS_TAG: u8 = 254;
pub const PLACES_TAG: u8 = 253;

/// The bytes of a part in front of a key.
pub const PART_BYTES: usize = 2;

/// Returns the table of a space.
pub fn of(space: Space) -> BytesTable {
    TableDefinition::new(match space {
        Space::Meta => "meta",
        Space::Journal => "journal",
        Space::Run => "run",
        Space::Timer => "timer",
        Space::Cron => "cron",
        Space::Dedupe => "dedupe",
        Space::Inbox => "inbox",
        Space::Outbox => "outbox",
        Space::Row => "row",
        Space::Vis => "vis",
        Space::Blob => "blob",
        Space::Event => "event",
    })
}

/// Returns the key as stored.
pub fn stored_key(part: Part, key: &[u8]) -> StoredKey {
    let mut stored = StoredKey::from_slice(&part.to_be_bytes());
    stored.extend_from_slice(key);
    stored
}

/// Says which record is damaged and why.
pub fn damaged(space: Space, key: &[u8], reason: impl Into<String>) -> StoreError {
    StoreError::Damaged { space, key: hex::encode(key), reason: reason.into() }
}

/// The last owner and the last commit of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartState {
    pub epoch: Epoch,
    pub seq: Seq,
}

impl PartState {
    /// Returns the row of `part`.
    pub fn sealed(self, part: Part) -> Vec<u8> {
        let mut payload = [0; 16];
        payload[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        payload[8..].copy_from_slice(&self.seq.0.to_be_bytes());
        envelope::sealed(PARTS_TAG, &part.to_be_bytes(), &payload)
    }

    /// Returns what the row under `key` says.
    pub fn opened(key: &[u8], row: &[u8]) -> Result<PartState, StoreError> {
        let wrong = |reason: &str| damaged(Space::Meta, key, format!("row of a part: {reason}"));
        let payload = envelope::open(PARTS_TAG, key, row).map_err(wrong)?;
        let (epoch, seq) = payload.split_first_chunk::<8>().ok_or_else(|| wrong("too short"))?;
        let seq = seq.try_into().map_err(|_| wrong("not of 16 bytes"))?;
        Ok(PartState {
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            seq: Seq(u64::from_be_bytes(seq)),
        })
    }
}

/// Returns the row that places a tenant.
pub fn sealed_place(tenant: u32, part: Part) -> Vec<u8> {
    envelope::sealed(PLACES_TAG, &tenant.to_be_bytes(), &part.to_be_bytes())
}

/// Returns the tenant and the part that a row of `PLACES` says.
pub fn opened_place(key: &[u8], row: &[u8]) -> Result<(u32, Part), StoreError> {
    let wrong = |reason: &str| damaged(Space::Meta, key, format!("row of a place: {reason}"));
    let payload = envelope::open(PLACES_TAG, key, row).map_err(wrong)?;
    let tenant = key.try_into().map_err(|_| wrong("its key is not of 4 bytes"))?;
    let part = payload.as_ref().try_into().map_err(|_| wrong("it is not of 2 bytes"))?;
    Ok((u32::from_be_bytes(tenant), Part::from_be_bytes(part)))
}
