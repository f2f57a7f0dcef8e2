//! What a workflow does when one of its steps fails: the run core itself is driven, with a world
//! in which everything succeeds but that step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::activity::{Catalogue, Compensation};
use super::expression::Template;
use super::filter::Filter;
use super::id::{RunId, TenantId};
use super::run::{
    Decision, Effect, Entry, Failure, Input, Origin, Run, Status, StepStatus, TenantFacts,
};
use super::time::Timestamp;
use super::workflow::tree::id_of;
use super::workflow::{Action, OnFailure, OnTimeout, Retry, Step, Undo, Workflow};

/// More turns than any workflow needs whose loops have one item each.
const TURNS_MAX: usize = 2_000;

/// What happens if one step fails.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// The step's id.
    pub step: String,
    /// What follows from its failure.
    pub if_fails: IfFails,
}

/// What follows from the failure of a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IfFails {
    /// The steps that are undone, in that order.
    pub undone: Vec<Undone>,
    /// The finished steps whose effect stays.
    pub stays: Vec<Stays>,
    /// The ids of the steps that would have run and never do.
    pub skipped: Vec<String>,
    /// The ids of the steps that run only because of the failure.
    pub runs: Vec<String>,
    /// How the run ends: `succeeded`, `failed` or `cancelled`; else what it waits in.
    pub outcome: String,
    /// Who is told.
    pub told: Vec<String>,
}

impl IfFails {
    /// Tells it in one line, such as `undoes mark, hold; leaves page; skips tell; ends as failed`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let undone: Vec<&str> = self.undone.iter().map(|it| it.step.as_str()).collect();
        let stays: Vec<&str> = self.stays.iter().map(|it| it.step.as_str()).collect();
        let parts = [
            ("undoes", undone.join(", ")),
            ("leaves", stays.join(", ")),
            ("runs", self.runs.join(", ")),
            ("skips", self.skipped.join(", ")),
        ];
        let told = parts.into_iter().filter(|(_, names)| !names.is_empty());
        let mut told: Vec<String> = told.map(|(word, names)| format!("{word} {names}")).collect();
        told.push(format!("ends as {}", self.outcome));
        told.join("; ")
    }
}

/// A step that is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Undone {
    /// The step's id.
    pub step: String,
    /// `platform`, which puts back what it changed, or `activity`.
    pub by: &'static str,
    /// The activity that undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activity: Option<String>,
}

/// A finished step whose effect stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stays {
    /// The step's id.
    pub step: String,
    /// Why it is not undone.
    pub why: &'static str,
}

/// Rehearses the failure of every step that can fail, those inside others too.
#[must_use]
pub fn rehearse(workflow: &Workflow, catalogue: &Catalogue) -> Vec<Rehearsed> {
    let Some(stage) = Stage::new(workflow, catalogue) else { return Vec::new() };
    let steps = workflow.all_steps();
    // What follows a failure runs only then, and its own failure changes nothing.
    let follows = |step: &Step| holds(&workflow.on_failure, &step.id);
    let can_fail = steps.iter().filter(|step| !follows(step)).filter(|step| match &step.action {
        Action::Call { .. } | Action::Run { .. } => true,
        Action::Wait(wait) => wait.timeout.is_some() && wait.on_timeout == OnTimeout::Fail,
        Action::Sleep { .. } => step.approval.is_some(),
        Action::Branch(_) | Action::Each(_) | Action::Parallel { .. } => false,
    });
    // Most steps stand outside of branches, so that the same plan serves them all.
    let mut plans: BTreeMap<Vec<usize>, (Workflow, Story)> = BTreeMap::new();
    let mut rehearsed = Vec::new();
    for step in can_fail {
        let ways = ways_to(&step.id, &steps);
        let (plan, well) = plans.entry(ways).or_insert_with(|| {
            let plan = stage.plan(&step.id);
            let well = stage.play(&plan, None);
            (plan, well)
        });
        rehearsed.push(stage.fail(step, plan, well));
    }
    rehearsed
}

