//! A workflow: what was checked at its saving, and what a run follows.

pub mod annotation;
mod approval;
pub mod calls;
pub mod cases;
mod check;
pub mod codes;
mod condition;
pub mod cycle;
pub mod diff;
pub mod document;
pub mod export;
mod facts;
mod fields;
mod fit;
pub mod gate;
mod gate_fields;
mod infer;
mod inputs;
mod kind;
pub mod lasting;
mod nesting;
mod operand;
mod over;
pub mod parse;
mod places;
mod priority;
mod reference;
mod retrying;
pub mod secrets;
mod seen;
pub mod source_text;
mod step;
mod structure;
mod tags;
pub mod team;
#[cfg(test)]
mod tests;
pub mod text_diff;
mod thena;
pub mod tree;
mod trigger;
mod trigger_schedule;
mod typing;
mod undoing;
pub mod uses;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::Template;
use super::filter::Filter;
use super::retention::RunRules;
use super::schedule::Schedule;

pub use annotation::Annotation;
pub use kind::{
    Approval, Awaits, Case, Each, Escalation, ITEMS_MAX, Join, LookBack, OnSilence, OnTimeout,
    RUN_STEPS_MAX, Wait,
};
pub use priority::Priority;
pub use retrying::{Retry, RetryOn};
pub use trigger::Trigger;
pub use trigger_schedule::read_schedule;

/// A named, versioned definition that passed every check; a run keeps the version it began with.
#[derive(Clone, Debug, PartialEq)]
pub struct Workflow {
    /// Unique in its tenant: lower case, digits, hyphens.
    pub name: String,
    /// The name for people.
    pub title: String,
    /// What it is for.
    pub description: String,
    /// What starts it, each by itself; without any, only a person or a program that asks for it.
    pub triggers: Vec<Trigger>,
    /// Words by which people find it.
    pub tags: Vec<String>,
    /// Records that are joined into the event before the filters see it.
    pub annotations: Vec<Annotation>,
    /// Whose runs come first when there is more work than room.
    pub priority: Priority,
    /// How many of its runs may be active for one key.
    pub concurrency: Option<Concurrency>,
    /// How long a run may take altogether before it fails with `timeout`.
    pub timeout: Option<Duration>,
    /// For how long its runs are kept; what it does not say the tenant decides.
    pub retention: RunRules,
    /// In the order in which they run; at least one.
    pub steps: Vec<Step>,
    /// What a run does when it has failed and its undoing is over.
    pub on_failure: Vec<Step>,
    /// Fields of Thena's body that have no meaning here but are kept and returned.
    pub thena: Option<ThenaFields>,
    /// Test cases that are kept with it.
    pub tests: Vec<cases::TestCase>,
}

/// How often an undo is tried unless its step says otherwise.
pub const UNDO_RETRY: Retry = Retry::DEFAULT;

impl Workflow {
    /// Returns the canonical event types that start it, each once.
    #[must_use]
    pub fn event_kinds(&self) -> Vec<&str> {
        let mut kinds = Vec::new();
        for kind in self.triggers.iter().filter_map(Trigger::event_kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        kinds
    }

    /// Returns how many runs of one key may be at work; those of a schedule that queues follow one
    /// another.
    #[must_use]
    pub fn runs_at_once(&self) -> usize {
        self.concurrency.as_ref().map_or(1, |concurrency| concurrency.limit as usize)
    }

    /// Returns the canonical type of the events that its runs begin with, of its first trigger.
    #[must_use]
    pub fn opening_kind(&self) -> Option<&str> {
        self.triggers.first().map(Trigger::opening_kind)
    }

    /// Returns its schedules, each with the position of its trigger.
    pub fn schedules(&self) -> impl Iterator<Item = (usize, &Schedule)> {
        self.triggers.iter().enumerate().filter_map(|(index, trigger)| match trigger {
            Trigger::Schedule { schedule, .. } => Some((index, &**schedule)),
            Trigger::Event { .. } | Trigger::Lasting(_) => None,
        })
    }

    /// Returns the filters by which events of a canonical type start it, in the order of its
    /// triggers; none when it does not listen to the type.
    pub fn filters_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Filter> {
        self.triggers.iter().filter_map(move |trigger| match trigger {
            Trigger::Event { kind: own, filter, .. } if own == kind => Some(filter),
            Trigger::Event { .. } | Trigger::Lasting(_) | Trigger::Schedule { .. } => None,
        })
    }

    /// Returns the filters by which events of any type start it.
    pub fn filters(&self) -> impl Iterator<Item = &Filter> {
        self.triggers.iter().filter_map(|trigger| match trigger {
            Trigger::Event { filter, .. } => Some(filter),
            Trigger::Lasting(_) | Trigger::Schedule { .. } => None,
        })
    }

    /// Returns the team whose events alone start it.
    #[must_use]
    pub fn team(&self) -> Option<&str> {
        let team = self.thena.as_ref().and_then(|thena| thena.team_id.as_deref());
        team.filter(|team| !team.is_empty())
    }

    /// Returns whom its steps act as: a person, a user or a key; without it they act as themselves.
    #[must_use]
    pub fn executing_agent(&self) -> Option<&str> {
        let agent = self.thena.as_ref().and_then(|thena| thena.executing_agent.as_deref());
        agent.filter(|agent| !agent.is_empty())
    }

    /// Returns whether its runs begin with batches of events of this type.
    #[must_use]
    pub fn takes_batches_of(&self, wanted: &str) -> bool {
        self.triggers.iter().any(|trigger| match trigger {
            Trigger::Event { kind, gates: Some(gates), .. } => {
                kind == wanted && gates.makes_batches()
            }
            _ => false, // Its runs begin with the event itself.
        })
    }

    /// Returns whether its triggers remember anything between events.
    #[must_use]
    pub fn remembers(&self) -> bool {
        self.triggers.iter().any(|trigger| match trigger {
            Trigger::Event { gates, .. } => gates.is_some(),
            Trigger::Lasting(_) => true,
            Trigger::Schedule { .. } => false, // Its rows are kept by the schedules themselves.
        })
    }

    /// Returns whether a matching event starts it without more ado: no gate, no record to join and
    /// no team to ask.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let is_gated = |trigger: &Trigger| matches!(trigger, Trigger::Event { gates: Some(_), .. });
        self.annotations.is_empty() && self.team().is_none() && !self.triggers.iter().any(is_gated)
    }
}

