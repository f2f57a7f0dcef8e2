//! The state of one step: its attempts, its result, and how its undoing stands.

use serde::Serialize;
use serde_json::Value;

use super::doing::{Doing, Gate, Nest, NestKind};
use super::entry::{Decision, Failure, FailureClass};
use super::incident::{Incident, IncidentKind};
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
    /// Whether the call that is deferred, or follows, may have been made before a crash.
    pub maybe_made: bool,
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

impl UndoState {
    /// Makes room for another undoing in a run that goes on; what was abandoned still stands.
    pub(super) fn go_on(&mut self) {
        if self.status == UndoStatus::Abandoned {
            self.status = UndoStatus::None;
        }
        self.failure = None;
        self.spent = count(&self.attempts);
    }
}

impl StepState {
    pub(super) fn begin_anew(&mut self) {
        self.status = StepStatus::Pending;
        self.started_at = None;
        self.ended_at = None;
        self.trace = None;
        self.continued = false;
        self.nest = None;
        self.decided = None;
        self.compensation.status = UndoStatus::None;
        self.spent = count(&self.attempts);
    }

    /// Lets a step around others go on where it was.
    pub(super) fn reopen(&mut self) {
        self.status = StepStatus::Running;
        self.ended_at = None;
        self.continued = false;
        self.doing = Doing::Group;
        self.spent = count(&self.attempts);
        let Some(nest) = &mut self.nest else { return };
        nest.closings.clear();
        if let NestKind::Loop { next, open, .. } = &mut nest.kind {
            *open = (0..*next).collect();
        }
    }

    /// Ends an attempt that no worker had begun.
    pub(super) fn taken_back(&mut self, attempt: u32, at: Timestamp) {
        let failure = Failure::terminal("withdrawn", "no worker had taken it when it was stopped");
        Attempt::failed(&mut self.attempts, attempt, &failure, at);
        self.cancelled(at);
    }

    /// Gives it as many attempts as it had at first.
    pub(super) fn try_again(&mut self) {
        self.spent = count(&self.attempts);
    }

    pub(super) fn stuck(&mut self, kind: IncidentKind, since: Timestamp) -> Doing {
        self.status = StepStatus::Waiting;
        self.ended_at = None;
        let failure = self.failure();
        let code = failure.map_or("failed", |failure| &failure.code).to_owned();
        let message = failure.map_or_else(String::new, |failure| failure.message.clone());
        Doing::Stuck(Box::new(Incident { kind, code, message, since }))
    }

    pub(super) fn fails(&mut self, at: Timestamp) {
        self.status = StepStatus::Failed;
        self.ended_at = Some(at);
    }

    pub(super) fn not_made(&mut self, attempt: u32) {
        not_made(&mut self.attempts, attempt);
    }

    pub(super) fn cancelled(&mut self, at: Timestamp) {
        self.status = StepStatus::Cancelled;
        self.ended_at = Some(at);
    }
}

impl Attempt {
    pub(super) fn begun(number: u32, at: Timestamp) -> Attempt {
        let outcome = AttemptOutcome::Running;
        Attempt { number, started_at: at, ended_at: None, outcome, failure: None }
    }

    pub(super) fn succeeded(attempts: &mut [Attempt], number: u32, at: Timestamp) {
        if let Some(attempt) = attempts.iter_mut().rfind(|attempt| attempt.number == number) {
            attempt.ended_at = Some(at);
            attempt.outcome = AttemptOutcome::Succeeded;
        }
    }

    /// Ends the attempt, or records one that could not even begin.
    pub(super) fn failed(
        attempts: &mut Vec<Attempt>,
        number: u32,
        failure: &Failure,
        at: Timestamp,
    ) {
        if attempts.last().is_none_or(|last| last.number != number) {
            attempts.push(Attempt::begun(number, at));
        }
        let Some(attempt) = attempts.last_mut() else { return };
        attempt.ended_at = Some(at);
        attempt.outcome = match failure.class {
            FailureClass::InDoubt => AttemptOutcome::InDoubt,
            FailureClass::Retryable | FailureClass::Terminal => AttemptOutcome::Failed,
        };
        attempt.failure = Some(failure.clone());
    }
}

/// Takes back an attempt that was intended and never made, so that it does not count.
pub(super) fn not_made(attempts: &mut Vec<Attempt>, number: u32) {
    attempts.pop_if(|last| last.number == number && last.outcome == AttemptOutcome::Running);
}

fn count(attempts: &[Attempt]) -> u32 {
    u32::try_from(attempts.len()).unwrap_or(u32::MAX)
}
