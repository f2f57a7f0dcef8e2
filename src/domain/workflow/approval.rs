//! Reads the gate before a step, in this product's spelling or Thena's, and writes it back.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fields::{Field, Fields};
use super::parse::Reading;
use super::{Approval, Escalation, OnSilence, ThenaStep};
use crate::domain::expression::Template;
use crate::domain::time::format_duration;

/// A gate and where it stands; the inner `None` is no gate.
pub(super) struct DraftApproval {
    pub(super) at: String,
    pub(super) approval: Option<Option<Approval>>,
}

impl<'a> Reading<'a> {
    pub(super) fn approval(&self, fields: &mut Fields<'a>, kept: &mut ThenaStep) -> DraftApproval {
        let native = fields.take(&["approval", "approve"]);
        let asked = fields.take(&["requireApproval"]);
        let approver = fields.take(&["approver"]);
        kept.approver = approver.as_ref().map(|field| field.value.clone());
        let asks = asked.as_ref().map_or(Some(false), Field::truth);
        let at = native.as_ref().or(asked.as_ref()).map_or_else(String::new, |f| f.at.clone());
        let approval = match (native, asks) {
            (_, None) => None,
            (Some(field), Some(_)) if !super::fields::is_off(field.value) => {
                self.native_approval(&field).map(Some)
            }
            (_, Some(false)) => Some(None),
            (_, Some(true)) => {
                let names = approver.as_ref().map(|field| named(field.value)).unwrap_or_default();
                let names = Value::Array(names.into_iter().map(Value::String).collect());
                let at = approver.map_or_else(|| at.clone(), |field| field.at);
                self.findings.keep(Template::parse(&names, &at)).map(|approvers| {
                    Some(Approval {
                        approvers,
                        timeout: None,
                        on_timeout: OnSilence::Reject,
                        reminder: None,
                        escalate: None,
                        reason: None,
                    })
                })
            }
        };
        DraftApproval { at, approval }
    }

    fn native_approval(&self, field: &Field<'a>) -> Option<Approval> {
        let everybody = || Template::parse(&json!([]), "").ok();
        if field.value.as_bool() == Some(true) {
            return Some(Approval {
                approvers: everybody()?,
                timeout: None,
                on_timeout: OnSilence::Reject,
                reminder: None,
                escalate: None,
                reason: None,
            });
        }
        let mut fields = field.object()?;
        let approvers = fields.take(&["approvers", "approver"]);
        let timeout = fields.take(&["timeout"]);
        let on_timeout = fields.take(&["onTimeout"]);
        let reminder = fields.take(&["reminder", "remind"]);
        let escalate = fields.take(&["escalate"]);
        let reason = fields.take(&["reason", "message"]);
        fields.close();
        let approvers = approvers.map_or_else(everybody, |field| self.approvers(&field));
        let timeout = timeout.map_or(Some(None), |field| self.pause(&field).map(Some));
        let on_timeout = on_timeout.map_or(Some(OnSilence::Reject), |field| {
            field.choice(&[("reject", OnSilence::Reject), ("approve", OnSilence::Approve)])
        });
        let reminder = reminder.map_or(Some(None), |field| self.pause(&field).map(Some));
        let escalate = escalate.map_or(Some(None), |field| self.escalation(&field).map(Some));
        let reason = reason
            .map_or(Some(None), |field| field.text().and_then(|_| self.template(&field)).map(Some));
        Some(Approval {
            approvers: approvers?,
            timeout: timeout?,
            on_timeout: on_timeout?,
            reminder: reminder?,
            escalate: escalate?,
            reason: reason?,
        })
    }

    fn escalation(&self, field: &Field<'a>) -> Option<Escalation> {
        let mut fields = field.object()?;
        let after = fields.need(&["after"], "say how long after the asking, such as 4h");
        let to = fields.need(&["to"], "name who is asked as well");
        fields.close();
        let after = after.and_then(|field| self.pause(&field));
        let to = to.and_then(|field| self.approvers(&field));
        Some(Escalation { after: after?, to: to? })
    }

    /// Reads one name or a list of names, each with a kind that is known.
    fn approvers(&self, field: &Field<'a>) -> Option<Template> {
        if let Some(list) = field.value.as_array() {
            for name in field.elements(list) {
                self.approver(&name)?;
            }
            return self.template(field);
        }
        self.approver(field)?;
        if field.value.as_str().is_some_and(|text| text.contains("{{")) {
            return self.template(field); // It may be a list once it is rendered.
        }
        self.findings.keep(Template::parse(&json!([field.value]), &field.at))
    }

    fn approver(&self, field: &Field<'a>) -> Option<()> {
        let text = field.text()?;
        let is_known = text.contains("{{")
            || text.contains('@')
            || ["role:", "key:", "user:", "team:"]
                .iter()
                .any(|kind| text.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
        if is_known {
            return Some(());
        }
        let problem = field.problem("not_allowed", format!("`{text}` names no approver"));
        field.report(problem.with_hint("such as role:lead, ada@example.com or key:deploy"))
    }
}

/// Finds the names in what Thena calls the approver, whose shape its documents leave open.
fn named(approver: &Value) -> Vec<String> {
    match approver {
        Value::String(name) if !name.is_empty() => vec![name.clone()],
        Value::Array(names) => names.iter().flat_map(named).collect(),
        Value::Object(fields) => {
            let text = |name: &str| fields.get(name).and_then(Value::as_str);
            let role = text("role").map(|role| format!("role:{role}"));
            let listed = ["approvers", "users", "emails"].iter().filter_map(|it| fields.get(*it));
            let listed = listed.flat_map(named);
            let single = ["email", "userEmail", "id", "userId"].iter().find_map(|it| text(it));
            single.map(str::to_owned).into_iter().chain(role).chain(listed).collect()
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Returns the canonical JSON of a gate.
pub(super) fn native_approval(approval: &Approval) -> Value {
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| drop(body.insert(key.to_owned(), value));
    let pause = |duration: Duration| json!(format_duration(duration));
    set("approvers", approval.approvers.source().clone());
    if let Some(timeout) = approval.timeout {
        set("timeout", pause(timeout));
    }
    set("onTimeout", json!(approval.on_timeout));
    if let Some(reminder) = approval.reminder {
        set("reminder", pause(reminder));
    }
    if let Some(Escalation { after, to }) = &approval.escalate {
        set("escalate", json!({ "after": pause(*after), "to": to.source() }));
    }
    if let Some(reason) = &approval.reason {
        set("reason", reason.source().clone());
    }
    Value::Object(body)
}
