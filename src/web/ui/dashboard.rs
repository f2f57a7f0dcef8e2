//! The dashboard: what happens now, what needs a person, and where each number comes from.

use actix_web::web;
use askama::Template;

use super::pages::back;
use super::parts::chart::{Chart, Each};
use super::parts::icon::Icon;
use super::parts::mark::capital;
use super::parts::moment::Moment;
use super::run::encoded;
use super::runs::{self, RunRow};
use super::shell::Shell;
use super::visit::{Part, Visit, html};
use crate::app::App;
use crate::app::doctor::{Depth, Diagnosis};
use crate::app::views::{CauseView, DashboardView};
use crate::domain::doctor::Grade;
use crate::web::error::Answer;

/// How many of the doctor's findings stand on the dashboard.
const FINDINGS_SHOWN: usize = 3;
/// From this count on a list is counted no further.
const COUNTED_MAX: u64 = 500;

/// The page.
#[derive(Template)]
#[template(path = "dashboard.html")]
pub struct DashboardPage {
    shell: Shell,
    health: Option<Health>,
    tiles: Vec<Tile>,
    minutes: Chart,
    hours: Chart,
    causes: Vec<Cause>,
    may_retry: bool,
    upcoming: Vec<Upcoming>,
    changed: Vec<Changed>,
    rows: Vec<RunRow>,
    fresh: bool,
    send: String,
}

/// One number, and the list that proves it.
#[derive(Clone, Debug)]
struct Tile {
    name: &'static str,
    figure: String,
    span: &'static str,
    icon: Icon,
    tone: &'static str,
    loud: bool,
    zero: bool,
    href: String,
}

#[derive(Clone, Debug)]
struct Cause {
    count: u64,
    workflow: String,
    step: String,
    code: String,
    message: String,
    first: Moment,
    last: Moment,
    newest: String,
    all: String,
    retry: String,
}

/// What the doctor says, in a line.
#[derive(Clone, Debug)]
struct Health {
    tone: &'static str,
    icon: Icon,
    sentence: String,
    findings: Vec<String>,
}

#[derive(Clone, Debug)]
struct Upcoming {
    workflow: String,
    href: String,
    words: String,
    at: Moment,
    local: String,
}

#[derive(Clone, Debug)]
struct Changed {
    name: String,
    href: String,
    version: u32,
    active: bool,
    at: Moment,
    by: String,
}

/// Shows the dashboard; what the doctor says is asked for with the whole page alone.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    let view = app.dashboard(&visit.who)?;
    let asks = visit.part == Part::Whole && visit.who.scopes.allow("system:read");
    let health = match asks {
        true => app.doctor(&visit.who, Depth::Shallow).await.ok(),
        false => None,
    };
    html(&page(visit.shell, &view, health))
}

/// Retries all runs that failed for one cause, and shows the job.
pub async fn retry(app: web::Data<App>, visit: Visit, cause: web::Path<String>) -> Answer {
    let job = app.retry_cause(&visit.who, &cause).await?;
    Ok(back(&visit.shell, &format!("/bulk/{}", encoded(&job.id))))
}

/// Makes the page.
pub fn page(shell: Shell, view: &DashboardView, health: Option<Diagnosis>) -> DashboardPage {
    let viewer = shell.viewer.as_ref();
    DashboardPage {
        health: health.map(read_health),
        tiles: tiles(&shell, view),
        minutes: Chart::new(Each::Minute, &view.minutes),
        hours: Chart::new(Each::Hour, &view.hours),
        causes: view.attention.iter().map(|cause| read_cause(&shell, cause)).collect(),
        may_retry: viewer.is_some_and(|viewer| viewer.may("runs:write")),
        upcoming: upcoming(&shell, view),
        changed: changed(&shell, view),
        rows: runs::rows(&shell, &view.recent),
        fresh: view.recent.is_empty() && view.events_24h == 0,
        send: format!(
            "curl -X POST -H \"Authorization: Bearer $ERGANE_KEY\" -H 'Content-Type: application/json' \\\n  {}{} \\\n  -d '{{\"hello\": \"world\"}}'",
            shell.origin,
            shell.url("/v1/events/demo:hello")
        ),
        shell,
    }
}

