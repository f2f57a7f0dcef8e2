//! Checks what a definition refers to: steps, paths, inputs and the undoing of effects.

use std::collections::HashMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Value, json};

use super::fields::Findings;
use super::schema::{Sight, seek};
use super::step::{Draft, Placed};
use super::trigger::{DraftTrigger, Trigger};
use super::{Action, Concurrency, Undo, secrets};
use crate::domain::activity::{ActivitySpec, Compensation};
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest, pointer_to};

/// A definition that was read, with all that it is checked against.
pub(super) struct Subject<'a> {
    pub(super) findings: &'a Findings,
    pub(super) triggers: &'a [DraftTrigger],
    pub(super) concurrency: Option<(&'a Concurrency, &'a str)>,
    pub(super) drafts: &'a [Draft],
}

/// What can be seen from one place of a definition.
#[derive(Clone, Copy)]
struct View {
    roots: &'static [&'static str],
    /// The steps before this position have run.
    steps_before: usize,
    /// The position of the step that looks.
    own: usize,
    bare: Bare,
}

/// What a path without a root means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bare {
    /// A place in the payload or in the event.
    Event,
    /// Nothing.
    Unknown,
}

const OF_TRIGGER: &[&str] = &["trigger", "tenant"];
const OF_CONCURRENCY: &[&str] = &["trigger", "workflow", "tenant", "vars"];
const OF_STEP: &[&str] = &["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets"];
/// Secrets are for the inputs of calls alone.
const OF_CONDITION: &[&str] = &["trigger", "steps", "run", "workflow", "tenant", "vars"];
const OF_UNDO: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets", "error"];
const OF_STEP_RECORD: [&str; 4] = ["output", "input", "status", "error"];

