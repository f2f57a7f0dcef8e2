//! What is used by which workflows: connections, secrets and activities, as their present versions
//! name them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::activities::Activity;
use crate::activities::installed::Installed;
use crate::domain::activity::custom::Account;
use crate::domain::expression::Template;
use crate::domain::time::Timestamp;
use crate::domain::workflow::secrets::names;
use crate::domain::workflow::{Action, Step, Undo};
use crate::engine::Engine;

/// A workflow that uses something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UseView {
    /// Its name.
    pub workflow: String,
    /// Its name for people.
    pub title: String,
    /// Whether events start it.
    pub active: bool,
    /// The ids of the steps that use it, in their order.
    pub steps: Vec<String>,
}

/// Which workflows use what, each list by the name of what is used.
#[derive(Clone, Debug, Default)]
pub struct Uses {
    connections: BTreeMap<String, Vec<UseView>>,
    secrets: BTreeMap<String, Vec<UseView>>,
    activities: BTreeMap<String, Vec<UseView>>,
}

impl Uses {
    /// Returns the workflows with a step that calls over a connection: one that names it, or that
    /// takes it because it is the only one of its app.
    #[must_use]
    pub fn of_connection(&self, name: &str) -> &[UseView] {
        self.connections.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the workflows with a step that sends a secret.
    #[must_use]
    pub fn of_secret(&self, name: &str) -> &[UseView] {
        self.secrets.get(name).map_or(&[], Vec::as_slice)
    }

    /// Returns the workflows with a step that calls an activity, also to be undone.
    #[must_use]
    pub fn of_activity(&self, identifier: &str) -> &[UseView] {
        self.activities.get(identifier).map_or(&[], Vec::as_slice)
    }
}

impl App {
    /// Returns what the present version of every workflow uses.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn uses(&self, who: &Principal) -> Result<Uses, Error> {
        let (installed, now) = (self.engine().installed(who.tenant), self.now());
        self.read(who, |view| {
            let mut of_app: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for row in view.connections()? {
                of_app.entry(row.app).or_default().push(row.name);
            }
            let mut uses = Uses::default();
            for row in view.workflows()?.into_iter().filter(|row| row.deleted_at.is_none()) {
                let Some(version) = view.version(&row.name, row.version)? else { continue };
                // One that cannot be read any more uses nothing.
                let Ok(workflow) = Engine::compile(&version) else { continue };
                let one = UseView {
                    workflow: row.name,
                    title: workflow.title.clone(),
                    active: row.active,
                    steps: Vec::new(),
                };
                for step in workflow.all_steps() {
                    for (activity, input) in calls_of(step) {
                        note(&mut uses.activities, activity, &one, &step.id);
                        for secret in names(input) {
                            note(&mut uses.secrets, &secret, &one, &step.id);
                        }
                        let input = input.source();
                        let over = connection_of(&installed, (activity, now), input, &of_app);
                        if let Some(connection) = over {
                            note(&mut uses.connections, &connection, &one, &step.id);
                        }
                    }
                }
            }
            Ok(uses)
        })
    }
}

fn calls_of(step: &Step) -> impl Iterator<Item = (&str, &Template)> {
    let does = match &step.action {
        Action::Call { activity, input, .. } => Some((activity.as_str(), input)),
        _ => None, // Nothing else calls anything.
    };
    let undoes = match &step.compensate {
        Undo::Call { activity, input, .. } => Some((activity.as_str(), input)),
        Undo::Auto | Undo::None => None,
    };
    does.into_iter().chain(undoes)
}

fn note(all: &mut BTreeMap<String, Vec<UseView>>, name: &str, one: &UseView, step: &str) {
    let users = all.entry(name.to_owned()).or_default();
    if users.last().is_none_or(|last| last.workflow != one.workflow) {
        users.push(one.clone());
    }
    if let Some(last) = users.last_mut()
        && !last.steps.iter().any(|known| known == step)
    {
        last.steps.push(step.to_owned());
    }
}

/// Returns the connection that a call goes over, where that can be told from its definition.
fn connection_of(
    installed: &Installed,
    (activity, now): (&str, Timestamp),
    input: &Value,
    of_app: &BTreeMap<String, Vec<String>>,
) -> Option<String> {
    if let Some(named) = input.get("connection").and_then(Value::as_str) {
        return Some(named.to_owned());
    }
    let Ok(Activity::Outside(activity)) = installed.find(activity, None, now) else { return None };
    match activity.account() {
        Account::Connection(name) => Some(name),
        Account::Nobody => match of_app.get(activity.app_for(input)?)?.as_slice() {
            [only] => Some(only.clone()),
            _ => None, // The call itself says that it is not clear.
        },
    }
}
