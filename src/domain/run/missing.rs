//! What a retry would do, and what its steps would miss, told before anything happens.

use std::collections::BTreeSet;

use serde_json::Value;

use super::redo::Redo;
use super::state::{Origin, Run, TenantFacts};
use super::status::UndoStatus;
use super::step::StepState;
use crate::domain::expression::{Reference, Template};
use crate::domain::filter::Filter;
use crate::domain::id::{RunId, TenantId};
use crate::domain::path::Path;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::workflow::tree::fixed_paths;
use crate::domain::workflow::{Action, Join, OnFailure, Step, Workflow};

/// What a retry does with the steps of a run, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPlan {
    /// The step that it goes on from.
    pub from: Option<String>,
    /// Steps that are over and stay so.
    pub kept: Vec<String>,
    /// Steps that had begun and run again.
    pub again: Vec<String>,
    /// Steps around others that go on where they were.
    pub reopened: Vec<String>,
    /// Steps that run for the first time, unless a condition or a branch passes them by.
    pub fresh: Vec<String>,
    /// Steps that the version does not have.
    pub removed: Vec<String>,
    /// Steps whose effects were undone before.
    pub undone: Vec<String>,
    /// What the steps that run read and would not find.
    pub missing: Vec<Missing>,
}

/// A reference that would not resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The id of the step that reads it.
    pub step: String,
    /// What it reads.
    pub path: String,
    /// Whether the step surely runs.
    pub sureness: Sureness,
    /// Where in the definition, and why it is not there.
    pub problem: Problem,
}

/// Whether a step that is ahead surely runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sureness {
    /// It does, and its failure would fail the run.
    Surely,
    /// A condition, a branch or a loop may pass it by, or the run goes on without it.
    Perhaps,
}

impl RetryPlan {
    /// Returns what surely would be missing.
    pub fn surely_missing(&self) -> impl Iterator<Item = &Missing> {
        self.missing.iter().filter(|missing| missing.sureness == Sureness::Surely)
    }
}

/// Returns what a retry from the step `from` would do; `workflow` is the version to go on with,
/// and `retry_refusal` has found nothing. `input` replaces the input of the step it goes on from.
#[must_use]
pub fn plan_retry(
    workflow: &Workflow,
    run: &Run,
    from: Option<&str>,
    input: Option<&Value>,
) -> RetryPlan {
    let redo = Redo::plan(workflow, run, from);
    let from = from.map(str::to_owned).or(redo.first);
    let is_there = |path: &str| workflow.around(path).is_some();
    let runs_again: BTreeSet<&str> =
        redo.again.iter().chain(&redo.reopened).map(String::as_str).collect();
    let stays = |state: &StepState| {
        state.is_settled() && !runs_again.contains(state.id.as_str()) && is_there(&state.id)
    };
    let kept: Vec<String> =
        run.steps.iter().filter(|state| stays(state)).map(|state| state.id.clone()).collect();
    let mut fixed = Vec::new();
    fixed_paths(&workflow.steps, "", &mut fixed);
    let is_inside_kept = |path: &str| {
        let around = workflow.around(path).unwrap_or_default();
        around.iter().any(|around| kept.contains(&around.path))
    };
    fixed.retain(|path| {
        !kept.contains(path) && !runs_again.contains(path.as_str()) && !is_inside_kept(path)
    });
    let known = run.steps.iter().filter(|state| *state != &StepState::new(&state.id));
    let removed = known.filter(|state| !is_there(&state.id)).map(|state| state.id.clone());
    let undone = run.steps.iter().filter(|state| state.compensation.status == UndoStatus::Done);
    let given = from.as_deref().filter(|_| input.is_some());
    RetryPlan {
        missing: missing_references(workflow, run, &kept, given),
        removed: removed.collect(),
        undone: undone.map(|state| state.id.clone()).collect(),
        again: redo.again.into_iter().filter(|path| is_there(path)).collect(),
        reopened: redo.reopened,
        fresh: fixed,
        kept,
        from,
    }
}

/// Returns the references of the steps ahead that neither the event nor the outputs of the steps
/// `kept` resolve; the step `given` has its input already.
#[must_use]
pub fn missing_references(
    workflow: &Workflow,
    run: &Run,
    kept: &[String],
    given: Option<&str>,
) -> Vec<Missing> {
    let kept = kept.iter().map(String::as_str).collect();
    let mut looped = BTreeSet::new();
    note_looped(&workflow.steps, Place::Once, &mut looped);
    let mut search = Search { workflow, run, kept, looped, given, found: Vec::new() };
    search.list(&workflow.steps, Sureness::Surely);
    search.found
}