impl Subject<'_> {
    pub(super) fn check(&self) {
        let nothing = View { roots: OF_TRIGGER, steps_before: 0, own: 0, bare: Bare::Event };
        for draft in self.triggers {
            if let Some(Trigger::Event { filter, .. }) = &draft.trigger {
                // A filter sees the event of its own trigger, not that of another.
                let own = Subject { triggers: std::slice::from_ref(draft), ..*self };
                own.check_filter(filter, &draft.filter_at, nothing);
            }
        }
        if let Some((concurrency, at)) = self.concurrency {
            let view = View { roots: OF_CONCURRENCY, bare: Bare::Unknown, ..nothing };
            self.check_template(&concurrency.key, at, view);
        }
        let mut validators = Validators::default();
        for (own, draft) in self.drafts.iter().enumerate() {
            self.check_step(draft, own, &mut validators);
        }
    }

    fn check_step<'s>(&'s self, draft: &'s Draft, own: usize, validators: &mut Validators<'s>) {
        let view = View { roots: OF_STEP, steps_before: own, own, bare: Bare::Unknown };
        if let Some(Some(condition)) = &draft.condition {
            let view = View { roots: OF_CONDITION, bare: Bare::Event, ..view };
            self.check_filter(&condition.value, &condition.at, view);
        }
        match &draft.action {
            Some(Action::Call { input, .. }) => self.check_template(input, &draft.input.at, view),
            Some(Action::Sleep { duration }) => {
                let view = View { roots: OF_CONDITION, ..view };
                self.check_template(duration, &draft.at, view);
            }
            None => (),
        }
        if let (Some(Action::Call { input, .. }), Some(spec)) = (&draft.action, &draft.spec) {
            validators.check(spec, &draft.input, self.findings);
            self.check_secrets(input, &draft.input.at, spec);
        }
        if let Some(Undo::Call { input, .. }) = &draft.undo {
            let view = View { roots: OF_UNDO, steps_before: own + 1, ..view };
            self.check_template(input, &draft.undo_input.at, view);
            if let Some(spec) = &draft.undo_spec {
                validators.check(spec, &draft.undo_input, self.findings);
                self.check_secrets(input, &draft.undo_input.at, spec);
            }
        }
        for dependency in &draft.dependencies {
            self.check_step_name(&dependency.value, &dependency.at, own, own);
        }
        self.check_undo(draft);
    }

    fn check_secrets(&self, input: &Template, at: &str, spec: &ActivitySpec) {
        for problem in secrets::problems(input, at, spec) {
            self.findings.problem(problem);
        }
    }

    fn check_undo(&self, draft: &Draft) {
        let Some(spec) = &draft.spec else { return };
        if spec.compensation == Compensation::Manual && draft.undo_unsaid.is_some() {
            let detail = format!("`{}` has an effect that nothing undoes", spec.identifier);
            let problem = Problem::new(&*draft.at, "no_compensation", detail);
            let hint = "add `compensate` with an activity that undoes it, or `compensate: none`";
            self.findings.warning(problem.with_hint(hint));
        }
    }

    fn check_filter(&self, filter: &Filter, at: &str, view: View) {
        let mut places = HashMap::new();
        note_places(filter.source(), at, &mut places);
        for path in filter.references() {
            let at = places.get(&path).map_or(at, String::as_str);
            self.check_path(&path, at, view, Absence::IsNull);
        }
    }

    fn check_template(&self, template: &Template, at: &str, view: View) {
        for reference in template.references() {
            let at = if reference.pointer.is_empty() { at } else { &reference.pointer };
            let absence = if reference.optional { Absence::IsNull } else { Absence::Fails };
            self.check_path(&reference.path, at, view, absence);
        }
    }

    fn check_path(&self, path: &Path, at: &str, view: View, absence: Absence) {
        let segments: Vec<&str> = path.segments().collect();
        if !path.is_rooted() {
            return self.check_bare(path, &segments, at, view, absence);
        }
        if !view.roots.contains(&segments[0]) {
            let problem =
                Problem::new(at, "unknown_root", format!("`{path}`: {}", misplaced(segments[0])));
            let hint = format!("seen from here: {}", view.roots.join(", "));
            return self.findings.problem(problem.with_hint(hint));
        }
        match segments[0] {
            "trigger" => {
                // References inside the payload's schema count from its own top.
                let sight = match segments.get(1) {
                    Some(&"payload") => self.seek_in_payload(&segments[2..]),
                    _ => self.seek_in_event(&segments[1..]),
                };
                self.report(path, at, sight, absence);
            }
            "steps" => self.check_step_path(path, &segments[1..], at, view, absence),
            _ => (), // Roots whose fields are only known when the run is.
        }
    }

    fn check_bare(&self, path: &Path, segments: &[&str], at: &str, view: View, absence: Absence) {
        if view.bare == Bare::Event {
            let in_event = self.seek_in_event(segments);
            let in_payload = self.seek_in_payload(segments);
            return self.report(path, at, in_payload.or(in_event), absence);
        }
        let problem =
            Problem::new(at, "unknown_root", format!("`{}` is not known here", segments[0]));
        let hint = match nearest(segments[0], view.roots.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("a path begins with one of: {}", view.roots.join(", ")),
        };
        self.findings.problem(problem.with_hint(hint));
    }

    /// Looks for a path in the payload of any event that may have started the run.
    fn seek_in_payload(&self, segments: &[&str]) -> Sight {
        let sights = self.triggers.iter().map(|draft| seek(&draft.payload, segments));
        sights.reduce(Sight::or).unwrap_or(Sight::Open)
    }

    fn seek_in_event(&self, segments: &[&str]) -> Sight {
        let sights = self.triggers.iter().map(|draft| seek(&draft.event, segments));
        sights.reduce(Sight::or).unwrap_or(Sight::Open)
    }

    fn check_step_path(
        &self,
        path: &Path,
        segments: &[&str],
        at: &str,
        view: View,
        absence: Absence,
    ) {
        let Some((id, below)) = segments.split_first() else { return };
        let Some(position) = self.check_step_name(id, at, view.steps_before, view.own) else {
            return;
        };
        let Some((field, below)) = below.split_first() else { return };
        if !OF_STEP_RECORD.contains(field) {
            let problem =
                Problem::new(at, "unknown_path", format!("`{path}`: a step has no `{field}`"));
            let hint = format!("a step has: {}", OF_STEP_RECORD.join(", "));
            return self.findings.problem(problem.with_hint(hint));
        }
        if let ("output", Some(spec)) = (*field, &self.drafts[position].spec) {
            self.report(path, at, seek(&spec.output_schema, below), absence);
        }
    }

    /// Finds a step that has run before position `before`; reports one that has not.
    fn check_step_name(&self, id: &str, at: &str, before: usize, own: usize) -> Option<usize> {
        let ids = || self.drafts.iter().map(|draft| draft.id.as_str());
        let Some(position) = ids().position(|known| known == id) else {
            let problem = Problem::new(at, "unknown_step", format!("there is no step `{id}`"));
            let near = nearest(id, ids().filter(|known| !known.is_empty()));
            self.findings.problem(match near {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            });
            return None;
        };
        if position < before {
            return Some(position);
        }
        let detail = if position == own {
            format!("the step `{id}` cannot look at itself before it has run")
        } else {
            format!("the step `{id}` runs later")
        };
        let problem = Problem::new(at, "step_order", detail);
        self.findings.problem(problem.with_hint("only earlier steps can be referred to"));
        None
    }

    fn report(&self, path: &Path, at: &str, sight: Sight, absence: Absence) {
        let Sight::Missing { name, siblings, closed } = sight else { return };
        let detail = format!("`{path}`: there is no `{name}`");
        let problem = Problem::new(at, "unknown_path", detail);
        let near = nearest(&name, siblings.iter().map(String::as_str));
        let problem = match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None if siblings.is_empty() => problem.with_hint("nothing lies below this value"),
            None => problem.with_hint(format!("known there: {}", siblings.join(", "))),
        };
        match (closed, absence) {
            (true, Absence::Fails) => self.findings.problem(problem),
            (true, Absence::IsNull) | (false, Absence::Fails) => self.findings.warning(problem),
            (false, Absence::IsNull) => (), // Asking whether something is there is no fault.
        }
    }
}

