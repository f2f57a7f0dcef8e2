//! Test cases made of what happened and kept with their workflow.

use serde_json::{Value, json};

use super::App;
use super::definitions::{Definition, Publish, Saved};
use super::error::Error;
use super::events::stored_event;
use super::principal::Principal;
use super::views::WorkflowView;
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::domain::workflow::source_text::with_case;
use crate::engine::Engine;

impl App {
    /// Makes a test case of an event that was recorded: the event, and whether the newest version
    /// of the workflow lets it through now.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or event.
    pub fn case_of_event(&self, who: &Principal, name: &str, id: &str) -> Result<Value, Error> {
        let version = self.saved_version(who, name, None)?;
        let workflow = Engine::compile(&version)?;
        let event = self.read(who, |view| Ok(stored_event(view, id)?.event))?;
        let scope = Scope::of_event(event.to_value());
        let matches = workflow.filters_of(&event.kind).any(|filter| filter.matches(&scope));
        let verb = if matches { "starts" } else { "does not start" };
        let about = event.subject.as_deref().unwrap_or(id);
        let taken = |name: &str| workflow.tests.iter().any(|case| case.name == name);
        let plain = format!("{about} {verb} it");
        let name = if taken(&plain) { format!("{plain} ({id})") } else { plain };
        let mut given = json!({"type": event.kind, "time": event.time, "payload": event.payload});
        if let Some(subject) = event.subject {
            given["subject"] = json!(subject);
        }
        Ok(json!({"name": name, "event": given, "expect": {"matches": matches}}))
    }

    /// Adds a test case to the newest version of a workflow and saves that as a draft; a YAML text
    /// keeps its comments where the case can be added to it.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, `Invalid` for a case that is none.
    pub async fn add_case(
        &self,
        who: &Principal,
        name: &str,
        case: Value,
    ) -> Result<WorkflowView, Error> {
        let version = self.saved_version(who, name, None)?;
        let name = version.name.clone();
        let mut document = version.definition;
        let edited = version.source.as_deref().and_then(|text| with_case(text, &case));
        push_case(&mut document, case);
        let read = edited
            .as_deref()
            .and_then(|text| parse_text(text, Format::Yaml, TextLimits::default()).ok());
        let definition = match read {
            Some(document) => Definition { document, source: edited },
            None => Definition { document, source: None },
        };
        self.saved_draft(who, &name, definition).await
    }

    /// Removes a test case from the newest version of a workflow and saves that as a draft.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow or case.
    pub async fn remove_case(
        &self,
        who: &Principal,
        name: &str,
        case: &str,
    ) -> Result<WorkflowView, Error> {
        let version = self.saved_version(who, name, None)?;
        let mut document = version.definition;
        let is_left = |item: &Value| item["name"] != case;
        let cases = document["tests"].as_array().cloned().unwrap_or_default();
        let left: Vec<Value> = cases.iter().filter(|item| is_left(item)).cloned().collect();
        if left.len() == cases.len() {
            return Err(Error::NotFound { what: "test case", id: case.to_owned() });
        }
        document["tests"] = json!(left);
        if left.is_empty()
            && let Some(fields) = document.as_object_mut()
        {
            fields.shift_remove("tests");
        }
        let definition = Definition { document, source: None };
        self.saved_draft(who, &version.name, definition).await
    }

    async fn saved_draft(
        &self,
        who: &Principal,
        name: &str,
        definition: Definition,
    ) -> Result<WorkflowView, Error> {
        let saved = self.put_workflow(who, name, definition, Publish::Draft).await;
        match saved {
            Ok(Saved::Created(view) | Saved::Changed(view) | Saved::Same(view)) => Ok(view),
            Err(Error::Invalid(problems)) => Err(Error::Invalid(of_case(problems))),
            Err(error) => Err(error),
        }
    }
}

/// What is wrong with the case is told first.
fn of_case(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| !problem.pointer.starts_with("/tests"));
    problems
}

fn push_case(document: &mut Value, case: Value) {
    match document.get_mut("tests").and_then(Value::as_array_mut) {
        Some(cases) => cases.push(case),
        None => document["tests"] = json!([case]),
    }
}
