//! Schedules: when workflows start by themselves, what came of it, and a look ahead.

use serde::Serialize;
use serde_json::{Value, json};
use tracing::warn;

use super::App;
use super::audit;
use super::error::Error;
use super::events::{AcceptedEvent, actor};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::{Page, RunView, UpcomingView};
use super::workflows::{present, version_of};
use crate::domain::id::RunId;
use crate::domain::problem::Problem;
use crate::domain::schedule::{DAYLIGHT_SAVING_RULE, Planned, Schedule};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Trigger, read_schedule};
use crate::engine::Engine;
use crate::store::access::APPLIANCE;
use crate::store::schedules::{Pause, ScheduleRow};
use crate::store::tenant::{TenantTx, TenantView};

/// How many of the next times a schedule shows.
const NEXT_SHOWN: usize = 5;

/// A schedule of a workflow.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// The workflow's name.
    pub workflow: String,
    /// The position of the trigger among the workflow's, from 0.
    pub trigger: u32,
    /// The version that it starts.
    pub version: u32,
    /// The type of the events that it makes.
    pub event: String,
    /// When it comes, in words.
    pub description: String,
    /// The zone by whose clocks it goes.
    pub timezone: String,
    /// As it stands in the definition.
    pub schedule: Value,
    /// `active`, `paused`, or `inactive` when its workflow is not active.
    pub status: &'static str,
    /// Since when it is paused.
    pub paused_since: Option<Timestamp>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// What comes next; nothing unless it is active.
    pub next: Vec<NextView>,
    /// The last firing.
    pub last: Option<FiringView>,
    /// How often it has fired.
    pub fired: u64,
    /// How many times were missed.
    pub missed_count: u64,
    /// The newest times that did not fire, each with the reason, newest first.
    pub missed: Vec<MissedView>,
}

/// A time to come.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextView {
    /// In UTC.
    pub at: Timestamp,
    /// What the zone's clocks show, with the offset.
    pub local: String,
    /// When it fires, with the jitter; left out without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fires_at: Option<Timestamp>,
    /// What a change of the clocks does to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A time that fired.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FiringView {
    /// The time, in UTC.
    pub scheduled_for: Timestamp,
    /// When it fired.
    pub fired_at: Timestamp,
    /// The run that it started.
    pub run_id: RunId,
}

/// A time that did not fire.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MissedView {
    /// The time, in UTC.
    pub scheduled_for: Timestamp,
    /// What the zone's clocks showed, with the offset.
    pub local: String,
    /// Why not.
    pub reason: String,
}

/// Which schedule is meant.
#[derive(Clone, Debug)]
pub struct ScheduleName {
    /// The workflow's name.
    pub workflow: String,
    /// The position of the trigger; needed when the workflow has several schedules.
    pub trigger: Option<u32>,
}

/// What is to happen with a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduleChange {
    /// It fires no more until it is resumed.
    Pause,
    /// It goes on with the next time; those that passed meanwhile are listed, not made up for.
    Resume,
    /// The next time is left out.
    SkipNext,
}

/// A schedule to look ahead with, as it was sent.
#[derive(Clone, Debug)]
pub struct PreviewRequest {
    /// `{cron, timezone}` or any other form of a schedule.
    pub schedule: Value,
    /// Where it stands in the request.
    pub at: &'static str,
    /// After this instant; the present without one.
    pub from: Option<Timestamp>,
    /// How many times.
    pub count: usize,
    /// The workflow by whose name the jitter is chosen.
    pub workflow: Option<String>,
}

/// A look ahead.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// When it comes, in words.
    pub description: String,
    /// The zone.
    pub timezone: String,
    /// How it goes over changes of the clocks.
    pub rule: &'static str,
    /// The next times.
    pub data: Vec<NextView>,
}

