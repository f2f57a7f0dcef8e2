//! A look into a run: what its expressions saw at each moment, and how it differs from another.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::run_view::{LoadedRun, load_until};
use super::runs::{entry_view, run_row};
use super::views::{RunView, StepView};
use crate::domain::difference::{Difference, differences};
use crate::domain::expression::Template;
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::run::Entry;
use crate::domain::time::Timestamp;

/// How many differences are told of one value.
const DIFFERENCES_MAX: usize = 50;

/// What the expressions of a run could see at one moment.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunContext {
    /// The number of the last journal record that had been written.
    pub number: usize,
    /// How many records the journal has now.
    pub total: usize,
    /// When that record was written.
    pub at: Timestamp,
    /// What it says: `{type, …}`.
    pub entry: Value,
    /// How each step stood: its path and its status.
    pub steps: Vec<StepMoment>,
    /// The roots of the language: `trigger`, `steps`, `run`, `workflow`, `vars` …
    pub context: Value,
}

/// How a step stood at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct StepMoment {
    /// Its path.
    pub id: String,
    /// Its status.
    pub status: String,
}

/// Where a run comes from, and what came of it.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunRelations {
    /// The run whose step started it.
    pub parent: Option<RunId>,
    /// The run whose step published the event that started it.
    pub caused_by: Option<RunId>,
    /// The run that it repeats.
    pub restart_of: Option<String>,
    /// The event that its own event repeats.
    pub replay_of: Option<String>,
    /// The runs that its steps started, in order.
    pub children: Vec<ChildRun>,
}

/// A run that a step started.
#[derive(Clone, Debug, Serialize)]
pub struct ChildRun {
    /// The path of the step.
    pub step: String,
    /// The run.
    pub run: RunId,
}

/// How two runs differ.
#[derive(Clone, Debug, Serialize)]
pub struct RunDiff {
    /// One run.
    pub left: RunId,
    /// The other.
    pub right: RunId,
    /// Where the events differ that started them.
    pub trigger: Vec<Difference>,
    /// Every step of either, in the order of the left one.
    pub steps: Vec<StepDiff>,
}

/// How a step fared in two runs.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepDiff {
    /// Its path.
    pub step: String,
    /// How it fared on the left; `None` where it is no step of that run.
    pub left: Option<StepFate>,
    /// The same on the right.
    pub right: Option<StepFate>,
    /// Where its inputs differ.
    pub input: Vec<Difference>,
    /// Where its outputs differ.
    pub output: Vec<Difference>,
}

/// How a step fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFate {
    /// Its status.
    pub status: String,
    /// How many attempts were made.
    pub attempts: usize,
    /// How long it took in all, in milliseconds.
    pub took_ms: Option<i64>,
    /// The code of its error.
    pub code: Option<String>,
}