/// Returns the JSON Schema of an event around the schema of its payload.
pub(super) fn event_schema(payload: &Value) -> Value {
    let mut schema = json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string"}, "type": {"type": "string"},
            "source": {"type": "string"}, "subject": {"type": "string"},
            "time": {"type": "string"},
            "actor": {"type": "object", "additionalProperties": false, "properties": {
                "id": {"type": "string"}, "type": {"type": "string"},
                "email": {"type": "string"},
            }},
            "metadata": true,
            "cause": {"type": "object", "additionalProperties": false, "properties": {
                "runId": {"type": "string"}, "depth": {"type": "integer"},
            }},
        },
    });
    schema["properties"]["payload"] = payload.clone();
    schema
}

/// What happens at run time when a path leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Absence {
    /// The step fails.
    Fails,
    /// It reads as null.
    IsNull,
}

fn misplaced(root: &str) -> &'static str {
    match root {
        "error" => "`error` exists only in compensations",
        "item" => "`item` exists only in loops",
        "steps" => "no step has run yet",
        _ => "it is not known here",
    }
}

/// Notes for every path of a filter the first key or value that names it.
fn note_places(source: &Value, at: &str, places: &mut HashMap<Path, String>) {
    match source {
        Value::Object(entries) => {
            for (key, value) in entries {
                let at = pointer_to(at, key);
                if let Some(path) = named_path(key).filter(|_| !key.starts_with('~')) {
                    places.entry(path).or_insert_with(|| at.clone());
                }
                note_places(value, &at, places);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                note_places(item, &pointer_to(at, &index.to_string()), places);
            }
        }
        Value::String(text) if text.contains("{{") => {
            if let Some(path) = named_path(text) {
                places.entry(path).or_insert_with(|| at.to_owned());
            }
        }
        _ => (), // Any other value is compared with, and names nothing.
    }
}

fn named_path(text: &str) -> Option<Path> {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    Path::parse(inner.unwrap_or(text)).ok()
}

/// Validators are built once for all steps of a definition; one that cannot be built checks nothing.
#[derive(Default)]
struct Validators<'s> {
    built: HashMap<&'s str, Option<Validator>>,
}

impl<'s> Validators<'s> {
    fn check(&mut self, spec: &'s ActivitySpec, input: &Placed<Value>, findings: &Findings) {
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
            findings.problem(Problem::new(at, "missing", detail));
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
        _ => {
            // The sentence quotes the value, which may be long.
            let detail: String = error.to_string().chars().take(300).collect();
            findings.problem(Problem::new(at, "invalid_input", detail));
        }
    }
}

fn siblings(error: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let parent = error.schema_path().as_str().rsplit_once('/').map_or("", |(parent, _)| parent);
    let properties = schema.pointer(parent).and_then(|schema| schema["properties"].as_object());
    properties.map(|names| names.keys().cloned().collect()).unwrap_or_default()
}

/// Sorts problems as a reader of the document meets them.
pub(super) fn in_document_order(problems: &mut [Problem], raw: &Value) {
    problems.sort_by_cached_key(|problem| {
        let mut value = Some(raw);
        let mut positions = Vec::new();
        for segment in problem.pointer.split('/').skip(1) {
            let name = segment.replace("~1", "/").replace("~0", "~");
            let position = match value {
                Some(Value::Object(entries)) => entries.keys().position(|key| *key == name),
                _ => name.parse().ok(), // An index, or a place that does not exist.
            };
            positions.push(position.unwrap_or(usize::MAX));
            value = value.and_then(|value| match value {
                Value::Object(entries) => entries.get(&name),
                Value::Array(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => None, // Nothing lies below a scalar.
            });
        }
        positions
    });
}