/// At most `limit` active runs for each rendered `key`.
#[derive(Clone, Debug, PartialEq)]
pub struct Concurrency {
    /// Rendered against the event.
    pub key: Template,
    /// How many runs of one key may be active, at least 1.
    pub limit: u32,
    /// What happens to one more.
    pub policy: ConcurrencyPolicy,
}

/// What happens to a run that would exceed the limit of its concurrency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConcurrencyPolicy {
    /// It waits, as `queued`, in order of arrival.
    Queue,
    /// It is not started; the event's explanation says `limited`.
    Skip,
    /// The runs that are active are cancelled and undone first.
    CancelRunning,
}

/// One step of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Unique in its workflow.
    pub id: String,
    /// The name for people, empty when there is none.
    pub title: String,
    /// Skipped when this does not hold.
    pub condition: Option<Filter>,
    /// Somebody must approve it first.
    pub approval: Option<Approval>,
    /// The ids of the steps of its list that it waits for; empty for all that stand before it.
    pub after: Vec<String>,
    /// What it does.
    pub action: Action,
    /// How often an attempt is made.
    pub retry: Retry,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What happens when the last attempt failed.
    pub on_failure: OnFailure,
    /// What follows from a call whose outcome is unknown; `None` is as its activity has it, which
    /// then does not ask.
    pub in_doubt: Option<InDoubt>,
    /// How it is undone once it has finished.
    pub compensate: Undo,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per step; a box would save nothing")]
pub enum Action {
    /// Calls an activity.
    Call {
        /// The activity's identifier, without a version.
        activity: String,
        /// A pinned version; `None` follows the newest.
        version: Option<u32>,
        /// Rendered for every run of the step.
        input: Template,
    },
    /// Pauses the run; the rendered value is a duration (`"4h"`, a number of seconds).
    Sleep {
        /// Rendered when the step begins.
        duration: Template,
    },
    /// Pauses until an event comes.
    Wait(Wait),
    /// Does the first case whose condition holds.
    Branch(Vec<Case>),
    /// Does the same for each item of an array.
    Each(Each),
    /// Does several lists of steps at once.
    Parallel {
        /// How many of them must finish.
        join: Join,
        /// Each a list of steps.
        branches: Vec<Vec<Step>>,
    },
    /// Starts another workflow.
    Run {
        /// Its name.
        workflow: String,
        /// The payload of the event that it is started with.
        input: Template,
        /// Whether the step waits for its end.
        awaits: Awaits,
    },
}

impl Action {
    /// Returns the version of the activity that it pins, if it calls one and pins it.
    #[must_use]
    pub fn pinned_version(&self) -> Option<u32> {
        match self {
            Action::Call { version, .. } => *version,
            _ => None, // It calls no activity.
        }
    }
}

/// What happens when a step has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Finished steps are undone in reverse order, then the run fails.
    #[default]
    Compensate,
    /// The run fails; nothing is undone.
    Abort,
    /// The failure is recorded and the next step runs.
    Continue,
    /// The run waits until somebody says how it goes on.
    Pause,
}

/// What follows when nobody knows whether a call happened, as after a timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InDoubt {
    /// It is made again with the same key.
    Repeat,
    /// The run waits until somebody says whether it happened.
    Ask,
}

/// How a finished step is undone.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "one per step; a box would save nothing")]
pub enum Undo {
    /// The platform puts back what the step changed.
    Auto,
    /// Nothing is undone.
    None,
    /// Another activity undoes it.
    Call {
        /// The activity's identifier.
        activity: String,
        /// A pinned version; `None` follows the newest.
        version: Option<u32>,
        /// Rendered when the undo begins; sees the step's own output and `error`.
        input: Template,
        /// How often an attempt to undo is made.
        retry: Retry,
        /// How long one such attempt may take; `None` for as long as one of the step itself.
        timeout: Option<Duration>,
    },
}

impl Undo {
    /// Returns the version of the activity that it pins, if it calls one and pins it.
    #[must_use]
    pub fn pinned_version(&self) -> Option<u32> {
        match self {
            Undo::Call { version, .. } => *version,
            Undo::Auto | Undo::None => None,
        }
    }
}

/// Fields of Thena's create body that are kept as they were given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThenaFields {
    /// `MANUAL` or `WORKFLOW`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `WORKFLOW` or `AI_AGENT`.
    pub sub_type: String,
    /// The owning team.
    pub team_id: Option<String>,
    /// The identity that the steps act as.
    pub executing_agent: Option<String>,
    /// Anything the author wants to keep with it.
    pub metadata: Map<String, Value>,
    /// What single steps keep, by step id.
    pub steps: BTreeMap<String, ThenaStep>,
}

/// Fields of a step of Thena's body that are kept as they were given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThenaStep {
    /// The steps that must come before, which the order of the steps already says.
    pub dependencies: Vec<Value>,
    /// The version that was current when a step that follows the newest was written.
    pub version: Option<u32>,
    /// Who would approve if an approval were asked for.
    pub approver: Option<Value>,
}
