//! Reads the kinds of steps that hold other steps, wait for the world, or start another workflow.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fields::Field;
use super::parse::Reading;
use super::step::{Draft, Placed, read_list};
use super::{Action, Awaits, Case, Each, Join, LookBack, OnTimeout, Step, Wait};
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::path::ROOTS;
use crate::domain::problem::pointer_to;

/// How deep steps may stand inside other steps.
const NESTING_MAX: usize = 8;
/// How many items a loop may work on at once.
const CONCURRENCY_MAX: u32 = 100;

/// The kinds of steps beside activities and sleeps.
pub(super) const KINDS: [&str; 5] = ["waitFor", "branch", "forEach", "parallel", "run"];

/// The steps inside a step, as far as they could be read.
pub(super) enum Inner {
    Branch(Vec<DraftCase>),
    Each {
        items: Option<Placed<Template>>,
        name: Option<Option<String>>,
        concurrency: Option<u32>,
        steps: Vec<Draft>,
    },
    Parallel {
        join: Option<Join>,
        branches: Vec<Vec<Draft>>,
    },
}

/// One way of a branch, as far as it could be read.
pub(super) struct DraftCase {
    pub(super) at: String,
    pub(super) condition: Option<Option<Placed<Filter>>>,
    pub(super) steps: Vec<Draft>,
}

/// The event that a step waits for, with what is known of it.
pub(super) struct Awaited {
    pub(super) filter_at: String,
    pub(super) payload: Value,
}

/// What a step of one of these kinds does.
#[derive(Default)]
pub(super) struct Read {
    pub(super) action: Option<Action>,
    pub(super) inner: Option<Inner>,
    pub(super) awaited: Option<Awaited>,
    /// The input as written, of a started workflow.
    pub(super) input: Placed<Value>,
}

impl Inner {
    pub(super) fn lists(&self) -> Vec<&[Draft]> {
        match self {
            Inner::Branch(cases) => cases.iter().map(|case| case.steps.as_slice()).collect(),
            Inner::Each { steps, .. } => vec![steps.as_slice()],
            Inner::Parallel { branches, .. } => branches.iter().map(Vec::as_slice).collect(),
        }
    }

    pub(super) fn finish(self) -> Option<Action> {
        let list = |drafts: Vec<Draft>| -> Option<Vec<Step>> {
            drafts.into_iter().map(Draft::finish).collect()
        };
        Some(match self {
            Inner::Branch(cases) => Action::Branch(
                cases
                    .into_iter()
                    .map(|case| {
                        let condition = case.condition?.map(|placed| placed.value);
                        Some(Case { condition, steps: list(case.steps)? })
                    })
                    .collect::<Option<_>>()?,
            ),
            Inner::Each { items, name, concurrency, steps } => Action::Each(Each {
                items: items?.value,
                name: name?,
                concurrency: concurrency?,
                steps: list(steps)?,
            }),
            Inner::Parallel { join, branches } => Action::Parallel {
                join: join?,
                branches: branches.into_iter().map(list).collect::<Option<_>>()?,
            },
        })
    }
}

impl<'a> Reading<'a> {
    pub(super) fn kind(&self, field: &Field<'a>, depth: usize) -> Read {
        if depth >= NESTING_MAX && !matches!(field.name, "waitFor" | "run") {
            let detail = format!("steps stand at most {NESTING_MAX} deep inside others");
            self.findings.problem(field.problem("too_deep", detail));
            return Read::default();
        }
        match field.name {
            "waitFor" => self.wait_for(field),
            "run" => self.run(field),
            "branch" => Read { inner: self.branch(field, depth), ..Read::default() },
            "forEach" => Read { inner: self.for_each(field, depth), ..Read::default() },
            _ => Read { inner: self.parallel(field, depth), ..Read::default() },
        }
    }

    /// Reads `{event, filter, timeout, onTimeout, lookBack}`, or the name of the event alone.
    pub(super) fn wait_for(&self, field: &Field<'a>) -> Read {
        if field.value.is_string() {
            return self.wait_for_event(Some(field), None, None, None, None);
        }
        let Some(mut fields) = field.object() else { return Read::default() };
        let event = fields.need(
            &["event", "eventType", "triggerEvent", "type"],
            "name the event type that it waits for",
        );
        let filter = fields.take(&["filter", "filters"]);
        let timeout = fields.take(&["timeout"]);
        let on_timeout = fields.take(&["onTimeout"]);
        let look_back = fields.take(&["lookBack"]);
        fields.close();
        self.wait_for_event(event.as_ref(), filter, timeout, on_timeout, look_back)
    }

