//! Checks what a definition refers to: steps, paths, inputs and the undoing of effects.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::facts::Facts;
use super::fields::Findings;
use super::fit::warn_of_missing_braces;
use super::infer::schema_of;
use super::inputs::Validators;
use super::nesting::Inner;
use super::reference::{Bare, Bound, Records, Sees, View};
use super::reference::{OF_CONCURRENCY, OF_CONDITION, OF_CONDITION_AFTER, OF_STEP, OF_UNDO};
use super::seen::{Seen, Sure, Way, awaited_by, show};
use super::step::{Draft, gather};
use super::trigger::{DraftTrigger, Trigger};
use super::typing::{Kinds, descend};
use super::{Action, Annotation, Concurrency, Undo, Wait, secrets};
use crate::domain::activity::{ActivitySpec, Compensation};
use crate::domain::expression::Template;
use crate::domain::path::Path;
use crate::domain::problem::Problem;

/// A definition that was read, with all that it is checked against.
pub(super) struct Subject<'a> {
    pub(super) findings: &'a Findings,
    pub(super) triggers: &'a [DraftTrigger],
    pub(super) annotations: &'a [Annotation],
    pub(super) concurrency: Option<(&'a Concurrency, &'a str)>,
    pub(super) timeout: Option<Duration>,
    pub(super) drafts: &'a [Draft],
    pub(super) records: &'a Records,
    /// The steps that follow a failure.
    pub(super) handler: &'a [Draft],
    /// Whether it is those that are checked.
    pub(super) at_handler: bool,
}

/// What is known around a list of steps.
#[derive(Clone)]
struct Around<'s> {
    seen: Vec<Seen<'s>>,
    bound: Vec<Bound>,
    facts: Facts,
}

