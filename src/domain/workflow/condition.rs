//! A filter as a tree of conditions with their places, to see what it makes certain.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::domain::filter::{Kind, Operator};
use crate::domain::path::Path;
use crate::domain::problem::pointer_to;

/// How many operators of one path are compared with each other.
const OPERATORS_COMPARED_MAX: usize = 16;

/// One condition of a filter.
pub(super) enum Condition<'f> {
    /// An operator on a value.
    Leaf(Leaf<'f>),
    /// All of these hold.
    All(Vec<Condition<'f>>),
    /// One of these holds.
    Any(Vec<Condition<'f>>),
    /// This does not hold.
    Not(Box<Condition<'f>>),
    /// It looks at the elements of an array.
    Elements(Leaf<'f>),
}

/// One operator on one value.
#[derive(Clone)]
pub(super) struct Leaf<'f> {
    /// The pointer to the operator.
    pub(super) at: String,
    /// What it looks at; `None` for what an expression computes, and for elements.
    pub(super) path: Option<Path>,
    pub(super) operator: Operator,
    pub(super) expected: &'f Value,
}

/// Reads a filter that was accepted; `at` is its pointer.
pub(super) fn read<'f>(source: &'f Value, at: &str) -> Condition<'f> {
    match source.as_object() {
        Some(fields) => all(fields, at, None),
        None => Condition::All(Vec::new()),
    }
}

fn all<'f>(fields: &'f Map<String, Value>, at: &str, subject: Option<&Path>) -> Condition<'f> {
    Condition::All(fields.iter().map(|(key, value)| one(key, value, at, subject)).collect())
}

fn one<'f>(key: &str, value: &'f Value, at: &str, subject: Option<&Path>) -> Condition<'f> {
    let at = pointer_to(at, key);
    let Some(operator) = Operator::named(key) else {
        let path = named_path(key);
        return match value.as_object() {
            Some(fields) => all(fields, &at, path.as_ref()),
            None => Condition::All(Vec::new()),
        };
    };
    let inner = |value: &'f Value, at: &str| match value.as_object() {
        Some(fields) => all(fields, at, subject),
        None => Condition::All(Vec::new()),
    };
    let each = || {
        let items = value.as_array().into_iter().flatten().enumerate();
        items.map(|(index, item)| inner(item, &pointer_to(&at, &index.to_string()))).collect()
    };
    match (operator, operator.kind()) {
        (Operator::And, _) => Condition::All(each()),
        (Operator::Or, _) => Condition::Any(each()),
        (Operator::Not, _) => Condition::Not(Box::new(inner(value, &at))),
        (_, kind) => {
            let leaf = Leaf { path: subject.cloned(), at, operator, expected: value };
            match kind {
                Kind::Quantifier => Condition::Elements(leaf),
                _ => Condition::Leaf(leaf), // Logical ones were taken above.
            }
        }
    }
}

/// Returns the path that a key or value of a filter is, if it is nothing else.
pub(super) fn named_path(text: &str) -> Option<Path> {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    Path::parse(inner.unwrap_or(text)).ok()
}

impl<'f> Condition<'f> {
    /// Visits every operator that looks at one value, in the order of the document.
    pub(super) fn visit(&self, visitor: &mut dyn FnMut(&Leaf<'f>)) {
        match self {
            Condition::Leaf(leaf) | Condition::Elements(leaf) => visitor(leaf),
            Condition::All(inner) | Condition::Any(inner) => {
                inner.iter().for_each(|condition| condition.visit(visitor));
            }
            Condition::Not(inner) => inner.visit(visitor),
        }
    }

    /// Returns whether it holds, where nothing that it looks at can change that.
    pub(super) fn truth(&self) -> Option<bool> {
        match self {
            Condition::Leaf(leaf) => leaf.truth(),
            Condition::Elements(_) => None,
            Condition::All(inner) => {
                let truths = || inner.iter().map(Condition::truth);
                if truths().any(|truth| truth == Some(false)) {
                    return Some(false);
                }
                truths().all(|truth| truth == Some(true)).then_some(true)
            }
            Condition::Any(inner) => {
                let truths = || inner.iter().map(Condition::truth);
                if truths().any(|truth| truth == Some(true)) {
                    return Some(true);
                }
                truths().all(|truth| truth == Some(false)).then_some(false)
            }
            Condition::Not(inner) => inner.truth().map(|truth| !truth),
        }
    }

    /// Returns two operators of one path that exclude each other.
    pub(super) fn contradiction(&self) -> Option<(Leaf<'f>, Leaf<'f>)> {
        let mut leaves = Vec::new();
        self.certain(&mut leaves);
        let mut of_path: HashMap<Option<&Path>, Vec<&Leaf<'f>>> = HashMap::new();
        for later in leaves {
            let same = of_path.entry(later.path.as_ref()).or_default();
            if let Some(earlier) = same.iter().find(|leaf| leaf.excludes(later)) {
                return Some(((*earlier).clone(), later.clone()));
            }
            if same.len() < OPERATORS_COMPARED_MAX {
                same.push(later);
            }
        }
        None
    }

    /// Collects the operators that all must hold.
    pub(super) fn certain<'c>(&'c self, leaves: &mut Vec<&'c Leaf<'f>>) {
        match self {
            Condition::Leaf(leaf) if leaf.path.is_some() => leaves.push(leaf),
            Condition::All(inner) => inner.iter().for_each(|it| it.certain(leaves)),
            Condition::Any(inner) if inner.len() == 1 => inner[0].certain(leaves),
            _ => {} // Others hold only perhaps.
        }
    }
}

