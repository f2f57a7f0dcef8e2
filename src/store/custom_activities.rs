//! The activities that a tenant brought, in every version.

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::activity::custom::{CustomActivity, Owner};

const CUSTOM_ACTIVITY: u8 = Row::CustomActivity as u8;

impl TenantView<'_> {
    /// Returns every activity that the tenant brought, by identifier and version.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn custom_activities(&self) -> Result<Vec<CustomActivity>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(CUSTOM_ACTIVITY));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns the activities of one owner, by identifier and version.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn activities_of(&self, owner: &Owner) -> Result<Vec<CustomActivity>, StoreError> {
        let all = self.custom_activities()?;
        Ok(all.into_iter().filter(|activity| activity.owner == *owner).collect())
    }
}

impl TenantTx<'_, '_> {
    /// Writes one version of an activity; it is known as soon as the transaction is over.
    pub fn put_custom_activity(&mut self, row: &CustomActivity) {
        let key = key_of(&self.view(), &row.identifier, row.version);
        self.put_json(Space::Row, key, row);
        self.note_activities();
    }

    /// Removes one version of an activity.
    pub fn remove_custom_activity(&mut self, identifier: &str, version: u32) {
        let key = key_of(&self.view(), identifier, version);
        self.remove(Space::Row, key);
        self.note_activities();
    }
}

fn key_of(view: &TenantView<'_>, identifier: &str, version: u32) -> Vec<u8> {
    Key::of(view.tenant()).tag(CUSTOM_ACTIVITY).text(identifier).number(version.into()).done()
}
