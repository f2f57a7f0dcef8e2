//! Tries a workflow without any effect: every step is rendered, and a script answers for the world.
//!
//! The store is read through a view, which has no method that writes, and what is played is given
//! to `domain::trial`, which can name nothing that acts.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::definitions::Definition;
use super::error::Error;
use super::joined::joined_now;
use super::principal::Principal;
use super::run_view::{LoadedRun, load};
use super::runs::run_row;
use super::views::{RunView, StepView};
use super::workflows::{RunRequest, present, version_of};
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::run::{Origin, StepStatus, TenantFacts};
use crate::domain::scope::Scope;
use crate::domain::trial::stage::Source;
use crate::domain::trial::{FailAt, Jump, Played, Recording, Script, Shown, play};
use crate::domain::workflow::cases::Mock;
use crate::domain::workflow::tree::id_of;
use crate::domain::workflow::{Action, Undo, Workflow};
use crate::engine::Engine;
use crate::store::runs::RunList;
use crate::store::tenant::TenantView;

/// In how many of the newest runs a recorded output is looked for.
const RUNS_LOOKED_AT_MAX: usize = 50;

/// What a trial begins with and what answers for the world.
#[derive(Clone, Debug, Default)]
pub struct TrialRequest {
    /// The event that it begins with.
    pub start: RunRequest,
    /// A definition that is not saved, in place of one that is.
    pub draft: Option<Value>,
    /// Answers, by the ids of steps; others are made of the activity's schema.
    pub mocks: BTreeMap<String, Mock>,
    /// Whether steps without an answer take what was recorded.
    pub otherwise: Otherwise,
    /// The run whose recorded outputs are taken; the newest of the workflow without it.
    pub from_run: Option<RunId>,
    /// The last step that is tried.
    pub up_to: Option<String>,
    /// The steps that fail.
    pub fail_at: Vec<FailAt>,
}

/// What steps answer of which nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Otherwise {
    /// A sample of their activity's schema.
    #[default]
    Sample,
    /// What a run recorded, where one did.
    Recorded,
}

/// What a trial showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Whether the trigger's filter would have let the event through.
    pub matches: bool,
    /// The filter's tree; null for a workflow without a trigger.
    pub trace: Value,
    /// Inputs that do not fit their activity's schema.
    pub problems: Vec<Problem>,
    /// What each step that began would do, in the order of the workflow.
    pub steps: Vec<TrialStep>,
    /// What would be undone, in that order.
    pub undo: Vec<TrialUndo>,
    /// The times that a real run would have taken.
    pub time_jumps: Vec<Jump>,
    /// The run as it would look.
    pub run: RunView,
}

/// What a step would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrialStep {
    /// Its path.
    pub id: String,
    /// The activity that it would call, or its kind.
    pub activity: String,
    /// How it stands.
    pub status: String,
    /// The rendered input.
    pub input: Option<Value>,
    /// What it was answered.
    pub output: Option<Value>,
    /// Where the answer came from; none where nobody was asked.
    pub source: Option<Source>,
    /// The value of each of its expressions.
    pub expressions: Vec<Shown>,
}

/// A step that would be undone.
#[derive(Clone, Debug, Serialize)]
pub struct TrialUndo {
    /// The path of the step.
    pub step: String,
    /// The activity that would undo it, or `auto`.
    pub activity: String,
    /// The rendered input, of a declared compensation.
    pub input: Option<Value>,
}

impl App {
    /// Tries a workflow and changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, version, run or event, `Invalid` for an unknown step and
    /// for a draft with problems.
    pub fn try_workflow(
        &self,
        who: &Principal,
        name: &str,
        request: TrialRequest,
    ) -> Result<Trial, Error> {
        let (version, workflow) = match &request.draft {
            Some(document) => {
                let definition = Definition { document: document.clone(), source: None };
                (0, Arc::new(self.checked_draft(who, definition, name)?))
            }
            None => {
                let wanted = request.start.version;
                let row = self.read(who, |view| {
                    let row = present(view, name)?;
                    version_of(view, &row.name, wanted.unwrap_or(row.version))
                })?;
                (row.version, Engine::compile(&row)?)
            }
        };
        check_steps(&workflow, &request)?;
        let script = self.script(who, &workflow, &request)?;
        let event = self.trial_event(who, workflow.opening_kind(), request.start)?;
        let given = self.read(who, |view| joined_now(view, &workflow, &event))?;
        let scope = Scope::of_event(given.seen(&event));
        let traces = workflow.filters_of(&event.kind).map(|filter| filter.trace(&scope));
        let trace = traces.reduce(|first, other| if first.result { first } else { other });
        let event = event.by_hand(&workflow, self.now());
        let tenant = self.tenant(who.tenant)?;
        let origin = Origin {
            id: RunId::new(0, self.now(), self.clock().random()),
            version,
            tenant: TenantFacts { id: tenant.id, slug: tenant.slug, name: tenant.name },
            trigger: given.seen(&event),
            vars: Value::Object(Map::new()),
        };
        let catalogue = self.catalogue(who.tenant);
        let mut played = play(&workflow, &catalogue, origin, self.now(), &script);
        let problems = std::mem::take(&mut played.problems);
        let loaded = LoadedRun::of(played.run.clone(), Arc::clone(&workflow), event, given);
        let run = loaded.view(self.now());
        let matches = trace.as_ref().is_none_or(|trace| trace.result);
        Ok(Trial {
            matches,
            trace: json!(trace),
            problems,
            steps: steps_of(&run.steps, &played),
            undo: undo_of(&workflow, &played),
            time_jumps: played.jumps,
            run,
        })
    }

