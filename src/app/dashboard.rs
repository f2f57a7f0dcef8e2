//! What a person sees first: the last day in figures, and what needs attention.

use std::collections::BTreeMap;
use std::time::Duration;

use super::App;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::runs::RunFilter;
use super::views::{CauseView, DashboardView, HourView};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::counters::HourCounts;
use crate::store::runs::{RunList, RunRow};

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOURS: u32 = 24;
const FAILURES_MAX: usize = 1_000;
const CAUSES_MAX: usize = 10;
const RECENT: usize = 10;

impl App {
    /// Returns the dashboard of the caller's tenant.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn dashboard(&self, who: &Principal) -> Result<DashboardView, Error> {
        let now = self.now();
        let since = now - HOUR * HOURS;
        let recent = PageRequest { limit: RECENT, after: None };
        let recent = self.runs(who, &RunFilter::default(), &recent)?.data;
        self.read(who, |view| {
            let totals = view.totals()?;
            let hours = hours(now, view.hours(since)?);
            let mut failed =
                view.runs_before(RunList::InStatus(Status::Failed), None, FAILURES_MAX)?;
            failed.retain(|row| view.sees_workflow(&row.head.workflow));
            let sum = |count: fn(&HourView) -> u64| hours.iter().map(count).sum();
            let now_in = |status: Status| totals.runs[status as usize];
            Ok(DashboardView {
                events_24h: sum(|hour| hour.events),
                runs_24h: view.hours(since)?.iter().map(|(_, counts)| counts.started).sum(),
                succeeded_24h: sum(|hour| hour.succeeded),
                failed_24h: sum(|hour| hour.failed),
                queued: now_in(Status::Queued),
                running: now_in(Status::Running),
                retrying: now_in(Status::Retrying),
                waiting: now_in(Status::Waiting),
                compensating: now_in(Status::Compensating),
                attention: causes(failed, since),
                hours,
                recent,
            })
        })
    }
}

/// Every hour of the last day, oldest first, those without anything included.
fn hours(now: Timestamp, counted: Vec<(Timestamp, HourCounts)>) -> Vec<HourView> {
    let hour_ms = i64::try_from(HOUR.as_millis()).unwrap_or(i64::MAX);
    let present = now.millis() / hour_ms;
    let counted: BTreeMap<i64, HourCounts> =
        counted.into_iter().map(|(at, counts)| (at.millis() / hour_ms, counts)).collect();
    (0..i64::from(HOURS))
        .rev()
        .map(|ago| {
            let counts = counted.get(&(present - ago)).copied().unwrap_or_default();
            HourView {
                at: Timestamp::from_millis((present - ago) * hour_ms),
                events: counts.events,
                succeeded: counts.succeeded,
                failed: counts.failed,
            }
        })
        .collect()
}

/// Groups the runs that failed since `since`, newest first, by what they failed of.
fn causes(failed: Vec<RunRow>, since: Timestamp) -> Vec<CauseView> {
    let mut causes: Vec<CauseView> = Vec::new();
    for row in failed {
        let head = row.head;
        let Some(ended) = head.ended_at.filter(|ended| *ended >= since) else { continue };
        let (step, code, message) = match head.error {
            Some(error) => (error.step, error.code, error.message),
            None => (None, "failed".to_owned(), String::new()),
        };
        let known = causes
            .iter_mut()
            .find(|it| it.workflow == head.workflow && it.step == step && it.code == code);
        match known {
            Some(cause) => {
                cause.count += 1;
                cause.first_at = cause.first_at.min(ended);
            }
            None => causes.push(CauseView {
                workflow: head.workflow,
                step,
                code,
                message,
                count: 1,
                newest: head.id,
                first_at: ended,
            }),
        }
    }
    causes.sort_by_key(|cause| std::cmp::Reverse(cause.count));
    causes.truncate(CAUSES_MAX);
    causes
}
