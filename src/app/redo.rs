//! Runs: retried, restarted and moved to another version, each checked first for what would be
//! missing, so that nothing begins that could not go on.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::events::repeated;
use super::principal::Principal;
use super::run_view::LoadedRun;
use super::runs::run_row;
use super::views::RunView;
use super::workflows::{in_payload, present, version_of};
pub use crate::domain::bulk::VersionWish;
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::run::{
    Input, Missing, RetryPlan, Sureness, migration_refusals, missing_at_start, plan_retry,
    retry_refusal,
};
use crate::domain::workflow::Workflow;
use crate::engine::Engine;

/// How a run that failed or was cancelled is to go on.
#[derive(Clone, Debug, Default)]
pub struct Retry {
    /// From this step; from the first that has to run without it.
    pub from: Option<String>,
    /// With this version of the workflow.
    pub version: VersionWish,
    /// Replaces the rendered input of that step.
    pub input: Option<Value>,
}

/// How a new run is started with the event of an old one.
#[derive(Clone, Debug, Default)]
pub struct Restart {
    /// Takes the place of the event's payload.
    pub payload: Option<Value>,
    /// With this version; with the one that events start without it.
    pub version: VersionWish,
}

/// What a retry or a restart would do.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RedoView {
    /// The run.
    pub run: RunId,
    /// The version that it would follow.
    pub version: u32,
    /// The step that it would go on from.
    pub from: Option<String>,
    /// Steps that are over and stay so.
    pub kept: Vec<String>,
    /// Steps that run again.
    pub again: Vec<String>,
    /// Steps around others that go on where they were.
    pub reopened: Vec<String>,
    /// Steps that run for the first time, unless a condition or a branch passes them by.
    pub fresh: Vec<String>,
    /// Steps that the version does not have.
    pub removed: Vec<String>,
    /// Steps whose effects were undone before.
    pub undone: Vec<String>,
    /// What steps read and would not find.
    pub missing: Vec<MissingView>,
}

/// A reference that would not resolve.
#[derive(Clone, Debug, Serialize)]
pub struct MissingView {
    /// The step that reads it.
    pub step: String,
    /// What it reads.
    pub path: String,
    /// Whether the step surely runs; otherwise a condition may pass it by.
    pub sure: bool,
    /// Where in the definition, and why it is not there.
    #[serde(flatten)]
    pub problem: Problem,
}

/// Whether a run can be moved to another version.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationView {
    /// The run.
    pub run: RunId,
    /// The version that it follows.
    pub from_version: u32,
    /// The version that it would follow.
    pub to_version: u32,
    /// Whether it can.
    pub possible: bool,
    /// Why not.
    pub problems: Vec<Problem>,
}

impl App {
    /// Says what a retry would do, and does nothing.
    ///
    /// # Errors
    /// As `retry_run`, but for what would be missing.
    pub fn plan_retry(&self, who: &Principal, id: RunId, retry: &Retry) -> Result<RedoView, Error> {
        let loaded = self.loaded(who, id)?;
        let (version, workflow) = self.version_for(who, &loaded, retry.version)?;
        let plan = checked_plan(&workflow, &loaded, retry)?;
        Ok(redo_view(id, version, plan))
    }

