//! Reading the inputs of activities, which name one thing in several ways.

use serde_json::{Map, Value};

use crate::activities::checked::invalid;
use crate::domain::problem::Problem;
use crate::domain::run::Failure;

/// What a ticket is named by.
pub(super) const TICKET: &[&str] = &["id", "ticketId", "ticketIdentifier"];

/// Returns the text that the first of `names` gives.
pub(super) fn named<'i>(input: &'i Map<String, Value>, names: &[&str]) -> Result<&'i str, Failure> {
    let mut given = names.iter().filter_map(|name| input.get(*name)?.as_str());
    given.find(|text| !text.is_empty()).ok_or_else(|| {
        let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        refused("", "required", &format!("one of {} is needed", listed.join(", ")))
    })
}

/// Returns the input without what names the record.
pub(super) fn without(input: &Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    let rest = input.iter().filter(|(name, _)| !names.contains(&name.as_str()));
    rest.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Returns the texts that `name` gives, as a list or as a single one.
pub(super) fn texts(input: &Map<String, Value>, name: &str) -> Vec<String> {
    match input.get(name) {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(), // Not given.
    }
}

/// Describes one fault of an input.
pub(super) fn refused(pointer: &str, code: &str, detail: &str) -> Failure {
    invalid("invalid_input", &[Problem::new(pointer, code, detail)])
}
