//! A chart of columns with what succeeded below and what failed on top, as SVG with a table beside.

use askama::Template;
use askama::filters::HtmlSafe;

use super::moment;
use crate::app::views::SpanView;
use crate::domain::time::Timestamp;

/// Where the columns stand, in percent of the height; the axis' labels are below.
const GROUND_PERCENT: f64 = 85.0;
/// Room for the number at the top.
const CEILING_PERCENT: f64 = 12.0;
/// How much of its place a column takes.
const FULL: f64 = 0.74;

/// How long a column lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Each {
    /// An hour; the chart has a day.
    Hour,
    /// A minute; the chart has an hour.
    Minute,
}

/// The chart.
#[derive(Clone, Debug, Template)]
#[template(path = "components/chart.html")]
pub struct Chart {
    label: String,
    each: &'static str,
    top: u64,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
}

impl HtmlSafe for Chart {}

#[derive(Clone, Debug)]
struct Bar {
    title: String,
    name: String,
    succeeded: u64,
    failed: u64,
    events: u64,
    x: String,
    step: String,
    width: String,
    ok_y: String,
    ok_height: String,
    bad_y: String,
    bad_height: String,
}

impl Bar {
    fn has_something(&self) -> bool {
        self.succeeded + self.failed + self.events > 0
    }
}

#[derive(Clone, Debug)]
struct Tick {
    x: String,
    anchor: &'static str,
    text: String,
}

impl Chart {
    /// Draws the spans from left (oldest) to right.
    pub fn new(each: Each, spans: &[SpanView]) -> Chart {
        let top = spans.iter().map(|span| span.succeeded + span.failed).max().unwrap_or(0);
        let failed: u64 = spans.iter().map(|span| span.failed).sum();
        let all: u64 = spans.iter().map(|span| span.succeeded + span.failed).sum();
        let (word, whole) = match each {
            Each::Hour => ("Hour", "24 hours"),
            Each::Minute => ("Minute", "hour"),
        };
        let label = format!("Runs ended in the last {whole}: {all}, of which {failed} failed");
        let step = 100.0 / spans.len().max(1) as f64;
        let place = |(index, span)| bar(each, span, index as f64 * step, (step, top));
        let bars = spans.iter().enumerate().map(place).collect();
        Chart { label, each: word, top, bars, ticks: ticks(each, spans, step) }
    }
}

fn name(each: Each, at: Timestamp) -> String {
    match each {
        Each::Hour => moment::hour(at),
        Each::Minute => moment::minute(at),
    }
}

fn bar(each: Each, view: &SpanView, x: f64, (step, top): (f64, u64)) -> Bar {
    let scale = (GROUND_PERCENT - CEILING_PERCENT) / top.max(1) as f64;
    let (ok, bad) = (view.succeeded as f64 * scale, view.failed as f64 * scale);
    let seam = if ok > 0.0 && bad > 0.0 { 1.0 } else { 0.0 };
    let name = name(each, view.at);
    Bar {
        title: format!(
            "{name} UTC: {} succeeded, {} failed, {} events",
            view.succeeded, view.failed, view.events
        ),
        name,
        succeeded: view.succeeded,
        failed: view.failed,
        events: view.events,
        x: percent(x),
        step: percent(step),
        width: percent(step * FULL),
        ok_y: percent(GROUND_PERCENT - ok),
        ok_height: percent(ok),
        bad_y: percent(GROUND_PERCENT - ok - bad - seam),
        bad_height: percent(bad),
    }
}

fn ticks(each: Each, spans: &[SpanView], step: f64) -> Vec<Tick> {
    let every = match each {
        Each::Hour => 6,
        Each::Minute => 15,
    };
    let last = spans.len().saturating_sub(1);
    let shown = spans.iter().enumerate().filter(|(index, _)| index % every == 0 || *index == last);
    shown
        .map(|(index, view)| Tick {
            x: percent(if index == last { 100.0 } else { index as f64 * step }),
            anchor: if index == last { "end" } else { "start" },
            text: name(each, view.at),
        })
        .collect()
}

/// Writes a share of 100 with two decimals at most.
pub fn percent(value: f64) -> String {
    let text = format!("{:.2}", value.clamp(0.0, 100.0));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_column_reaches_the_ceiling_and_an_empty_day_draws_nothing() {
        let at = Timestamp::from_millis(0);
        let view = |succeeded, failed| SpanView { at, events: 9, succeeded, failed };
        let chart = Chart::new(Each::Hour, &[view(8, 2), view(0, 0)]);
        assert_eq!((chart.top, chart.bars[0].ok_height.as_str()), (10, "58.4"));
        assert_eq!(chart.bars[1].ok_height, "0");
        assert!(Chart::new(Each::Minute, &[]).to_string().contains("<svg"));
    }

    #[test]
    fn the_table_says_what_the_chart_shows() {
        let at = Timestamp::from_millis(61_000);
        let html = Chart::new(Each::Minute, &[SpanView { at, events: 3, succeeded: 2, failed: 1 }])
            .to_string();
        for part in ["<table", "<caption>", ">00:01<", "of which 1 failed"] {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