/// Returns which case of each branch leads to a step; the first where none does.
fn ways_to(target: &str, steps: &[&Step]) -> Vec<usize> {
    let cases = steps.iter().filter_map(|step| match &step.action {
        Action::Branch(cases) => Some(cases),
        _ => None, // Nothing else chooses.
    });
    let chosen = cases.map(|cases| cases.iter().position(|case| holds(&case.steps, target)));
    chosen.map(Option::unwrap_or_default).collect()
}

/// A world in which everything succeeds but one step.
struct Stage<'a> {
    workflow: &'a Workflow,
    catalogue: &'a Catalogue,
    nothing: Template,
    one_item: Template,
    never: Filter,
}

/// What a rehearsed run came to.
struct Story {
    run: Run,
    undone: Vec<String>,
    done: BTreeSet<String>,
}

impl<'a> Stage<'a> {
    fn new(workflow: &'a Workflow, catalogue: &'a Catalogue) -> Option<Stage<'a>> {
        let nothing = Template::parse(&Value::Object(Map::new()), "").ok()?;
        let one_item = Template::parse(&json!([null]), "").ok()?;
        let never = Filter::parse(&json!({ "~or": [] }), "").ok()?;
        Some(Stage { workflow, catalogue, nothing, one_item, never })
    }

    fn fail(&self, step: &Step, plan: &Workflow, well: &Story) -> Rehearsed {
        let badly = self.play(plan, Some(&step.id));
        let only = |one: &Story, other: &Story| -> Vec<String> {
            let ids = plan.all_steps().into_iter().filter(|it| !it.is_group() && it.id != step.id);
            let ids = ids.map(|it| it.id.clone());
            ids.filter(|id| one.done.contains(id) && !other.done.contains(id)).collect()
        };
        let status = badly.run.status();
        let stays = if status == Status::Succeeded { Vec::new() } else { self.stays(&badly, step) };
        let if_fails = IfFails {
            undone: badly.undone.iter().map(|id| self.undone(id)).collect(),
            stays,
            skipped: only(well, &badly),
            runs: only(&badly, well),
            outcome: status.as_str().to_owned(),
            told: Vec::new(),
        };
        let if_fails = IfFails { told: self.told(&if_fails.runs), ..if_fails };
        Rehearsed { step: step.id.clone(), if_fails }
    }

    fn undone(&self, id: &str) -> Undone {
        let undo = self.workflow.find(id).map(|step| &step.compensate);
        let activity = match undo {
            Some(Undo::Call { activity, .. }) => Some(activity.clone()),
            Some(Undo::Auto | Undo::None) | None => None,
        };
        let by = if activity.is_some() { "activity" } else { "platform" };
        Undone { step: id.to_owned(), by, activity }
    }

    /// Returns whom the steps write to that run because of the failure.
    fn told(&self, runs: &[String]) -> Vec<String> {
        let inputs = runs.iter().filter_map(|id| match &self.workflow.find(id)?.action {
            Action::Call { input, .. } => Some(input.source()),
            _ => None, // Nothing else writes to anybody.
        });
        let names = inputs.filter_map(|input| input.get("channel").or_else(|| input.get("to")));
        names.map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect()
    }

    fn stays(&self, story: &Story, failed: &Step) -> Vec<Stays> {
        let done = self.workflow.all_steps().into_iter().filter(|step| {
            let is_done = story.done.contains(&step.id) && !story.undone.contains(&step.id);
            is_done && step.id != failed.id && self.has_effect(step)
        });
        let why = |step: &Step| match step.compensate {
            Undo::None => "nothing undoes it",
            Undo::Auto | Undo::Call { .. } => match failed.on_failure {
                OnFailure::Abort => "the step that fails says `onFailure: abort`",
                _ => "the run goes on with it",
            },
        };
        done.map(|step| Stays { step: step.id.clone(), why: why(step) }).collect()
    }

    fn has_effect(&self, step: &Step) -> bool {
        match &step.action {
            Action::Call { activity, .. } => {
                let spec = self.catalogue.find(activity);
                spec.is_none_or(|spec| spec.compensation != Compensation::NotNeeded)
            }
            Action::Run { .. } => true,
            Action::Sleep { .. }
            | Action::Wait(_)
            | Action::Branch(_)
            | Action::Each(_)
            | Action::Parallel { .. } => false,
        }
    }

    /// Returns the workflow as it is when every condition holds that leads to the step, and every
    /// expression has a value.
    fn plan(&self, target: &str) -> Workflow {
        let mut plan = self.workflow.clone();
        plan.timeout = None;
        plan.concurrency = None;
        self.smooth(&mut plan.steps, target);
        self.smooth(&mut plan.on_failure, target);
        plan
    }

    fn smooth(&self, steps: &mut [Step], target: &str) {
        for step in steps {
            step.condition = None;
            step.approval = None;
            step.retry = Retry::NEVER;
            if let Undo::Call { input, .. } = &mut step.compensate {
                *input = self.nothing.clone();
            }
            match &mut step.action {
                Action::Call { input, .. } | Action::Run { input, .. } => {
                    *input = self.nothing.clone();
                }
                // A sleep that fails could not begin, as one that is refused.
                Action::Sleep { .. } => step.action = self.call("sleep"),
                Action::Wait(_) => step.action = self.call("wait"),
                Action::Each(each) => {
                    each.items = self.one_item.clone();
                    self.smooth(&mut each.steps, target);
                }
                Action::Parallel { branches, .. } => {
                    branches.iter_mut().for_each(|branch| self.smooth(branch, target));
                }
                Action::Branch(cases) => {
                    let meant = cases.iter().position(|case| holds(&case.steps, target));
                    for (index, case) in cases.iter_mut().enumerate() {
                        let is_taken = index == meant.unwrap_or(0);
                        case.condition =
                            Some(if is_taken { Filter::any() } else { self.never.clone() });
                        self.smooth(&mut case.steps, target);
                    }
                }
            }
        }
    }

    /// Something that is answered at once, in place of what waits.
    fn call(&self, activity: &str) -> Action {
        let input = self.nothing.clone();
        Action::Call { activity: activity.to_owned(), version: None, input }
    }

    fn play(&self, plan: &Workflow, failing: Option<&str>) -> Story {
        let now = Timestamp::default();
        let tenant = TenantFacts { id: TenantId(0), slug: String::new(), name: String::new() };
        let trigger = json!({ "id": "rehearsal", "payload": {} });
        let id = RunId::new(0, now, 0);
        let origin = Origin { id, version: 1, tenant, trigger, vars: json!({}) };
        let (mut run, _) = Run::create(plan, origin);
        let (mut now, mut undone) = (now, Vec::new());
        for _ in 0..TURNS_MAX {
            let Some(effect) = run.outstanding().into_iter().min_by_key(order) else { break };
            if let Effect::Wake { at, .. } = &effect {
                now = now.max(*at);
            }
            // Nobody settles what waits for an operator: the story ends there.
            let Some(input) = answer(effect, failing) else { break };
            for record in run.advance(plan, input, now) {
                if let Entry::UndoSucceeded { step, .. } = &record.entry {
                    undone.push(id_of(step).to_owned());
                }
            }
            now = now + Duration::from_millis(1);
        }
        let succeeded = run.steps.iter().filter(|step| step.status == StepStatus::Succeeded);
        let done = succeeded.map(|step| id_of(&step.id).to_owned()).collect();
        Story { run, undone, done }
    }
}

