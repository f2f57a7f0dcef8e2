//! A run: one execution of one workflow version, as pure functions over its journal.
//!
//! `decide` chooses what happened and changes nothing; `Run::apply` folds one record and always
//! succeeds; `Run::outstanding` says what the world owes the run. Living and recovering are one
//! path: perform what is newly owed. `Run::advance` is decide and apply in one, without a copy.
//!
//! The records of one decision belong together: they are written in one batch or not at all.
//!
//! # Steps inside steps
//!
//! A step of a run is named by its path (`notify`, `loop[2].notify`), and which one is next is
//! computed from what is over, so that there is no position to keep. What was decided for them:
//!
//! - Steps are undone in reverse order of completion, wherever they stand.
//! - A failure leaves its branch, case or item unless it is continued, and ends the nearest step
//!   around it that can do without: a parallel step that needs fewer branches gives up that branch,
//!   a step with `onFailure: continue` all that is inside; otherwise the run ends as the step that
//!   failed says.
//! - What is given up ends: waits at once, calls in flight are awaited, and what had finished there
//!   is undone while the rest goes on (unless the step that failed says `abort`).
//! - A step that waits for another run stops that run before it ends, and undoing the step undoes
//!   that run by its own journal.
//! - A run never waits for an event that it caused itself.
//!
//! # Failures
//!
//! - A step that pauses when it has failed, or asks when nobody knows whether it acted, waits for
//!   somebody; the time of the run stands still meanwhile, and a stop of any kind ends the wait.
//! - When a run has failed and its undoing is over, the steps follow that its workflow lists for
//!   this. They are never undone, and nothing about them changes how the run ends.
//! - What could not be undone may be tried again after the end, in the same order; everything else
//!   about the end stays.

mod apply;
mod closing;
mod decide;
mod doing;
mod effect;
mod entry;
mod gate;
mod group;
mod handling;
mod head;
mod incident;
mod input;
mod nested;
mod next;
mod redo;
mod retry;
mod state;
mod status;
mod step;
mod unwind;

#[cfg(test)]
mod failures;
#[cfg(test)]
mod ledger;
#[cfg(test)]
mod nests;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod story;
#[cfg(test)]
mod tests;

pub use decide::decide;
pub use doing::{Closing, Doing, Gate, Nest, NestKind, StopAsked};
pub use effect::{Effect, Timer};
pub use entry::{
    Compensation, Decision, Ending, Entry, Failure, FailureClass, Outcome, Record, RunError,
};
pub use head::RunHead;
pub use incident::{Incident, IncidentKind, Resolution};
pub use input::Input;
pub use next::SLEEP_MAX;
pub use retry::retry_refusal;
pub use state::{Cancel, Origin, Phase, Run, TenantFacts};
pub use status::{Status, StepStatus, UndoStatus, WaitKind, WaitingFor};
pub use step::{Attempt, AttemptOutcome, Decided, StepState, UndoState};
