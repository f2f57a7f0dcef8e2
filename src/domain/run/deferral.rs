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
