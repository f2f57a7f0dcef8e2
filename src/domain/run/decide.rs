//! Chooses what happened when an input reaches a run: reads, and never changes anything.

use serde_json::{Value, json};

use super::doing::Doing;
use super::effect::Timer;
use super::entry::{Compensation, Ending, Entry, Failure, Outcome, Record};
use super::input::Input;
use super::state::{Phase, Run};
use super::status::UndoStatus;
use crate::domain::id::RunId;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Action, OnFailure, OnTimeout, Workflow};

/// Returns what happens to `run` when `input` reaches it at `now`; nothing when the input is late,
/// a duplicate or meant for another state. The same arguments always give the same entries.
#[must_use]
pub fn decide(workflow: &Workflow, run: &Run, input: Input, now: Timestamp) -> Vec<Entry> {
    let records = run.clone().advance(workflow, input, now);
    records.into_iter().map(|record| record.entry).collect()
}

impl Run {
    /// Decides and applies without a copy, and returns the records, which are to be written in one
    /// batch; when they cannot be written, the run is to be rebuilt from its journal.
    pub fn advance(&mut self, workflow: &Workflow, input: Input, now: Timestamp) -> Vec<Record> {
        let mut decision = Deciding { workflow, run: self, now, records: Vec::new() };
        decision.choose(input);
        decision.records
    }
}

impl Run {
    /// Looks at the scope as the step at `path` sees it, inside a loop with its own item.
    pub fn look_from<T>(
        &mut self,
        workflow: &Workflow,
        path: &str,
        look: impl FnOnce(&Scope) -> T,
    ) -> T {
        let now = self.updated_at;
        Deciding { workflow, run: self, now, records: Vec::new() }.seen_from(path, look)
    }
}

/// The records of one decision as they grow; each is applied before the next is chosen.
pub(super) struct Deciding<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) run: &'a mut Run,
    pub(super) now: Timestamp,
    records: Vec<Record>,
}

