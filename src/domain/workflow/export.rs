//! Writes a workflow back: canonical JSON, YAML for people, and Thena's shape.

use std::time::Duration;

use serde_json::{Map, Number, Value, json};

use super::approval::native_approval;
use super::nesting::native_wait;
use super::retrying::failures_beyond_thena;
use super::step::TIMEOUT;
use super::thena::{RUN, SLEEP, WAIT};
use super::trigger_schedule;
use super::{
    Action, Annotation, Approval, Awaits, Concurrency, ConcurrencyPolicy, Join, OnFailure, Retry,
    Step, ThenaFields, ThenaStep, Trigger, UNDO_RETRY, Undo, Workflow,
};
use crate::domain::activity::{Catalogue, Compensation};
use crate::domain::expression::Template;
use crate::domain::filter::{Filter, Operator};
use crate::domain::path::Path;
use crate::domain::problem::Problem;
use crate::domain::time::{Timestamp, format_duration};

/// Returns the canonical JSON of a workflow, with every default written out, so that it reads back
/// as the same workflow whatever the defaults of activities become.
#[must_use]
pub fn to_native(workflow: &Workflow) -> Value {
    let mut body = Map::new();
    set(&mut body, "name", json!(workflow.name));
    set_text(&mut body, "title", &workflow.title);
    set_text(&mut body, "description", &workflow.description);
    if !workflow.tags.is_empty() {
        set(&mut body, "tags", json!(workflow.tags));
    }
    if let Some(thena) = &workflow.thena {
        set(&mut body, "type", json!(thena.kind));
        set(&mut body, "subType", json!(thena.sub_type));
        set_some(&mut body, "teamId", thena.team_id.as_ref());
        set_some(&mut body, "executingAgent", thena.executing_agent.as_ref());
        if !thena.metadata.is_empty() {
            set(&mut body, "metadata", json!(thena.metadata));
        }
    }
    match workflow.triggers.as_slice() {
        [] => {}
        [only] => set(&mut body, "trigger", native_trigger(only)),
        several => set(&mut body, "triggers", several.iter().map(native_trigger).collect()),
    }
    if !workflow.annotations.is_empty() {
        let annotations = workflow.annotations.iter().map(Annotation::native);
        set(&mut body, "annotations", annotations.collect());
    }
    if !workflow.priority.is_normal() {
        set(&mut body, "priority", workflow.priority.native());
    }
    if let Some(concurrency) = &workflow.concurrency {
        set(&mut body, "concurrency", native_concurrency(concurrency));
    }
    if let Some(timeout) = workflow.timeout {
        set(&mut body, "timeout", json!(format_duration(timeout)));
    }
    if !workflow.retention.is_silent() {
        set(&mut body, "retention", json!(workflow.retention));
    }
    let steps = workflow.steps.iter().map(|step| native_step(step, workflow));
    set(&mut body, "steps", steps.collect());
    if !workflow.on_failure.is_empty() {
        let steps = workflow.on_failure.iter().map(|step| native_step(step, workflow));
        set(&mut body, "onFailure", steps.collect());
    }
    if !workflow.tests.is_empty() {
        let tests = workflow.tests.iter().map(|case| case.native());
        set(&mut body, "tests", tests.collect());
    }
    Value::Object(body)
}

fn native_trigger(trigger: &Trigger) -> Value {
    let mut body = Map::new();
    match trigger {
        Trigger::Event { kind, filter, gates } => {
            set(&mut body, "event", json!(kind));
            if !asks_nothing(filter) {
                set(&mut body, "filter", json!(filter.source()));
            }
            if let Some(gates) = gates {
                gates.write(&mut body);
            }
        }
        Trigger::Schedule { kind, schedule } => {
            set(&mut body, "event", json!(kind));
            set(&mut body, "schedule", trigger_schedule::to_value(schedule));
        }
        Trigger::Lasting(lasting) => return lasting.native(),
    }
    Value::Object(body)
}

/// Returns the canonical form as YAML.
#[must_use]
pub fn to_yaml(workflow: &Workflow) -> String {
    serde_norway::to_string(&to_native(workflow)).expect("a JSON value is always a YAML document")
}

fn native_concurrency(concurrency: &Concurrency) -> Value {
    let policy = match concurrency.policy {
        ConcurrencyPolicy::Queue => "queue",
        ConcurrencyPolicy::Skip => "skip",
        ConcurrencyPolicy::CancelRunning => "cancel-running",
    };
    json!({"key": concurrency.key.source(), "limit": concurrency.limit, "policy": policy})
}

