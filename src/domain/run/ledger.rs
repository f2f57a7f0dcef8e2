//! What the journal of a simulated run promises, read without looking at the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::domain::workflow::{OnFailure, Undo, Workflow};

/// What the journal promises, read without looking at the run.
#[derive(Default)]
pub(super) struct Ledger {
    /// The steps behind the run, in order.
    passed: Vec<String>,
    /// The intents and timers that were recorded.
    intents: BTreeSet<Effect>,
    /// The steps whose effects stand, oldest first, with what the platform kept of them.
    standing: Vec<(String, Value)>,
    /// What is still to be undone, once undoing has begun.
    to_undo: Option<Vec<String>>,
    attempts: BTreeMap<String, u32>,
    stopping: bool,
    cancelled: Option<bool>,
    deadline: bool,
    given_up: Option<String>,
    abandoned: bool,
    undone: BTreeSet<String>,
    started: bool,
}

impl Ledger {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of entry")]
    pub(super) fn read(&mut self, plan: &Workflow, entry: &Entry, tally: &mut Tally) {
        match entry {
            Entry::Created { .. } => panic!("a run is created once, before it moves"),
            Entry::Started => self.started = true,
            Entry::StepSkipped { step, .. } | Entry::SleepEnded { step } => self.pass(plan, step),
            Entry::SleepStarted { step, until } => {
                self.begins(plan, step);
                let timer = Timer::Sleep { step: step.clone() };
                self.intents.insert(Effect::Wake { at: *until, timer });
            }
            Entry::StepScheduled { step, attempt, .. } => {
                self.begins(plan, step);
                let made = self.attempts.entry(step.clone()).or_default();
                *made += 1;
                let most = plan.steps[plan.step_index(step).unwrap()].retry.attempts;
                assert!(*made <= most, "too many attempts");
                let intent = Effect::Execute { step: step.clone(), attempt: *attempt };
                assert!(self.intents.insert(intent), "an attempt is made once");
            }
            Entry::StepSucceeded { step, undo, .. } => {
                self.stands(step, Some(undo));
                if self.stopping {
                    self.settled(plan, step);
                } else {
                    self.pass(plan, step);
                }
            }
            Entry::StepFailed { step, failure, .. } => {
                self.settled(plan, step);
                self.given_up = Some(step.clone());
                if failure.class == FailureClass::InDoubt {
                    self.stands(step, None);
                }
            }
            Entry::RetryArmed { step, attempt, due } => {
                self.begins(plan, step);
                self.given_up = None;
                let timer = Timer::Retry { step: step.clone(), attempt: *attempt };
                self.intents.insert(Effect::Wake { at: *due, timer });
            }
            Entry::StepContinued { step } => {
                self.given_up = None;
                self.pass(plan, step);
            }
            Entry::CancelRequested { compensate, .. } => {
                assert!(self.cancelled.is_none(), "a run is cancelled once");
                self.cancelled = Some(*compensate);
                self.stopping = true;
            }
            Entry::DeadlineReached => {
                tally.add("deadlines");
                (self.deadline, self.stopping) = (true, true);
            }
            Entry::Unwinding { .. } => {
                assert!(self.to_undo.is_none(), "undoing begins once");
                self.to_undo = Some(self.owed_undos(plan));
                self.stopping = true;
            }
            Entry::UndoScheduled { step, attempt, .. } => {
                let owed = self.to_undo.as_ref().and_then(|steps| steps.first());
                assert_eq!(owed, Some(step), "undone in reverse order of completion");
                let intent = Effect::Undo { step: step.clone(), attempt: *attempt };
                assert!(self.intents.insert(intent), "an attempt to undo is made once");
            }
            Entry::UndoSucceeded { step, .. } => {
                tally.add("undone");
                self.no_longer_owed(step);
                self.standing.retain(|(standing, _)| standing != step);
                self.undone.insert(step.clone());
            }
            Entry::UndoFailed { .. } => {}
            Entry::UndoRetryArmed { step, attempt, due } => {
                let timer = Timer::UndoRetry { step: step.clone(), attempt: *attempt };
                self.intents.insert(Effect::Wake { at: *due, timer });
            }
            Entry::UndoAbandoned { step, .. } => {
                self.no_longer_owed(step);
                self.abandoned = true;
            }
            Entry::Finished { outcome, compensation, error } => {
                self.ends(plan, *outcome, *compensation);
                assert_eq!(error.is_none(), *outcome == Outcome::Succeeded);
            }
            Entry::Resumed { from, .. } => self.resumed(plan, from.as_deref()),
        }
    }

