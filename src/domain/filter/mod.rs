//! The filter language: conditions on an event or on any scope, parsed once and matched often.

mod bind;
mod compare;
mod operator;
mod parse;
pub mod rows;
mod sieve;
#[cfg(test)]
mod tests;
mod trace;

use std::borrow::Cow;
use std::fmt;

use regex::Regex;
use serde_json::{Map, Value};

use super::expression::{ExpressionError, Template};
use super::path::Path;
use super::problem::Problem;
use super::scope::Scope;
pub use bind::Equality;
use operator::Observed;
pub use operator::{Kind, Operator, OperatorInfo, ValueType};
pub use sieve::Sieve;
pub use trace::Trace;

/// A condition on what a scope holds.
#[derive(Clone)]
pub struct Filter {
    source: Value,
    root: Node,
}

impl Filter {
    /// Reads a filter; `at` is its pointer in the document. Null matches everything.
    ///
    /// # Errors
    /// Returns every problem at once, such as `unknown_operator`, `missing_operator`,
    /// `missing_path`, `invalid_filter`, `invalid_value`, `invalid_pattern`, `invalid_path`,
    /// `too_deep` and `too_many_conditions`.
    pub fn parse(raw: &Value, at: &str) -> Result<Filter, Vec<Problem>> {
        parse::filter(raw, at).map(|root| Filter { source: raw.clone(), root })
    }

    /// Returns the filter that matches everything.
    #[must_use]
    pub fn any() -> Filter {
        let root = Node::Combined { operator: Operator::And, children: Vec::new() };
        Filter { source: Value::Object(Map::new()), root }
    }

    /// Tells whether the filter holds.
    #[must_use]
    pub fn matches(&self, scope: &Scope) -> bool {
        self.root.holds(Frame { scope, element: None })
    }

    /// Evaluates every condition and says why each held or did not.
    #[must_use]
    pub fn trace(&self, scope: &Scope) -> Trace {
        trace::trace(&self.root, scope)
    }

    /// Returns the paths that the filter reads, those inside of arrays behind a `*`.
    #[must_use]
    pub fn references(&self) -> Vec<Path> {
        let mut references = Vec::new();
        self.root.collect(None, &mut references);
        references
    }

    /// Returns the filter as it was written.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("Filter").field(&self.source).finish()
    }
}

/// Returns the description of every operator, Thena's first.
#[must_use]
pub fn operators() -> Vec<OperatorInfo> {
    Operator::ALL.map(Operator::info).to_vec()
}

#[derive(Clone)]
enum Node {
    Leaf(Leaf),
    Combined { operator: Operator, children: Vec<Node> },
    Quantified { operator: Operator, operand: Operand, inner: Box<Node>, source: Value },
}

/// One operator on one value.
#[derive(Clone)]
struct Leaf {
    operand: Operand,
    operator: Operator,
    expected: Expected,
    pattern: Option<Regex>,
    previous: Option<Previous>,
}

/// What a condition looks at.
#[derive(Clone)]
enum Operand {
    Path(Path),
    Expression(Template),
    /// The element of an array itself, in `~any` and `~all`.
    Element,
}

#[derive(Clone)]
enum Expected {
    Constant(Value),
    Template(Template),
}

/// Where the value before the change stands, and the record that must exist for it.
#[derive(Clone)]
struct Previous {
    record: Path,
    path: Path,
}

/// What conditions see: the scope, and inside `~any` and `~all` the element.
#[derive(Clone, Copy)]
struct Frame<'a> {
    scope: &'a Scope,
    element: Option<&'a Value>,
}

impl<'a> Frame<'a> {
    fn find(self, path: &Path) -> Option<Cow<'a, Value>> {
        match self.element {
            Some(element) => path.lookup_in(element, self.scope).value,
            None => path.lookup(self.scope).value,
        }
    }
}

impl Node {
    fn holds(&self, frame: Frame<'_>) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.holds(frame),
            Node::Combined { operator, children } => {
                operator.combine(children.iter().map(|child| child.holds(frame)))
            }
            Node::Quantified { operator, operand, inner, .. } => {
                let value = operand.value(frame);
                let Some(Value::Array(elements)) = value.as_deref() else { return false };
                operator.combine(elements.iter().map(|element| {
                    inner.holds(Frame { scope: frame.scope, element: Some(element) })
                }))
            }
        }
    }

    fn collect(&self, array: Option<&Path>, references: &mut Vec<Path>) {
        match self {
            Node::Leaf(leaf) => {
                leaf.operand.collect(array, references);
                if let Expected::Template(template) = &leaf.expected {
                    references.extend(template.references().into_iter().map(|found| found.path));
                }
            }
            Node::Combined { children, .. } => {
                children.iter().for_each(|child| child.collect(array, references));
            }
            Node::Quantified { operand, inner, .. } => {
                operand.collect(array, references);
                if let Operand::Path(path) = operand {
                    let path =
                        array.map_or_else(|| path.clone(), |array| array.for_each(Some(path)));
                    inner.collect(Some(&path), references);
                }
            }
        }
    }
}

impl Leaf {
    fn holds(&self, frame: Frame<'_>) -> bool {
        let actual = self.operand.value(frame);
        let previous = self.previous.as_ref().and_then(|previous| previous.value(frame));
        // What is missing reads as null.
        let observed = Observed {
            actual: actual.as_deref().unwrap_or(&Value::Null),
            previous: previous.as_deref(),
        };
        match self.expected.value(frame.scope) {
            Ok(expected) => self.operator.holds(observed, &expected, self.pattern.as_ref()),
            Err(_) => false,
        }
    }
}

impl Operand {
    fn value<'a>(&self, frame: Frame<'a>) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Path(path) => frame.find(path),
            Operand::Expression(template) => template.render(frame.scope).ok().map(Cow::Owned),
            Operand::Element => frame.element.map(Cow::Borrowed),
        }
    }

    fn collect(&self, array: Option<&Path>, references: &mut Vec<Path>) {
        match (self, array) {
            (Operand::Path(path), Some(array)) if !path.is_rooted() => {
                references.push(array.for_each(Some(path)));
            }
            (Operand::Path(path), _) => references.push(path.clone()),
            (Operand::Expression(template), _) => {
                references.extend(template.references().into_iter().map(|found| found.path));
            }
            (Operand::Element, Some(array)) => references.push(array.for_each(None)),
            (Operand::Element, None) => {} // The elements of what an expression computes.
        }
    }
}

impl Expected {
    /// Returns the value to compare with; a reference that leads nowhere reads as null.
    fn value(&self, scope: &Scope) -> Result<Cow<'_, Value>, ExpressionError> {
        match self {
            Expected::Constant(value) => Ok(Cow::Borrowed(value)),
            Expected::Template(template) => match template.render(scope) {
                Ok(value) => Ok(Cow::Owned(value)),
                Err(error) if error.code == "path_missing" => Ok(Cow::Owned(Value::Null)),
                Err(error) => Err(error),
            },
        }
    }
}

impl Previous {
    fn value<'a>(&self, frame: Frame<'a>) -> Option<Cow<'a, Value>> {
        frame.find(&self.record)?;
        Some(frame.find(&self.path).unwrap_or(Cow::Owned(Value::Null)))
    }
}