fn native_step(step: &Step, keep: &Workflow) -> Value {
    let kept = kept_by(keep, step);
    let mut body = Map::new();
    set(&mut body, "id", json!(step.id));
    set_text(&mut body, "title", &step.title);
    let calls = matches!(step.action, Action::Call { .. });
    set_action(&mut body, &step.action, &kept, keep);
    if let Some(condition) = &step.condition {
        set(&mut body, "if", json!(condition.source()));
    }
    if let Some(approval) = &step.approval {
        set(&mut body, "approval", native_approval(approval));
    }
    if calls || step.retry != Retry::NEVER {
        set(&mut body, "retry", step.retry.native());
    }
    if calls || step.timeout != TIMEOUT {
        set(&mut body, "timeout", json!(format_duration(step.timeout)));
    }
    set(&mut body, "onFailure", json!(step.on_failure));
    set_some(&mut body, "inDoubt", step.in_doubt.as_ref());
    match &step.compensate {
        Undo::None if !calls && !matches!(step.action, Action::Run { .. }) => (),
        Undo::None => set(&mut body, "compensate", json!("none")),
        Undo::Auto => set(&mut body, "compensate", json!("auto")),
        Undo::Call { activity, version, input, retry, timeout } => {
            let activity = native_activity(activity, *version, None);
            let mut undo = json!({"activity": activity, "input": input.source()});
            if *retry != UNDO_RETRY {
                undo["retry"] = retry.native();
            }
            if let Some(timeout) = timeout {
                undo["timeout"] = json!(format_duration(*timeout));
            }
            set(&mut body, "compensate", undo);
        }
    }
    if !kept.dependencies.is_empty() {
        set(&mut body, "dependencies", json!(kept.dependencies));
    }
    set_some(&mut body, "approver", kept.approver.as_ref());
    Value::Object(body)
}

fn set_action(body: &mut Map<String, Value>, action: &Action, kept: &ThenaStep, keep: &Workflow) {
    let list =
        |steps: &[Step]| -> Value { steps.iter().map(|step| native_step(step, keep)).collect() };
    match action {
        Action::Call { activity, version, input } => {
            set(body, "activity", native_activity(activity, *version, kept.version));
            set(body, "input", input.source().clone());
        }
        Action::Sleep { duration } => set(body, "sleep", duration.source().clone()),
        Action::Wait(wait) => set(body, "waitFor", native_wait(wait)),
        Action::Branch(cases) => {
            let cases = cases.iter().map(|case| match &case.condition {
                Some(condition) => json!({"if": condition.source(), "steps": list(&case.steps)}),
                None => json!({"else": true, "steps": list(&case.steps)}),
            });
            set(body, "branch", cases.collect());
        }
        Action::Each(each) => {
            let mut inner = Map::new();
            set(&mut inner, "items", each.items.source().clone());
            set_some(&mut inner, "as", each.name.as_ref());
            set(&mut inner, "concurrency", json!(each.concurrency));
            set(&mut inner, "steps", list(&each.steps));
            set(body, "forEach", Value::Object(inner));
        }
        Action::Parallel { join, branches } => {
            let branches: Value = branches.iter().map(|steps| list(steps)).collect();
            let join = match join {
                Join::All => json!("all"),
                Join::Count(1) => json!("any"),
                Join::Count(count) => json!(count),
            };
            set(body, "parallel", json!({"join": join, "branches": branches}));
        }
        Action::Run { workflow, input, awaits } => {
            let wait = *awaits == Awaits::End;
            let inner = json!({"workflow": workflow, "input": input.source(), "wait": wait});
            set(body, "run", inner);
        }
    }
}

fn native_activity(identifier: &str, pinned: Option<u32>, noted: Option<u32>) -> Value {
    match (pinned, noted) {
        (Some(version), _) => json!(format!("{identifier}@{version}")),
        (None, None) => json!(identifier),
        (None, Some(_)) => thena_activity(identifier, pinned, noted),
    }
}

