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
use crate::store::tenant::TenantView;

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1_000;
const HOURS: u32 = 24;
/// How many runs and events are counted one by one for somebody who does not see all of them.
const COUNTED_MAX: usize = 5_000;
const FAILURES_MAX: usize = 1_000;
const CAUSES_MAX: usize = 10;
const RECENT: usize = 10;

/// Runs by their status, and what happened by the hour.
type Seen = ([u64; 8], Vec<(Timestamp, HourCounts)>);

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
            let (statuses, counted) = match view.sees_all() {
                true => (view.totals()?.runs, view.hours(since)?),
                false => seen_counts(view, since)?,
            };
            let started = counted.iter().map(|(_, counts)| counts.started).sum();
            let hours = hours(now, counted);
            let mut failed =
                view.runs_before(RunList::InStatus(Status::Failed), None, FAILURES_MAX)?;
            failed.retain(|row| view.sees_workflow(&row.head.workflow));
            let sum = |count: fn(&HourView) -> u64| hours.iter().map(count).sum();
            let now_in = |status: Status| statuses[status as usize];
            Ok(DashboardView {
                events_24h: sum(|hour| hour.events),
                runs_24h: started,
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

/// Counts what somebody sees who is limited to teams, as far back as it is looked at for them.
fn seen_counts(view: TenantView<'_>, since: Timestamp) -> Result<Seen, Error> {
    let mut statuses = [0; 8];
    let mut hours: BTreeMap<i64, HourCounts> = BTreeMap::new();
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let rows = view.runs_before(RunList::InStatus(status), None, COUNTED_MAX)?;
        let seen = rows.iter().filter(|row| view.sees_workflow(&row.head.workflow));
        statuses[status as usize] = seen.count() as u64;
    }
    let hour_of = |at: Timestamp| at.millis() / HOUR_MS;
    for row in view.runs_before(RunList::All, None, COUNTED_MAX)? {
        let began = row.head.id.created_at();
        if !view.sees_workflow(&row.head.workflow) || began < since {
            continue;
        }
        hours.entry(hour_of(began)).or_default().started += 1;
        if let Some(ended) = row.head.ended_at {
            let hour = hours.entry(hour_of(ended)).or_default();
            match row.head.status {
                Status::Succeeded => hour.succeeded += 1,
                Status::Failed => hour.failed += 1,
                _ => {} // Nothing else is in the figures.
            }
        }
    }
    for (_, stored) in view.events_before(None, COUNTED_MAX)? {
        if stored.received_at >= since && view.sees_event(&stored.event) {
            hours.entry(hour_of(stored.received_at)).or_default().events += 1;
        }
    }
    let at = |(hour, counts)| (Timestamp::from_millis(hour * HOUR_MS), counts);
    Ok((statuses, hours.into_iter().map(at).collect()))
}

/// Every hour of the last day, oldest first, those without anything included.
fn hours(now: Timestamp, counted: Vec<(Timestamp, HourCounts)>) -> Vec<HourView> {
    let hour_ms = HOUR_MS;
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
