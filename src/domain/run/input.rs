//! What reaches a run from the world; what does not fit the run's state is ignored.

use serde_json::Value;

use super::effect::{Effect, Timer};
use super::entry::{Decision, Deferral, Failure};
use super::handed::Work;
use super::incident::Resolution;
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// Something that reached a run; steps are named by their path.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// It is the run's turn: answers `Effect::Start`.
    Start,
    /// An attempt succeeded: answers `Effect::Execute`.
    Completed {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// What the activity answered.
        output: Value,
        /// What the platform needs to put things back, null when there is nothing.
        undo: Value,
    },
    /// An attempt failed: answers `Effect::Execute`.
    Failed {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// A deadline passed: answers the `Effect::Wake` of the same fields.
    TimerFired {
        /// When it was due.
        at: Timestamp,
        /// What for.
        timer: Timer,
    },
    /// A step was undone: answers `Effect::Undo`.
    Undone {
        /// The step's id.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
        /// What the compensation answered.
        output: Value,
    },
    /// A step could not be undone this time: answers `Effect::Undo`.
    UndoFailed {
        /// The step's id.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
        /// Why.
        failure: Failure,
    },
    /// A call may not be made yet: answers `Effect::Execute` or `Effect::Undo`.
    Deferred {
        /// The step's path.
        step: String,
        /// Which call, and until when.
        deferral: Deferral,
    },
    /// A call that was deferred may be made before its time.
    Released {
        /// The step's path.
        step: String,
    },
    /// An event came for which a step waits: answers `Effect::AwaitEvent`.
    EventCame {
        /// The step's path.
        step: String,
        /// The whole event, as `Event::to_value` gives it.
        event: Value,
    },
    /// Somebody decided about a step that needs approval: answers `Effect::AwaitDecision`.
    Decided {
        /// The step's path.
        step: String,
        /// How.
        decision: Decision,
        /// Who.
        by: String,
        /// What they said of it.
        comment: String,
    },
    /// Somebody has said how a run goes on whose step is stuck: answers `Effect::AwaitResolution`.
    Resolved {
        /// The step's path.
        step: String,
        /// How.
        resolution: Resolution,
        /// Who.
        by: String,
        /// What they said of it.
        comment: String,
    },
    /// The run of a step that waits for its end was started: answers `Effect::Execute`.
    ChildStarted {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// The other run.
        run: RunId,
    },
    /// The run that a step waits for has ended: answers `Effect::AwaitRun`.
    ChildEnded {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// The other run.
        run: RunId,
        /// Its result, or why it did not succeed.
        result: Result<Value, Failure>,
    },
    /// The run that a step waits for was asked to stop: answers `Effect::StopRun`.
    ChildAsked {
        /// The step's path.
        step: String,
        /// The other run.
        run: RunId,
    },
    /// An attempt was handed out to a worker: answers `Effect::Execute` or `Effect::Undo`.
    HandedOut {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// What is to be done.
        work: Work,
        /// The activity that the worker carries out.
        activity: String,
        /// When the attempt is given up.
        until: Timestamp,
    },
    /// A worker is through with an attempt: answers `Effect::AwaitWorker`.
    WorkEnded {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// What was to be done.
        work: Work,
        /// What came of it.
        result: Result<Value, Failure>,
    },
    /// A worker is at an attempt that is to be taken back, and will hear of it: answers
    /// `Effect::Withdraw`.
    Withdrawing {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
    },
    /// No worker was at the attempt, and none gets it any more: answers `Effect::Withdraw`.
    Withdrawn {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
    },
    /// The run that started this one is undone, so that this one is to be, if it has succeeded.
    UndoAll {
        /// Who asks.
        by: String,
    },
    /// Somebody wants the run to stop.
    Cancel {
        /// Who.
        by: String,
        /// Whether finished steps are undone.
        compensate: bool,
    },
    /// Somebody wants what could not be undone before the run ended to be tried again.
    UndoLeft {
        /// Who.
        by: String,
    },
    /// Somebody wants a run that failed or was cancelled to go on.
    Retry {
        /// Who.
        by: String,
        /// The id of the step to go on from; `None` is the earliest that has to run.
        from: Option<String>,
        /// Replaces the rendered input of the step to go on from.
        input: Option<Value>,
        /// The version to go on with; the workflow given to `decide` is that version.
        version: Option<u32>,
    },
    /// Somebody wants the next attempt of a step that pauses between two, or of its undoing, made
    /// at once.
    TryNow {
        /// The step's path.
        step: String,
    },
    /// Somebody moves the run to another version; the workflow given to `decide` is that version,
    /// and `migration_refusals` found nothing.
    Migrate {
        /// Who.
        by: String,
        /// The version.
        version: u32,
    },
}

impl Input {
    /// Returns the effect that this input answers; `None` for what nobody owes the run.
    #[must_use]
    pub fn answers(&self) -> Option<Effect> {
        match self {
            Input::Start => Some(Effect::Start),
            Input::Completed { step, attempt, .. } | Input::Failed { step, attempt, .. } => {
                Some(Effect::Execute { step: step.clone(), attempt: *attempt })
            }
            Input::Undone { step, attempt, .. } | Input::UndoFailed { step, attempt, .. } => {
                Some(Effect::Undo { step: step.clone(), attempt: *attempt })
            }
            Input::Deferred { step, deferral } => {
                let (step, attempt) = (step.clone(), deferral.attempt);
                Some(match deferral.undoes {
                    true => Effect::Undo { step, attempt },
                    false => Effect::Execute { step, attempt },
                })
            }
            Input::TimerFired { at, timer } => Some(Effect::Wake { at: *at, timer: timer.clone() }),
            Input::EventCame { step, .. } => Some(Effect::AwaitEvent { step: step.clone() }),
            Input::Decided { step, .. } => Some(Effect::AwaitDecision { step: step.clone() }),
            Input::ChildStarted { step, attempt, .. } => {
                Some(Effect::Execute { step: step.clone(), attempt: *attempt })
            }
            Input::ChildEnded { step, attempt, run, .. } => {
                Some(Effect::AwaitRun { step: step.clone(), attempt: *attempt, run: *run })
            }
            Input::HandedOut { step, attempt, work: Work::Step, .. } => {
                Some(Effect::Execute { step: step.clone(), attempt: *attempt })
            }
            Input::HandedOut { step, attempt, work: Work::Undo, .. } => {
                Some(Effect::Undo { step: step.clone(), attempt: *attempt })
            }
            Input::WorkEnded { step, attempt, work, .. } => {
                Some(Effect::AwaitWorker { step: step.clone(), attempt: *attempt, work: *work })
            }
            Input::Withdrawing { step, attempt } | Input::Withdrawn { step, attempt } => {
                Some(Effect::Withdraw { step: step.clone(), attempt: *attempt })
            }
            Input::ChildAsked { step, run } => {
                Some(Effect::StopRun { step: step.clone(), run: *run })
            }
            Input::Resolved { step, .. } => Some(Effect::AwaitResolution { step: step.clone() }),
            Input::Released { .. }
            | Input::UndoAll { .. }
            | Input::UndoLeft { .. }
            | Input::Cancel { .. }
            | Input::Retry { .. }
            | Input::TryNow { .. }
            | Input::Migrate { .. } => None,
        }
    }
}
