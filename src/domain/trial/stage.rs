//! The stage of a trial: plays a run, and answers what it owes by a script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::sample::sample;
use crate::domain::activity::{ActivitySpec, Catalogue};
use crate::domain::expression::Template;
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
pub use crate::domain::run::Origin;
use crate::domain::run::{Decision, Effect, Entry, Failure, Input, Record, Resolution, Run, Timer};
use crate::domain::time::Timestamp;
use crate::domain::transform;
use crate::domain::workflow::cases::Mock;
use crate::domain::workflow::parse::KnownEvent;
use crate::domain::workflow::tree::id_of;
use crate::domain::workflow::{Action, Step, Undo, Workflow};

/// More turns than any workflow needs; a trial that takes more is cut.
const TURNS_MAX: usize = 2_000;
/// How many values of expressions are shown.
const SHOWN_MAX: usize = 1_000;

/// What answers for the world.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Answers by the paths or ids of steps.
    pub mocks: BTreeMap<String, Mock>,
    /// Outputs that were recorded, by the ids of steps whose mock asks for them.
    pub recorded: BTreeMap<String, Recording>,
    /// The last step that is tried.
    pub up_to: Option<String>,
    /// Steps that fail whatever else is said of them.
    pub fail_at: Vec<FailAt>,
}

/// A step that fails.
#[derive(Clone, Debug)]
pub struct FailAt {
    /// Its path, or for every item its id.
    pub step: String,
    /// How.
    pub failure: Failure,
}

/// An output that a run recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    /// The output.
    pub output: Value,
    /// The run.
    pub run: RunId,
}

/// Where an answer came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum Source {
    /// The script says so.
    Given,
    /// A run recorded it.
    Recorded {
        /// The run.
        run: RunId,
    },
    /// It follows from the step's input alone.
    Computed,
    /// It was made of the activity's schema.
    Sample,
    /// The step was asked to fail.
    Failed,
}

/// The value of one expression at the moment at which a step read it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// The path of the step.
    pub step: String,
    /// Where in the definition it stands.
    pub pointer: String,
    /// The expression, as it was written.
    pub expression: String,
    /// Its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Why it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A time that a real run would have taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Jump {
    /// The path of the step; none for the deadline of the run.
    pub step: Option<String>,
    /// `sleep`, `retry`, `wait`, `approval`, `destination`, `worker` or
    /// `deadline`.
    pub kind: &'static str,
    /// When it began.
    pub from: Timestamp,
    /// When it was over.
    pub until: Timestamp,
}

/// A run that was played.
#[derive(Clone, Debug)]
pub struct Played {
    /// The run as it would look.
    pub run: Run,
    /// What it recorded.
    pub journal: Vec<Record>,
    /// Inputs that do not fit their activity's schema.
    pub problems: Vec<Problem>,
    /// Where each step's answer came from, by path.
    pub sources: BTreeMap<String, Source>,
    /// The value of every expression.
    pub expressions: Vec<Shown>,
    /// The times that were leapt over.
    pub jumps: Vec<Jump>,
    /// The paths of the steps that were undone, in that order.
    pub undone: Vec<String>,
}

/// Plays a run of `workflow` from `now` on, to its end or to where the script ends.
#[must_use]
pub fn play(
    workflow: &Workflow,
    catalogue: &Catalogue,
    origin: Origin,
    now: Timestamp,
    script: &Script,
) -> Played {
    let (run, created) = Run::create(workflow, origin);
    let played = Played {
        run,
        journal: vec![created],
        problems: Vec::new(),
        sources: BTreeMap::new(),
        expressions: Vec::new(),
        jumps: Vec::new(),
        undone: Vec::new(),
    };
    let mut stage = Stage { workflow, catalogue, script, now, played };
    stage.play();
    stage.played
}

struct Stage<'a> {
    workflow: &'a Workflow,
    catalogue: &'a Catalogue,
    script: &'a Script,
    now: Timestamp,
    played: Played,
}