    /// Nothing is performed whose intent is not in the journal.
    pub(super) fn allows(&self, effect: &Effect) {
        let timer = match effect {
            Effect::Wake { timer, .. } => Some(timer),
            Effect::Start | Effect::Execute { .. } | Effect::Undo { .. } => None,
        };
        match (effect, timer) {
            (Effect::Start, _) => assert!(!self.started, "started twice"),
            (_, Some(Timer::Deadline)) => assert!(self.started && !self.stopping),
            _ => assert!(self.intents.contains(effect), "{effect:?} was never intended"),
        }
    }

    /// A step begins when all before it have ended, and never once the run is to stop.
    fn begins(&self, plan: &Workflow, step: &str) {
        assert!(self.started && !self.stopping, "`{step}` begins although the run is to stop");
        self.settled(plan, step);
    }

    /// All steps before this one have ended, and this one has not.
    fn settled(&self, plan: &Workflow, step: &str) {
        let before = plan.steps.iter().map(|step| &step.id).take_while(|id| *id != step);
        assert!(self.passed.iter().eq(before), "`{step}` is out of order: {:?}", self.passed);
    }

    fn pass(&mut self, plan: &Workflow, step: &str) {
        self.begins(plan, step);
        self.passed.push(step.to_owned());
    }

    fn stands(&mut self, step: &str, undo: Option<&Value>) {
        let place = self.standing.iter().position(|(standing, _)| standing == step);
        let kept = place.map(|place| self.standing.remove(place).1);
        let undo = undo.cloned().or(kept).unwrap_or(Value::Null);
        self.standing.push((step.to_owned(), undo));
    }

    fn owed_undos(&self, plan: &Workflow) -> Vec<String> {
        let standing = self.standing.iter().rev();
        let owed = standing.filter(|(step, undo)| {
            match plan.steps[plan.step_index(step).unwrap()].compensate {
                Undo::None => false,
                Undo::Auto => !undo.is_null(),
                Undo::Call { .. } => true,
            }
        });
        owed.map(|(step, _)| step.clone()).collect()
    }

    fn no_longer_owed(&mut self, step: &str) {
        let owed = self.to_undo.as_mut().expect("undoing has begun");
        assert_eq!(owed.remove(0), step);
    }

    fn ends(&mut self, plan: &Workflow, outcome: Outcome, compensation: Compensation) {
        if outcome == Outcome::Succeeded {
            let all = plan.steps.iter().map(|step| &step.id);
            assert!(self.passed.iter().eq(all), "each step ends once: {:?}", self.passed);
            assert!(!self.stopping && self.given_up.is_none());
        }
        let before_undo = self.to_undo.is_none();
        if before_undo && self.undoes(plan, outcome) {
            assert_eq!(self.owed_undos(plan), Vec::<String>::new(), "nothing was undone");
        }
        assert!(self.to_undo.as_ref().is_none_or(Vec::is_empty), "undos are left");
        let expected = match (self.abandoned, self.undone.is_empty()) {
            (true, _) => Compensation::Incomplete,
            (false, false) => Compensation::Done,
            (false, true) => Compensation::None,
        };
        assert_eq!(compensation, expected);
        if before_undo && self.cancelled.is_some() {
            assert_eq!(outcome, Outcome::Cancelled, "cancel always works");
        }
        self.started = false;
    }

    /// Whether a run that ends like this has to undo its finished steps.
    fn undoes(&self, plan: &Workflow, outcome: Outcome) -> bool {
        let aborts = |step: &String| {
            let step = &plan.steps[plan.step_index(step).unwrap()];
            step.on_failure == OnFailure::Abort
        };
        match (outcome, self.cancelled) {
            (Outcome::Succeeded, _) => false,
            (_, Some(compensate)) => compensate,
            (_, None) => self.deadline || !self.given_up.as_ref().is_some_and(aborts),
        }
    }

    fn resumed(&mut self, plan: &Workflow, from: Option<&str>) {
        let kept =
            plan.steps.iter().map(|step| &step.id).take_while(|id| Some(id.as_str()) != from);
        let kept: Vec<String> = kept.cloned().collect();
        for step in &kept {
            let stands = self.standing.iter().any(|(standing, _)| standing == step);
            assert!(self.passed.contains(step) || stands, "`{step}` has not run");
            assert!(!self.undone.contains(step), "`{step}` was undone and has to run again");
        }
        let standing = std::mem::take(&mut self.standing);
        let intents = std::mem::take(&mut self.intents);
        *self = Ledger { passed: kept, standing, intents, ..Ledger::default() };
    }
}

/// How often each trouble came.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub(super) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn and(mut self, other: &Tally) -> Tally {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
        self
    }

    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let troubles = [
            "crashes",
            "repeats",
            "late",
            "cancels",
            "deadlines",
            "doubts",
            "retries",
            "versions",
            "succeeded",
            "failed",
            "cancelled",
            "undone",
            "incomplete",
        ];
        troubles.into_iter().map(|what| (what, self.0.get(what).copied().unwrap_or(0)))
    }
}
