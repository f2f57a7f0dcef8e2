//! Reads a definition, in this product's spelling or Thena's, into a checked workflow.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::check;
use super::fields::{Field, Fields, Findings};
use super::places::in_document_order;
use super::reference::Records;
use super::step::{self, Draft};
use super::thena;
use super::trigger_schedule;
use super::{Concurrency, ConcurrencyPolicy, Priority, Step, Workflow};
use crate::domain::activity::{ActivitySpec, Catalogue};
use crate::domain::event_type;
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::problem::Problem;
use crate::domain::retention::RunRules;

/// An event type that definitions may listen to.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownEvent {
    /// The canonical name, such as `ticket:created`.
    pub kind: String,
    /// JSON Schema of the payload; `true` when it is not known.
    pub schema: Value,
}

impl KnownEvent {
    /// Finds a built-in event type by its name, an alias or its uid.
    #[must_use]
    pub fn built_in(name: &str) -> Option<KnownEvent> {
        if let Some(found) = event_type::find(name) {
            let kind = event_type::canonical(name).into_owned();
            return Some(KnownEvent { kind, schema: found.schema() });
        }
        let found = event_type::built_in().iter().find(|known| known.uid() == name)?;
        Some(KnownEvent { kind: found.kind.to_owned(), schema: found.schema() })
    }
}

/// How large a definition may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefinitionLimits {
    /// How many steps it may have.
    pub steps_max: usize,
    /// How long one attempt of a step may take.
    pub step_timeout_max: Duration,
    /// How long a run may take altogether.
    pub run_timeout_max: Duration,
    /// How long one step may sleep.
    pub sleep_max: Duration,
    /// How many test cases it may have.
    pub tests_max: usize,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for DefinitionLimits {
    fn default() -> DefinitionLimits {
        DefinitionLimits {
            steps_max: 100,
            step_timeout_max: DAY,
            run_timeout_max: DAY.saturating_mul(366),
            sleep_max: DAY.saturating_mul(366),
            tests_max: 50,
        }
    }
}

/// What a definition is checked against.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The activities that steps may call.
    pub catalogue: &'a Catalogue,
    /// Finds an event type by its name, an alias or its uid.
    pub event_type: &'a dyn Fn(&str) -> Option<KnownEvent>,
    /// The canonical names of all event types, from which a mistyped one is guessed.
    pub event_names: &'a [&'a str],
    /// The size that is allowed.
    pub limits: DefinitionLimits,
}

/// What came of checking a definition.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Why it cannot be saved, in the order of the document; empty when it can.
    pub problems: Vec<Problem>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<Problem>,
    /// The workflow, when there are no problems.
    pub workflow: Option<Workflow>,
}

/// Reads and checks a definition.
///
/// # Errors
/// Returns every problem, each with the RFC 6901 pointer to its place in `raw`.
pub fn parse(raw: &Value, known: &Known<'_>) -> Result<Workflow, Vec<Problem>> {
    let validation = validate(raw, known);
    validation.workflow.ok_or(validation.problems)
}

/// Reads and checks a definition and tells warnings too.
#[must_use]
pub fn validate(raw: &Value, known: &Known<'_>) -> Validation {
    let findings = Findings::default();
    let reading = Reading { origin: Origin::Written(known), findings: &findings };
    let workflow = reading.workflow(raw);
    let (mut problems, mut warnings) = findings.into_parts();
    in_document_order(&mut problems, raw);
    in_document_order(&mut warnings, raw);
    let workflow = workflow.filter(|_| problems.is_empty());
    assert!(workflow.is_some() || !problems.is_empty(), "a refusal has a reason");
    Validation { problems, warnings, workflow }
}

/// Reads back what `to_native` wrote when the definition was saved, without checking it against
/// activities and event types of today: a run keeps the version it began with.
///
/// # Errors
/// Returns what keeps the value from being a definition at all.
pub fn restore(raw: &Value) -> Result<Workflow, Vec<Problem>> {
    let findings = Findings::default();
    let reading = Reading { origin: Origin::Stored, findings: &findings };
    let workflow = reading.workflow(raw);
    let (problems, _) = findings.into_parts();
    workflow.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Where a definition comes from, which decides whether it must prove itself.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    /// From an author.
    Written(&'a Known<'a>),
    /// From the store, where only checked definitions are.
    Stored,
}

/// A definition being read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) origin: Origin<'a>,
    pub(super) findings: &'a Findings,
}

impl<'a> Reading<'a> {
    pub(super) fn limits(&self) -> DefinitionLimits {
        match self.origin {
            Origin::Written(known) => known.limits,
            Origin::Stored => DefinitionLimits {
                steps_max: usize::MAX,
                step_timeout_max: Duration::MAX,
                run_timeout_max: Duration::MAX,
                sleep_max: Duration::MAX,
                tests_max: usize::MAX,
            },
        }
    }

    /// Returns the newest spec of an activity; a stored definition needs none.
    pub(super) fn spec(&self, identifier: &str) -> Option<Arc<ActivitySpec>> {
        match self.origin {
            Origin::Written(known) => known.catalogue.find(identifier).cloned(),
            Origin::Stored => None,
        }
    }

