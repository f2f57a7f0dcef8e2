//! Reads the steps of a definition, with all that a check needs to know of where things stand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::approval::DraftApproval;
use super::fields::{Field, Fields, is_off};
use super::nesting::{Awaited, Inner, KINDS, Read};
use super::parse::Reading;
use super::thena::{self, Named};
use super::undoing::{Undone, Unsaid};
use super::{Action, InDoubt, OnFailure, Retry, Step, ThenaStep, Undo};
use crate::domain::activity::{ActivitySpec, Reach, Settling};
use crate::domain::expression::Template;
use crate::domain::filter::Filter;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::time::{Timestamp, format_duration, parse_duration};

/// How long an attempt may take where neither the step nor its activity says so.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// A value together with the pointer to it.
#[derive(Default)]
pub(super) struct Placed<T> {
    pub(super) at: String,
    pub(super) value: T,
}

/// A step as far as it could be read; a part that is `None` has been reported.
pub(super) struct Draft {
    pub(super) at: String,
    /// Empty when it could not be read.
    pub(super) id: String,
    pub(super) condition: Option<Option<Placed<Filter>>>,
    pub(super) action: Option<Action>,
    /// The input as written, of a call.
    pub(super) input: Placed<Value>,
    pub(super) spec: Option<Arc<ActivitySpec>>,
    pub(super) undo: Option<Undo>,
    pub(super) undo_input: Placed<Value>,
    pub(super) undo_spec: Option<Arc<ActivitySpec>>,
    /// Whether the author left the undoing unsaid.
    pub(super) undo_unsaid: Option<Unsaid>,
    /// Steps that must come before, each with its pointer.
    pub(super) dependencies: Vec<Placed<String>>,
    pub(super) kept: ThenaStep,
    /// The steps inside it.
    pub(super) inner: Option<Inner>,
    /// What it waits for, of a wait.
    pub(super) awaited: Option<Awaited>,
    pub(super) approval: DraftApproval,
    title: Option<String>,
    pub(super) retry: Option<Retry>,
    /// Where the retry is said, if it is.
    pub(super) retry_at: Option<String>,
    pub(super) timeout: Option<Duration>,
    /// Where the timeout is said, if it is.
    pub(super) timeout_at: Option<String>,
    pub(super) on_failure: Option<OnFailure>,
    in_doubt: Option<Option<InDoubt>>,
    /// Where the undoing is said, if it is.
    pub(super) undo_at: Option<String>,
}

impl Draft {
    pub(super) fn finish(self) -> Option<Step> {
        let action = match self.inner {
            Some(inner) => inner.finish()?,
            None => self.action?,
        };
        Some(Step {
            id: self.id,
            title: self.title?,
            condition: self.condition?.map(|placed| placed.value),
            approval: self.approval.approval?,
            after: self.dependencies.into_iter().map(|placed| placed.value).collect(),
            action,
            retry: self.retry?,
            timeout: self.timeout?,
            on_failure: self.on_failure?,
            in_doubt: self.in_doubt?,
            compensate: self.undo?,
        })
    }
}

/// Reports ids that stand twice, in the steps or in what follows a failure, and too many of both.
pub(super) fn check_all(reading: &Reading<'_>, drafts: &[Draft], handler: &[Draft], at: &str) {
    let mut all = Vec::new();
    gather(drafts, &mut all);
    gather(handler, &mut all);
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    for draft in &all {
        match first.get(draft.id.as_str()) {
            Some(taken) => {
                let detail = format!("the id `{}` is taken by {taken}", draft.id);
                reading.findings.problem(Problem::new(&*draft.at, "duplicate_id", detail));
            }
            None if draft.id.is_empty() => {} // It could not be read, which was reported.
            None => drop(first.insert(&draft.id, &draft.at)),
        }
    }
    let most = reading.limits().steps_max;
    if all.len() > most {
        let detail = format!("{} steps are too many, the limit is {most}", all.len());
        reading.findings.problem(Problem::new(at, "too_many_steps", detail));
    }
}

