//! Follows the references of a definition: whether each leads somewhere, from where it stands.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::{Value, json};

use super::Annotation;
use super::check::Subject;
use super::facts::{Facts, canonical};
use super::infer::record_of;
use super::places::note_places;
use super::seen::{Seen, Sure, stands_in_loop};
use super::step::Draft;
use super::trigger::{DraftTrigger, Trigger};
use super::typing::{Sight, seek};
use crate::domain::expression::{Reference, Template};
use crate::domain::filter::{Filter, Operator};
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest};

/// What can be seen from one place of a definition.
#[derive(Clone, Copy)]
pub(super) struct View<'v> {
    pub(super) roots: &'v [&'v str],
    /// The steps that run before this place.
    pub(super) seen: &'v [Seen<'v>],
    /// The id of the step that looks.
    pub(super) own: &'v str,
    /// The names that loops around bind.
    pub(super) bound: &'v [Bound],
    pub(super) bare: Bare,
    pub(super) sees: Sees,
    /// What is certain here.
    pub(super) facts: &'v Facts,
}

/// A name that a loop binds, with the schema of what it stands for.
#[derive(Clone)]
pub(super) struct Bound {
    pub(super) name: String,
    pub(super) schema: Rc<Value>,
}

/// Which event is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sees {
    /// The one that came.
    Came,
    /// The one that a run begins with.
    Begins,
}

/// What a path without a root means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// A place in the payload or in the event.
    Event,
    /// Nothing.
    Unknown,
}

/// What happens at run time when a path leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Absence {
    /// The step fails.
    Fails,
    /// It reads as null.
    IsNull,
}

const SIBLINGS_TOLD_MAX: usize = 15;
const OF_TRIGGER: &[&str] = &["trigger", "tenant"];
pub(super) const OF_CONCURRENCY: &[&str] = &["trigger", "workflow", "tenant", "vars"];
pub(super) const OF_STEP: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets"];
/// Secrets are for the inputs of calls alone.
pub(super) const OF_CONDITION: &[&str] = &["trigger", "steps", "run", "workflow", "tenant", "vars"];
pub(super) const OF_CONDITION_AFTER: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "error"];
pub(super) const OF_UNDO: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets", "error"];

impl<'v> View<'v> {
    /// Returns what a filter of an event sees.
    pub(super) fn of_event(facts: &'v Facts) -> View<'v> {
        let (bare, sees) = (Bare::Event, Sees::Came);
        View { roots: OF_TRIGGER, seen: &[], own: "", bound: &[], bare, sees, facts }
    }

    /// Returns what a filter sees from here.
    pub(super) fn of_filter(self) -> View<'v> {
        View { bare: Bare::Event, ..self }
    }

    fn bound(&self, name: &str) -> Option<&'v Bound> {
        self.bound.iter().rev().find(|bound| bound.name == name)
    }
}

/// The schemas of what steps leave behind, each made once.
#[derive(Default)]
pub(super) struct Records(RefCell<HashMap<String, Rc<Value>>>);

impl Records {
    fn of(&self, draft: &Draft) -> Rc<Value> {
        let mut made = self.0.borrow_mut();
        let record = made.entry(draft.id.clone()).or_insert_with(|| Rc::new(record_of(draft)));
        Rc::clone(record)
    }
}

