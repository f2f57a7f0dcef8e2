//! What happened in a run, in the past tense: what its journal holds and its timeline shows.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::incident::{IncidentKind, Resolution};

use crate::domain::id::RunId;
use crate::domain::secret::Mask;
use crate::domain::time::Timestamp;

/// One line of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was decided; kept as milliseconds, as a journal is mostly made of times.
    #[serde(with = "instant")]
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub entry: Entry,
}

impl Record {
    /// Returns the record as the JSON bytes that the journal keeps.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a record has only JSON-safe fields")
    }

    /// Reads back what `to_bytes` wrote.
    ///
    /// # Errors
    /// Returns what is wrong with the bytes when they are no record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, serde_json::Error> {
        serde_json::from_slice(bytes)
    }
}

/// Something that happened in a run; steps are named by their path, attempts count from 1 and go on
/// counting when the run is retried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Entry {
    /// The run exists and waits for its turn.
    Created {
        /// The workflow's name.
        workflow: String,
        /// The version that the run follows.
        version: u32,
        /// The id of the event that started it.
        event: String,
    },
    /// The run began, or began again after a retry.
    Started,
    /// The step's condition did not hold.
    StepSkipped {
        /// The step's id.
        step: String,
        /// Why the condition did not hold.
        trace: Value,
    },
    /// The intent to make an attempt; the call follows when this is durable.
    StepScheduled {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// The rendered input; null in a repeated attempt, which takes the input of the one before.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        input: Value,
    },
    /// The step has finished.
    StepSucceeded {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// What the activity answered.
        output: Value,
        /// What the platform needs to put things back, null when there is nothing.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        undo: Value,
    },
    /// An attempt failed; without a `StepScheduled` before it, the attempt could not be prepared.
    StepFailed {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// Another attempt follows after a pause.
    RetryArmed {
        /// The step's id.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
        /// When it is due.
        due: Timestamp,
    },
    /// The step failed for good and the run goes on without it.
    StepContinued {
        /// The step's id.
        step: String,
    },
    /// The step has failed for good, or nobody knows whether it acted, and it waits for somebody.
    IncidentOpened {
        /// The step's path.
        step: String,
        /// Why.
        kind: IncidentKind,
    },
    /// Somebody has said how the run goes on.
    IncidentResolved {
        /// The step's path.
        step: String,
        /// How.
        resolution: Box<Resolution>,
        /// Who.
        by: String,
        /// What they said of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
    },
    /// The run pauses.
    SleepStarted {
        /// The step's id.
        step: String,
        /// When the run goes on.
        until: Timestamp,
    },
    /// The pause is over, or was none.
    SleepEnded {
        /// The step's id.
        step: String,
    },
    /// One way of a branch was chosen, or none.
    BranchChosen {
        /// The step's path.
        step: String,
        /// Which case, counted from 0; `None` when no condition held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        choice: Option<usize>,
    },
    /// A loop has its items.
    LoopStarted {
        /// The step's path.
        step: String,
        /// What it goes through.
        items: Vec<Value>,
    },
    /// A loop goes on to an item.
    ItemStarted {
        /// The loop's path.
        step: String,
        /// Which item, counted from 0.
        item: usize,
    },
    /// The steps of an item are over.
    ItemEnded {
        /// The loop's path.
        step: String,
        /// Which item, counted from 0.
        item: usize,
    },
    /// A parallel step has begun.
    ParallelStarted {
        /// The step's path.
        step: String,
    },
    /// Some or all steps inside a step are given up; attempts in flight are awaited.
    GroupClosing {
        /// The path of the step around them.
        step: String,
        /// The branches that are given up; `None` for all that is inside.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lanes: Option<Vec<usize>>,
        /// The paths of the steps that waited and now never go on, and of those that wait for
        /// another run, which is to stop.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        halted: Vec<String>,
        /// Whether what had finished there is undone.
        undo: bool,
        /// The path of the step that failed; `None` when enough others have finished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failed: Option<String>,
    },
    /// A step around others has finished.
    GroupEnded {
        /// The step's path.
        step: String,
        /// What came of the steps inside.
        output: Value,
    },
    /// The run waits for an event.
    WaitStarted {
        /// The step's path.
        step: String,
        /// The values of the step's filter, as they were when the wait began.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        values: Vec<Value>,
        /// When the wait is given up.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
    },
    /// The event came, or its time was over and the run goes on without.
    WaitEnded {
        /// The step's path.
        step: String,
        /// The event, null when none came.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        event: Value,
    },
    /// Somebody is asked to approve a step.
    ApprovalRequested {
        /// The step's path.
        step: String,
        /// Who may decide.
        approvers: Vec<String>,
        /// Why it is asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When it is decided by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// When those asked are reminded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remind_at: Option<Timestamp>,
        /// When others are asked as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        escalate_at: Option<Timestamp>,
    },
    /// Those asked were reminded.
    ApprovalReminded {
        /// The step's path.
        step: String,
    },
    /// Others are asked as well.
    ApprovalEscalated {
        /// The step's path.
        step: String,
        /// Who.
        to: Vec<String>,
    },
    /// Somebody, or the passing of time, has decided.
    ApprovalDecided {
        /// The step's path.
        step: String,
        /// How.
        decision: Decision,
        /// Who; `timeout` when nobody did in time.
        by: String,
        /// What they said of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        comment: String,
    },
    /// The run that a step started exists, and the step waits for its end.
    ChildStarted {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// The other run.
        run: RunId,
        /// Whether that run is to stop at once, as nobody needs it any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stop: bool,
    },
    /// The run that a step waits for was asked to stop.
    ChildStopping {
        /// The step's path.
        step: String,
    },
    /// The run is to end; attempts in flight are awaited first.
    Stopping {
        /// Why.
        ending: Ending,
    },
    /// Somebody asked for the run to stop; an attempt in flight is awaited first.
    CancelRequested {
        /// Who asked.
        by: String,
        /// Whether finished steps are undone.
        compensate: bool,
    },
    /// The workflow's timeout has passed; an attempt in flight is awaited first.
    DeadlineReached,
    /// Finished steps are being undone, newest first.
    Unwinding {
        /// Why.
        ending: Ending,
    },
    /// The intent to undo a step.
    UndoScheduled {
        /// The step's id.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
        /// The compensation's rendered input; null in a repeated attempt and for automatic undo.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        input: Value,
    },
    /// The step's effects are undone.
    UndoSucceeded {
        /// The step's id.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
        /// What the compensation answered.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        output: Value,
    },
    /// An attempt to undo a step failed.
    UndoFailed {
        /// The step's id.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// Another attempt to undo the step follows after a pause.
    UndoRetryArmed {
        /// The step's id.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
        /// When it is due.
        due: Timestamp,
    },
    /// The step could not be undone; the steps before it still are.
    UndoAbandoned {
        /// The step's id.
        step: String,
        /// The failure that ended the last attempt.
        failure: Failure,
    },
    /// Somebody asked to undo what could not be undone before the run ended.
    UndoResumed {
        /// Who asked.
        by: String,
        /// The paths of the steps that are tried again.
        steps: Vec<String>,
    },
    /// The run has failed, its undoing is over, and the steps that its workflow lists for this
    /// follow.
    FailureHandled {
        /// Why it failed.
        ending: Ending,
    },
    /// One of those steps has failed for good, and the rest of them is left out.
    HandlerFailed {
        /// The step's path.
        step: String,
    },
    /// The run has ended.
    Finished {
        /// How.
        outcome: Outcome,
        /// Whether finished steps were undone.
        compensation: Compensation,
        /// Why it did not succeed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<RunError>,
    },
    /// Somebody asked for a run that had ended to go on; it waits for its turn again.
    Resumed {
        /// The id of the step to go on from; `None` when every step has finished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The ids of the steps that are to run again or that the version no longer has.
        again: Vec<String>,
        /// The paths of the steps around others that go on where they were.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        reopened: Vec<String>,
        /// Who asked.
        by: String,
        /// The version that the run follows from here.
        version: u32,
        /// Replaces the rendered input of `from`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
    },
}

/// What somebody decided about a step that needs approval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It may run.
    Approved,
    /// It fails.
    Rejected,
}

