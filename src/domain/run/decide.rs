//! Chooses what happened when an input reaches a run: reads, and never changes anything.

use serde_json::Value;

use super::effect::Timer;
use super::entry::{Compensation, Ending, Entry, Record};
use super::input::Input;
use super::state::{Phase, Run};
use super::status::UndoStatus;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;

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
        let mut decision = Decision { workflow, run: self, now, records: Vec::new() };
        decision.choose(input);
        decision.records
    }
}

/// The records of one decision as they grow; each is applied before the next is chosen.
pub(super) struct Decision<'a> {
    pub(super) workflow: &'a Workflow,
    pub(super) run: &'a mut Run,
    pub(super) now: Timestamp,
    records: Vec<Record>,
}

impl Decision<'_> {
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
                let pause = self.pause_before_retry(&step, attempt, &failure);
                self.note(Entry::StepFailed { step: step.clone(), attempt, failure });
                self.settle_failure(step, pause);
            }
            Input::TimerFired { timer, .. } => self.wake(timer),
            Input::Undone { step, attempt, output } => {
                self.note(Entry::UndoSucceeded { step, attempt, output });
            }
            Input::UndoFailed { step, attempt, failure } => {
                self.undo_failed(step, attempt, failure);
            }
            Input::Cancel { by, compensate } => self.cancel(by, compensate),
            Input::Retry { by, from, input, version } => self.resume(by, from, input, version),
        }
        self.proceed();
        self.undo_next();
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
            Timer::Deadline => {
                self.note(Entry::DeadlineReached);
                self.stop_unless_in_flight();
            }
        }
    }

    fn cancel(&mut self, by: String, compensate: bool) {
        if self.run.phase == Phase::Finished || self.run.cancel.is_some() {
            return;
        }
        self.note(Entry::CancelRequested { by, compensate });
        self.stop_unless_in_flight();
    }

    /// Ends a run that only waits; an attempt in flight is awaited, and an undo goes on.
    fn stop_unless_in_flight(&mut self) {
        match self.run.phase {
            Phase::Queued { .. } | Phase::Pausing { .. } | Phase::Sleeping { .. } => self.stop(),
            Phase::Ready { .. }
            | Phase::Executing { .. }
            | Phase::Unwinding
            | Phase::Undoing { .. }
            | Phase::UndoPausing { .. }
            | Phase::Finished => {}
        }
    }

    /// Ends a run that was cancelled or ran out of time; the wish of a person goes first.
    pub(super) fn stop(&mut self) {
        match &self.run.cancel {
            Some(cancel) if !cancel.compensate => self.fail(&Ending::Cancelled),
            Some(_) => self.unwind(Ending::Cancelled),
            None => self.unwind(Ending::TimedOut),
        }
    }

    /// Ends the run for the reason given, with what was undone until now.
    pub(super) fn fail(&mut self, ending: &Ending) {
        // While steps are undone their doubts go, but what the run says of itself stays.
        let known = self.run.error.clone();
        let error = Some(known.unwrap_or_else(|| self.run.error_of(ending)));
        let compensation = self.compensation();
        self.note(Entry::Finished { outcome: ending.outcome(), compensation, error });
    }

    fn compensation(&self) -> Compensation {
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
