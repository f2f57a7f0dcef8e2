//! Steps around others: which of the steps inside is next, and when the whole is over.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::closing::Progress;
use super::decide::Deciding;
use super::doing::{Doing, Nest, NestKind};
use super::entry::{Entry, Failure};
use super::state::{Phase, Run};
use super::status::StepStatus;
use super::step::StepState;
use crate::domain::workflow::tree::{item_prefix, prefix_of};
use crate::domain::workflow::{
    Action, Case, Each, ITEMS_MAX, Join, OnFailure, RUN_STEPS_MAX, Step,
};

/// One thing for the run to do next.
#[derive(Clone, Debug)]
pub(super) enum Move {
    /// Begin the step at this path.
    Begin(String),
    /// Go on to this item of the loop at this path.
    NextItem(String, usize),
    /// This item of the loop at this path is over.
    EndItem(String, usize),
    /// The step around others at this path is over.
    End(String),
    /// Give up these branches of the parallel step at this path; what they finished is undone.
    Close(String, Vec<usize>),
    /// Too few branches of the parallel step at this path can still finish.
    Fail(String),
    /// All that was inside the step at this path is given up.
    GiveUp(String),
    /// Undo the step at this position, whose branch was given up.
    Undo(usize),
    /// Every step is over.
    Succeed,
}

/// How a list of steps stands.
enum Walk {
    Next(Move),
    Waits,
    Over,
}

