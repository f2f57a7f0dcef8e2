//! Approvals: listed, and decided by whoever may.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::{Kind, Principal};
use super::views::{ApprovalView, Page, RunView};
use crate::domain::id::RunId;
use crate::domain::role::Role;
use crate::domain::run::{Decision, Doing, Input};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::engine::Engine;
use crate::store::approvals::{ApprovalList, ApprovalRow};
use crate::store::tenant::TenantView;

/// How many approvals a list looks at for one page; a page may have fewer than its limit then.
const LOOKED_AT_MAX: usize = 1_000;
const CHUNK: usize = 100;

/// What somebody decides about a step that needs approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How.
    pub decision: Decision,
    /// What they say of it.
    pub comment: String,
}

/// Which approvals are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approvals {
    /// Those about which somebody may still decide.
    Pending,
    /// Those among them about which the caller may.
    Mine,
    /// Those that are over.
    Decided,
}

/// An approval with what somebody wants to know before they decide.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AskedView {
    /// The approval.
    #[serde(flatten)]
    pub approval: ApprovalView,
    /// What the event is about that started the run.
    pub subject: Option<String>,
    /// Whether the caller may decide about it now.
    pub may_decide: bool,
    /// When others are asked as well if nobody has decided.
    pub escalates_at: Option<Timestamp>,
}

impl App {
    /// Lists approvals, those of the newest runs first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn approvals(
        &self,
        who: &Principal,
        which: Approvals,
        page: &PageRequest,
    ) -> Result<Page<AskedView>, Error> {
        let mut before = page.after.as_deref().and_then(|place| {
            let (run, step) = place.split_once('/')?;
            Some((run.parse::<RunId>().ok()?, step.to_owned()))
        });
        let list = match which {
            Approvals::Pending | Approvals::Mine => ApprovalList::Open,
            Approvals::Decided => ApprovalList::Over,
        };
        self.read(who, |view| {
            let (mut data, mut looked_at) = (Vec::new(), 0);
            let mut known = Known::new();
            loop {
                let rows = view.approvals_before(list, before.as_ref(), CHUNK)?;
                let is_last = rows.len() < CHUNK;
                for row in rows {
                    if data.len() == page.limit || looked_at == LOOKED_AT_MAX {
                        let next_cursor = before.map(|(run, step)| format!("{run}/{step}"));
                        return Ok(Page { data, next_cursor });
                    }
                    looked_at += 1;
                    before = Some((row.run, row.step.clone()));
                    let is_wanted = which != Approvals::Mine || decides(who, &row);
                    if is_wanted && view.sees_workflow(&row.workflow) {
                        data.push(asked(view, who, row, &mut known)?);
                    }
                }
                if is_last {
                    return Ok(Page { data, next_cursor: None });
                }
            }
        })
    }

    /// Decides about the step of a run that waits for approval.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or step, `Conflict` when nobody is asked about the step,
    /// `Forbidden` for somebody who was not asked.
    pub async fn decide(
        &self,
        who: &Principal,
        id: RunId,
        step: &str,
        verdict: Verdict,
    ) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let unknown = || Error::NotFound { what: "step", id: step.to_owned() };
        let known = loaded.workflow.around(step).is_some();
        let state = loaded.run.step(step);
        let Some(Doing::Deciding(gate)) = state.filter(|_| known).map(|state| &state.doing) else {
            if !known {
                return Err(unknown());
            }
            let detail = match state.and_then(|state| state.decided.as_ref()) {
                Some(decided) => format!("`{step}` was decided by {}", decided.by),
                None => format!("nobody is asked about `{step}` now"),
            };
            return Err(Error::Conflict { code: "not_awaiting_approval", detail });
        };
        if !may_decide(who, &gate.approvers) {
            return Err(Error::Forbidden { scope: gate.approvers.join(" or ") });
        }
        let Verdict { decision, comment } = verdict;
        let action = match decision {
            Decision::Approved => "approval.approve",
            Decision::Rejected => "approval.reject",
        };
        self.record_change(who, Change::of(action, format!("{id}/{step}"))).await?;
        let (step, by) = (step.to_owned(), who.name.clone());
        let input = Input::Decided { step, decision, by, comment };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }
}

/// Returns whether a caller who has the scope for approvals may decide about this one. An owner
/// always may. A person must be named, by mail address or by a role; a role that is none of ours,
/// such as `role:lead`, stands for everybody who approves. A key is asked only where keys are named.
fn may_decide(who: &Principal, approvers: &[String]) -> bool {
    if who.scopes.is_owner() || approvers.is_empty() {
        return true;
    }
    match who.kind {
        Kind::Person => approvers.iter().any(|named| names_person(named, who)),
        Kind::Key | Kind::Bot | Kind::Local | Kind::Program => {
            let mut keys = approvers.iter().filter_map(|name| name.strip_prefix("key:")).peekable();
            keys.peek().is_none() || keys.any(|key| key == who.name || key == who.id)
        }
    }
}