    fn wait_for_event(
        &self,
        event: Option<&Field<'a>>,
        filter: Option<Field<'a>>,
        timeout: Option<Field<'a>>,
        on_timeout: Option<Field<'a>>,
        look_back: Option<Field<'a>>,
    ) -> Read {
        let known = event.and_then(|event| self.event(event));
        let filter_at = filter.as_ref().map_or_else(String::new, |field| field.at.clone());
        let filter = filter.map_or(Some(None), |field| self.filter(&field));
        let timeout = timeout.map_or(Some(None), |field| self.pause(&field).map(Some));
        let on_timeout = on_timeout.map_or(Some(OnTimeout::Fail), |field| {
            field.choice(&[("fail", OnTimeout::Fail), ("continue", OnTimeout::Continue)])
        });
        let look_back = look_back.map_or(Some(LookBack::Run), |field| match field.value.as_str() {
            Some("run") => Some(LookBack::Run),
            Some("none") => Some(LookBack::Last(Duration::ZERO)),
            _ => field.duration(Duration::ZERO..=self.limits().sleep_max).map(LookBack::Last),
        });
        let Some(known) = known else { return Read::default() };
        let awaited = Some(Awaited { filter_at, payload: known.schema });
        let wait = || {
            Some(Wait {
                kind: known.kind,
                filter: filter?.unwrap_or_else(Filter::any),
                timeout: timeout?,
                on_timeout: on_timeout?,
                look_back: look_back?,
            })
        };
        Read { action: wait().map(Action::Wait), awaited, ..Read::default() }
    }

    pub(super) fn pause(&self, field: &Field<'a>) -> Option<Duration> {
        field.duration(Duration::from_millis(1)..=self.limits().sleep_max)
    }

    /// Reads `{workflow, input, wait}`, or the name of the workflow alone.
    pub(super) fn run(&self, field: &Field<'a>) -> Read {
        let (workflow, input, wait) = if field.value.is_string() {
            (field.text(), None, None)
        } else {
            let Some(mut fields) = field.object() else { return Read::default() };
            let workflow = fields.need(
                &["workflow", "name", "workflowUniqueIdentifier"],
                "name the workflow to start",
            );
            let (input, wait) = (fields.take(&["input", "payload"]), fields.take(&["wait"]));
            fields.close();
            (workflow.and_then(|field| field.text()), input, wait)
        };
        let template = self.input(input.as_ref());
        let awaits = wait.map_or(Some(Awaits::End), |field| {
            field.truth().map(|waits| if waits { Awaits::End } else { Awaits::Nothing })
        });
        let placed = Placed {
            at: input.as_ref().map_or_else(|| field.at.clone(), |input| input.at.clone()),
            value: input.map_or_else(|| Value::Object(Map::new()), |input| input.value.clone()),
        };
        let action = || {
            let workflow = workflow?.to_owned();
            Some(Action::Run { workflow, input: template?, awaits: awaits? })
        };
        Read { action: action(), input: placed, ..Read::default() }
    }

