//! What a person sees first: the last day in figures, and what needs attention.

use std::collections::BTreeMap;
use std::time::Duration;

use super::App;
use super::attention::{causes, failures};
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::runs::RunFilter;
use super::views::{ChangedView, DashboardView, SpanView};
use super::workflows::version_of;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::approvals::ApprovalList;
use crate::store::counters::HourCounts;
use crate::store::runs::RunList;
use crate::store::tenant::TenantView;

const HOUR: Duration = Duration::from_secs(60 * 60);
const HOUR_MS: i64 = 60 * 60 * 1_000;
const MINUTE_MS: i64 = 60 * 1_000;
const HOURS: u32 = 24;
const MINUTES: u32 = 60;
/// How many runs and events are counted one by one for somebody who does not see all of them.
const COUNTED_MAX: usize = 5_000;
/// How many steps that wait for somebody are counted.
const ASKED_MAX: usize = 500;
const RECENT: usize = 10;
const UPCOMING: usize = 5;
const CHANGED: usize = 5;

/// Runs by their status, and what happened by the hour and by the minute.
type Seen = ([u64; 8], Counts, Counts);
/// What happened, by when that began.
type Counts = Vec<(Timestamp, HourCounts)>;

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
        let may = |scope: &str| who.scopes.allow(scope);
        self.read(who, |view| {
            let (statuses, by_hour, by_minute) = match view.sees_all() {
                true => (view.totals()?.runs, view.hours(since)?, view.minutes(now - HOUR)?),
                false => seen_counts(view, since)?,
            };
            let started = by_hour.iter().map(|(_, counts)| counts.started).sum();
            let hours = spans(now, HOUR_MS, HOURS, by_hour);
            let sum = |count: fn(&SpanView) -> u64| hours.iter().map(count).sum();
            let now_in = |status: Status| statuses[status as usize];
            let (incidents, approvals) = asked(view)?;
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
                incidents,
                approvals,
                attention: causes(&failures(view, since)?),
                minutes: spans(now, MINUTE_MS, MINUTES, by_minute),
                hours,
                upcoming: match may("schedules:read") {
                    true => super::schedules::upcoming(view, UPCOMING)?,
                    false => Vec::new(),
                },
                changed: match may("workflows:read") {
                    true => changed(view)?,
                    false => Vec::new(),
                },
                recent,
            })
        })
    }
}

/// Counts the steps that wait for somebody: after a failure, and for an approval.
fn asked(view: TenantView<'_>) -> Result<(u64, u64), Error> {
    let incidents = view.incidents_before(None, ASKED_MAX)?;
    let incidents = incidents.iter().filter(|row| view.sees_workflow(&row.workflow)).count();
    let approvals = view.approvals_before(ApprovalList::Open, None, ASKED_MAX)?;
    let approvals = approvals.iter().filter(|row| view.sees_workflow(&row.workflow)).count();
    Ok((incidents as u64, approvals as u64))
}

/// Returns the workflows that were changed last, the last one first.
fn changed(view: TenantView<'_>) -> Result<Vec<ChangedView>, Error> {
    let mut rows = view.workflows()?;
    rows.retain(|row| row.deleted_at.is_none() && view.sees_workflow(&row.name));
    rows.sort_by_key(|row| std::cmp::Reverse(row.updated_at));
    rows.truncate(CHANGED);
    rows.into_iter()
        .map(|row| {
            let by = version_of(view, &row.name, row.version)?.created_by;
            let (version, active) = (row.version, row.active);
            Ok(ChangedView { name: row.name, version, active, at: row.updated_at, by })
        })
        .collect()
}

/// Counts what somebody sees who is limited to teams, as far back as it is looked at for them.
fn seen_counts(view: TenantView<'_>, since: Timestamp) -> Result<Seen, Error> {
    let mut statuses = [0; 8];
    let mut minutes: BTreeMap<i64, HourCounts> = BTreeMap::new();
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let rows = view.runs_before(RunList::InStatus(status), None, COUNTED_MAX)?;
        let seen = rows.iter().filter(|row| view.sees_workflow(&row.head.workflow));
        statuses[status as usize] = seen.count() as u64;
    }
    let minute_of = |at: Timestamp| at.millis() / MINUTE_MS;
    for row in view.runs_before(RunList::All, None, COUNTED_MAX)? {
        let began = row.head.id.created_at();
        if !view.sees_workflow(&row.head.workflow) || began < since {
            continue;
        }
        minutes.entry(minute_of(began)).or_default().started += 1;
        if let Some(ended) = row.head.ended_at {
            let minute = minutes.entry(minute_of(ended)).or_default();
            match row.head.status {
                Status::Succeeded => minute.succeeded += 1,
                Status::Failed => minute.failed += 1,
                _ => {} // Nothing else is in the figures.
            }
        }
    }
    for (_, stored) in view.events_before(None, COUNTED_MAX)? {
        if stored.received_at >= since && view.sees_event(&stored.event) {
            minutes.entry(minute_of(stored.received_at)).or_default().events += 1;
        }
    }
    let at = |(minute, counts)| (Timestamp::from_millis(minute * MINUTE_MS), counts);
    let minutes: Counts = minutes.into_iter().map(at).collect();
    Ok((statuses, minutes.clone(), minutes))
}

/// Every span of `span_ms` up to now, oldest first, those without anything included.
fn spans(now: Timestamp, span_ms: i64, count: u32, counted: Counts) -> Vec<SpanView> {
    let present = now.millis() / span_ms;
    let mut by_span: BTreeMap<i64, HourCounts> = BTreeMap::new();
    for (at, counts) in counted {
        by_span.entry(at.millis() / span_ms).or_default().add(&counts);
    }
    (0..i64::from(count))
        .rev()
        .map(|ago| {
            let counts = by_span.get(&(present - ago)).copied().unwrap_or_default();
            SpanView {
                at: Timestamp::from_millis((present - ago) * span_ms),
                events: counts.events,
                succeeded: counts.succeeded,
                failed: counts.failed,
            }
        })
        .collect()
}
