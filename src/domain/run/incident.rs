//! Incidents: a step that has failed for good, or of which nobody knows whether it acted, and that
//! waits until somebody says how the run goes on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decide::Deciding;
use super::entry::{Decision, Entry, FailureClass};
use super::state::Run;
use super::status::StepStatus;
use super::step::StepState;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, InDoubt, OnFailure, Step};

/// A step that waits for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Why it waits.
    pub kind: IncidentKind,
    /// The code of the failure behind it.
    pub code: String,
    /// What went wrong, for a person.
    pub message: String,
    /// When it began.
    pub since: Timestamp,
}

/// Why a step waits for somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentKind {
    /// It has failed for good.
    Incident,
    /// Nobody knows whether it acted.
    Doubt,
}

impl IncidentKind {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentKind::Incident => "incident",
            IncidentKind::Doubt => "doubt",
        }
    }
}

/// What somebody says of a step that waits for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Resolution {
    /// It is done again, with as many attempts as at first.
    Retry {
        /// Replaces the rendered input.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        input: Option<Value>,
    },
    /// The run goes on without it.
    Skip,
    /// It has happened, in whatever way.
    Complete {
        /// What it answered.
        output: Value,
        /// What the platform needs to put things back; null when there is nothing.
        #[serde(default, skip_serializing_if = "Value::is_null")]
        undo: Value,
    },
    /// It has failed, and the run ends as under `compensate`.
    Fail,
}

impl Resolution {
    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Resolution::Retry { .. } => "retry",
            Resolution::Skip => "skip",
            Resolution::Complete { .. } => "complete",
            Resolution::Fail => "fail",
        }
    }
}

impl Deciding<'_> {
    /// Returns whether a step that has failed for good waits for somebody, and why.
    pub(super) fn incident_of(&self, step: &Step, path: &str) -> Option<IncidentKind> {
        let failure = self.run.step(path).and_then(StepState::failure);
        let doubts = failure.is_some_and(|failure| failure.class == FailureClass::InDoubt);
        match (doubts, step.in_doubt, step.on_failure) {
            (true, Some(InDoubt::Ask), _) | (true, _, OnFailure::Pause) => {
                Some(IncidentKind::Doubt)
            }
            (false, _, OnFailure::Pause) => Some(IncidentKind::Incident),
            (_, _, OnFailure::Compensate | OnFailure::Abort | OnFailure::Continue) => None,
        }
    }

    pub(super) fn resolved(
        &mut self,
        step: String,
        resolution: Resolution,
        by: String,
        comment: String,
    ) {
        let definition = self.workflow.step_at(&step);
        let calls = definition.is_some_and(|step| matches!(step.action, Action::Call { .. }));
        let needs_approval = definition.is_some_and(|step| step.approval.is_some());
        let resolved = Box::new(resolution.clone());
        let path = step.clone();
        self.note(Entry::IncidentResolved { step, resolution: resolved, by, comment });
        match resolution {
            Resolution::Retry { input } => {
                // What was rejected is asked for again, however often it ran before.
                let may_run = !needs_approval
                    || self.run.step(&path).is_some_and(|state| state.decided.is_some());
                // The other side may know the key of the call, and would wonder at another input.
                let last = Some(self.run.input(&path));
                let last = last.filter(|it| calls && may_run && !it.is_null());
                if let Some(last) = last {
                    let input = input.unwrap_or_else(|| last.clone());
                    self.schedule(&path, input);
                }
            }
            Resolution::Skip => self.note(Entry::StepContinued { step: path }),
            Resolution::Complete { .. } => {}
            Resolution::Fail => self.pass_on_failure(path, OnFailure::Compensate),
        }
    }
}

impl Run {
    /// Folds what is said of an incident.
    pub(super) fn incident_resolved(&mut self, path: &str, resolution: &Resolution, at: Timestamp) {
        // A run whose time stood still has all of it again.
        self.begun_at = Some(at);
        let step = self.touch(path);
        match resolution {
            Resolution::Retry { input } => {
                step.try_again();
                step.given.clone_from(input);
                step.status = StepStatus::Pending;
                if step.decided.as_ref().is_some_and(|it| it.decision == Decision::Rejected) {
                    step.decided = None;
                }
            }
            Resolution::Skip | Resolution::Fail => step.fails(at),
            Resolution::Complete { output, undo } => {
                step.undo = undo.clone();
                self.stands(path);
                return self.step_ended(path, StepStatus::Succeeded, output.clone(), at);
            }
        }
        self.does(path, super::doing::Doing::Nothing);
    }

    /// Returns the open incidents, by the paths of their steps.
    pub fn incidents(&self) -> impl Iterator<Item = (&str, &Incident)> {
        self.doings().filter_map(|(path, doing)| match doing {
            super::doing::Doing::Stuck(incident) => Some((path, &**incident)),
            _ => None, // It waits for nobody in particular.
        })
    }
}
