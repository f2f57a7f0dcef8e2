//! The state of a run: the fold of its journal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::doing::Doing;
use super::entry::{Compensation, Ending, Entry, Outcome, Record, RunError};
use super::incident::IncidentKind;
use super::status::{Status, UndoStatus, WaitKind, WaitingFor};
use super::step::StepState;
use crate::domain::id::{RunId, TenantId};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::tree::fixed_paths;
use crate::domain::workflow::{Step, Undo, Workflow};

/// One execution of one workflow version.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Names the run.
    pub id: RunId,
    /// The workflow's name.
    pub workflow: String,
    /// The version that it follows now.
    pub version: u32,
    /// What it is doing.
    pub phase: Phase,
    /// What its expressions see; holds the inputs and outputs of its steps too.
    pub scope: Scope,
    /// In the order of the workflow, then those of the items of loops as they began.
    pub steps: Vec<StepState>,
    /// The positions of the steps whose effects stand or may stand, in order of completion.
    pub standing: Vec<usize>,
    /// The position of the step that it is at, or ended at.
    pub current: Option<usize>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it first began.
    pub started_at: Option<Timestamp>,
    /// When it began last, after a retry; the workflow's timeout counts from here.
    pub begun_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The time of its newest record.
    pub updated_at: Timestamp,
    /// Who asked for its end.
    pub cancel: Option<Cancel>,
    /// Whether the workflow's timeout has passed.
    pub timed_out: bool,
    /// Why its finished steps are or were being undone.
    pub ending: Option<Ending>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Whether its finished steps were undone.
    pub compensation: Compensation,
    /// Why it did not succeed.
    pub error: Option<RunError>,
    /// The id of the last event that it waited for.
    pub last_awaited: Option<String>,
    /// Whether what is undone, or was at last, is what was left when the run ended.
    pub(super) undoes_again: bool,
    /// Whether a step that follows the failure of the run has failed for good.
    pub(super) handler_failed: bool,
    /// The positions of the steps that are doing something.
    pub(super) busy: BTreeSet<usize>,
    /// The positions of the steps of items, which come behind those that stand there once.
    pub(super) places: BTreeMap<String, usize>,
    pub(super) former: BTreeMap<String, StepState>,
    pub(super) timeout: Option<Duration>,
    pub(super) limited: bool,
}

/// In which part of its life a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It waits for its turn to begin.
    Queued,
    /// Its steps are done; those that are over tell which is next.
    Going,
    /// Finished steps are undone, one after another.
    Unwinding,
    /// It has failed, and the steps are done that its workflow lists for this.
    Handling,
    /// It has ended.
    Finished,
}

/// A wish for the end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// Who asked.
    pub by: String,
    /// Whether finished steps are undone.
    pub compensate: bool,
    /// When it was recorded.
    pub at: Timestamp,
}

/// What a run is made from; its journal holds the rest.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// Names the run and says when it was created.
    pub id: RunId,
    /// The version of the workflow that it begins with.
    pub version: u32,
    /// Whose run it is.
    pub tenant: TenantFacts,
    /// The whole event, as `Event::to_value` gives it.
    pub trigger: Value,
    /// The tenant's variables, an object.
    pub vars: Value,
}

/// What expressions see of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantFacts {
    /// The tenant's number.
    pub id: TenantId,
    /// The name in addresses.
    pub slug: String,
    /// The name for people.
    pub name: String,
}

impl Run {
    /// Creates a run and its first record, which is to be written together with the event.
    #[must_use]
    pub fn create(workflow: &Workflow, origin: Origin) -> (Run, Record) {
        let entry = Entry::Created {
            workflow: workflow.name.clone(),
            version: origin.version,
            event: origin.trigger["id"].as_str().unwrap_or_default().to_owned(),
        };
        let record = Record { at: origin.id.created_at(), entry };
        let mut run = Run::new(workflow, origin);
        run.apply(workflow, &record);
        (run, record)
    }

    /// Returns the state before the first record.
    #[must_use]
    pub fn new(workflow: &Workflow, origin: Origin) -> Run {
        let created_at = origin.id.created_at();
        let mut scope = Scope::of_event(origin.trigger);
        let TenantFacts { id, slug, name } = origin.tenant;
        scope.set("tenant", json!({ "id": id, "slug": slug, "name": name }));
        scope.set("vars", origin.vars);
        let mut run = Run {
            id: origin.id,
            workflow: workflow.name.clone(),
            version: origin.version,
            phase: Phase::Queued,
            scope,
            steps: Run::fixed_steps(workflow).iter().map(|path| StepState::new(path)).collect(),
            standing: Vec::new(),
            current: None,
            created_at,
            started_at: None,
            begun_at: None,
            ended_at: None,
            updated_at: created_at,
            cancel: None,
            timed_out: false,
            ending: None,
            outcome: None,
            compensation: Compensation::None,
            error: None,
            last_awaited: None,
            undoes_again: false,
            handler_failed: false,
            busy: BTreeSet::new(),
            places: BTreeMap::new(),
            former: BTreeMap::new(),
            timeout: workflow.timeout,
            limited: workflow.concurrency.is_some(),
        };
        run.show_workflow(workflow);
        run
    }

