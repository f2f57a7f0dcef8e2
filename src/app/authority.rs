//! Whether somebody may save a workflow: nobody gives away more than they have.
//!
//! A workflow acts as itself in the whole tenant, or as the identity that it names. Either way whoever
//! saves it must be allowed what its steps do, and names nobody who may do more than they.

use serde_json::Value;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::activities::identity::{Identity, Registers, Unusable};
use crate::domain::problem::Problem;
use crate::domain::workflow::Workflow;
use crate::store::access::APPLIANCE;

const AGENT: &str = "/executingAgent";

impl App {
    /// Returns what keeps `who` from saving a workflow that was sent as `document`.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub(super) fn unauthorized_parts(
        &self,
        who: &Principal,
        workflow: &Workflow,
        document: &Value,
    ) -> Result<Vec<Problem>, Error> {
        let mut problems = Vec::new();
        let identity = match workflow.executing_agent() {
            None => None,
            Some(name) => match self.identity(who, name)? {
                Ok(identity) => {
                    problems.extend(above(who, name, &identity));
                    Some((name, identity))
                }
                Err(why) => {
                    let code = if why == Unusable::Unknown {
                        "unknown_identity"
                    } else {
                        "unusable_identity"
                    };
                    let hint = "name a person by mail address, or a key as `key:deploy`";
                    let problem = Problem::new(AGENT, code, format!("`{name}` {why}"));
                    problems.push(problem.with_hint(hint));
                    None
                }
            },
        };
        problems.extend(team_problem(who, workflow));
        let catalogue = self.engine().activities().catalogue();
        for used in workflow.uses(document) {
            let Some(spec) = catalogue.find(used.activity) else { continue };
            if let Some(scope) = spec.scopes.iter().find(|scope| !who.scopes.allow(scope)) {
                let detail =
                    format!("`{}` needs the scope `{scope}`, which you lack", used.activity);
                problems.push(Problem::new(used.pointer, "unauthorized", detail));
                continue;
            }
            if let Some((name, scope)) =
                identity.as_ref().and_then(|(name, own)| Some((name, own.lacks(spec)?)))
            {
                let detail =
                    format!("`{}` needs the scope `{scope}`, which `{name}` lacks", used.activity);
                problems.push(Problem::new(used.pointer, "unauthorized", detail));
            }
        }
        Ok(problems)
    }

    fn identity(&self, who: &Principal, name: &str) -> Result<Result<Identity, Unusable>, Error> {
        self.read_of(APPLIANCE, |access| {
            self.read(who, |tenant| {
                Ok(Registers { access, tenant, now: self.now() }.identity(name)?)
            })
        })
    }
}

/// Says by what the identity is above whoever names it.
fn above(who: &Principal, name: &str, identity: &Identity) -> Option<Problem> {
    let excess = identity.scopes.as_slice().iter().find(|scope| !who.scopes.cover(scope));
    let is_wider = !who.teams.is_empty()
        && (identity.teams.is_empty() || !identity.teams.iter().all(|team| who.sees_team(team)));
    let detail = match (excess, is_wider) {
        (Some(scope), _) => format!("`{name}` has the scope `{scope}`, which you lack"),
        (None, true) => format!("`{name}` sees teams that you do not"),
        (None, false) => return None,
    };
    let problem = Problem::new(AGENT, "identity_above_you", detail);
    Some(problem.with_hint("name somebody who may do no more than you, such as yourself"))
}

fn team_problem(who: &Principal, workflow: &Workflow) -> Option<Problem> {
    if who.teams.is_empty() {
        return None;
    }
    if let Some(team) = workflow.team().filter(|team| !who.sees_team(team)) {
        return Some(Problem::new(
            "/teamId",
            "unauthorized",
            format!("you are not of the team `{team}`"),
        ));
    }
    workflow.executing_agent().is_none().then(|| {
        let detail = "you are limited to teams, and a workflow that acts as itself is not";
        Problem::new(AGENT, "identity_needed", detail).with_hint("name yourself by mail address")
    })
}

impl Principal {
    /// Returns whether it sees a workflow, and its runs: one of another team is hidden from whoever
    /// is limited to some.
    #[must_use]
    pub fn sees_workflow(&self, definition: &Value) -> bool {
        let team = definition["teamId"].as_str().unwrap_or_default();
        team.is_empty() || self.sees_team(team)
    }
}
