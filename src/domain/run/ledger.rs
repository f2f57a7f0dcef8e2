//! What the journal of a simulated run promises, read without looking at the run.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::domain::workflow::tree::{Around, item_prefix, prefix_of};
use crate::domain::workflow::{
    Action, InDoubt, OnFailure, Retry, RetryOn, Step, UNDO_RETRY, Undo, Workflow,
};

/// What the journal promises, read without looking at the run.
#[derive(Default)]
pub(super) struct Ledger {
    /// The steps behind the run, by path.
    passed: BTreeSet<String>,
    /// The steps around others that have begun, with what they have come to.
    groups: BTreeMap<String, Group>,
    /// The parts that were given up: the step around them, the branches, whether they are undone.
    closed: Vec<(String, Option<Vec<usize>>, bool)>,
    /// The intents and timers that were recorded.
    intents: BTreeSet<Effect>,
    /// The attempts in flight.
    in_flight: BTreeSet<String>,
    /// The steps whose effects stand, oldest first, with what the platform kept of them.
    standing: Vec<(String, Value)>,
    /// What is still to be undone, once undoing has begun.
    to_undo: Option<Vec<String>>,
    /// The calls that may not be made yet, and whether they undo.
    deferred: BTreeMap<String, bool>,
    attempts: BTreeMap<String, u32>,
    approved: BTreeSet<String>,
    stopping: bool,
    cancelled: Option<bool>,
    deadline: bool,
    given_up: Option<String>,
    abandoned: BTreeSet<String>,
    undone: BTreeSet<String>,
    started: bool,
    /// The failure of each step's newest attempt, if it failed.
    failures: BTreeMap<String, Failure>,
    /// The steps that wait for somebody.
    stuck: BTreeSet<String>,
    undo_attempts: BTreeMap<String, u32>,
    handling: bool,
    /// How the run had ended, once what was left is undone.
    ended: Option<Outcome>,
}

#[derive(Clone, Default)]
struct Group {
    choice: Option<usize>,
    items: usize,
    begun: usize,
    over: BTreeSet<usize>,
    reopened: bool,
}

