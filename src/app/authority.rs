//! Whether somebody may save a workflow: nobody gives away more than they have.
//!
//! A workflow acts as itself in the whole tenant, or as the identity that it names. Either way whoever
//! saves it must be allowed what its steps do, and names nobody who may do more than they.

use std::collections::BTreeSet;

use serde_json::Value;

use super::App;
use super::error::Error;
use super::principal::Principal;
use crate::activities::desk::find;
use crate::activities::identity::{Identity, Registers, Unusable};
use crate::domain::desk::RecordKind;
use crate::domain::problem::Problem;
use crate::domain::workflow::Workflow;
use crate::store::access::APPLIANCE;
use crate::store::tenant::{Sight, TenantView};

const AGENT: &str = "/executingAgent";

impl App {
    /// Returns what keeps `who` from saving a workflow that was sent as `document`, and what they
    /// should know of it.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub(super) fn unauthorized_parts(
        &self,
        who: &Principal,
        workflow: &Workflow,
        document: &Value,
    ) -> Result<(Vec<Problem>, Vec<Problem>), Error> {
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        let identity = match workflow.executing_agent() {
            None => None,
            Some(name) => match self.identity(who, name)? {
                Ok(identity) => {
                    problems.extend(above(who, name, &identity));
                    Some((name, identity))
                }
                Err(why) => {
                    let problem = unusable(name, why);
                    // An identifier from elsewhere is no name that somebody could take later, so
                    // that it may wait; until then its steps are refused.
                    let may_wait = why == Unusable::Unknown
                        && !name.contains(['@', ':'])
                        && who.teams.is_empty();
                    if may_wait { &mut warnings } else { &mut problems }.push(problem);
                    None
                }
            },
        };
        problems.extend(self.read(who, |view| team_problem(view, who, workflow))?);
        let catalogue = self.catalogue(who.tenant);
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
        Ok((problems, warnings))
    }

    fn identity(&self, who: &Principal, name: &str) -> Result<Result<Identity, Unusable>, Error> {
        self.read_of(APPLIANCE, |access| {
            self.read(who, |tenant| {
                Ok(Registers { access, tenant, now: self.now() }.identity(name)?)
            })
        })
    }
}

fn unusable(name: &str, why: Unusable) -> Problem {
    let code = match why {
        Unusable::Unknown => "unknown_identity",
        Unusable::Ambiguous | Unusable::WithoutAccount | Unusable::Disabled | Unusable::Expired => {
            "unusable_identity"
        }
    };
    let hint = "name a person by mail address, or a key as `key:deploy`; until then every step of \
                the workflow fails with `unauthorized`";
    Problem::new(AGENT, code, format!("`{name}` {why}")).with_hint(hint)
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

fn team_problem(
    view: TenantView<'_>,
    who: &Principal,
    workflow: &Workflow,
) -> Result<Option<Problem>, Error> {
    if who.teams.is_empty() {
        return Ok(None);
    }
    if let Some(team) = workflow.team()
        && !is_of(view, who, team)?
    {
        let detail = format!("you are not of the team `{team}`");
        return Ok(Some(Problem::new("/teamId", "unauthorized", detail)));
    }
    Ok(workflow.executing_agent().is_none().then(|| {
        let detail = "you are limited to teams, and a workflow that acts as itself is not";
        Problem::new(AGENT, "identity_needed", detail).with_hint("name yourself by mail address")
    }))
}

/// Returns what somebody who is limited to teams does not see: the workflows of other teams.
pub(super) fn sight(view: TenantView<'_>, who: &Principal) -> Result<Sight, Error> {
    let mut hidden = BTreeSet::new();
    for row in view.workflows()? {
        let newest = view.version(&row.name, row.newest)?;
        let team = newest.as_ref().and_then(|it| it.definition["teamId"].as_str());
        let Some(team) = team.filter(|team| !team.is_empty()) else { continue };
        if !is_of(view, who, team)? {
            hidden.insert(row.name);
        }
    }
    let mut teams: BTreeSet<String> = who.teams.iter().cloned().collect();
    for team in &who.teams {
        let Some(record) = find(&view, RecordKind::Team, team)? else { continue };
        let names = ["id", "identifier", "name"].iter().filter_map(|name| record.get(*name));
        teams.extend(names.filter_map(Value::as_str).map(str::to_owned));
    }
    Ok(Sight { hidden, teams })
}

/// Returns whether somebody is of the team that a definition names by id, identifier or name.
fn is_of(view: TenantView<'_>, who: &Principal, team: &str) -> Result<bool, Error> {
    if who.sees_team(team) {
        return Ok(true);
    }
    let record = find(&view, RecordKind::Team, team)?;
    let id = record.as_ref().and_then(|record| record.get("id")).and_then(Value::as_str);
    Ok(id.is_some_and(|id| who.sees_team(id)))
}

impl App {
    /// Checks that somebody sees a workflow that they want to change; one that does not exist is
    /// seen.
    ///
    /// # Errors
    /// `NotFound` for a workflow of another team.
    pub(super) fn check_sight(&self, who: &Principal, workflow: &str) -> Result<(), Error> {
        if self.read(who, |view| Ok(view.sees_workflow(workflow)))? {
            return Ok(());
        }
        Err(Error::NotFound { what: "workflow", id: workflow.to_owned() })
    }
}
