//! The chart of a run: when each step and attempt began and ended, as bars over one span of time.

use askama::Template;
use askama::filters::HtmlSafe;

use super::parts::chart::percent;
use super::parts::mark::Mark;
use super::parts::moment::span;
use crate::app::views::{AttemptView, RunView, StepView};
use crate::domain::time::Timestamp;

/// A row's bars, in percent of the run's time.
#[derive(Clone, Debug, Template)]
#[template(path = "components/lane.html")]
pub(super) struct Lane {
    pub(super) bars: Vec<Bar>,
    pub(super) gaps: Vec<(String, String)>,
    pub(super) tone: &'static str,
    /// From the beginning of an undo back to the end of what it undoes, in percent.
    pub(super) arrow: Option<(String, String)>,
}

impl HtmlSafe for Lane {}

#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) tone: &'static str,
    pub(super) hatch: &'static str,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) title: String,
}

/// The span of time that the chart shows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) start: Timestamp,
    pub(super) end: Timestamp,
}

pub(super) const NARROWEST_PERCENT: f64 = 0.9;

impl Frame {
    pub(super) fn of(run: &RunView, now: Timestamp) -> Frame {
        let start = run.summary.created_at;
        let end = run.summary.ended_at.unwrap_or(now).max(start);
        Frame { start, end }
    }

    pub(super) fn place(self, at: Timestamp) -> f64 {
        let whole = self.end.since(self.start).as_millis().max(1) as f64;
        (at.since(self.start).as_millis() as f64 * 100.0 / whole).min(100.0)
    }

    pub(super) fn bar(self, from: Timestamp, to: Timestamp) -> (String, String) {
        let width = (self.place(to) - self.place(from)).max(NARROWEST_PERCENT);
        let x = self.place(from).min(100.0 - width);
        (percent(x), percent(width))
    }

    pub(super) fn ticks(self) -> Vec<(String, &'static str, String)> {
        let whole = self.end.since(self.start).as_millis() as i64;
        let tick = |quarter: i64| {
            let anchor = match quarter {
                0 => "start",
                4 => "end",
                _ => "middle",
            };
            let text = if quarter == 0 { "0".to_owned() } else { span(whole * quarter / 4) };
            ((quarter * 25).to_string(), anchor, text)
        };
        if whole < 8 { vec![tick(0), tick(4)] } else { (0..=4).map(tick).collect() }
    }
}

/// Returns when a pause without attempts of its own began and ended: between its neighbours.
pub(super) fn slept(run: &RunView, index: usize, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let step = &run.steps[index];
    let has_begun = matches!(step.status.as_str(), "succeeded" | "waiting" | "cancelled");
    if !step.attempts.is_empty() {
        return None;
    }
    // A step around others, a wait and a sleep know themselves when they began.
    if let Some(from) = step.started_at {
        return Some((from, step.ended_at.unwrap_or(now)));
    }
    if bar_hatch(step).is_empty() || !has_begun {
        return None;
    }
    let ends = run.steps[..index].iter().flat_map(|step| &step.attempts);
    let from = ends.filter_map(|attempt| attempt.ended_at).max();
    let starts = run.steps[index + 1..].iter().flat_map(|step| &step.attempts);
    let to = starts.map(|attempt| attempt.started_at).min().or(run.summary.ended_at);
    Some((from.unwrap_or(run.summary.created_at), to.unwrap_or(now)))
}

pub(super) fn pause_lane(frame: Frame, step: &StepView, from: Timestamp, to: Timestamp) -> Lane {
    let (x, width) = frame.bar(from, to);
    let word = match step.activity.as_str() {
        "branch" | "forEach" | "parallel" => "Went on",
        "waitFor" => "Waited",
        _ => "Asleep",
    };
    let title = format!("{word} for {}", span(to.since(from).as_millis() as i64));
    let bar = Bar { tone: "wait", hatch: "hatch-wait", x, width, title };
    Lane { bars: vec![bar], gaps: vec![], tone: "wait", arrow: None }
}

pub(super) fn bar_hatch(step: &StepView) -> &'static str {
    let waits = matches!(step.activity.as_str(), "sleep" | "waitFor" | "run");
    if waits || step.activity.contains(":sleep-") { "hatch-wait" } else { "" }
}

pub(super) fn lane(
    frame: Frame,
    now: Timestamp,
    attempts: &[AttemptView],
    (tone, hatch): (&'static str, &'static str),
) -> Lane {
    let bars = attempts.iter().map(|attempt| {
        let (x, width) = frame.bar(attempt.started_at, attempt.ended_at.unwrap_or(now));
        let mark = Mark::of(&attempt.outcome);
        let tone = if hatch.is_empty() || mark.tone == "bad" { mark.tone } else { tone };
        let title = format!("Attempt {}: {}", attempt.number, mark.word);
        Bar { tone, hatch: if mark.tone == "bad" { "" } else { hatch }, x, width, title }
    });
    let gaps = attempts.windows(2).filter_map(|pair| {
        let from = frame.place(pair[0].ended_at?);
        Some((percent(from), percent(frame.place(pair[1].started_at))))
    });
    let pause = attempts.last().filter(|_| tone == "retry").and_then(|last| last.ended_at);
    let pause = pause.map(|end| (percent(frame.place(end)), percent(frame.place(now))));
    Lane { bars: bars.collect(), gaps: gaps.chain(pause).collect(), tone, arrow: None }
}

/// Draws the time before the first step, in which the run waited for its turn.
pub(super) fn queue_bar(frame: Frame, created: Timestamp, started: Timestamp) -> Option<Bar> {
    let (x, width) = frame.bar(created, started);
    let waited = frame.place(started) - frame.place(created);
    let title = format!("In the queue for {}", span(started.since(created).as_millis() as i64));
    (waited > NARROWEST_PERCENT).then_some(Bar {
        tone: "idle",
        hatch: "hatch-wait",
        x,
        width,
        title,
    })
}

/// Draws the way from the beginning of an undo back to the end of what it undoes.
pub(super) fn arrow(
    frame: Frame,
    ended: Option<Timestamp>,
    begun: Option<Timestamp>,
) -> Option<(String, String)> {
    let (to, from) = (frame.place(ended?), frame.place(begun?));
    (from - to > NARROWEST_PERCENT).then(|| (percent(from), percent(to)))
}
