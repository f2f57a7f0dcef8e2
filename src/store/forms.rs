//! Hosted forms of a tenant.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::time::Timestamp;

const FORM: u8 = Row::Form as u8;

/// A hosted form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FormRow {
    /// Its name in its address.
    pub name: String,
    /// What stands above it.
    pub title: String,
    /// What stands below that.
    pub description: String,
    /// JSON Schema of its values.
    pub schema: Value,
    /// The type of the event that a submission makes.
    pub event_type: String,
    /// The team that it is for.
    pub team_id: Option<String>,
    /// What is said to whoever has sent it.
    pub thanks: String,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns every form of the tenant, by name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn forms(&self) -> Result<Vec<FormRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(FORM));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one form.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn form(&self, name: &str) -> Result<Option<FormRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(FORM).text(name).done())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a form.
    pub fn put_form(&mut self, row: &FormRow) {
        let key = Key::of(self.tenant()).tag(FORM).text(&row.name).done();
        self.put_json(Space::Row, key, row);
    }

    /// Removes a form.
    pub fn remove_form(&mut self, name: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(FORM).text(name).done());
    }
}
