//! Which workflows listen to which events, ready to be asked.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tracing::warn;

use crate::domain::workflow::{Trigger, Workflow};
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

/// An active workflow that may listen to an event type.
#[derive(Clone)]
pub(super) struct Listener {
    pub(super) workflow: Arc<Workflow>,
    pub(super) version: u32,
}

/// The active workflows of a tenant by the event type that they listen to.
#[derive(Default)]
pub(super) struct Listeners {
    by_kind: HashMap<String, Vec<Listener>>,
    by_name: BTreeMap<String, Listener>,
    /// Those that wait for a lasting state.
    watchers: Vec<Listener>,
}

impl Listeners {
    /// Reads every active workflow. One that can no longer be understood is left out and named in
    /// the log: it must not keep the others from running.
    pub(super) fn read(
        view: TenantView<'_>,
        definition: impl Fn(&str, u32) -> Result<Option<Arc<Workflow>>, StoreError>,
    ) -> Result<Listeners, StoreError> {
        let mut listeners = Listeners::default();
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
            listeners.add(Listener { version: row.version, workflow });
        }
        Ok(listeners)
    }

    fn add(&mut self, listener: Listener) {
        let workflow = &listener.workflow;
        for kind in workflow.event_kinds() {
            self.by_kind.entry(kind.to_owned()).or_default().push(listener.clone());
        }
        if workflow.triggers.iter().any(|trigger| matches!(trigger, Trigger::Lasting(_))) {
            self.watchers.push(listener.clone());
        }
        self.by_name.insert(workflow.name.clone(), listener);
    }

    /// Returns an active workflow by its name.
    pub(super) fn named(&self, name: &str) -> Option<&Listener> {
        self.by_name.get(name)
    }

    /// Returns the workflows that wait for a lasting state.
    pub(super) fn watchers(&self) -> &[Listener] {
        &self.watchers
    }

    /// Returns the names of the workflows whose triggers remember anything between events.
    pub(super) fn remembering(&self) -> impl Iterator<Item = &str> {
        let remembering = self.by_name.values().filter(|listener| listener.workflow.remembers());
        remembering.map(|listener| listener.workflow.name.as_str())
    }

    /// Returns the workflows that listen to `kind`.
    pub(super) fn of(&self, kind: &str) -> &[Listener] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }
}
