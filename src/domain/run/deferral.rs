//! Calls that may not be made yet: they wait without using up an attempt, and end at once when nobody
//! needs them any more.

use super::decide::Deciding;
use super::doing::Doing;
use super::entry::{Deferral, Entry, Failure};

impl Deciding<'_> {
    /// Lets a call wait; one that is not needed any more is not made at all.
    pub(super) fn defer(&mut self, step: String, mut deferral: Deferral) {
        if deferral.undoes {
            return self.note(Entry::CallDeferred { step, deferral });
        }
        deferral.maybe_made |= self.run.step(&step).is_some_and(|state| state.maybe_made);
        if !self.is_needless(&step) || deferral.maybe_made {
            return self.note(Entry::CallDeferred { step, deferral });
        }
        self.note(Entry::CallWithdrawn { step, attempt: deferral.attempt });
    }

    /// Asks again whether a call may be made.
    pub(super) fn resume_call(&mut self, step: &str) {
        let doing = self.run.step(step).map(|state| &state.doing);
        if let Some(Doing::Deferred(deferral)) = doing {
            let (step, attempt) = (step.to_owned(), deferral.attempt);
            self.note(Entry::CallResumed { step, attempt });
        }
    }

    /// Ends the waiting of calls that nobody needs any more and that a crash may have cut off: what
    /// they may have done stands.
    pub(super) fn withdraw_doubtful(&mut self) {
        let doubtful = self.run.doings().filter_map(|(path, doing)| match doing {
            Doing::Deferred(deferral) if deferral.maybe_made && self.is_needless(path) => {
                Some((path.to_owned(), deferral.attempt))
            }
            _ => None, // It may be made yet, or surely was not.
        });
        for (step, attempt) in doubtful.collect::<Vec<_>>() {
            let message = "the call may have been made before a crash, and is not repeated";
            let failure = Failure::in_doubt("interrupted", message);
            self.note(Entry::StepFailed { step, attempt, failure });
        }
    }

    fn is_needless(&self, step: &str) -> bool {
        self.run.is_stopping() || self.is_given_up(step)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::destination::Reason;
    use crate::domain::run::story::Story;
    use crate::domain::run::{
        AttemptOutcome, Deferral, Input, Phase, Status, StepStatus, WaitKind,
    };

    /// A run whose first call is held back.
    fn held_back(plan: &str, maybe_made: bool) -> Story {
        let mut story = Story::begin(plan);
        story.send(Input::Start);
        let deferral = Deferral {
            attempt: 1,
            until: story.now + std::time::Duration::from_secs(60),
            reason: Reason::BreakerOpen,
            destination: "https://busy.example".to_owned(),
            undoes: false,
            maybe_made,
        };
        story.send(Input::Deferred { step: "a".to_owned(), deferral });
        story
    }

    fn cancel(story: &mut Story) {
        story.send(Input::Cancel { by: "ada".to_owned(), compensate: true });
    }

    #[test]
    fn a_call_that_is_held_back_waits_with_a_reason_and_uses_up_no_attempt() {
        let mut story = held_back("a b", false);
        let waiting = story.run.waiting_for().expect("it waits");
        assert_eq!((story.run.status(), waiting.kind), (Status::Waiting, WaitKind::Destination));
        assert_eq!(waiting.reason, Some(Reason::BreakerOpen));
        assert_eq!(waiting.destination.as_deref(), Some("https://busy.example"));
        assert!(story.run.step("a").is_some_and(|step| step.attempts.is_empty()));
        story.play();
        let step = story.run.step("a").expect("it is there");
        assert_eq!((step.status, step.attempts.len()), (StepStatus::Succeeded, 1));
        assert_eq!(step.attempts[0].number, 1);
    }

    #[test]
    fn a_call_that_is_held_back_is_cancelled_at_once() {
        let mut story = held_back("a", false);
        cancel(&mut story);
        assert_eq!(story.run.status(), Status::Cancelled);
        assert!(story.log.is_empty(), "nothing was called and nothing is undone");
    }

    #[test]
    fn a_call_that_a_crash_may_have_cut_off_is_undone_when_the_run_is_cancelled() {
        let mut story = held_back("a", true);
        cancel(&mut story);
        assert_eq!(story.run.phase, Phase::Unwinding);
        let attempt = &story.run.step("a").expect("it is there").attempts[0];
        assert_eq!(attempt.outcome, AttemptOutcome::InDoubt);
        story.play();
        assert_eq!(story.undos(), ["undo a"]);
    }

    #[test]
    fn a_call_that_is_released_goes_before_its_time() {
        let mut story = held_back("a", false);
        story.send(Input::Released { step: "a".to_owned() });
        assert_eq!(story.run.status(), Status::Running);
        assert!(story.send(Input::Released { step: "a".to_owned() }).is_empty());
    }
}
