//! Tries a workflow without any effect: every step is rendered and answered by a made-up output.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::error::Error;
use super::joined::joined_now;
use super::principal::Principal;
use super::run_view::LoadedRun;
use super::views::RunView;
use super::workflows::RunRequest;
use crate::domain::activity::{ActivitySpec, Catalogue};
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::run::{Decision, Effect, Failure, Input, Origin, Resolution, Run, TenantFacts};
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::parse::KnownEvent;
use crate::domain::workflow::tree::id_of;
use crate::domain::workflow::{Action, Step, Workflow};
use crate::engine::Engine;

/// More turns than any workflow needs; a trial that takes more is cut.
const TURNS_MAX: usize = 2_000;
const SAMPLE_DEPTH_MAX: usize = 8;

/// What a trial begins with and where it bends the truth.
#[derive(Clone, Debug, Default)]
pub struct TrialRequest {
    /// The event that it begins with.
    pub start: RunRequest,
    /// Outputs of steps, by id; others are made of the activity's schema.
    pub outputs: Map<String, Value>,
    /// The last step that is tried.
    pub up_to: Option<String>,
    /// The step that fails for good.
    pub fail_at: Option<String>,
}

/// What a trial showed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Whether the trigger's filter would have let the event through.
    pub matches: bool,
    /// The filter's tree; null for a workflow without a trigger.
    pub trace: Value,
    /// Inputs that do not fit their activity's schema.
    pub problems: Vec<Problem>,
    /// The run as it would look.
    pub run: RunView,
}

impl App {
    /// Tries a workflow and changes nothing.
    ///
    /// # Errors
    /// `NotFound` for an unknown workflow, version or event, `Invalid` for an unknown step.
    pub fn try_workflow(
        &self,
        who: &Principal,
        name: &str,
        request: TrialRequest,
    ) -> Result<Trial, Error> {
        let version = request.start.version;
        let row = self.read(who, |view| {
            let row = super::workflows::present(view, name)?;
            super::workflows::version_of(view, &row.name, version.unwrap_or(row.version))
        })?;
        let workflow = Engine::compile(&row)?;
        check_steps(&workflow, &request)?;
        let kind = workflow.opening_kind();
        let event = self.trial_event(who, kind, request.start.clone())?;
        let given = self.read(who, |view| joined_now(view, &workflow, &event))?;
        let scope = Scope::of_event(given.seen(&event));
        let traces = workflow.filters_of(&event.kind).map(|filter| filter.trace(&scope));
        let trace = traces.reduce(|first, other| if first.result { first } else { other });
        let event = event.by_hand(&workflow, self.now());
        let tenant = self.tenant(who.tenant)?;
        let origin = Origin {
            id: RunId::new(0, self.now(), self.clock().random()),
            version: row.version,
            tenant: TenantFacts { id: tenant.id, slug: tenant.slug, name: tenant.name },
            trigger: given.seen(&event),
            vars: Value::Object(Map::new()),
        };
        let catalogue = self.catalogue(who.tenant);
        let stage = Stage {
            catalogue: &catalogue,
            request: &request,
            workflow: &workflow,
            now: self.now(),
        };
        let (run, problems) = stage.play(origin);
        let run = LoadedRun::of(run, Arc::clone(&workflow), event, given).view(self.now());
        let matches = trace.as_ref().is_none_or(|trace| trace.result);
        Ok(Trial { matches, trace: serde_json::json!(trace), problems, run })
    }

    fn trial_event(
        &self,
        who: &Principal,
        kind: Option<&str>,
        request: RunRequest,
    ) -> Result<Event, Error> {
        let incoming = self.event_for(who, kind, request)?;
        Ok(Event {
            id: incoming.id.unwrap_or_else(|| "trial".to_owned()),
            kind: incoming.kind,
            source: incoming.source,
            subject: incoming.subject,
            time: incoming.time.unwrap_or_else(|| self.now()),
            actor: incoming.actor.unwrap_or_default(),
            payload: incoming.payload,
            metadata: incoming.metadata,
            cause: None,
        })
    }
}

