//! The next 24 hours as one bar a quarter of an hour, with a table for those who hear it.

use askama::Template;
use askama::filters::HtmlSafe;

use super::chart::percent;
use super::moment::hour;
use crate::app::agenda::AgendaView;
use crate::domain::time::Timestamp;

const GROUND_PERCENT: f64 = 82.0;
const CEILING_PERCENT: f64 = 10.0;
const QUARTER_MS: i64 = 15 * 60 * 1_000;
const QUARTERS_IN_AN_HOUR: usize = 4;

/// A bar chart of a day to come.
#[derive(Clone, Debug, Template)]
#[template(path = "components/day.html")]
pub struct DayStrip {
    label: String,
    bars: Vec<Bar>,
    ticks: Vec<(String, String)>,
    hours: Vec<(String, u32)>,
}

impl HtmlSafe for DayStrip {}

#[derive(Clone, Debug)]
struct Bar {
    title: String,
    x: String,
    width: String,
    y: String,
    height: String,
}

impl DayStrip {
    /// Draws the day from now (left) on.
    pub fn new(agenda: &AgendaView) -> DayStrip {
        let top = f64::from(agenda.quarters.iter().copied().max().unwrap_or(0).max(1));
        let step = 100.0 / agenda.quarters.len().max(1) as f64;
        let at = |index: usize| {
            let later = i64::try_from(index).unwrap_or(0) * QUARTER_MS;
            Timestamp::from_millis(agenda.from.millis() + later)
        };
        let bar = |(index, count): (usize, &u32)| {
            let height = f64::from(*count) / top * (GROUND_PERCENT - CEILING_PERCENT);
            Bar {
                title: format!("{}: {count} in a quarter of an hour", clock(at(index))),
                x: percent(index as f64 * step),
                width: percent(step * 0.7),
                y: percent(GROUND_PERCENT - height),
                height: percent(height),
            }
        };
        let hours = agenda.quarters.chunks(QUARTERS_IN_AN_HOUR).enumerate();
        DayStrip {
            label: format!("{} firings in the next 24 hours", agenda.firings),
            bars: agenda.quarters.iter().enumerate().filter(|(_, it)| **it > 0).map(bar).collect(),
            ticks: (0..agenda.quarters.len())
                .step_by(QUARTERS_IN_AN_HOUR * 4)
                .map(|index| (percent(index as f64 * step), clock(at(index))))
                .collect(),
            hours: hours
                .map(|(index, counts)| {
                    (clock(at(index * QUARTERS_IN_AN_HOUR)), counts.iter().sum())
                })
                .collect(),
        }
    }
}

fn clock(at: Timestamp) -> String {
    let minute = at.millis().div_euclid(60_000).rem_euclid(60);
    hour(at).replace(":00", &format!(":{minute:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_quarter_reaches_the_ceiling() {
        let mut quarters = vec![0; 96];
        (quarters[0], quarters[5]) = (2, 4);
        let from = Timestamp::from_millis(0);
        let agenda = AgendaView { from, quarters, firings: 6, piles: vec![], schedules: 2 };
        let strip = DayStrip::new(&agenda);
        let heights: Vec<_> = strip.bars.iter().map(|bar| bar.height.as_str()).collect();
        assert_eq!(heights, ["36", "72"]);
        assert_eq!((strip.hours[1].0.as_str(), strip.hours[1].1), ("01:00", 4));
        assert!(strip.to_string().contains("01:15: 4 in"));
    }
}