    fn branch(&self, field: &Field<'a>, depth: usize) -> Option<Inner> {
        let list = field.list()?;
        if list.is_empty() {
            let problem = field.problem("missing", "a branch needs at least one case");
            return field.report(problem.with_hint("such as {if: {…}, steps: […]}"));
        }
        let cases = field.elements(list);
        let last = cases.len() - 1;
        let read = |(index, case): (usize, Field<'a>)| self.case(&case, index == last, depth);
        Some(Inner::Branch(cases.into_iter().enumerate().map(read).collect()))
    }

    fn case(&self, field: &Field<'a>, is_last: bool, depth: usize) -> DraftCase {
        let at = field.at.clone();
        let nothing = || DraftCase { at: field.at.clone(), condition: None, steps: Vec::new() };
        let Some(mut fields) = field.object() else { return nothing() };
        let condition = fields.take(&["if", "filter", "filters"]);
        let otherwise = fields.take(&["else"]);
        let steps = fields.need(&["steps"], "list what is done then");
        fields.close();
        let condition = match (condition, otherwise) {
            (Some(_), Some(_)) => {
                fields_clash(field);
                None
            }
            (Some(condition), None) => self
                .filter(&condition)
                .map(|filter| filter.map(|value| Placed { at: condition.at.clone(), value })),
            (None, Some(otherwise)) => match otherwise.truth() {
                Some(true) if is_last => Some(None),
                Some(true) => {
                    let problem = otherwise.problem("not_allowed", "`else` stands last");
                    otherwise.report(problem.with_hint("nothing after it would ever be done"))
                }
                Some(false) => {
                    let problem = otherwise.problem("not_allowed", "`else` is true or absent");
                    otherwise.report(problem)
                }
                None => None,
            },
            (None, None) => {
                let problem = field.problem("missing", "a case needs `if`, or `else: true`");
                field.report(problem)
            }
        };
        let steps = steps.map(|steps| self.inner_steps(&steps, depth)).unwrap_or_default();
        DraftCase { at, condition, steps }
    }

    fn for_each(&self, field: &Field<'a>, depth: usize) -> Option<Inner> {
        let mut fields = field.object()?;
        let items = fields.need(&["items"], "such as \"{{trigger.payload.items}}\"");
        let name = fields.take(&["as"]);
        let concurrency = fields.take(&["concurrency"]);
        let steps = fields.need(&["steps"], "list what is done for each item");
        fields.close();
        let items = items.and_then(|field| {
            let is_list = field.value.is_array();
            let is_expression = field.value.as_str().is_some_and(|text| text.contains("{{"));
            if !is_list && !is_expression {
                let problem = field.problem("wrong_type", "expected a list, or an expression");
                return field.report(problem.with_hint("such as \"{{trigger.payload.items}}\""));
            }
            let at = field.at.clone();
            self.template(&field).map(|value| Placed { at, value })
        });
        let name = name.map_or(Some(None), |field| self.item_name(&field).map(Some));
        let concurrency = concurrency.map_or(Some(1), |field| field.whole(1..=CONCURRENCY_MAX));
        let steps = steps.map(|steps| self.inner_steps(&steps, depth)).unwrap_or_default();
        Some(Inner::Each { items, name, concurrency, steps })
    }

    fn item_name(&self, field: &Field<'a>) -> Option<String> {
        let text = field.text()?;
        let is_name = super::step::is_step_id(text);
        if !is_name {
            let detail = format!("`{text}` is no name: letters, digits and `_`, 1 to 64");
            return field.report(field.problem("invalid_name", detail));
        }
        let is_taken = (ROOTS.contains(&text) && text != "item")
            || ["index", "context", "trigger"].contains(&text);
        if is_taken {
            let detail = format!("`{text}` has a meaning of its own");
            return field.report(field.problem("invalid_name", detail));
        }
        Some(text.to_owned())
    }

    fn parallel(&self, field: &Field<'a>, depth: usize) -> Option<Inner> {
        let (join, branches) = if field.value.is_array() {
            (None, Field { at: field.at.clone(), ..*field })
        } else {
            let mut fields = field.object()?;
            let join = fields.take(&["join"]);
            let branches = fields.need(&["branches"], "a list of lists of steps");
            fields.close();
            (join, branches?)
        };
        let list = branches.list()?;
        if list.is_empty() {
            let problem = branches.problem("missing", "there is nothing to do in parallel");
            return branches.report(problem);
        }
        let count = u32::try_from(list.len()).unwrap_or(u32::MAX);
        let join = join.map_or(Some(Join::All), |field| match field.value.as_str() {
            Some(_) => field.choice(&[("all", Join::All), ("any", Join::Count(1))]),
            None => field.whole(1..=count).map(Join::Count),
        });
        let read = |branch: Field<'a>| self.inner_steps(&branch, depth);
        let branches = branches.elements(list).into_iter().map(read).collect();
        Some(Inner::Parallel { join, branches })
    }

    fn inner_steps(&self, field: &Field<'a>, depth: usize) -> Vec<Draft> {
        let Some(list) = field.list() else { return Vec::new() };
        if list.is_empty() {
            self.findings.problem(field.problem("missing", "there are no steps"));
        }
        read_list(self, list, &field.at, depth + 1)
    }
}

fn fields_clash(field: &Field<'_>) {
    let detail = "`if` and `else` exclude each other";
    let problem =
        crate::domain::problem::Problem::new(pointer_to(&field.at, "else"), "ambiguous", detail);
    field.findings.problem(problem.with_hint("keep one of them"));
}

/// Returns the canonical JSON of a wait.
pub(super) fn native_wait(wait: &Wait) -> Value {
    let mut body = json!({ "event": wait.kind });
    if wait.filter != Filter::any() {
        body["filter"] = wait.filter.source().clone();
    }
    if let Some(timeout) = wait.timeout {
        body["timeout"] = json!(crate::domain::time::format_duration(timeout));
    }
    body["onTimeout"] = json!(wait.on_timeout);
    body["lookBack"] = match wait.look_back {
        LookBack::Run => json!("run"),
        LookBack::Last(last) => json!(crate::domain::time::format_duration(last)),
    };
    body
}