fn check_steps(workflow: &Workflow, request: &TrialRequest) -> Result<(), Error> {
    let named = [("/upTo", &request.up_to), ("/failAt", &request.fail_at)];
    let named = named.into_iter().filter_map(|(at, id)| Some((at.to_owned(), id.as_ref()?)));
    let given = request.outputs.keys().map(|id| (format!("/outputs/{id}"), id));
    let problems: Vec<Problem> = named
        .chain(given)
        .filter(|(_, id)| workflow.step_at(id).is_none())
        .map(|(pointer, id)| {
            let problem = Problem::new(pointer, "unknown_step", format!("there is no step `{id}`"));
            match nearest(id, workflow.all_steps().iter().map(|step| step.id.as_str())) {
                Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
                None => problem,
            }
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

/// Plays the world for a run that has none.
struct Stage<'a> {
    catalogue: &'a Catalogue,
    request: &'a TrialRequest,
    workflow: &'a Workflow,
    now: Timestamp,
}

impl Stage<'_> {
    fn play(&self, origin: Origin) -> (Run, Vec<Problem>) {
        let (mut run, _) = Run::create(self.workflow, origin);
        let mut problems = Vec::new();
        let mut now = self.now;
        for _ in 0..TURNS_MAX {
            let owed = run.outstanding().into_iter();
            let Some(effect) = owed.min_by_key(|effect| self.order(effect)) else { break };
            if let Effect::Wake { at, .. } = &effect {
                now = now.max(*at); // Sleeps and pauses take no time here.
            }
            let last = self.is_last(&effect);
            let input = self.answer(&run, effect, &mut problems);
            run.advance(self.workflow, input, now);
            now = now + Duration::from_millis(1);
            if last {
                break;
            }
        }
        (run, problems)
    }

    fn is_last(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Execute { step, .. } | Effect::AwaitEvent { step } => {
                is_meant(self.request.up_to.as_ref(), step)
            }
            Effect::Start
            | Effect::Undo { .. }
            | Effect::Wake { .. }
            | Effect::AwaitDecision { .. }
            | Effect::AwaitResolution { .. }
            | Effect::AwaitRun { .. }
            | Effect::StopRun { .. } => false,
        }
    }

    /// What can be done now comes before what is due later; a wait that is to fail is passed over.
    fn order(&self, effect: &Effect) -> Timestamp {
        match effect {
            Effect::Wake { at, .. } => *at,
            Effect::AwaitEvent { step } if is_meant(self.request.fail_at.as_ref(), step) => {
                Timestamp::from_millis(i64::MAX)
            }
            Effect::Start
            | Effect::Execute { .. }
            | Effect::Undo { .. }
            | Effect::AwaitEvent { .. }
            | Effect::AwaitDecision { .. }
            | Effect::AwaitResolution { .. }
            | Effect::AwaitRun { .. }
            | Effect::StopRun { .. } => Timestamp::default(),
        }
    }

    fn answer(&self, run: &Run, effect: Effect, problems: &mut Vec<Problem>) -> Input {
        match effect {
            Effect::Start => Input::Start,
            Effect::Wake { at, timer } => Input::TimerFired { at, timer },
            Effect::Undo { step, attempt } => Input::Undone { step, attempt, output: Value::Null },
            Effect::AwaitEvent { step } => {
                let event = self.given(&step).unwrap_or_else(|| self.sample_event(&step));
                Input::EventCame { step, event }
            }
            Effect::AwaitDecision { step } => {
                let rejects = is_meant(self.request.fail_at.as_ref(), &step);
                let decision = if rejects { Decision::Rejected } else { Decision::Approved };
                let (by, comment) = ("trial".to_owned(), String::new());
                Input::Decided { step, decision, by, comment }
            }
            Effect::AwaitResolution { step } => {
                let (by, comment) = ("trial".to_owned(), String::new());
                Input::Resolved { step, resolution: Resolution::Fail, by, comment }
            }
            // No run is ever started here.
            Effect::AwaitRun { step, run, .. } | Effect::StopRun { step, run } => {
                Input::ChildAsked { step, run }
            }
            Effect::Execute { step, attempt } if is_meant(self.request.fail_at.as_ref(), &step) => {
                let failure = Failure::terminal("trial", "this step was asked to fail");
                Input::Failed { step, attempt, failure }
            }
            Effect::Execute { step, attempt } => {
                problems.extend(self.misfits(run, &step));
                let output = self.output(&step);
                // Something to put back, so that the undo of the step is shown as well.
                let undo = Value::Bool(true);
                Input::Completed { step, attempt, output, undo }
            }
        }
    }

    fn misfits(&self, run: &Run, step: &str) -> Vec<Problem> {
        let spec = self.spec(step);
        let validator = spec.and_then(|spec| jsonschema::validator_for(&spec.input_schema).ok());
        let Some(validator) = validator else { return Vec::new() };
        let place = pointer_of(&self.workflow.steps, "/steps", id_of(step)).unwrap_or_default();
        let faults = validator.iter_errors(run.input(step));
        let problems = faults.map(|fault| {
            let pointer = format!("{place}/input{}", fault.instance_path());
            Problem::new(pointer, "schema", fault.to_string())
        });
        problems.collect()
    }

    fn given(&self, step: &str) -> Option<Value> {
        let outputs = &self.request.outputs;
        outputs.get(step).or_else(|| outputs.get(id_of(step))).cloned()
    }

    fn output(&self, step: &str) -> Value {
        if let Some(given) = self.given(step) {
            return given;
        }
        if let Some(Action::Run { .. }) = self.workflow.step_at(step).map(|step| &step.action) {
            return json!({ "runId": "sample", "status": "succeeded", "result": null });
        }
        let spec = self.spec(step);
        spec.map_or(Value::Null, |spec| sample(&spec.output_schema, 0))
    }

    fn sample_event(&self, step: &str) -> Value {
        let kind = match self.workflow.step_at(step).map(|step| &step.action) {
            Some(Action::Wait(wait)) => wait.kind.as_str(),
            _ => "", // Nothing else waits for events.
        };
        let payload = KnownEvent::built_in(kind).map(|known| sample(&known.schema, 0));
        json!({ "id": "sample", "type": kind, "payload": payload.unwrap_or_else(|| json!({})) })
    }

    fn spec(&self, step: &str) -> Option<&Arc<ActivitySpec>> {
        match &self.workflow.step_at(step)?.action {
            Action::Call { activity, version, .. } => {
                self.catalogue.find_version(activity, *version)
            }
            Action::Sleep { .. }
            | Action::Wait(_)
            | Action::Branch(_)
            | Action::Each(_)
            | Action::Parallel { .. }
            | Action::Run { .. } => None,
        }
    }
}