fn tiles(shell: &Shell, view: &DashboardView) -> Vec<Tile> {
    let rate = match view.succeeded_24h + view.failed_24h {
        0 => "–".to_owned(),
        ended => rate(view.succeeded_24h, ended),
    };
    let tile = |name, count: u64, icon, tone, path: &str| Tile {
        name,
        figure: grouped(count),
        span: if path.contains("since=24h") { "24 hours" } else { "now" },
        icon: Icon::new(icon),
        tone,
        loud: false,
        zero: count == 0,
        href: shell.url(path),
    };
    let failed = tile("Failed", view.failed_24h, "failed", "bad", "/runs?status=failed&since=24h");
    let done = tile("Succeeded", 1, "succeeded", "ok", "/runs?status=succeeded&since=24h");
    let mut tiles = vec![
        tile("Events", view.events_24h, "events", "idle", "/events?since=24h"),
        tile("Runs", view.runs_24h, "runs", "idle", "/runs?since=24h"),
        Tile { figure: rate, ..done },
        Tile { loud: view.failed_24h > 0, ..failed },
        tile("Running", view.running, "play", "run", "/runs?status=running"),
        tile("Retrying", view.retrying, "retrying", "retry", "/runs?status=retrying"),
        tile("Waiting", view.waiting, "waiting", "wait", "/runs?status=waiting"),
        tile("Queued", view.queued, "queued", "wait", "/runs?status=queued"),
        tile("Undoing", view.compensating, "compensating", "undo", "/runs?status=compensating"),
    ];
    // These wait for a person, so they are shown where the person can go and decide.
    for (name, count, icon, path) in [
        ("Approvals", view.approvals, "approval", "/approvals"),
        ("Incidents", view.incidents, "warning", "/incidents"),
    ] {
        if shell.leads_to(path) {
            let counted = tile(name, count, icon, "retry", path);
            let figure = match count {
                COUNTED_MAX.. => format!("{COUNTED_MAX}+"),
                _ => counted.figure.clone(),
            };
            tiles.push(Tile { figure, loud: count > 0, ..counted });
        }
    }
    tiles
}

/// Writes a share so that 100 % means all and nothing less.
fn rate(part: u64, whole: u64) -> String {
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        _ if part == whole => "100 %".to_owned(),
        99.0.. => format!("{:.1} %", percent.min(99.9)),
        _ => format!("{percent:.0} %"),
    }
}

/// Writes a number with a thin space between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn read_cause(shell: &Shell, cause: &CauseView) -> Cause {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("status", "failed").append_pair("since", "24h");
    query.append_pair("workflow", &cause.workflow);
    Cause {
        count: cause.count,
        workflow: cause.workflow.clone(),
        step: cause.step.clone().unwrap_or_default(),
        code: cause.code.clone(),
        message: cause.message.clone(),
        first: shell.ago(&cause.first_at),
        last: shell.ago(&cause.last_at),
        newest: shell.url(&format!("/runs/{}", cause.newest)),
        all: shell.url(&format!("/runs?{}", query.finish())),
        retry: shell.url(&format!("/attention/{}/retry", encoded(&cause.id))),
    }
}

fn read_health(found: Diagnosis) -> Health {
    let troubles: Vec<_> = found.data.iter().filter(|it| it.status != Grade::Ok).collect();
    let (tone, icon) = match found.status {
        Grade::Ok => ("ok", "succeeded"),
        Grade::Warn => ("retry", "warning"),
        Grade::Fail => ("bad", "failed"),
    };
    let sentence = match troubles.len() {
        0 => format!("Healthy: {} checks found nothing", found.data.len()),
        1 => "The doctor has found something".to_owned(),
        count => format!("The doctor has found {count} things"),
    };
    let shown = troubles.iter().take(FINDINGS_SHOWN);
    let findings = shown.map(|finding| capital(&finding.detail)).collect();
    Health { tone, icon: Icon::new(icon), sentence, findings }
}

fn upcoming(shell: &Shell, view: &DashboardView) -> Vec<Upcoming> {
    let row = |next: &crate::app::views::UpcomingView| Upcoming {
        workflow: next.workflow.clone(),
        href: shell.url(&format!("/workflows/{}", encoded(&next.workflow))),
        words: next.description.clone(),
        at: shell.ago(&next.at),
        local: next.local.clone(),
    };
    view.upcoming.iter().map(row).collect()
}

fn changed(shell: &Shell, view: &DashboardView) -> Vec<Changed> {
    let row = |change: &crate::app::views::ChangedView| Changed {
        name: change.name.clone(),
        href: shell.url(&format!("/workflows/{}", encoded(&change.name))),
        version: change.version,
        active: change.active,
        at: shell.ago(&change.at),
        by: change.by.clone(),
    };
    view.changed.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_never_rounds_up_to_all() {
        for (part, whole, text) in [(9_999, 10_000, "99.9 %"), (5, 5, "100 %"), (2, 3, "67 %")] {
            assert_eq!(rate(part, whole), text);
        }
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
