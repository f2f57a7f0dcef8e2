//! Which steps have run when another one begins, and how sure that is.

use super::facts::Facts;
use super::nesting::Inner;
use super::step::{Draft, Placed, gather};
use super::{Join, OnFailure};
use crate::domain::filter::{Filter, Operator};

/// A step that runs before the one that looks.
#[derive(Clone)]
pub(super) struct Seen<'v> {
    pub(super) draft: &'v Draft,
    pub(super) way: Way<'v>,
}

/// What must happen for a step to run.
#[derive(Clone)]
pub(super) struct Way<'v> {
    pub(super) sure: Sure,
    /// The conditions that must hold, its own and those of the steps around it.
    conditions: Vec<&'v Placed<Filter>>,
    /// The step whose failure the run goes on behind.
    excused: Option<&'v str>,
}

/// Whether a step has run when another looks at it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// It has, if its conditions held.
    Before,
    /// It may run at the same time.
    Beside,
    /// It stands in a branch that may not have been taken.
    Perhaps,
    /// It has, unless the run failed before.
    Unless,
}

impl<'v> Way<'v> {
    pub(super) fn of(sure: Sure) -> Way<'v> {
        Way { sure, conditions: Vec::new(), excused: None }
    }

    /// Adds what the step itself asks for.
    fn through(&self, draft: &'v Draft) -> Way<'v> {
        let mut way = self.clone();
        way.conditions.extend(draft.condition.iter().flatten());
        if draft.on_failure == Some(OnFailure::Continue) {
            way.excused.get_or_insert(&draft.id);
        }
        way
    }
}

impl Seen<'_> {
    /// Returns why the step may have no output, and what to do about it; `None` when what is known
    /// shows that it has.
    pub(super) fn doubt(&self, facts: &Facts) -> Option<(String, &'static str)> {
        let id = &self.draft.id;
        let allow = "allow its absence with `| default(…)`, or make it sure with an `if`";
        if self.has_run(facts) {
            return None;
        }
        if self.way.sure == Sure::Perhaps {
            let detail = format!("the step `{id}` stands in a branch that may not be taken");
            return Some((detail, allow));
        }
        if self.way.sure == Sure::Unless {
            let detail = format!("the step `{id}` may not have run when the run fails");
            return Some((detail, allow));
        }
        if self.way.conditions.iter().any(|condition| !facts.include(&condition.value)) {
            return Some((
                format!("the step `{id}` is skipped when its `if` does not hold"),
                allow,
            ));
        }
        let failed = self.way.excused?;
        Some((format!("the step `{failed}` may have failed, and the run goes on"), allow))
    }

    fn has_run(&self, facts: &Facts) -> bool {
        let record = format!("steps.{}", self.draft.id);
        facts.is_present_below(&format!("{record}.output"))
            || facts.hold(&format!("{record}.status"), Operator::Eq, &"succeeded".into())
    }
}

/// Returns the positions of the steps that have ended when the one at `index` begins.
pub(super) fn awaited_by(drafts: &[Draft], index: usize) -> Vec<usize> {
    if drafts[index].dependencies.is_empty() {
        return (0..index).collect();
    }
    let mut awaited = Vec::new();
    for dependency in &drafts[index].dependencies {
        let place = drafts[..index].iter().position(|draft| draft.id == dependency.value);
        if let Some(place) = place.filter(|place| !awaited.contains(place)) {
            awaited.push(place);
            awaited.extend(awaited_by(drafts, place));
        }
    }
    awaited
}

/// Notes a step that others see, and those inside it as far as others can see them.
pub(super) fn show<'d>(draft: &'d Draft, way: &Way<'d>, seen: &mut Vec<Seen<'d>>) {
    let way = way.through(draft);
    match &draft.inner {
        Some(Inner::Branch(cases)) => {
            for case in cases {
                let mut inner = way.clone();
                match &case.condition {
                    Some(Some(condition)) => inner.conditions.push(condition),
                    _ => inner.sure = Sure::Perhaps, // Nothing shows that no other way was taken.
                }
                case.steps.iter().for_each(|draft| show(draft, &inner, seen));
            }
        }
        Some(Inner::Parallel { join, branches }) => {
            let sure = if *join == Some(Join::All) { way.sure } else { Sure::Perhaps };
            let inner = Way { sure, ..way.clone() };
            branches.iter().flatten().for_each(|draft| show(draft, &inner, seen));
        }
        Some(Inner::Each { .. }) | None => {} // Outside of a loop nobody sees into it.
    }
    seen.push(Seen { draft, way });
}

pub(super) fn stands_in_loop(drafts: &[Draft], id: &str) -> bool {
    drafts.iter().filter_map(|draft| draft.inner.as_ref()).any(|inner| {
        let is_loop = matches!(inner, Inner::Each { .. });
        inner.lists().into_iter().any(|list| {
            let mut all = Vec::new();
            gather(list, &mut all);
            (is_loop && all.iter().any(|draft| draft.id == id)) || stands_in_loop(list, id)
        })
    })
}
