//! The list of schedules: what comes next, what came of the last time, and what was left out.

use actix_web::web;
use askama::Template;

use super::pages::back;
use super::parts::day::DayStrip;
use super::parts::list::Empty;
use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::agenda::AgendaView;
use crate::app::schedules::{ScheduleChange, ScheduleName, ScheduleView};
use crate::app::views::Page;
use crate::domain::schedule::DAYLIGHT_SAVING_RULE;
use crate::web::error::Answer;
use crate::web::query::Query;

/// How many of the times that did not fire a row shows.
const MISSED_SHOWN: usize = 10;

struct Row {
    workflow: String,
    workflow_href: String,
    href: String,
    description: String,
    timezone: String,
    status: &'static str,
    next: Option<Moment>,
    next_local: String,
    note: String,
    later: Vec<String>,
    last: Option<(String, Moment)>,
    fired: u64,
    missed_count: u64,
    missed: Vec<(String, String)>,
}

/// The page.
#[derive(Template)]
#[template(path = "schedules.html")]
pub struct SchedulesPage {
    shell: Shell,
    rows: Vec<Row>,
    empty: Empty,
    next: Option<String>,
    first: Option<String>,
    rule: &'static str,
    day: Option<Day>,
    curl: String,
}

/// The next 24 hours of all schedules.
struct Day {
    strip: DayStrip,
    schedules: usize,
    firings: u64,
    piles: Vec<(Moment, usize, String)>,
}

impl SchedulesPage {
    /// Shows the next 24 hours above the list.
    pub fn look_ahead(&mut self, agenda: &AgendaView) {
        let piles = agenda.piles.iter().map(|pile| {
            let names = pile.workflows.join(", ");
            (self.shell.at(&pile.at), pile.workflows.len(), names)
        });
        self.day = Some(Day {
            strip: DayStrip::new(agenda),
            schedules: agenda.schedules,
            firings: agenda.firings,
            piles: piles.collect(),
        });
    }
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, cursor: Option<&str>, list: &Page<ScheduleView>) -> SchedulesPage {
    let rows: Vec<Row> = list.data.iter().map(|schedule| row(&shell, schedule)).collect();
    let here = shell.url("/schedules");
    SchedulesPage {
        empty: Empty::of(&rows, &[]),
        next: list.next_cursor.as_ref().map(|next| format!("{here}?cursor={}", encoded(next))),
        first: cursor.map(|_| here),
        rule: DAYLIGHT_SAVING_RULE,
        day: None,
        curl: shell.curl("/v1/schedules"),
        shell,
        rows,
    }
}

fn row(shell: &Shell, schedule: &ScheduleView) -> Row {
    let name = encoded(&schedule.workflow);
    let first = schedule.next.first();
    let reason = |it: &crate::app::schedules::MissedView| (it.local.clone(), it.reason.clone());
    Row {
        workflow: schedule.workflow.clone(),
        workflow_href: shell.url(&format!("/workflows/{name}")),
        href: shell.url(&format!("/schedules/{name}/{}", schedule.trigger)),
        description: schedule.description.clone(),
        timezone: schedule.timezone.clone(),
        status: schedule.status,
        next: first.map(|next| Moment::relative(next.fires_at.unwrap_or(next.at), shell.now)),
        next_local: first.map(|next| next.local.clone()).unwrap_or_default(),
        note: first.and_then(|next| next.note.clone()).unwrap_or_default(),
        later: schedule.next.iter().skip(1).map(|next| next.local.clone()).collect(),
        last: schedule.last.as_ref().map(|last| {
            let run = shell.url(&format!("/runs/{}", last.run_id));
            (run, Moment::relative(last.fired_at, shell.now))
        }),
        fired: schedule.fired,
        missed_count: schedule.missed_count,
        missed: schedule.missed.iter().take(MISSED_SHOWN).map(reason).collect(),
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let list = app.schedules(&visit.who, &query.page()?)?;
    let mut page = page(visit.shell, query.text("cursor"), &query.seal(list));
    let agenda = app.agenda(&visit.who)?;
    if agenda.firings > 0 {
        page.look_ahead(&agenda);
    }
    html(&page)
}

fn named(path: web::Path<(String, u32)>) -> ScheduleName {
    let (workflow, trigger) = path.into_inner();
    ScheduleName { workflow, trigger: Some(trigger) }
}

/// Starts a run at once and shows it.
pub async fn run(app: web::Data<App>, visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    let started = app.run_schedule(&visit.who, &named(path)).await?;
    Ok(back(&visit.shell, &format!("/runs/{}", started.summary.id)))
}

/// Lets it fire no more until it is resumed.
pub async fn pause(app: web::Data<App>, visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    app.change_schedule(&visit.who, &named(path), ScheduleChange::Pause).await?;
    Ok(back(&visit.shell, "/schedules"))
}

/// Lets it go on.
pub async fn resume(app: web::Data<App>, visit: Visit, path: web::Path<(String, u32)>) -> Answer {
    app.change_schedule(&visit.who, &named(path), ScheduleChange::Resume).await?;
    Ok(back(&visit.shell, "/schedules"))
}

/// Leaves out the next time.
pub async fn skip_next(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, u32)>,
) -> Answer {
    app.change_schedule(&visit.who, &named(path), ScheduleChange::SkipNext).await?;
    Ok(back(&visit.shell, "/schedules"))
}