/// Returns the references of the steps that surely run which the event `trigger` does not resolve.
#[must_use]
pub fn missing_at_start(workflow: &Workflow, trigger: Value) -> Vec<Missing> {
    let nobody = TenantFacts { id: TenantId(0), slug: String::new(), name: String::new() };
    let id = RunId::new(0, Timestamp::default(), 0);
    let vars = Value::Object(serde_json::Map::new());
    let run = Run::new(workflow, Origin { id, version: 0, tenant: nobody, trigger, vars });
    let mut found = missing_references(workflow, &run, &[], None);
    found.retain(|missing| missing.sureness == Sureness::Surely);
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Once,
    InLoop,
}

/// Notes the ids of steps inside loops, whose outputs only their own item sees.
fn note_looped<'a>(steps: &'a [Step], place: Place, looped: &mut BTreeSet<&'a str>) {
    for step in steps {
        if place == Place::InLoop {
            looped.insert(&step.id);
        }
        let inner = if matches!(step.action, Action::Each(_)) { Place::InLoop } else { place };
        for list in step.lists() {
            note_looped(list, inner, looped);
        }
    }
}

struct Search<'a> {
    workflow: &'a Workflow,
    run: &'a Run,
    kept: BTreeSet<&'a str>,
    looped: BTreeSet<&'a str>,
    given: Option<&'a str>,
    found: Vec<Missing>,
}

impl Search<'_> {
    fn list(&mut self, steps: &[Step], around: Sureness) {
        for step in steps {
            // The paths of steps inside loops are never those of the kept ones.
            if self.kept.contains(step.id.as_str()) {
                continue;
            }
            let mut sureness = around;
            match step.condition.as_ref().map(|condition| self.known(condition)) {
                Some(Some(false)) => continue,
                Some(None) => sureness = Sureness::Perhaps,
                Some(Some(true)) | None => {}
            }
            if step.on_failure == OnFailure::Continue {
                sureness = Sureness::Perhaps;
            }
            if self.given != Some(step.id.as_str()) {
                self.step(step, sureness);
            }
            let inner = match &step.action {
                Action::Parallel { join: Join::All, .. } => sureness,
                _ => Sureness::Perhaps, // Nobody knows which way is taken, or how often.
            };
            for list in step.lists() {
                self.list(list, inner);
            }
        }
    }

    /// Returns whether a condition holds, where the event and what is kept decide it.
    fn known(&self, condition: &Filter) -> Option<bool> {
        let is_fixed = |path: &Path| match path.root() {
            Some("trigger") => true,
            Some("steps") => path.segments().nth(1).is_some_and(|id| self.kept.contains(id)),
            _ => false, // It changes while the run goes on.
        };
        condition.references().iter().all(is_fixed).then(|| condition.matches(&self.run.scope))
    }

    fn step(&mut self, step: &Step, sureness: Sureness) {
        let mut templates: Vec<Template> = match &step.action {
            Action::Call { input, .. } | Action::Run { input, .. } => vec![input.clone()],
            Action::Sleep { duration } => vec![duration.clone()],
            Action::Wait(wait) => wait.filter.value_templates(),
            Action::Each(each) => vec![each.items.clone()],
            Action::Branch(_) | Action::Parallel { .. } => Vec::new(),
        };
        if let Some(approval) = &step.approval {
            templates.push(approval.approvers.clone());
            templates.extend(approval.reason.clone());
        }
        for reference in templates.iter().flat_map(Template::references) {
            if let Some(problem) = self.fault(step, &reference) {
                let path = reference.path.to_string();
                self.found.push(Missing { step: step.id.clone(), path, sureness, problem });
            }
        }
    }

    fn fault(&self, step: &Step, reference: &Reference) -> Option<Problem> {
        let path = &reference.path;
        let is_absent = || path.lookup(&self.run.scope).value.is_none();
        if reference.optional {
            return None;
        }
        let reason = match path.root()? {
            "trigger" if is_absent() => "the event does not have".to_owned(),
            "steps" => {
                let id = path.segments().nth(1)?;
                let is_ahead = self.workflow.find(id).is_some() && !self.kept.contains(id);
                if self.looped.contains(id) || is_ahead || !is_absent() {
                    return None; // It may be there when it is read.
                }
                match self.run.step(id).map(|state| state.status) {
                    Some(status) => format!("`{id}`, which is {}, did not leave", status.as_str()),
                    None => format!("no step `{id}` left"),
                }
            }
            _ => return None, // The other roots are made anew.
        };
        let detail = format!("`{}` reads `{path}`, which {reason}", step.id);
        let problem = Problem::new(&*reference.pointer, "unresolved_reference", detail);
        let near = path.nearest_existing(&self.run.scope);
        Some(match near {
            Some(near) => problem.with_hint(format!("the nearest existing path is `{near}`")),
            None => problem.with_hint("go on from an earlier step, or give the step its `input`"),
        })
    }
}
