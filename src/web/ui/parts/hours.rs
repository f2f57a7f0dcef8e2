//! Runs of the last day as one bar an hour, failures on top, with a table for those who hear it.

use askama::Template;
use askama::filters::HtmlSafe;

use super::moment::hour;
use crate::app::views::HourView;

const GROUND_PERCENT: f64 = 85.0;
const CEILING_PERCENT: f64 = 12.0;

/// A bar chart of hours.
#[derive(Clone, Debug, Template)]
#[template(path = "components/hours.html")]
pub struct HourChart {
    label: String,
    top: u64,
    bars: Vec<Bar>,
    ticks: Vec<Tick>,
}

impl HtmlSafe for HourChart {}

#[derive(Clone, Debug)]
struct Bar {
    title: String,
    hour: String,
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

#[derive(Clone, Debug)]
struct Tick {
    x: String,
    anchor: &'static str,
    text: String,
}

impl HourChart {
    /// Draws the hours from left (oldest) to right.
    pub fn new(hours: &[HourView]) -> HourChart {
        let top = hours.iter().map(|hour| hour.succeeded + hour.failed).max().unwrap_or(0);
        let failed: u64 = hours.iter().map(|hour| hour.failed).sum();
        let all: u64 = hours.iter().map(|hour| hour.succeeded + hour.failed).sum();
        let label = format!("Runs ended in the last 24 hours: {all}, of which {failed} failed");
        let step = 100.0 / hours.len().max(1) as f64;
        let bars = hours.iter().enumerate().map(|(i, hour)| bar(hour, i, step, top)).collect();
        HourChart { label, top, bars, ticks: ticks(hours, step) }
    }
}

fn bar(view: &HourView, index: usize, step: f64, top: u64) -> Bar {
    let scale = (GROUND_PERCENT - CEILING_PERCENT) / top.max(1) as f64;
    let (ok, bad) = (view.succeeded as f64 * scale, view.failed as f64 * scale);
    let seam = if ok > 0.0 && bad > 0.0 { 1.0 } else { 0.0 };
    let name = hour(view.at);
    Bar {
        title: format!(
            "{name} UTC: {} succeeded, {} failed, {} events",
            view.succeeded, view.failed, view.events
        ),
        hour: name,
        succeeded: view.succeeded,
        failed: view.failed,
        events: view.events,
        x: percent(index as f64 * step),
        step: percent(step),
        width: percent(step * 0.74),
        ok_y: percent(GROUND_PERCENT - ok),
        ok_height: percent(ok),
        bad_y: percent(GROUND_PERCENT - ok - bad - seam),
        bad_height: percent(bad),
    }
}

fn ticks(hours: &[HourView], step: f64) -> Vec<Tick> {
    let last = hours.len().saturating_sub(1);
    let shown = hours.iter().enumerate().filter(|(index, _)| index % 6 == 0 || *index == last);
    shown
        .map(|(index, view)| Tick {
            x: percent(if index == last { 100.0 } else { index as f64 * step }),
            anchor: if index == last { "end" } else { "start" },
            text: hour(view.at),
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
    use crate::domain::time::Timestamp;

    #[test]
    fn the_highest_hour_reaches_the_ceiling_and_an_empty_day_draws_nothing() {
        let at = Timestamp::from_millis(0);
        let view = |succeeded, failed| HourView { at, events: 9, succeeded, failed };
        let chart = HourChart::new(&[view(8, 2), view(0, 0)]);
        assert_eq!((chart.top, chart.bars[0].ok_height.as_str()), (10, "58.4"));
        assert_eq!(chart.bars[1].ok_height, "0");
        assert!(HourChart::new(&[]).to_string().contains("<svg"));
    }
}
