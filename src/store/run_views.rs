//! Searches for runs that somebody saved under a name.

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::time::Timestamp;

const RUN_VIEW: u8 = Row::RunView as u8;

/// A saved search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunViewRow {
    /// Names it; ids sort by age.
    pub id: String,
    /// Its name for people.
    pub title: String,
    /// The search as it could be typed.
    pub query: String,
    /// Whether everybody in the tenant sees it.
    pub shared: bool,
    /// The id of who saved it.
    pub owner: String,
    /// What they are called.
    pub owner_name: String,
    /// When it was saved.
    pub created_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns every saved search of the tenant, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn run_views(&self) -> Result<Vec<RunViewRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(RUN_VIEW));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes a saved search.
    pub fn put_run_view(&mut self, row: &RunViewRow) {
        let key = Key::of(self.tenant()).tag(RUN_VIEW).text(&row.id).done();
        self.put_json(Space::Row, key, row);
    }

    /// Removes a saved search.
    pub fn remove_run_view(&mut self, id: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(RUN_VIEW).text(id).done());
    }
}
