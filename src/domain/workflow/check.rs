//! Checks what a definition refers to: steps, paths, inputs and the undoing of effects.

use std::collections::HashMap;

use serde_json::Value;

use super::fields::Findings;
use super::inputs::Validators;
use super::nesting::Inner;
use super::schema::{Sight, event_schema, seek};
use super::seen::{Seen, Sure, awaited_by, show, stands_in_loop};
use super::step::{Draft, gather};
use super::trigger::{DraftTrigger, Trigger};
use super::{Action, Annotation, Concurrency, Undo, Wait, secrets};
use crate::domain::activity::{ActivitySpec, Compensation};
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::path::Path;
use crate::domain::problem::{Problem, nearest, pointer_to};

/// A definition that was read, with all that it is checked against.
pub(super) struct Subject<'a> {
    pub(super) findings: &'a Findings,
    pub(super) triggers: &'a [DraftTrigger],
    pub(super) annotations: &'a [Annotation],
    pub(super) concurrency: Option<(&'a Concurrency, &'a str)>,
    pub(super) drafts: &'a [Draft],
    /// The steps that follow a failure.
    pub(super) handler: &'a [Draft],
    /// Whether it is those that are checked.
    pub(super) at_handler: bool,
}

/// What can be seen from one place of a definition.
#[derive(Clone, Copy)]
struct View<'v> {
    roots: &'v [&'v str],
    /// The steps that run before this place.
    seen: &'v [Seen<'v>],
    /// The id of the step that looks.
    own: &'v str,
    /// The names that loops around bind.
    bound: &'v [&'v str],
    bare: Bare,
    sees: Sees,
}

/// Which event is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sees {
    /// The one that came.
    Came,
    /// The one that a run begins with.
    Begins,
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
const OF_CONDITION_AFTER: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "error"];
const OF_UNDO: &[&str] =
    &["trigger", "steps", "run", "workflow", "tenant", "vars", "secrets", "error"];
/// What a filter of an event sees.
const OF_EVENT: View<'static> =
    View { roots: OF_TRIGGER, seen: &[], own: "", bound: &[], bare: Bare::Event, sees: Sees::Came };
const OF_STEP_RECORD: [&str; 4] = ["output", "input", "status", "error"];