impl Ledger {
    #[expect(clippy::too_many_lines, reason = "one arm for each kind of entry")]
    pub(super) fn read(&mut self, plan: &Workflow, entry: &Entry, tally: &mut Tally) {
        match entry {
            Entry::Created { .. } => panic!("a run is created once, before it moves"),
            Entry::Started => self.started = true,
            Entry::StepSkipped { step, .. } => {
                assert!(self.started && !self.stopping);
                assert!(self.passed.insert(step.clone()), "`{step}` is skipped once");
            }
            Entry::SleepEnded { step } => self.pass(plan, step),
            Entry::SleepStarted { step, until } => {
                self.begins(plan, step);
                let timer = Timer::Sleep { step: step.clone() };
                self.intents.insert(Effect::Wake { at: *until, timer });
            }
            Entry::WaitStarted { step, until, .. } => {
                tally.add("waits");
                self.begins(plan, step);
                let timer = Timer::Wait { step: step.clone() };
                self.intents.extend(until.map(|at| Effect::Wake { at, timer }));
                self.intents.insert(Effect::AwaitEvent { step: step.clone() });
            }
            Entry::WaitEnded { step, .. } => self.pass(plan, step),
            Entry::ApprovalRequested { step, until, remind_at, escalate_at, .. } => {
                tally.add("approvals");
                self.begins(plan, step);
                for at in [until, remind_at, escalate_at].into_iter().flatten() {
                    let timer = Timer::Approval { step: step.clone() };
                    self.intents.insert(Effect::Wake { at: *at, timer });
                }
                self.intents.insert(Effect::AwaitDecision { step: step.clone() });
            }
            Entry::ApprovalReminded { .. } | Entry::ApprovalEscalated { .. } => {}
            Entry::ApprovalDecided { step, decision, .. } => {
                self.begins(plan, step);
                if *decision == Decision::Approved {
                    self.approved.insert(step.clone());
                }
            }
            Entry::StepScheduled { step, attempt, .. } => {
                self.begins(plan, step);
                let definition = plan.step_at(step).unwrap();
                assert!(
                    definition.approval.is_none() || self.approved.contains(step),
                    "`{step}` was not approved"
                );
                self.failures.remove(step);
                let made = self.attempts.entry(step.clone()).or_default();
                *made += 1;
                assert!(*made <= definition.retry.attempts, "too many attempts");
                let intent = Effect::Execute { step: step.clone(), attempt: *attempt };
                assert!(self.intents.insert(intent), "an attempt is made once");
                assert!(self.in_flight.insert(step.clone()), "one attempt of a step at once");
            }
            Entry::ChildStarted { step, attempt, run, .. } => {
                tally.add("children");
                assert!(self.in_flight.contains(step));
                let (step, attempt, run) = (step.clone(), *attempt, *run);
                self.intents.insert(Effect::StopRun { step: step.clone(), run });
                self.intents.insert(Effect::AwaitRun { step, attempt, run });
            }
            Entry::ChildStopping { step } => {
                let is_closed = self.is_closed(&around(plan, step));
                assert!(self.stopping || is_closed, "a run that is needed is stopped");
            }
            Entry::HandedOut { step, attempt, work, until, .. } => {
                tally.add("handed out");
                assert!(self.in_flight.contains(step));
                let (step, attempt) = (step.clone(), *attempt);
                let timer = Timer::Work { step: step.clone() };
                self.intents.insert(Effect::Wake { at: *until, timer });
                if *work == Work::Step {
                    self.intents.insert(Effect::Withdraw { step: step.clone(), attempt });
                }
                self.intents.insert(Effect::AwaitWorker { step, attempt, work: *work });
            }
            Entry::TakingBack { step } | Entry::TakenBack { step, .. } => {
                let is_closed = self.is_closed(&around(plan, step));
                assert!(self.stopping || is_closed, "what is needed is taken back");
                if matches!(entry, Entry::TakenBack { .. }) {
                    tally.add("taken back");
                    assert!(self.in_flight.remove(step), "`{step}` was not in flight");
                }
            }
            Entry::StepSucceeded { step, undo, .. } => {
                assert!(self.in_flight.remove(step), "`{step}` was not in flight");
                self.stands(step, Some(undo));
                if self.stopping || self.is_closed(&around(plan, step)) {
                    assert!(self.passed.insert(step.clone()), "`{step}` ended already");
                } else {
                    self.pass(plan, step);
                }
            }
            Entry::StepFailed { step, failure, .. } => {
                assert!(!self.passed.contains(step), "`{step}` ended already");
                self.in_flight.remove(step);
                self.failures.insert(step.clone(), failure.clone());
                self.deferred.remove(step);
                // What fails in a part that was given up, or while the run stops, changes nothing.
                if !self.stopping && !self.is_closed(&around(plan, step)) {
                    self.given_up = Some(step.clone());
                }
                if failure.class == FailureClass::InDoubt {
                    self.stands(step, None);
                }
            }
            Entry::RetryArmed { step, attempt, due } => {
                self.begins(plan, step);
                self.given_up = None;
                let (failure, definition) = (&self.failures[step], plan.step_at(step).unwrap());
                assert!(may_pass(&definition.retry, failure), "{failure:?} is tried again");
                assert!(!asks(definition, failure), "a doubt is repeated without asking");
                let timer = Timer::Retry { step: step.clone(), attempt: *attempt };
                self.intents.insert(Effect::Wake { at: *due, timer });
            }
            Entry::StepContinued { step } => {
                self.given_up = None;
                if plan.step_at(step).unwrap().is_group() {
                    tally.add("taken");
                }
                self.pass(plan, step);
            }
            Entry::IncidentOpened { step, kind } => {
                tally.add("incidents");
                self.begins(plan, step);
                self.given_up = None;
                let (failure, definition) = (&self.failures[step], plan.step_at(step).unwrap());
                let doubts = failure.class == FailureClass::InDoubt;
                assert_eq!(doubts, *kind == IncidentKind::Doubt);
                let pauses = definition.on_failure == OnFailure::Pause;
                assert!(pauses || asks(definition, failure), "nobody is to be asked");
                assert!(self.stuck.insert(step.clone()), "a step is stuck once");
                self.intents.insert(Effect::AwaitResolution { step: step.clone() });
            }
            Entry::IncidentResolved { step, resolution, .. } => {
                tally.add(resolution.as_str());
                assert!(self.stuck.remove(step), "`{step}` was not stuck");
                self.begins(plan, step);
                match &**resolution {
                    Resolution::Retry { .. } => drop(self.attempts.remove(step)),
                    Resolution::Skip => {}
                    Resolution::Complete { undo, .. } => {
                        self.stands(step, Some(undo));
                        self.pass(plan, step);
                    }
                    Resolution::Fail => self.given_up = Some(step.clone()),
                }
            }
            Entry::BranchChosen { step, choice } => {
                self.opens(plan, step, Group { choice: *choice, ..Group::default() });
            }
            Entry::LoopStarted { step, items } => {
                tally.add("loops");
                self.opens(plan, step, Group { items: items.len(), ..Group::default() });
            }
            Entry::ParallelStarted { step } => self.opens(plan, step, Group::default()),
            Entry::ItemStarted { step, item } => {
                let Action::Each(each) = &plan.step_at(step).unwrap().action else { panic!() };
                let group = self.groups.get_mut(step).expect("the loop has begun");
                assert_eq!(*item, group.begun, "items begin in order");
                group.begun += 1;
                let open = group.begun - group.over.len();
                assert!(group.begun <= group.items && open <= each.concurrency as usize);
            }
            Entry::ItemEnded { step, item } => {
                let Action::Each(each) = &plan.step_at(step).unwrap().action else { panic!() };
                self.are_passed(&each.steps, &item_prefix(step, *item));
                self.groups.get_mut(step).unwrap().over.insert(*item);
            }
            Entry::GroupClosing { step, lanes, undo, halted, .. } => {
                self.stuck.retain(|step| !halted.contains(step));
                tally.add("closings");
                assert!(self.groups.contains_key(step), "what is given up has begun");
                self.given_up = None;
                self.closed.push((step.clone(), lanes.clone(), *undo));
            }
            Entry::GroupEnded { step, .. } => {
                self.is_whole(plan, step);
                self.pass(plan, step);
            }
            Entry::Stopping { .. } => {
                tally.add("stoppings");
                assert!(!self.in_flight.is_empty(), "nothing is to be awaited");
                self.stops();
            }
            Entry::CancelRequested { compensate, .. } => {
                assert!(self.cancelled.is_none(), "a run is cancelled once");
                self.cancelled = Some(*compensate);
                self.stops();
            }
            Entry::DeadlineReached => {
                tally.add("deadlines");
                assert!(self.stuck.is_empty(), "the time of a stuck run stands still");
                self.deadline = true;
                self.stops();
            }
            Entry::Unwinding { .. } => {
                assert!(self.to_undo.is_none(), "undoing begins once");
                assert!(self.in_flight.is_empty(), "an attempt in flight is awaited");
                self.to_undo = Some(self.owed_undos(plan));
                self.stops();
            }
            Entry::UndoResumed { .. } => {
                tally.add("resumed");
                assert!(!self.started && self.in_flight.is_empty(), "the run has not ended");
                let abandoned = std::mem::take(&mut self.abandoned);
                assert!(!abandoned.is_empty(), "nothing was left");
                let mut owed = self.owed_undos(plan);
                owed.retain(|step| abandoned.contains(step));
                assert_eq!(owed.len(), abandoned.len());
                self.to_undo = Some(owed);
                self.undo_attempts.clear();
                (self.started, self.handling) = (true, false);
                self.stops();
            }
            Entry::FailureHandled { ending } => {
                tally.add("handled");
                assert!(!self.handling && self.cancelled.is_none() && self.started);
                assert_eq!(ending.outcome(), Outcome::Failed);
                self.undoes_all(plan, Outcome::Failed);
                self.given_up = None;
                self.stops();
                (self.handling, self.stopping) = (true, false);
            }
            Entry::HandlerFailed { step } => {
                assert_eq!(self.given_up.take().as_ref(), Some(step));
                assert!(self.handling, "the run has not failed");
                self.stops();
            }
            Entry::CallDeferred { step, deferral } => {
                tally.add("deferrals");
                assert!(self.in_flight.contains(step), "`{step}` was not about to be called");
                let (undoes, attempt) = (deferral.undoes, deferral.attempt);
                if undoes {
                    *self.undo_attempts.get_mut(step).expect("it was scheduled") -= 1;
                }
                let timer = Timer::Call { step: step.clone(), attempt };
                self.intents.insert(Effect::Wake { at: deferral.until, timer });
                self.intents.remove(&call_of(step, attempt, undoes));
                if deferral.maybe_made {
                    tally.add("doubtful");
                } else {
                    self.in_flight.remove(step);
                }
                assert!(self.deferred.insert(step.clone(), undoes).is_none(), "deferred twice");
            }
            Entry::CallResumed { step, attempt } => {
                let undoes = self.deferred.remove(step).expect("it was deferred");
                let is_doubtful = !self.in_flight.insert(step.clone());
                match undoes {
                    true => {
                        *self.undo_attempts.get_mut(step).expect("it was scheduled") += 1;
                        self.in_flight.remove(step);
                        self.is_next_to_undo(plan, step);
                        self.in_flight.insert(step.clone());
                    }
                    false => self.begins(plan, step),
                }
                assert!(!(undoes && is_doubtful), "an undo is simply done again");
                self.intents.insert(call_of(step, *attempt, undoes));
            }
            Entry::CallWithdrawn { step, attempt } => {
                tally.add("withdrawn");
                let is_closed = self.is_closed(&around(plan, step));
                assert!(self.stopping || is_closed, "`{step}` is needed");
                assert!(self.in_flight.remove(step), "`{step}` was not about to be called");
                self.intents.remove(&call_of(step, *attempt, false));
            }
            Entry::UndoScheduled { step, attempt, .. } => {
                assert!(!self.handling, "what follows a failure undoes nothing");
                self.is_next_to_undo(plan, step);
                self.deferred.remove(step); // Taken up again after the run was to stop.
                let Undo::Call { retry, .. } = &plan.step_at(step).unwrap().compensate else {
                    return self.undo_begins(step, *attempt, UNDO_RETRY.attempts);
                };
                self.undo_begins(step, *attempt, retry.attempts);
            }
            Entry::UndoSucceeded { step, .. } => {
                tally.add("undone");
                assert!(self.in_flight.remove(step));
                self.no_longer_owed(step);
                self.standing.retain(|(standing, _)| standing != step);
                self.undone.insert(step.clone());
            }
            Entry::UndoFailed { step, .. } => assert!(self.in_flight.remove(step)),
            Entry::UndoRetryArmed { step, attempt, due } => {
                let timer = Timer::UndoRetry { step: step.clone(), attempt: *attempt };
                self.intents.insert(Effect::Wake { at: *due, timer });
            }
            Entry::UndoAbandoned { step, .. } => {
                self.no_longer_owed(step);
                self.abandoned.insert(step.clone());
            }
            Entry::Finished { outcome, compensation, error } => {
                self.ends(plan, *outcome, *compensation);
                assert_eq!(error.is_none(), *outcome == Outcome::Succeeded);
            }
            Entry::Resumed { again, reopened, .. } => self.resumed(plan, again, reopened),
            Entry::Migrated { .. } => {
                tally.add("migrations");
                assert!(!self.stopping, "a run that is to end is not moved");
                for path in self.begun() {
                    assert!(plan.around(path).is_some(), "`{path}` is begun and gone");
                }
            }
        }
    }

