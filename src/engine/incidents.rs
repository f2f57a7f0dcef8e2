//! Steps that wait for somebody: kept in a list, and begun by calls of which nobody knows whether
//! they happened.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::activities::{Activity, UndoCall};
use crate::domain::run::{Effect, Failure, Incident, Input, Resolution, Run};
use crate::domain::workflow::{Action, InDoubt, Undo};
use crate::store::incidents::IncidentRow;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::live::LiveRun;
use super::tenant_state::TenantState;

impl LiveRun {
    /// Leaves it to somebody whether calls happened that were in flight when the run was lost from
    /// memory, where their steps ask; the others are simply made again.
    pub(super) fn doubt_interrupted(
        &mut self,
        tenant: &TenantState,
        tx: &mut TenantTx<'_, '_>,
    ) -> Result<(), StoreError> {
        if !std::mem::take(&mut self.was_loaded) {
            return Ok(());
        }
        for effect in self.run.outstanding() {
            let Effect::Execute { step, attempt } = effect else { continue };
            if self.asks_of(tenant, &step) {
                let message = "the call was in flight when the process ended, and nobody knows \
                               whether it happened";
                let failure = Failure::in_doubt("interrupted", message);
                self.advance(tenant, tx, Input::Failed { step, attempt, failure })?;
            }
        }
        Ok(())
    }

    fn asks_of(&self, tenant: &TenantState, path: &str) -> bool {
        let Some(step) = self.workflow.step_at(path) else { return false };
        let Action::Call { activity, version, .. } = &step.action else { return false };
        let found = || tenant.find_activity(activity, *version, self.run.created_at);
        step.in_doubt == Some(InDoubt::Ask) && matches!(found(), Ok(Activity::Outside(_)))
    }

    /// Adds to what somebody says of a call how it would be undone.
    pub(super) fn informed(&self, tenant: &TenantState, input: Input) -> Input {
        let Input::Resolved { step, resolution, by, comment } = input else { return input };
        let resolution = match resolution {
            Resolution::Complete { output, undo: Value::Null } => {
                let undo = self.undo_of(tenant, &step, &output).unwrap_or_default();
                Resolution::Complete { output, undo }
            }
            other => other,
        };
        Input::Resolved { step, resolution, by, comment }
    }

    fn undo_of(&self, tenant: &TenantState, path: &str, output: &Value) -> Option<Value> {
        let step = self.workflow.step_at(path).filter(|step| step.compensate == Undo::Auto)?;
        let Action::Call { activity, version, .. } = &step.action else { return None };
        match tenant.find_activity(activity, *version, self.run.created_at).ok()? {
            Activity::Outside(found) => {
                found.undo(self.run.input(path), output).as_ref().map(UndoCall::written)
            }
            Activity::Platform(_) => None, // Nobody knows what stood in the record before.
        }
    }

    /// Keeps the list of incidents as the run stands.
    pub(super) fn keep_incidents(&mut self, tx: &mut TenantTx<'_, '_>) {
        if self.incidents.is_empty() && self.run.incidents().next().is_none() {
            return;
        }
        let open = incidents_of(&self.run);
        for step in self.incidents.keys().filter(|step| !open.contains_key(*step)) {
            tx.remove_incident(self.run.id, step);
        }
        for (step, incident) in &open {
            if self.incidents.get(step) != Some(incident) {
                tx.put_incident(&self.incident_row(step, incident));
            }
        }
        self.incidents = open;
    }

    fn incident_row(&self, step: &str, incident: &Incident) -> IncidentRow {
        IncidentRow {
            run: self.run.id,
            step: step.to_owned(),
            workflow: self.run.workflow.clone(),
            kind: incident.kind,
            code: incident.code.clone(),
            message: incident.message.clone(),
            since: incident.since,
            subject: self.run.head().subject,
        }
    }
}

/// Returns the open incidents of a run by the paths of their steps.
pub(super) fn incidents_of(run: &Run) -> BTreeMap<String, Incident> {
    run.incidents().map(|(step, incident)| (step.to_owned(), incident.clone())).collect()
}
