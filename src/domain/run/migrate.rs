//! Moving a run that goes on to another version, where all that it has begun is the same there.

use std::collections::BTreeSet;

use super::decide::Deciding;
use super::doing::NestKind;
use super::entry::Entry;
use super::state::{Phase, Run};
use super::status::StepStatus;
use super::step::StepState;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::workflow::tree::prefix_of;
use crate::domain::workflow::{Action, Step, Workflow};

/// Returns why the run cannot go on under the version `to` of its workflow; empty when it can.
/// What has begun, finished or is in flight must be the same in both versions, and nothing new may
/// stand before it. Pointers are into the definition of `to`, or into that of `from` for what is
/// gone. A title may differ.
#[must_use]
pub fn migration_refusals(from: &Workflow, to: &Workflow, run: &Run) -> Vec<Problem> {
    if run.phase == Phase::Finished {
        let detail = format!("the run has ended: it is {}", run.status().as_str());
        let problem = Problem::new("", "run_ended", detail);
        return vec![problem.with_hint("retry or restart it with the version instead")];
    }
    if run.is_stopping() || matches!(run.phase, Phase::Unwinding | Phase::Handling) {
        let detail = "the run is to end, and what it has done is settled by its own version";
        return vec![Problem::new("", "run_is_stopping", detail)];
    }
    let has_past = || run.steps.iter().any(|state| *state != StepState::new(&state.id));
    if run.phase == Phase::Queued && (has_past() || !run.former.is_empty()) {
        let detail = "the run was retried and has not gone on yet";
        let problem = Problem::new("", "run_is_queued", detail);
        return vec![problem.with_hint("name the version with the retry, or move it once it runs")];
    }
    let mut held = BTreeSet::new();
    for index in &run.standing {
        let path = &run.steps[*index].id;
        held.extend(from.around(path).into_iter().flatten().map(|around| around.path));
        held.insert(path.clone());
    }
    let mut comparison = Comparison { run, held, problems: Vec::new() };
    comparison.list((&from.steps, &to.steps), "", "/steps");
    comparison.problems
}

struct Comparison<'a> {
    run: &'a Run,
    /// The steps whose effects stand, and those around them.
    held: BTreeSet<String>,
    problems: Vec<Problem>,
}

