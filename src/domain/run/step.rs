//! The state of one step: its attempts, its result, and how its undoing stands.

use serde::Serialize;
use serde_json::Value;

use super::doing::{Doing, Gate, Nest};
use super::entry::{Decision, Failure};
use super::status::{StepStatus, UndoStatus};
use crate::domain::time::Timestamp;

/// What is known of one step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepState {
    /// The step's path.
    pub id: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Every attempt, those before a retry of the run included.
    pub attempts: Vec<Attempt>,
    /// When it first began: its first attempt or its sleep.
    pub started_at: Option<Timestamp>,
    /// When it finished, failed for good or was skipped.
    pub ended_at: Option<Timestamp>,
    /// Why its condition did not hold, for a skipped step.
    pub trace: Option<Value>,
    /// Whether an attempt may have acted although it failed.
    pub in_doubt: bool,
    /// Whether it failed and the run went on.
    pub continued: bool,
    /// What the platform needs to put things back; null when there is nothing.
    pub undo: Value,
    /// How its undoing stands.
    pub compensation: UndoState,
    /// How often its effects were undone; a repeated call after that is a new one for the outside.
    pub undone: u32,
    /// What it is doing now.
    pub doing: Doing,
    /// What it has come to, when it stands around others.
    pub nest: Option<Nest>,
    /// Whether it follows a failure of the run.
    pub handles: bool,
    /// What was decided about it, when it needed approval.
    pub decided: Option<Decided>,
    pub(super) spent: u32,
    pub(super) given: Option<Value>,
}

/// What was decided about a step that needed approval.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// How.
    pub decision: Decision,
    /// Who; `timeout` when nobody did in time.
    pub by: String,
    /// What they said of it.
    pub comment: String,
    /// When.
    pub at: Timestamp,
    /// What was asked.
    pub gate: Gate,
}

/// How the undoing of one step stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UndoState {
    /// Where it stands.
    pub status: UndoStatus,
    /// Every attempt, those before a retry of the run included.
    pub attempts: Vec<Attempt>,
    /// The rendered input of a declared compensation; null for automatic undo.
    pub input: Value,
    /// What the compensation answered.
    pub output: Value,
    /// Why it was abandoned.
    pub failure: Option<Failure>,
    /// Whether it is to be undone after the run has ended.
    pub(super) again: bool,
    pub(super) spent: u32,
}

/// One attempt to perform or undo a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// Counts from 1 through every retry.
    pub number: u32,
    /// When its intent was recorded.
    pub started_at: Timestamp,
    /// When its result was recorded.
    pub ended_at: Option<Timestamp>,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// Why it failed.
    #[serde(rename = "error")]
    pub failure: Option<Failure>,
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// It is in flight.
    Running,
    /// It succeeded.
    Succeeded,
    /// It surely failed.
    Failed,
    /// It failed, and may have acted.
    InDoubt,
}

impl StepState {
    pub(super) fn new(id: &str) -> StepState {
        StepState { id: id.to_owned(), ..StepState::default() }
    }

    /// Returns why the newest attempt since the run began last failed, if it did.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.attempts.get(self.spent as usize..)?.last()?.failure.as_ref()
    }

    /// Returns whether the run may go on behind this step: it finished and was not undone, was
    /// skipped, or failed where the run went on.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.compensation.status != UndoStatus::Done && self.is_past()
    }

    /// Returns whether the run had gone on behind this step, undone since or not.
    #[must_use]
    pub fn is_past(&self) -> bool {
        match self.status {
            StepStatus::Succeeded | StepStatus::Skipped => true,
            StepStatus::Failed => self.continued,
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Retrying
            | StepStatus::Waiting
            | StepStatus::Cancelled => false,
        }
    }
}