/// What Thena's answer says of a stored workflow beside its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct ThenaMeta {
    /// Names this version.
    pub uid: String,
    /// Names the workflow through all its versions.
    pub unique_identifier: String,
    /// Counts from 1.
    pub version: u32,
    /// Whether events start it.
    pub is_active: bool,
    /// When the first version was saved.
    pub created_at: Timestamp,
    /// When this version was saved.
    pub updated_at: Timestamp,
    /// Who saved it.
    pub created_by: String,
    /// The registry's object of the event, or its name.
    pub trigger_event: Value,
}

/// Returns a workflow in the shape of Thena's answers.
///
/// # Errors
/// Returns what Thena's shape cannot say, each with a pointer into the canonical form and the code
/// `not_in_thena`; reading the answer back would lose it.
pub fn to_thena(
    workflow: &Workflow,
    meta: &ThenaMeta,
    catalogue: &Catalogue,
) -> Result<Value, Vec<Problem>> {
    let (body, problems) = as_far_as_thena(workflow, meta, catalogue);
    if problems.is_empty() { Ok(body) } else { Err(problems) }
}

/// Returns what Thena's shape can say of a workflow, and with it what that leaves out, as
/// `to_thena` names it.
#[must_use]
pub fn as_far_as_thena(
    workflow: &Workflow,
    meta: &ThenaMeta,
    catalogue: &Catalogue,
) -> (Value, Vec<Problem>) {
    let standard = ThenaFields {
        kind: "MANUAL".to_owned(),
        sub_type: "WORKFLOW".to_owned(),
        ..ThenaFields::default()
    };
    let kept = workflow.thena.as_ref().unwrap_or(&standard);
    let filters = match workflow.triggers.first() {
        Some(Trigger::Event { filter, .. }) => json!(filter.source()),
        Some(Trigger::Lasting(lasting)) => json!(lasting.filter.source()),
        Some(Trigger::Schedule { .. }) | None => json!({}),
    };
    let metadata =
        trigger_schedule::with_schedule(kept.metadata.clone(), workflow.triggers.first());
    let annotations: Vec<Value> = workflow.annotations.iter().map(Annotation::native).collect();
    let name = if workflow.title.is_empty() { &workflow.name } else { &workflow.title };
    let numbers = step_numbers(workflow);
    let steps = workflow.steps.iter().zip(numbers);
    let steps: Value =
        steps.map(|(step, number)| thena_step(step, number, kept_by(workflow, step))).collect();
    let mut body = json!({
        "uid": meta.uid,
        "type": kept.kind,
        "subType": kept.sub_type,
        "uniqueIdentifier": meta.unique_identifier,
        "name": name,
        "version": meta.version,
        "triggerEvent": meta.trigger_event,
        "filters": filters,
        "annotations": annotations,
        "workflowDefinition": steps,
        "executingAgent": kept.executing_agent,
        "isActive": meta.is_active,
        "createdAt": meta.created_at,
        "updatedAt": meta.updated_at,
        "createdBy": meta.created_by,
        "teamId": kept.team_id,
        "metadata": metadata,
    });
    if !workflow.description.is_empty() {
        body["description"] = json!(workflow.description);
    }
    (body, beyond_thena(workflow, catalogue))
}

fn thena_step(step: &Step, number: u32, kept: ThenaStep) -> Value {
    let sleeps = matches!(step.action, Action::Sleep { .. });
    let (activity, input) = match &step.action {
        Action::Call { activity, version, input } => {
            (thena_activity(activity, *version, kept.version), input.source().clone())
        }
        Action::Sleep { duration } => {
            (thena_activity(SLEEP, None, kept.version), json!({"duration": duration.source()}))
        }
        Action::Wait(wait) => (thena_activity(WAIT, None, kept.version), native_wait(wait)),
        Action::Run { workflow, input, awaits } => {
            let wait = *awaits == Awaits::End;
            let input = json!({"workflow": workflow, "input": input.source(), "wait": wait});
            (thena_activity(RUN, None, kept.version), input)
        }
        // The answer says what it leaves out.
        Action::Branch(_) | Action::Each(_) | Action::Parallel { .. } => {
            (thena_activity("", None, None), json!({}))
        }
    };
    let on_failure = match step.on_failure {
        OnFailure::Compensate => "COMPENSATE",
        OnFailure::Abort => "ABORT",
        OnFailure::Continue => "CONTINUE",
        OnFailure::Pause => "PAUSE",
    };
    let mut body = json!({
        "stepIdentifier": number,
        "activity": activity,
        "input": input,
        "retryPolicy": {
            "maximumAttempts": step.retry.attempts,
            "initialInterval": seconds(step.retry.initial),
            "backoffCoefficient": self::number(step.retry.factor),
        },
        "onFailure": on_failure,
        "executionTimeout": seconds(step.timeout),
        "isSleepActivity": sleeps,
        "dependencies": kept.dependencies,
        "requireApproval": step.approval.is_some(),
        "filters": step.condition.as_ref().map_or_else(|| json!({}), |filter| json!(filter.source())),
    });
    if let Some(approver) = kept.approver {
        body["approver"] = approver;
    } else if let Some(approval) = &step.approval {
        body["approver"] = json!({"approvers": approval.approvers.source()});
    }
    if !step.title.is_empty() {
        body["title"] = json!(step.title);
    }
    if let Undo::Call { activity, version, input, .. } = &step.compensate {
        let activity = thena_activity(activity, *version, None);
        body["compensationActivity"] = json!({"activity": activity, "input": input.source()});
    }
    body
}