    fn trial_event(
        &self,
        who: &Principal,
        kind: Option<&str>,
        request: RunRequest,
    ) -> Result<Event, Error> {
        let incoming = self.event_for(who, kind, request)?;
        Ok(Event {
            id: incoming.id.unwrap_or_else(|| "trial".to_owned()),
            kind: incoming.kind,
            source: incoming.source,
            subject: incoming.subject,
            time: incoming.time.unwrap_or_else(|| self.now()),
            actor: incoming.actor.unwrap_or_default(),
            payload: incoming.payload,
            metadata: incoming.metadata,
            cause: None,
        })
    }

    fn script(
        &self,
        who: &Principal,
        workflow: &Workflow,
        request: &TrialRequest,
    ) -> Result<Script, Error> {
        let mut mocks = request.mocks.clone();
        if request.otherwise == Otherwise::Recorded {
            for step in workflow.all_steps() {
                mocks.entry(step.id.clone()).or_insert(Mock::Recorded);
            }
        }
        let wanted: Vec<&str> = mocks
            .iter()
            .filter(|(_, mock)| **mock == Mock::Recorded)
            .map(|(path, _)| id_of(path))
            .collect();
        let recorded = match wanted.is_empty() {
            true => BTreeMap::new(),
            false => self.read(who, |view| recorded(view, workflow, &wanted, request.from_run))?,
        };
        let (up_to, fail_at) = (request.up_to.clone(), request.fail_at.clone());
        Ok(Script { mocks, recorded, up_to, fail_at })
    }
}

/// Finds the newest output of each step, or of another step that calls the same activity.
fn recorded(
    view: TenantView<'_>,
    workflow: &Workflow,
    wanted: &[&str],
    from: Option<RunId>,
) -> Result<BTreeMap<String, Recording>, Error> {
    let rows = match from {
        Some(id) => vec![run_row(view, id)?],
        None => view.runs_before(RunList::OfWorkflow(&workflow.name), None, RUNS_LOOKED_AT_MAX)?,
    };
    let mut found: BTreeMap<String, Recording> = BTreeMap::new();
    for row in rows {
        if wanted.iter().all(|id| found.contains_key(*id)) {
            break;
        }
        let loaded = load(view, row)?;
        for id in wanted {
            if found.contains_key(*id) {
                continue;
            }
            if let Some(output) = recorded_in(&loaded, workflow, id) {
                let recording = Recording { output, run: loaded.run.id };
                found.insert((*id).to_owned(), recording);
            }
        }
    }
    Ok(found)
}

fn recorded_in(loaded: &LoadedRun, workflow: &Workflow, id: &str) -> Option<Value> {
    let activity = activity_of(workflow, id);
    let has_output = |path: &str| {
        let state = loaded.run.step(path);
        let is_same = activity_of(&loaded.workflow, path) == activity;
        let succeeded = state.is_some_and(|state| state.status == StepStatus::Succeeded);
        (is_same && succeeded).then(|| loaded.run.output(path).clone())
    };
    let all = || loaded.run.steps.iter().map(|state| state.id.as_str());
    let own = all().filter(|path| id_of(path) == id).find_map(has_output);
    own.or_else(|| activity.and_then(|_| all().find_map(has_output)))
}

fn activity_of<'a>(workflow: &'a Workflow, path: &str) -> Option<&'a str> {
    match &workflow.step_at(path)?.action {
        Action::Call { activity, .. } => Some(activity),
        _ => None, // Nothing else calls one.
    }
}

fn steps_of(steps: &[StepView], played: &Played) -> Vec<TrialStep> {
    let began = steps.iter().filter(|step| step.status != "pending");
    let shown = began.map(|step| TrialStep {
        id: step.id.clone(),
        activity: step.activity.clone(),
        status: step.status.clone(),
        input: step.input.clone(),
        output: step.output.clone(),
        source: played.sources.get(&step.id).cloned(),
        expressions: played.expressions.iter().filter(|it| it.step == step.id).cloned().collect(),
    });
    shown.collect()
}

fn undo_of(workflow: &Workflow, played: &Played) -> Vec<TrialUndo> {
    let undone = played.undone.iter().map(|path| {
        let definition = workflow.step_at(path);
        let activity = match definition.map(|step| &step.compensate) {
            Some(Undo::Call { activity, .. }) => activity.clone(),
            Some(Undo::Auto | Undo::None) | None => "auto".to_owned(),
        };
        let input = played.run.step(path).map(|state| state.compensation.input.clone());
        let input = input.filter(|input| !input.is_null());
        TrialUndo { step: path.clone(), activity, input }
    });
    undone.collect()
}

fn check_steps(workflow: &Workflow, request: &TrialRequest) -> Result<(), Error> {
    let up_to = request.up_to.iter().map(|id| ("/upTo".to_owned(), id));
    let fail_at = request.fail_at.iter().map(|fail| ("/failAt".to_owned(), &fail.step));
    let mocks = request.mocks.keys().map(|id| (format!("/mocks/{id}"), id));
    let problems: Vec<Problem> = up_to
        .chain(fail_at)
        .chain(mocks)
        .filter(|(_, id)| workflow.step_at(id).is_none())
        .map(|(pointer, id)| {
            let problem = Problem::new(pointer, "unknown_step", format!("there is no step `{id}`"));
            match nearest(id, workflow.all_steps().iter().map(|step| step.id.as_str())) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}