impl Comparison<'_> {
    /// Compares two lists as far as the run has come in them.
    fn list(&mut self, (old, new): (&[Step], &[Step]), prefix: &str, at: &str) {
        let has_begun = |step: &Step| self.has_begun(&format!("{prefix}{}", step.id));
        let begun: BTreeSet<&str> =
            old.iter().filter(|step| has_begun(step)).map(|step| step.id.as_str()).collect();
        let is_begun = |step: &Step| begun.contains(step.id.as_str());
        let Some(last) = old.iter().rposition(is_begun) else { return };
        for (index, before) in old.iter().enumerate().filter(|(_, step)| is_begun(step)) {
            match new.iter().position(|step| step.id == before.id) {
                Some(place) => {
                    let at = pointer_to(at, &place.to_string());
                    self.step((before, &new[place]), prefix, &at);
                }
                None => {
                    let at = pointer_to(at, &index.to_string());
                    let detail = format!("the run has begun `{}`, which is not there", before.id);
                    self.differs(at, "step_removed", detail);
                }
            }
        }
        let upto = new.iter().rposition(is_begun).map_or(0, |place| place + 1);
        if ids(&old[..=last]) == ids(&new[..upto]) {
            return;
        }
        let is_known = |step: &Step| old[..=last].iter().any(|before| before.id == step.id);
        let added = new[..upto].iter().enumerate().filter(|(_, step)| !is_known(step));
        let added: Vec<(usize, String)> = added.map(|(at, step)| (at, step.id.clone())).collect();
        for (index, id) in &added {
            let detail = format!("`{id}` stands before steps that the run has begun");
            self.differs(pointer_to(at, &index.to_string()), "step_before_begun", detail);
        }
        if added.is_empty() {
            let detail = "the steps that the run has begun stand in another order".to_owned();
            self.differs(at.to_owned(), "step_order", detail);
        }
    }

    fn step(&mut self, (before, after): (&Step, &Step), prefix: &str, at: &str) {
        let path = format!("{prefix}{}", before.id);
        for (field, is_same) in [
            ("if", before.condition == after.condition),
            ("approval", before.approval == after.approval),
            ("dependencies", before.after == after.after),
            ("retry", before.retry == after.retry),
            ("timeout", before.timeout == after.timeout),
            ("onFailure", before.on_failure == after.on_failure),
            ("inDoubt", before.in_doubt == after.in_doubt),
            ("compensate", before.compensate == after.compensate),
        ] {
            if !is_same {
                self.changed(&path, at, field);
            }
        }
        if before.action == after.action {
            return;
        }
        let state = self.run.step(&path);
        let is_open = state.is_some_and(|state| !state.is_past());
        let nest = state.and_then(|state| state.nest.as_ref()).filter(|_| is_open);
        match (nest.map(|nest| &nest.kind), &before.action, &after.action) {
            (
                Some(NestKind::Branch { choice: Some(choice) }),
                Action::Branch(old),
                Action::Branch(new),
            ) => {
                let conditions = |cases: &[crate::domain::workflow::Case]| {
                    let upto = cases.get(..=*choice)?;
                    Some(upto.iter().map(|case| case.condition.clone()).collect::<Vec<_>>())
                };
                match conditions(old).is_some() && conditions(old) == conditions(new) {
                    true => {
                        let at = format!("{at}/branch/{choice}/steps");
                        let lists = (&*old[*choice].steps, &*new[*choice].steps);
                        self.list(lists, prefix_of(&path), &at);
                    }
                    false => self.changed(&path, at, "branch"),
                }
            }
            (
                Some(NestKind::Parallel),
                Action::Parallel { join: old_join, branches: old },
                Action::Parallel { join: new_join, branches: new },
            ) if old_join == new_join && old.len() == new.len() => {
                for (lane, lists) in old.iter().zip(new).enumerate() {
                    let at = format!("{at}/parallel/branches/{lane}");
                    self.list((lists.0, lists.1), prefix_of(&path), &at);
                }
            }
            // The items of a loop share one body, and what is over stays as it was.
            _ => self.changed(&path, at, field_of(&before.action, &after.action)),
        }
    }

    /// Returns whether the run has come to the step, or its effects may still be undone.
    fn has_begun(&self, path: &str) -> bool {
        let state = self.run.step(path);
        let is_begun =
            |state: &StepState| state.status != StepStatus::Pending || state.decided.is_some();
        state.is_some_and(is_begun) || self.held.contains(path)
    }

    fn changed(&mut self, path: &str, at: &str, field: &str) {
        let detail = format!("the run has begun `{path}`, whose `{field}` is another");
        self.differs(pointer_to(at, field), "step_changed", detail);
    }

    fn differs(&mut self, at: String, code: &str, detail: String) {
        self.problems.push(Problem::new(at, code, detail));
    }
}

fn ids(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|step| step.id.as_str()).collect()
}

/// Names the field in which two actions differ.
fn field_of(before: &Action, after: &Action) -> &'static str {
    match (before, after) {
        (
            Action::Call { activity: old, version: old_version, .. },
            Action::Call { activity: new, version: new_version, .. },
        ) if old == new && old_version == new_version => "input",
        (Action::Call { .. }, _) => "activity",
        (Action::Sleep { .. }, _) => "sleep",
        (Action::Wait(_), _) => "waitFor",
        (Action::Branch(_), _) => "branch",
        (Action::Each(_), _) => "forEach",
        (Action::Parallel { .. }, _) => "parallel",
        (Action::Run { .. }, _) => "run",
    }
}

impl Deciding<'_> {
    /// Goes on under the version that was given to `decide`, which `migration_refusals` was asked
    /// about: from here the old version is no longer known.
    pub(super) fn migrate(&mut self, by: String, version: u32) {
        let goes_on = self.run.phase != Phase::Finished && !self.run.is_stopping();
        if goes_on && version != self.run.version {
            self.note(Entry::Migrated { by, version });
        }
    }
}

impl Run {
    /// Takes over the steps of another version while some of them are doing something.
    pub(super) fn migrated(&mut self, workflow: &Workflow, version: u32) {
        let current = self.current.map(|index| self.steps[index].id.clone());
        self.follow(workflow, version);
        self.current = current.and_then(|id| self.step_index(&id));
        let busy = self.steps.iter().enumerate().filter(|(_, state)| state.doing.is_busy());
        self.busy = busy.map(|(index, _)| index).collect();
    }
}