fn names_person(named: &str, who: &Principal) -> bool {
    if let Some(role) = named.strip_prefix("role:") {
        let wanted = Role::named(role).unwrap_or(Role::Approver);
        return who.roles.contains(&wanted);
    }
    let address = named.strip_prefix("user:").unwrap_or(named);
    who.email.as_deref().is_some_and(|email| email.eq_ignore_ascii_case(address))
}

/// Workflow versions that were compiled for one list.
type Known = HashMap<(String, u32), Option<Arc<Workflow>>>;

fn decides(who: &Principal, row: &ApprovalRow) -> bool {
    who.scopes.allow("approvals:write") && may_decide(who, &row.approvers)
}

fn asked(
    view: TenantView<'_>,
    who: &Principal,
    row: ApprovalRow,
    known: &mut Known,
) -> Result<AskedView, Error> {
    let run = view.run(row.run)?.map(|run| run.head);
    let is_open = row.outcome.is_none();
    let escalates_at = match run.as_ref().filter(|_| is_open) {
        Some(head) => {
            let version = (head.workflow.clone(), head.version);
            let workflow = match known.get(&version) {
                Some(workflow) => workflow.clone(),
                None => {
                    let stored = view.version(&version.0, version.1)?;
                    // One that cannot be read must not keep the list from being shown.
                    let workflow = stored.and_then(|stored| Engine::compile(&stored).ok());
                    known.insert(version, workflow.clone());
                    workflow
                }
            };
            workflow.and_then(|workflow| {
                let approval = workflow.step_at(&row.step)?.approval.as_ref()?;
                Some(row.asked_at + approval.escalate.as_ref()?.after)
            })
        }
        None => None,
    };
    Ok(AskedView {
        subject: run.and_then(|head| head.subject),
        may_decide: is_open && decides(who, &row),
        escalates_at,
        approval: shown(row),
    })
}

fn shown(row: ApprovalRow) -> ApprovalView {
    let outcome = row.outcome;
    ApprovalView {
        run: row.run,
        step: row.step,
        workflow: row.workflow,
        status: outcome.as_ref().map_or_else(|| "pending".to_owned(), |it| it.decision.clone()),
        approvers: row.approvers,
        reason: row.reason,
        requested_at: row.asked_at,
        until: row.until,
        decided_by: outcome.as_ref().map(|it| it.by.clone()).filter(|by| !by.is_empty()),
        decided_at: outcome.as_ref().map(|it| it.at),
        comment: outcome.map(|it| it.comment).filter(|comment| !comment.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::principal::Scopes;
    use super::*;
    use crate::domain::id::TenantId;

    #[test]
    fn where_keys_are_named_only_those_decide() {
        let who = |name: &str, scope: &str| Principal {
            scopes: Scopes::new(vec![scope.to_owned()]),
            ..Principal::program(TenantId(1), name)
        };
        let asked =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (name, scope, approvers, may) in [
            ("bot", "approvals:write", asked(&[]), true),
            ("bot", "approvals:write", asked(&["role:lead"]), true),
            ("bot", "approvals:write", asked(&["key:deploy"]), false),
            ("deploy", "approvals:write", asked(&["role:lead", "key:deploy"]), true),
            ("root", "*", asked(&["key:deploy"]), true),
        ] {
            assert_eq!(may_decide(&who(name, scope), &approvers), may, "{name} {approvers:?}");
        }
    }

    #[test]
    fn a_person_decides_when_named_by_address_or_by_role() {
        let who = |roles: &[Role]| Principal {
            kind: Kind::Person,
            scopes: Scopes::of_roles(roles),
            roles: roles.to_vec(),
            email: Some("ada@example.com".to_owned()),
            ..Principal::program(TenantId(1), "Ada")
        };
        for (roles, approver, may) in [
            (&[Role::Approver][..], "role:lead", true),
            (&[Role::Approver], "role:approver", true),
            (&[Role::Approver], "role:admin", false),
            (&[Role::Approver], "Ada@example.com", true),
            (&[Role::Approver], "user:bob@example.com", false),
            (&[Role::Approver], "key:deploy", false),
            (&[Role::Owner], "key:deploy", true),
        ] {
            assert_eq!(may_decide(&who(roles), &[approver.to_owned()]), may, "{approver}");
        }
    }
}
