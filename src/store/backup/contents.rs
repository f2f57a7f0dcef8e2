//! What goes by while a backup is written or read: counted, checked, and told to a person.

use std::collections::BTreeMap;

use serde::Serialize;

use super::manifest::{AuditEnd, Manifest, PartEnd, TableTally, name_of, space_of};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::audit_chains::Chains;
use crate::store::envelope;
use crate::store::family::{Meta, Vis};
use crate::store::redb_store::{PART_BYTES, PARTS_TABLE, PLACES_TABLE, read_part};
use crate::store::seam::{Space, StoreError};

/// Where the tenant and the letter of the family end in a key without its part.
const TENANT_BYTES: usize = 4;

/// What a store holds, for whoever restores it.
#[derive(Debug)]
pub struct Contents {
    /// The instant that says what is in the past.
    now: Timestamp,
    /// Rows and bytes of each table.
    tallies: BTreeMap<u8, (u64, u64)>,
    last: Option<(u8, Vec<u8>)>,
    ends: Vec<PartEnd>,
    chains: Chains,
    /// The tenants by their number.
    pub tenants: BTreeMap<u32, TenantContents>,
    /// Deadlines of runs and others that are due by now.
    pub overdue: u64,
    /// Deadlines that come later.
    pub ahead: u64,
}

/// What a tenant holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantContents {
    /// Its name in commands.
    pub slug: String,
    /// Its events.
    pub events: u64,
    /// All of its runs.
    pub runs: u64,
    /// Its runs by their status, those that succeeded left out.
    pub by_status: BTreeMap<&'static str, u64>,
}

impl Contents {
    /// Has seen nothing yet; what is due by `now` counts as overdue.
    #[must_use]
    pub fn new(now: Timestamp) -> Contents {
        Contents {
            now,
            tallies: BTreeMap::new(),
            last: None,
            ends: Vec::new(),
            chains: Chains::default(),
            tenants: BTreeMap::new(),
            overdue: 0,
            ahead: 0,
        }
    }

    /// Takes note of a row: in order, sound, and of a table that is known.
    ///
    /// # Errors
    /// `Damaged` for a row that does not match its checksum, `Refused` for one out of order.
    pub fn see(&mut self, table: u8, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        if let Some((last_table, last_key)) = &mut self.last {
            if *last_table == table && last_key.as_slice() >= key {
                let name = name_of(table)?;
                return Err(StoreError::Refused(format!("rows of `{name}` are out of order")));
            }
            *last_table = table;
            last_key.clear();
            last_key.extend_from_slice(key);
        } else {
            self.last = Some((table, key.to_vec()));
        }
        let tally = self.tallies.entry(table).or_default();
        tally.0 += 1;
        tally.1 += (key.len() + value.len()) as u64;
        match table {
            PARTS_TABLE => {
                self.ends.push(read_part(key, value)?);
                return Ok(());
            }
            PLACES_TABLE => return sound(table, key, value).map(drop),
            _ => {}
        }
        let payload = sound(table, key, value)?;
        let Some(space) = space_of(table) else { return name_of(table).map(drop) };
        self.look(space, &key[PART_BYTES.min(key.len())..], &payload);
        Ok(())
    }

    fn look(&mut self, space: Space, key: &[u8], payload: &[u8]) {
        match space {
            Space::Timer | Space::Cron => {
                let due = key.first_chunk::<8>().map_or(0, |due| u64::from_be_bytes(*due));
                match due <= self.now.millis().max(0).unsigned_abs() {
                    true => self.overdue += 1,
                    false => self.ahead += 1,
                }
            }
            Space::Event => self.tenant(key).events += 1,
            Space::Run => self.tenant(key).runs += 1,
            Space::Vis if key.get(TENANT_BYTES) == Some(&(Vis::RunByStatus as u8)) => {
                let number = key.get(TENANT_BYTES + 1).copied().unwrap_or_default();
                let status = Status::ALL.into_iter().find(|status| *status as u8 == number);
                if let Some(status) = status {
                    *self.tenant(key).by_status.entry(status.as_str()).or_default() += 1;
                }
            }
            Space::Meta | Space::Row => {
                self.chains.see(space, key, payload);
                let appliance = APPLIANCE.0.to_be_bytes();
                let is_tenant = space == Space::Meta
                    && key.starts_with(&appliance)
                    && key.get(TENANT_BYTES) == Some(&(Meta::Tenant as u8));
                if let (true, Ok(row)) = (is_tenant, serde_json::from_slice::<TenantRow>(payload)) {
                    self.tenants.entry(row.id.0).or_default().slug = row.slug;
                }
            }
            // Their rows are counted, and tell a person nothing more.
            Space::Journal | Space::Dedupe | Space::Inbox => {}
            Space::Outbox | Space::Vis | Space::Blob => {}
        }
    }

    fn tenant(&mut self, key: &[u8]) -> &mut TenantContents {
        let number = key.first_chunk::<TENANT_BYTES>().map_or(0, |it| u32::from_be_bytes(*it));
        self.tenants.entry(number).or_default()
    }

    /// Writes what was seen into a manifest.
    ///
    /// # Errors
    /// Fails for a table that is not known.
    pub fn finish(&mut self, manifest: &mut Manifest) -> Result<(), StoreError> {
        for (table, (rows, bytes)) in &self.tallies {
            let name = name_of(*table)?.to_owned();
            manifest.rows += rows;
            manifest.row_bytes += bytes;
            manifest.tables.push(TableTally { name, rows: *rows, bytes: *bytes });
        }
        manifest.ends = std::mem::take(&mut self.ends);
        let ends = std::mem::take(&mut self.chains).ends();
        manifest.audit = ends
            .into_iter()
            .map(|(tenant, head, fault)| AuditEnd {
                tenant: tenant.0,
                count: head.count,
                hash: hex::encode(head.hash),
                fault,
            })
            .collect();
        Ok(())
    }
}

/// Opens the envelope of a row.
fn sound<'a>(
    table: u8,
    key: &[u8],
    value: &'a [u8],
) -> Result<std::borrow::Cow<'a, [u8]>, StoreError> {
    envelope::open(table, key, value).map_err(|reason| StoreError::Damaged {
        space: space_of(table).unwrap_or(Space::Meta),
        key: hex::encode(&key[PART_BYTES.min(key.len())..]),
        reason: reason.to_owned(),
    })
}
