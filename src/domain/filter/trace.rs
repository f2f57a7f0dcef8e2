//! Says condition by condition why a filter held or did not.

use serde::Serialize;
use serde_json::Value;

use super::{Expected, Frame, Leaf, Node, Operand};
use crate::domain::scope::Scope;

const SHOWN_CHARACTERS_MAX: usize = 500;
const SHOWN_ELEMENTS_MAX: usize = 20;

/// What one condition saw and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// The operator, such as `~eq`; `~and` for conditions that stand side by side.
    pub op: &'static str,
    /// What was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The value that it was compared with, long ones cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Value>,
    /// The value that was there, null when there was none, long ones cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<Value>,
    /// Whether the condition held.
    pub result: bool,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The existing path that was probably meant by one that leads nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The conditions that this one combines; for arrays the first 20 elements.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Trace>,
}

impl Trace {
    /// Returns how many conditions would have had to turn out otherwise; 0 when it held.
    #[must_use]
    pub fn misses(&self) -> usize {
        let missed = || self.children.iter().filter(|child| !child.result).map(Trace::misses);
        match self.op {
            _ if self.result => 0,
            "~and" | "~all" if !self.children.is_empty() => missed().sum(),
            "~or" | "~any" if !self.children.is_empty() => missed().min().unwrap_or(1),
            _ => 1, // A single condition, or the turn of one.
        }
    }
}

pub(super) fn trace(root: &Node, scope: &Scope) -> Trace {
    root.trace(Frame { scope, element: None }, "")
}

impl Node {
    /// `place` is the path of the element that the frame is about, empty outside of arrays.
    fn trace(&self, frame: Frame<'_>, place: &str) -> Trace {
        match self {
            Node::Leaf(leaf) => leaf.trace(frame, place),
            Node::Combined { operator, children } => {
                let children: Vec<Trace> =
                    children.iter().map(|child| child.trace(frame, place)).collect();
                let reason = children.is_empty().then(|| "there are no conditions".to_owned());
                Trace {
                    op: operator.name(),
                    path: None,
                    expected: None,
                    actual: None,
                    result: operator.combine(children.iter().map(|child| child.result)),
                    reason,
                    hint: None,
                    children,
                }
            }
            Node::Quantified { operator, operand, inner, source } => {
                let path = operand.label(place);
                let value = operand.value(frame);
                let elements = value.as_deref().and_then(Value::as_array);
                let inside = |element| Frame { scope: frame.scope, element: Some(element) };
                let children = elements.into_iter().flatten().take(SHOWN_ELEMENTS_MAX).enumerate();
                let reason = match (elements, value.as_deref()) {
                    (Some(elements), _) => {
                        let held = elements.iter().filter(|element| inner.holds(inside(element)));
                        format!("held for {} of {} elements", held.count(), elements.len())
                    }
                    (None, Some(other)) => format!("was {}, not an array", shown(other)),
                    (None, None) => operand.missing(frame),
                };
                Trace {
                    op: operator.name(),
                    expected: Some(abridged(source)),
                    actual: Some(abridged(value.as_deref().unwrap_or(&Value::Null))),
                    result: self.holds(frame),
                    reason: Some(reason),
                    hint: if value.is_none() { operand.nearest(frame) } else { None },
                    children: children
                        .map(|(index, element)| {
                            inner.trace(inside(element), &format!("{path}.{index}"))
                        })
                        .collect(),
                    path: Some(path),
                }
            }
        }
    }
}

impl Leaf {
    fn trace(&self, frame: Frame<'_>, place: &str) -> Trace {
        let actual = self.operand.value(frame);
        let expected = match (self.expected.value(frame.scope), &self.expected) {
            (Ok(expected), _) => expected.into_owned(),
            (Err(_), Expected::Constant(value)) => value.clone(),
            (Err(_), Expected::Template(template)) => template.source().clone(),
        };
        Trace {
            op: self.operator.name(),
            path: Some(self.operand.label(place)),
            expected: Some(abridged(&expected)),
            actual: Some(abridged(actual.as_deref().unwrap_or(&Value::Null))),
            result: self.holds(frame),
            reason: Some(self.reason(frame, actual.as_deref())),
            hint: if actual.is_none() { self.operand.nearest(frame) } else { None },
            children: Vec::new(),
        }
    }

    fn reason(&self, frame: Frame<'_>, actual: Option<&Value>) -> String {
        if let Err(error) = self.expected.value(frame.scope) {
            return format!("the value could not be computed: {error}");
        }
        let seen = match actual {
            Some(actual) => format!("was {}", shown(actual)),
            None => self.operand.missing(frame),
        };
        let Some(previous) = &self.previous else { return seen };
        match previous.value(frame) {
            Some(before) => format!("{seen}, before {}", shown(&before)),
            None => format!("{seen}; nothing earlier is recorded at {}", previous.record),
        }
    }
}

impl Operand {
    fn label(&self, place: &str) -> String {
        match self {
            Operand::Element => place.to_owned(),
            Operand::Path(path) if place.is_empty() || path.is_rooted() => path.to_string(),
            Operand::Path(path) => format!("{place}.{path}"),
            Operand::Expression(template) => {
                template.source().as_str().unwrap_or_default().to_owned()
            }
        }
    }

    fn nearest(&self, frame: Frame<'_>) -> Option<String> {
        match (self, frame.element) {
            (Operand::Path(path), None) => path.nearest_existing(frame.scope),
            _ => None, // Inside an element there is little to mistake.
        }
    }

    fn missing(&self, frame: Frame<'_>) -> String {
        if let Operand::Expression(template) = self {
            let error = template.render(frame.scope).err();
            return error.map_or_else(String::new, |error| error.detail);
        }
        match self.nearest(frame) {
            Some(nearest) => format!("path missing; nearest existing is {nearest}"),
            None => "path missing".to_owned(),
        }
    }
}

fn shown(value: &Value) -> String {
    cut(&value.to_string(), 80)
}

/// Returns the value, or, if it is long, its beginning as text.
fn abridged(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(cut(text, SHOWN_CHARACTERS_MAX)),
        Value::Array(_) | Value::Object(_) => {
            let text = value.to_string();
            match text.len() > 4 * SHOWN_CHARACTERS_MAX {
                true => Value::String(cut(&text, SHOWN_CHARACTERS_MAX)),
                false => value.clone(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
