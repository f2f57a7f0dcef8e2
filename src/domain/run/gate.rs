//! Approvals: who is asked, who is reminded, and what follows from a decision or from silence.

use serde_json::Value;

use super::decide::Deciding;
use super::doing::Doing;
use super::entry::{Decision, Entry, Failure};
use super::next::unrendered;
use crate::domain::expression::Template;
use crate::domain::workflow::{Approval, OnSilence, Step};

/// Who decides when nobody does.
const SILENCE: &str = "timeout";

impl Deciding<'_> {
    pub(super) fn ask(&mut self, step: &Step, path: &str, approval: &Approval) {
        let asked = self.names(path, &approval.approvers).and_then(|approvers| {
            let reason = match &approval.reason {
                Some(reason) => Some(
                    self.seen_from(path, |scope| reason.render_text(scope)).map_err(unrendered)?,
                ),
                None => None,
            };
            Ok((approvers, reason))
        });
        let (approvers, reason) = match asked {
            Ok(asked) => asked,
            Err(failure) => return self.refuse(path, failure),
        };
        let after = |pause| self.now + pause;
        self.note(Entry::ApprovalRequested {
            step: path.to_owned(),
            approvers,
            reason: reason.or_else(|| (!step.title.is_empty()).then(|| step.title.clone())),
            until: approval.timeout.map(after),
            remind_at: approval.reminder.map(after),
            escalate_at: approval.escalate.as_ref().map(|escalation| after(escalation.after)),
        });
    }

    pub(super) fn decided(
        &mut self,
        step: String,
        decision: Decision,
        by: String,
        comment: String,
    ) {
        let failure = match (decision, by.as_str()) {
            (Decision::Approved, _) => None,
            (Decision::Rejected, SILENCE) => {
                Some(Failure::terminal("approval_timeout", "nobody decided in time"))
            }
            (Decision::Rejected, by) => {
                let said = if comment.is_empty() { String::new() } else { format!(": {comment}") };
                Some(Failure::terminal("rejected", format!("rejected by {by}{said}")))
            }
        };
        self.note(Entry::ApprovalDecided { step: step.clone(), decision, by, comment });
        if let Some(failure) = failure {
            self.refuse(&step, failure);
        }
    }

    /// Does what is due first: a reminder, an escalation, or the decision that silence means.
    pub(super) fn approval_due(&mut self, step: String) {
        let Some(Doing::Deciding(gate)) = self.run.step(&step).map(|state| &state.doing) else {
            return;
        };
        let due = gate.next_due();
        if gate.remind_at == due {
            return self.note(Entry::ApprovalReminded { step });
        }
        let escalates = gate.escalate_at == due;
        let workflow = self.workflow;
        let approval = workflow.step_at(&step).and_then(|step| step.approval.as_ref());
        if escalates {
            let to = approval.and_then(|approval| approval.escalate.as_ref());
            // Whoever cannot be named cannot be asked; those who were asked before still are.
            let to = to.and_then(|escalation| self.names(&step, &escalation.to).ok());
            return self.note(Entry::ApprovalEscalated { step, to: to.unwrap_or_default() });
        }
        let approves = approval.is_some_and(|it| it.on_timeout == OnSilence::Approve);
        let decision = if approves { Decision::Approved } else { Decision::Rejected };
        self.decided(step, decision, SILENCE.to_owned(), String::new());
    }

    /// Renders who is asked: one name, or a list of them.
    fn names(&mut self, path: &str, template: &Template) -> Result<Vec<String>, Failure> {
        let rendered = self.seen_from(path, |scope| template.render(scope)).map_err(unrendered)?;
        let names = match rendered {
            Value::String(name) => vec![Value::String(name)],
            Value::Array(names) => names,
            _ => return Err(no_names()),
        };
        names.iter().map(|name| name.as_str().map(str::to_owned).ok_or_else(no_names)).collect()
    }
}

fn no_names() -> Failure {
    let message = "approvers are names such as role:lead, a mail address, or key:deploy";
    Failure::terminal("invalid_approvers", message)
}