    fn stops(&mut self) {
        self.stopping = true;
        self.stuck.clear();
    }

    fn undo_begins(&mut self, step: &str, attempt: u32, attempts_max: u32) {
        let made = self.undo_attempts.entry(step.to_owned()).or_default();
        *made += 1;
        assert!(*made <= attempts_max, "too many attempts to undo");
        let intent = Effect::Undo { step: step.to_owned(), attempt };
        assert!(self.intents.insert(intent), "an attempt to undo is made once");
        self.in_flight.insert(step.to_owned());
    }

    /// Nothing is performed whose intent is not in the journal.
    pub(super) fn allows(&self, effect: &Effect) {
        match effect {
            Effect::Start => assert!(!self.started, "started twice"),
            Effect::Wake { timer: Timer::Deadline, .. } => {
                assert!(self.started && !self.stopping);
            }
            _ => assert!(self.intents.contains(effect), "{effect:?} was never intended"),
        }
    }

    /// Returns the steps that are over, around others, or in flight.
    pub(super) fn begun(&self) -> impl Iterator<Item = &String> {
        self.passed.iter().chain(self.groups.keys()).chain(&self.in_flight)
    }

    /// A step begins when all that it waits for has ended, and never in what is to stop.
    fn begins(&self, plan: &Workflow, path: &str) {
        assert!(self.started && !self.stopping, "`{path}` begins although the run is to stop");
        assert!(!self.passed.contains(path), "`{path}` is done again");
        let around = around(plan, path);
        assert!(!self.is_closed(&around), "`{path}` begins in what was given up");
        if let Some(parent) = around.last() {
            let group = self.groups.get(&parent.path).expect("the step around has begun");
            match &parent.step.action {
                Action::Branch(_) => assert_eq!(group.choice, Some(parent.lane)),
                Action::Each(_) => assert!(parent.lane < group.begun),
                _ => {} // Every branch goes on at once.
            }
        }
        let siblings = match around.last() {
            None if self.handling => plan.on_failure.as_slice(),
            None => plan.steps.as_slice(),
            Some(parent) => match &parent.step.action {
                Action::Each(each) => &each.steps,
                _ => parent.step.lists()[parent.lane],
            },
        };
        let own = siblings.iter().find(|step| path.ends_with(&step.id)).unwrap();
        let before = siblings.iter().take_while(|step| step.id != own.id);
        for other in before.filter(|it| own.after.is_empty() || own.after.contains(&it.id)) {
            let other = format!("{}{}", prefix_of(path), other.id);
            assert!(self.passed.contains(&other), "`{path}` does not wait for `{other}`");
        }
    }