    fn workflow(&self, raw: &'a Value) -> Option<Workflow> {
        let mut body = Fields::open(raw, "", self.findings)?;
        body.take(&["$schema"]);
        let tags = self.tags(&mut body);
        let spelling = thena::spelling_of(raw);
        let named = thena::name_and_title(&mut body, spelling);
        let description = body.take(&["description"]).and_then(|field| field.text());
        let thena = thena::fields_of(&mut body, spelling);
        let mut triggers = self.triggers(&mut body, spelling);
        let thena = trigger_schedule::without_schedule(thena, &triggers);
        let annotations = self.annotations(&mut body);
        for draft in &mut triggers {
            draft.describe(annotations.as_deref().unwrap_or_default());
        }
        let priority = body.take(&["priority"]);
        let priority = priority.map_or(Some(Priority::NORMAL), |field| Priority::read(&field));
        body.refuse("load", "`annotations` join related records into the context");
        let concurrency = body.take(&["concurrency"]);
        let concurrency_at = concurrency.as_ref().map_or("", |field| &field.at).to_owned();
        let concurrency = concurrency.and_then(|field| self.concurrency(&field));
        let timeout = self.timeout(&mut body);
        let retention = self.retention(&mut body);
        let (drafts, steps_at) = self.steps(&mut body);
        let handler = self.handler(&mut body);
        let tests = self.tests(&mut body, &drafts);
        step::check_all(self, &drafts, &handler, &steps_at);
        body.close();
        if let Origin::Written(_) = self.origin {
            self.check_queues(&triggers, concurrency.is_some());
            let records = Records::default();
            let subject = check::Subject {
                findings: self.findings,
                triggers: &triggers,
                annotations: annotations.as_deref().unwrap_or_default(),
                concurrency: concurrency.as_ref().map(|c| (c, &*concurrency_at)),
                timeout,
                drafts: &drafts,
                records: &records,
                handler: &handler,
                at_handler: false,
            };
            subject.check();
        }
        let thena = thena::with_steps(thena, &drafts, &handler);
        let (name, title) = named?;
        Some(Workflow {
            name,
            title,
            description: description.unwrap_or_default().to_owned(),
            triggers: triggers.into_iter().map(|draft| draft.trigger).collect::<Option<_>>()?,
            tags: tags?,
            annotations: annotations?,
            priority: priority?,
            concurrency,
            timeout,
            retention: retention?,
            steps: finish(drafts)?,
            on_failure: finish(handler)?,
            thena,
            tests,
        })
    }

    fn retention(&self, body: &mut Fields<'a>) -> Option<RunRules> {
        match body.take(&["retention"]) {
            Some(field) => self.findings.keep(RunRules::parse(field.value, &field.at)),
            None => Some(RunRules::default()),
        }
    }

    fn timeout(&self, body: &mut Fields<'a>) -> Option<Duration> {
        let field = body.take(&["timeout"])?;
        field.duration(Duration::from_millis(1)..=self.limits().run_timeout_max)
    }

    /// Reads a filter; one that asks nothing is as good as none.
    pub(super) fn filter(&self, field: &Field<'a>) -> Option<Option<Filter>> {
        if field.value.as_object().is_some_and(serde_json::Map::is_empty) {
            return Some(None);
        }
        self.findings.keep(Filter::parse(field.value, &field.at)).map(Some)
    }

    pub(super) fn template(&self, field: &Field<'a>) -> Option<Template> {
        self.findings.keep(Template::parse(field.value, &field.at))
    }

    fn concurrency(&self, field: &Field<'a>) -> Option<Concurrency> {
        let mut fields = field.object()?;
        let key =
            fields.need(&["key"], "say what is counted, such as \"{{trigger.payload.ticket.id}}\"");
        let limit = fields.take(&["limit"]);
        let policy = fields.take(&["policy"]);
        fields.close();
        let key = key.and_then(|key| key.text().and_then(|_| self.template(&key)));
        let limit = limit.map_or(Some(1), |limit| limit.whole(1..=10_000));
        let policy = policy.map_or(Some(ConcurrencyPolicy::Queue), |policy| {
            policy.choice(&[
                ("queue", ConcurrencyPolicy::Queue),
                ("skip", ConcurrencyPolicy::Skip),
                ("cancel-running", ConcurrencyPolicy::CancelRunning),
            ])
        });
        Some(Concurrency { key: key?, limit: limit?, policy: policy? })
    }

    fn steps(&self, body: &mut Fields<'a>) -> (Vec<Draft>, String) {
        let hint = "list at least one step, such as {id: first, activity: …}";
        let Some(field) = body.need(&["steps", "workflowDefinition"], hint) else {
            return Default::default();
        };
        let Some(list) = field.list() else { return Default::default() };
        if list.is_empty() {
            let problem = field.problem("missing", "a workflow needs at least one step");
            self.findings.problem(problem.with_hint(hint));
        }
        (self.drafts(&field, list), field.at)
    }

    /// Reads what a run does when it has failed: a list of steps, or `{steps: […]}`.
    fn handler(&self, body: &mut Fields<'a>) -> Vec<Draft> {
        let Some(field) = body.take(&["onFailure"]) else { return Vec::new() };
        let hint = "list the steps that follow a failure; what one step does when it fails is \
                    said in the step";
        let inner = match field.value {
            Value::Array(_) => Some(field),
            Value::Object(_) => field.object().and_then(|mut fields| {
                let steps = fields.need(&["steps"], hint);
                fields.close();
                steps
            }),
            _ => {
                let problem = field.problem("wrong_type", "expected a list of steps");
                field.report(problem.with_hint(hint))
            }
        };
        let Some((field, list)) = inner.and_then(|field| field.list().map(|list| (field, list)))
        else {
            return Vec::new();
        };
        self.drafts(&field, list)
    }

    fn drafts(&self, field: &Field<'a>, list: &'a [Value]) -> Vec<Draft> {
        let most = self.limits().steps_max;
        if list.len() > most {
            let detail = format!("{} steps are too many, the limit is {most}", list.len());
            self.findings.problem(field.problem("too_many_steps", detail));
            return Vec::new();
        }
        step::read_list(self, list, &field.at, 0)
    }
}

fn finish(drafts: Vec<Draft>) -> Option<Vec<Step>> {
    drafts.into_iter().map(Draft::finish).collect()
}
