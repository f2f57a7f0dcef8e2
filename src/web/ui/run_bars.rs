//! The runs of a list over time: bars that are links, each to the runs of its own window.

use askama::Template;
use askama::filters::HtmlSafe;

use super::parts::chart::percent;
use super::parts::list::Address;
use super::parts::moment::{day, minute, second};
use super::shell::Shell;
use crate::app::run_histogram::{RunBar, RunHistogram};
use crate::domain::time::Timestamp;

const GROUND_PERCENT: f64 = 78.0;
const CEILING_PERCENT: f64 = 6.0;
/// A bar with anything in it can be seen.
const LOWEST_PERCENT: f64 = 4.0;
const TWO_DAYS_MS: i64 = 2 * 86_400_000;
/// So short a time is told in seconds.
const MINUTES_MS: i64 = 5 * 60_000;
const TICKS: usize = 4;

/// A bar chart of runs.
#[derive(Clone, Debug, Template)]
#[template(path = "components/run_bars.html")]
pub(super) struct RunBars {
    label: String,
    /// How many runs the fullest bar has.
    top: usize,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
}

impl HtmlSafe for RunBars {}

#[derive(Clone, Debug)]
struct Bar {
    title: String,
    href: String,
    total: usize,
    x: String,
    step: String,
    width: String,
    /// Class, top and height of each piece, from the ground up.
    pieces: Vec<(&'static str, String, String)>,
}

#[derive(Clone, Debug)]
struct Tick {
    x: String,
    anchor: &'static str,
    text: String,
}

impl RunBars {
    /// Draws the bars; each leads to the same list within its own window.
    pub(super) fn new(shell: &Shell, address: &Address, found: &RunHistogram) -> RunBars {
        let top = found.data.iter().map(RunBar::total).max().unwrap_or(0);
        let step = 100.0 / found.data.len().max(1) as f64;
        let span = found.to.millis() - found.from.millis();
        let names = |at: Timestamp| match span {
            ..MINUTES_MS => second(at),
            MINUTES_MS..TWO_DAYS_MS => minute(at),
            _ => day(at),
        };
        let bars = found.data.iter().enumerate().map(|(index, bar)| {
            let since = address.with(shell, "since", &bar.from.to_string());
            let join = if since.contains('?') { '&' } else { '?' };
            Bar {
                title: title(bar),
                href: format!("{since}{join}until={}", bar.to),
                total: bar.total(),
                x: percent(index as f64 * step),
                step: percent(step),
                width: percent(step * 0.76),
                pieces: pieces(bar, top),
            }
        });
        let scope = if found.complete { "" } else { ", the newest of them" };
        RunBars {
            label: format!("{} by the time of their creation{scope}", counted(found.total)),
            top,
            bars: bars.collect(),
            ticks: ticks(found, &names),
        }
    }
}

/// Writes how many runs there are.
pub(super) fn counted(total: usize) -> String {
    if total == 1 { "1 run".to_owned() } else { format!("{total} runs") }
}

fn title(bar: &RunBar) -> String {
    let (from, to) = (minute(bar.from), minute(bar.to));
    let failed = if bar.failed == 0 { String::new() } else { format!(", {} failed", bar.failed) };
    format!("{}, {from} to {to} UTC: {}{failed}", day(bar.from), counted(bar.total()))
}

fn pieces(bar: &RunBar, top: usize) -> Vec<(&'static str, String, String)> {
    let scale = (GROUND_PERCENT - CEILING_PERCENT) / top.max(1) as f64;
    let mut ground = GROUND_PERCENT;
    let parts = [("ok", bar.succeeded), ("rest", bar.other), ("bad", bar.failed)];
    let parts = parts.into_iter().filter(|(_, count)| *count > 0);
    parts
        .map(|(class, count)| {
            let height = (count as f64 * scale).max(LOWEST_PERCENT).min(ground);
            ground -= height;
            (class, percent(ground), percent(height))
        })
        .collect()
}

fn ticks(found: &RunHistogram, names: &dyn Fn(Timestamp) -> String) -> Vec<Tick> {
    let span = found.to.millis() - found.from.millis();
    let tick = |index: usize| {
        let at = found.from.millis() + span * index as i64 / TICKS as i64;
        let anchor = match index {
            0 => "start",
            TICKS => "end",
            _ => "middle",
        };
        let x = percent(index as f64 * 100.0 / TICKS as f64);
        Tick { x, anchor, text: names(Timestamp::from_millis(at)) }
    };
    (0..=TICKS).map(tick).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_leads_to_the_runs_of_its_window_with_the_same_filter() {
        let at = Timestamp::from_millis;
        let bar = |n: i64, failed| RunBar {
            from: at(n * 60_000),
            to: at((n + 1) * 60_000),
            succeeded: 0,
            failed,
            other: 0,
        };
        let found = RunHistogram {
            from: at(0),
            to: at(120_000),
            step_ms: 60_000,
            total: 3,
            complete: true,
            data: vec![bar(0, 3), bar(1, 0)],
        };
        let shell = Shell::for_tests("/ops");
        let address = Address::new("/runs", vec![("status", Some("failed".to_owned()))]);
        let bars = RunBars::new(&shell, &address, &found);
        let href = "/ops/runs?status=failed&since=1970-01-01T00%3A00%3A00.000Z\
                    &until=1970-01-01T00:01:00.000Z";
        assert_eq!((bars.bars[0].href.as_str(), bars.top), (href, 3));
        let html = bars.to_string();
        assert_eq!(html.matches("<a ").count(), 1, "an empty window leads nowhere: {html}");
        assert!(html.contains("3 failed"), "{html}");
    }
}
