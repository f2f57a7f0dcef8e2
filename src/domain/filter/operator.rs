//! The operators of the filter language: what each is called, takes and means.

use std::cmp::Ordering;

use regex::{Regex, RegexBuilder};
use serde::Serialize;
use serde_json::Value;

use super::compare::{equals, order};
use crate::domain::problem::nearest;

const PATTERN_CHARACTERS_MAX: usize = 1_000;
const PATTERN_BYTES_MAX: usize = 1024 * 1024;

/// An operator; everything that is specific to one is in this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Eq,
    Neq,
    Gt,
    Gte,
    Lt,
    Lte,
    In,
    Nin,
    Regex,
    Nregex,
    Starts,
    Nstarts,
    Ends,
    Nends,
    Contains,
    Ncontains,
    IsNull,
    IsEmpty,
    And,
    Or,
    Not,
    Any,
    All,
    Changed,
    ChangedTo,
    ChangedFrom,
    Between,
}

/// What an operator works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The value at a path.
    Field,
    /// Other conditions.
    Logical,
    /// The elements of the array at a path.
    Quantifier,
}

/// What stands at the right of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ValueType {
    /// Any JSON value.
    Any,
    /// A number, or a text that is a number or a time.
    Comparable,
    /// A text, number or boolean.
    Scalar,
    /// A text.
    String,
    /// A regular expression.
    Pattern,
    /// True or false.
    Boolean,
    /// An array of values.
    Array,
    /// An array of two values that can be compared.
    Range,
    /// A filter.
    Filter,
    /// An array of filters.
    Filters,
}

/// An operator as it is described to programs and people.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorInfo {
    /// As it is written, such as `~eq`.
    pub name: &'static str,
    /// What it works on.
    pub kind: Kind,
    /// What stands at its right.
    pub value_type: ValueType,
    /// The types of values that it is of use for.
    pub applies_to: &'static [&'static str],
    /// What it means, in a sentence.
    pub description: &'static str,
    /// A filter that uses it, as JSON.
    pub example: &'static str,
    /// Whether Thena does not have it.
    pub extension: bool,
}

/// What a condition sees.
#[derive(Clone, Copy)]
pub(super) struct Observed<'a> {
    /// The value at the path, null when there is none.
    pub actual: &'a Value,
    /// The value before the change; `None` when nothing earlier is recorded.
    pub previous: Option<&'a Value>,
}

const ANYTHING: &[&str] = &["string", "number", "boolean", "null", "array", "object"];
const SCALARS: &[&str] = &["string", "number", "boolean", "null"];
const ORDERED: &[&str] = &["number", "string", "time"];
const TEXTS: &[&str] = &["string"];
const TEXTS_AND_ARRAYS: &[&str] = &["string", "array"];
const ARRAYS: &[&str] = &["array"];
const CONDITIONS: &[&str] = &["condition"];

impl Operator {
    /// Every operator, in the order in which they are listed.
    pub const ALL: [Operator; 27] = [
        Operator::Eq,
        Operator::Neq,
        Operator::Gt,
        Operator::Gte,
        Operator::Lt,
        Operator::Lte,
        Operator::In,
        Operator::Nin,
        Operator::Regex,
        Operator::Nregex,
        Operator::Starts,
        Operator::Nstarts,
        Operator::Ends,
        Operator::Nends,
        Operator::Contains,
        Operator::Ncontains,
        Operator::IsNull,
        Operator::IsEmpty,
        Operator::And,
        Operator::Or,
        Operator::Not,
        Operator::Any,
        Operator::All,
        Operator::Changed,
        Operator::ChangedTo,
        Operator::ChangedFrom,
        Operator::Between,
    ];