impl Deciding<'_> {
    pub(super) fn next_move(&self) -> Option<Move> {
        let steps = match self.run.phase {
            Phase::Handling => &self.workflow.on_failure,
            Phase::Queued | Phase::Going | Phase::Unwinding | Phase::Finished => {
                &self.workflow.steps
            }
        };
        match self.walk_list(steps, "") {
            Walk::Next(next) => Some(next),
            Walk::Waits => None,
            Walk::Over => Some(Move::Succeed),
        }
    }

    pub(super) fn make(&mut self, next: Move) {
        match next {
            Move::Begin(path) => self.begin(&path),
            Move::NextItem(step, item) => self.note(Entry::ItemStarted { step, item }),
            Move::EndItem(step, item) => self.note(Entry::ItemEnded { step, item }),
            Move::End(step) => {
                let output = self.output_of(&step);
                self.note(Entry::GroupEnded { step, output });
            }
            Move::Close(step, lanes) => {
                let undo = self.nest(&step).is_none_or(|nest| nest.closings.iter().all(|c| c.undo));
                self.close(&step, Some(lanes), undo, None);
            }
            Move::Fail(path) => self.join_failed(path),
            Move::GiveUp(path) => self.give_up(path),
            Move::Undo(index) => self.begin_undo(index),
            Move::Succeed => self.succeed(),
        }
    }

    fn walk_list(&self, steps: &[Step], prefix: &str) -> Walk {
        let is_past =
            |id: &str| self.run.step(&format!("{prefix}{id}")).is_some_and(StepState::is_past);
        let names_others = steps.iter().any(|step| !step.after.is_empty());
        let mut all_past = true;
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            let state = self.run.step(&path);
            if state.is_some_and(StepState::is_past) {
                continue;
            }
            let is_ready = match step.after.is_empty() {
                true => all_past,
                false => step.after.iter().all(|id| is_past(id)),
            };
            let walk = match state {
                None => Walk::Next(Move::Begin(path)),
                Some(state) if state.status == StepStatus::Pending => Walk::Next(Move::Begin(path)),
                Some(StepState { doing: Doing::Group, nest: Some(nest), .. }) => {
                    self.walk_group(step, path, nest)
                }
                Some(_) => Walk::Waits,
            };
            if let (true, Walk::Next(next)) = (is_ready, walk) {
                return Walk::Next(next);
            }
            if !names_others {
                return Walk::Waits;
            }
            all_past = false;
        }
        if all_past { Walk::Over } else { Walk::Waits }
    }

    fn walk_group(&self, step: &Step, path: String, nest: &Nest) -> Walk {
        if let Some(closing) = nest.closings.iter().find(|closing| closing.lanes.is_none()) {
            return match self.progress_of(&path, closing) {
                Progress::Undo(index) => Walk::Next(Move::Undo(index)),
                Progress::Waits => Walk::Waits,
                Progress::Over => Walk::Next(Move::GiveUp(path)),
            };
        }
        let prefix = prefix_of(&path);
        match (&step.action, &nest.kind) {
            (Action::Branch(cases), NestKind::Branch { choice }) => {
                match choice.and_then(|choice| cases.get(choice)) {
                    Some(case) => match self.walk_list(&case.steps, prefix) {
                        Walk::Over => Walk::Next(Move::End(path)),
                        other => other,
                    },
                    None => Walk::Next(Move::End(path)),
                }
            }
            (Action::Each(each), NestKind::Loop { items, next, open }) => {
                self.walk_loop(each, path, (items.len(), *next, open))
            }
            (Action::Parallel { join, branches }, NestKind::Parallel) => {
                self.walk_parallel(*join, branches, path, nest)
            }
            _ => Walk::Waits, // A retry begins such a step anew, so that it never goes on here.
        }
    }

    fn walk_loop(
        &self,
        each: &Each,
        path: String,
        (count, next, open): (usize, usize, &BTreeSet<usize>),
    ) -> Walk {
        let at_once = each.concurrency as usize;
        let mut busy = 0;
        for item in open {
            match self.walk_list(&each.steps, &item_prefix(&path, *item)) {
                Walk::Over => return Walk::Next(Move::EndItem(path, *item)),
                Walk::Next(next) => return Walk::Next(next),
                Walk::Waits => busy += 1,
            }
            // A retry may reopen more items than are worked on at once.
            if busy == at_once {
                return Walk::Waits;
            }
        }
        match (next < count, open.is_empty()) {
            (true, _) => Walk::Next(Move::NextItem(path, next)),
            (false, true) => Walk::Next(Move::End(path)),
            (false, false) => Walk::Waits,
        }
    }

    fn walk_parallel(&self, join: Join, branches: &[Vec<Step>], path: String, nest: &Nest) -> Walk {
        let wanted = join.wanted(branches.len());
        let mut closing_waits = false;
        for closing in &nest.closings {
            match self.progress_of(&path, closing) {
                Progress::Undo(index) => return Walk::Next(Move::Undo(index)),
                Progress::Waits => closing_waits = true,
                Progress::Over => {}
            }
        }
        let (mut over, mut open, mut next) = (0, Vec::new(), None);
        for (lane, steps) in branches.iter().enumerate() {
            if nest.closings.iter().any(|closing| closing.holds(lane)) {
                continue;
            }
            match self.walk_list(steps, prefix_of(&path)) {
                Walk::Over => over += 1,
                Walk::Waits => open.push(lane),
                Walk::Next(found) => {
                    open.push(lane);
                    next.get_or_insert(found);
                }
            }
        }
        let is_decided = over >= wanted || over + open.len() < wanted;
        match next {
            Some(next) if !is_decided => Walk::Next(next),
            _ if is_decided && !open.is_empty() => Walk::Next(Move::Close(path, open)),
            _ if !is_decided || closing_waits => Walk::Waits,
            _ if over >= wanted => Walk::Next(Move::End(path)),
            _ => Walk::Next(Move::Fail(path)),
        }
    }

    pub(super) fn choose_case(&mut self, path: &str, cases: &[Case]) {
        let mut traces = Vec::new();
        let mut choice = None;
        for (index, case) in cases.iter().enumerate() {
            let fault = case.condition.as_ref().and_then(|filter| self.fault_of(path, filter));
            match fault {
                Some(trace) => traces.push(trace),
                None => {
                    choice = Some(index);
                    break;
                }
            }
        }
        self.note(Entry::BranchChosen { step: path.to_owned(), choice });
        for (index, case) in cases.iter().enumerate().filter(|(index, _)| Some(*index) != choice) {
            let trace = traces.get(index).cloned().unwrap_or_default();
            for step in &case.steps {
                self.skip(step, prefix_of(path), trace.clone());
            }
        }
    }

    pub(super) fn start_loop(&mut self, path: &str, each: &Each) {
        let items = match self.render_forward(path, &each.items) {
            Ok(Value::Array(items)) => items,
            Ok(_) => {
                let message = "what `items` renders to is no list";
                return self.refuse(path, Failure::terminal("not_a_list", message));
            }
            Err(failure) => return self.refuse(path, failure),
        };
        if items.len() > ITEMS_MAX {
            let message = format!("{} items are too many, the limit is {ITEMS_MAX}", items.len());
            return self.refuse(path, Failure::terminal("too_many_items", message));
        }
        if self.run.steps.len() + items.len() * each.steps.len() > RUN_STEPS_MAX {
            let message = format!("the run would have more than {RUN_STEPS_MAX} steps");
            return self.refuse(path, Failure::terminal("too_many_steps", message));
        }
        self.note(Entry::LoopStarted { step: path.to_owned(), items });
    }

    /// Returns what a step around others answers: the output of the last step of each list.
    fn output_of(&self, path: &str) -> Value {
        let Some((step, nest)) = self.workflow.step_at(path).zip(self.nest(path)) else {
            return json!({});
        };
        let last = |steps: &[Step], prefix: &str| {
            let last = steps.last().map(|step| self.run.output(&format!("{prefix}{}", step.id)));
            last.cloned().unwrap_or_default()
        };
        let prefix = prefix_of(path);
        match (&step.action, &nest.kind) {
            (Action::Branch(cases), NestKind::Branch { choice: Some(choice) }) => {
                cases.get(*choice).map_or(json!({}), |case| last(&case.steps, prefix))
            }
            (Action::Each(each), NestKind::Loop { items, .. }) => {
                (0..items.len()).map(|item| last(&each.steps, &item_prefix(path, item))).collect()
            }
            (Action::Parallel { branches, .. }, NestKind::Parallel) => branches
                .iter()
                .enumerate()
                .map(|(lane, steps)| {
                    let is_closed = nest.closings.iter().any(|closing| closing.holds(lane));
                    if is_closed { Value::Null } else { last(steps, prefix) }
                })
                .collect(),
            _ => json!({}), // No case was chosen.
        }
    }

    fn join_failed(&mut self, path: String) {
        let Some(step) = self.workflow.step_at(&path) else { return };
        if step.on_failure == OnFailure::Continue {
            let failed = self.first_failed(&path);
            return self.close(&path, None, true, failed);
        }
        let failure = self.why_given_up(&path);
        let attempt = self.next_attempt(&path);
        self.note(Entry::StepFailed { step: path.clone(), attempt, failure });
        self.settle_failure(path, None);
    }

    fn give_up(&mut self, step: String) {
        let failure = self.why_given_up(&step);
        let attempt = self.next_attempt(&step);
        self.note(Entry::StepFailed { step: step.clone(), attempt, failure });
        self.note(Entry::StepContinued { step });
    }

    fn first_failed(&self, path: &str) -> Option<String> {
        self.nest(path)?.closings.iter().find_map(|closing| closing.failed.clone())
    }

    /// Repeats the failure of the step inside that is to blame.
    fn why_given_up(&self, path: &str) -> Failure {
        let failed = self.first_failed(path);
        let failure = failed.as_ref().and_then(|failed| self.run.step(failed)?.failure());
        match (failed.as_ref(), failure) {
            (Some(failed), Some(failure)) => {
                Failure::terminal(&failure.code, format!("{failed}: {}", failure.message))
            }
            _ => Failure::terminal("failed", "too few branches could finish"),
        }
    }

    pub(super) fn nest(&self, path: &str) -> Option<&Nest> {
        self.run.step(path)?.nest.as_ref()
    }
}

impl Run {
    /// Returns an item of the loop at `path`.
    #[must_use]
    pub fn item(&self, path: &str, item: usize) -> Option<&Value> {
        match &self.step(path)?.nest.as_ref()?.kind {
            NestKind::Loop { items, .. } => items.get(item),
            NestKind::Branch { .. } | NestKind::Parallel => None,
        }
    }
}