    /// Goes on with a run that failed or was cancelled.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or version, `Conflict` for a run that cannot go on,
    /// `Invalid` for a step that it cannot go on from, `Unfit` with every reference of the steps
    /// that run which would not resolve.
    pub async fn retry_run(
        &self,
        who: &Principal,
        id: RunId,
        retry: Retry,
    ) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let (number, workflow) = self.version_for(who, &loaded, retry.version)?;
        let plan = checked_plan(&workflow, &loaded, &retry)?;
        refuse_missing(plan.surely_missing())?;
        let version = (retry.version != VersionWish::Own).then_some(number);
        let Retry { from, input, .. } = retry;
        let mut change = Change::of("run.retry", id.to_string());
        let edited = input.is_some();
        change.after(&json!({ "from": from, "version": version, "inputEdited": edited }));
        self.record_change(who, change).await?;
        let input = Input::Retry { by: who.name.clone(), from, input, version };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }

    /// Says what a restart would do, and does nothing.
    ///
    /// # Errors
    /// As `restart_run`, but for what would be missing.
    pub fn plan_restart(
        &self,
        who: &Principal,
        id: RunId,
        restart: &Restart,
    ) -> Result<RedoView, Error> {
        let loaded = self.loaded(who, id)?;
        let (version, workflow) = self.version_to_start(who, &loaded, restart.version)?;
        let missing = self.missing_of(who, &workflow, &loaded, restart)?;
        let fresh = workflow.all_steps().into_iter().map(|step| step.id.clone()).collect();
        let from = workflow.steps.first().map(|step| step.id.clone());
        let plan = RetryPlan { from, fresh, missing, ..RetryPlan::default() };
        Ok(redo_view(id, version, plan))
    }

    /// Starts a new run with the same event, or with one whose payload was edited; the new event
    /// names the run under `restartOf`.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or version or a workflow that was deleted, `Invalid` for a
    /// payload that breaks the schema of its type, `Conflict` when the run is withheld, `Unfit`
    /// with every reference that would not resolve.
    pub async fn restart_run(
        &self,
        who: &Principal,
        id: RunId,
        restart: Restart,
    ) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let (version, workflow) = self.version_to_start(who, &loaded, restart.version)?;
        refuse_missing(self.missing_of(who, &workflow, &loaded, &restart)?.iter())?;
        let mut change = Change::of("run.restart", id.to_string());
        let edited = restart.payload.is_some();
        change.after(&json!({ "version": version, "payloadEdited": edited }));
        let name = loaded.run.workflow.clone();
        let mut event = repeated(loaded.event, "restartOf", &id.to_string());
        if let Some(payload) = restart.payload {
            event.payload = payload;
            event.metadata.insert("edited".to_owned(), Value::Bool(true));
            event.actor = Some(super::events::actor(who));
        }
        self.record_change(who, change).await?;
        let accepted = self.start(who, &name, Some(version), event).await?;
        self.started(who, &accepted)
    }

    /// Says whether a run can be moved to another version, and does nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or version.
    pub fn plan_migration(
        &self,
        who: &Principal,
        id: RunId,
        wish: VersionWish,
    ) -> Result<MigrationView, Error> {
        let loaded = self.loaded(who, id)?;
        let (to_version, to) = self.version_for(who, &loaded, wish)?;
        let problems = migration_refusals(&loaded.workflow, &to, &loaded.run);
        let (from_version, possible) = (loaded.run.version, problems.is_empty());
        Ok(MigrationView { run: id, from_version, to_version, possible, problems })
    }

    /// Moves a run that goes on to another version of its workflow.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or version, `Unfit` with every place in which what the run
    /// has begun is another there.
    pub async fn migrate_run(
        &self,
        who: &Principal,
        id: RunId,
        wish: VersionWish,
    ) -> Result<RunView, Error> {
        let plan = self.plan_migration(who, id, wish)?;
        let version = plan.to_version;
        if let [Problem { pointer, code, detail, .. }] = &plan.problems[..]
            && pointer.is_empty()
        {
            let code = if code == "run_ended" { "run_ended" } else { "run_is_stopping" };
            return Err(Error::Conflict { code, detail: detail.clone() });
        }
        if !plan.possible {
            let detail = format!("what the run has begun is another in version {version}");
            return Err(Error::Unfit { code: "not_migratable", detail, problems: plan.problems });
        }
        if plan.from_version == version {
            let detail = format!("the run follows version {version} already");
            return Err(Error::Conflict { code: "same_version", detail });
        }
        let mut change = Change::of("run.migrate", id.to_string());
        change.before(&json!({ "version": plan.from_version }));
        change.after(&json!({ "version": version }));
        self.record_change(who, change).await?;
        let input = Input::Migrate { by: who.name.clone(), version };
        self.engine().deliver(who.tenant, id, input).await?;
        let run = self.run(who, id)?;
        match run.summary.version == version {
            true => Ok(run),
            false => {
                let detail = "the run went on meanwhile, and cannot be moved any more".to_owned();
                Err(Error::Conflict { code: "not_migratable", detail })
            }
        }
    }

    /// Returns the version that a run is to follow.
    fn version_for(
        &self,
        who: &Principal,
        loaded: &LoadedRun,
        wish: VersionWish,
    ) -> Result<(u32, Arc<Workflow>), Error> {
        let name = &loaded.run.workflow;
        let row = self.read(who, |view| match wish {
            VersionWish::Own => Ok(None),
            VersionWish::Latest => {
                let latest = present(view, name)?.version;
                version_of(view, name, latest).map(Some)
            }
            VersionWish::Number(number) => {
                let missing = || Error::NotFound { what: "version", id: number.to_string() };
                view.version(name, number)?.ok_or_else(missing).map(Some)
            }
        })?;
        match row {
            None => Ok((loaded.run.version, Arc::clone(&loaded.workflow))),
            Some(row) => Ok((row.version, Engine::compile(&row)?)),
        }
    }

    /// Returns the version that a new run follows: unless one is named, the one that events start.
    fn version_to_start(
        &self,
        who: &Principal,
        loaded: &LoadedRun,
        wish: VersionWish,
    ) -> Result<(u32, Arc<Workflow>), Error> {
        let wish = if wish == VersionWish::Own { VersionWish::Latest } else { wish };
        self.version_for(who, loaded, wish)
    }

    fn missing_of(
        &self,
        who: &Principal,
        workflow: &Workflow,
        loaded: &LoadedRun,
        restart: &Restart,
    ) -> Result<Vec<Missing>, Error> {
        let mut event = loaded.event.clone();
        if let Some(payload) = &restart.payload {
            let problems = self.schema_problems(who, &event.kind, payload)?;
            if !problems.is_empty() {
                return Err(Error::Invalid(problems.into_iter().map(in_payload).collect()));
            }
            event.payload = payload.clone();
        }
        let event = event.by_hand(workflow, self.now());
        let given = self.read(who, |view| super::joined::joined_now(view, workflow, &event))?;
        Ok(missing_at_start(workflow, given.seen(&event)))
    }

    pub(super) fn loaded(&self, who: &Principal, id: RunId) -> Result<LoadedRun, Error> {
        self.read(who, |view| super::run_view::load(view, run_row(view, id)?))
    }
}

