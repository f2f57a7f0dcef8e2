//! Checks what the steps of a definition do together: times that cannot hold, ways that are never
//! taken, and words that change nothing.

use std::time::Duration;

use super::check::Subject;
use super::condition::read;
use super::fit::meant_path;
use super::nesting::Inner;
use super::step::{Draft, gather};
use super::trigger::{DraftTrigger, Trigger};
use super::{Action, Approval, Undo};
use crate::domain::activity::{Compensation, Reach};
use crate::domain::expression::Template;
use crate::domain::problem::{Problem, pointer_to};
use crate::domain::time::{format_duration, parse_duration};

impl Subject<'_> {
    pub(super) fn check_structure(&self) {
        for draft in self.all() {
            self.check_retry(draft);
            self.check_needless_undo(draft);
            if let Some(Some(approval)) = &draft.approval.approval {
                self.check_approval(approval, &draft.approval.at);
            }
            if let Some(Inner::Branch(cases)) = &draft.inner {
                let mut is_decided = false;
                for case in cases {
                    if is_decided {
                        let detail = "a case before it always holds";
                        self.findings.warning(Problem::new(&*case.at, "unreachable", detail));
                    }
                    is_decided |= match &case.condition {
                        Some(Some(filter)) => read(filter.value.source(), "").truth() == Some(true),
                        Some(None) => true,
                        None => false, // It could not be read.
                    };
                }
            }
        }
        if let Some(timeout) = self.timeout {
            self.check_times(timeout);
        }
        if let Some((concurrency, at)) = self.concurrency {
            self.check_key(&concurrency.key, &pointer_to(at, "key"));
        }
        for draft in self.triggers {
            self.check_gates(draft);
        }
    }

    fn check_gates(&self, draft: &DraftTrigger) {
        let Some(Trigger::Event { gates: Some(gates), .. }) = &draft.trigger else { return };
        for key in gates.keys() {
            self.check_key(key, &draft.gates_at);
        }
    }

    /// One key for all is a choice; a path without its braces is a mistake.
    fn check_key(&self, key: &Template, at: &str) {
        let text = key.constant().and_then(|key| key.as_str());
        if let Some(meant) = text.and_then(meant_path) {
            let detail = "the key is this text for every event, not the value of the path";
            let problem = Problem::new(at, "constant_key", detail);
            self.findings.warning(problem.with_hint(format!("write {{{{ {meant} }}}}")));
        }
    }

    fn check_retry(&self, draft: &Draft) {
        let (Some(spec), Some(retry), Some(at)) = (&draft.spec, &draft.retry, &draft.retry_at)
        else {
            return;
        };
        if spec.reach == Reach::Platform && retry.attempts > 1 && *retry != spec.retry {
            let detail = format!("`{}` acts inside the platform, where nothing passes", draft.id);
            self.findings.warning(Problem::new(&**at, "needless_retry", detail));
        }
    }

    fn check_needless_undo(&self, draft: &Draft) {
        let Some(spec) = &draft.spec else { return };
        let is_call = matches!(draft.undo, Some(Undo::Call { .. }));
        if is_call && spec.compensation == Compensation::NotNeeded {
            let detail = format!("`{}` only reads or computes; there is nothing to undo", draft.id);
            let at = draft.undo_at.as_ref().unwrap_or(&draft.at);
            self.findings.warning(Problem::new(&**at, "needless_undo", detail));
        }
    }

    fn check_approval(&self, approval: &Approval, at: &str) {
        if let Some(escalation) = &approval.escalate {
            let nobody = escalation.to.constant().and_then(|to| to.as_array());
            if nobody.is_some_and(Vec::is_empty) {
                let detail = "the escalation asks nobody";
                self.findings.warning(Problem::new(at, "no_approver", detail));
            }
        }
        let Some(timeout) = approval.timeout else { return };
        let later = [approval.reminder, approval.escalate.as_ref().map(|it| it.after)];
        for pause in later.into_iter().flatten().filter(|pause| *pause >= timeout) {
            let detail = format!(
                "after {} it is decided already, so that nothing happens after {}",
                format_duration(timeout),
                format_duration(pause)
            );
            let problem = Problem::new(at, "timeout_exceeds", detail);
            self.findings.warning(problem.with_hint("remind and escalate before the timeout"));
        }
    }

    /// Compares every pause with the time that the run has.
    fn check_times(&self, timeout: Duration) {
        let mut all = Vec::new();
        gather(self.drafts, &mut all);
        for draft in all {
            let standard = draft.spec.as_ref().map(|spec| spec.timeout);
            let own = draft.timeout.filter(|own| Some(*own) != standard);
            if let (Some(at), Some(own)) = (&draft.timeout_at, own.filter(|own| *own > timeout)) {
                self.tell_exceeding("an attempt may take", own, timeout, at);
            }
            if let Some(Action::Wait(wait)) = &draft.action
                && let Some(own) = wait.timeout.filter(|own| *own >= timeout)
            {
                self.tell_exceeding("it waits", own, timeout, &draft.at);
            }
            if let Some(Some(approval)) = &draft.approval.approval
                && let Some(own) = approval.timeout.filter(|own| *own >= timeout)
            {
                self.tell_exceeding("it waits", own, timeout, &draft.approval.at);
            }
        }
        self.check_sleeps(timeout);
    }

    fn tell_exceeding(&self, what: &str, own: Duration, timeout: Duration, at: &str) {
        let (own, timeout) = (format_duration(own), format_duration(timeout));
        let detail = format!("{what} {own}, but the run ends with `timeout` after {timeout}");
        self.findings.warning(Problem::new(at, "timeout_exceeds", detail));
    }

    /// The sleeps that every run comes to add up; one that a condition may skip counts for itself.
    fn check_sleeps(&self, timeout: Duration) {
        let is_sequence = self.drafts.iter().all(|draft| draft.dependencies.is_empty());
        let mut slept = Duration::ZERO;
        let mut all = Vec::new();
        gather(self.drafts, &mut all);
        for draft in all {
            let Some(length) = slept_by(draft) else { continue };
            let is_sure = draft.condition.as_ref().is_some_and(Option::is_none)
                && self.drafts.iter().any(|top| std::ptr::eq(top, draft));
            let counted = is_sure && is_sequence;
            slept = if counted { slept.saturating_add(length) } else { slept };
            let whole = if counted { slept } else { length };
            if whole < timeout {
                continue;
            }
            let (told, limit) = (format_duration(whole), format_duration(timeout));
            let detail = format!("the run sleeps {told}, but ends with `timeout` after {limit}");
            let problem = Problem::new(&*draft.at, "timeout_exceeds", detail);
            return self.findings.warning(problem);
        }
    }
}

fn slept_by(draft: &Draft) -> Option<Duration> {
    let Some(Action::Sleep { duration }) = &draft.action else { return None };
    let value = duration.constant()?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    parse_duration(&text).ok()
}