    /// Rebuilds a run from its journal, under the workflow version that it follows now.
    #[must_use]
    pub fn replay<'a>(
        workflow: &Workflow,
        origin: Origin,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Run {
        let mut run = Run::new(workflow, origin);
        for record in records {
            run.apply(workflow, record);
        }
        run
    }

    /// Returns where the run stands.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.phase {
            Phase::Queued => Status::Queued,
            Phase::Unwinding | Phase::Handling => Status::Compensating,
            Phase::Going => self.status_of_steps(),
            Phase::Finished => match self.outcome {
                Some(Outcome::Succeeded) => Status::Succeeded,
                Some(Outcome::Cancelled) => Status::Cancelled,
                Some(Outcome::Failed) | None => Status::Failed,
            },
        }
    }

    /// A call in flight counts before a pause, and a pause before a wait.
    fn status_of_steps(&self) -> Status {
        let of = |doing: &Doing| match doing {
            Doing::Executing { .. } | Doing::Undoing { .. } | Doing::Nothing | Doing::Group => 0,
            Doing::Pausing { .. } | Doing::UndoPausing { .. } => 1,
            Doing::Sleeping { .. }
            | Doing::Awaiting { .. }
            | Doing::Deciding(_)
            | Doing::Stuck(_)
            | Doing::AwaitingRun { .. } => 2,
        };
        match self.doings().map(|(_, doing)| of(doing)).min() {
            Some(1) => Status::Retrying,
            Some(2) => Status::Waiting,
            _ => Status::Running, // A call is in flight, or the run is within a decision.
        }
    }

    /// Returns why the run is not moving and when it will; `None` while a call is in flight and
    /// after the end.
    #[must_use]
    pub fn waiting_for(&self) -> Option<WaitingFor> {
        if self.phase == Phase::Queued {
            let kind = if self.limited { WaitKind::Concurrency } else { WaitKind::Start };
            return Some(WaitingFor::of(kind, None, None));
        }
        if self.status_of_steps() == Status::Running {
            return None;
        }
        let waits = self.doings().filter_map(|(path, doing)| waiting_for(path, doing));
        waits.min_by_key(|(rank, waiting)| (*rank, waiting.until)).map(|(_, waiting)| waiting)
    }

    /// Returns the steps that are doing something, with what.
    pub fn doings(&self) -> impl Iterator<Item = (&str, &Doing)> {
        self.busy.iter().map(|index| {
            let state = &self.steps[*index];
            (state.id.as_str(), &state.doing)
        })
    }

    /// Returns whether an attempt of any step, or of undoing one, is in flight.
    #[must_use]
    pub fn is_in_flight(&self) -> bool {
        self.doings().any(|(_, doing)| doing.is_in_flight())
    }

    /// Returns when the run fails with `timeout`; `None` when it cannot any more.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        if self.phase != Phase::Going || self.is_stopping() {
            return None;
        }
        let timeout = self.timeout?;
        if self.incidents().next().is_some() {
            return None; // Its time stands still until somebody says how it goes on.
        }
        Some(self.begun_at? + timeout)
    }

    /// Returns what could not be undone, in the order in which it would be tried again.
    pub fn undo_left(&self) -> impl Iterator<Item = &StepState> {
        let standing = self.standing.iter().rev().map(|index| &self.steps[*index]);
        standing.filter(|state| state.compensation.status == UndoStatus::Abandoned)
    }

    /// Returns whether it had ended before what was left to be undone was tried again.
    #[must_use]
    pub fn ended_before(&self) -> bool {
        self.undoes_again
    }

    /// Returns whether no further step may begin: cancelled, out of time, or undoing.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        match self.phase {
            Phase::Handling => self.cancel.is_some() || self.handler_failed,
            Phase::Queued | Phase::Going | Phase::Unwinding | Phase::Finished => {
                self.cancel.is_some() || self.timed_out || self.ending.is_some()
            }
        }
    }

    /// Returns the position of the step at `path`.
    #[must_use]
    pub fn step_index(&self, path: &str) -> Option<usize> {
        if let Some(index) = self.places.get(path) {
            return Some(*index);
        }
        let fixed = self.steps.len() - self.places.len();
        self.steps[..fixed].iter().position(|step| step.id == path)
    }

    /// Returns the state of the step at `path`.
    #[must_use]
    pub fn step(&self, path: &str) -> Option<&StepState> {
        self.step_index(path).map(|index| &self.steps[index])
    }

    /// Returns the rendered input of the step `id`, null when it has none.
    #[must_use]
    pub fn input(&self, id: &str) -> &Value {
        &self.scope.root()["steps"][id]["input"]
    }

    /// Returns the output of the step `id`, null when it has none.
    #[must_use]
    pub fn output(&self, id: &str) -> &Value {
        &self.scope.root()["steps"][id]["output"]
    }

    /// Returns the id of the event that started the run.
    #[must_use]
    pub fn event_id(&self) -> &str {
        self.scope.root()["trigger"]["id"].as_str().unwrap_or_default()
    }

    /// Returns the key under which the outside recognises a repeated call of the step `id`: the
    /// same through every attempt and retry, until the step was undone.
    #[must_use]
    pub fn idempotency_key(&self, id: &str) -> String {
        match self.step(id).map_or(0, |step| step.undone) {
            0 => format!("{}/{id}", self.id),
            undone => format!("{}/{id}/{}", self.id, undone + 1),
        }
    }

    /// Returns the key under which the outside recognises a repeated call that undoes the step.
    #[must_use]
    pub fn undo_key(&self, id: &str) -> String {
        format!("{}/undo", self.idempotency_key(id))
    }

    /// Returns what the run's end says of `ending`, in one line.
    #[must_use]
    pub fn error_of(&self, ending: &Ending) -> RunError {
        let current = self.current.and_then(|step| self.steps.get(step));
        match ending {
            Ending::StepFailed { step } => {
                let state = self.step(step);
                let failure = state.and_then(StepState::failure);
                RunError {
                    step: Some(step.clone()),
                    code: failure.map_or("failed", |failure| &failure.code).to_owned(),
                    message: failure.map_or_else(String::new, |failure| failure.message.clone()),
                    in_doubt: state.is_some_and(|state| state.in_doubt),
                }
            }
            Ending::Cancelled => RunError {
                step: current.map(|step| step.id.clone()),
                code: "cancelled".to_owned(),
                message: match &self.cancel {
                    Some(cancel) => format!("cancelled by {}", cancel.by),
                    None => "cancelled".to_owned(),
                },
                in_doubt: current.is_some_and(|step| step.in_doubt),
            },
            Ending::TimedOut => RunError {
                step: current.map(|step| step.id.clone()),
                code: "timeout".to_owned(),
                message: "the run took longer than its workflow's timeout allows".to_owned(),
                in_doubt: current.is_some_and(|step| step.in_doubt),
            },
            Ending::Undone { by } => RunError {
                step: None,
                code: "undone".to_owned(),
                message: format!("undone by {by}"),
                in_doubt: false,
            },
        }
    }

    /// Shows what expressions see of the run and of the version that it follows.
    pub(super) fn show_workflow(&mut self, workflow: &Workflow) {
        let facts = json!({
            "name": workflow.name,
            "title": workflow.title,
            "version": self.version,
        });
        self.scope.set("workflow", facts);
        let facts = json!({
            "id": self.id,
            "workflow": self.workflow,
            "version": self.version,
            "startedAt": self.started_at,
            "now": self.updated_at,
        });
        self.scope.set("run", facts);
    }

    /// Returns the paths of the steps that a version has whatever its runs do.
    pub(super) fn fixed_steps(workflow: &Workflow) -> Vec<String> {
        let mut paths = Vec::with_capacity(workflow.steps.len());
        fixed_paths(&workflow.steps, "", &mut paths);
        paths
    }

    /// Returns whether the effects of the step at `index` stand or may stand, and can be undone.
    pub(super) fn owes_undo(&self, step: &Step, index: usize) -> bool {
        let compensable = match step.compensate {
            Undo::None => false,
            Undo::Auto => !self.steps[index].undo.is_null(),
            Undo::Call { .. } => true,
        };
        let compensable =
            compensable && (!self.undoes_again || self.steps[index].compensation.again);
        compensable && self.steps[index].compensation.status != UndoStatus::Abandoned
    }
}

