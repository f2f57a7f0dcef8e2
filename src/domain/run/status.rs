//! The words for where a run or a step stands, and for what it waits.

use serde::{Deserialize, Serialize};

use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for its turn.
    Queued,
    /// An attempt is in flight.
    Running,
    /// A failed attempt will be made again.
    Retrying,
    /// It sleeps, or waits for an event, for somebody or for another run.
    Waiting,
    /// Finished steps are being undone, or those steps run that follow a failure.
    Compensating,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl Status {
    /// Every status, in the order of a run's life.
    pub const ALL: [Status; 8] = [
        Status::Queued,
        Status::Running,
        Status::Retrying,
        Status::Waiting,
        Status::Compensating,
        Status::Succeeded,
        Status::Failed,
        Status::Cancelled,
    ];

    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Retrying => "retrying",
            Status::Waiting => "waiting",
            Status::Compensating => "compensating",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }

    /// Returns Thena's name; Thena knows no cancelled run, so that one reads as failed.
    #[must_use]
    pub fn thena(self) -> &'static str {
        match self {
            Status::Queued => "SCHEDULED",
            Status::Running => "EXECUTING_ACTIVITIES",
            Status::Retrying => "RETRYING",
            Status::Waiting => "SUSPENDED",
            Status::Compensating => "COMPENSATING",
            Status::Succeeded => "FINISHED",
            Status::Failed | Status::Cancelled => "FAILED",
        }
    }

    /// Returns the status of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Returns whether the run has ended; only a retry changes it then.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Status::Succeeded | Status::Failed | Status::Cancelled)
    }
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// It has not begun.
    #[default]
    Pending,
    /// An attempt is in flight.
    Running,
    /// An attempt failed and another follows.
    Retrying,
    /// It sleeps, or waits for an event, for somebody or for another run.
    Waiting,
    /// It finished; its compensation says whether it was undone since.
    Succeeded,
    /// Its last attempt failed.
    Failed,
    /// Its condition did not hold.
    Skipped,
    /// The run was stopped while it slept or paused.
    Cancelled,
}

impl StepStatus {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            StepStatus::Pending => "pending",
            StepStatus::Running => "running",
            StepStatus::Retrying => "retrying",
            StepStatus::Waiting => "waiting",
            StepStatus::Succeeded => "succeeded",
            StepStatus::Failed => "failed",
            StepStatus::Skipped => "skipped",
            StepStatus::Cancelled => "cancelled",
        }
    }
}

/// Where the undoing of a step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UndoStatus {
    /// It has not been asked for.
    #[default]
    None,
    /// An attempt is in flight.
    Running,
    /// An attempt failed and another follows.
    Retrying,
    /// The step is undone.
    Done,
    /// The step could not be undone.
    Abandoned,
}

impl UndoStatus {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            UndoStatus::None => "none",
            UndoStatus::Running => "running",
            UndoStatus::Retrying => "retrying",
            UndoStatus::Done => "done",
            UndoStatus::Abandoned => "abandoned",
        }
    }
}

/// Why a run is not moving, and when it will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitingFor {
    /// What it waits for.
    pub kind: WaitKind,
    /// When it goes on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The path of the step that waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Who may approve, for an approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// The run that it waits for, for a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The code of the failure behind it, for an incident or a doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When it began, for an incident or a doubt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

impl WaitingFor {
    pub(super) fn of(kind: WaitKind, until: Option<Timestamp>, step: Option<String>) -> WaitingFor {
        WaitingFor { kind, until, step, approvers: Vec::new(), run: None, code: None, since: None }
    }
}

/// What a run that is not moving waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// Its turn to begin.
    Start,
    /// Another run of the same concurrency key.
    Concurrency,
    /// The end of a sleep.
    Sleep,
    /// The end of the pause before another attempt.
    Retry,
    /// An event.
    Event,
    /// Somebody's approval.
    Approval,
    /// The end of another run.
    Run,
    /// Somebody who says how it goes on after a failure.
    Incident,
    /// Somebody who says whether a call happened.
    Doubt,
}

impl WaitKind {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            WaitKind::Start => "start",
            WaitKind::Concurrency => "concurrency",
            WaitKind::Sleep => "sleep",
            WaitKind::Retry => "retry",
            WaitKind::Event => "event",
            WaitKind::Approval => "approval",
            WaitKind::Run => "run",
            WaitKind::Incident => "incident",
            WaitKind::Doubt => "doubt",
        }
    }
}