/// Reads a list of steps that stands `depth` steps deep.
pub(super) fn read_list<'a>(
    reading: &Reading<'a>,
    list: &'a [Value],
    at: &str,
    depth: usize,
) -> Vec<Draft> {
    let read = |(index, value): (usize, &'a Value)| {
        reading.step(value, &pointer_to(at, &index.to_string()), index, depth)
    };
    list.iter().enumerate().filter_map(read).collect()
}

/// Collects drafts, each before those inside it.
pub(super) fn gather<'d>(drafts: &'d [Draft], all: &mut Vec<&'d Draft>) {
    for draft in drafts {
        all.push(draft);
        for list in draft.inner.iter().flat_map(Inner::lists) {
            gather(list, all);
        }
    }
}

impl<'a> Reading<'a> {
    fn step(&self, value: &'a Value, at: &str, index: usize, depth: usize) -> Option<Draft> {
        let mut fields = Fields::open(value, at, self.findings)?;
        let id = self.id(&mut fields, index);
        let title = fields.take(&["title"]).map_or(Some(""), |field| field.text());
        let condition = self.condition(fields.take(&["if", "filters", "filter"]));
        let mut kept = ThenaStep::default();
        let does = self.action(&mut fields, &mut kept, depth);
        self.refuse_what_groups_lack(&fields, &does);
        let spec = does.spec;
        let calls = matches!(does.action, Some(Action::Call { .. }));
        let standard = if calls { Retry::DEFAULT } else { Retry::NEVER };
        let standard = spec.as_ref().filter(|_| calls).map_or(standard, |spec| spec.retry.clone());
        let retry = fields.take(&["retry", "retryPolicy"]);
        let retry_at = retry.as_ref().map(|field| field.at.clone());
        let retry = self.retry(retry, standard);
        let timeout = fields.take(&["timeout", "executionTimeout"]);
        let timeout_at = timeout.as_ref().map(|field| field.at.clone());
        let timeout = timeout.map_or_else(
            || Some(spec.as_ref().map_or(TIMEOUT, |spec| spec.timeout)),
            |field| field.duration(Duration::from_millis(1)..=self.limits().step_timeout_max),
        );
        let on_failure = on_failure(fields.take(&["onFailure"]), does.inner.is_some());
        let in_doubt = self.in_doubt(fields.take(&["inDoubt"]), &does.action, spec.as_deref());
        let undo = fields.take(&["compensate", "compensationActivity"]);
        let undo_at = undo.as_ref().map(|field| field.at.clone());
        let undone = self.undo(undo, &does.action, spec.as_deref());
        // Whatever another spelling says of them: a wait and a step around others have none of these.
        let plain = does.inner.is_some() || matches!(does.action, Some(Action::Wait(_)));
        let (retry, timeout, undone) = match plain {
            true => (Some(Retry::NEVER), Some(TIMEOUT), Undone::of(Undo::None)),
            false => (retry, timeout, undone),
        };
        let dependencies = dependencies(&mut fields, &mut kept);
        let approval = self.approval(&mut fields, &mut kept);
        fields.refuse("annotations", "this build joins no related records into the context");
        fields.close();
        Some(Draft {
            at: at.to_owned(),
            id: id.unwrap_or_default(),
            condition,
            action: does.action,
            input: does.input,
            spec,
            undo: undone.undo,
            undo_input: undone.input,
            undo_spec: undone.spec,
            undo_unsaid: undone.unsaid,
            dependencies,
            kept,
            inner: does.inner,
            awaited: does.awaited,
            approval,
            title: title.map(str::to_owned),
            retry,
            retry_at,
            timeout,
            timeout_at,
            on_failure,
            in_doubt,
            undo_at,
        })
    }

    fn condition(&self, field: Option<Field<'a>>) -> Option<Option<Placed<Filter>>> {
        let Some(field) = field else { return Some(None) };
        let filter = self.filter(&field)?;
        Some(filter.map(|value| Placed { at: field.at.clone(), value }))
    }

