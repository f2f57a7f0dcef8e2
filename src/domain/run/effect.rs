//! What the world owes a run: calls in flight and deadlines, computed from its state.

use std::collections::BTreeSet;

use super::doing::Doing;
use super::state::{Phase, Run};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// Something that the world owes a run until an input answers it; steps are named by their path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Let it begin as soon as its concurrency key allows.
    Start,
    /// Make this attempt of a step, with `Run::input`.
    Execute {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
    },
    /// Make this attempt to undo a step, with its undo data or `UndoState::input`.
    Undo {
        /// The step's path.
        step: String,
        /// The number of the attempt to undo it.
        attempt: u32,
    },
    /// Tell it when this time has come, never earlier.
    Wake {
        /// When.
        at: Timestamp,
        /// What for.
        timer: Timer,
    },
    /// Tell it of the first event that its wait is for.
    AwaitEvent {
        /// The step's path.
        step: String,
    },
    /// Tell it what somebody decides about a step.
    AwaitDecision {
        /// The step's path.
        step: String,
    },
    /// Tell it what somebody says of a step that waits for them.
    AwaitResolution {
        /// The step's path.
        step: String,
    },
    /// Tell it how another run ends.
    AwaitRun {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// The other run.
        run: RunId,
    },
    /// Ask another run to stop, whose end is still awaited.
    StopRun {
        /// The step's path.
        step: String,
        /// The other run.
        run: RunId,
    },
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A sleeping step ends.
    Sleep {
        /// The step's path.
        step: String,
    },
    /// The pause before this attempt is over.
    Retry {
        /// The step's path.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
    },
    /// The pause before this attempt to undo a step is over.
    UndoRetry {
        /// The step's path.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
    },
    /// No event came in time.
    Wait {
        /// The step's path.
        step: String,
    },
    /// Something about an approval is due: a reminder, an escalation, or its end.
    Approval {
        /// The step's path.
        step: String,
    },
    /// The run has taken as long as its workflow allows.
    Deadline,
}

impl Run {
    /// Returns what the world owes the run; never empty between the creation and the end of a run.
    #[must_use]
    pub fn outstanding(&self) -> BTreeSet<Effect> {
        let mut owed = BTreeSet::new();
        if self.phase == Phase::Queued {
            owed.insert(Effect::Start);
        }
        for index in &self.busy {
            let state = &self.steps[*index];
            owe(&state.doing, &state.id, &mut owed);
        }
        if let Some(at) = self.deadline() {
            owed.insert(Effect::Wake { at, timer: Timer::Deadline });
        }
        owed
    }
}

fn owe(doing: &Doing, path: &str, owed: &mut BTreeSet<Effect>) {
    let step = path.to_owned();
    match doing {
        Doing::Nothing | Doing::Group => {}
        Doing::Executing { attempt } => {
            owed.insert(Effect::Execute { step, attempt: *attempt });
        }
        Doing::Undoing { attempt } => {
            owed.insert(Effect::Undo { step, attempt: *attempt });
        }
        Doing::Pausing { attempt, due } => {
            let timer = Timer::Retry { step, attempt: *attempt };
            owed.insert(Effect::Wake { at: *due, timer });
        }
        Doing::UndoPausing { attempt, due } => {
            let timer = Timer::UndoRetry { step, attempt: *attempt };
            owed.insert(Effect::Wake { at: *due, timer });
        }
        Doing::Sleeping { until } => {
            owed.insert(Effect::Wake { at: *until, timer: Timer::Sleep { step } });
        }
        Doing::Awaiting { until, .. } => {
            let wake =
                until.map(|at| Effect::Wake { at, timer: Timer::Wait { step: step.clone() } });
            owed.extend(wake);
            owed.insert(Effect::AwaitEvent { step });
        }
        Doing::Deciding(gate) => {
            let timer = || Timer::Approval { step: step.clone() };
            owed.extend(gate.next_due().map(|at| Effect::Wake { at, timer: timer() }));
            owed.insert(Effect::AwaitDecision { step });
        }
        Doing::Stuck(_) => {
            owed.insert(Effect::AwaitResolution { step });
        }
        Doing::AwaitingRun { attempt, run, stop } => {
            if *stop == super::doing::StopAsked::Wanted {
                owed.insert(Effect::StopRun { step: step.clone(), run: *run });
            }
            owed.insert(Effect::AwaitRun { step, attempt: *attempt, run: *run });
        }
    }
}
