//! Which steps have run when another one begins, and how sure that is.

use super::Join;
use super::nesting::Inner;
use super::step::{Draft, gather};

/// A step that runs before the one that looks.
#[derive(Clone, Copy)]
pub(super) struct Seen<'v> {
    pub(super) draft: &'v Draft,
    pub(super) sure: Sure,
}

/// Whether a step has run when another looks at it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sure {
    /// It has, or was skipped by its own condition.
    Before,
    /// It may run at the same time.
    Beside,
    /// It stands in a branch that may not have been taken.
    Perhaps,
    /// It has, unless the run failed before.
    Unless,
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
pub(super) fn show<'d>(draft: &'d Draft, sure: Sure, seen: &mut Vec<Seen<'d>>) {
    seen.push(Seen { draft, sure });
    let (lists, sure) = match &draft.inner {
        Some(Inner::Branch(_)) => (true, Sure::Perhaps),
        Some(Inner::Parallel { join: Some(Join::All), .. }) => (true, sure),
        Some(Inner::Parallel { .. }) => (true, Sure::Perhaps),
        Some(Inner::Each { .. }) | None => (false, sure),
    };
    for inner in draft.inner.iter().filter(|_| lists).flat_map(Inner::lists).flatten() {
        show(inner, sure, seen);
    }
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