/// Returns whether a step is the one that was named, by its path or, for every item, by its id.
fn is_meant(named: Option<&String>, step: &str) -> bool {
    named.is_some_and(|named| named == step || named == id_of(step))
}

/// Returns where the step `id` stands in the definition.
fn pointer_of(steps: &[Step], at: &str, id: &str) -> Option<String> {
    for (index, step) in steps.iter().enumerate() {
        let own = format!("{at}/{index}");
        if step.id == id {
            return Some(own);
        }
        for (lane, list) in step.lists().into_iter().enumerate() {
            let inner = match step.action {
                Action::Branch(_) => format!("{own}/branch/{lane}/steps"),
                Action::Each(_) => format!("{own}/forEach/steps"),
                _ => format!("{own}/parallel/branches/{lane}"), // Nothing else holds steps.
            };
            if let Some(found) = pointer_of(list, &inner, id) {
                return Some(found);
            }
        }
    }
    None
}

/// Makes a value that fits a schema, as far as types, examples and choices tell.
fn sample(schema: &Value, depth: usize) -> Value {
    if let Some(value) = schema.get("const").or_else(|| schema.get("default")) {
        return value.clone();
    }
    let first = |name: &str| schema.get(name)?.as_array()?.first().cloned();
    if let Some(value) = first("examples").or_else(|| first("enum")) {
        return value;
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.first().and_then(Value::as_str),
        kind => kind.as_str(),
    };
    match kind {
        Some("object") if depth < SAMPLE_DEPTH_MAX => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties.map(|(name, inner)| (name.clone(), sample(inner, depth + 1)));
            Value::Object(fields.collect())
        }
        Some("object") => Value::Object(Map::new()),
        Some("array") => Value::Array(Vec::new()),
        Some("string") => Value::String("sample".to_owned()),
        Some("integer" | "number") => Value::from(1),
        Some("boolean") => Value::Bool(true),
        _ => Value::Null, // Any value would do.
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_sample_fits_its_schema() {
        let schema = json!({"type": "object", "properties": {
            "id": {"type": "string", "examples": ["T1"]},
            "state": {"enum": ["open", "closed"]},
            "count": {"type": ["integer", "null"]},
            "tags": {"type": "array"},
            "nested": {"type": "object", "properties": {"ok": {"type": "boolean"}}},
        }});
        let made = sample(&schema, 0);
        assert!(jsonschema::validator_for(&schema).expect("a schema").is_valid(&made));
        assert_eq!((&made["id"], &made["state"]), (&json!("T1"), &json!("open")));
    }
}
