//! The dashboard: what happens now, what needs a person, and where each number comes from.

use askama::Template;

use super::parts::hours::HourChart;
use super::parts::icon::Icon;
use super::parts::moment::Moment;
use super::runs::{self, RunRow};
use super::shell::Shell;
use crate::app::views::{CauseView, DashboardView};

/// The page.
#[derive(Template)]
#[template(path = "dashboard.html")]
pub struct DashboardPage {
    shell: Shell,
    tiles: Vec<Tile>,
    chart: HourChart,
    causes: Vec<Cause>,
    rows: Vec<RunRow>,
    fresh: bool,
    send: String,
}

/// One number, and the list that proves it.
#[derive(Clone, Debug)]
struct Tile {
    name: &'static str,
    figure: String,
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
    newest: String,
    all: String,
}

/// Makes the page.
pub fn page(shell: Shell, view: &DashboardView) -> DashboardPage {
    DashboardPage {
        tiles: tiles(&shell, view),
        chart: HourChart::new(&view.hours),
        causes: view.attention.iter().map(|cause| read_cause(&shell, cause)).collect(),
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
        icon: Icon::new(icon),
        tone,
        loud: false,
        zero: count == 0,
        href: shell.url(path),
    };
    let failed = tile("Failed", view.failed_24h, "failed", "bad", "/runs?status=failed&since=24h");
    let done = tile("Succeeded", 1, "succeeded", "ok", "/runs?status=succeeded&since=24h");
    vec![
        tile("Events", view.events_24h, "events", "idle", "/events?since=24h"),
        tile("Runs", view.runs_24h, "runs", "idle", "/runs?since=24h"),
        Tile { figure: rate, ..done },
        Tile { loud: view.failed_24h > 0, ..failed },
        tile("Running", view.running, "play", "run", "/runs?status=running"),
        tile("Retrying", view.retrying, "retrying", "retry", "/runs?status=retrying"),
        tile("Waiting", view.waiting, "waiting", "wait", "/runs?status=waiting"),
        tile("Queued", view.queued, "queued", "wait", "/runs?status=queued"),
        tile("Undoing", view.compensating, "compensating", "undo", "/runs?status=compensating"),
    ]
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
        first: Moment::relative(cause.first_at, shell.now),
        newest: shell.url(&format!("/runs/{}", cause.newest)),
        all: shell.url(&format!("/runs?{}", query.finish())),
    }
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
