//! What the world owes a run: calls in flight and deadlines, computed from its state.

use super::state::{Phase, Run};
use crate::domain::time::Timestamp;
use std::collections::BTreeSet;

/// Something that the world owes a run until an input answers it; steps are named by their id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Let it begin as soon as its concurrency key allows.
    Start,
    /// Make this attempt of a step, with `Run::input`.
    Execute {
        /// The step's id.
        step: String,
        /// The number of the attempt.
        attempt: u32,
    },
    /// Make this attempt to undo a step, with its undo data or `UndoState::input`.
    Undo {
        /// The step's id.
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
}

/// What a deadline is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// A sleeping step ends.
    Sleep {
        /// The step's id.
        step: String,
    },
    /// The pause before this attempt is over.
    Retry {
        /// The step's id.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
    },
    /// The pause before this attempt to undo a step is over.
    UndoRetry {
        /// The step's id.
        step: String,
        /// The number of the attempt to come.
        attempt: u32,
    },
    /// The run has taken as long as its workflow allows.
    Deadline,
}

impl Run {
    /// Returns what the world owes the run; never empty between the creation and the end of a run.
    #[must_use]
    pub fn outstanding(&self) -> BTreeSet<Effect> {
        self.owed_by_phase().into_iter().chain(self.owed_deadline()).collect()
    }

    fn owed_by_phase(&self) -> Option<Effect> {
        let id = |step: usize| self.steps[step].id.clone();
        match self.phase {
            Phase::Queued { .. } => Some(Effect::Start),
            Phase::Executing { step, attempt } => Some(Effect::Execute { step: id(step), attempt }),
            Phase::Pausing { step, attempt, due } => {
                Some(Effect::Wake { at: due, timer: Timer::Retry { step: id(step), attempt } })
            }
            Phase::Sleeping { step, until } => {
                Some(Effect::Wake { at: until, timer: Timer::Sleep { step: id(step) } })
            }
            Phase::Undoing { step, attempt } => Some(Effect::Undo { step: id(step), attempt }),
            Phase::UndoPausing { step, attempt, due } => {
                Some(Effect::Wake { at: due, timer: Timer::UndoRetry { step: id(step), attempt } })
            }
            Phase::Ready { .. } | Phase::Unwinding | Phase::Finished => None,
        }
    }

    fn owed_deadline(&self) -> Option<Effect> {
        let at = self.deadline()?;
        Some(Effect::Wake { at, timer: Timer::Deadline })
    }
}
