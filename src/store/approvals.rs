//! Approvals that runs ask for: those that are open, and those that were decided.

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

const APPROVAL: u8 = Row::Approval as u8;

/// Whether approvals are open or over; the number is part of their keys and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ApprovalList {
    /// Somebody may still decide.
    Open = 1,
    /// Somebody did, or nobody has to any more.
    Over = 2,
}

/// One approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalRow {
    /// The run that asks.
    pub run: RunId,
    /// The path of the step that it is about.
    pub step: String,
    /// The workflow.
    pub workflow: String,
    /// Who may decide.
    pub approvers: Vec<String>,
    /// Why it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it is decided by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<ApprovalOutcome>,
}

/// What became of an approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ApprovalOutcome {
    /// `approved`, `rejected`, or `withdrawn` when the run ended first.
    pub decision: String,
    /// Who decided; `timeout` when nobody did in time.
    pub by: String,
    /// What they said of it.
    pub comment: String,
    /// When.
    pub at: Timestamp,
}

/// Where an approval stands in its list: the run, then the step.
pub type ApprovalPlace = (RunId, String);

impl TenantView<'_> {
    /// Returns the approvals of a list before `before`, those of the newest runs first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn approvals_before(
        &self,
        list: ApprovalList,
        before: Option<&ApprovalPlace>,
        limit: usize,
    ) -> Result<Vec<ApprovalRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(APPROVAL).tag(list as u8));
        let before = before.map(|(run, step)| approval_key(self, list, *run, step));
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Notes that somebody is asked, or is asked as well.
    pub fn put_open_approval(&mut self, row: &ApprovalRow) {
        let key = approval_key(&self.view(), ApprovalList::Open, row.run, &row.step);
        self.put_json(Space::Row, key, row);
    }

    /// Notes what became of an approval.
    pub fn close_approval(&mut self, row: &ApprovalRow) {
        let open = approval_key(&self.view(), ApprovalList::Open, row.run, &row.step);
        self.remove(Space::Row, open);
        let over = approval_key(&self.view(), ApprovalList::Over, row.run, &row.step);
        self.put_json(Space::Row, over, row);
    }
}

fn approval_key(view: &TenantView<'_>, list: ApprovalList, run: RunId, step: &str) -> Vec<u8> {
    let base = Key::of(view.tenant()).tag(APPROVAL).tag(list as u8);
    base.bytes(&run.to_bytes()).text(step).done()
}
