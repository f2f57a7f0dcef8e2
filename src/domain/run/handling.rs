//! What a run does when it has failed and its undoing is over: the steps that its workflow lists for
//! that, which never change how it ends.

use super::decide::Deciding;
use super::entry::{Ending, Entry, Outcome};
use super::state::{Phase, Run};

impl Deciding<'_> {
    /// Ends the run for the reason given; one that has failed first does what its workflow asks for.
    pub(super) fn fail(&mut self, ending: &Ending) {
        let handles = ending.outcome() == Outcome::Failed
            && !self.workflow.on_failure.is_empty()
            && self.run.phase != Phase::Handling
            && self.run.cancel.is_none()
            && !self.run.undoes_again;
        if handles {
            return self.note(Entry::FailureHandled { ending: ending.clone() });
        }
        self.finish(ending);
    }

    /// Ends the run for the reason given, with what was undone until now.
    pub(super) fn finish(&mut self, ending: &Ending) {
        // Undoing what was left changes nothing else about how the run had ended.
        let outcome = self.run.outcome.unwrap_or_else(|| ending.outcome());
        // While steps are undone their doubts go, but what the run says of itself stays.
        let known = self.run.error.clone();
        let error = (outcome != Outcome::Succeeded)
            .then(|| known.unwrap_or_else(|| self.run.error_of(ending)));
        let compensation = self.compensation();
        self.note(Entry::Finished { outcome, compensation, error });
    }

    /// Ends a run whose steps are over, those that follow a failure included.
    pub(super) fn handled(&mut self) {
        let ending = self.run.ending.clone().unwrap_or(Ending::Cancelled);
        self.finish(&ending);
    }
}

impl Run {
    pub(super) fn handling(&mut self, ending: &Ending) {
        self.interrupt();
        self.show_ending(ending);
        self.phase = Phase::Handling;
    }
}
