//! Filters for later: their values are rendered now, and they are matched when something comes.

use serde_json::Value;

use super::compare::index_key;
use super::{Expected, Filter, Frame, Node, Operand, Operator};
use crate::domain::expression::{ExpressionError, Template};
use crate::domain::path::Path;
use crate::domain::scope::Scope;

/// A condition that every match fulfils: what stands at the path has this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Equality {
    /// Where the value stands.
    pub path: Path,
    /// The key of the value, as `Filter::key_at` gives it.
    pub key: String,
}

impl Filter {
    /// Renders the values that hold expressions, in the order in which they stand.
    ///
    /// # Errors
    /// Returns the first expression that fails; one that leads nowhere reads as null.
    pub fn render_values(&self, scope: &Scope) -> Result<Vec<Value>, ExpressionError> {
        let mut values = Vec::new();
        self.root.visit(&mut |expected| {
            if matches!(expected, Expected::Template(_)) {
                values.push(expected.value(scope).map(std::borrow::Cow::into_owned));
            }
        });
        values.into_iter().collect()
    }

    /// Returns the filter with rendered values in the places of its expressions.
    #[must_use]
    pub fn with_values(&self, values: &[Value]) -> Filter {
        let mut bound = self.clone();
        let mut values = values.iter();
        bound.root.fill(&mut values);
        bound
    }

    /// Returns the expressions among its values.
    #[must_use]
    pub fn value_templates(&self) -> Vec<Template> {
        let mut templates = Vec::new();
        self.root.visit(&mut |expected| {
            if let Expected::Template(template) = expected {
                templates.push(template.clone());
            }
        });
        templates
    }

    /// Returns the filter with its expressions taken out, for asking what else it reads.
    #[must_use]
    pub fn without_templates(&self) -> Filter {
        self.with_values(&vec![Value::Null; self.value_templates().len()])
    }

    /// Returns an equality with a known value that every match fulfils, if there is one.
    #[must_use]
    pub fn equality(&self) -> Option<Equality> {
        let Node::Combined { operator: Operator::And, children } = &self.root else { return None };
        children.iter().find_map(|child| match child {
            Node::Leaf(leaf) if leaf.operator == Operator::Eq => {
                let Operand::Path(path) = &leaf.operand else { return None };
                let Expected::Constant(value) = &leaf.expected else { return None };
                Some(Equality { path: path.clone(), key: index_key(value)? })
            }
            _ => None, // Only an equality at the top holds for every match.
        })
    }

    /// Returns the key of what stands at a path: equal values have equal keys.
    #[must_use]
    pub fn key_at(path: &Path, scope: &Scope) -> Option<String> {
        Frame { scope, element: None }.find(path).and_then(|value| index_key(&value))
    }
}

impl Node {
    fn visit(&self, look: &mut impl FnMut(&Expected)) {
        match self {
            Node::Leaf(leaf) => look(&leaf.expected),
            Node::Combined { children, .. } => children.iter().for_each(|node| node.visit(look)),
            Node::Quantified { inner, .. } => inner.visit(look),
        }
    }

    fn fill<'v>(&mut self, values: &mut impl Iterator<Item = &'v Value>) {
        match self {
            Node::Leaf(leaf) => {
                if matches!(leaf.expected, Expected::Template(_)) {
                    let value = values.next().cloned().unwrap_or(Value::Null);
                    leaf.expected = Expected::Constant(value);
                }
            }
            Node::Combined { children, .. } => {
                children.iter_mut().for_each(|node| node.fill(values));
            }
            Node::Quantified { inner, .. } => inner.fill(values),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_rendered_once_and_matched_later() {
        let filter = Filter::parse(
            &json!({
                "ticket.id": {"~eq": "{{trigger.payload.id}}"},
                "~or": [{"n": {"~gt": "{{trigger.payload.least}}"}}, {"n": {"~isnull": true}}],
            }),
            "",
        )
        .unwrap();
        let asked = Scope::of_event(json!({"payload": {"id": "{{T}}", "least": 3}}));
        let values = filter.render_values(&asked).unwrap();
        assert_eq!(values, [json!("{{T}}"), json!(3)]);
        let bound = filter.with_values(&values);
        for (payload, holds) in [
            (json!({"ticket": {"id": "{{T}}"}, "n": 4}), true),
            (json!({"ticket": {"id": "{{T}}"}, "n": 3}), false),
            (json!({"ticket": {"id": "T"}, "n": 4}), false),
        ] {
            let scope = Scope::of_event(json!({ "payload": payload }));
            assert_eq!(bound.matches(&scope), holds, "{payload}");
            let equality = bound.equality().expect("it begins with one");
            let fits = Filter::key_at(&equality.path, &scope).as_ref() == Some(&equality.key);
            assert!(fits || !holds, "{payload}");
        }
    }

    #[test]
    fn equal_values_have_equal_keys() {
        for (left, right) in [
            (json!(5), json!("5.0")),
            (json!("2026-11-23T11:00:00+01:00"), json!("2026-11-23T10:00:00.000Z")),
            (json!(0.0), json!(-0.0)),
            (json!("a"), json!("a")),
        ] {
            assert_eq!(index_key(&left), index_key(&right), "{left} and {right}");
        }
        assert_ne!(index_key(&json!("a")), index_key(&json!("b")));
        assert_eq!(index_key(&json!(null)), None);
    }
}