/// What a failure says of the call behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureClass {
    /// The call surely did not act, and may work later.
    Retryable,
    /// Repeating the call would fail again.
    Terminal,
    /// The call may have acted, as after a timeout: it is repeated, and undone if it fails for good.
    InDoubt,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Whether to try again, and whether the call may have acted.
    pub class: FailureClass,
    /// What kind of failure, in snake case; stable.
    pub code: String,
    /// What went wrong, for a person.
    pub message: String,
    /// Anything more, such as a status and the beginning of an answer; null when there is nothing.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub details: Box<Value>,
    /// The pause that the other side asked for, in milliseconds when written.
    #[serde(
        default,
        rename = "retryAfterMs",
        with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_after: Option<Duration>,
}

impl Failure {
    /// Describes a failure of `class`, without details.
    pub fn new(class: FailureClass, code: &str, message: impl Into<String>) -> Failure {
        Failure {
            class,
            code: code.to_owned(),
            message: message.into(),
            details: Box::default(),
            retry_after: None,
        }
    }

    /// Describes a failure that may pass.
    pub fn retryable(code: &str, message: impl Into<String>) -> Failure {
        Failure::new(FailureClass::Retryable, code, message)
    }

    /// Describes a failure that would happen again.
    pub fn terminal(code: &str, message: impl Into<String>) -> Failure {
        Failure::new(FailureClass::Terminal, code, message)
    }

