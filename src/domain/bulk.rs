//! One action on many runs or events: the words for it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::run::Status;

/// What is done to each run or event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkAction {
    /// A run that failed or was cancelled goes on.
    Retry,
    /// A new run is started with the event of an old one.
    Restart,
    /// A run is stopped.
    Cancel,
    /// A run goes on under another version.
    Migrate,
    /// An event is made again.
    Replay,
}

/// What the members of a job are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BulkSubject {
    /// Runs, by their ids.
    Runs,
    /// Events, by the hexadecimal of their keys.
    Events,
}

impl BulkAction {
    /// Every action.
    pub const ALL: [BulkAction; 5] = [
        BulkAction::Retry,
        BulkAction::Restart,
        BulkAction::Cancel,
        BulkAction::Migrate,
        BulkAction::Replay,
    ];

    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BulkAction::Retry => "retry",
            BulkAction::Restart => "restart",
            BulkAction::Cancel => "cancel",
            BulkAction::Migrate => "migrate",
            BulkAction::Replay => "replay",
        }
    }

    /// Returns the action of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<BulkAction> {
        BulkAction::ALL.into_iter().find(|action| action.as_str() == name)
    }

    /// Returns what it acts on.
    #[must_use]
    pub fn subject(self) -> BulkSubject {
        match self {
            BulkAction::Replay => BulkSubject::Events,
            BulkAction::Retry | BulkAction::Restart | BulkAction::Cancel | BulkAction::Migrate => {
                BulkSubject::Runs
            }
        }
    }

    /// Returns the statuses of the runs that it can act on.
    #[must_use]
    pub fn acts_on(self) -> Vec<Status> {
        let fits = |status: &Status| match self {
            BulkAction::Retry => matches!(status, Status::Failed | Status::Cancelled),
            BulkAction::Restart => status.is_final(),
            BulkAction::Cancel | BulkAction::Migrate => !status.is_final(),
            BulkAction::Replay => false,
        };
        Status::ALL.into_iter().filter(fits).collect()
    }

    /// Returns the statuses that are meant where none are named.
    #[must_use]
    pub fn meant(self) -> Vec<Status> {
        match self {
            BulkAction::Retry | BulkAction::Restart => vec![Status::Failed],
            BulkAction::Cancel | BulkAction::Migrate | BulkAction::Replay => self.acts_on(),
        }
    }
}

/// Which version of its workflow a run is to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VersionWish {
    /// The one that it follows already.
    #[default]
    Own,
    /// The one that events start now.
    Latest,
    /// This one.
    Number(u32),
}

/// How an action is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BulkOptions {
    /// The step to retry from; the first that has to run without it.
    pub from: Option<String>,
    /// The version to retry, restart or move with.
    pub version: VersionWish,
    /// Whether cancelled runs undo their finished steps.
    pub compensate: bool,
    /// The workflow that replayed events start, whether they match or not.
    pub workflow: Option<String>,
    /// How many are acted on in a second, at most.
    pub per_second: u32,
}

impl Default for BulkOptions {
    fn default() -> BulkOptions {
        let (from, version, workflow) = Default::default();
        BulkOptions { from, version, compensate: true, workflow, per_second: u32::MAX }
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkStatus {
    /// It goes on.
    Running,
    /// Somebody holds it.
    Paused,
    /// All its members were looked at.
    Finished,
    /// Somebody ended it before.
    Cancelled,
}

impl BulkStatus {
    /// Returns whether it will do nothing more.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, BulkStatus::Finished | BulkStatus::Cancelled)
    }

    /// Returns the name that users see.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            BulkStatus::Running => "running",
            BulkStatus::Paused => "paused",
            BulkStatus::Finished => "finished",
            BulkStatus::Cancelled => "cancelled",
        }
    }
}

/// What became of one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BulkOutcome {
    /// It was acted on.
    Done,
    /// There was nothing to do: it has changed since, or is gone.
    Skipped(BulkFault),
    /// It could not be acted on.
    Failed(BulkFault),
}

/// Why a member was not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkFault {
    /// What kind of reason, in snake case; stable.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
}

impl BulkFault {
    /// Describes a reason.
    pub fn new(code: &str, detail: impl Into<String>) -> BulkFault {
        BulkFault { code: code.to_owned(), detail: detail.into() }
    }
}

/// Members that were not acted on for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkReason {
    /// `failed` or `skipped`.
    pub outcome: String,
    /// What kind of reason, in snake case; stable.
    pub code: String,
    /// What was wrong with the first of them.
    pub detail: String,
    /// How many they are.
    pub count: u64,
    /// The ids of the first of them.
    pub sample: Vec<String>,
}

/// How many ids a reason names.
const SAMPLE_MAX: usize = 5;
/// How many reasons are told apart.
const REASONS_MAX: usize = 20;

/// What came of a job so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BulkProgress {
    /// How many were looked at.
    pub seen: u64,
    /// How many were acted on.
    pub done: u64,
    /// How many could not be acted on.
    pub failed: u64,
    /// How many needed nothing.
    pub skipped: u64,
    /// Why the others were not acted on.
    pub reasons: Vec<BulkReason>,
}

impl BulkProgress {
    /// Notes what became of the member `id`.
    pub fn note(&mut self, id: &str, outcome: BulkOutcome) {
        self.seen += 1;
        let (word, fault) = match outcome {
            BulkOutcome::Done => {
                self.done += 1;
                return;
            }
            BulkOutcome::Skipped(fault) => {
                self.skipped += 1;
                ("skipped", fault)
            }
            BulkOutcome::Failed(fault) => {
                self.failed += 1;
                ("failed", fault)
            }
        };
        let codes: BTreeSet<&str> = self.reasons.iter().map(|it| it.code.as_str()).collect();
        let is_crowded = codes.len() >= REASONS_MAX && !codes.contains(fault.code.as_str());
        let code = if is_crowded { "other".to_owned() } else { fault.code };
        let known = self.reasons.iter_mut().find(|it| it.outcome == word && it.code == code);
        match known {
            Some(reason) => {
                reason.count += 1;
                if reason.sample.len() < SAMPLE_MAX {
                    reason.sample.push(id.to_owned());
                }
            }
            None => self.reasons.push(BulkReason {
                outcome: word.to_owned(),
                code,
                detail: fault.detail,
                count: 1,
                sample: vec![id.to_owned()],
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_by_code_with_a_few_ids() {
        let mut progress = BulkProgress::default();
        for number in 0..8 {
            let fault = BulkFault::new("run_ended", "the run has ended");
            progress.note(&number.to_string(), BulkOutcome::Skipped(fault));
        }
        progress.note("8", BulkOutcome::Done);
        progress.note("9", BulkOutcome::Failed(BulkFault::new("withheld", "a key is taken")));
        assert_eq!(
            (progress.seen, progress.done, progress.skipped, progress.failed),
            (10, 1, 8, 1)
        );
        assert_eq!((progress.reasons[0].count, progress.reasons[0].sample.len()), (8, SAMPLE_MAX));
        assert_eq!(progress.reasons[1].code, "withheld");
    }

    #[test]
    fn an_action_means_no_run_that_it_cannot_act_on() {
        for action in BulkAction::ALL {
            assert_eq!(BulkAction::named(action.as_str()), Some(action));
            assert!(action.meant().iter().all(|status| action.acts_on().contains(status)));
        }
        assert_eq!(BulkAction::Retry.meant(), [Status::Failed]);
        assert!(!BulkAction::Cancel.acts_on().contains(&Status::Succeeded));
    }
}
