//! Definitions that are being written: one for each workflow, also of one that is not there yet.

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::time::Timestamp;

const DRAFT: u8 = Row::Draft as u8;

/// A definition that is being written; it may be wrong, or no definition at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DraftRow {
    /// The workflow's name.
    pub name: String,
    /// The text as it was typed.
    pub text: String,
    /// `yaml` or `json`.
    pub format: String,
    /// Counts the times that it was kept, from 1; never used again for another text.
    pub revision: u64,
    /// Names the page that kept it last, which may go on without asking.
    pub hand: String,
    /// The version that it began with; none of a workflow that is not there yet.
    pub base_version: Option<u32>,
    /// Who kept it last.
    pub updated_by: String,
    /// When that was.
    pub updated_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns the draft of a workflow, if there is one.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn draft(&self, name: &str) -> Result<Option<DraftRow>, StoreError> {
        if !self.sees_workflow(name) {
            return Ok(None);
        }
        self.json(Space::Row, &Key::of(self.tenant()).tag(DRAFT).text(name).done())
    }

    /// Returns every draft in order of its name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn drafts(&self) -> Result<Vec<DraftRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(DRAFT));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        let rows = rows.iter().map(|(key, row)| from_json(Space::Row, key, row));
        let mut rows = rows.collect::<Result<Vec<DraftRow>, StoreError>>()?;
        rows.retain(|row| self.sees_workflow(&row.name));
        Ok(rows)
    }
}

impl TenantTx<'_, '_> {
    /// Keeps a draft.
    pub fn put_draft(&mut self, row: &DraftRow) {
        let key = Key::of(self.tenant()).tag(DRAFT).text(&row.name).done();
        self.put_json(Space::Row, key, row);
    }

    /// Removes a draft.
    pub fn remove_draft(&mut self, name: &str) {
        let key = Key::of(self.tenant()).tag(DRAFT).text(name).done();
        self.remove(Space::Row, key);
    }
}