impl Deciding<'_> {
    fn choose(&mut self, input: Input) {
        if let Some(effect) = input.answers()
            && !self.run.outstanding().contains(&effect)
        {
            return; // Late, duplicate or foreign: the journal already answered.
        }
        match input {
            Input::Start => self.note(Entry::Started),
            Input::Completed { step, attempt, output, undo } => {
                self.note(Entry::StepSucceeded { step, attempt, output, undo });
            }
            Input::Failed { step, attempt, failure } => {
                self.attempt_failed(step, attempt, failure);
            }
            Input::Deferred { step, deferral } => self.defer(step, deferral),
            Input::Released { step } => self.resume_call(&step),
            Input::TimerFired { timer, .. } => self.wake(timer),
            Input::EventCame { step, event } => self.note(Entry::WaitEnded { step, event }),
            Input::Decided { step, decision, by, comment } => {
                self.decided(step, decision, by, comment);
            }
            Input::Resolved { step, resolution, by, comment } => {
                self.resolved(step, resolution, by, comment);
            }
            Input::ChildStarted { step, attempt, run } => {
                let stop = self.run.is_stopping() || self.is_given_up(&step);
                self.note(Entry::ChildStarted { step, attempt, run, stop });
            }
            Input::ChildEnded { step, attempt, run, result } => {
                self.child_ended(step, (attempt, run), result);
            }
            Input::HandedOut { step, attempt, work, activity, until } => {
                self.handed_out(step, (attempt, work), activity, until);
            }
            Input::WorkEnded { step, attempt, work, result } => {
                self.work_ended(step, (attempt, work), result);
            }
            Input::Withdrawing { step, .. } => self.note(Entry::TakingBack { step }),
            Input::Withdrawn { step, attempt } => self.note(Entry::TakenBack { step, attempt }),
            Input::ChildAsked { step, .. } => self.note(Entry::ChildStopping { step }),
            Input::Undone { step, attempt, output } => {
                self.note(Entry::UndoSucceeded { step, attempt, output });
            }
            Input::UndoFailed { step, attempt, failure } => {
                self.undo_failed(step, attempt, failure);
            }
            Input::UndoAll { by } => self.undo_all(by),
            Input::UndoLeft { by } => self.undo_left(by),
            Input::Cancel { by, compensate } => self.cancel(by, compensate),
            Input::Retry { by, from, input, version } => self.resume(by, from, input, version),
            Input::TryNow { step } => self.try_now(step),
            Input::Migrate { by, version } => self.migrate(by, version),
        }
        self.proceed();
        self.undo_next();
        if self.run.phase == Phase::Handling {
            self.proceed();
        }
    }

    pub(super) fn attempt_failed(&mut self, step: String, attempt: u32, failure: Failure) {
        let pause = self.pause_before_retry(&step, attempt, &failure);
        self.note(Entry::StepFailed { step: step.clone(), attempt, failure });
        self.settle_failure(step, pause);
    }

    fn child_ended(
        &mut self,
        step: String,
        (attempt, run): (u32, RunId),
        result: Result<Value, Failure>,
    ) {
        match result {
            Ok(output) => {
                let undo = json!({ "run": run });
                self.note(Entry::StepSucceeded { step, attempt, output, undo });
            }
            Err(failure) => self.attempt_failed(step, attempt, failure),
        }
    }

    fn undo_all(&mut self, by: String) {
        if self.run.outcome == Some(Outcome::Succeeded) {
            self.unwind(Ending::Undone { by });
        }
    }

    fn undo_left(&mut self, by: String) {
        let left = self.run.left_to_undo(self.workflow);
        if !left.is_empty() {
            self.note(Entry::UndoResumed { by, steps: left });
        }
    }

    fn wake(&mut self, timer: Timer) {
        match timer {
            Timer::Sleep { step } => self.note(Entry::SleepEnded { step }),
            Timer::Retry { step, attempt } => {
                self.note(Entry::StepScheduled { step, attempt, input: Value::Null });
            }
            Timer::UndoRetry { step, attempt } => {
                self.note(Entry::UndoScheduled { step, attempt, input: Value::Null });
            }
            Timer::Call { step, .. } => self.resume_call(&step),
            Timer::Wait { step } => self.wait_is_over(step),
            Timer::Approval { step } => self.approval_due(step),
            Timer::Work { step } => self.work_is_late(step),
            Timer::Deadline => self.note(Entry::DeadlineReached),
        }
    }

    /// Does what the timer of a pause would; its later ring then finds nothing to do.
    fn try_now(&mut self, step: String) {
        let timer = match self.run.step(&step).map(|state| &state.doing) {
            Some(Doing::Pausing { attempt, .. }) => Timer::Retry { step, attempt: *attempt },
            Some(Doing::UndoPausing { attempt, .. }) => {
                Timer::UndoRetry { step, attempt: *attempt }
            }
            _ => return, // The pause is over already.
        };
        self.wake(timer);
    }

    fn wait_is_over(&mut self, step: String) {
        let goes_on = match self.workflow.step_at(&step).map(|step| &step.action) {
            Some(Action::Wait(wait)) => wait.on_timeout == OnTimeout::Continue,
            _ => false, // Only a wait has such a timer.
        };
        if goes_on {
            return self.note(Entry::WaitEnded { step, event: Value::Null });
        }
        self.refuse(&step, Failure::terminal("timeout", "no such event came in time"));
    }

    fn cancel(&mut self, by: String, compensate: bool) {
        if self.run.phase == Phase::Finished || self.run.cancel.is_some() {
            return;
        }
        self.note(Entry::CancelRequested { by, compensate });
        if self.run.phase == Phase::Queued {
            self.stop();
        }
    }

    /// Ends a run that was cancelled, ran out of time, or has a step that failed; the wish of a
    /// person goes first.
    pub(super) fn stop(&mut self) {
        if self.run.phase == Phase::Handling {
            return self.handled();
        }
        match (&self.run.cancel, &self.run.ending) {
            (Some(cancel), _) if !cancel.compensate => self.fail(&Ending::Cancelled),
            (Some(_), _) => self.unwind(Ending::Cancelled),
            (None, Some(ending)) => self.end(ending.clone()),
            (None, None) => self.unwind(Ending::TimedOut),
        }
    }

    /// Ends the run as the step that failed asks for.
    pub(super) fn end(&mut self, ending: Ending) {
        let policy = match &ending {
            Ending::StepFailed { step } => self.workflow.step_at(step).map(|step| step.on_failure),
            Ending::Cancelled | Ending::TimedOut | Ending::Undone { .. } => None,
        };
        match policy {
            Some(OnFailure::Abort) => self.fail(&ending),
            Some(OnFailure::Compensate | OnFailure::Continue | OnFailure::Pause) | None => {
                self.unwind(ending);
            }
        }
    }

    pub(super) fn compensation(&self) -> Compensation {
        let any = |status| self.run.steps.iter().any(|step| step.compensation.status == status);
        if any(UndoStatus::Abandoned) {
            Compensation::Incomplete
        } else if any(UndoStatus::Done) {
            Compensation::Done
        } else {
            Compensation::None
        }
    }

    pub(super) fn note(&mut self, entry: Entry) {
        let record = Record { at: self.now, entry };
        self.run.apply(self.workflow, &record);
        self.records.push(record);
    }
}
