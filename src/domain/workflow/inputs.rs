//! Checks the inputs of steps against the schemas of their activities, as far as they are certain.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::fields::Findings;
use super::step::Placed;
use crate::domain::activity::ActivitySpec;
use crate::domain::problem::{Problem, nearest, pointer_to};

/// Validators are built once for all steps of a definition; one that cannot be built checks nothing.
#[derive(Default)]
pub(super) struct Validators<'s> {
    built: HashMap<&'s str, Option<Validator>>,
}

impl<'s> Validators<'s> {
    pub(super) fn check(
        &mut self,
        spec: &'s ActivitySpec,
        input: &Placed<Value>,
        findings: &Findings,
    ) {
        let validator = self
            .built
            .entry(&spec.identifier)
            .or_insert_with(|| jsonschema::validator_for(&spec.input_schema).ok());
        let Some(validator) = validator else { return };
        for error in validator.iter_errors(&input.value) {
            if is_certain(&error, &input.value) {
                report_input(&error, spec, &input.at, findings);
            }
        }
    }
}

/// Tells whether a fault stays whatever the expressions inside the input turn out to be.
fn is_certain(error: &ValidationError<'_>, input: &Value) -> bool {
    let place = input.pointer(error.instance_path().as_str());
    if place.is_some_and(is_expression) {
        return false;
    }
    match error.kind() {
        ValidationErrorKind::Required { .. }
        | ValidationErrorKind::AdditionalProperties { .. }
        | ValidationErrorKind::MinProperties { .. }
        | ValidationErrorKind::MaxProperties { .. }
        | ValidationErrorKind::MinItems { .. }
        | ValidationErrorKind::MaxItems { .. }
        | ValidationErrorKind::Type { .. } => true,
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.iter().all(|branch| branch.iter().any(|error| is_certain(error, input)))
        }
        // All other keywords look at values, which an expression inside may still change.
        _ => place.is_none_or(|place| !holds_expression(place)),
    }
}

fn is_expression(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("{{"))
}

fn holds_expression(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(holds_expression),
        Value::Object(entries) => entries.values().any(holds_expression),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => is_expression(value),
    }
}

fn report_input(error: &ValidationError<'_>, spec: &ActivitySpec, at: &str, findings: &Findings) {
    let at = format!("{at}{}", error.instance_path().as_str());
    match error.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let detail = format!("`{name}` is missing: `{}` needs it", spec.identifier);
            let problem = Problem::new(at, "missing", detail);
            findings.problem(match described(error, &spec.input_schema, name) {
                Some(text) => problem.with_hint(format!("add `{name}`: {text}")),
                None => problem.with_hint(format!("add `{name}`")),
            });
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let siblings = siblings(error, &spec.input_schema);
            for key in unexpected {
                let detail = format!("`{}` takes no `{key}`", spec.identifier);
                let problem = Problem::new(pointer_to(&at, key), "unknown_key", detail);
                let near = nearest(key, siblings.iter().map(String::as_str));
                findings.problem(match near {
                    Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                    None => problem.with_hint(format!("it takes: {}", siblings.join(", "))),
                });
            }
        }
        kind => {
            // The sentence quotes the value, which may be long.
            let detail: String = error.to_string().chars().take(300).collect();
            let problem = Problem::new(at, "invalid_input", detail);
            findings.problem(match remedy(kind, error.instance()) {
                Some(hint) => problem.with_hint(hint),
                None => problem,
            });
        }
    }
}

/// Says what would fit in the place of a value that does not.
fn remedy(kind: &ValidationErrorKind, value: &Value) -> Option<String> {
    match kind {
        ValidationErrorKind::Enum { options } => {
            let options: Vec<&str> =
                options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let typed = value.as_str().unwrap_or_default();
            let folded = options.iter().find(|option| option.eq_ignore_ascii_case(typed)).copied();
            Some(match folded.or_else(|| nearest(typed, options.iter().copied())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of: {}", options.join(", ")),
            })
        }
        ValidationErrorKind::Type { .. } if value.is_number() || value.is_boolean() => {
            Some(format!("if it is a text, put it in quotes: \"{value}\""))
        }
        ValidationErrorKind::AnyOf { context } => {
            let names: Option<Vec<String>> = context.iter().map(|it| needed(it)).collect();
            names.map(|names| format!("give one of {}", names.join(", ")))
        }
        _ => None, // The sentence says what would fit.
    }
}

fn needed(branch: &[ValidationError<'_>]) -> Option<String> {
    let [error] = branch else { return None };
    match error.kind() {
        ValidationErrorKind::Required { property } => Some(format!("`{}`", property.as_str()?)),
        _ => None, // Something else is wrong in this branch.
    }
}

fn described<'s>(error: &ValidationError<'_>, schema: &'s Value, name: &str) -> Option<&'s str> {
    let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
    schema.pointer(parent)?["properties"].get(name)?["description"].as_str()
}

fn siblings(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(parent).and_then(|schema| schema["properties"].as_object());
    properties.map(|names| names.keys().cloned().collect()).unwrap_or_default()
}