fn holds(steps: &[Step], id: &str) -> bool {
    steps.iter().any(|step| step.id == id || step.lists().iter().any(|list| holds(list, id)))
}

/// What can be done now comes before what is due later.
fn order(effect: &Effect) -> Timestamp {
    match effect {
        Effect::Wake { at, .. } => *at,
        _ => Timestamp::default(), // All others are owed at once.
    }
}

fn answer(effect: Effect, failing: Option<&str>) -> Option<Input> {
    Some(match effect {
        Effect::Start => Input::Start,
        Effect::Wake { at, timer } => Input::TimerFired { at, timer },
        Effect::Undo { step, attempt } => Input::Undone { step, attempt, output: Value::Null },
        Effect::Execute { step, attempt } if failing == Some(id_of(&step)) => {
            let failure = Failure::terminal("rehearsal", "this step is meant to fail");
            Input::Failed { step, attempt, failure }
        }
        Effect::Execute { step, attempt } => {
            // Something to put back, so that the undo of the step is shown as well.
            let (output, undo) = (json!({}), Value::Bool(true));
            Input::Completed { step, attempt, output, undo }
        }
        Effect::AwaitEvent { step } => Input::EventCame { step, event: json!({}) },
        Effect::AwaitDecision { step } => {
            let (by, comment) = ("rehearsal".to_owned(), String::new());
            Input::Decided { step, decision: Decision::Approved, by, comment }
        }
        Effect::AwaitRun { step, run, .. } | Effect::StopRun { step, run } => {
            Input::ChildAsked { step, run }
        }
        // Nothing is ever handed out here.
        Effect::AwaitWorker { step, attempt, .. } | Effect::Withdraw { step, attempt } => {
            Input::Withdrawn { step, attempt }
        }
        Effect::AwaitResolution { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::workflow::document::{Format, TextLimits, parse_text};
    use super::super::workflow::parse::restore;
    use super::*;

    fn told(steps: &str) -> Vec<String> {
        let text = format!("name: w\nsteps:\n{steps}");
        let raw = parse_text(&text, Format::Yaml, TextLimits::default()).expect(&text);
        let workflow = restore(&raw).expect(&text);
        let rehearsed = rehearse(&workflow, &Catalogue::default());
        let told = |it: &Rehearsed| format!("{}: {}", it.step, it.if_fails.sentence());
        rehearsed.iter().map(told).collect()
    }

    #[test]
    fn what_was_done_is_undone_in_reverse_order() {
        let steps = "- {id: a, activity: x, compensate: auto}
- {id: b, activity: x, compensate: {activity: y, input: {}}}
- {id: c, activity: x, compensate: none}
- {id: d, activity: x}
- {id: e, activity: x}";
        assert_eq!(
            told(steps),
            [
                "a: skips b, c, d, e; ends as failed",
                "b: undoes a; skips c, d, e; ends as failed",
                "c: undoes b, a; skips d, e; ends as failed",
                "d: undoes b, a; leaves c; skips e; ends as failed",
                "e: undoes b, a; leaves c, d; ends as failed",
            ]
        );
    }

    #[test]
    fn each_step_says_what_its_own_failure_means() {
        let steps = "- {id: a, activity: x, compensate: auto}
- {id: b, activity: x, compensate: auto, onFailure: continue}
- {id: c, activity: x, compensate: auto, onFailure: abort}";
        assert_eq!(
            told(steps),
            [
                "a: skips b, c; ends as failed",
                "b: ends as succeeded",
                "c: leaves a, b; ends as failed",
            ]
        );
    }

    #[test]
    fn steps_inside_others_fail_where_they_stand() {
        let steps = "- {id: a, activity: x, compensate: auto}
- id: choose
  branch:
    - {if: {x: {~eq: 1}}, steps: [{id: b, activity: x, compensate: auto}, {id: c, activity: x}]}
    - {else: true, steps: [{id: d, activity: x}]}
- id: each
  onFailure: continue
  forEach: {items: [1, 2], steps: [{id: e, activity: x, compensate: auto}, {id: f, activity: x}]}
- {id: g, waitFor: {event: 'ticket:created', timeout: 1h}}";
        assert_eq!(
            told(steps),
            [
                "a: skips b, c, e, f, g; ends as failed",
                "b: undoes a; skips c, e, f, g; ends as failed",
                "c: undoes b, a; skips e, f, g; ends as failed",
                "d: undoes a; skips e, f, g; ends as failed",
                "e: skips f; ends as succeeded",
                "f: undoes e; ends as succeeded",
                "g: undoes e, b, a; leaves c, f; ends as failed",
            ]
        );
    }
}
