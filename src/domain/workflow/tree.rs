//! Finds the way about the tree of steps, and about the paths that name steps of a run.
//!
//! A step of a run is named by its path: its id, behind the loops and items around it, such as
//! `notify` or `loop[2].notify`. Branches and parallel steps add nothing, as ids are unique in a
//! definition.

use super::{Action, Step, Undo, Workflow};

/// A step around another one.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// The step.
    pub step: &'a Step,
    /// Its path in the run.
    pub path: String,
    /// In which of its lanes the inner one stands: the branch, or the item of a loop.
    pub lane: usize,
}

impl Step {
    /// Returns the activities that the step calls, also to be undone.
    pub fn calls(&self) -> impl Iterator<Item = &str> {
        let does = match &self.action {
            Action::Call { activity, .. } => Some(activity.as_str()),
            _ => None, // Nothing else names an activity.
        };
        let undoes = match &self.compensate {
            Undo::Call { activity, .. } => Some(activity.as_str()),
            Undo::Auto | Undo::None => None,
        };
        does.into_iter().chain(undoes)
    }
}

impl Workflow {
    /// Returns the step with this id, wherever it stands.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Step> {
        find(&self.steps, id).or_else(|| find(&self.on_failure, id))
    }

    /// Returns the step that a path of a run names.
    #[must_use]
    pub fn step_at(&self, path: &str) -> Option<&Step> {
        self.find(id_of(path))
    }

    /// Returns every step, each before those inside it.
    #[must_use]
    pub fn all_steps(&self) -> Vec<&Step> {
        let mut found = Vec::new();
        gather(&self.steps, &mut found);
        gather(&self.on_failure, &mut found);
        found
    }

    /// Returns the steps around the one at `path`, the outermost first; `None` when this version has
    /// no such place.
    #[must_use]
    pub fn around<'a>(&'a self, path: &str) -> Option<Vec<Around<'a>>> {
        let all = || self.steps.iter().chain(&self.on_failure);
        if all().all(|step| step.lists().is_empty()) {
            return self.find(path).map(|_| Vec::new()); // No step holds others, as in most workflows.
        }
        let mut chain = Vec::new();
        let id = id_of(path);
        if !trail(&self.steps, id, &mut chain) && !trail(&self.on_failure, id, &mut chain) {
            return None;
        }
        let mut prefix = String::new();
        let mut around = Vec::with_capacity(chain.len());
        for (step, lane) in chain {
            let own = format!("{prefix}{}", step.id);
            let mut lane = lane;
            if let Action::Each(_) = step.action {
                let rest = path.strip_prefix(&own)?.strip_prefix('[')?;
                let (item, _) = rest.split_once("].")?;
                lane = item.parse().ok()?;
                prefix = item_prefix(&own, lane);
            }
            around.push(Around { step, path: own, lane });
        }
        (prefix.len() + id_of(path).len() == path.len()).then_some(around)
    }
}

impl Step {
    /// Returns the lists of steps that this one holds: the cases of a branch, the branches of a
    /// parallel step, the body of a loop.
    #[must_use]
    pub fn lists(&self) -> Vec<&[Step]> {
        match &self.action {
            Action::Branch(cases) => cases.iter().map(|case| case.steps.as_slice()).collect(),
            Action::Each(each) => vec![each.steps.as_slice()],
            Action::Parallel { branches, .. } => branches.iter().map(Vec::as_slice).collect(),
            Action::Call { .. } | Action::Sleep { .. } | Action::Wait(_) | Action::Run { .. } => {
                Vec::new()
            }
        }
    }

    /// Returns whether it holds other steps.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self.action, Action::Branch(_) | Action::Each(_) | Action::Parallel { .. })
    }

    /// Returns the lists of steps inside it that stand there once, whatever the run does.
    #[must_use]
    pub fn fixed_lists(&self) -> Vec<&[Step]> {
        if matches!(self.action, Action::Each(_)) { Vec::new() } else { self.lists() }
    }
}

/// Returns the id of the step that a path names.
#[must_use]
pub fn id_of(path: &str) -> &str {
    path.rsplit_once('.').map_or(path, |(_, id)| id)
}

/// Returns what stands before the id in a path.
#[must_use]
pub fn prefix_of(path: &str) -> &str {
    &path[..path.len() - id_of(path).len()]
}

/// Returns what stands before the ids of the steps of one item of a loop.
#[must_use]
pub fn item_prefix(looped: &str, item: usize) -> String {
    format!("{looped}[{item}].")
}

/// Returns the loop and the item whose step a path names, the innermost if there are several.
#[must_use]
pub fn item_of(path: &str) -> Option<(&str, usize)> {
    let (looped, item) = prefix_of(path).strip_suffix("].")?.rsplit_once('[')?;
    Some((looped, item.parse().ok()?))
}

/// Returns the paths of a list of steps and of those inside them that stand there once.
pub fn fixed_paths(steps: &[Step], prefix: &str, paths: &mut Vec<String>) {
    for step in steps {
        paths.push(format!("{prefix}{}", step.id));
        for list in step.fixed_lists() {
            fixed_paths(list, prefix, paths);
        }
    }
}

fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    if let Some(step) = steps.iter().find(|step| step.id == id) {
        return Some(step);
    }
    steps.iter().filter(|step| step.is_group()).find_map(|step| {
        let lists = step.lists();
        lists.into_iter().find_map(|list| find(list, id))
    })
}

fn gather<'a>(steps: &'a [Step], found: &mut Vec<&'a Step>) {
    for step in steps {
        found.push(step);
        for list in step.lists() {
            gather(list, found);
        }
    }
}

fn trail<'a>(steps: &'a [Step], id: &str, chain: &mut Vec<(&'a Step, usize)>) -> bool {
    if steps.iter().any(|step| step.id == id) {
        return true;
    }
    for step in steps.iter().filter(|step| step.is_group()) {
        for (lane, list) in step.lists().into_iter().enumerate() {
            chain.push((step, lane));
            if trail(list, id, chain) {
                return true;
            }
            chain.pop();
        }
    }
    false
}
