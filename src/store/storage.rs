//! What the rows of the store are and whose, told from their keys alone, and how much they take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::access::APPLIANCE;
use super::family::{Blob, Meta, Row, Vis};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

const TENANT_BYTES: usize = 4;
/// The keys of deadlines begin with a time.
const TIME_BYTES: usize = 8;
const SAMPLE: u8 = Meta::StorageSample as u8;
const SAMPLE_EVERY_MS: u64 = 3_600_000;
/// How many samples are kept: two weeks of them.
const SAMPLES_MAX: usize = 14 * 24;

/// What a row is for, in the words of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The heads of runs and what they were given.
    Runs,
    /// What runs recorded.
    Journals,
    /// Events as accepted.
    Events,
    /// Refused events.
    RejectedEvents,
    /// The platform's own records.
    Records,
    /// Who changed what.
    Audit,
    /// What came to hooks, and what is on its way to subscribers.
    Deliveries,
    /// What triggers remember between events.
    Windows,
    /// Sealed values and the connections that have them.
    Secrets,
    /// Definitions with their versions.
    Workflows,
    /// Steps that wait for somebody: incidents, approvals and handed-out work.
    Waiting,
    /// Deadlines and alarms.
    Deadlines,
    /// Which events and requests were seen before.
    Dedupe,
    /// What makes lists and searches fast.
    Indexes,
    /// Keys, people, sessions, counters and settings.
    Other,
}

impl Kind {
    /// Returns the name that users see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Runs => "runs",
            Kind::Journals => "journals",
            Kind::Events => "events",
            Kind::RejectedEvents => "rejectedEvents",
            Kind::Records => "records",
            Kind::Audit => "audit",
            Kind::Deliveries => "deliveries",
            Kind::Windows => "windows",
            Kind::Secrets => "secrets",
            Kind::Workflows => "workflows",
            Kind::Waiting => "waiting",
            Kind::Deadlines => "deadlines",
            Kind::Dedupe => "dedupe",
            Kind::Indexes => "indexes",
            Kind::Other => "other",
        }
    }

    /// Returns what a key is of, and whose.
    #[must_use]
    pub fn of(space: Space, key: &[u8]) -> (TenantId, Kind) {
        let start = if matches!(space, Space::Timer | Space::Cron) { TIME_BYTES } else { 0 };
        let tenant = key.get(start..start + TENANT_BYTES).and_then(|bytes| bytes.try_into().ok());
        let tenant = tenant.map_or(APPLIANCE, |bytes| TenantId(u32::from_be_bytes(bytes)));
        let letter = key.get(TENANT_BYTES).copied().unwrap_or(0);
        let kind = match space {
            Space::Run => Kind::Runs,
            Space::Journal => Kind::Journals,
            Space::Event => Kind::Events,
            Space::Timer | Space::Cron => Kind::Deadlines,
            Space::Dedupe => Kind::Dedupe,
            Space::Blob if letter == Blob::GivenToRun as u8 => Kind::Runs,
            Space::Row => of_row(letter),
            Space::Meta => of_meta(letter),
            Space::Vis if letter == Vis::Webhook as u8 => Kind::Deliveries,
            Space::Vis => Kind::Indexes,
            Space::Blob | Space::Inbox | Space::Outbox => Kind::Other,
        };
        // The rows of the boxes begin with an id and not with a tenant.
        let is_nobodys = matches!(space, Space::Inbox | Space::Outbox);
        (if is_nobodys { APPLIANCE } else { tenant }, kind)
    }
}

fn of_row(letter: u8) -> Kind {
    let is = |row: Row| letter == row as u8;
    if is(Row::Record) {
        Kind::Records
    } else if is(Row::AuditRecord) {
        Kind::Audit
    } else if is(Row::Delivery) || is(Row::Webhook) {
        Kind::Deliveries
    } else if is(Row::Secret) || is(Row::Connection) || is(Row::ConnectionTest) {
        Kind::Secrets
    } else if is(Row::Workflow) || is(Row::Version) {
        Kind::Workflows
    } else if is(Row::Incident) || is(Row::Approval) || is(Row::Task) {
        Kind::Waiting
    } else if is(Row::RejectedEvent) {
        Kind::RejectedEvents
    } else {
        Kind::Other
    }
}

