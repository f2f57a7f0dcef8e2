//! Workflows and their versions: every version stays as it was saved.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, from_json};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const WORKFLOW: u8 = Row::Workflow as u8;
const VERSION: u8 = Row::Version as u8;

/// What is the same for every version of a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowRow {
    /// Unique in the tenant.
    pub name: String,
    /// Thena's `uniqueIdentifier`.
    pub unique_identifier: String,
    /// The version that events start.
    pub version: u32,
    /// The newest version, which may be a draft.
    pub newest: u32,
    /// Whether events start it.
    pub active: bool,
    /// When it was deleted; its runs stay readable.
    pub deleted_at: Option<Timestamp>,
    /// When its first version was saved.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// One version, as it was saved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionRow {
    /// The workflow's name.
    pub name: String,
    /// Counts from 1.
    pub version: u32,
    /// Thena's `uid`.
    pub uid: String,
    /// The definition as it was given, in JSON.
    pub definition: Value,
    /// The text as it was given, when it was YAML, with its comments.
    pub source: Option<String>,
    /// What the check warned of.
    pub warnings: Vec<Problem>,
    /// Who saved it.
    pub created_by: String,
    /// When it was saved.
    pub created_at: Timestamp,
    /// What whoever published it said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl TenantView<'_> {
    /// Returns a workflow by its name, deleted ones included.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn workflow(&self, name: &str) -> Result<Option<WorkflowRow>, StoreError> {
        if !self.sees_workflow(name) {
            return Ok(None);
        }
        self.json(Space::Row, &Key::of(self.tenant()).tag(WORKFLOW).text(name).done())
    }

    /// Returns every workflow in order of its name, deleted ones included.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn workflows(&self) -> Result<Vec<WorkflowRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(WORKFLOW));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        let rows = rows.iter().map(|(key, row)| from_json(Space::Row, key, row));
        let mut rows = rows.collect::<Result<Vec<WorkflowRow>, StoreError>>()?;
        rows.retain(|row| self.sees_workflow(&row.name));
        Ok(rows)
    }

    /// Returns one version of a workflow.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn version(&self, name: &str, version: u32) -> Result<Option<VersionRow>, StoreError> {
        self.json(Space::Row, &version_key(self, name).number(version.into()).done())
    }

    /// Returns every version of a workflow, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn versions(&self, name: &str) -> Result<Vec<VersionRow>, StoreError> {
        let prefix = Prefix::new(version_key(self, name));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Descending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes what is the same for every version.
    pub fn put_workflow(&mut self, row: &WorkflowRow) {
        let key = Key::of(self.tenant()).tag(WORKFLOW).text(&row.name).done();
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }

    /// Writes a new version.
    pub fn put_version(&mut self, row: &VersionRow) {
        let key = version_key(&self.view(), &row.name).number(row.version.into()).done();
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }
}

fn version_key(view: &TenantView<'_>, name: &str) -> Key {
    Key::of(view.tenant()).tag(VERSION).text(name)
}
