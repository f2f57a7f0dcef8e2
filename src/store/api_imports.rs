//! Descriptions of APIs that a tenant imported: where each leads, and what of it is offered.

use serde::{Deserialize, Serialize};
use url::Url;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::activity::custom::Answers;
use crate::domain::time::Timestamp;

const API_IMPORT: u8 = Row::ApiImport as u8;

/// An imported description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiImportRow {
    /// Its name, with which the identifiers of its activities begin.
    pub name: String,
    /// What the API calls itself.
    pub title: String,
    /// Where it is.
    pub base_url: Url,
    /// The connection whose credentials are sent.
    pub connection: Option<String>,
    /// What an answer is that is not as it was described.
    pub answers: Answers,
    /// The operations that were chosen; `None` for all.
    pub operations: Option<Vec<String>>,
    /// How many of them are offered.
    pub activities: usize,
    /// When it was imported last.
    pub imported_at: Timestamp,
    /// Who imported it.
    pub imported_by: String,
}

impl TenantView<'_> {
    /// Returns an import.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn api_import(&self, name: &str) -> Result<Option<ApiImportRow>, StoreError> {
        self.json(Space::Row, &import_key(self, name))
    }

    /// Returns every import by name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn api_imports(&self) -> Result<Vec<ApiImportRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(API_IMPORT));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes an import.
    pub fn put_api_import(&mut self, row: &ApiImportRow) {
        let key = import_key(&self.view(), &row.name);
        self.put_json(Space::Row, key, row);
    }

    /// Removes an import.
    pub fn remove_api_import(&mut self, name: &str) {
        let key = import_key(&self.view(), name);
        self.remove(Space::Row, key);
    }
}

fn import_key(view: &TenantView<'_>, name: &str) -> Vec<u8> {
    Key::of(view.tenant()).tag(API_IMPORT).text(name).done()
}
