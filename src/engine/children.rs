//! Runs that are started by a step of another run: begun, awaited, stopped and undone with it.

use serde_json::{Value, json};

use crate::domain::event::{Actor, Cause, Event};
use crate::domain::id::RunId;
use crate::domain::run::{Compensation, Effect, Failure, Input, Status};
use crate::domain::trace::TRACEPARENT;
use crate::domain::workflow::{Action, Awaits, Workflow};
use crate::store::inbox::Notice;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::intake::{Begun, accept_child};
use super::live::LiveRun;
use super::tenant_state::TenantState;

/// The type of the event that starts a workflow which listens to none.
const STARTED: &str = "workflow:started";
const SOURCE: &str = "ergane/workflow";

impl LiveRun {
    /// Starts the run that a step asks for.
    pub(super) fn start_child(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        step: String,
        attempt: u32,
    ) -> Input {
        let effect = Effect::Execute { step: step.clone(), attempt };
        let cause = tenant.shared.traces.of_call(&self.run, &effect);
        let outcome = self.begin_child(tenant, tx, &step, cause);
        let awaits = match self.workflow.step_at(&step).map(|step| &step.action) {
            Some(Action::Run { awaits, .. }) => *awaits,
            _ => Awaits::Nothing, // Only such a step starts a run.
        };
        match (outcome, awaits) {
            (Ok(run), Awaits::End) => Input::ChildStarted { step, attempt, run },
            (Ok(run), Awaits::Nothing) => {
                let output = json!({ "runId": run });
                Input::Completed { step, attempt, output, undo: json!({ "run": run }) }
            }
            (Err(failure), _) => Input::Failed { step, attempt, failure },
        }
    }

    fn begin_child(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        step: &str,
        cause: Option<String>,
    ) -> Result<RunId, Failure> {
        let input = self.run.input(step);
        let name = input["workflow"].as_str().unwrap_or_default();
        let row = tx.view().workflow(name).map_err(unreadable)?;
        let row = row.filter(|row| row.deleted_at.is_none()).ok_or_else(|| {
            Failure::terminal("unknown_workflow", format!("there is no workflow `{name}`"))
        })?;
        let workflow = tenant.definition(tx.view(), name, row.version).map_err(unreadable)?;
        let workflow = workflow.ok_or_else(|| {
            Failure::terminal("unknown_workflow", format!("`{name}` has no such version"))
        })?;
        let mut event = self.event_for(&workflow, input["input"].clone(), tx);
        event.metadata.extend(cause.map(|it| (TRACEPARENT.to_owned(), it.into())));
        let mut begun = Begun::default();
        let run = accept_child(tenant, tx, (workflow, row.version), event, self.id(), &mut begun)
            .map_err(unreadable)?
            .map_err(|reason| Failure::terminal("withheld", reason))?;
        tenant.hand_over_later(begun);
        Ok(run)
    }

    fn event_for(&self, workflow: &Workflow, payload: Value, tx: &TenantTx<'_, '_>) -> Event {
        let kind = workflow.event_kinds().first().map_or(STARTED, |kind| *kind).to_owned();
        Event {
            id: String::new(),
            kind,
            source: SOURCE.to_owned(),
            subject: self.run.head().subject,
            time: tx.now(),
            actor: Actor {
                id: self.id().to_string(),
                kind: "WORKFLOW".to_owned(),
                email: String::new(),
            },
            payload,
            metadata: serde_json::Map::new(),
            cause: Some(Cause { run_id: self.id(), depth: self.depth }),
        }
    }

    /// Looks whether the run that a step waits for has ended.
    pub(super) fn end_of_child(
        &self,
        tenant: &TenantState,
        tx: &TenantTx<'_, '_>,
        step: String,
        attempt: u32,
        run: RunId,
    ) -> Result<Option<Input>, StoreError> {
        let Some(row) = tx.view().run(run)? else {
            let failure = Failure::terminal("run_gone", format!("the run {run} is gone"));
            return Ok(Some(Input::ChildEnded { step, attempt, run, result: Err(failure) }));
        };
        let head = row.head;
        let result = match head.status {
            Status::Succeeded => {
                let live = tenant.load_run(tx.view(), run)?;
                let result = live.as_ref().map(last_output).unwrap_or_default();
                Ok(json!({ "runId": run, "status": "succeeded", "result": result }))
            }
            Status::Failed | Status::Cancelled => {
                let status = head.status.as_str();
                let reason = head.error.as_ref().map_or("", |error| &error.message);
                let message = format!("the run {run} of `{}` is {status}: {reason}", head.workflow);
                let details = json!({ "runId": run, "status": status, "error": head.error });
                Err(Failure::terminal("child_failed", message).with_details(details))
            }
            Status::Queued
            | Status::Running
            | Status::Retrying
            | Status::Waiting
            | Status::Compensating => return Ok(None),
        };
        Ok(Some(Input::ChildEnded { step, attempt, run, result }))
    }

    /// Asks the run that a step waits for to stop.
    pub(super) fn stop_child(&self, tx: &mut TenantTx<'_, '_>, step: String, run: RunId) -> Input {
        let compensate = self.run.cancel.as_ref().is_none_or(|cancel| cancel.compensate);
        tx.post(run, &Notice::Stop { by: self.name(), compensate });
        Input::ChildAsked { step, run }
    }

    /// Sees to it that a run which a step had started is undone; `None` while that goes on.
    pub(super) fn undo_child(
        &self,
        tx: &mut TenantTx<'_, '_>,
        run: RunId,
    ) -> Option<Result<Value, Failure>> {
        let row = match tx.view().run(run) {
            Ok(Some(row)) => row,
            Ok(None) => return Some(Ok(Value::Null)),
            Err(error) => return Some(Err(unreadable(error))),
        };
        match row.head.status {
            Status::Succeeded => tx.post(run, &Notice::UndoAll { by: self.name() }),
            Status::Queued | Status::Running | Status::Retrying | Status::Waiting => {
                tx.post(run, &Notice::Stop { by: self.name(), compensate: true });
            }
            Status::Compensating => {}
            Status::Failed | Status::Cancelled => {
                let whole = row.head.compensation != Compensation::Incomplete;
                return Some(if whole {
                    Ok(json!({ "runId": run, "status": row.head.status }))
                } else {
                    let message = format!("not every step of the run {run} could be undone");
                    Err(Failure::terminal("child_not_undone", message))
                });
            }
        }
        None
    }

    /// Tells the run whose step started this one that it has ended.
    pub(super) fn tell_parent(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        let Some(parent) = self.parent else { return Ok(()) };
        let waits = tx.view().run(parent)?.is_some_and(|row| !row.head.status.is_final());
        if waits {
            tx.post(parent, &Notice::Look);
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("run {}", self.id())
    }
}

fn last_output(live: &LiveRun) -> Value {
    let last = live.workflow.steps.last();
    last.map(|step| live.run.output(&step.id).clone()).unwrap_or_default()
}

fn unreadable(error: StoreError) -> Failure {
    Failure::retryable("store", error.to_string())
}