impl App {
    /// Lists schedules by workflow.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn schedules(
        &self,
        who: &Principal,
        page: &PageRequest,
    ) -> Result<Page<ScheduleView>, Error> {
        let now = self.now();
        self.read(who, |view| {
            let key = |row: &ScheduleRow| format!("{} {:05}", row.workflow, row.trigger);
            let seen = view.schedules()?.into_iter();
            let seen = seen.filter(|row| view.sees_workflow(&row.workflow)).collect();
            let page = page.cut(seen, key);
            let shown = page.data.into_iter().map(|row| show(view, row, now));
            Ok(Page { data: shown.collect::<Result<_, _>>()?, next_cursor: page.next_cursor })
        })
    }

    /// Returns one schedule.
    ///
    /// # Errors
    /// `NotFound` for a workflow without such a schedule, `Invalid` when it has several and none
    /// is named.
    pub fn schedule(&self, who: &Principal, name: &ScheduleName) -> Result<ScheduleView, Error> {
        let now = self.now();
        self.read(who, |view| show(view, find(view, name)?, now))
    }

    /// Pauses or resumes a schedule, or leaves out its next time.
    ///
    /// # Errors
    /// `NotFound` for a workflow without such a schedule, `Conflict` for a next time to leave out
    /// when there is none.
    pub async fn change_schedule(
        &self,
        who: &Principal,
        name: &ScheduleName,
        change: ScheduleChange,
    ) -> Result<ScheduleView, Error> {
        let listed_max = self.engine().settings().schedule_listed_max;
        let asked = Asked { name: name.clone(), change, by: who.name.clone(), listed_max };
        let action = match change {
            ScheduleChange::Pause => "schedule.pause",
            ScheduleChange::Resume => "schedule.resume",
            ScheduleChange::SkipNext => "schedule.skipNext",
        };
        let own = name.clone();
        self.write(who, audit::Change::of(action, &name.workflow), move |tx, change| {
            change.before(&find(tx.view(), &own)?);
            asked.apply(tx)?;
            change.after(&find(tx.view(), &own)?);
            Ok(())
        })
        .await?;
        self.schedule(who, name)
    }

    /// Starts a run of a schedule at once, beside its times.
    ///
    /// # Errors
    /// `NotFound` for a workflow without such a schedule, `Conflict` when the run is withheld.
    pub async fn run_schedule(
        &self,
        who: &Principal,
        name: &ScheduleName,
    ) -> Result<RunView, Error> {
        let row = self.read(who, |view| find(view, name))?;
        self.admit_events(who.tenant, 1)?;
        self.record_change(who, audit::Change::of("schedule.run", &row.workflow)).await?;
        let started =
            self.engine().run_schedule(who.tenant, row.workflow, row.trigger, actor(who)).await?;
        self.started(who, &AcceptedEvent::from(started))
    }

    /// Looks ahead with a schedule that need not be saved.
    ///
    /// # Errors
    /// `Invalid` with every problem of the schedule.
    pub fn preview_schedule(&self, request: &PreviewRequest) -> Result<Preview, Error> {
        let schedule = read_schedule(&request.schedule, request.at).map_err(Error::Invalid)?;
        let from = request.from.unwrap_or_else(|| self.now());
        let seed = request.workflow.as_deref();
        let data = schedule.preview(from, request.count).into_iter();
        Ok(Preview {
            description: schedule.describe(),
            timezone: schedule.zone().name().to_owned(),
            rule: DAYLIGHT_SAVING_RULE,
            data: data.map(|planned| next_view(&schedule, planned, seed)).collect(),
        })
    }

    /// Sees to it that every active schedule of every tenant has its alarm.
    ///
    /// # Errors
    /// Fails when a tenant's part cannot be read or written now.
    pub async fn check_schedules(&self) -> Result<(), Error> {
        for tenant in self.read_of(APPLIANCE, |view| Ok(view.tenants()?))? {
            let repaired = self.engine().repair_schedules(tenant.id).await?;
            if repaired > 0 {
                warn!(tenant.slug = %tenant.slug, repaired, "Schedules had lost their alarms");
            }
        }
        Ok(())
    }
}

fn find(view: TenantView<'_>, name: &ScheduleName) -> Result<ScheduleRow, Error> {
    let workflow = present(view, &name.workflow)?.name;
    let own = view.schedules()?.into_iter().filter(|row| row.workflow == workflow);
    let mut own: Vec<ScheduleRow> = own.collect();
    if let (None, [_, _, ..]) = (name.trigger, own.as_slice()) {
        let triggers: Vec<String> = own.iter().map(|row| row.trigger.to_string()).collect();
        let detail = "the workflow has several schedules";
        let problem = Problem::new("/trigger", "required", detail);
        let hint = format!("name one by its position: {}", triggers.join(", "));
        return Err(Error::Invalid(vec![problem.with_hint(hint)]));
    }
    own.retain(|row| name.trigger.is_none_or(|trigger| row.trigger == trigger));
    let id = match name.trigger {
        Some(trigger) => format!("{trigger} of workflow {workflow}"),
        None => format!("of workflow {workflow}"),
    };
    own.pop().ok_or(Error::NotFound { what: "schedule", id })
}

/// Returns the event type and the schedule of a row, which a saved version holds.
fn read(view: TenantView<'_>, row: &ScheduleRow) -> Result<(String, Schedule, Value), Error> {
    let version = version_of(view, &row.workflow, row.version)?;
    let workflow = Engine::compile(&version)?;
    let several = &version.definition["triggers"][row.trigger as usize];
    let written = [several, &version.definition["trigger"]].map(|trigger| &trigger["schedule"]);
    let written = written.into_iter().find(|it| !it.is_null()).unwrap_or(&Value::Null).clone();
    match workflow.triggers.get(row.trigger as usize) {
        Some(Trigger::Schedule { kind, schedule }) => {
            Ok((kind.clone(), (**schedule).clone(), written))
        }
        Some(Trigger::Event { .. } | Trigger::Lasting(_)) | None => {
            Err(Error::Internal("a schedule's row and its version disagree".to_owned()))
        }
    }
}

