//! Checks the workflows that steps start: whether they exist, and whether they come back.

use serde_json::Value;

use super::codes::hinted;
use super::{Action, Workflow};
use crate::domain::problem::{Problem, nearest, pointer_to};

/// How many workflows a circle that is told of may have.
const CIRCLE_MAX: usize = 6;

/// Warns of what the steps of `saved`, which was read from `raw`, start: `names` are all workflows
/// of its tenant, `others` those that are active.
#[must_use]
pub fn check(saved: &Workflow, raw: &Value, others: &[&Workflow], names: &[&str]) -> Vec<Problem> {
    let mut found = Vec::new();
    for step in saved.all_steps() {
        let Action::Run { workflow, .. } = &step.action else { continue };
        let at = place_of(raw, &step.id, "").unwrap_or_default();
        if *workflow == saved.name {
            let detail = format!("`{}` starts its own workflow again", step.id);
            found.push(hinted(Problem::new(at, "run_cycle", detail)));
            continue;
        }
        if !names.contains(&workflow.as_str()) {
            let problem =
                Problem::new(at, "unknown_workflow", format!("there is no workflow `{workflow}`"));
            found.push(match nearest(workflow, names.iter().copied()) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => hinted(problem),
            });
            continue;
        }
        let mut way = vec![saved.name.as_str(), workflow.as_str()];
        if leads_back(workflow, saved, others, &mut way) {
            let detail = format!("it comes back to itself: {}", way.join(" → "));
            found.push(hinted(Problem::new(at, "run_cycle", detail)));
        }
    }
    found
}

/// Follows the workflows that `name` starts until `saved` is met.
fn leads_back<'w>(
    name: &str,
    saved: &'w Workflow,
    others: &[&'w Workflow],
    way: &mut Vec<&'w str>,
) -> bool {
    let Some(workflow) = others.iter().find(|other| other.name == name) else { return false };
    for step in workflow.all_steps() {
        let Action::Run { workflow: next, .. } = &step.action else { continue };
        if *next == saved.name {
            way.push(&saved.name);
            return true;
        }
        if way.len() < CIRCLE_MAX && !way.contains(&next.as_str()) {
            way.push(next);
            if leads_back(next, saved, others, way) {
                return true;
            }
            way.pop();
        }
    }
    false
}

/// Returns the pointer to the step in the document that it was read from.
fn place_of(raw: &Value, id: &str, at: &str) -> Option<String> {
    match raw {
        Value::Object(fields) => {
            let own = fields.get("id").or_else(|| fields.get("stepIdentifier"));
            let is_named = own.is_some_and(|own| match own {
                Value::String(own) => own == id || format!("step_{own}") == id,
                other => format!("step_{other}") == id,
            });
            let is_step = fields.contains_key("run") || fields.contains_key("activity");
            if is_named && is_step {
                return Some(at.to_owned());
            }
            fields.iter().find_map(|(key, value)| place_of(value, id, &pointer_to(at, key)))
        }
        Value::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(index, item)| place_of(item, id, &pointer_to(at, &index.to_string()))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::{Format, TextLimits, parse_text};
    use super::super::parse::restore;
    use super::*;

    fn read(text: &str) -> (Value, Workflow) {
        let raw = parse_text(text, Format::Yaml, TextLimits::default()).expect(text);
        let workflow = restore(&raw).expect(text);
        (raw, workflow)
    }

    #[test]
    fn workflows_that_start_each_other_are_told_with_the_whole_way() {
        let (raw, first) = read("{name: a, steps: [{id: s, sleep: 1s}, {id: go, run: b}]}");
        let (_, second) = read("{name: b, steps: [{id: on, run: {workflow: c}}]}");
        let (_, third) = read("{name: c, steps: [{id: back, run: a}]}");
        let found = check(&first, &raw, &[&second, &third], &["b", "c"]);
        assert_eq!(found[0].pointer, "/steps/1");
        assert!(found[0].detail.ends_with("a → b → c → a"), "{found:?}");
        let found = check(&first, &raw, &[&second], &["b"]);
        assert_eq!(found, []);
    }

    #[test]
    fn a_workflow_that_does_not_exist_is_told_with_the_nearest() {
        let (raw, workflow) = read("{name: a, steps: [{id: go, run: {workflow: refnud}}]}");
        let found = check(&workflow, &raw, &[], &["refund"]);
        assert_eq!(found[0].hint.as_deref(), Some("did you mean `refund`?"));
    }

    #[test]
    fn a_workflow_that_starts_itself_is_told() {
        let (raw, endless) = read("{name: a, steps: [{id: go, run: a}]}");
        let found = check(&endless, &raw, &[], &[]);
        assert_eq!((&*found[0].code, &*found[0].pointer), ("run_cycle", "/steps/0"));
    }
}