impl Stage<'_> {
    fn play(&mut self) {
        for _ in 0..TURNS_MAX {
            let owed = self.played.run.outstanding().into_iter();
            let Some(effect) = owed.min_by_key(|effect| self.order(effect)) else { return };
            if self.order(&effect) == NEVER {
                return; // It waits for what the script says does not come.
            }
            if let Effect::Wake { at, timer } = &effect
                && *at > self.now
            {
                self.jump(*at, timer);
            }
            let is_last = self.is_last(&effect);
            let input = self.answer(effect);
            self.advance(input);
            if is_last {
                return;
            }
        }
    }

    fn advance(&mut self, input: Input) {
        let records = self.played.run.advance(self.workflow, input, self.now);
        for record in &records {
            self.show(&record.entry);
        }
        self.played.journal.extend(records);
        self.now = self.now + Duration::from_millis(1);
    }

    fn jump(&mut self, until: Timestamp, timer: &Timer) {
        let (step, kind) = match timer {
            Timer::Sleep { step } => (Some(step), "sleep"),
            Timer::Retry { step, .. } | Timer::UndoRetry { step, .. } => (Some(step), "retry"),
            Timer::Wait { step } => (Some(step), "wait"),
            Timer::Approval { step } => (Some(step), "approval"),
            Timer::Call { step, .. } => (Some(step), "destination"),
            Timer::Work { step, .. } => (Some(step), "worker"),
            Timer::Deadline => (None, "deadline"),
        };
        self.played.jumps.push(Jump { step: step.cloned(), kind, from: self.now, until });
        self.now = until;
    }

    fn is_last(&self, effect: &Effect) -> bool {
        match effect {
            Effect::Execute { step, .. } | Effect::AwaitEvent { step } => {
                self.script.up_to.as_ref().is_some_and(|named| is_meant(named, step))
            }
            _ => false, // Nothing else ends a step.
        }
    }

    /// What can be done now comes before what is due later; what never comes is last.
    fn order(&self, effect: &Effect) -> Timestamp {
        match effect {
            Effect::Wake { at, .. } => *at,
            Effect::AwaitEvent { step }
                if self.fails(step).is_some()
                    || matches!(self.mock(step), Some(Mock::NoEvent | Mock::Fails(_))) =>
            {
                NEVER
            }
            _ => Timestamp::default(), // The script answers at once.
        }
    }

    fn answer(&mut self, effect: Effect) -> Input {
        match effect {
            Effect::Start => Input::Start,
            Effect::Wake { at, timer } => Input::TimerFired { at, timer },
            Effect::Undo { step, attempt } => {
                self.played.undone.push(step.clone());
                Input::Undone { step, attempt, output: Value::Null }
            }
            Effect::AwaitEvent { step } => {
                let event = match self.mock(&step) {
                    Some(Mock::Event(event) | Mock::Output(event)) => {
                        let event = event.clone();
                        self.note(&step, Source::Given);
                        event
                    }
                    _ => {
                        self.note(&step, Source::Sample);
                        self.sample_event(&step)
                    }
                };
                Input::EventCame { step, event }
            }
            Effect::AwaitDecision { step } => self.decide(step),
            // Nobody is there to mend it.
            Effect::AwaitResolution { step } => {
                let (by, comment) = ("trial".to_owned(), String::new());
                Input::Resolved { step, resolution: Resolution::Fail, by, comment }
            }
            // Nothing is ever handed out here.
            Effect::AwaitWorker { step, attempt, .. } | Effect::Withdraw { step, attempt } => {
                Input::Withdrawn { step, attempt }
            }
            // No run is ever started here.
            Effect::AwaitRun { step, run, .. } | Effect::StopRun { step, run } => {
                Input::ChildAsked { step, run }
            }
            Effect::Execute { step, attempt } => self.execute(step, attempt),
        }
    }

    fn decide(&mut self, step: String) -> Input {
        if let Some(Mock::Decided { decision, by, comment }) = self.mock(&step).cloned() {
            let by = if by.is_empty() { "trial".to_owned() } else { by };
            return Input::Decided { step, decision, by, comment };
        }
        // A step that is to fail is rejected, if nothing else is said of the approval.
        let rejects = self.fails(&step).is_some();
        let decision = if rejects { Decision::Rejected } else { Decision::Approved };
        Input::Decided { step, decision, by: "trial".to_owned(), comment: String::new() }
    }

    fn execute(&mut self, step: String, attempt: u32) -> Input {
        let mocked = match self.mock(&step) {
            Some(Mock::Fails(failure)) => Some((**failure).clone()),
            _ => None, // It works.
        };
        if let Some(failure) = self.fails(&step).cloned().or(mocked) {
            self.note(&step, Source::Failed);
            return Input::Failed { step, attempt, failure };
        }
        let misfits = self.misfits(&step);
        self.played.problems.extend(misfits);
        let (output, source) = self.output(&step);
        self.note(&step, source);
        // Something to put back, so that the undo of the step is shown as well.
        Input::Completed { step, attempt, output, undo: Value::Bool(true) }
    }

    fn note(&mut self, step: &str, source: Source) {
        self.played.sources.insert(step.to_owned(), source);
    }

    fn mock(&self, step: &str) -> Option<&Mock> {
        let mocks = &self.script.mocks;
        mocks.get(step).or_else(|| mocks.get(id_of(step)))
    }

    fn fails(&self, step: &str) -> Option<&Failure> {
        let named = self.script.fail_at.iter().find(|it| is_meant(&it.step, step));
        named.map(|named| &named.failure)
    }

    fn misfits(&self, step: &str) -> Vec<Problem> {
        let spec = self.spec(step);
        let validator = spec.and_then(|spec| jsonschema::validator_for(&spec.input_schema).ok());
        let Some(validator) = validator else { return Vec::new() };
        let place = pointer_of(&self.workflow.steps, "/steps", id_of(step)).unwrap_or_default();
        let faults = validator.iter_errors(self.played.run.input(step));
        let problems = faults.map(|fault| {
            let pointer = format!("{place}/input{}", fault.instance_path());
            Problem::new(pointer, "schema", fault.to_string())
        });
        problems.collect()
    }

    fn output(&self, step: &str) -> (Value, Source) {
        match self.mock(step) {
            Some(Mock::Output(output) | Mock::Event(output)) => {
                return (output.clone(), Source::Given);
            }
            Some(Mock::Recorded) => {
                let recorded = &self.script.recorded;
                if let Some(it) = recorded.get(step).or_else(|| recorded.get(id_of(step))) {
                    return (it.output.clone(), Source::Recorded { run: it.run });
                }
            }
            _ => {} // Nobody says what it answers.
        }
        if let Some(Action::Run { .. }) = self.workflow.step_at(step).map(|step| &step.action) {
            let output = json!({ "runId": "sample", "status": "succeeded", "result": null });
            return (output, Source::Sample);
        }
        let spec = self.spec(step);
        if spec.is_some_and(|spec| spec.identifier == transform::IDENTIFIER) {
            let input = self.played.run.input(step).as_object().cloned().unwrap_or_default();
            return (transform::transform(&input), Source::Computed);
        }
        (spec.map_or(Value::Null, |spec| sample(&spec.output_schema, 0)), Source::Sample)
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
            _ => None, // Nothing else calls an activity.
        }
    }

    /// Shows the values of the expressions that a step read when it began.
    fn show(&mut self, entry: &Entry) {
        let (path, templates) = match entry {
            Entry::StepScheduled { step, input, .. } if !input.is_null() => {
                (step, self.templates(step))
            }
            Entry::SleepStarted { step, .. }
            | Entry::SleepEnded { step }
            | Entry::LoopStarted { step, .. }
            | Entry::WaitStarted { step, .. } => (step, self.templates(step)),
            Entry::UndoScheduled { step, input, .. } if !input.is_null() => {
                match self.workflow.step_at(step).map(|step| &step.compensate) {
                    Some(Undo::Call { input, .. }) => (step, vec![input.clone()]),
                    Some(Undo::Auto | Undo::None) | None => return,
                }
            }
            _ => return, // Nothing was rendered.
        };
        let mut shown = Vec::new();
        self.played.run.look_from(self.workflow, path, |scope| {
            for value in templates.iter().flat_map(|template| template.values(scope)) {
                let (value, error) = match value {
                    Ok(found) => (Some(found), None),
                    Err(error) => (None, Some(error.detail)),
                };
                shown.push((value, error));
            }
        });
        let places = templates.iter().flat_map(Template::places);
        for ((pointer, expression), (value, error)) in places.zip(shown) {
            if self.played.expressions.len() < SHOWN_MAX {
                let step = path.clone();
                self.played.expressions.push(Shown { step, pointer, expression, value, error });
            }
        }
    }

    fn templates(&self, path: &str) -> Vec<Template> {
        match self.workflow.step_at(path).map(|step| &step.action) {
            Some(Action::Call { input, .. } | Action::Run { input, .. }) => vec![input.clone()],
            Some(Action::Sleep { duration }) => vec![duration.clone()],
            Some(Action::Each(each)) => vec![each.items.clone()],
            Some(Action::Wait(wait)) => wait.filter.value_templates(),
            Some(Action::Branch(_) | Action::Parallel { .. }) | None => Vec::new(),
        }
    }
}

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Returns whether a step is the one that was named, by its path or, for every item, by its id.
fn is_meant(named: &str, step: &str) -> bool {
    named == step || named == id_of(step)
}

/// Returns where the step `id` stands in the definition.
#[must_use]
pub fn pointer_of(steps: &[Step], at: &str, id: &str) -> Option<String> {
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
