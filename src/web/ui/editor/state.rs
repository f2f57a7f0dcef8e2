//! How the draft stands: when it was kept, what is wrong with it, what happens if a step fails.

use super::super::parts::moment::Moment;
use super::super::shell::Shell;
use super::step::Card;
use crate::app::definitions::{Told, Verdict};
use crate::app::drafts::Opened;
use crate::domain::problem::Problem;
use crate::domain::workflow::outline::Outlined;
use crate::domain::workflow::source::line_of;

/// The panel beside the editor.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// When the draft was kept, and by whom.
    pub kept: Option<(Moment, String)>,
    /// What is wrong, the worst first.
    pub rows: Vec<Row>,
    /// How many of them keep it from being published.
    pub errors: usize,
    /// What happens if each step fails.
    pub rehearsal: Vec<(String, String)>,
    /// Why what was typed last was not kept, and the form that it was typed into.
    pub refused: Option<(Refused, &'static str)>,
    /// How many ways of undoing are missing.
    pub unsaid: usize,
}

/// Why a change was not kept, and which button keeps it.
#[derive(Clone, Debug)]
pub enum Refused {
    /// Somebody else kept another draft meanwhile.
    Stale,
    /// Comments would be lost.
    Comments(Vec<String>),
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Row {
    /// `bad` or `retry`.
    pub tone: &'static str,
    /// `Error` or `Warning`.
    pub word: &'static str,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub hint: String,
    /// Where, for people.
    pub place: String,
    /// Leads to the field.
    pub href: String,
    /// The line in the source.
    pub line: Option<usize>,
}

/// What a panel is made of.
pub struct Standing<'s> {
    /// What is being edited.
    pub opened: &'s Opened,
    /// What the check said, or why the text cannot be read.
    pub verdict: Result<&'s Verdict, &'s Problem>,
    /// The steps.
    pub steps: &'s [Outlined],
    /// Where the editor is.
    pub href: &'s str,
}

impl State {
    /// Makes the panel.
    pub fn new(shell: &Shell, standing: &Standing<'_>, cards: &[Card]) -> State {
        let told = match standing.verdict {
            Ok(verdict) => verdict.problems.clone(),
            Err(problem) => Told::all(vec![problem.clone()], Vec::new()),
        };
        let draft = standing.opened.draft.as_ref();
        let rehearsal = standing.verdict.map(|verdict| verdict.rehearsal.as_slice());
        let rehearsal = rehearsal.unwrap_or_default().iter();
        State {
            kept: draft.map(|it| (shell.at(&it.updated_at), it.updated_by.clone())),
            errors: told.iter().filter(|told| told.severity == "error").count(),
            rows: told.iter().map(|told| row(told, standing)).collect(),
            rehearsal: rehearsal.map(|it| (it.step.clone(), it.if_fails.sentence())).collect(),
            refused: None,
            unsaid: cards.iter().filter(|card| card.undo == super::step::WayBack::Unsaid).count(),
        }
    }
}

fn row(told: &Told, standing: &Standing<'_>) -> Row {
    let problem = &told.problem;
    let is_error = told.severity == "error";
    let around = |step: &&Outlined| {
        let rest = problem.pointer.strip_prefix(&step.at);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let step = standing.steps.iter().filter(around).max_by_key(|step| step.at.len());
    let text = &standing.opened.source.text;
    Row {
        tone: if is_error { "bad" } else { "retry" },
        word: if is_error { "Error" } else { "Warning" },
        detail: problem.detail.clone(),
        hint: problem.hint.clone().unwrap_or_default(),
        line: line_of(text, &problem.pointer)
            .filter(|_| !problem.pointer.is_empty() && text.trim_end().contains('\n')),
        place: match step {
            Some(step) => format!("{} {}", step.id, &problem.pointer[step.at.len()..]),
            None => problem.pointer.clone(),
        },
        href: match step {
            Some(step) => format!("{}?open={}#card", standing.href, step.at),
            None if problem.pointer.starts_with("/trigger") => format!("{}#trigger", standing.href),
            None => format!("{}?tab=source#source", standing.href),
        },
    }
}
