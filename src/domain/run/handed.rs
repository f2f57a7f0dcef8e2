//! What is handed out to a worker: asked for, answered, taken back.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decide::Deciding;
use super::doing::{Doing, StopAsked};
use super::entry::{Entry, Failure};
use super::state::Run;
use super::status::StepStatus;
use crate::domain::time::Timestamp;

/// What of a step is to be done.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Work {
    /// The step itself.
    #[default]
    Step,
    /// The undoing of it.
    Undo,
}

impl Work {
    pub(super) fn is_step(&self) -> bool {
        *self == Work::Step
    }
}

/// An attempt that a worker is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed {
    /// The number of the attempt.
    pub attempt: u32,
    /// What is to be done.
    pub work: Work,
    /// The activity that the worker carries out.
    pub activity: String,
    /// Since when a worker is awaited.
    pub since: Timestamp,
    /// When the attempt is given up, whoever works at it.
    pub until: Timestamp,
    /// Whether it is to be taken back.
    pub stop: StopAsked,
}

impl Deciding<'_> {
    pub(super) fn handed_out(
        &mut self,
        step: String,
        (attempt, work): (u32, Work),
        activity: String,
        until: Timestamp,
    ) {
        let ends = self.run.is_stopping() || self.is_given_up(&step);
        let stop = work == Work::Step && ends;
        self.note(Entry::HandedOut { step, attempt, work, activity, until, stop });
    }

    pub(super) fn work_ended(
        &mut self,
        step: String,
        (attempt, work): (u32, Work),
        result: Result<Value, Failure>,
    ) {
        match (work, result) {
            (Work::Step, Ok(output)) => {
                self.note(Entry::StepSucceeded { step, attempt, output, undo: Value::Null });
            }
            (Work::Step, Err(failure)) => self.attempt_failed(step, attempt, failure),
            (Work::Undo, Ok(output)) => self.note(Entry::UndoSucceeded { step, attempt, output }),
            (Work::Undo, Err(failure)) => self.undo_failed(step, attempt, failure),
        }
    }

    /// Gives up an attempt whose time is over: a worker may have acted.
    pub(super) fn work_is_late(&mut self, step: String) {
        let Some(Doing::AwaitingWorker(handed)) = self.run.step(&step).map(|it| &it.doing) else {
            return;
        };
        let of = (handed.attempt, handed.work);
        let message = format!("no worker finished `{}` in time", handed.activity);
        self.work_ended(step, of, Err(Failure::in_doubt("timeout", message)));
    }
}

impl Run {
    pub(super) fn apply_handed(&mut self, path: &str, entry: &Entry, at: Timestamp) {
        let step = self.touch(path);
        match entry {
            Entry::HandedOut { attempt, work, activity, until, stop, .. } => {
                if work.is_step() {
                    step.status = StepStatus::Waiting;
                }
                let handed = Handed {
                    attempt: *attempt,
                    work: *work,
                    activity: activity.clone(),
                    since: at,
                    until: *until,
                    stop: if *stop { StopAsked::Wanted } else { StopAsked::Not },
                };
                self.does(path, Doing::AwaitingWorker(Box::new(handed)));
            }
            Entry::TakingBack { .. } => {
                if let Doing::AwaitingWorker(handed) = &mut step.doing {
                    handed.stop = StopAsked::Told;
                }
            }
            Entry::TakenBack { attempt, .. } => {
                step.taken_back(*attempt, at);
                self.does(path, Doing::Nothing);
            }
            _ => unreachable!("only entries about what is handed out come here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::Story;
    use super::super::{Effect, Input, Status, Timer, WaitKind};
    use super::*;

    const UNTIL: Timestamp = Timestamp::from_millis(9_000_000);

    fn handed_out(step: &str, work: Work) -> Input {
        let (step, activity) = (step.to_owned(), "render".to_owned());
        Input::HandedOut { step, attempt: 1, work, activity, until: UNTIL }
    }

    /// A run whose first step was handed out.
    fn story(plan: &str) -> Story {
        let mut story = Story::begin(plan);
        story.send(Input::Start);
        story.send(handed_out("a", Work::Step));
        story
    }

    fn cancel(story: &mut Story) {
        story.send(Input::Cancel { by: "ada".into(), compensate: true });
    }

    #[test]
    fn a_run_says_that_it_waits_for_a_worker() {
        let story = story("a");
        assert_eq!(story.run.status(), Status::Waiting);
        let waiting = story.run.waiting_for().expect("a reason");
        assert_eq!((waiting.kind, waiting.until), (WaitKind::Worker, Some(UNTIL)));
        assert_eq!(waiting.activity.as_deref(), Some("render"));
        assert_eq!(waiting.since, Some(story.now));
    }

    #[test]
    fn what_no_worker_has_is_taken_back_from_a_cancelled_run() {
        let mut story = story("a");
        cancel(&mut story);
        let withdraw = Effect::Withdraw { step: "a".into(), attempt: 1 };
        assert!(story.run.outstanding().contains(&withdraw));
        story.send(Input::Withdrawn { step: "a".into(), attempt: 1 });
        assert_eq!(story.run.status(), Status::Cancelled);
        assert_eq!(story.run.step("a").map(|step| step.status), Some(StepStatus::Cancelled));
        assert!(story.run.standing.is_empty(), "nothing was done");
    }

    #[test]
    fn a_worker_that_is_at_it_is_awaited_and_undone() {
        let mut story = story("a");
        cancel(&mut story);
        story.send(Input::Withdrawing { step: "a".into(), attempt: 1 });
        assert_eq!(story.run.status(), Status::Waiting);
        let result = Ok(serde_json::json!({}));
        story.send(Input::WorkEnded { step: "a".into(), attempt: 1, work: Work::Step, result });
        assert_eq!(story.run.status(), Status::Compensating);
        story.send(handed_out("a", Work::Undo));
        assert_eq!(story.run.status(), Status::Compensating);
        assert_eq!(story.run.waiting_for().map(|it| it.kind), Some(WaitKind::Worker));
        let result = Ok(Value::Null);
        story.send(Input::WorkEnded { step: "a".into(), attempt: 1, work: Work::Undo, result });
        assert_eq!(story.run.status(), Status::Cancelled);
        assert!(story.run.standing.is_empty(), "it was undone");
    }

    #[test]
    fn an_attempt_that_takes_too_long_may_have_acted() {
        let mut story = story("a");
        story.send(Input::TimerFired { at: UNTIL, timer: Timer::Work { step: "a".into() } });
        let step = story.run.step("a").expect("the step");
        assert_eq!(step.failure().map(|failure| failure.code.as_str()), Some("timeout"));
        assert!(step.in_doubt);
        let late = Ok(Value::Null);
        let records = story.send(Input::WorkEnded {
            step: "a".into(),
            attempt: 1,
            work: Work::Step,
            result: late,
        });
        assert!(records.is_empty(), "what comes later changes nothing");
    }
}
