//! Whom a step acts as, asked at the moment of the step: the workflow itself, or the identity that it
//! names.

use crate::activities::Caller;
use crate::activities::identity::{Identity, Registers, unauthorized};
use crate::domain::run::Failure;
use crate::domain::workflow::Workflow;
use crate::store::access::APPLIANCE;
use crate::store::ledger::Snapshot;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

use super::live::LiveRun;
use super::tenant_state::TenantState;

/// Returns the identity that the steps of a workflow act as, if it names one that may call
/// `activity` now.
pub(super) fn authorised(
    tenant: &TenantState,
    view: TenantView<'_>,
    workflow: &Workflow,
    activity: &str,
) -> Result<Option<Identity>, Failure> {
    let Some(name) = workflow.executing_agent() else { return Ok(None) };
    let identity = identity(tenant, view, name).map_err(|error| unreadable(&error))?;
    let identity = identity.map_err(|why| unauthorized(name, &why.to_string()))?;
    // One that is gone fails by itself, and says so better.
    let found = tenant.find_activity(activity, None, tenant.shared.clock.now());
    let spec = found.ok().map(|found| found.spec());
    if let Some(scope) = spec.as_ref().and_then(|spec| identity.lacks(spec)) {
        let why = format!("lacks the scope `{scope}` that `{activity}` needs");
        return Err(unauthorized(name, &why));
    }
    Ok(Some(identity))
}

fn identity(
    tenant: &TenantState,
    view: TenantView<'_>,
    name: &str,
) -> Result<Result<Identity, crate::activities::identity::Unusable>, StoreError> {
    let store = &*tenant.shared.store;
    let snapshot = Snapshot::of(store, store.directory().place(APPLIANCE.0))?;
    let access = TenantView::new(APPLIANCE, &snapshot);
    Registers { access, tenant: view, now: tenant.shared.clock.now() }.identity(name)
}

fn unreadable(error: &StoreError) -> Failure {
    Failure::retryable("identity_unreadable", format!("it cannot be read who acts: {error}"))
}

impl LiveRun {
    /// Returns on whose behalf a step calls `activity`.
    pub(super) fn caller_of(
        &self,
        tenant: &TenantState,
        view: TenantView<'_>,
        activity: &str,
    ) -> Result<Caller, Failure> {
        let own = self.caller(tenant);
        Ok(match authorised(tenant, view, &self.workflow, activity)? {
            Some(Identity { actor, teams, .. }) => Caller { actor, teams, ..own },
            None => own,
        })
    }

    /// Returns on whose behalf the platform puts back what a step did. Nobody needs a scope for it:
    /// what was done by somebody who may do nothing any more is undone all the same.
    pub(super) fn restorer(&self, tenant: &TenantState, view: TenantView<'_>) -> Caller {
        let own = self.caller(tenant);
        let named = self.workflow.executing_agent();
        match named.map(|name| identity(tenant, view, name)) {
            Some(Ok(Ok(Identity { actor, .. }))) => Caller { actor, ..own },
            Some(Ok(Err(_)) | Err(_)) | None => own,
        }
    }
}
