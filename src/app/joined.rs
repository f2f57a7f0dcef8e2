//! The records that a workflow has joined into an event, as a run sees them or would.

use super::error::Error;
use super::views::JoinedView;
use crate::activities::desk::annotate::join;
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::workflow::Workflow;
use crate::store::runs::Given;
use crate::store::tenant::TenantView;

/// Returns what a run of the workflow would be given beside the event if it began now.
pub(super) fn joined_now(
    view: TenantView<'_>,
    workflow: &Workflow,
    event: &Event,
) -> Result<Given, Error> {
    if workflow.annotations.is_empty() {
        return Ok(Given::default());
    }
    let annotations = join(&view, &workflow.annotations, &event.to_value())?;
    Ok(Given { annotations, events: 0 })
}

/// Returns what the run was given, or, where the event started none, what is found now.
pub(super) fn joined_then(
    view: TenantView<'_>,
    workflow: &Workflow,
    event: &Event,
    run: Option<RunId>,
) -> Result<Given, Error> {
    match run.filter(|_| !workflow.annotations.is_empty()) {
        Some(run) => Ok(view.given(run)?),
        None => joined_now(view, workflow, event),
    }
}

pub(super) fn joined_views(given: &Given) -> Vec<JoinedView> {
    let views = given.annotations.iter().map(|joined| JoinedView {
        entity_type: joined.entity.clone(),
        path: joined.target.join("."),
        id: joined.value["id"].as_str().map(str::to_owned),
        reason: joined.reason.clone(),
    });
    views.collect()
}
