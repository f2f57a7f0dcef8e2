//! What is handed out to a worker: asked for, answered, taken back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decide::Deciding;
use super::doing::{Doing, StopAsked};
use super::entry::{Entry, Failure};
use super::state::Run;
use super::status::StepStatus;
use crate::domain::time::Timestamp;

/// What of a step is to be done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// The step itself.
    #[default]
    Step,
    /// The undoing of it.
    Undo,
}

impl Work {
    pub(super) fn is_step(&self) -> bool {
        *self == Work::Step
    }
}

/// An attempt that a worker is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The number of the attempt.
    pub attempt: u32,
    /// What is to be done.
    pub work: Work,
    /// The activity that the worker carries out.
    pub activity: String,
    /// Since when a worker is awaited.
    pub since: Timestamp,
    /// When the attempt is given up, whoever works at it.
    pub until: Timestamp,
    /// Whether it is to be taken back.
    pub stop: StopAsked,
}

impl Deciding<'_> {
    pub(super) fn handed_out(
        &mut self,
        step: String,
        (attempt, work): (u32, Work),
        activity: String,
        until: Timestamp,
    ) {
        let ends = self.run.is_stopping() || self.is_given_up(&step);
        let stop = work == Work::Step && ends;
        self.note(Entry::HandedOut { step, attempt, work, activity, until, stop });
    }

    pub(super) fn work_ended(
        &mut self,
        step: String,
        (attempt, work): (u32, Work),
        result: Result<Value, Failure>,
    ) {
        match (work, result) {
            (Work::Step, Ok(output)) => {
                self.note(Entry::StepSucceeded { step, attempt, output, undo: Value::Null });
            }
            (Work::Step, Err(failure)) => self.attempt_failed(step, attempt, failure),
            (Work::Undo, Ok(output)) => self.note(Entry::UndoSucceeded { step, attempt, output }),
            (Work::Undo, Err(failure)) => self.undo_failed(step, attempt, failure),
        }
    }

    /// Gives up an attempt whose time is over: a worker may have acted.
    pub(super) fn work_is_late(&mut self, step: String) {
        let Some(Doing::AwaitingWorker(handed)) = self.run.step(&step).map(|it| &it.doing) else {
            return;
        };
        let of = (handed.attempt, handed.work);
        let message = format!("no worker finished `{}` in time", handed.activity);
        self.work_ended(step, of, Err(Failure::in_doubt("timeout", message)));
    }
}

impl Run {
    pub(super) fn apply_handed(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        match entry {
            Entry::HandedOut { attempt, work, activity, until, stop, .. } => {
                if work.is_step() {
                    step.status = StepStatus::Waiting;
                }
                let handed = Handed {
                    attempt: *attempt,
                    work: *work,
                    activity: activity.clone(),
                    since: at,
                    until: *until,
                    stop: if *stop { StopAsked::Wanted } else { StopAsked::Not },
                };
                self.does(path, Doing::AwaitingWorker(Box::new(handed)));
            }
            Entry::TakingBack { .. } => {
                if let Doing::AwaitingWorker(handed) = &mut step.doing {
                    handed.stop = StopAsked::Told;
                }
            }
            Entry::TakenBack { attempt, .. } => {
                step.taken_back(*attempt, at);
                self.does(path, Doing::Nothing);
            }
            _ => unreachable!("only entries about what is handed out come here"),
        }
    }
}
