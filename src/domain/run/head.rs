//! The summary of a run that lists show, stored beside its journal.

use serde::{Deserialize, Serialize};

use super::entry::{Compensation, RunError};
use super::state::Run;
use super::status::{Status, WaitingFor};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;
use crate::domain::trace::TRACEPARENT;

/// What lists show of a run without reading its journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunHead {
    /// Names the run.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The version that it follows now.
    pub version: u32,
    /// Where it stands.
    pub status: Status,
    /// Why it is not moving.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingFor>,
    /// Whether finished steps were undone.
    pub compensation: Compensation,
    /// The id of the event that started it.
    pub event_id: String,
    /// The canonical type of that event.
    pub event_kind: String,
    /// What that event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it first began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How many steps it has behind it.
    pub steps_done: u32,
    /// How many steps its workflow has.
    pub steps_total: u32,
    /// The id of the step that it is at, or ended at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// How many attempts were made at all its steps together.
    pub attempts: u32,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<RunError>,
}

impl Run {
    /// Returns where its event says that it came from.
    #[must_use]
    pub fn traceparent(&self) -> Option<&str> {
        self.scope.root()["trigger"]["metadata"][TRACEPARENT].as_str()
    }

    /// Returns the summary of the run as it stands.
    #[must_use]
    pub fn head(&self) -> RunHead {
        let trigger = &self.scope.root()["trigger"];
        // What follows a failure is no part of what the run was for.
        let own = || self.steps.iter().filter(|step| !step.handles);
        let done = own().filter(|step| step.is_past()).count();
        let attempts: usize = self.steps.iter().map(|step| step.attempts.len()).sum();
        RunHead {
            id: self.id,
            workflow: self.workflow.clone(),
            version: self.version,
            status: self.status(),
            waiting_for: self.waiting_for(),
            compensation: self.compensation,
            event_id: self.event_id().to_owned(),
            event_kind: trigger["type"].as_str().unwrap_or_default().to_owned(),
            subject: trigger["subject"].as_str().map(str::to_owned),
            created_at: self.created_at,
            started_at: self.started_at,
            ended_at: self.ended_at,
            steps_done: u32::try_from(done).unwrap_or(u32::MAX),
            steps_total: u32::try_from(own().count()).unwrap_or(u32::MAX),
            current_step: self.current.map(|step| self.steps[step].id.clone()),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            error: self.error.clone(),
        }
    }
}
