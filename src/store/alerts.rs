//! The alerts that are raised, so that a start does not tell of them again.

use super::family::Row;
use super::key::Key;
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView};
use crate::domain::alert::AlertBook;

const ALERT_BOOK: u8 = Row::AlertBook as u8;

impl TenantView<'_> {
    /// Returns the alerts as they were kept last.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn alert_book(&self) -> Result<Option<AlertBook>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(ALERT_BOOK).done())
    }
}

impl TenantTx<'_, '_> {
    /// Keeps the alerts.
    pub fn put_alert_book(&mut self, book: &AlertBook) {
        let key = Key::of(self.tenant()).tag(ALERT_BOOK).done();
        self.put_json(Space::Row, key, book);
    }
}