/// Plans a retry, or says why there cannot be one.
fn checked_plan(
    workflow: &Workflow,
    loaded: &LoadedRun,
    retry: &Retry,
) -> Result<RetryPlan, Error> {
    let from = retry.from.as_deref();
    match retry_refusal(workflow, &loaded.run, from) {
        Some(problem) if problem.pointer.is_empty() => {
            Err(Error::Conflict { code: "not_retryable", detail: problem.detail })
        }
        Some(problem) => Err(Error::Invalid(vec![problem])),
        None => Ok(plan_retry(workflow, &loaded.run, from, retry.input.as_ref())),
    }
}

fn refuse_missing<'a>(missing: impl Iterator<Item = &'a Missing>) -> Result<(), Error> {
    let problems: Vec<Problem> = missing.map(|missing| missing.problem.clone()).collect();
    let Some(first) = problems.first() else { return Ok(()) };
    let detail = format!("a step would fail for what is missing: {}", first.detail);
    Err(Error::Unfit { code: "unresolved_references", detail, problems })
}

fn redo_view(run: RunId, version: u32, plan: RetryPlan) -> RedoView {
    let RetryPlan { from, kept, again, reopened, fresh, removed, undone, missing } = plan;
    let missing = missing.into_iter().map(|missing| MissingView {
        sure: missing.sureness == Sureness::Surely,
        step: missing.step,
        path: missing.path,
        problem: missing.problem,
    });
    let missing = missing.collect();
    RedoView { run, version, from, kept, again, reopened, fresh, removed, undone, missing }
}
