//! Event types that a tenant has registered itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::time::Timestamp;

const EVENT_TYPE: u8 = b'E';

/// A registered event type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventTypeRow {
    /// The type, such as `order:placed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The name for people.
    pub name: String,
    /// What it means.
    pub description: String,
    /// Who sends it.
    pub source: String,
    /// JSON Schema of the payload.
    pub schema: Value,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns every event type that the tenant has registered.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn event_types(&self) -> Result<Vec<EventTypeRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(EVENT_TYPE));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one registered event type.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn event_type(&self, kind: &str) -> Result<Option<EventTypeRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(EVENT_TYPE).text(kind).done())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a registered event type.
    pub fn put_event_type(&mut self, row: &EventTypeRow) {
        let key = Key::of(self.tenant()).tag(EVENT_TYPE).text(&row.kind).done();
        self.put_json(Space::Row, key, row);
    }
}