impl Subject<'_> {
    pub(super) fn check_filter(&self, filter: &Filter, at: &str, view: View<'_>) {
        let mut places = HashMap::new();
        note_places(filter.source(), at, &mut places);
        for path in filter.references() {
            let at = places.get(&path).map_or(at, String::as_str);
            self.check_path(&path, at, view, Absence::IsNull);
        }
        self.check_operands(filter, at, view);
    }

    pub(super) fn check_template(&self, template: &Template, at: &str, view: View<'_>) {
        for reference in template.references() {
            let at = if reference.pointer.is_empty() { at } else { &reference.pointer };
            self.check_path(&reference.path, at, view, absence_of(&reference));
        }
    }

    fn check_path(&self, path: &Path, at: &str, view: View<'_>, absence: Absence) {
        let segments: Vec<&str> = path.segments().collect();
        let is_bound = view.bound(segments[0]).is_some();
        if !is_bound && path.is_rooted() && !view.roots.contains(&segments[0]) {
            let problem =
                Problem::new(at, "unknown_root", format!("`{path}`: {}", misplaced(segments[0])));
            let hint = format!("seen from here: {}", view.roots.join(", "));
            return self.findings.problem(problem.with_hint(hint));
        }
        if !is_bound && !path.is_rooted() && !self.reads_event(segments[0], view) {
            let problem =
                Problem::new(at, "unknown_root", format!("`{}` is not known here", segments[0]));
            let hint = match nearest(segments[0], view.roots.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => match self.found_elsewhere(path, view) {
                    Some(other) => format!("did you mean `{other}`?"),
                    None => format!("a path begins with one of: {}", view.roots.join(", ")),
                },
            };
            return self.findings.problem(problem.with_hint(hint));
        }
        if !is_bound && segments[0] == "steps" {
            let Some(id) = segments.get(1) else { return };
            let Some(seen) = view.seen.iter().find(|seen| seen.draft.id == *id) else {
                return self.report_unseen(id, at, view);
            };
            self.warn_of_absence(seen, &segments[2..], at, view, absence);
        }
        if !is_bound && self.triggers.len() > 1 && absence == Absence::Fails {
            self.warn_of_other_triggers(path, &segments, at, view);
        }
        self.report(path, at, self.sight(path, view), view, absence);
    }

    /// A record that was joined in under a name of its own is found by it everywhere.
    fn reads_event(&self, name: &str, view: View<'_>) -> bool {
        let mut joined = self.annotations.iter().filter_map(Annotation::bare_name);
        view.bare == Bare::Event || joined.any(|joined| joined == name)
    }

    /// Returns what is known of what stands at a path.
    pub(super) fn sight(&self, path: &Path, view: View<'_>) -> Sight {
        let segments: Vec<&str> = path.segments().collect();
        if let Some(bound) = view.bound(segments[0]) {
            return seek(&bound.schema, &segments[1..]);
        }
        if !path.is_rooted() {
            let sights = self.triggers_here(view).map(|draft| sight_in(draft, &segments, view));
            return sights.reduce(Sight::or).unwrap_or(Sight::Open);
        }
        match segments[0] {
            "trigger" => {
                let sights = self
                    .triggers_here(view)
                    .map(|draft| sight_in_event(draft, &segments[1..], view.sees));
                sights.reduce(Sight::or).unwrap_or(Sight::Open)
            }
            "steps" => match segments.get(1).and_then(|id| self.seen_record(id, view)) {
                Some(record) => seek(&record, &segments[2..]),
                None => Sight::Open, // Of all steps, or of one that is not seen.
            },
            root => root_schema(root).map_or(Sight::Open, |schema| seek(&schema, &segments[1..])),
        }
    }

    /// Returns the schema of what a step that is seen leaves behind.
    pub(super) fn seen_record(&self, id: &str, view: View<'_>) -> Option<Rc<Value>> {
        let seen = view.seen.iter().find(|seen| seen.draft.id == id)?;
        Some(self.records.of(seen.draft))
    }

    /// The triggers that may have started a run which has come to this place.
    pub(super) fn triggers_here<'s>(
        &'s self,
        view: View<'s>,
    ) -> impl Iterator<Item = &'s DraftTrigger> {
        self.triggers.iter().filter(move |draft| {
            let kind = draft.trigger.as_ref().map(Trigger::opening_kind);
            kind.is_none_or(|kind| {
                view.facts.allow("trigger.type", kind)
                    && view.facts.allow("trigger.payload.type", kind)
            })
        })
    }

    fn warn_of_other_triggers(&self, path: &Path, segments: &[&str], at: &str, view: View<'_>) {
        if view.facts.is_present(&canonical(path)) {
            return;
        }
        let below = match segments {
            ["trigger", below @ ..] => below,
            _ => return, // Nothing else depends on the trigger.
        };
        let mut lacking = Vec::new();
        let mut is_somewhere = false;
        for draft in self.triggers_here(view) {
            match sight_in_event(draft, below, view.sees) {
                Sight::Missing { .. } => {
                    lacking.extend(draft.trigger.as_ref().map(Trigger::opening_kind));
                }
                Sight::Known(_) | Sight::Open => is_somewhere = true,
            }
        }
        if is_somewhere && !lacking.is_empty() {
            let detail = format!("`{path}` does not exist when {} starts it", lacking.join(" or "));
            let hint =
                "allow its absence with `| default(…)`, or ask for `trigger.type` in an `if`";
            let problem = Problem::new(at, "may_be_absent", detail);
            self.findings.warning(problem.with_hint(hint));
        }
    }

    fn warn_of_absence(
        &self,
        seen: &Seen<'_>,
        fields: &[&str],
        at: &str,
        view: View<'_>,
        absence: Absence,
    ) {
        let id = &seen.draft.id;
        if absence == Absence::IsNull || fields.first() == Some(&"status") {
            return;
        }
        if seen.way.sure == Sure::Beside {
            let detail = format!("the step `{id}` may still run when this one begins");
            let hint = "add it to the `dependencies`, or allow its absence with `| default(…)`";
            let problem = Problem::new(at, "may_be_absent", detail);
            return self.findings.warning(problem.with_hint(hint));
        }
        let reads_inside = matches!(seen.way.sure, Sure::Perhaps | Sure::Unless)
            || matches!(fields, ["output", _, ..]);
        if let Some((detail, hint)) = seen.doubt(view.facts).filter(|_| reads_inside) {
            let problem = Problem::new(at, "may_be_absent", detail);
            self.findings.warning(problem.with_hint(hint));
        }
    }

    fn report_unseen(&self, id: &str, at: &str, view: View<'_>) {
        if !self.all().iter().any(|draft| draft.id == id) {
            return self.report_unknown_step(id, at);
        }
        let detail = if id == view.own {
            format!("the step `{id}` cannot look at itself before it has run")
        } else if stands_in_loop(self.drafts, id) {
            format!("the step `{id}` runs later, or only inside its loop")
        } else {
            format!("the step `{id}` runs later, or beside this one")
        };
        let problem = Problem::new(at, "step_order", detail);
        self.findings.problem(problem.with_hint("only earlier steps can be referred to"));
    }

    pub(super) fn report_unknown_step(&self, id: &str, at: &str) {
        let all = self.all();
        let ids: Vec<&str> =
            all.iter().map(|draft| draft.id.as_str()).filter(|known| !known.is_empty()).collect();
        let problem = Problem::new(at, "unknown_step", format!("there is no step `{id}`"));
        self.findings.problem(match nearest(id, ids.iter().copied()) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint(format!("the steps are: {}", ids.join(", "))),
        });
    }

    fn report(&self, path: &Path, at: &str, sight: Sight, view: View<'_>, absence: Absence) {
        let (name, siblings, closed) = match sight {
            Sight::Known(shape) => return self.warn_of_doubt(path, at, shape.doubt, view, absence),
            Sight::Open => return,
            Sight::Missing { name, siblings, closed } => (name, siblings, closed),
        };
        if absence == Absence::IsNull && !closed {
            return; // Asking whether something is there is no fault.
        }
        if view.facts.is_present(&canonical(path)) {
            return; // A condition around it knows more than the schema.
        }
        if path.record_of_id().is_some_and(|record| siblings.iter().any(|it| it == record)) {
            return; // It is the id of that record.
        }
        let detail = format!("`{path}`: there is no `{name}`");
        let problem = Problem::new(at, "unknown_path", detail);
        let near = nearest(&name, siblings.iter().map(String::as_str)).map(str::to_owned);
        let near = near.or_else(|| self.found_elsewhere(path, view));
        let near = near.or_else(|| similar(&name, &siblings));
        let problem = match near {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None if siblings.is_empty() => problem.with_hint("nothing lies below this value"),
            None => {
                let told: Vec<&str> =
                    siblings.iter().take(SIBLINGS_TOLD_MAX).map(String::as_str).collect();
                problem.with_hint(format!("known there: {}", told.join(", ")))
            }
        };
        match (closed, absence) {
            (true, Absence::Fails) => self.findings.problem(problem),
            (true, Absence::IsNull) | (false, _) => self.findings.warning(problem),
        }
    }

    fn warn_of_doubt(
        &self,
        path: &Path,
        at: &str,
        doubt: Option<String>,
        view: View<'_>,
        absence: Absence,
    ) {
        let Some(doubt) = doubt.filter(|_| absence == Absence::Fails) else { return };
        let whole = canonical(path);
        let mut prefix = String::new();
        for (index, segment) in whole.split('.').enumerate() {
            prefix.push_str(if index == 0 { "" } else { "." });
            prefix.push_str(segment);
            if index > 0 && segment == doubt {
                break;
            }
        }
        let has_failed = path.segments().next() == Some("steps") && {
            let place: Vec<&str> = path.segments().take(2).collect();
            let place = format!("{}.status", place.join("."));
            doubt == "error" && view.facts.hold(&place, Operator::Eq, &"failed".into())
        };
        let never_timed_out = path.segments().next() == Some("steps") && {
            let place: Vec<&str> = path.segments().take(3).collect();
            let place = format!("{}.timedOut", place.join("."));
            view.facts.hold(&place, Operator::IsNull, &true.into())
                || view.facts.hold(&place, Operator::Neq, &true.into())
        };
        if has_failed || never_timed_out || view.facts.is_present(&prefix) {
            return;
        }
        let detail = format!("`{path}`: `{doubt}` need not be there");
        self.findings.warning(Problem::new(at, "may_be_absent", detail));
    }

    /// Looks for the path that was meant by one that forgot where things lie.
    fn found_elsewhere(&self, path: &Path, view: View<'_>) -> Option<String> {
        let segments: Vec<&str> = path.segments().collect();
        let mut candidates: Vec<String> = Vec::new();
        match segments.as_slice() {
            ["steps", id, rest @ ..] if rest.first() != Some(&"output") => {
                candidates.push(format!("steps.{id}.output.{}", rest.join(".")));
            }
            ["steps", ..] => {}
            ["trigger", "payload", rest @ ..] | ["trigger", rest @ ..] | rest => {
                let rest = rest.join(".");
                let root = if path.is_rooted() || view.bare == Bare::Unknown {
                    "trigger.payload."
                } else {
                    ""
                };
                candidates.push(format!("{root}{rest}"));
                for draft in self.triggers {
                    let names = draft.run_payload["properties"].as_object();
                    let names = names.into_iter().flatten().map(|(name, _)| name);
                    candidates.extend(names.map(|name| format!("{root}{name}.{rest}")));
                }
            }
        }
        candidates.into_iter().find(|candidate| {
            let parsed = Path::parse(candidate).ok();
            parsed.is_some_and(|it| it != *path && matches!(self.sight(&it, view), Sight::Known(_)))
        })
    }
}

