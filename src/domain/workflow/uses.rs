//! Which activities a workflow uses, and where its definition says so.

use serde_json::Value;

use super::{Action, Step, Undo, Workflow};

/// An activity with the place in the definition that names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use<'w> {
    /// A pointer into the document that was sent.
    pub pointer: String,
    /// The activity's identifier.
    pub activity: &'w str,
}

impl Workflow {
    /// Returns every activity that steps and their compensations call; `document` is the definition
    /// as it was sent, in this product's spelling or Thena's.
    #[must_use]
    pub fn uses(&self, document: &Value) -> Vec<Use<'_>> {
        let mut found = Vec::new();
        match document.get("workflowDefinition") {
            Some(_) => {
                for (index, step) in self.steps.iter().enumerate() {
                    let at = format!("/workflowDefinition/{index}");
                    let name = "activity/uniqueIdentifier";
                    let undo = format!("{at}/compensationActivity/{name}");
                    note(step, format!("{at}/{name}"), undo, &mut found);
                }
            }
            None => gather(&self.steps, "/steps", &mut found),
        }
        found
    }
}

fn note<'w>(step: &'w Step, at: String, undo: String, found: &mut Vec<Use<'w>>) {
    if let Action::Call { activity, .. } = &step.action {
        found.push(Use { pointer: at, activity });
    }
    if let Undo::Call { activity, .. } = &step.compensate {
        found.push(Use { pointer: undo, activity });
    }
}

fn gather<'w>(steps: &'w [Step], list: &str, found: &mut Vec<Use<'w>>) {
    for (index, step) in steps.iter().enumerate() {
        let at = format!("{list}/{index}");
        note(step, format!("{at}/activity"), format!("{at}/compensate/activity"), found);
        match &step.action {
            Action::Branch(cases) => {
                for (case, inner) in cases.iter().enumerate() {
                    gather(&inner.steps, &format!("{at}/branch/{case}/steps"), found);
                }
            }
            Action::Each(each) => gather(&each.steps, &format!("{at}/forEach/steps"), found),
            Action::Parallel { branches, .. } => {
                for (branch, inner) in branches.iter().enumerate() {
                    gather(inner, &format!("{at}/parallel/{branch}"), found);
                }
            }
            Action::Call { .. } | Action::Sleep { .. } | Action::Wait(_) | Action::Run { .. } => {}
        }
    }
}
