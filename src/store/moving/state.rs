//! Tenants on their way in or out: kept by the appliance until all of their rows are there, or gone.

use serde::{Deserialize, Serialize};

use super::super::access::{APPLIANCE, TenantRow};
use super::super::family::Meta;
use super::super::key::Key;
use super::super::seam::{Space, StoreError};
use super::super::tenant::{TenantTx, TenantView};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

const MOVING: u8 = Meta::Moving as u8;

/// A tenant that is not wholly there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MovingRow {
    /// Its number.
    pub tenant: TenantId,
    /// Its name in commands and headers.
    pub slug: String,
    /// Which way it goes.
    pub way: Way,
    /// Since when.
    pub since: Timestamp,
    /// How many of its rows were removed.
    pub rows_removed: u64,
    /// Until when its runs may be undone before they are removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_until: Option<Timestamp>,
}

/// Which way a tenant goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Way {
    /// It is written; what a crash left of it is removed.
    Arriving,
    /// It is removed.
    Leaving,
}

impl TenantView<'_> {
    /// Returns every tenant that is on its way.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn moving(&self) -> Result<Vec<MovingRow>, StoreError> {
        self.appliance_rows(MOVING)
    }

    /// Returns a number that no tenant has or ever had.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn free_tenant_id(&self) -> Result<TenantId, StoreError> {
        let known = self.tenants()?.into_iter().map(|row: TenantRow| row.id.0);
        let moving = self.moving()?.into_iter().map(|row| row.tenant.0);
        Ok(TenantId(known.chain(moving).max().unwrap_or(APPLIANCE.0) + 1))
    }
}

impl TenantTx<'_, '_> {
    /// Notes that a tenant is on its way.
    pub fn put_moving(&mut self, row: &MovingRow) {
        self.put_json(Space::Meta, key(row.tenant), row);
    }

    /// Notes that it is on its way no longer.
    pub fn remove_moving(&mut self, tenant: TenantId) {
        self.remove(Space::Meta, key(tenant));
    }
}

fn key(tenant: TenantId) -> Vec<u8> {
    Key::of(APPLIANCE).tag(MOVING).number(tenant.0.into()).done()
}