/// Returns what a step waits for, and how much that matters among several waits.
fn waiting_for(path: &str, doing: &Doing) -> Option<(u8, WaitingFor)> {
    let of = |kind, until| WaitingFor::of(kind, until, Some(path.to_owned()));
    match doing {
        Doing::Pausing { due, .. } | Doing::UndoPausing { due, .. } => {
            Some((0, of(WaitKind::Retry, Some(*due))))
        }
        Doing::Stuck(incident) => {
            let kind = match incident.kind {
                IncidentKind::Incident => WaitKind::Incident,
                IncidentKind::Doubt => WaitKind::Doubt,
            };
            let (code, since) = (Some(incident.code.clone()), Some(incident.since));
            Some((0, WaitingFor { code, since, ..of(kind, None) }))
        }
        Doing::Deciding(gate) => {
            let approvers = gate.approvers.clone();
            Some((1, WaitingFor { approvers, ..of(WaitKind::Approval, gate.until) }))
        }
        Doing::Awaiting { until, .. } => Some((2, of(WaitKind::Event, *until))),
        Doing::AwaitingRun { run, .. } => {
            Some((3, WaitingFor { run: Some(*run), ..of(WaitKind::Run, None) }))
        }
        Doing::Sleeping { until } => Some((4, of(WaitKind::Sleep, Some(*until)))),
        Doing::Nothing | Doing::Group | Doing::Executing { .. } | Doing::Undoing { .. } => None,
    }
}