impl App {
    /// Returns what the expressions of a run could see after the record `at` of its journal, or see
    /// now.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub fn run_context(
        &self,
        who: &Principal,
        id: RunId,
        at: Option<usize>,
    ) -> Result<RunContext, Error> {
        let (loaded, total) = self.loaded_then(who, id, at)?;
        let number = loaded.journal.len();
        let last = loaded.journal.last();
        let last = last.ok_or_else(|| Error::Internal(format!("run {id} has no journal")))?;
        let steps = loaded.view(self.now()).steps.into_iter();
        Ok(RunContext {
            number,
            total,
            at: last.at,
            entry: entry_view(number as u64, last).entry,
            steps: steps.map(|step| StepMoment { id: step.id, status: step.status }).collect(),
            context: loaded.run.scope.root().clone(),
        })
    }

    /// Evaluates an expression as the run would have after the record `at` of its journal.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run, `Invalid` for an expression that cannot be read
    /// or has no value.
    pub fn evaluate_in_run(
        &self,
        who: &Principal,
        id: RunId,
        at: Option<usize>,
        expression: &str,
    ) -> Result<Value, Error> {
        let (loaded, _) = self.loaded_then(who, id, at)?;
        let expression = match expression.contains("{{") {
            true => expression.to_owned(),
            false => format!("{{{{ {} }}}}", expression.trim()),
        };
        let template = Template::parse(&json!(expression), "/expression");
        let template = template.map_err(Error::Invalid)?;
        let value = template.render(&loaded.run.scope);
        value.map_err(|error| Error::Invalid(vec![Problem::from(error)]))
    }

    fn loaded_then(
        &self,
        who: &Principal,
        id: RunId,
        at: Option<usize>,
    ) -> Result<(LoadedRun, usize), Error> {
        self.read(who, |view| load_until(view, run_row(view, id)?, at))
    }

    /// Returns where a run comes from, and which runs its steps started.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such run.
    pub fn run_relations(&self, who: &Principal, id: RunId) -> Result<RunRelations, Error> {
        self.read(who, |view| {
            let row = run_row(view, id)?;
            let stored = view.event(row.event)?;
            let event = stored.map(|stored| stored.event);
            let named = |role: &str| {
                let event = event.as_ref()?;
                event.metadata.get(role)?.as_str().map(str::to_owned)
            };
            let children = view.journal(id)?.into_iter().filter_map(|record| match record.entry {
                Entry::ChildStarted { step, run, .. } => Some(ChildRun { step, run }),
                _ => None, // Nothing else starts a run.
            });
            Ok(RunRelations {
                parent: row.parent,
                caused_by: event.as_ref().and_then(|event| event.cause).map(|it| it.run_id),
                restart_of: named("restartOf"),
                replay_of: named("replayOf"),
                children: children.collect(),
            })
        })
    }

    /// Says how two runs differ, step by step.
    ///
    /// # Errors
    /// `NotFound` when the tenant lacks one of them.
    pub fn compare_runs(
        &self,
        who: &Principal,
        left: RunId,
        right: RunId,
    ) -> Result<RunDiff, Error> {
        Ok(compared(&self.run(who, left)?, &self.run(who, right)?))
    }
}

fn compared(left: &RunView, right: &RunView) -> RunDiff {
    let find = |run: &'_ RunView, id: &str| run.steps.iter().position(|step| step.id == id);
    let mut ids: Vec<&str> = left.steps.iter().map(|step| step.id.as_str()).collect();
    let added = right.steps.iter().map(|step| step.id.as_str());
    ids.extend(added.filter(|id| find(left, id).is_none()));
    let steps = ids.into_iter().map(|id| {
        let (before, after) = (find(left, id), find(right, id));
        let before = before.map(|index| &left.steps[index]);
        let after = after.map(|index| &right.steps[index]);
        let value = |step: Option<&'_ StepView>, read: fn(&StepView) -> Option<&Value>| {
            step.and_then(read).cloned()
        };
        let differs = |read: fn(&StepView) -> Option<&Value>| {
            let (before, after) = (value(before, read), value(after, read));
            differences(before.as_ref(), after.as_ref(), DIFFERENCES_MAX)
        };
        StepDiff {
            step: id.to_owned(),
            left: before.map(fate),
            right: after.map(fate),
            input: differs(|step| step.input.as_ref()),
            output: differs(|step| step.output.as_ref()),
        }
    });
    RunDiff {
        left: left.summary.id,
        right: right.summary.id,
        trigger: differences(payload(left), payload(right), DIFFERENCES_MAX),
        steps: steps.collect(),
    }
}

fn payload(run: &RunView) -> Option<&Value> {
    run.trigger.as_ref().and_then(|trigger| trigger.get("payload"))
}

fn fate(step: &StepView) -> StepFate {
    let began = step.started_at.or_else(|| step.attempts.first().map(|it| it.started_at));
    let ended = step.ended_at.or_else(|| step.attempts.last().and_then(|it| it.ended_at));
    let took = began.zip(ended).map(|(from, to)| to.since(from).as_millis());
    StepFate {
        status: step.status.clone(),
        attempts: step.attempts.len(),
        took_ms: took.map(|ms| i64::try_from(ms).unwrap_or(i64::MAX)),
        code: step.error.as_ref().map(|error| error.code.clone()),
    }
}