/// What stands beside a condition is read only where the condition holds.
fn absence_of(reference: &Reference) -> Absence {
    match reference.optional || reference.expression.contains(" if ") {
        true => Absence::IsNull,
        false => Absence::Fails,
    }
}

fn sight_in(draft: &DraftTrigger, segments: &[&str], view: View<'_>) -> Sight {
    let (payload, event) = match view.sees {
        Sees::Came => (&draft.payload, &draft.event),
        Sees::Begins => (&draft.run_payload, &draft.run_event),
    };
    match seek(payload, segments) {
        Sight::Known(shape) => Sight::Known(shape),
        other => match seek(event, segments) {
            Sight::Known(shape) => Sight::Known(shape),
            in_event => other.or(in_event),
        },
    }
}

fn sight_in_event(draft: &DraftTrigger, segments: &[&str], sees: Sees) -> Sight {
    let (payload, event) = match sees {
        Sees::Came => (&draft.payload, &draft.event),
        Sees::Begins => (&draft.run_payload, &draft.run_event),
    };
    match segments.split_first() {
        // References inside the payload's schema count from its own top.
        Some((&"payload", below)) => seek(payload, below),
        _ => seek(event, segments),
    }
}

/// A name that holds the one that was typed, or stands in it.
fn similar(name: &str, siblings: &[String]) -> Option<String> {
    let name = name.to_lowercase();
    let is_near = |sibling: &&String| {
        let sibling = sibling.to_lowercase();
        name.len() > 2 && sibling.len() > 2 && (sibling.contains(&name) || name.contains(&sibling))
    };
    siblings.iter().find(is_near).cloned()
}

