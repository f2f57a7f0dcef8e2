//! Removes every row of a tenant, a batch at a time.

use super::super::access::APPLIANCE;
use super::super::audit;
use super::super::key::{Key, Prefix};
use super::super::seam::{Direction, Space, StoreError};
use super::super::tenant::TenantTx;
use crate::domain::id::TenantId;

/// How many bytes of a deadline's key stand before the tenant.
const DUE_BYTES: usize = 8;

/// How far a removal has come; after a restart it begins anew, and finds less.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    space: usize,
    after: Option<Vec<u8>>,
}

impl TenantTx<'_, '_> {
    /// Looks at `limit` rows at most and removes those of the tenant; returns how many it removed
    /// and where to go on.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn sweep(
        &mut self,
        sweep: Sweep,
        limit: usize,
    ) -> Result<(u64, Option<Sweep>), StoreError> {
        let Some(space) = Space::ALL.get(sweep.space).copied() else { return Ok((0, None)) };
        let tenant = self.tenant().0.to_be_bytes();
        let (prefix, at) = match space {
            Space::Timer | Space::Cron => (Prefix::new(Key::bare()), DUE_BYTES),
            _ => (Prefix::new(Key::of(self.tenant())), 0), // Every other key begins with it.
        };
        let range = prefix.after(sweep.after.as_deref());
        let rows = self.view().scan(space, range, Direction::Ascending, limit)?;
        let mut removed = 0;
        for (key, _) in &rows {
            if key.get(at..at + tenant.len()) == Some(&tenant[..]) {
                self.remove(space, key.to_vec());
                removed += 1;
            }
        }
        let next = match rows.last() {
            Some((key, _)) if rows.len() == limit => {
                Sweep { space: sweep.space, after: Some(key.to_vec()) }
            }
            _ => Sweep { space: sweep.space + 1, after: None }, // The space ends here.
        };
        Ok((removed, (next.space < Space::ALL.len()).then_some(next)))
    }

    /// Removes at most `limit` records of a tenant's audit in the appliance, and with the last of
    /// them the names of its hooks; returns how many rows it removed, 0 when nothing is left.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn sweep_access(&mut self, of: TenantId, limit: usize) -> Result<u64, StoreError> {
        let records = Prefix::new(audit::record_key(APPLIANCE, of));
        let rows = self.view().scan(Space::Row, records.range(), Direction::Ascending, limit)?;
        let mut removed = 0;
        for (key, _) in &rows {
            self.remove(Space::Row, key.to_vec());
            removed += 1;
        }
        if rows.len() == limit {
            return Ok(removed);
        }
        for family in [audit::HEAD, audit::ORIGINS] {
            let key = audit::chain_key(APPLIANCE, family, of).done();
            if self.view().bytes(Space::Meta, &key)?.is_some() {
                self.remove(Space::Meta, key);
                removed += 1;
            }
        }
        for name in self.view().hooks_of(of)? {
            self.release_hook(&name);
            removed += 1;
        }
        Ok(removed)
    }
}
