//! The kinds of steps that hold other steps or wait for the world, and the gate before a step.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Step;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;

/// How many items one loop goes through at most.
pub const ITEMS_MAX: usize = 1_000;

/// How many steps one run may have altogether, each item of a loop counted.
pub const RUN_STEPS_MAX: usize = 20_000;

/// A pause until an event comes.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// The canonical type of the event.
    pub kind: String,
    /// Which events of the type; its values are rendered once, when the wait begins.
    pub filter: Filter,
    /// How long it waits; `None` waits until the run's own limit.
    pub timeout: Option<Duration>,
    /// What happens when no such event came in time.
    pub on_timeout: OnTimeout,
    /// Which earlier events count.
    pub look_back: LookBack,
}

/// What happens when the time of a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnTimeout {
    /// The step fails with `timeout`.
    Fail,
    /// The step succeeds without an output.
    Continue,
}

/// Which events from before a wait count for it; never those that the run itself made, and never
/// one that came before an event which the run has already waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookBack {
    /// Those since the run was created.
    Run,
    /// Those of the last while, at most since the run was created.
    Last(Duration),
}

/// One way of a branch.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// Taken when this holds; `None` always holds.
    pub condition: Option<Filter>,
    /// What is done then.
    pub steps: Vec<Step>,
}

/// A loop over the items of an array.
#[derive(Clone, Debug, PartialEq)]
pub struct Each {
    /// Rendered to an array when the loop begins.
    pub items: Template,
    /// The name of the current item beside `item`, if it has one.
    pub name: Option<String>,
    /// How many items are worked on at once; 1 goes through them in order.
    pub concurrency: u32,
    /// What is done for each item.
    pub steps: Vec<Step>,
}

/// How many branches of a parallel step must finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// Every one.
    All,
    /// This many; the others are cancelled, and what they had finished is undone.
    Count(u32),
}

impl Join {
    /// Returns how many of `branches` must finish.
    #[must_use]
    pub fn wanted(self, branches: usize) -> usize {
        match self {
            Join::All => branches,
            Join::Count(count) => (count as usize).min(branches),
        }
    }
}

/// Whether a step that starts another workflow waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// It does: the output is the other run's result.
    End,
    /// It does not: the output names the run.
    Nothing,
}

/// A gate before a step: somebody must approve it.
#[derive(Clone, Debug, PartialEq)]
pub struct Approval {
    /// Who may decide: `role:…`, `user@…`, `key:…`; rendered when the gate is reached. An empty list
    /// means everybody who may decide approvals at all.
    pub approvers: Template,
    /// How long it waits; `None` waits until the run's own limit.
    pub timeout: Option<Duration>,
    /// What happens then.
    pub on_timeout: OnSilence,
    /// After how long those asked are reminded, once.
    pub reminder: Option<Duration>,
    /// Who is asked as well after a while.
    pub escalate: Option<Escalation>,
    /// Why it is asked, for the person who decides.
    pub reason: Option<Template>,
}

/// What becomes of a gate about which nobody decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnSilence {
    /// The step fails, and its `onFailure` says what follows.
    Reject,
    /// The step goes on.
    Approve,
}

/// Who is asked as well when nobody has decided for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Escalation {
    /// How long after the first asking.
    pub after: Duration,
    /// Rendered together with the approvers.
    pub to: Template,
}
