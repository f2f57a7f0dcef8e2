//! Where a definition may name secrets: alone in their braces, in fields that the activity marks.

use serde_json::Value;

use crate::domain::activity::ActivitySpec;
use crate::domain::expression::{Reference, Template};
use crate::domain::problem::Problem;

const ROOT: &str = "secrets";
/// Marks a property of an activity's input schema that may hold secrets.
pub const MARK: &str = "x-secret";

/// Returns the names of the secrets that a template holds, each once.
#[must_use]
pub fn names(template: &Template) -> Vec<String> {
    let references = template.references();
    let mut names: Vec<String> = references
        .iter()
        .filter(|reference| reference.path.root() == Some(ROOT))
        .filter_map(|reference| reference.path.segments().nth(1).map(str::to_owned))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Returns what is wrong with the secrets in the input of a step, which stands at `at`.
pub(super) fn problems(template: &Template, at: &str, spec: &ActivitySpec) -> Vec<Problem> {
    let references = template.references();
    let named = references.iter().filter(|reference| reference.path.root() == Some(ROOT));
    named.filter_map(|reference| problem(reference, at, spec)).collect()
}

fn problem(reference: &Reference, at: &str, spec: &ActivitySpec) -> Option<Problem> {
    let pointer = if reference.pointer.is_empty() { at } else { &reference.pointer };
    let path = reference.path.to_string();
    if reference.path.segments().count() != 2 {
        let detail = format!("`{path}` names no secret; one is `secrets.<name>`");
        return Some(Problem::new(pointer, "invalid_secret", detail));
    }
    if reference.expression.trim() != path {
        let detail =
            format!("`{path}` stands inside of an expression, where it would be worked on");
        let hint = format!("write {{{{ {path} }}}} alone; other text may stand around the braces");
        return Some(Problem::new(pointer, "secret_in_expression", detail).with_hint(hint));
    }
    let inside = pointer.strip_prefix(at).unwrap_or_default();
    let field = inside.split('/').nth(1).unwrap_or_default();
    if marked(spec).any(|marked| marked == field) {
        return None;
    }
    let detail = format!("`{}` takes no secret here", spec.identifier);
    let fields: Vec<&str> = marked(spec).collect();
    let problem = Problem::new(pointer, "secret_not_allowed", detail);
    Some(match fields.is_empty() {
        true => problem,
        false => problem.with_hint(format!("it takes secrets in: {}", fields.join(", "))),
    })
}

fn marked(spec: &ActivitySpec) -> impl Iterator<Item = &str> {
    let properties = spec.input_schema.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flatten()
        .filter(|(_, schema)| schema.get(MARK) == Some(&Value::Bool(true)))
        .map(|(name, _)| name.as_str())
}