fn thena_activity(identifier: &str, pinned: Option<u32>, noted: Option<u32>) -> Value {
    let mut activity = json!({
        "uniqueIdentifier": identifier,
        "autoUpgradeToLatestVersion": pinned.is_none(),
    });
    if let Some(version) = pinned.or(noted) {
        activity["version"] = json!(version);
    }
    activity
}

/// Numbers the steps: `step_7` is 7, any other takes the first free number from its position on.
fn step_numbers(workflow: &Workflow) -> Vec<u32> {
    let ids = workflow.steps.iter().map(|step| step_number(&step.id));
    let mut taken: Vec<u32> = ids.flatten().collect();
    let mut numbers = Vec::with_capacity(workflow.steps.len());
    for (position, step) in (1..).zip(&workflow.steps) {
        let free = || (position..).find(|number| !taken.contains(number)).unwrap_or(position);
        let number = step_number(&step.id).unwrap_or_else(free);
        taken.push(number);
        numbers.push(number);
    }
    numbers
}

fn step_number(id: &str) -> Option<u32> {
    let digits = id.strip_prefix("step_")?;
    let number = digits.parse().ok()?;
    // `step_007` would come back as `step_7`.
    (format!("{number}") == digits).then_some(number)
}

fn beyond_thena(workflow: &Workflow, catalogue: &Catalogue) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut refuse = |at: String, sentence: &str| {
        problems.push(Problem::new(at, "not_in_thena", sentence));
    };
    match workflow.triggers.as_slice() {
        [] => refuse(String::new(), "Thena's workflows need an event that starts them"),
        [Trigger::Event { filter, .. }] if is_extended(filter.source()) => {
            refuse(
                "/trigger/filter".to_owned(),
                "Thena does not have all operators of this filter",
            );
        }
        [Trigger::Event { gates: Some(_), .. }] => {
            refuse("/trigger".to_owned(), "Thena's triggers have no gates");
        }
        [Trigger::Event { .. } | Trigger::Schedule { .. }] => (),
        [Trigger::Lasting(_)] => {
            refuse("/trigger".to_owned(), "Thena's triggers do not wait for a lasting state");
        }
        [..] => refuse("/triggers".to_owned(), "Thena's workflows have one trigger"),
    }
    if !workflow.priority.is_normal() {
        refuse("/priority".to_owned(), "Thena has no priority of workflows");
    }
    if workflow.concurrency.is_some() {
        refuse("/concurrency".to_owned(), "Thena has no limit of concurrent runs");
    }
    if workflow.timeout.is_some() {
        refuse("/timeout".to_owned(), "Thena has no timeout of a whole run");
    }
    if !workflow.on_failure.is_empty() {
        refuse("/onFailure".to_owned(), "Thena's workflows do nothing once they have failed");
    }
    for (index, step) in workflow.steps.iter().enumerate() {
        let at = format!("/steps/{index}");
        for (place, sentence) in step_beyond_thena(step, catalogue) {
            refuse(format!("{at}{place}"), sentence);
        }
    }
    problems
}