fn misplaced(root: &str) -> &'static str {
    match root {
        "error" => "`error` exists only in compensations and after a failure",
        "item" => "`item` exists only in loops",
        "steps" => "no step has run yet",
        "secrets" => "secrets are for the inputs of activities alone",
        _ => "it is not known here",
    }
}

/// Returns the schema of a root whose fields are the same for everybody.
fn root_schema(root: &str) -> Option<Value> {
    let texts: &[&str] = match root {
        "run" => &["id", "workflow", "startedAt", "now"],
        "workflow" => &["name", "title"],
        "tenant" => &["slug", "name"],
        "error" => &["step", "code", "message", "class"],
        _ => return None, // What it holds is only known when the run is.
    };
    let mut properties: serde_json::Map<String, Value> =
        texts.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
    let others: &[(&str, &str)] = match root {
        "run" | "workflow" => &[("version", "integer")],
        "tenant" => &[],
        _ => &[("inDoubt", "boolean")], // Of an error, the only other.
    };
    for (name, kind) in others {
        properties.insert((*name).to_owned(), json!({ "type": kind }));
    }
    match root {
        "error" => drop(properties.insert("details".to_owned(), json!(true))),
        "tenant" => drop(properties.insert("id".to_owned(), json!(true))),
        _ => {} // All of it has a type.
    }
    if root == "run" {
        properties.insert("events".to_owned(), json!({ "type": "integer" }));
    }
    // Left open: what a later build adds there is no fault.
    Some(json!({ "type": "object", "properties": properties }))
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
            "cause": {"type": ["object", "null"], "additionalProperties": false, "properties": {
                "runId": {"type": "string"}, "depth": {"type": "integer"},
            }},
        },
    });
    schema["properties"]["payload"] = payload.clone();
    schema
}