impl Subject<'_> {
    pub(super) fn check(&self) {
        let nothing = Facts::default();
        let drafts = self.triggers.iter();
        for draft in drafts.flat_map(|draft| std::iter::once(draft).chain(&draft.asides)) {
            // A filter sees the event of its own trigger, not that of another.
            let own = Subject { triggers: std::slice::from_ref(draft), ..*self };
            match &draft.trigger {
                Some(Trigger::Event { filter, gates, .. }) => {
                    own.check_filter(filter, &draft.filter_at, View::of_event(&nothing));
                    let facts = Facts::of_trigger(filter);
                    for key in gates.iter().flat_map(|gates| gates.keys()) {
                        own.check_template(key, &draft.gates_at, View::of_event(&facts));
                    }
                }
                Some(Trigger::Lasting(lasting)) => {
                    own.check_filter(&lasting.filter, &draft.filter_at, View::of_event(&nothing));
                }
                _ => {} // It was refused, or starts by itself.
            }
        }
        for (_, key) in self.annotations.iter().flat_map(|annotation| &annotation.required) {
            self.check_template(key, "/annotations", View::of_event(&nothing));
        }
        let facts = self.facts_of_triggers();
        if let Some((concurrency, at)) = self.concurrency {
            let (bare, sees) = (Bare::Unknown, Sees::Begins);
            let view = View { roots: OF_CONCURRENCY, bare, sees, ..View::of_event(&facts) };
            self.check_template(&concurrency.key, at, view);
        }
        let mut validators = Validators::default();
        let around = Around { seen: Vec::new(), bound: Vec::new(), facts };
        self.check_list(self.drafts, &around, &mut validators);
        // What follows a failure sees every step, each of which may not have run.
        let mut after = around;
        for draft in self.drafts {
            show(draft, &Way::of(Sure::Unless), &mut after.seen);
        }
        let handling = Subject { at_handler: true, ..*self };
        handling.check_list(handling.handler, &after, &mut validators);
        self.check_structure();
    }

    fn of_step(&self) -> &'static [&'static str] {
        if self.at_handler { OF_UNDO } else { OF_STEP }
    }

    fn of_condition(&self) -> &'static [&'static str] {
        if self.at_handler { OF_CONDITION_AFTER } else { OF_CONDITION }
    }

    /// Returns every step, those inside others and those that follow a failure too.
    pub(super) fn all(&self) -> Vec<&Draft> {
        let mut all = Vec::new();
        gather(self.drafts, &mut all);
        gather(self.handler, &mut all);
        all
    }

    /// What every trigger makes certain is certain.
    fn facts_of_triggers(&self) -> Facts {
        let facts = self.triggers.iter().map(|draft| match &draft.trigger {
            // What a batch gathers lies elsewhere.
            Some(Trigger::Event { filter, gates, .. })
                if !gates.as_ref().is_some_and(|gates| gates.makes_batches()) =>
            {
                Facts::of_trigger(filter)
            }
            Some(Trigger::Lasting(lasting)) => Facts::of_trigger(&lasting.filter),
            _ => Facts::default(),
        });
        facts.reduce(|one, other| one.or(&other)).unwrap_or_default()
    }

    /// Checks the steps of a list, each of which sees those before it.
    fn check_list<'s>(
        &'s self,
        drafts: &'s [Draft],
        around: &Around<'s>,
        validators: &mut Validators<'s>,
    ) {
        for (index, draft) in drafts.iter().enumerate() {
            let mut here = around.clone();
            let awaited = awaited_by(drafts, index);
            for (earlier, other) in drafts[..index].iter().enumerate() {
                let sure = if awaited.contains(&earlier) { Sure::Before } else { Sure::Beside };
                show(other, &Way::of(sure), &mut here.seen);
            }
            self.check_step(draft, here, validators);
            for dependency in &draft.dependencies {
                self.check_dependency(&dependency.value, &dependency.at, &drafts[..index]);
            }
        }
    }

    fn check_step<'s>(
        &'s self,
        draft: &'s Draft,
        mut around: Around<'s>,
        validators: &mut Validators<'s>,
    ) {
        if let Some(Some(condition)) = &draft.condition {
            let view = View { roots: self.of_condition(), ..around.view(draft, self.of_step()) };
            self.check_filter(&condition.value, &condition.at, view.of_filter());
            around.facts = around.facts.and(condition);
        }
        let view = around.view(draft, self.of_step());
        let without_secrets = View { roots: self.of_condition(), ..view };
        if let Some(Some(approval)) = &draft.approval.approval {
            let escalated = approval.escalate.as_ref().map(|escalation| &escalation.to);
            let all = [Some(&approval.approvers), escalated, approval.reason.as_ref()];
            for template in all.into_iter().flatten() {
                self.check_template(template, &draft.approval.at, without_secrets);
            }
        }
        match &draft.action {
            Some(Action::Call { input, .. }) => {
                self.check_template(input, &draft.input.at, view);
            }
            Some(Action::Run { input, .. }) => {
                self.check_template(input, &draft.input.at, without_secrets);
            }
            Some(Action::Sleep { duration }) => {
                self.check_template(duration, &draft.at, without_secrets);
                self.check_pause(duration, &draft.at, without_secrets);
            }
            Some(Action::Wait(wait)) => self.check_wait(wait, draft, without_secrets),
            Some(Action::Branch(_) | Action::Each(_) | Action::Parallel { .. }) | None => (),
        }
        warn_of_missing_braces(&draft.input.value, &draft.input.at, self.findings);
        match &draft.inner {
            Some(inner) => self.check_inside(inner, draft, &around, validators),
            None => self.check_call(draft, &around, validators),
        }
        self.check_undo(draft);
    }

    fn check_pause(&self, pause: &Template, at: &str, view: View<'_>) {
        let Some(text) = pause.source().as_str().filter(|text| text.contains("{{")) else { return };
        let kinds = self.shape_of_text(text, view).kinds.without_null();
        if !kinds.is_empty() && !kinds.meets(Kinds::NUMBER.or(Kinds::STRING)) {
            let detail = format!("it gives {}, which is no duration and no time", kinds.told());
            self.findings.problem(Problem::new(at, "invalid_duration", detail));
        }
    }

    fn check_call<'s>(
        &'s self,
        draft: &'s Draft,
        around: &Around<'s>,
        validators: &mut Validators<'s>,
    ) {
        let view = around.view(draft, self.of_step());
        if let (Some(Action::Call { input, .. }), Some(spec)) = (&draft.action, &draft.spec) {
            validators.check(spec, &draft.input, self.findings);
            self.check_fit(&draft.input.value, &draft.input.at, &spec.input_schema, view);
            self.check_secrets(input, &draft.input.at, spec);
        }
        if let Some(Undo::Call { input, .. }) = &draft.undo {
            let mut seen = around.seen.clone();
            seen.push(Seen { draft, way: Way::of(Sure::Before) });
            let view = View { roots: OF_UNDO, seen: &seen, ..view };
            self.check_template(input, &draft.undo_input.at, view);
            warn_of_missing_braces(&draft.undo_input.value, &draft.undo_input.at, self.findings);
            if let Some(spec) = &draft.undo_spec {
                let (value, at) = (&draft.undo_input.value, &draft.undo_input.at);
                validators.check(spec, &draft.undo_input, self.findings);
                self.check_fit(value, at, &spec.input_schema, view);
                self.check_secrets(input, &draft.undo_input.at, spec);
            }
        }
    }

    fn check_inside<'s>(
        &'s self,
        inner: &'s Inner,
        draft: &'s Draft,
        around: &Around<'s>,
        validators: &mut Validators<'s>,
    ) {
        let view = View { roots: self.of_condition(), ..around.view(draft, self.of_step()) };
        match inner {
            Inner::Branch(cases) => {
                let mut facts = around.facts.clone();
                for case in cases {
                    let mut inside = Around { facts: facts.clone(), ..around.clone() };
                    if let Some(Some(condition)) = &case.condition {
                        self.check_filter(&condition.value, &condition.at, view.of_filter());
                        inside.facts = facts.and(condition);
                        facts = facts.and_not(condition);
                    }
                    self.check_list(&case.steps, &inside, validators);
                }
            }
            Inner::Each { items, name, steps, .. } => {
                let mut inside = around.clone();
                let mut item = json!(true);
                if let Some(items) = items {
                    self.check_template(&items.value, &items.at, view);
                    item = self.item_of(&items.value, &items.at, view);
                }
                let (item, index) = (Rc::new(item), Rc::new(json!({ "type": "integer" })));
                let names =
                    std::iter::once("item").chain(name.iter().flatten().map(String::as_str));
                for name in names {
                    inside.bound.push(Bound { name: name.to_owned(), schema: Rc::clone(&item) });
                }
                inside.bound.push(Bound { name: "index".to_owned(), schema: index });
                self.check_list(steps, &inside, validators);
            }
            Inner::Parallel { branches, .. } => {
                for steps in branches {
                    self.check_list(steps, around, validators);
                }
            }
        }
    }

    /// Returns the schema of one item of a loop; reports items that surely are no list.
    fn item_of(&self, items: &Template, at: &str, view: View<'_>) -> Value {
        let source = items.source();
        let Some(text) = source.as_str() else {
            return schema_of(source).get("items").cloned().unwrap_or(json!(true));
        };
        let kinds = self.shape_of_text(text, view).kinds.without_null();
        if !kinds.is_empty() && !kinds.meets(Kinds::ARRAY) {
            let detail = format!("it gives {}, and a loop needs a list", kinds.told());
            self.findings.problem(Problem::new(at, "not_a_list", detail));
        }
        items.plain_path().map_or(json!(true), |path| self.element_at(path, view))
    }

    /// Returns the schema of the elements of the list at a path.
    fn element_at(&self, path: &Path, view: View<'_>) -> Value {
        let segments: Vec<&str> = path.segments().chain(["*"]).collect();
        let found: Vec<Value> = match segments.as_slice() {
            ["steps", id, below @ ..] => match self.seen_record(id, view) {
                Some(record) => descend(&record, &record, below).into_iter().cloned().collect(),
                None => Vec::new(),
            },
            ["trigger", below @ ..] => self
                .triggers_here(view)
                .flat_map(|draft| descend(&draft.run_event, &draft.run_event, below))
                .cloned()
                .collect(),
            _ => Vec::new(), // Of anything else nothing is known.
        };
        match found.is_empty() {
            true => json!(true),
            false => json!({ "anyOf": found }),
        }
    }

    /// Checks the filter of a wait: its paths are of the awaited event, its values of the run.
    fn check_wait(&self, wait: &Wait, draft: &Draft, view: View<'_>) {
        let Some(awaited) = &draft.awaited else { return };
        let trigger = DraftTrigger::of_wait(awaited);
        let own = Subject { triggers: std::slice::from_ref(&trigger), ..*self };
        let nothing = Facts::default();
        let filter = wait.filter.without_templates();
        own.check_filter(&filter, &awaited.filter_at, View::of_event(&nothing));
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
}

impl Around<'_> {
    fn view<'v>(&'v self, draft: &'v Draft, roots: &'v [&'v str]) -> View<'v> {
        let (bare, sees) = (Bare::Unknown, Sees::Begins);
        let (seen, bound, facts) = (&self.seen, &self.bound, &self.facts);
        View { roots, seen, own: &draft.id, bound, bare, sees, facts }
    }
}