impl Subject<'_> {
    pub(super) fn check(&self) {
        let nothing = OF_EVENT;
        let drafts = self.triggers.iter();
        for draft in drafts.flat_map(|draft| std::iter::once(draft).chain(&draft.asides)) {
            // A filter sees the event of its own trigger, not that of another.
            let own = Subject { triggers: std::slice::from_ref(draft), ..*self };
            match &draft.trigger {
                Some(Trigger::Event { filter, gates, .. }) => {
                    own.check_filter(filter, &draft.filter_at, nothing);
                    for key in gates.iter().flat_map(|gates| gates.keys()) {
                        own.check_template(key, &draft.gates_at, nothing);
                    }
                }
                Some(Trigger::Lasting(lasting)) => {
                    own.check_filter(&lasting.filter, &draft.filter_at, nothing);
                }
                _ => {} // It was refused, or starts by itself.
            }
        }
        for (_, key) in self.annotations.iter().flat_map(|annotation| &annotation.required) {
            self.check_template(key, "/annotations", nothing);
        }
        if let Some((concurrency, at)) = self.concurrency {
            let view =
                View { roots: OF_CONCURRENCY, bare: Bare::Unknown, sees: Sees::Begins, ..nothing };
            self.check_template(&concurrency.key, at, view);
        }
        let mut validators = Validators::default();
        self.check_list(self.drafts, &[], &[], &mut validators);
        // What follows a failure sees every step, each of which may not have run.
        let mut seen = Vec::new();
        for draft in self.drafts {
            show(draft, Sure::Unless, &mut seen);
        }
        let after = Subject { at_handler: true, ..*self };
        after.check_list(after.handler, &seen, &[], &mut validators);
    }

    fn of_step(&self) -> &'static [&'static str] {
        if self.at_handler { OF_UNDO } else { OF_STEP }
    }

    fn of_condition(&self) -> &'static [&'static str] {
        if self.at_handler { OF_CONDITION_AFTER } else { OF_CONDITION }
    }

    /// Returns every step, those inside others and those that follow a failure too.
    fn all(&self) -> Vec<&Draft> {
        let mut all = Vec::new();
        gather(self.drafts, &mut all);
        gather(self.handler, &mut all);
        all
    }

    /// Checks the steps of a list, each of which sees those before it.
    fn check_list<'s>(
        &'s self,
        drafts: &'s [Draft],
        seen: &[Seen<'s>],
        bound: &[&'s str],
        validators: &mut Validators<'s>,
    ) {
        for (index, draft) in drafts.iter().enumerate() {
            let mut visible = seen.to_vec();
            let awaited = awaited_by(drafts, index);
            for (earlier, other) in drafts[..index].iter().enumerate() {
                let sure = if awaited.contains(&earlier) { Sure::Before } else { Sure::Beside };
                show(other, sure, &mut visible);
            }
            self.check_step(draft, &visible, bound, validators);
            for dependency in &draft.dependencies {
                self.check_dependency(&dependency.value, &dependency.at, &drafts[..index]);
            }
        }
    }

    fn check_step<'s>(
        &'s self,
        draft: &'s Draft,
        seen: &[Seen<'s>],
        bound: &[&'s str],
        validators: &mut Validators<'s>,
    ) {
        let (bare, sees) = (Bare::Unknown, Sees::Begins);
        let view = View { roots: self.of_step(), seen, own: &draft.id, bound, bare, sees };
        if let Some(Some(condition)) = &draft.condition {
            let view = View { roots: self.of_condition(), ..view };
            self.check_filter(&condition.value, &condition.at, of_filter(view));
        }
        if let Some(Some(approval)) = &draft.approval.approval {
            let escalated = approval.escalate.as_ref().map(|escalation| &escalation.to);
            let all = [Some(&approval.approvers), escalated, approval.reason.as_ref()];
            for template in all.into_iter().flatten() {
                let view = View { roots: self.of_condition(), ..view };
                self.check_template(template, &draft.approval.at, view);
            }
        }
        let without_secrets = View { roots: self.of_condition(), ..view };
        match &draft.action {
            Some(Action::Call { input, .. }) => {
                self.check_template(input, &draft.input.at, view);
            }
            Some(Action::Run { input, .. }) => {
                self.check_template(input, &draft.input.at, without_secrets);
            }
            Some(Action::Sleep { duration }) => {
                self.check_template(duration, &draft.at, without_secrets);
            }
            Some(Action::Wait(wait)) => self.check_wait(wait, draft, without_secrets),
            Some(Action::Branch(_) | Action::Each(_) | Action::Parallel { .. }) | None => (),
        }
        match &draft.inner {
            Some(inner) => {
                self.check_inside(inner, (seen, bound), without_secrets, validators);
            }
            None => self.check_call(draft, view, validators),
        }
        self.check_undo(draft);
    }

    fn check_call<'s>(&'s self, draft: &'s Draft, view: View<'_>, validators: &mut Validators<'s>) {
        if let (Some(Action::Call { input, .. }), Some(spec)) = (&draft.action, &draft.spec) {
            validators.check(spec, &draft.input, self.findings);
            self.check_secrets(input, &draft.input.at, spec);
        }
        if let Some(Undo::Call { input, .. }) = &draft.undo {
            let mut seen = view.seen.to_vec();
            seen.push(Seen { draft, sure: Sure::Before });
            let view = View { roots: OF_UNDO, seen: &seen, ..view };
            self.check_template(input, &draft.undo_input.at, view);
            if let Some(spec) = &draft.undo_spec {
                validators.check(spec, &draft.undo_input, self.findings);
                self.check_secrets(input, &draft.undo_input.at, spec);
            }
        }
    }

    fn check_inside<'s>(
        &'s self,
        inner: &'s Inner,
        (seen, bound): (&[Seen<'s>], &[&'s str]),
        view: View<'_>,
        validators: &mut Validators<'s>,
    ) {
        let mut bound = bound.to_vec();
        if let Inner::Branch(cases) = inner {
            for condition in cases.iter().filter_map(|case| case.condition.as_ref()?.as_ref()) {
                self.check_filter(&condition.value, &condition.at, of_filter(view));
            }
        }
        if let Inner::Each { items, name, .. } = inner {
            if let Some(items) = items {
                self.check_template(&items.value, &items.at, view);
            }
            bound.extend(["item", "index"]);
            bound.extend(name.iter().flatten().map(String::as_str));
        }
        for list in inner.lists() {
            self.check_list(list, seen, &bound, validators);
        }
    }

    /// Checks the filter of a wait: its paths are of the awaited event, its values of the run.
    fn check_wait(&self, wait: &Wait, draft: &Draft, view: View<'_>) {
        let Some(awaited) = &draft.awaited else { return };
        let trigger = DraftTrigger::of_wait(awaited);
        let own = Subject { triggers: std::slice::from_ref(&trigger), ..*self };
        own.check_filter(&wait.filter.without_templates(), &awaited.filter_at, OF_EVENT);
        for template in wait.filter.value_templates() {
            self.check_template(&template, &awaited.filter_at, view);
        }
    }

    fn check_dependency(&self, id: &str, at: &str, before: &[Draft]) {
        if before.iter().any(|draft| draft.id == id) {
            return;
        }
        if self.all().iter().any(|draft| draft.id == id) {
            let detail = format!("the step `{id}` does not stand before this one in its list");
            let problem = Problem::new(at, "step_order", detail);
            let hint = "only earlier steps of the same list can be waited for";
            return self.findings.problem(problem.with_hint(hint));
        }
        self.report_unknown_step(id, at);
    }

    fn report_unknown_step(&self, id: &str, at: &str) {
        let all = self.all();
        let ids = all.iter().map(|draft| draft.id.as_str()).filter(|known| !known.is_empty());
        let problem = Problem::new(at, "unknown_step", format!("there is no step `{id}`"));
        self.findings.problem(match nearest(id, ids) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem,
        });
    }

    fn check_secrets(&self, input: &Template, at: &str, spec: &ActivitySpec) {
        for problem in secrets::problems(input, at, spec) {
            self.findings.problem(problem);
        }
    }

    fn check_undo(&self, draft: &Draft) {
        let Some(spec) = &draft.spec else { return };
        let hint = match spec.compensation {
            Compensation::Manual => {
                "add `compensate` with an activity that undoes it, or `compensate: none`"
            }
            Compensation::Offered => "add `compensate: auto` to undo it, or `compensate: none`",
            Compensation::NotNeeded | Compensation::Automatic => return,
        };
        if draft.undo_unsaid.is_some() {
            let detail = format!("`{}` has an effect that nothing undoes", spec.identifier);
            let problem = Problem::new(&*draft.at, "no_compensation", detail);
            self.findings.warning(problem.with_hint(hint));
        }
    }

    fn check_filter(&self, filter: &Filter, at: &str, view: View<'_>) {
        let mut places = HashMap::new();
        note_places(filter.source(), at, &mut places);
        for path in filter.references() {
            let at = places.get(&path).map_or(at, String::as_str);
            self.check_path(&path, at, view, Absence::IsNull);
        }
    }

    fn check_template(&self, template: &Template, at: &str, view: View<'_>) {
        for reference in template.references() {
            let at = if reference.pointer.is_empty() { at } else { &reference.pointer };
            let absence = if reference.optional { Absence::IsNull } else { Absence::Fails };
            self.check_path(&reference.path, at, view, absence);
        }
    }

    fn check_path(&self, path: &Path, at: &str, view: View<'_>, absence: Absence) {
        let segments: Vec<&str> = path.segments().collect();
        if !path.is_rooted() {
            return self.check_bare(path, &segments, at, view, absence);
        }
        if view.bound.contains(&segments[0]) {
            return; // What the items of a loop hold is only known when it runs.
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
                    Some(&"payload") => self.seek_in_payload(&segments[2..], view.sees),
                    _ => self.seek_in_event(&segments[1..], view.sees),
                };
                self.report(path, at, sight, absence);
            }
            "steps" => self.check_step_path(path, &segments[1..], at, view, absence),
            _ => (), // Roots whose fields are only known when the run is.
        }
    }

    fn check_bare(
        &self,
        path: &Path,
        segments: &[&str],
        at: &str,
        view: View<'_>,
        absence: Absence,
    ) {
        if view.bound.contains(&segments[0]) {
            return;
        }
        // A record that was joined in under a name of its own is found by it everywhere.
        let mut joined = self.annotations.iter().filter_map(Annotation::bare_name);
        if view.bare == Bare::Event || joined.any(|name| name == segments[0]) {
            let in_event = self.seek_in_event(segments, view.sees);
            let in_payload = self.seek_in_payload(segments, view.sees);
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
    fn seek_in_payload(&self, segments: &[&str], sees: Sees) -> Sight {
        let sights = self.triggers.iter().map(|draft| match sees {
            Sees::Came => seek(&draft.payload, segments),
            Sees::Begins => seek(&draft.run_payload, segments),
        });
        sights.reduce(Sight::or).unwrap_or(Sight::Open)
    }

    fn seek_in_event(&self, segments: &[&str], sees: Sees) -> Sight {
        let sights = self.triggers.iter().map(|draft| match sees {
            Sees::Came => seek(&draft.event, segments),
            Sees::Begins => seek(&draft.run_event, segments),
        });
        sights.reduce(Sight::or).unwrap_or(Sight::Open)
    }

    fn check_step_path(
        &self,
        path: &Path,
        segments: &[&str],
        at: &str,
        view: View<'_>,
        absence: Absence,
    ) {
        let Some((id, below)) = segments.split_first() else { return };
        let Some(seen) = self.check_step_name(id, at, view, absence) else { return };
        let Some((field, below)) = below.split_first() else { return };
        if !OF_STEP_RECORD.contains(field) {
            let problem =
                Problem::new(at, "unknown_path", format!("`{path}`: a step has no `{field}`"));
            let hint = format!("a step has: {}", OF_STEP_RECORD.join(", "));
            return self.findings.problem(problem.with_hint(hint));
        }
        if *field != "output" {
            return;
        }
        match (&seen.draft.spec, &seen.draft.awaited) {
            (_, Some(awaited)) => {
                let sight = match below.split_first() {
                    Some((&"payload", below)) => seek(&awaited.payload, below),
                    Some((&"timedOut", _)) => Sight::Open,
                    _ => seek(&event_schema(&awaited.payload), below),
                };
                self.report(path, at, sight, absence);
            }
            (Some(spec), None) => self.report(path, at, seek(&spec.output_schema, below), absence),
            (None, None) => (),
        }
    }

    /// Finds a step that runs before the one that looks; reports one that does not.
    fn check_step_name<'v>(
        &self,
        id: &str,
        at: &str,
        view: View<'v>,
        absence: Absence,
    ) -> Option<Seen<'v>> {
        let Some(seen) = view.seen.iter().find(|seen| seen.draft.id == id) else {
            self.report_unseen(id, at, view);
            return None;
        };
        let doubt = match (seen.sure, absence) {
            (Sure::Before, _) | (_, Absence::IsNull) => None,
            (Sure::Beside, Absence::Fails) => Some((
                format!("the step `{id}` may still run when this one begins"),
                "add it to the `dependencies`, or allow its absence with `| default(…)`",
            )),
            (Sure::Perhaps, Absence::Fails) => Some((
                format!("the step `{id}` stands in a branch that may not be taken"),
                "allow its absence with `| default(…)`",
            )),
            (Sure::Unless, Absence::Fails) => Some((
                format!("the step `{id}` may not have run when the run fails"),
                "allow its absence with `| default(…)`",
            )),
        };
        if let Some((detail, hint)) = doubt {
            let problem = Problem::new(at, "may_be_absent", detail);
            self.findings.warning(problem.with_hint(hint));
        }
        Some(*seen)
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

    fn report(&self, path: &Path, at: &str, sight: Sight, absence: Absence) {
        let Sight::Missing { name, siblings, closed } = sight else { return };
        if path.record_of_id().is_some_and(|record| siblings.iter().any(|it| it == record)) {
            return; // It is the id of that record.
        }
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

fn of_filter(view: View<'_>) -> View<'_> {
    View { bare: Bare::Event, ..view }
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
        "error" => "`error` exists only in compensations and after a failure",
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