    /// Reads what follows from a call whose outcome is unknown; only one to the outside can be.
    fn in_doubt(
        &self,
        field: Option<Field<'a>>,
        action: &Option<Action>,
        spec: Option<&ActivitySpec>,
    ) -> Option<Option<InDoubt>> {
        let Some(field) = field else {
            let identifier = spec.map(|spec| spec.identifier.as_str());
            return Some(identifier.and_then(|identifier| self.asked(identifier)));
        };
        let is_inside = spec.is_some_and(|spec| spec.reach != Reach::Outside);
        if is_inside || !matches!(action, Some(Action::Call { .. })) {
            let detail = "only a call to the outside can be in doubt";
            return field.report(field.problem("not_supported", detail));
        }
        field.choice(&[("repeat", InDoubt::Repeat), ("ask", InDoubt::Ask)]).map(Some)
    }

    fn asked(&self, identifier: &str) -> Option<InDoubt> {
        let super::parse::Origin::Written(known) = self.origin else { return None };
        (known.catalogue.settling(identifier) == Settling::Ask).then_some(InDoubt::Ask)
    }

    fn id(&self, fields: &mut Fields<'a>, index: usize) -> Option<String> {
        let hint = format!("such as `step_{}`", index + 1);
        let field = fields.need(&["id", "stepIdentifier"], &hint)?;
        if field.value.is_number() {
            return field.whole(0..=u32::MAX).map(|number| format!("step_{number}"));
        }
        let text = field.text()?;
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some(format!("step_{text}"));
        }
        if is_step_id(text) {
            return Some(text.to_owned());
        }
        let detail = format!("`{text}` is no id of a step: letters, digits and `_`, 1 to 64");
        let plain: String =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let problem = field.problem("invalid_id", detail);
        field.report(if is_step_id(&plain) {
            problem.with_hint(format!("expressions read `-` as minus; use `{plain}`"))
        } else {
            problem.with_hint(hint)
        })
    }

    fn action(&self, fields: &mut Fields<'a>, kept: &mut ThenaStep, depth: usize) -> Does {
        let sleep = fields.take(&["sleep"]);
        let activity = fields.take(&["activity"]);
        let kinds = KINDS.iter().filter_map(|kind| fields.take(&[*kind]));
        let kinds: Vec<Field<'a>> = kinds.filter(|field| !is_off(field.value)).collect();
        let input = fields.take(&["input"]);
        let marked = fields.take(&["isSleepActivity"]).and_then(|field| field.truth());
        let mut does = Does::default();
        let given: Vec<&str> =
            sleep.iter().chain(&activity).chain(&kinds).map(|field| field.name).collect();
        if let [first, second, ..] = given[..] {
            fields.clash(first, second);
            return does;
        }
        match (sleep, activity, kinds.first()) {
            (Some(sleep), ..) => does.action = self.sleep_step(&sleep),
            (_, Some(activity), _) => {
                let connection = fields.take(&["connection"]);
                let given = Given { input: input.as_ref(), connection: connection.as_ref() };
                self.call(&activity, given, marked == Some(true), kept, &mut does);
            }
            (.., Some(kind)) => does.take(self.kind(kind, depth)),
            (None, None, None) if marked == Some(true) => {
                does.action = input.as_ref().and_then(|input| self.slept(input));
            }
            (None, None, None) => {
                let hint = format!("a step needs `activity`, `sleep`, {}", KINDS.join(", "));
                fields.need(&["activity"], &hint);
            }
        }
        does
    }

    /// Reads `sleep: 4h`, or `sleep: {until: …}` with a time.
    fn sleep_step(&self, field: &Field<'a>) -> Option<Action> {
        if is_off(field.value) || !field.value.is_object() {
            return self.sleep(field, field.value, field.at.clone());
        }
        let mut fields = field.object()?;
        let until = fields.need(&["until"], "such as \"{{trigger.payload.dueAt}}\"");
        fields.close();
        let until = until?;
        let text = until.text()?;
        if !text.contains("{{") && text.parse::<Timestamp>().is_err() {
            let detail = format!("`{text}` is no time");
            let problem = until.problem("invalid_time", detail);
            return until.report(problem.with_hint("such as 2026-11-23T10:00:00Z"));
        }
        self.sleep(&until, until.value, until.at.clone())
    }

    /// A step around others fails, repeats and is undone as the steps inside it are.
    fn refuse_what_groups_lack(&self, fields: &Fields<'a>, does: &Does) {
        let sentence = match (&does.inner, &does.action) {
            (Some(_), _) => "it belongs to the steps inside",
            (None, Some(Action::Wait(_))) if does.spec.is_none() => {
                "a wait has nothing of the kind"
            }
            _ => return,
        };
        for name in ["retry", "retryPolicy", "timeout", "executionTimeout", "compensate"] {
            fields.refuse_beside(name, sentence);
        }
    }

    fn call(
        &self,
        activity: &Field<'a>,
        Given { input, connection }: Given<'_, 'a>,
        marked_as_sleep: bool,
        kept: &mut ThenaStep,
        does: &mut Does,
    ) {
        let named = thena::activity(self, activity);
        let spec = named.as_ref().and_then(|named| self.spec(&named.identifier));
        let over = self.input_over(connection, input, spec.as_deref());
        let input_at = input.map_or_else(|| activity.at.clone(), |input| input.at.clone());
        does.input = Placed {
            at: input_at,
            value: over.as_deref().map_or_else(|| Value::Object(Map::new()), Value::clone),
        };
        let template = self.input_template(input, over.as_deref());
        let Some(named) = named else { return };
        kept.version = named.noted;
        does.spec = self.checked_spec(&named, activity);
        if named.identifier == thena::WAIT || named.identifier == thena::RUN {
            does.input.value = Value::Null;
            let Some(input) = input else {
                let problem = activity.problem("missing", "it has no `input`");
                activity.findings.problem(problem);
                return;
            };
            let waits = named.identifier == thena::WAIT;
            does.take(if waits { self.wait_for(input) } else { self.run(input) });
            return;
        }
        let sleeps = named.identifier == thena::SLEEP
            || does.spec.as_ref().is_some_and(|spec| spec.reach == Reach::Sleep);
        if sleeps {
            does.input.value = Value::Null;
            does.action = match input {
                Some(input) => self.slept(input),
                None => {
                    let problem = activity.problem("missing", "the sleep has no `input`");
                    activity.report(problem.with_hint("such as {duration: 4h}"))
                }
            };
            return;
        }
        if marked_as_sleep && does.spec.is_some() {
            let detail =
                format!("`{}` does not sleep, but isSleepActivity says so", named.identifier);
            activity.findings.problem(activity.problem("ambiguous", detail));
        }
        does.action = template.map(|input| Action::Call {
            activity: named.identifier,
            version: named.pinned,
            input,
        });
    }

    /// Reads an input, which is an object or one expression that makes one.
    pub(super) fn input(&self, input: Option<&Field<'a>>) -> Option<Template> {
        let Some(field) = input else {
            return self.findings.keep(Template::parse(&Value::Object(Map::new()), ""));
        };
        let is_expression = field.value.as_str().is_some_and(|text| text.contains("{{"));
        if !is_expression {
            field.object()?;
        }
        self.template(field)
    }

    /// Reads an input that may have got a connection.
    pub(super) fn input_template(
        &self,
        input: Option<&Field<'a>>,
        over: Option<&Value>,
    ) -> Option<Template> {
        if let Some(field) = input {
            self.input(Some(field))?;
        }
        let at = input.map_or("", |field| &*field.at);
        match over {
            Some(value) => self.findings.keep(Template::parse(value, at)),
            None => self.input(None),
        }
    }

    fn slept(&self, input: &Field<'a>) -> Option<Action> {
        let (value, at) = thena::sleep_length(input)?;
        self.sleep(input, &value, at)
    }

    fn sleep(&self, field: &Field<'a>, value: &Value, at: String) -> Option<Action> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(seconds) => seconds.to_string(),
            _ => {
                let detail = "expected a duration such as 4h, or a number of seconds";
                return field.report(Problem::new(at, "wrong_type", detail));
            }
        };
        if !text.contains("{{") && text.parse::<Timestamp>().is_err() {
            let most = self.limits().sleep_max;
            let fault = match parse_duration(&text) {
                Ok(length) if length <= most => None,
                Ok(_) => Some((
                    "out_of_range",
                    format!("a sleep lasts at most {}", format_duration(most)),
                )),
                Err(error) => Some(("invalid_duration", error.to_string())),
            };
            if let Some((code, detail)) = fault {
                return field.report(Problem::new(at, code, detail));
            }
        }
        let duration = self.findings.keep(Template::parse(value, &at))?;
        Some(Action::Sleep { duration })
    }

    /// Finds the spec of an activity; reports one that does not exist in this version.
    pub(super) fn checked_spec(
        &self,
        named: &Named,
        field: &Field<'a>,
    ) -> Option<Arc<ActivitySpec>> {
        let super::parse::Origin::Written(known) = self.origin else { return None };
        let Some(spec) = self.spec(&named.identifier) else {
            let detail = format!("there is no activity `{}`", named.identifier);
            let problem = field.problem("unknown_activity", detail);
            let names = known.catalogue.iter().map(|spec| spec.identifier.as_str());
            let sharing = known.catalogue.sharing(&named.identifier);
            if !sharing.is_empty() {
                let hint = format!("several have this name: {}; name one", sharing.join(", "));
                return field.report(problem.with_hint(hint));
            }
            return field.report(match nearest(&named.identifier, names) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem.with_hint("choose one from the list of activities"),
            });
        };
        let wanted = known.catalogue.find_version(&named.identifier, named.pinned);
        let (None, Some(pinned)) = (wanted, named.pinned) else { return wanted.cloned() };
        let detail = format!("`{}` has no version {pinned}", named.identifier);
        let problem = field.problem("unknown_version", detail);
        let versions = known.catalogue.versions(&named.identifier);
        let versions: Vec<String> = versions.map(|version| version.to_string()).collect();
        let hint = match versions.as_slice() {
            [only] => format!("the version is {only}; a bare name follows the newest"),
            all => format!("the versions are {}; a bare name follows the newest", all.join(", ")),
        };
        field.findings.problem(problem.with_hint(hint));
        Some(spec)
    }
}

