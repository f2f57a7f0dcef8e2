//! What is certain at a place of a definition, because a condition around it holds.

use serde_json::Value;

use super::condition::{Condition, Leaf, is_expression, read};
use super::step::Placed;
use crate::domain::filter::{Filter, Operator};
use crate::domain::path::Path;

/// What the conditions around a place make certain.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// Operators that hold, each with its path.
    held: Vec<(String, Operator, Value)>,
    /// Paths of what is there and not null.
    present: Vec<String>,
}

impl Facts {
    /// Adds what follows from a filter that holds.
    pub(super) fn and(&self, filter: &Placed<Filter>) -> Facts {
        let mut facts = self.clone();
        facts.learn(&read(filter.value.source(), ""));
        facts
    }

    /// Adds what follows from a filter that does not hold.
    pub(super) fn and_not(&self, filter: &Placed<Filter>) -> Facts {
        let mut facts = self.clone();
        facts.learn_not(&read(filter.value.source(), ""));
        facts
    }

    /// Adds the filter of a trigger, which holds for every run.
    pub(super) fn of_trigger(filter: &Filter) -> Facts {
        let mut facts = Facts::default();
        facts.learn(&read(filter.source(), ""));
        facts
    }

    /// Keeps what is certain in both.
    pub(super) fn or(&self, other: &Facts) -> Facts {
        let is_known = |path: &&String| other.is_present(path);
        Facts {
            held: self.held.iter().filter(|held| other.held.contains(held)).cloned().collect(),
            present: self.present.iter().filter(is_known).cloned().collect(),
        }
    }

    fn learn(&mut self, condition: &Condition<'_>) {
        match condition {
            Condition::Leaf(leaf) | Condition::Elements(leaf) => self.learn_leaf(leaf),
            Condition::All(inner) => inner.iter().for_each(|it| self.learn(it)),
            Condition::Any(inner) => {
                let alternatives = inner.iter().map(|it| {
                    let mut facts = Facts::default();
                    facts.learn(it);
                    facts
                });
                if let Some(common) = alternatives.reduce(|one, other| one.or(&other)) {
                    self.held.extend(common.held);
                    self.present.extend(common.present);
                }
            }
            Condition::Not(inner) => self.learn_not(inner),
        }
    }

    fn learn_leaf(&mut self, leaf: &Leaf<'_>) {
        let Some(path) = leaf.path.as_ref().map(canonical) else { return };
        if leaf.shows_presence() {
            self.present.push(path.clone());
        }
        self.held.push((path, leaf.operator, leaf.expected.clone()));
    }

    /// Only a single condition that fails shows anything for certain.
    fn learn_not(&mut self, condition: &Condition<'_>) {
        match condition {
            Condition::Leaf(leaf) if leaf.fails_by_presence() => {
                self.present.extend(leaf.path.as_ref().map(canonical));
            }
            Condition::All(inner) if inner.len() == 1 => self.learn_not(&inner[0]),
            Condition::Any(inner) => inner.iter().for_each(|it| self.learn_not(it)),
            Condition::Not(inner) => self.learn(inner),
            _ => {} // One of several may have failed, nobody knows which.
        }
    }

    /// Returns whether something is surely at the path.
    pub(super) fn is_present(&self, path: &str) -> bool {
        let covers = |known: &String| {
            known.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.present.iter().any(covers)
    }

    /// Returns whether something is surely below the path.
    pub(super) fn is_present_below(&self, path: &str) -> bool {
        let is_below =
            |known: &String| known.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
        self.present.iter().any(is_below)
    }

    /// Returns whether a filter holds because what is known already includes it.
    pub(super) fn include(&self, filter: &Filter) -> bool {
        let condition = read(filter.source(), "");
        let mut leaves = Vec::new();
        condition.certain(&mut leaves);
        let mut count = 0;
        condition.visit(&mut |_| count += 1);
        let is_held = |leaf: &&Leaf<'_>| {
            let path = leaf.path.as_ref().map(canonical).unwrap_or_default();
            self.held.iter().any(|(known, operator, expected)| {
                *known == path && *operator == leaf.operator && expected == leaf.expected
            })
        };
        count == leaves.len() && leaves.iter().all(is_held)
    }

    /// Returns whether `operator` with this value is known to hold of the path.
    pub(super) fn hold(&self, path: &str, operator: Operator, expected: &Value) -> bool {
        self.held
            .iter()
            .any(|(known, held, value)| known == path && *held == operator && value == expected)
    }

    /// Returns whether the path can have the value, as far as is known.
    pub(super) fn allow(&self, path: &str, value: &str) -> bool {
        self.held.iter().filter(|(known, ..)| known == path).all(|(_, operator, expected)| {
            let lists = || expected.as_array().is_none_or(|list| list.iter().any(|it| it == value));
            match operator {
                _ if is_expression(expected) => true,
                Operator::Eq => expected == value,
                Operator::In => lists(),
                Operator::Neq => expected != value,
                _ => true, // Others are not decided here.
            }
        })
    }
}

/// Returns the spelling of a path in which facts about it are kept: what has no root is taken for a
/// place in the payload, for everybody alike.
pub(super) fn canonical(path: &Path) -> String {
    match path.is_rooted() {
        true => path.to_string(),
        false => format!("trigger.payload.{path}"),
    }
}