    /// Describes a failure that leaves open whether the call acted.
    pub fn in_doubt(code: &str, message: impl Into<String>) -> Failure {
        Failure::new(FailureClass::InDoubt, code, message)
    }

    /// Takes secrets out of what it tells.
    #[must_use]
    pub fn masked(mut self, mask: &Mask) -> Failure {
        self.message = mask.text(&self.message);
        *self.details = mask.value(std::mem::take(&mut *self.details));
        self
    }

    /// Adds what else is known.
    #[must_use]
    pub fn with_details(mut self, details: Value) -> Failure {
        *self.details = details;
        self
    }

    /// Adds the pause that the other side asked for.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Failure {
        self.retry_after = Some(pause);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.code, self.message)
    }
}

/// Why a run ends before its last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "camelCase")]
pub enum Ending {
    /// A step failed for good.
    StepFailed {
        /// The step's id.
        step: String,
    },
    /// Somebody cancelled it.
    Cancelled,
    /// The workflow's timeout passed.
    TimedOut,
    /// It had succeeded, and the run that had started it is undone.
    Undone {
        /// Who asked.
        by: String,
    },
}

impl Ending {
    /// Returns how a run ends for this reason.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Ending::StepFailed { .. } | Ending::TimedOut => Outcome::Failed,
            Ending::Cancelled | Ending::Undone { .. } => Outcome::Cancelled,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every step finished, was skipped, or failed where the run may go on.
    Succeeded,
    /// A step failed, or the time was up.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// Whether the finished steps of a run were undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compensation {
    /// Nothing was to be undone.
    #[default]
    None,
    /// All that was to be undone was.
    Done,
    /// At least one step could not be undone.
    Incomplete,
}

impl Compensation {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Compensation::None => "none",
            Compensation::Done => "done",
            Compensation::Incomplete => "incomplete",
        }
    }
}

/// Why a run did not succeed, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunError {
    /// The id of the step where it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What kind of failure, in snake case; `cancelled` and `timeout` for the run as a whole.
    pub code: String,
    /// What went wrong, for a person.
    pub message: String,
    /// Whether the step may have acted although it failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
}

fn is_nothing(details: &Value) -> bool {
    details.is_null()
}

/// Writes a pause as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(pause: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
        match pause {
            Some(pause) => out.serialize_u64(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)),
            None => out.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_millis))
    }
}

/// Writes an instant as milliseconds since the Unix epoch.
mod instant {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::domain::time::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        at.millis().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_millis)
    }
}
