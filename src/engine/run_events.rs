//! Tells the tenant's workflows and subscribers of runs that have failed, were cancelled or wait for
//! somebody, in the transaction in which they did; of those that succeed only where somebody listens.

use serde_json::{Map, Value, json};

use crate::domain::event::{Actor, Cause, Event};
use crate::domain::run::{Compensation, Entry, Incident, Outcome, Record, Run, RunHead, StepState};
use crate::metrics::Trouble;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::live::LiveRun;
use super::tenant_state::TenantState;

/// The type of the event of a run that has succeeded.
pub(super) const SUCCEEDED: &str = "run:succeeded";

const SOURCE: &str = "ergane/runs";

impl LiveRun {
    /// Publishes what the records of a decision tell others.
    pub(super) fn publish_turns(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        records: &[Record],
    ) -> Result<(), StoreError> {
        for record in records {
            match &record.entry {
                Entry::IncidentOpened { step, .. } => {
                    note(tenant, Trouble::IncidentOpened);
                    let incident = self.run.incidents().find(|(path, _)| path == step);
                    let payload = incident.map(|(_, incident)| paused(&self.run, step, incident));
                    payload.into_iter().for_each(|it| self.publish_run(tx, "run:paused", it));
                }
                Entry::Finished { outcome, compensation, .. } => {
                    self.publish_end(tenant, tx, *outcome, *compensation)?;
                }
                _ => {} // Nobody else needs to hear of it.
            }
        }
        Ok(())
    }

    fn publish_end(
        &self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
        outcome: Outcome,
        compensation: Compensation,
    ) -> Result<(), StoreError> {
        let kind = match outcome {
            Outcome::Failed => Some("run:failed"),
            Outcome::Cancelled => Some("run:cancelled"),
            Outcome::Succeeded if hears_of_success(tenant, tx)? => Some(SUCCEEDED),
            Outcome::Succeeded => None,
        };
        // What was left to be undone is tried again after an end that everybody knows.
        let kind = kind.filter(|_| !self.run.ended_before());
        if let Some(kind) = kind {
            self.publish_run(tx, kind, ended(&self.run.head()));
        }
        if compensation == Compensation::Incomplete {
            note(tenant, Trouble::CompensationIncomplete);
            let mut payload = ended(&self.run.head());
            payload["left"] = self.run.undo_left().map(left).collect();
            self.publish_run(tx, "run:compensation-incomplete", payload);
        }
        Ok(())
    }

    fn publish_run(&self, tx: &mut TenantTx<'_, '_>, kind: &str, payload: Value) {
        let event = event_of(&self.run.head(), self.depth, kind, payload, tx);
        tx.emit(event);
    }
}

fn note(tenant: &TenantState, trouble: Trouble) {
    tenant.shared.metrics.trouble(&tenant.facts.slug, trouble);
}

/// Publishes that a run has failed of which only the head can be read.
pub(super) fn publish_given_up(tx: &mut TenantTx<'_, '_>, head: &RunHead, depth: u32) {
    let event = event_of(head, depth, "run:failed", ended(head), tx);
    tx.emit(event);
}

fn event_of(
    head: &RunHead,
    depth: u32,
    kind: &str,
    payload: Value,
    tx: &TenantTx<'_, '_>,
) -> Event {
    let id = head.id.to_string();
    Event {
        id: String::new(),
        kind: kind.to_owned(),
        source: SOURCE.to_owned(),
        subject: Some(id.clone()),
        time: tx.now(),
        actor: Actor { id, kind: "WORKFLOW".to_owned(), email: String::new() },
        payload,
        metadata: Map::new(),
        cause: Some(Cause { run_id: head.id, depth }),
    }
}

/// Whether a workflow or a subscriber has asked for runs that succeed, or a run waits for one.
fn hears_of_success(tenant: &TenantState, tx: &TenantTx<'_, '_>) -> Result<bool, StoreError> {
    let listens = tenant.hears_of_success.get();
    Ok(listens || (tenant.may_wait.get() && tx.view().has_waits_for(SUCCEEDED)?))
}

fn ended(head: &RunHead) -> Value {
    json!({
        "runId": head.id,
        "workflow": head.workflow,
        "version": head.version,
        "status": head.status,
        "compensation": head.compensation,
        "error": head.error,
        "eventId": head.event_id,
        "eventType": head.event_kind,
        "subject": head.subject,
        "startedAt": head.started_at,
        "endedAt": head.ended_at,
    })
}

fn paused(run: &Run, step: &str, incident: &Incident) -> Value {
    json!({
        "runId": run.id,
        "workflow": run.workflow,
        "version": run.version,
        "step": step,
        "kind": incident.kind,
        "code": incident.code,
        "message": incident.message,
        "since": incident.since,
        "subject": run.head().subject,
    })
}

fn left(state: &StepState) -> Value {
    let failure = state.compensation.failure.as_ref();
    json!({
        "step": state.id,
        "code": failure.map(|failure| &failure.code),
        "message": failure.map(|failure| &failure.message),
    })
}