/// Returns the schedule of a row.
pub(super) fn schedule_of(view: TenantView<'_>, row: &ScheduleRow) -> Result<Schedule, Error> {
    Ok(read(view, row)?.1)
}

/// Returns the schedules that fire next, the soonest first.
pub(super) fn upcoming(view: TenantView<'_>, count: usize) -> Result<Vec<UpcomingView>, Error> {
    let mut rows = view.schedules()?;
    rows.retain(|row| view.sees_workflow(&row.workflow));
    let due = |row: ScheduleRow| Some((row.next.as_ref()?.due, row));
    let mut rows: Vec<_> = rows.into_iter().filter_map(due).collect();
    rows.sort_by_key(|(at, _)| *at);
    rows.truncate(count);
    rows.into_iter()
        .map(|(at, row)| {
            let (_, schedule, _) = read(view, &row)?;
            Ok(UpcomingView {
                at,
                local: schedule.zone().written(at),
                description: schedule.describe(),
                workflow: row.workflow,
                trigger: row.trigger,
            })
        })
        .collect()
}

fn show(view: TenantView<'_>, row: ScheduleRow, now: Timestamp) -> Result<ScheduleView, Error> {
    let (event, schedule, written) = read(view, &row)?;
    let status = match (row.active, &row.paused) {
        (false, _) => "inactive",
        (true, Some(_)) => "paused",
        (true, None) => "active",
    };
    let zone = schedule.zone();
    let next = match row.next {
        // What is overdue is still to come; after it the slots follow from the present.
        Some(next) => {
            let first = schedule.preview(row.done_until, 1);
            let rest = schedule.preview(next.slot.max(now), NEXT_SHOWN - 1);
            let all = first.into_iter().chain(rest);
            all.map(|planned| next_view(&schedule, planned, Some(&row.workflow))).collect()
        }
        None => Vec::new(),
    };
    let (paused_since, paused_by) = row.paused.map(|pause| (pause.since, pause.by)).unzip();
    let missed = row.left_out.into_iter().map(|left_out| MissedView {
        scheduled_for: left_out.slot,
        local: zone.written(left_out.slot),
        reason: left_out.reason,
    });
    Ok(ScheduleView {
        workflow: row.workflow,
        trigger: row.trigger,
        version: row.version,
        event,
        description: schedule.describe(),
        timezone: zone.name().to_owned(),
        schedule: written,
        status,
        paused_since,
        paused_by,
        next,
        last: row.last.map(|last| FiringView {
            scheduled_for: last.slot,
            fired_at: last.at,
            run_id: last.run,
        }),
        fired: row.fired,
        missed_count: row.missed,
        missed: missed.collect(),
    })
}

fn next_view(schedule: &Schedule, planned: Planned, seed: Option<&str>) -> NextView {
    let delayed = seed.filter(|_| !schedule.jitter.is_zero());
    NextView {
        at: planned.at,
        local: planned.local,
        fires_at: delayed.map(|seed| schedule.fires_at(planned.at, seed)),
        note: planned.note,
    }
}

/// A change of a schedule, and who asks for it.
struct Asked {
    name: ScheduleName,
    change: ScheduleChange,
    by: String,
    listed_max: usize,
}

impl Asked {
    fn apply(self, tx: &mut TenantTx<'_, '_>) -> Result<(), Error> {
        let now = tx.now();
        let mut row = find(tx.view(), &self.name)?;
        let (_, schedule, _) = read(tx.view(), &row)?;
        match (self.change, row.paused.is_some()) {
            (ScheduleChange::Pause, false) => {
                row.paused = Some(Pause { since: now, by: self.by });
            }
            (ScheduleChange::Resume, true) => {
                row.paused = None;
                for slot in schedule.passed(row.done_until, now, self.listed_max).slots {
                    row.leave_out(slot, "it was paused", self.listed_max);
                }
                row.go_on_from(now);
            }
            (ScheduleChange::SkipNext, _) => {
                let Some(next) = row.next else {
                    let detail = "the schedule is not active, so there is no next time".to_owned();
                    return Err(Error::Conflict { code: "schedule_not_active", detail });
                };
                row.leave_out(next.slot, format!("skipped by {}", self.by), self.listed_max);
                row.done_until = next.slot;
            }
            // It is as it is to be.
            (ScheduleChange::Pause, true) | (ScheduleChange::Resume, false) => return Ok(()),
        }
        row.plan(&schedule);
        tx.put_schedule(&row)?;
        Ok(())
    }
}

/// Returns a cron expression and its zone as a schedule.
#[must_use]
pub fn of_cron(cron: &str, timezone: Option<&str>) -> Value {
    json!({"cron": cron, "timezone": timezone})
}
