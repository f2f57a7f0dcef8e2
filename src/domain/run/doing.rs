//! What one step is doing at this moment, and what a step around others has come to.

use std::collections::BTreeSet;

use serde_json::Value;

use super::incident::Incident;

use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// What a step is doing.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Doing {
    /// Nothing: it has not begun, or is over.
    #[default]
    Nothing,
    /// An attempt is in flight.
    Executing {
        /// The number of the attempt.
        attempt: u32,
    },
    /// It pauses before another attempt.
    Pausing {
        /// The number of the attempt to come.
        attempt: u32,
        /// When it is due.
        due: Timestamp,
    },
    /// It sleeps.
    Sleeping {
        /// When it goes on.
        until: Timestamp,
    },
    /// It waits for an event.
    Awaiting {
        /// The values of its filter.
        values: Vec<Value>,
        /// When the wait is given up.
        until: Option<Timestamp>,
        /// When it began.
        since: Timestamp,
    },
    /// It waits for somebody's approval.
    Deciding(Box<Gate>),
    /// It waits for the end of a run that it started.
    AwaitingRun {
        /// The number of the attempt.
        attempt: u32,
        /// The other run.
        run: RunId,
        /// Whether that run is to stop.
        stop: StopAsked,
    },
    /// It has failed for good, or nobody knows whether it acted, and it waits for somebody.
    Stuck(Box<Incident>),
    /// The steps inside it go on.
    Group,
    /// An attempt to undo it is in flight.
    Undoing {
        /// The number of the attempt to undo it.
        attempt: u32,
    },
    /// It pauses before another attempt to undo it.
    UndoPausing {
        /// The number of the attempt to come.
        attempt: u32,
        /// When it is due.
        due: Timestamp,
    },
}

/// Whether a run that a step waits for is to stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StopAsked {
    /// It is not.
    #[default]
    Not,
    /// It is, and was not told yet.
    Wanted,
    /// It was told.
    Told,
}

/// An approval that was asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gate {
    /// Who may decide.
    pub approvers: Vec<String>,
    /// Why it is asked.
    pub reason: Option<String>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// When it is decided by itself.
    pub until: Option<Timestamp>,
    /// When those asked are reminded.
    pub remind_at: Option<Timestamp>,
    /// When others are asked as well.
    pub escalate_at: Option<Timestamp>,
}

impl Gate {
    /// Returns when the next thing about it is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        [self.until, self.remind_at, self.escalate_at].into_iter().flatten().min()
    }
}

/// What a step around others has come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Nest {
    /// What kind of step it is.
    pub kind: NestKind,
    /// What of it was given up.
    pub closings: Vec<Closing>,
}

/// The state of a step around others.
#[derive(Clone, Debug, PartialEq)]
pub enum NestKind {
    /// One way was chosen, or none.
    Branch {
        /// Which case.
        choice: Option<usize>,
    },
    /// It goes through items.
    Loop {
        /// All of them.
        items: Vec<Value>,
        /// The next that has not begun.
        next: usize,
        /// Those that have begun and are not over.
        open: BTreeSet<usize>,
    },
    /// Several lists at once.
    Parallel,
}

/// Some or all of the steps inside a step that were given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Closing {
    /// Which branches; `None` for everything.
    pub lanes: Option<BTreeSet<usize>>,
    /// Whether what had finished there is undone.
    pub undo: bool,
    /// The path of the step that failed.
    pub failed: Option<String>,
}

impl Closing {
    /// Returns whether it holds what stands in `lane`.
    #[must_use]
    pub fn holds(&self, lane: usize) -> bool {
        self.lanes.as_ref().is_none_or(|lanes| lanes.contains(&lane))
    }
}

impl Doing {
    /// Returns whether it is a call whose result is awaited whatever else happens.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        match self {
            Doing::Executing { .. } | Doing::AwaitingRun { .. } | Doing::Undoing { .. } => true,
            Doing::Nothing
            | Doing::Pausing { .. }
            | Doing::Sleeping { .. }
            | Doing::Awaiting { .. }
            | Doing::Deciding(_)
            | Doing::Stuck(_)
            | Doing::Group
            | Doing::UndoPausing { .. } => false,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        !matches!(self, Doing::Nothing | Doing::Group)
    }
}
