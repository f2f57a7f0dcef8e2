//! How an activity has fared lately, told from the runs whose steps called it.

use std::time::Duration;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::runs::RunFilter;
use super::uses::UseView;
use super::views::StepErrorView;
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

/// How far back it is looked.
const WINDOW: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// In how many runs at most, the newest of each workflow.
const RUNS_LOOKED_AT_MAX: usize = 100;

/// How an activity has fared.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ActivityRecord {
    /// Since when is looked.
    pub since: Timestamp,
    /// How many runs were looked at.
    pub runs: usize,
    /// Whether there were more.
    pub more: bool,
    /// Attempts that succeeded.
    pub succeeded: usize,
    /// Attempts that failed.
    pub failed: usize,
    /// Attempts of which nobody knows what came of them.
    pub unknown: usize,
    /// How long half of the attempts took at most, in milliseconds.
    pub p50_ms: Option<i64>,
    /// How long all but a twentieth of the attempts took at most, in milliseconds.
    pub p95_ms: Option<i64>,
    /// The newest failure.
    pub last_failure: Option<RecordedFailure>,
}

/// A failure of an activity in a run.
#[derive(Clone, Debug, Serialize)]
pub struct RecordedFailure {
    /// The run.
    pub run: RunId,
    /// The step.
    pub step: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub error: StepErrorView,
}

impl ActivityRecord {
    /// Returns how many of a hundred attempts succeeded; `None` where there were none.
    #[must_use]
    pub fn success_percent(&self) -> Option<usize> {
        (self.succeeded * 100).checked_div(self.succeeded + self.failed + self.unknown)
    }
}

impl App {
    /// Tells how an activity fared in the last seven days, from the newest runs of the workflows
    /// that use it.
    ///
    /// # Errors
    /// `NotFound` when there is no such activity.
    pub fn activity_record(
        &self,
        who: &Principal,
        identifier: &str,
    ) -> Result<ActivityRecord, Error> {
        let identifier = self.activity(who, identifier)?.unique_identifier;
        let uses = self.uses(who)?;
        self.recorded(who, &identifier, uses.of_activity(&identifier))
    }

    fn recorded(
        &self,
        who: &Principal,
        identifier: &str,
        users: &[UseView],
    ) -> Result<ActivityRecord, Error> {
        let since = self.now() - WINDOW;
        let mut record = ActivityRecord { since, ..ActivityRecord::default() };
        let mut took = Vec::new();
        let each = RUNS_LOOKED_AT_MAX.checked_div(users.len()).unwrap_or_default().max(1);
        for user in users.iter().take(RUNS_LOOKED_AT_MAX) {
            let workflow = Some(user.workflow.clone());
            let filter = RunFilter { workflow, since: Some(since), ..RunFilter::default() };
            let list = self.runs(who, &filter, &PageRequest { limit: each, after: None })?;
            record.more |= list.next_cursor.is_some();
            for run in list.data {
                record.runs += 1;
                self.take_run(who, (run.id, identifier), &mut record, &mut took)?;
            }
        }
        took.sort_unstable();
        record.p50_ms = nth(&took, 50);
        record.p95_ms = nth(&took, 95);
        Ok(record)
    }

    fn take_run(
        &self,
        who: &Principal,
        (id, identifier): (RunId, &str),
        record: &mut ActivityRecord,
        took: &mut Vec<i64>,
    ) -> Result<(), Error> {
        let run = match self.run(who, id) {
            Ok(run) => run,
            Err(Error::NotFound { .. } | Error::Gone { .. }) => return Ok(()), // Removed meanwhile.
            Err(error) => return Err(error),
        };
        for step in run.steps.iter().filter(|step| step.activity == identifier) {
            for attempt in &step.attempts {
                match attempt.outcome.as_str() {
                    "succeeded" => record.succeeded += 1,
                    "failed" => record.failed += 1,
                    "unknown" => record.unknown += 1,
                    _ => continue, // It is being made.
                }
                let Some(ended) = attempt.ended_at else { continue };
                took.push(ended.millis() - attempt.started_at.millis());
                let is_newer = record.last_failure.as_ref().is_none_or(|known| known.at < ended);
                if let Some(error) = attempt.error.clone().filter(|_| is_newer) {
                    let step = step.id.clone();
                    record.last_failure = Some(RecordedFailure { run: id, step, at: ended, error });
                }
            }
        }
        Ok(())
    }
}

/// Returns the value that so many of a hundred do not exceed.
fn nth(sorted: &[i64], percent: usize) -> Option<i64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get(last * percent / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let took: Vec<i64> = (1..=100).collect();
        assert_eq!((nth(&took, 50), nth(&took, 95), nth(&[], 50)), (Some(50), Some(95), None));
        assert_eq!(nth(&[7], 95), Some(7));
    }

    #[test]
    fn without_attempts_nothing_is_said_of_success() {
        let record = ActivityRecord { succeeded: 3, failed: 1, ..ActivityRecord::default() };
        assert_eq!(record.success_percent(), Some(75));
        assert_eq!(ActivityRecord::default().success_percent(), None);
    }
}