impl Leaf<'_> {
    fn truth(&self) -> Option<bool> {
        let is_empty = self.expected.as_array().is_some_and(Vec::is_empty);
        match self.operator {
            Operator::In if is_empty => Some(false),
            Operator::Nin if is_empty => Some(true),
            Operator::Between => match self.expected.as_array().map(Vec::as_slice) {
                Some([low, high]) if low.as_f64()? > high.as_f64()? => Some(false),
                _ => None, // The bounds leave room, or are no numbers.
            },
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => {
                let text = self.expected.as_str().filter(|text| !text.contains("{{"))?;
                // Only numbers and times have an order.
                let is_ordered = text.chars().any(|c| c.is_ascii_digit());
                (!is_ordered).then_some(false)
            }
            _ => None, // It depends on what is there.
        }
    }

    /// Returns whether it holds only for something that is there and not null.
    pub(super) fn shows_presence(&self) -> bool {
        let is_true = self.expected == &Value::Bool(true);
        let holds_null = |list: &Value| list.as_array().is_none_or(|it| it.contains(&Value::Null));
        match self.operator {
            Operator::Eq | Operator::ChangedTo => {
                !self.expected.is_null() && !is_expression(self.expected)
            }
            Operator::Neq => self.expected.is_null(),
            Operator::In => !holds_null(self.expected),
            Operator::Nin => !is_expression(self.expected) && holds_null(self.expected),
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte | Operator::Between => true,
            Operator::Regex | Operator::Starts | Operator::Ends | Operator::Contains => true,
            Operator::Any => true,
            Operator::IsNull | Operator::IsEmpty => !is_true && self.expected.is_boolean(),
            _ => false, // Negations hold for what is absent as well.
        }
    }

    /// Returns whether its failing shows that something is there and not null.
    pub(super) fn fails_by_presence(&self) -> bool {
        let is_true = self.expected == &Value::Bool(true);
        match self.operator {
            Operator::IsNull | Operator::IsEmpty => is_true,
            Operator::Eq => self.expected.is_null(),
            Operator::Nregex | Operator::Nstarts | Operator::Nends | Operator::Ncontains => true,
            Operator::Neq => !self.expected.is_null() && !is_expression(self.expected),
            _ => false, // Others fail for what is absent as well.
        }
    }

    fn excludes(&self, other: &Leaf<'_>) -> bool {
        use Operator::{Eq, Gt, Gte, In, IsNull, Lt, Lte, Neq};
        let (mine, theirs) = (self.expected, other.expected);
        if is_expression(mine) || is_expression(theirs) {
            return false;
        }
        let is_null = |leaf: &Leaf<'_>| {
            leaf.operator == IsNull && leaf.expected == &Value::Bool(true)
                || leaf.operator == Eq && leaf.expected.is_null()
        };
        let lists = |list: &Value, value: &Value| {
            list.as_array().is_none_or(|list| list.iter().any(|item| text(item) == text(value)))
        };
        match (self.operator, other.operator) {
            _ if is_null(self) && other.shows_presence() => true,
            _ if is_null(other) && self.shows_presence() => true,
            (Eq, Eq) => text(mine) != text(theirs) && mine.is_string() == theirs.is_string(),
            (Eq, Neq) | (Neq, Eq) => mine == theirs,
            (Eq, In) => !lists(theirs, mine),
            (In, Eq) => !lists(mine, theirs),
            (Gt | Gte, Lt | Lte) => crosses(mine, theirs, self.operator, other.operator),
            (Lt | Lte, Gt | Gte) => crosses(theirs, mine, other.operator, self.operator),
            _ => false, // They can hold together.
        }
    }
}

fn crosses(low: &Value, high: &Value, above: Operator, below: Operator) -> bool {
    let (Some(low), Some(high)) = (low.as_f64(), high.as_f64()) else { return false };
    low > high || (low == high && !(above == Operator::Gte && below == Operator::Lte))
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_lowercase)
}

/// Returns whether an expression stands in it, so that its value is not known.
pub(super) fn is_expression(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(is_expression),
        Value::Object(fields) => fields.values().any(is_expression),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_condition_that_nothing_can_change_is_known() {
        for (filter, truth) in [
            (json!({}), Some(true)),
            (json!({"~or": []}), Some(false)),
            (json!({"~and": []}), Some(true)),
            (json!({"~not": {}}), Some(false)),
            (json!({"a": {"~in": []}}), Some(false)),
            (json!({"a": {"~eq": 1}}), None),
        ] {
            assert_eq!(read(&filter, "").truth(), truth, "{filter}");
        }
    }

    #[test]
    fn operators_that_exclude_each_other_are_found() {
        for (filter, contradicts) in [
            (json!({"a": {"~eq": "x"}, "~and": [{"a": {"~eq": "y"}}]}), true),
            (json!({"a": {"~isnull": true, "~eq": "x"}}), true),
            (json!({"a": {"~gt": 5, "~lt": 3}}), true),
            (json!({"a": {"~gte": 3, "~lte": 3}}), false),
            (json!({"a": {"~eq": "x"}, "b": {"~eq": "y"}}), false),
            (json!({"~or": [{"a": {"~eq": "x"}}, {"a": {"~eq": "y"}}]}), false),
            (json!({"a": {"~eq": "{{b}}", "~neq": "x"}}), false),
        ] {
            assert_eq!(read(&filter, "").contradiction().is_some(), contradicts, "{filter}");
        }
    }
}
