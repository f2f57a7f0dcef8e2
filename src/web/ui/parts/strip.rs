//! The last runs of a workflow as a strip of ticks, oldest at the left.

use askama::Template;
use askama::filters::HtmlSafe;

use super::mark::Mark;
use crate::app::views::RunTick;
use crate::web::ui::shell::Shell;

const TICKS: usize = 20;

/// A strip of at most twenty outcomes.
#[derive(Clone, Debug, Template)]
#[template(path = "components/strip.html")]
pub struct Strip {
    label: String,
    ticks: Vec<Tick>,
    missing: usize,
}

impl HtmlSafe for Strip {}

#[derive(Clone, Debug)]
struct Tick {
    tone: &'static str,
    word: String,
    href: String,
}

impl Strip {
    /// Draws the runs, which come newest first.
    pub fn new(shell: &Shell, runs: &[RunTick]) -> Strip {
        let shown = &runs[..runs.len().min(TICKS)];
        let failed = shown.iter().filter(|run| run.status == "failed").count();
        let ticks = shown.iter().rev().map(|run| tick(shell, run)).collect();
        let label = format!("Last {} runs, {failed} failed", shown.len());
        Strip { label, ticks, missing: TICKS - shown.len() }
    }
}

fn tick(shell: &Shell, run: &RunTick) -> Tick {
    let mark = Mark::of(&run.status);
    Tick { tone: mark.tone, word: mark.word, href: shell.url(&format!("/runs/{}", run.id)) }
}
