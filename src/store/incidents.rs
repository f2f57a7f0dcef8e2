//! Steps of runs that wait for somebody to say how it goes on; those that were settled are gone.

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::id::RunId;
use crate::domain::run::IncidentKind;
use crate::domain::time::Timestamp;

const INCIDENT: u8 = Row::Incident as u8;

/// One step that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IncidentRow {
    /// The run.
    pub run: RunId,
    /// The path of the step.
    pub step: String,
    /// The workflow.
    pub workflow: String,
    /// Why it waits.
    pub kind: IncidentKind,
    /// The code of the failure behind it.
    pub code: String,
    /// What went wrong, for a person.
    pub message: String,
    /// When it began.
    pub since: Timestamp,
    /// What the event is about that started the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// Where an incident stands in the list: the run, then the step.
pub type IncidentPlace = (RunId, String);

impl TenantView<'_> {
    /// Returns the open incidents before `before`, those of the newest runs first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn incidents_before(
        &self,
        before: Option<&IncidentPlace>,
        limit: usize,
    ) -> Result<Vec<IncidentRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(INCIDENT));
        let before = before.map(|(run, step)| incident_key(self, *run, step));
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Notes that a step waits for somebody.
    pub fn put_incident(&mut self, row: &IncidentRow) {
        let key = incident_key(&self.view(), row.run, &row.step);
        self.put_json(Space::Row, key, row);
    }

    /// Notes that a step waits no longer.
    pub fn remove_incident(&mut self, run: RunId, step: &str) {
        let key = incident_key(&self.view(), run, step);
        self.remove(Space::Row, key);
    }
}

fn incident_key(view: &TenantView<'_>, run: RunId, step: &str) -> Vec<u8> {
    Key::of(view.tenant()).tag(INCIDENT).bytes(&run.to_bytes()).text(step).done()
}
