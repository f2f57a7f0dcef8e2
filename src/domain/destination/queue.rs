//! Calls that wait for a moment: the most urgent workflows first, and among equals each workflow in
//! turn, its oldest run first.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::domain::id::RunId;
use crate::domain::workflow::Priority;

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// How urgent its workflow is.
    pub priority: Priority,
    /// Its workflow.
    pub workflow: Arc<str>,
    /// Its run.
    pub run: RunId,
    /// Tells calls of one run apart, in the order in which they came.
    pub ticket: u64,
}

#[derive(Clone, Debug, Default)]
struct Turns {
    /// Workflows with somebody who waits, the next one in front.
    order: VecDeque<Arc<str>>,
    waiting: HashMap<Arc<str>, BTreeSet<(RunId, u64)>>,
}

/// A queue that nobody can crowd out.
#[derive(Clone, Debug, Default)]
pub struct FairQueue {
    by_priority: BTreeMap<Priority, Turns>,
    len: usize,
}

impl FairQueue {
    /// Lets a call wait.
    pub fn push(&mut self, place: &Place) {
        let turns = self.by_priority.entry(place.priority).or_default();
        let waiting = turns.waiting.entry(Arc::clone(&place.workflow)).or_default();
        if waiting.is_empty() {
            turns.order.push_back(Arc::clone(&place.workflow));
        }
        if waiting.insert((place.run, place.ticket)) {
            self.len += 1;
        }
    }

    /// Returns whose turn it is, who then waits no more.
    pub fn pop(&mut self) -> Option<Place> {
        let (priority, turns) = self.by_priority.iter_mut().next()?;
        let priority = *priority;
        let workflow = turns.order.pop_front()?;
        let waiting = turns.waiting.get_mut(&workflow)?;
        let (run, ticket) = waiting.pop_first()?;
        if waiting.is_empty() {
            turns.waiting.remove(&workflow);
        } else {
            turns.order.push_back(Arc::clone(&workflow));
        }
        self.len -= 1;
        self.tidy(priority);
        Some(Place { priority, workflow, run, ticket })
    }

    /// Lets a call wait no more; returns whether it did.
    pub fn remove(&mut self, place: &Place) -> bool {
        let Some(turns) = self.by_priority.get_mut(&place.priority) else { return false };
        let Some(waiting) = turns.waiting.get_mut(&place.workflow) else { return false };
        let was_there = waiting.remove(&(place.run, place.ticket));
        if waiting.is_empty() {
            turns.waiting.remove(&place.workflow);
            turns.order.retain(|workflow| *workflow != place.workflow);
        }
        self.len -= usize::from(was_there);
        self.tidy(place.priority);
        was_there
    }

    /// Returns how many would have their turn before a call that came now, roughly.
    #[must_use]
    pub fn ahead_of(&self, place: &Place) -> usize {
        let urgent = self.by_priority.range(..place.priority);
        let before: usize =
            urgent.flat_map(|(_, turns)| turns.waiting.values()).map(BTreeSet::len).sum();
        let Some(turns) = self.by_priority.get(&place.priority) else { return before };
        let own = turns.waiting.get(&place.workflow);
        let older = own.map_or(0, |own| own.range(..(place.run, place.ticket)).count());
        let others = turns.waiting.iter().filter(|(name, _)| **name != place.workflow);
        before + older + others.map(|(_, waiting)| waiting.len().min(older + 1)).sum::<usize>()
    }

    /// Returns how urgent the next one is.
    #[must_use]
    pub fn first_priority(&self) -> Option<Priority> {
        self.by_priority.keys().next().copied()
    }

    /// Returns how many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn tidy(&mut self, priority: Priority) {
        if self.by_priority.get(&priority).is_some_and(|turns| turns.waiting.is_empty()) {
            self.by_priority.remove(&priority);
        }
    }
}
