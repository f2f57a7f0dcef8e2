//! The last runs of a workflow as a strip of ticks, oldest at the left.

use askama::Template;
use askama::filters::HtmlSafe;

use super::mark::Mark;
use crate::app::views::RunTick;

const TICKS: usize = 20;

/// A strip of at most twenty outcomes.
#[derive(Clone, Debug, Template)]
#[template(path = "components/strip.html")]
pub struct Strip {
    label: String,
    tones: Vec<&'static str>,
    missing: usize,
}

impl HtmlSafe for Strip {}

impl Strip {
    /// Draws the runs, which come newest first.
    pub fn new(runs: &[RunTick]) -> Strip {
        let shown = &runs[..runs.len().min(TICKS)];
        let failed = shown.iter().filter(|run| run.status == "failed").count();
        let tones = shown.iter().rev().map(|run| Mark::of(&run.status).tone).collect();
        let label = format!("Last {} runs, {failed} failed", shown.len());
        Strip { label, tones, missing: TICKS - shown.len() }
    }
}
