//! Giving up a part of a run while the rest goes on: waits end, what is in flight is awaited, and
//! what had finished there is undone.

use super::decide::Deciding;
use super::doing::{Closing, Doing};
use super::entry::Entry;
use crate::domain::workflow::tree::Around;
use crate::domain::workflow::{Action, OnFailure};

/// How far the giving up of a part has come.
pub(super) enum Progress {
    /// Something is in flight, or pauses before another attempt to undo it.
    Waits,
    /// The step at this position is next to be undone.
    Undo(usize),
    /// Nothing is left to do.
    Over,
}

impl Deciding<'_> {
    pub(super) fn progress_of(&self, path: &str, closing: &Closing) -> Progress {
        if self.run.busy.iter().any(|index| self.is_inside(*index, path, closing)) {
            return Progress::Waits;
        }
        let mut standing = self.run.standing.iter().rev().filter(|_| closing.undo);
        let owed = standing
            .find(|index| self.is_inside(**index, path, closing) && self.owes_undo(**index));
        owed.map_or(Progress::Over, |index| Progress::Undo(*index))
    }

    fn is_inside(&self, index: usize, group: &str, closing: &Closing) -> bool {
        self.around(&self.run.steps[index].id)
            .iter()
            .any(|around| around.path == group && closing.holds(around.lane))
    }

    pub(super) fn around(&self, path: &str) -> Vec<Around<'_>> {
        self.workflow.around(path).unwrap_or_default()
    }

    /// Returns whether the step at `path` stands in a part that was given up.
    pub(super) fn is_given_up(&self, path: &str) -> bool {
        self.around(path).iter().any(|around| {
            let nest = self.nest(&around.path);
            nest.is_some_and(|nest| nest.closings.iter().any(|c| c.holds(around.lane)))
        })
    }

    /// Lets a failure out of the steps around it, up to the first that can do without.
    pub(super) fn pass_on_failure(&mut self, path: String, policy: OnFailure) {
        let undo = policy != OnFailure::Abort;
        let taker = self.around(&path).into_iter().rev().find_map(|around| {
            if let Action::Parallel { join, branches } = &around.step.action
                && join.wanted(branches.len()) < branches.len()
            {
                return Some((around.path, Some(vec![around.lane])));
            }
            let goes_on = around.step.on_failure == OnFailure::Continue;
            goes_on.then_some((around.path, None))
        });
        match taker {
            Some((group, lanes)) => self.close(&group, lanes, undo, Some(path)),
            None => self.end_after_failure(path),
        }
    }

    pub(super) fn close(
        &mut self,
        group: &str,
        lanes: Option<Vec<usize>>,
        undo: bool,
        failed: Option<String>,
    ) {
        let closing = Closing {
            lanes: lanes.as_ref().map(|lanes| lanes.iter().copied().collect()),
            undo,
            failed: failed.clone(),
        };
        let halted = self.run.steps.iter().enumerate().filter(|(index, state)| {
            let may_halt = match state.doing {
                Doing::Nothing | Doing::Executing { .. } | Doing::Undoing { .. } => false,
                Doing::Pausing { .. }
                | Doing::Sleeping { .. }
                | Doing::Awaiting { .. }
                | Doing::Deciding(_)
                | Doing::Stuck(_)
                | Doing::AwaitingRun { .. }
                | Doing::Group
                | Doing::UndoPausing { .. } => true,
            };
            may_halt && self.is_inside(*index, group, &closing)
        });
        let halted = halted.map(|(_, state)| state.id.clone()).collect();
        self.note(Entry::GroupClosing { step: group.to_owned(), lanes, halted, undo, failed });
    }
}