fn of_meta(letter: u8) -> Kind {
    let is = |row: Meta| letter == row as u8;
    if is(Meta::Window) || is(Meta::WindowCount) || is(Meta::WindowMember) {
        Kind::Windows
    } else if is(Meta::AuditHead) || is(Meta::AuditCut) {
        Kind::Audit
    } else {
        Kind::Other
    }
}

/// How much something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// How many rows.
    pub rows: u64,
    /// The bytes of their keys and values as they are stored.
    pub bytes: u64,
}

impl Use {
    /// Adds a row.
    pub fn add(&mut self, bytes: u64) {
        self.rows += 1;
        self.bytes += bytes;
    }
}

/// How much everything takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// By tenant and kind; what is nobody's counts for the appliance.
    pub tenants: BTreeMap<TenantId, BTreeMap<Kind, Use>>,
    /// By space.
    pub spaces: BTreeMap<Space, Use>,
}

impl Measured {
    /// Counts a row.
    pub fn count(&mut self, space: Space, key: &[u8], bytes: u64) {
        let (tenant, kind) = Kind::of(space, key);
        self.tenants.entry(tenant).or_default().entry(kind).or_default().add(bytes);
        self.spaces.entry(space).or_default().add(bytes);
    }

    /// Returns what some kinds of a tenant take together.
    #[must_use]
    pub fn of(&self, tenant: TenantId, kinds: &[Kind]) -> Use {
        let mut sum = Use::default();
        let known = self.tenants.get(&tenant);
        for found in kinds.iter().filter_map(|kind| known?.get(kind)) {
            sum.rows += found.rows;
            sum.bytes += found.bytes;
        }
        sum
    }

    /// Returns the bytes of all rows.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.spaces.values().map(|of_space| of_space.bytes).sum()
    }
}

/// How full the store was at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// The bytes of all rows.
    pub row_bytes: u64,
    /// The size of the file.
    pub file_bytes: u64,
}

impl TenantView<'_> {
    /// Returns how full the store was, hour by hour, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn storage_samples(&self) -> Result<Vec<Sample>, StoreError> {
        let prefix = Prefix::new(Key::of(APPLIANCE).tag(SAMPLE));
        let rows = self.scan(Space::Meta, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Meta, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Remembers how full the store is, once an hour; of too many samples the oldest go.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn keep_storage_sample(&mut self, sample: &Sample) -> Result<(), StoreError> {
        let hour = sample.at.millis().max(0).unsigned_abs() / SAMPLE_EVERY_MS;
        let base = || Key::of(APPLIANCE).tag(SAMPLE);
        self.put_json(Space::Meta, base().number(hour).done(), sample);
        let prefix = Prefix::new(base());
        let rows =
            self.view().scan(Space::Meta, prefix.range(), Direction::Ascending, usize::MAX)?;
        let excess = rows.len().saturating_sub(SAMPLES_MAX);
        for (key, _) in rows.iter().take(excess) {
            self.remove(Space::Meta, key.to_vec());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_whose_a_row_is_and_what_for() {
        let own = || Key::of(TenantId(7));
        for (space, key, kind) in [
            (Space::Run, own().bytes(&[1; 16]).done(), Kind::Runs),
            (Space::Row, own().tag(b'r').text("ticket").done(), Kind::Records),
            (Space::Row, own().tag(b'A').number(1).done(), Kind::Audit),
            (Space::Vis, own().tag(b'O').text("w").done(), Kind::Deliveries),
            (Space::Meta, own().tag(b'g').text("w").done(), Kind::Windows),
            (Space::Timer, Key::bare().number(5).bytes(&[0, 0, 0, 7]).done(), Kind::Deadlines),
        ] {
            assert_eq!(Kind::of(space, &key), (TenantId(7), kind), "{space:?}");
        }
        assert_eq!(Kind::of(Space::Inbox, b"some message"), (APPLIANCE, Kind::Other));
    }
}