    /// Returns the operator that is written so, or `None`.
    #[must_use]
    pub fn named(name: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|operator| operator.name() == name)
    }

    /// Returns the name that was probably meant by one that no operator has.
    #[must_use]
    pub fn nearest_name(typed: &str) -> Option<&'static str> {
        let typed = format!("~{}", typed.trim_start_matches(['~', '$']).to_lowercase());
        nearest(&typed, Operator::ALL.map(Operator::name))
    }

    /// Returns how the operator is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Operator::Eq => "~eq",
            Operator::Neq => "~neq",
            Operator::Gt => "~gt",
            Operator::Gte => "~gte",
            Operator::Lt => "~lt",
            Operator::Lte => "~lte",
            Operator::In => "~in",
            Operator::Nin => "~nin",
            Operator::Regex => "~regex",
            Operator::Nregex => "~nregex",
            Operator::Starts => "~starts",
            Operator::Nstarts => "~nstarts",
            Operator::Ends => "~ends",
            Operator::Nends => "~nends",
            Operator::Contains => "~contains",
            Operator::Ncontains => "~ncontains",
            Operator::IsNull => "~isnull",
            Operator::IsEmpty => "~isempty",
            Operator::And => "~and",
            Operator::Or => "~or",
            Operator::Not => "~not",
            Operator::Any => "~any",
            Operator::All => "~all",
            Operator::Changed => "~changed",
            Operator::ChangedTo => "~changedTo",
            Operator::ChangedFrom => "~changedFrom",
            Operator::Between => "~between",
        }
    }

    /// Returns what the operator works on.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Operator::And | Operator::Or | Operator::Not => Kind::Logical,
            Operator::Any | Operator::All => Kind::Quantifier,
            _ => Kind::Field, // The rest looks at one value.
        }
    }

    /// Returns what stands at the right of the operator.
    #[must_use]
    pub fn value_type(self) -> ValueType {
        match self {
            Operator::Eq | Operator::Neq => ValueType::Any,
            Operator::ChangedTo | Operator::ChangedFrom => ValueType::Any,
            Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => ValueType::Comparable,
            Operator::In | Operator::Nin => ValueType::Array,
            Operator::Regex | Operator::Nregex => ValueType::Pattern,
            Operator::Starts | Operator::Nstarts => ValueType::String,
            Operator::Ends | Operator::Nends => ValueType::String,
            Operator::Contains | Operator::Ncontains => ValueType::Scalar,
            Operator::IsNull | Operator::IsEmpty | Operator::Changed => ValueType::Boolean,
            Operator::Between => ValueType::Range,
            Operator::And | Operator::Or => ValueType::Filters,
            Operator::Not | Operator::Any | Operator::All => ValueType::Filter,
        }
    }

    /// Describes the operator.
    #[must_use]
    pub fn info(self) -> OperatorInfo {
        let (applies_to, description, example) = self.description();
        OperatorInfo {
            name: self.name(),
            kind: self.kind(),
            value_type: self.value_type(),
            applies_to,
            description,
            example,
            extension: self.is_extension(),
        }
    }

    /// Tells whether the operator needs the value before the change.
    pub(super) fn compares_with_previous(self) -> bool {
        matches!(self, Operator::Changed | Operator::ChangedTo | Operator::ChangedFrom)
    }

    /// Evaluates an operator on one value; `pattern` is the compiled value of `~regex`.
    pub(super) fn holds(
        self,
        observed: Observed<'_>,
        expected: &Value,
        pattern: Option<&Regex>,
    ) -> bool {
        let Observed { actual, previous } = observed;
        let is_ordered = |wanted: fn(Ordering) -> bool| order(actual, expected).is_some_and(wanted);
        let is_match = || {
            let texts = actual.as_str().zip(pattern);
            texts.is_some_and(|(text, pattern)| pattern.is_match(text))
        };
        let is_changed = previous.is_some_and(|previous| !equals(actual, previous));
        match self {
            Operator::Eq => equals(actual, expected),
            Operator::Neq => !equals(actual, expected),
            Operator::Gt => is_ordered(Ordering::is_gt),
            Operator::Gte => is_ordered(Ordering::is_ge),
            Operator::Lt => is_ordered(Ordering::is_lt),
            Operator::Lte => is_ordered(Ordering::is_le),
            Operator::In => is_member(actual, expected),
            Operator::Nin => !is_member(actual, expected),
            Operator::Regex => is_match(),
            Operator::Nregex => !is_match(),
            Operator::Starts => both_texts(actual, expected, |text, part| text.starts_with(part)),
            Operator::Nstarts => !both_texts(actual, expected, |text, part| text.starts_with(part)),
            Operator::Ends => both_texts(actual, expected, |text, part| text.ends_with(part)),
            Operator::Nends => !both_texts(actual, expected, |text, part| text.ends_with(part)),
            Operator::Contains => contains(actual, expected),
            Operator::Ncontains => !contains(actual, expected),
            Operator::IsNull => expected.as_bool() == Some(actual.is_null()),
            Operator::IsEmpty => expected.as_bool() == Some(is_empty(actual)),
            Operator::Changed => expected.as_bool() == Some(is_changed),
            Operator::ChangedTo => is_changed && equals(actual, expected),
            Operator::ChangedFrom => {
                is_changed && previous.is_some_and(|previous| equals(previous, expected))
            }
            Operator::Between => match expected.as_array().map(Vec::as_slice) {
                Some([low, high]) => {
                    order(actual, low).is_some_and(Ordering::is_ge)
                        && order(actual, high).is_some_and(Ordering::is_le)
                }
                _ => false, // A template that gave no range.
            },
            Operator::And | Operator::Or | Operator::Not | Operator::Any | Operator::All => {
                unreachable!("{} combines results and sees no value", self.name())
            }
        }
    }

    /// Combines the results of conditions, or of a condition on each element.
    pub(super) fn combine(self, mut results: impl Iterator<Item = bool>) -> bool {
        match self {
            Operator::And | Operator::All => results.all(|result| result),
            Operator::Or | Operator::Any => results.any(|result| result),
            Operator::Not => !results.all(|result| result),
            _ => unreachable!("{} sees one value and combines nothing", self.name()),
        }
    }

    /// Says what is wrong with a value that holds no template.
    pub(super) fn check(self, value: &Value) -> Result<(), String> {
        let fits = match self.value_type() {
            ValueType::Any => true,
            ValueType::Comparable => is_comparable(value),
            ValueType::Scalar => value.is_string() || value.is_number() || value.is_boolean(),
            ValueType::String | ValueType::Pattern => value.is_string(),
            ValueType::Boolean => value.is_boolean(),
            ValueType::Array | ValueType::Filters => value.is_array(),
            ValueType::Range => value
                .as_array()
                .is_some_and(|range| range.len() == 2 && range.iter().all(is_comparable)),
            ValueType::Filter => value.is_object(),
        };
        let wanted = match self.value_type() {
            ValueType::Any => "any value",
            ValueType::Comparable => "a number or a time",
            ValueType::Scalar => "a string, number or boolean",
            ValueType::String => "a string",
            ValueType::Pattern => "a regular expression in a string",
            ValueType::Boolean => "true or false",
            ValueType::Array => "an array",
            ValueType::Range => "an array of two numbers or times, the lower first",
            ValueType::Filter => "a filter, which is an object",
            ValueType::Filters => "an array of filters",
        };
        if fits { Ok(()) } else { Err(format!("`{}` takes {wanted}", self.name())) }
    }

    /// Compiles the value of an operator that takes a pattern.
    pub(super) fn pattern(self, value: &Value) -> Option<Result<Regex, String>> {
        let text = value.as_str().filter(|_| self.value_type() == ValueType::Pattern)?;
        if text.chars().count() > PATTERN_CHARACTERS_MAX {
            let detail = format!("a pattern has at most {PATTERN_CHARACTERS_MAX} characters");
            return Some(Err(detail));
        }
        let built = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build();
        Some(built.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern needs too much memory".to_owned(),
            error => error.to_string().lines().last().unwrap_or("invalid pattern").to_owned(),
        }))
    }

    fn is_extension(self) -> bool {
        match self {
            Operator::Not | Operator::Any | Operator::All => true,
            Operator::Changed | Operator::ChangedTo | Operator::ChangedFrom => true,
            Operator::Between => true,
            _ => false, // The twenty that Thena documents.
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table with a row for each operator")]
    fn description(self) -> (&'static [&'static str], &'static str, &'static str) {
        match self {
            Operator::Eq => (ANYTHING, "Equals the value.", r#"{"priority": {"~eq": "high"}}"#),
            Operator::Neq => {
                (ANYTHING, "Does not equal the value.", r#"{"status": {"~neq": "closed"}}"#)
            }
            Operator::Gt => (ORDERED, "Is greater or later.", r#"{"value": {"~gt": 100}}"#),
            Operator::Gte => {
                (ORDERED, "Is greater, later or the same.", r#"{"age": {"~gte": 18}}"#)
            }
            Operator::Lt => (ORDERED, "Is less or earlier.", r#"{"count": {"~lt": 5}}"#),
            Operator::Lte => {
                (ORDERED, "Is less, earlier or the same.", r#"{"score": {"~lte": 10}}"#)
            }
            Operator::In => {
                (SCALARS, "Is one of the values.", r#"{"status": {"~in": ["open", "pending"]}}"#)
            }
            Operator::Nin => {
                (SCALARS, "Is none of the values.", r#"{"type": {"~nin": ["internal", "test"]}}"#)
            }
            Operator::Regex => (
                TEXTS,
                "Contains a match of the pattern; the pattern is not anchored.",
                r#"{"email": {"~regex": ".*@company\\.com"}}"#,
            ),
            Operator::Nregex => (
                TEXTS,
                "Contains no match of the pattern.",
                r#"{"url": {"~nregex": ".*\\.test\\.com"}}"#,
            ),
            Operator::Starts => {
                (TEXTS, "Starts with the text.", r#"{"name": {"~starts": "Test"}}"#)
            }
            Operator::Nstarts => {
                (TEXTS, "Does not start with the text.", r#"{"ref": {"~nstarts": "DRAFT"}}"#)
            }
            Operator::Ends => {
                (TEXTS, "Ends with the text.", r#"{"email": {"~ends": "@thena.ai"}}"#)
            }
            Operator::Nends => {
                (TEXTS, "Does not end with the text.", r#"{"path": {"~nends": ".tmp"}}"#)
            }
            Operator::Contains => (
                TEXTS_AND_ARRAYS,
                "Holds the text, or has the value as an element.",
                r#"{"description": {"~contains": "urgent"}}"#,
            ),
            Operator::Ncontains => (
                TEXTS_AND_ARRAYS,
                "Neither holds the text nor has the value as an element.",
                r#"{"title": {"~ncontains": "test"}}"#,
            ),
            Operator::IsNull => {
                (ANYTHING, "Is null or missing, or is not.", r#"{"assignee": {"~isnull": true}}"#)
            }
            Operator::IsEmpty => (
                ANYTHING,
                "Is null, missing, or an empty text, array or object, or is not.",
                r#"{"tags": {"~isempty": true}}"#,
            ),
            Operator::And => (
                CONDITIONS,
                "All of the filters hold; true when there is none.",
                r#"{"~and": [{"status": {"~eq": "open"}}, {"priority": {"~eq": "high"}}]}"#,
            ),
            Operator::Or => (
                CONDITIONS,
                "One of the filters holds; false when there is none.",
                r#"{"~or": [{"type": {"~eq": "bug"}}, {"priority": {"~eq": "high"}}]}"#,
            ),
            Operator::Not => (
                CONDITIONS,
                "The filter does not hold.",
                r#"{"~not": {"status": {"~eq": "closed"}}}"#,
            ),
            Operator::Any => (
                ARRAYS,
                "The filter holds for one element or more.",
                r#"{"tags": {"~any": {"~starts": "vip"}}}"#,
            ),
            Operator::All => (
                ARRAYS,
                "The filter holds for every element; true when the array is empty.",
                r#"{"items": {"~all": {"price": {"~gt": 0}}}}"#,
            ),
            Operator::Changed => (
                ANYTHING,
                "Differs from the value before the event, or does not.",
                r#"{"ticket.status": {"~changed": true}}"#,
            ),
            Operator::ChangedTo => (
                ANYTHING,
                "Has become the value.",
                r#"{"ticket.status": {"~changedTo": "closed"}}"#,
            ),
            Operator::ChangedFrom => (
                ANYTHING,
                "Was the value and no longer is.",
                r#"{"ticket.status": {"~changedFrom": "open"}}"#,
            ),
            Operator::Between => (
                ORDERED,
                "Lies between two values or is one of them.",
                r#"{"score": {"~between": [1, 5]}}"#,
            ),
        }
    }
}

fn is_comparable(value: &Value) -> bool {
    value.is_number() || value.is_string()
}

fn is_member(actual: &Value, expected: &Value) -> bool {
    let members = expected.as_array();
    members.is_some_and(|members| members.iter().any(|member| equals(actual, member)))
}

fn both_texts(actual: &Value, expected: &Value, test: fn(&str, &str) -> bool) -> bool {
    match (actual, expected) {
        (Value::String(actual), Value::String(expected)) => test(actual, expected),
        _ => false, // Only texts have beginnings and ends.
    }
}

fn contains(actual: &Value, expected: &Value) -> bool {
    match actual {
        Value::Array(items) => items.iter().any(|item| equals(item, expected)),
        _ => both_texts(actual, expected, |text, part| text.contains(part)),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
