//! The alerts that are raised, so that a start does not tell of them again, and where to tell them.

use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::alert::AlertBook;

const ALERT_BOOK: u8 = Row::AlertBook as u8;
const NOTICE: u8 = Row::Notice as u8;

impl TenantView<'_> {
    /// Returns the alerts as they were kept last.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn alert_book(&self) -> Result<Option<AlertBook>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(ALERT_BOOK).done())
    }

    /// Returns where alerts are told beside what the configuration says, by name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn notices_made(&self) -> Result<Vec<Value>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(NOTICE));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Keeps the alerts.
    pub fn put_alert_book(&mut self, book: &AlertBook) {
        let key = Key::of(self.tenant()).tag(ALERT_BOOK).done();
        self.put_json(Space::Row, key, book);
    }

    /// Keeps where alerts are told.
    pub fn put_notice(&mut self, name: &str, notice: &Value) {
        let key = Key::of(self.tenant()).tag(NOTICE).text(name).done();
        self.put_json(Space::Row, key, notice);
    }

    /// Forgets where alerts were told.
    pub fn remove_notice(&mut self, name: &str) {
        let key = Key::of(self.tenant()).tag(NOTICE).text(name).done();
        self.remove(Space::Row, key);
    }
}