    fn opens(&mut self, plan: &Workflow, path: &str, group: Group) {
        self.begins(plan, path);
        assert!(self.groups.insert(path.to_owned(), group).is_none(), "`{path}` begins once");
    }

    fn pass(&mut self, plan: &Workflow, path: &str) {
        self.begins(plan, path);
        self.passed.insert(path.to_owned());
    }

    fn are_passed(&self, steps: &[Step], prefix: &str) {
        for step in steps {
            let path = format!("{prefix}{}", step.id);
            assert!(self.passed.contains(&path), "`{path}` has not ended");
        }
    }

    /// A step around others ends when what it needs of them has.
    fn is_whole(&self, plan: &Workflow, path: &str) {
        let group = &self.groups[path];
        match &plan.step_at(path).unwrap().action {
            Action::Branch(cases) => {
                if let Some(choice) = group.choice {
                    self.are_passed(&cases[choice].steps, prefix_of(path));
                }
            }
            Action::Each(_) => {
                assert_eq!(group.begun, group.items);
                assert!(group.reopened || group.over.len() == group.items);
            }
            Action::Parallel { join, branches } => {
                let is_closed = |lane: usize| {
                    self.closed.iter().any(|(group, lanes, _)| {
                        group == path && lanes.as_ref().is_none_or(|it| it.contains(&lane))
                    })
                };
                let kept: Vec<usize> = (0..branches.len()).filter(|l| !is_closed(*l)).collect();
                assert!(kept.len() >= join.wanted(branches.len()), "too few branches finished");
                for lane in kept {
                    self.are_passed(&branches[lane], prefix_of(path));
                }
            }
            _ => panic!("`{path}` holds no steps"),
        }
    }

