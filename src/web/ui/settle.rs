//! What somebody is asked on the page of a run: how it goes on, and whether the rest is undone.

use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use crate::app::views::{ApprovalView, IncidentView, RunView};

/// A step that waits for somebody.
#[derive(Clone, Debug)]
pub(super) struct Stuck {
    /// Names its form on the page.
    pub(super) anchor: String,
    pub(super) href: String,
    pub(super) sentence: String,
    pub(super) message: String,
    pub(super) since: Moment,
    pub(super) actions: [(&'static str, &'static str); 4],
}

/// Shows one.
pub(super) fn stuck(shell: &Shell, path: &str, incident: &IncidentView) -> Stuck {
    let step = &incident.step;
    let is_doubt = incident.kind == "doubt";
    Stuck {
        anchor: format!("resolve-{}", step.replace(['.', '[', ']'], "-")),
        href: shell.url(&format!("{path}/steps/{}/resolve", encoded(step))),
        sentence: match is_doubt {
            true => format!("Nobody knows whether the call of step {step} happened. Did it?"),
            false => format!("Step {step} has failed and waits for you. How does the run go on?"),
        },
        message: format!("{}: {}", incident.code, incident.message),
        since: Moment::relative(incident.since, shell.now),
        actions: match is_doubt {
            true => [
                ("complete", "It happened: go on with this output"),
                ("retry", "It did not: make the call again"),
                ("skip", "Go on without it"),
                ("fail", "End the run and undo what was done"),
            ],
            false => [
                ("retry", "Try it again"),
                ("skip", "Go on without it"),
                ("complete", "It was done by hand: go on with this output"),
                ("fail", "End the run and undo what was done"),
            ],
        },
    }
}

/// A step that waits for an approval.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    /// Names its form on the page.
    pub(super) anchor: String,
    pub(super) href: String,
    pub(super) sentence: String,
    pub(super) reason: Option<String>,
    pub(super) until: Option<Moment>,
}

/// Lists the approvals that somebody may still give, for whoever may give any.
pub(super) fn asked(shell: &Shell, path: &str, run: &RunView) -> Vec<Asked> {
    if !shell.viewer.as_ref().is_some_and(|viewer| viewer.may("approvals:write")) {
        return vec![];
    }
    let approvals = run.steps.iter().filter_map(|step| step.approval.as_ref());
    let pending = approvals.filter(|approval| approval.status == "pending");
    pending.map(|approval| one_asked(shell, path, approval)).collect()
}

fn one_asked(shell: &Shell, path: &str, approval: &ApprovalView) -> Asked {
    let step = &approval.step;
    let whom = match approval.approvers.is_empty() {
        true => String::new(),
        false => format!(" by {}", approval.approvers.join(", ")),
    };
    Asked {
        anchor: format!("decide-{}", step.replace(['.', '[', ']'], "-")),
        href: shell.url(&format!("{path}/steps/{}/decide", encoded(step))),
        sentence: format!("Step {step} waits for an approval{whom}"),
        reason: approval.reason.clone(),
        until: approval.until.map(|until| Moment::relative(until, shell.now)),
    }
}

/// Says what could not be undone, where that can be tried again.
pub(super) fn left(run: &RunView) -> Option<String> {
    let told = run.aftermath.compensation_left.iter();
    let told: Vec<String> =
        told.map(|left| format!("{} ({}: {})", left.step, left.code, left.message)).collect();
    (!told.is_empty()).then(|| told.join(", "))
}
