//! How workflows do: the list of them with what came of their runs in the last day.

use std::time::Duration;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{Page, WorkflowView};
use super::workflows::{show, version_of};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::runs::RunList;
use crate::store::tenant::TenantView;

const DAY: Duration = Duration::from_secs(86_400);
/// How many runs of one workflow are looked at.
const RUNS_LOOKED_AT_MAX: usize = 300;
const FAILED: &str = "failed";

/// Which workflows a list holds.
#[derive(Clone, Debug, Default)]
pub struct PulseFilter {
    /// Only those that are, or are not, active.
    pub active: Option<bool>,
    /// Only those with such a trigger: `event`, `schedule`, `lasting` or `manual`.
    pub trigger: Option<String>,
    /// A text in the name, the title or the event type, in any case.
    pub text: Option<String>,
    /// Only those of which this is true.
    pub only: Option<Plight>,
}

/// What can be the matter with a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plight {
    /// The last of its runs that ended failed.
    Failing,
    /// It has never run.
    NeverRan,
    /// Its newest version is not the one that events start.
    HasDraft,
}

impl Plight {
    /// Every plight by its name.
    pub const ALL: [(Plight, &'static str); 3] =
        [(Plight::Failing, "failing"), (Plight::NeverRan, "never"), (Plight::HasDraft, "draft")];

    /// Returns the plight of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Plight> {
        Plight::ALL.iter().find(|(_, known)| *known == name).map(|(plight, _)| *plight)
    }
}

/// A workflow with how it does.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowPulse {
    /// The workflow in its present version.
    #[serde(flatten)]
    pub workflow: WorkflowView,
    /// The newest version; a draft when it is not the present one, or was never active.
    pub newest_version: u32,
    /// Whether there is a draft.
    pub has_draft: bool,
    /// How many runs were created in the last 24 hours, of at most 300 that are looked at.
    pub runs_day: u64,
    /// How many of them succeeded.
    pub succeeded_day: u64,
    /// How many of them failed.
    pub failed_day: u64,
    /// How long 95 of 100 of the runs took at most that ended in that time, in milliseconds.
    pub p95_ms: Option<i64>,
    /// When the last run was created.
    pub last_run_at: Option<Timestamp>,
}

impl App {
    /// Lists workflows by name, with how they do.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn workflow_pulses(
        &self,
        who: &Principal,
        filter: &PulseFilter,
        page: &PageRequest,
    ) -> Result<Page<WorkflowPulse>, Error> {
        let since = self.now() - DAY;
        self.read(who, |view| {
            let mut wanted = Vec::new();
            for row in view.workflows()? {
                if row.deleted_at.is_some() || filter.active.is_some_and(|it| it != row.active) {
                    continue;
                }
                let version = version_of(view, &row.name, row.version)?;
                let shown = show(view, &row, version)?;
                let has_draft = row.newest != row.version || view.draft(&row.name)?.is_some();
                if filter.holds(&shown, has_draft) {
                    wanted.push((shown, row.newest, has_draft));
                }
            }
            let page = page.cut(wanted, |(shown, ..)| shown.name.clone());
            let next_cursor = page.next_cursor;
            let pulses = page.data.into_iter().map(|(shown, newest, has_draft)| {
                Ok(WorkflowPulse {
                    newest_version: newest,
                    has_draft,
                    ..pulse(view, shown, since)?
                })
            });
            Ok(Page { data: pulses.collect::<Result<_, Error>>()?, next_cursor })
        })
    }
}

impl PulseFilter {
    fn holds(&self, shown: &WorkflowView, has_draft: bool) -> bool {
        let text = self.text.as_deref().unwrap_or_default().to_lowercase();
        let event = shown.event.as_deref().unwrap_or_default();
        let fields = [shown.name.as_str(), shown.title.as_str(), event];
        let ended = |status: &str| matches!(status, "succeeded" | "failed" | "cancelled");
        let last = shown.last_runs.iter().find(|run| ended(&run.status));
        fields.iter().any(|field| field.to_lowercase().contains(&text))
            && self.trigger.as_ref().is_none_or(|kind| *kind == shown.trigger_kind)
            && match self.only {
                None => true,
                Some(Plight::Failing) => last.is_some_and(|run| run.status == FAILED),
                Some(Plight::NeverRan) => shown.totals.started == 0,
                Some(Plight::HasDraft) => has_draft,
            }
    }
}

fn pulse(
    view: TenantView<'_>,
    workflow: WorkflowView,
    since: Timestamp,
) -> Result<WorkflowPulse, Error> {
    let runs = view.runs_before(RunList::OfWorkflow(&workflow.name), None, RUNS_LOOKED_AT_MAX)?;
    let last_run_at = runs.first().map(|run| run.head.created_at);
    let day: Vec<_> = runs.iter().take_while(|run| run.head.created_at >= since).collect();
    let count = |status| day.iter().filter(|run| run.head.status == status).count() as u64;
    let mut spans: Vec<i64> = day
        .iter()
        .filter_map(|run| Some(run.head.ended_at?.millis() - run.head.created_at.millis()))
        .collect();
    spans.sort_unstable();
    Ok(WorkflowPulse {
        newest_version: workflow.version,
        has_draft: false,
        runs_day: day.len() as u64,
        succeeded_day: count(Status::Succeeded),
        failed_day: count(Status::Failed),
        p95_ms: percentile_95(&spans),
        last_run_at,
        workflow,
    })
}

/// Returns the smallest of the sorted values that at least 95 of 100 do not exceed.
fn percentile_95(sorted: &[i64]) -> Option<i64> {
    let place = (sorted.len() * 95).div_ceil(100);
    sorted.get(place.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ninety_five_of_a_hundred_are_not_slower() {
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!(percentile_95(&hundred), Some(95));
        assert_eq!(percentile_95(&[7]), Some(7));
        assert_eq!(percentile_95(&[1, 2, 3]), Some(3));
        assert_eq!(percentile_95(&[]), None);
    }
}