    fn is_closed(&self, around: &[Around<'_>]) -> bool {
        around.iter().any(|around| {
            self.closed.iter().any(|(group, lanes, _)| {
                *group == around.path && lanes.as_ref().is_none_or(|it| it.contains(&around.lane))
            })
        })
    }

    fn stands(&mut self, step: &str, undo: Option<&Value>) {
        if self.handling {
            return;
        }
        self.undo_attempts.remove(step);
        let place = self.standing.iter().position(|(standing, _)| standing == step);
        let kept = place.map(|place| self.standing.remove(place).1);
        let undo = undo.cloned().or(kept).unwrap_or(Value::Null);
        self.standing.push((step.to_owned(), undo));
        // Whatever was undone before, this effect is new: an item of a loop that begins anew.
        self.abandoned.remove(step);
        self.undone.remove(step);
    }

    fn owed_undos(&self, plan: &Workflow) -> Vec<String> {
        let standing = self.standing.iter().rev();
        let owed = standing.filter(|(step, undo)| {
            let compensable = match plan.step_at(step).unwrap().compensate {
                Undo::None => false,
                Undo::Auto => !undo.is_null(),
                Undo::Call { .. } => true,
            };
            compensable && !self.abandoned.contains(step)
        });
        owed.map(|(step, _)| step.clone()).collect()
    }

    /// Steps are undone in reverse order of completion: of the run, or of a part given up.
    fn is_next_to_undo(&self, plan: &Workflow, step: &str) {
        if let Some(owed) = &self.to_undo {
            assert_eq!(owed.first().map(String::as_str), Some(step), "in reverse order");
            return;
        }
        let inside = around(plan, step);
        let part = self.closed.iter().find(|(group, lanes, undo)| {
            *undo
                && inside.iter().any(|it| {
                    it.path == *group && lanes.as_ref().is_none_or(|l| l.contains(&it.lane))
                })
        });
        let (group, lanes, _) = part.expect("only what was given up is undone meanwhile");
        let is_inside = |path: &str| {
            around(plan, path)
                .iter()
                .any(|it| it.path == *group && lanes.as_ref().is_none_or(|l| l.contains(&it.lane)))
        };
        let owed = self.owed_undos(plan);
        let first = owed.iter().find(|path| is_inside(path));
        assert_eq!(first.map(String::as_str), Some(step), "in reverse order");
        assert!(!self.in_flight.iter().any(|path| is_inside(path)), "what is in flight is awaited");
    }

    fn no_longer_owed(&mut self, step: &str) {
        if let Some(owed) = &mut self.to_undo {
            assert_eq!(owed.remove(0), step);
        }
    }

    fn ends(&mut self, plan: &Workflow, outcome: Outcome, compensation: Compensation) {
        if outcome == Outcome::Succeeded && self.ended.is_none() {
            self.are_passed(&plan.steps, "");
            assert!(!self.stopping && self.given_up.is_none());
        }
        let before_undo = self.to_undo.is_none();
        match self.ended.replace(outcome) {
            Some(before) => assert_eq!(before, outcome, "what is left changes nothing else"),
            None if self.handling => {
                assert!(self.in_flight.is_empty(), "an attempt in flight is awaited");
                assert_eq!(outcome, Outcome::Failed, "what follows a failure changes nothing");
            }
            None => {
                self.undoes_all(plan, outcome);
                let is_handled = outcome != Outcome::Failed || self.cancelled.is_some();
                assert!(is_handled || plan.on_failure.is_empty(), "nothing followed the failure");
            }
        }
        let expected = match (self.abandoned.is_empty(), self.undone.is_empty()) {
            (false, _) => Compensation::Incomplete,
            (true, false) => Compensation::Done,
            (true, true) => Compensation::None,
        };
        assert_eq!(compensation, expected);
        if before_undo && self.cancelled.is_some() && !self.handling {
            assert_eq!(outcome, Outcome::Cancelled, "cancel always works");
        }
        self.started = false;
    }

    /// What was to be undone was, or was tried.
    fn undoes_all(&self, plan: &Workflow, outcome: Outcome) {
        assert!(self.in_flight.is_empty(), "an attempt in flight is awaited");
        if self.to_undo.is_none() && self.undoes(plan, outcome) {
            assert_eq!(self.owed_undos(plan), Vec::<String>::new(), "nothing was undone");
        }
        assert!(self.to_undo.as_ref().is_none_or(Vec::is_empty), "undos are left");
    }

    /// Whether a run that ends like this has to undo its finished steps.
    fn undoes(&self, plan: &Workflow, outcome: Outcome) -> bool {
        let aborts = |step: &String| plan.step_at(step).unwrap().on_failure == OnFailure::Abort;
        match (outcome, self.cancelled) {
            (Outcome::Succeeded, _) => false,
            (_, Some(compensate)) => compensate,
            (_, None) => self.deadline || !self.given_up.as_ref().is_some_and(aborts),
        }
    }

    fn resumed(&mut self, plan: &Workflow, again: &[String], reopened: &[String]) {
        let mut passed = std::mem::take(&mut self.passed);
        passed.retain(|path| !again.contains(path) && !reopened.contains(path));
        let mut groups = std::mem::take(&mut self.groups);
        groups.retain(|path, _| !again.contains(path));
        for path in reopened {
            groups.get_mut(path).expect("what is reopened had begun").reopened = true;
        }
        let mut closed = std::mem::take(&mut self.closed);
        closed.retain(|(group, ..)| passed.contains(group));
        let (standing, intents) =
            (std::mem::take(&mut self.standing), std::mem::take(&mut self.intents));
        let undone = std::mem::take(&mut self.undone);
        *self = Ledger { passed, groups, closed, standing, intents, ..Ledger::default() };
        for path in &undone {
            let kept = self.passed.contains(path) && !self.is_closed(&around(plan, path));
            assert!(!kept, "`{path}` was undone and has to run again");
        }
        self.undone = undone.into_iter().filter(|path| !again.contains(path)).collect();
    }
}

fn may_pass(retry: &Retry, failure: &Failure) -> bool {
    match retry.on.is_empty() {
        true => failure.class != FailureClass::Terminal,
        false => retry.on.contains(&RetryOn::Code(failure.code.clone())),
    }
}

fn asks(step: &Step, failure: &Failure) -> bool {
    failure.class == FailureClass::InDoubt && step.in_doubt == Some(InDoubt::Ask)
}

fn call_of(step: &str, attempt: u32, undoes: bool) -> Effect {
    let step = step.to_owned();
    match undoes {
        true => Effect::Undo { step, attempt },
        false => Effect::Execute { step, attempt },
    }
}

fn around<'p>(plan: &'p Workflow, path: &str) -> Vec<Around<'p>> {
    plan.around(path).unwrap_or_default()
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
            "migrations",
            "succeeded",
            "failed",
            "cancelled",
            "undone",
            "incomplete",
            "waits",
            "approvals",
            "loops",
            "children",
            "handed out",
            "taken back",
            "closings",
            "stoppings",
            "taken",
            "incidents",
            "retry",
            "skip",
            "complete",
            "fail",
            "handled",
            "resumed",
            "deferrals",
            "doubtful",
            "withdrawn",
        ];
        troubles.into_iter().map(|what| (what, self.0.get(what).copied().unwrap_or(0)))
    }
}
