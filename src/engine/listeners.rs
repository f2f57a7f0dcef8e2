//! Which workflows listen to which events, ready to be asked.

use std::collections::HashMap;
use std::sync::Arc;

use tracing::warn;

use crate::domain::workflow::Workflow;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

/// An active workflow that listens to an event type.
pub(super) struct Listener {
    pub(super) workflow: Arc<Workflow>,
    pub(super) version: u32,
}

/// The active workflows of a tenant by the event type that they listen to.
#[derive(Default)]
pub(super) struct Listeners {
    by_kind: HashMap<String, Vec<Listener>>,
}

impl Listeners {
    /// Reads every active workflow. One that can no longer be understood is left out and named in
    /// the log: it must not keep the others from running.
    pub(super) fn read(
        view: TenantView<'_>,
        definition: impl Fn(&str, u32) -> Result<Option<Arc<Workflow>>, StoreError>,
    ) -> Result<Listeners, StoreError> {
        let mut by_kind: HashMap<String, Vec<Listener>> = HashMap::new();
        for row in view.workflows()? {
            if !row.active || row.deleted_at.is_some() {
                continue;
            }
            let workflow = match definition(&row.name, row.version) {
                Ok(Some(workflow)) => workflow,
                Ok(None) => continue,
                Err(error) => {
                    warn!(workflow = %row.name, version = row.version, "Leaving it out: {error}");
                    continue;
                }
            };
            for kind in workflow.event_kinds() {
                let listener = Listener { version: row.version, workflow: Arc::clone(&workflow) };
                by_kind.entry(kind.to_owned()).or_default().push(listener);
            }
        }
        Ok(Listeners { by_kind })
    }

    /// Returns the workflows that listen to `kind`.
    pub(super) fn of(&self, kind: &str) -> &[Listener] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }
}