/// What stands beside the activity of a call.
#[derive(Clone, Copy)]
struct Given<'f, 'a> {
    input: Option<&'f Field<'a>>,
    connection: Option<&'f Field<'a>>,
}

#[derive(Default)]
struct Does {
    action: Option<Action>,
    input: Placed<Value>,
    spec: Option<Arc<ActivitySpec>>,
    inner: Option<Inner>,
    awaited: Option<Awaited>,
}

impl Does {
    fn take(&mut self, read: Read) {
        self.action = read.action;
        self.inner = read.inner;
        self.awaited = read.awaited;
        if !read.input.at.is_empty() {
            self.input = read.input;
        }
    }
}

fn on_failure(field: Option<Field<'_>>, holds_others: bool) -> Option<OnFailure> {
    let Some(field) = field else { return Some(OnFailure::default()) };
    let chosen = field.choice(&[
        ("compensate", OnFailure::Compensate),
        ("abort", OnFailure::Abort),
        ("continue", OnFailure::Continue),
        ("pause", OnFailure::Pause),
    ]);
    if holds_others && chosen == Some(OnFailure::Pause) {
        let problem = field.problem("not_supported", "a step around others cannot pause");
        return field.report(problem.with_hint("say it of the steps inside"));
    }
    chosen
}

fn dependencies(fields: &mut Fields<'_>, kept: &mut ThenaStep) -> Vec<Placed<String>> {
    let Some(field) = fields.take(&["dependencies"]) else { return Vec::new() };
    let Some(list) = field.list() else { return Vec::new() };
    kept.dependencies.clone_from(list);
    let mut names = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let at = pointer_to(&field.at, &index.to_string());
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => {
                let detail = "expected the identifier of an earlier step";
                field.findings.problem(Problem::new(at, "wrong_type", detail));
                continue;
            }
        };
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let value = if is_number { format!("step_{text}") } else { text };
        names.push(Placed { at, value });
    }
    names
}

pub(super) fn is_step_id(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