fn step_beyond_thena(step: &Step, catalogue: &Catalogue) -> Vec<(&'static str, &'static str)> {
    const NAMED: &str = "it names a step that has no number in Thena's shape";
    let mut found = Vec::new();
    let spec = match &step.action {
        Action::Call { activity, .. } => catalogue.find(activity),
        Action::Sleep { .. } | Action::Wait(_) | Action::Run { .. } => None,
        Action::Branch(_) | Action::Each(_) | Action::Parallel { .. } => {
            found.push(("", "Thena has no steps around other steps"));
            return found;
        }
    };
    found.extend(step.approval.as_ref().and_then(approval_beyond_thena));
    if let Some(condition) = &step.condition {
        if is_extended(condition.source()) {
            found.push(("/if", "Thena does not have all operators of this condition"));
        }
        if condition.references().iter().any(names_step) {
            found.push(("/if", NAMED));
        }
    }
    let (place, reads) = match &step.action {
        Action::Call { input, .. } => ("/input", reads_named_step(input)),
        Action::Sleep { duration } => ("/sleep", reads_named_step(duration)),
        Action::Wait(wait) => {
            let reads = wait.filter.references().iter().any(names_step);
            ("/waitFor/filter", reads)
        }
        Action::Run { input, .. } => ("/run/input", reads_named_step(input)),
        Action::Branch(_) | Action::Each(_) | Action::Parallel { .. } => ("", false),
    };
    if reads {
        found.push((place, NAMED));
    }
    if let Undo::Call { input, .. } = &step.compensate
        && reads_named_step(input)
    {
        found.push(("/compensate/input", NAMED));
    }
    found.extend(failures_beyond_thena(step));
    let calls = matches!(step.action, Action::Call { .. });
    let standard = if calls { Retry::DEFAULT } else { Retry::NEVER };
    let standard = spec.map_or(standard, |spec| spec.retry.clone());
    if step.retry.max != standard.max.max(step.retry.initial) {
        found.push(("/retry/max", "Thena has no longest pause between attempts"));
    }
    if step.retry.jitter != standard.jitter {
        found.push(("/retry/jitter", "Thena has no jitter of pauses"));
    }
    let is_automatic = matches!(step.action, Action::Run { .. })
        || spec.is_some_and(|spec| spec.compensation == Compensation::Automatic);
    if step.compensate == Undo::None && is_automatic {
        found.push(("/compensate", "Thena cannot say that a step stays as it is"));
    }
    found
}

fn approval_beyond_thena(approval: &Approval) -> Option<(&'static str, &'static str)> {
    let plain = approval.timeout.is_none()
        && approval.reminder.is_none()
        && approval.escalate.is_none()
        && approval.reason.is_none();
    if !plain {
        return Some(("/approval", "Thena has no time limits and reasons of approvals"));
    }
    let rendered = approval.approvers.source().is_string();
    rendered.then_some(("/approval/approvers", "Thena has no expression for who approves"))
}

fn reads_named_step(template: &Template) -> bool {
    template.references().iter().any(|reference| names_step(&reference.path))
}

fn names_step(path: &Path) -> bool {
    let mut segments = path.segments();
    segments.next() == Some("steps") && segments.next().is_some_and(|id| step_number(id).is_none())
}

fn is_extended(filter: &Value) -> bool {
    match filter {
        Value::Object(entries) => entries.iter().any(|(key, value)| {
            Operator::named(key).is_some_and(|operator| operator.info().extension)
                || is_extended(value)
        }),
        Value::Array(items) => items.iter().any(is_extended),
        _ => false, // A scalar is a value, never an operator.
    }
}

fn asks_nothing(filter: &Filter) -> bool {
    *filter == Filter::any()
}

fn kept_by(workflow: &Workflow, step: &Step) -> ThenaStep {
    let kept = workflow.thena.as_ref().and_then(|thena| thena.steps.get(&step.id));
    kept.cloned().unwrap_or_default()
}

fn set(body: &mut Map<String, Value>, key: &str, value: Value) {
    body.insert(key.to_owned(), value);
}

fn set_text(body: &mut Map<String, Value>, key: &str, text: &str) {
    if !text.is_empty() {
        set(body, key, json!(text));
    }
}

fn set_some<T: serde::Serialize>(body: &mut Map<String, Value>, key: &str, value: Option<&T>) {
    if let Some(value) = value {
        set(body, key, json!(value));
    }
}

fn seconds(duration: Duration) -> Value {
    number(duration.as_secs_f64())
}

/// Writes 2 rather than 2.0.
pub(super) fn number(value: f64) -> Value {
    let whole = value.fract() == 0.0 && (0.0..1e15).contains(&value);
    if whole {
        return json!(value as u64);
    }
    Number::from_f64(value).map_or(Value::Null, Value::Number)
}
