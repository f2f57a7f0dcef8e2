//! Event types that a tenant has registered itself.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const EVENT_TYPE: u8 = Row::EventType as u8;
const SCHEMA: u8 = Row::EventTypeSchema as u8;

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
    /// A payload as it could be, if one was given.
    #[serde(default)]
    pub example: Option<Value>,
    /// Counts the schemas that it had, from 1.
    #[serde(default = "first_version")]
    pub version: u32,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

fn first_version() -> u32 {
    1
}

/// One schema that an event type had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaRow {
    /// Counts from 1.
    pub version: u32,
    /// JSON Schema of the payload.
    pub schema: Value,
    /// Since when it holds.
    pub created_at: Timestamp,
    /// What it refuses that the version before took; empty where it is compatible.
    pub incompatibilities: Vec<Problem>,
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

    /// Returns every schema that a registered event type had, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn schemas(&self, kind: &str) -> Result<Vec<SchemaRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(SCHEMA).text(kind));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes a registered event type.
    pub fn put_event_type(&mut self, row: &EventTypeRow) {
        let key = Key::of(self.tenant()).tag(EVENT_TYPE).text(&row.kind).done();
        self.put_json(Space::Row, key, row);
    }

    /// Writes a schema of a registered event type.
    pub fn put_schema(&mut self, kind: &str, row: &SchemaRow) {
        let base = Key::of(self.tenant()).tag(SCHEMA).text(kind);
        self.put_json(Space::Row, base.number(row.version.into()).done(), row);
    }

    /// Removes a registered event type with all of its schemas.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn remove_event_type(&mut self, kind: &str) -> Result<(), StoreError> {
        for schema in self.view().schemas(kind)? {
            let base = Key::of(self.tenant()).tag(SCHEMA).text(kind);
            self.remove(Space::Row, base.number(schema.version.into()).done());
        }
        self.remove(Space::Row, Key::of(self.tenant()).tag(EVENT_TYPE).text(kind).done());
        Ok(())
    }
}
