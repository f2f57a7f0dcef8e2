//! Says for each workflow that listens to an event's type why it did or did not start.

use serde_json::json;

use super::App;
use super::error::Error;
use super::events::stored_event;
use super::joined::{joined_then, joined_views};
use super::principal::Principal;
use super::views::Explanation;
use crate::domain::id::RunId;
use crate::domain::scope::Scope;
use crate::engine::Engine;
use crate::store::events::StoredEvent;
use crate::store::runs::RunRow;
use crate::store::tenant::TenantView;
use crate::store::workflows::{VersionRow, WorkflowRow};

/// The outcomes that reasons begin with.
const WORDS: [&str; 6] = ["limited", "duplicate", "delayed", "batched", "loop", "other-team"];

impl App {
    /// Explains one event.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such event.
    pub fn explain_event(&self, who: &Principal, id: &str) -> Result<Vec<Explanation>, Error> {
        self.read(who, |view| {
            let stored = stored_event(view, id)?;
            let scope = Scope::of_event(stored.event.to_value());
            let mut started = Vec::new();
            for run in &stored.runs {
                started.extend(view.run(*run)?);
            }
            let mut explanations = Vec::new();
            for workflow in view.workflows()? {
                explanations.extend(explain(view, &stored, &scope, &started, &workflow)?);
            }
            Ok(explanations)
        })
    }
}

fn explain(
    view: TenantView<'_>,
    stored: &StoredEvent,
    scope: &Scope,
    started: &[RunRow],
    row: &WorkflowRow,
) -> Result<Option<Explanation>, Error> {
    let run = started.iter().find(|run| run.head.workflow == row.name).map(|run| &run.head);
    if run.is_none() && row.deleted_at.is_some() {
        return Ok(None);
    }
    let Some(version) = version_of_then(view, stored, row, run.map(|run| run.version))? else {
        return Ok(None);
    };
    let workflow = Engine::compile(&version)?;
    let given = joined_then(view, &workflow, &stored.event, run.map(|run| run.id))?;
    let own;
    let scope = match given.annotations.is_empty() {
        true => scope,
        false => {
            own = Scope::of_event(given.seen(&stored.event));
            &own
        }
    };
    let traces = workflow.filters_of(&stored.event.kind).map(|filter| filter.trace(scope));
    // Of several triggers the one that matched tells why, else the first.
    let trace = traces.reduce(|first, other| if first.result { first } else { other });
    // A run that was asked for by name needs no trigger; others do not listen.
    if trace.is_none() && run.is_none() {
        return Ok(None);
    }
    let matches = trace.as_ref().is_none_or(|trace| trace.result);
    let (outcome, reason) = outcome(stored, row, &version, run.map(|run| run.id), matches);
    Ok(Some(Explanation {
        workflow: row.name.clone(),
        version: version.version,
        outcome: outcome.to_owned(),
        reason,
        run_id: run.map(|run| run.id),
        trace: json!(trace),
        annotations: joined_views(&given),
    }))
}

/// The version that the run follows, else the newest that was saved before the event came, else
/// the present one.
fn version_of_then(
    view: TenantView<'_>,
    stored: &StoredEvent,
    row: &WorkflowRow,
    ran: Option<u32>,
) -> Result<Option<VersionRow>, Error> {
    if let Some(version) = ran {
        return Ok(view.version(&row.name, version)?);
    }
    let present = view.version(&row.name, row.version)?;
    if present.as_ref().is_some_and(|version| version.created_at <= stored.received_at) {
        return Ok(present);
    }
    let mut earlier = view.versions(&row.name)?.into_iter();
    let then = earlier.find(|version| version.created_at <= stored.received_at);
    Ok(then.or(present))
}

fn outcome(
    stored: &StoredEvent,
    row: &WorkflowRow,
    version: &VersionRow,
    run: Option<RunId>,
    matches: bool,
) -> (&'static str, String) {
    if run.is_some() {
        return ("started", "its trigger matched and a run was started".to_owned());
    }
    if let Some((_, reason)) = stored.withheld.iter().find(|(name, _)| *name == row.name) {
        let word = reason.split(':').next().and_then(|word| WORDS.iter().find(|it| **it == word));
        return (word.copied().unwrap_or("limited"), reason.clone());
    }
    if version.created_at > stored.received_at {
        let reason = format!("version {} was saved after the event came", version.version);
        return ("newer", reason);
    }
    if !matches {
        return ("filtered", "its filter did not hold; the trace says where".to_owned());
    }
    if !row.active {
        return ("inactive", "it is not active".to_owned());
    }
    ("newer", "it was made active after the event came".to_owned())
}
