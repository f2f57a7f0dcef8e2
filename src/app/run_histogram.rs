//! How many runs of a list were created when, and how they fare.

use std::ops::ControlFlow;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::runs::{CHUNK, RunFilter, newest};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::store::runs::RunRow;
use crate::store::tenant::TenantView;

/// How many runs are looked at for one histogram.
const LOOKED_AT_MAX: usize = 10_000;
const BARS_MAX: i64 = 48;
const SECOND_MS: i64 = 1_000;
const HOUR_MS: i64 = 3_600 * SECOND_MS;
/// The lengths that a bar may have; above the last, whole multiples of it.
const STEPS_MS: [i64; 14] = [
    SECOND_MS,
    5 * SECOND_MS,
    15 * SECOND_MS,
    30 * SECOND_MS,
    60 * SECOND_MS,
    300 * SECOND_MS,
    900 * SECOND_MS,
    1_800 * SECOND_MS,
    HOUR_MS,
    3 * HOUR_MS,
    6 * HOUR_MS,
    12 * HOUR_MS,
    24 * HOUR_MS,
    7 * 24 * HOUR_MS,
];

/// The runs of a list by the time of their creation.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunHistogram {
    /// Where the first bar begins.
    pub from: Timestamp,
    /// Where the last bar ends.
    pub to: Timestamp,
    /// How long one bar is, in milliseconds.
    pub step_ms: i64,
    /// How many runs there are.
    pub total: usize,
    /// Whether all were counted; otherwise the oldest are missing.
    pub complete: bool,
    /// The bars, oldest first.
    pub data: Vec<RunBar>,
}

/// The runs that were created within one bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RunBar {
    /// Where it begins.
    pub from: Timestamp,
    /// Where it ends, which is where the next begins.
    pub to: Timestamp,
    /// Those that succeeded.
    pub succeeded: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that were cancelled or have not ended.
    pub other: usize,
}

impl RunBar {
    /// Returns how many runs there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.succeeded + self.failed + self.other
    }
}

impl App {
    /// Counts the runs of a list by the time of their creation.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn run_histogram(
        &self,
        who: &Principal,
        filter: &RunFilter,
    ) -> Result<RunHistogram, Error> {
        let mut found: Vec<(Timestamp, Status)> = Vec::new();
        let mut oldest = None;
        let complete = self.read(who, |view| {
            let mut looked = 0;
            walk(view, filter, &mut |row, is_meant| {
                looked += 1;
                oldest = Some(row.head.created_at);
                if is_meant {
                    found.push((row.head.created_at, row.head.status));
                }
                if looked < LOOKED_AT_MAX {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
        })?;
        let now = self.now();
        let to = filter.until.unwrap_or(now).min(now);
        let first = found.last().map(|(at, _)| *at);
        let from = if complete { filter.since.or(first) } else { oldest };
        Ok(drawn(from.unwrap_or(to).min(to), to, &found, complete))
    }
}

/// Shows every run of the lists of a filter, newest first, and whether the filter lets it through;
/// tells whether the end was reached.
fn walk(
    view: TenantView<'_>,
    filter: &RunFilter,
    visit: &mut dyn FnMut(&RunRow, bool) -> ControlFlow<()>,
) -> Result<bool, Error> {
    let lists = filter.lists();
    let mut before = filter.newest_possible();
    loop {
        let chunk = newest(view, &lists, before)?;
        let is_last = chunk.len() < CHUNK;
        for row in &chunk {
            let id = row.head.id;
            if filter.since.is_some_and(|since| id.created_at() < since) {
                return Ok(true);
            }
            before = Some(id);
            let is_meant = filter.holds(row) && view.sees_workflow(&row.head.workflow);
            if visit(row, is_meant).is_break() {
                return Ok(false);
            }
        }
        if is_last {
            return Ok(true);
        }
    }
}

fn drawn(
    from: Timestamp,
    to: Timestamp,
    found: &[(Timestamp, Status)],
    complete: bool,
) -> RunHistogram {
    let step = step_ms((to.millis() - from.millis()).max(1));
    let begin = from.millis().div_euclid(step) * step;
    let bars = (to.millis() - begin).div_euclid(step) + 1;
    let at = |index: i64| Timestamp::from_millis(begin + index * step);
    let mut data: Vec<RunBar> = (0..bars)
        .map(|index| RunBar {
            from: at(index),
            to: at(index + 1),
            succeeded: 0,
            failed: 0,
            other: 0,
        })
        .collect();
    for (created, status) in found {
        let index = usize::try_from((created.millis() - begin).div_euclid(step)).unwrap_or(0);
        let Some(bar) = data.get_mut(index) else { continue };
        match status {
            Status::Succeeded => bar.succeeded += 1,
            Status::Failed => bar.failed += 1,
            _ => bar.other += 1, // Nobody has to look at them for how they ended.
        }
    }
    RunHistogram { from: at(0), to: at(bars), step_ms: step, total: found.len(), complete, data }
}

/// Returns the shortest length with which a span has few enough bars.
fn step_ms(span: i64) -> i64 {
    let fits = |step: &i64| span / step < BARS_MAX;
    let week = STEPS_MS[STEPS_MS.len() - 1];
    let known = STEPS_MS.into_iter().find(fits);
    known.unwrap_or_else(|| week * (span / (week * BARS_MAX) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_begin_at_round_times_and_hold_every_run() {
        let at = Timestamp::from_millis;
        let found = [(at(7_300_000), Status::Failed), (at(3_700_000), Status::Succeeded)];
        let drawn = drawn(at(3_650_000), at(7_400_000), &found, true);
        assert_eq!((drawn.step_ms, drawn.from), (300_000, at(3_600_000)));
        assert_eq!(drawn.data.iter().map(RunBar::total).sum::<usize>(), 2);
        assert_eq!((drawn.data[0].succeeded, drawn.data[12].failed), (1, 1));
        assert!(drawn.to > at(7_400_000));
    }

    #[test]
    fn no_span_has_too_many_bars() {
        for span in [1, 999, 60_000, 86_400_000, 30 * 86_400_000, 3_650 * 86_400_000] {
            assert!(span / step_ms(span) < BARS_MAX, "{span}");
        }
    }
}
