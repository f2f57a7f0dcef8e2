//! What came to a connection's hook, and what became of it; the newest of each connection are kept.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const DELIVERY: u8 = Row::Delivery as u8;

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryStatus {
    /// It became an event.
    Accepted,
    /// It had come before.
    Duplicate,
    /// No rule wanted it.
    Unmatched,
    /// It could not become the event that its rule names.
    Rejected,
}

/// A delivery whose signature was good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRow {
    /// Counts the deliveries of its connection, from 1.
    pub number: u64,
    /// When it came.
    pub received_at: Timestamp,
    /// What became of it.
    pub status: DeliveryStatus,
    /// Why, unless it was accepted.
    pub reason: Option<String>,
    /// What was wrong with it, one by one.
    pub problems: Vec<Problem>,
    /// The headers, those that prove the sender masked.
    pub headers: Map<String, Value>,
    /// The parameters of the address.
    pub query: Map<String, Value>,
    /// The body, parsed; `None` when it was too large to keep.
    pub body: Option<Value>,
    /// The sender's own id of it.
    pub sender_id: Option<String>,
    /// The type of the event that it became or should have become.
    pub event_type: Option<String>,
    /// The event that it became.
    pub event_id: Option<String>,
}

impl TenantView<'_> {
    /// Returns deliveries of a connection before the one with this number, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn deliveries_before(
        &self,
        connection: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let prefix = Prefix::new(self.of_connection(connection));
        let before = before.map(|number| self.of_connection(connection).number(number).done());
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one delivery.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn delivery(
        &self,
        connection: &str,
        number: u64,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        self.json(Space::Row, &self.of_connection(connection).number(number).done())
    }

    fn of_connection(&self, connection: &str) -> Key {
        Key::of(self.tenant()).tag(DELIVERY).text(connection)
    }
}

impl TenantTx<'_, '_> {
    /// Keeps a delivery under the next number of its connection, and forgets the one that is `kept`
    /// deliveries older; returns the number.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn keep_delivery(
        &mut self,
        connection: &str,
        mut row: DeliveryRow,
        kept: u64,
    ) -> Result<u64, StoreError> {
        row.number = self.next_number(&format!("deliveries {connection}"))?;
        let key = |number: u64, view: &TenantView<'_>| {
            view.of_connection(connection).number(number).done()
        };
        let own = key(row.number, &self.view());
        self.put_json(Space::Row, own, &row);
        if let Some(old) = row.number.checked_sub(kept.max(1)) {
            let old = key(old, &self.view());
            self.remove(Space::Row, old);
        }
        Ok(row.number)
    }

    /// Forgets a delivery.
    pub fn forget_delivery(&mut self, connection: &str, number: u64) {
        let key = self.view().of_connection(connection).number(number).done();
        self.remove(Space::Row, key);
    }

    /// Writes a delivery that was kept before.
    pub fn put_delivery(&mut self, connection: &str, row: &DeliveryRow) {
        let key = self.view().of_connection(connection).number(row.number).done();
        self.put_json(Space::Row, key, row);
    }

    /// Forgets every delivery of a connection.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn forget_deliveries(&mut self, connection: &str) -> Result<(), StoreError> {
        let prefix = Prefix::new(self.view().of_connection(connection));
        let view = self.view();
        let rows = view.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        for (key, _) in rows {
            self.remove(Space::Row, key.to_vec());
        }
        Ok(())
    }
}
