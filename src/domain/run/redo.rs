//! What a retry of a run does again: what has not finished or was undone, and what comes after it.

use std::collections::BTreeSet;

use super::doing::{Nest, NestKind};
use super::state::Run;
use super::status::{StepStatus, UndoStatus};
use super::step::StepState;
use crate::domain::workflow::tree::{item_prefix, prefix_of};
use crate::domain::workflow::{Action, Step, Workflow};

/// What a retry does with the steps of a run.
#[derive(Debug, Default)]
pub(super) struct Redo {
    /// The steps that have begun and run again.
    pub(super) again: Vec<String>,
    /// The steps around others that go on where they were.
    pub(super) reopened: Vec<String>,
    /// The first step that runs.
    pub(super) first: Option<String>,
    /// Whether the step that was asked for is among them, and nothing before it is.
    pub(super) reached: bool,
}

struct Planner<'a> {
    run: &'a Run,
    from: Option<&'a str>,
    plan: Redo,
}

impl Redo {
    /// Plans a retry from `from`, or from the first step that has to run; when that is another one,
    /// `from` comes too late.
    pub(super) fn plan(workflow: &Workflow, run: &Run, from: Option<&str>) -> Redo {
        let mut planner = Planner { run, from, plan: Redo::default() };
        planner.list(&workflow.steps, "");
        planner.plan
    }
}

impl Planner<'_> {
    /// Plans a list of steps; returns whether any of them runs again.
    fn list(&mut self, steps: &[Step], prefix: &str) -> bool {
        let mut broken: BTreeSet<&str> = BTreeSet::new();
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            let follows = match step.after.is_empty() {
                true => !broken.is_empty(),
                false => step.after.iter().any(|id| broken.contains(id.as_str())),
            };
            let is_asked_for = self.from == Some(path.as_str());
            if follows || is_asked_for {
                self.plan.reached |= is_asked_for && !follows;
                self.forget(step, prefix);
            } else if self.is_settled(step, &path) && !self.leads_to_from(&path, step) {
                continue;
            } else if let Some(nest) = self.open_nest(step, &path) {
                self.plan.reopened.push(path.clone());
                self.inside(step, &path, &nest);
            } else {
                self.forget(step, prefix);
            }
            // A step around others goes on inside; if nothing there has to, it goes on itself.
            self.plan.first.get_or_insert(path);
            broken.insert(&step.id);
        }
        !broken.is_empty()
    }

    fn inside(&mut self, step: &Step, path: &str, nest: &Nest) {
        match (&step.action, &nest.kind) {
            (Action::Each(each), NestKind::Loop { next, .. }) => {
                let mut broken = false;
                for item in 0..*next {
                    let prefix = item_prefix(path, item);
                    if broken && each.concurrency == 1 {
                        each.steps.iter().for_each(|step| self.forget(step, &prefix));
                    } else {
                        broken |= self.list(&each.steps, &prefix);
                    }
                }
            }
            (Action::Branch(cases), NestKind::Branch { choice: Some(choice) }) => {
                if let Some(case) = cases.get(*choice) {
                    self.list(&case.steps, prefix_of(path));
                }
            }
            (Action::Parallel { branches, .. }, NestKind::Parallel) => {
                for steps in branches {
                    self.list(steps, prefix_of(path));
                }
            }
            _ => {} // Nothing inside has begun.
        }
    }

    /// Returns what a step around others had come to, if it can go on from there.
    fn open_nest(&self, step: &Step, path: &str) -> Option<Nest> {
        let nest = self.run.step(path)?.nest.as_ref()?;
        let fits = match (&step.action, &nest.kind) {
            (Action::Branch(cases), NestKind::Branch { choice: Some(choice) }) => {
                *choice < cases.len()
            }
            (Action::Each(_), NestKind::Loop { .. })
            | (Action::Parallel { .. }, NestKind::Parallel) => true,
            _ => false, // Another version has another kind of step of that name.
        };
        fits.then(|| nest.clone())
    }

    /// Returns whether a step is over, and so is all that stands inside it.
    fn is_settled(&self, step: &Step, path: &str) -> bool {
        let Some(state) = self.run.step(path).filter(|state| state.is_settled()) else {
            return false;
        };
        if state.status != StepStatus::Succeeded {
            return true; // It was skipped, or given up with all that was inside.
        }
        let Some(nest) = &state.nest else { return !step.is_group() };
        let all = |steps: &[Step], prefix: &str| {
            steps.iter().all(|step| self.is_settled(step, &format!("{prefix}{}", step.id)))
        };
        match (&step.action, &nest.kind) {
            (Action::Branch(cases), NestKind::Branch { choice }) => match choice {
                Some(choice) => {
                    cases.get(*choice).is_some_and(|case| all(&case.steps, prefix_of(path)))
                }
                None => true,
            },
            (Action::Each(each), NestKind::Loop { items, .. }) => {
                (0..items.len()).all(|item| all(&each.steps, &item_prefix(path, item)))
            }
            (Action::Parallel { branches, .. }, NestKind::Parallel) => {
                branches.iter().enumerate().all(|(lane, steps)| {
                    nest.closings.iter().any(|c| c.holds(lane)) || all(steps, prefix_of(path))
                })
            }
            _ => false, // Another version has another kind of step of that name.
        }
    }

    fn leads_to_from(&self, path: &str, step: &Step) -> bool {
        let Some(from) = self.from else { return false };
        let Some(rest) = from.strip_prefix(prefix_of(path)) else { return false };
        match &step.action {
            Action::Each(_) => rest.strip_prefix(&*step.id).is_some_and(|it| it.starts_with('[')),
            _ => step.lists().into_iter().flatten().any(|inner| {
                rest == inner.id
                    || self.leads_to_from(&format!("{}{}", prefix_of(path), inner.id), inner)
            }),
        }
    }

    /// Lets a step run again with all that is inside it.
    fn forget(&mut self, step: &Step, prefix: &str) {
        let path = format!("{prefix}{}", step.id);
        let Some(state) = self.run.step(&path) else { return };
        if was_touched(state) {
            self.plan.again.push(path.clone());
        }
        for list in step.fixed_lists() {
            list.iter().for_each(|step| self.forget(step, prefix));
        }
        if let Action::Each(_) = &step.action {
            // Those of an earlier life too, which may have gone through more items.
            let items = format!("{path}[");
            let inside = self.run.steps.iter().filter(|state| state.id.starts_with(&items));
            let touched = inside.filter(|state| was_touched(state));
            self.plan.again.extend(touched.map(|state| state.id.clone()));
        }
    }
}

fn was_touched(state: &StepState) -> bool {
    state.status != StepStatus::Pending || state.compensation.status != UndoStatus::None
}
