//! Reads an object field by field and notes everything that is wrong with it.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::app::error::Error;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::time::{Timestamp, parse_duration};

/// An object that is being read; a field that nobody asked for is a problem at the end.
#[derive(Debug)]
pub struct Fields {
    map: Map<String, Value>,
    base: String,
    asked: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl Fields {
    /// Begins with a whole body.
    #[must_use]
    pub fn new(body: Value) -> Fields {
        let mut fields = Fields {
            map: Map::new(),
            base: String::new(),
            asked: Vec::new(),
            problems: Vec::new(),
        };
        match body {
            Value::Object(map) => fields.map = map,
            Value::Null => {} // An empty body has no fields; those that must be there are missed.
            other => fields.wrong_kind("", "an object", &other),
        }
        fields
    }

    /// Takes any value; `null` counts as absent.
    pub fn value(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.map.swap_remove(name).filter(|value| !value.is_null())
    }

    /// Takes a text that must be there and not be blank.
    pub fn required_text(&mut self, name: &'static str) -> String {
        let text = match self.value(name) {
            None => {
                self.missing(name);
                return String::new();
            }
            Some(value) => self.as_text(name, value).unwrap_or_default(),
        };
        if text.trim().is_empty() && !self.has_problem(name) {
            self.problem(name, "empty", "must not be empty");
        }
        text
    }

    /// Takes a text that may be absent.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self.value(name)?;
        self.as_text(name, value)
    }

    /// Takes a list of texts that may be absent.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        let items = match self.value(name)? {
            Value::Array(items) => items,
            other => {
                self.wrong_kind(name, "a list of texts", &other);
                return None;
            }
        };
        let texts: Option<Vec<String>> =
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
        if texts.is_none() {
            self.problem(name, "wrong_type", "every item must be a text");
        }
        texts
    }

    /// Takes an object that may be absent.
    pub fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        match self.value(name)? {
            Value::Object(map) => Some(map),
            other => {
                self.wrong_kind(name, "an object", &other);
                None
            }
        }
    }

    /// Takes a switch that may be absent.
    pub fn flag(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            self.wrong_kind(name, "true or false", &value);
        }
        value.as_bool()
    }

    /// Takes a whole number within bounds that may be absent.
    pub fn number(
        &mut self,
        name: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_u64().filter(|number| bounds.contains(number));
        if number.is_none() {
            let (low, high) = (bounds.start(), bounds.end());
            let detail = format!("must be a whole number from {low} to {high}");
            self.problem(name, "out_of_range", detail);
        }
        number
    }

    /// Takes an instant that may be absent.
    pub fn time(&mut self, name: &'static str) -> Option<Timestamp> {
        let text = self.text(name)?;
        text.parse().map_err(|fault| self.problem(name, "invalid_time", format!("{fault}"))).ok()
    }

    /// Takes an instant, written as a time or as how long before `now` it was (`7d`), that may be
    /// absent.
    pub fn time_or_ago(&mut self, name: &'static str, now: Timestamp) -> Option<Timestamp> {
        let text = self.text(name)?;
        if let Ok(ago) = parse_duration(&text) {
            return Some(now - ago);
        }
        text.parse().map_err(|fault| self.problem(name, "invalid_time", format!("{fault}"))).ok()
    }

    /// Takes a duration, a text or a number of seconds, that may be absent.
    pub fn duration(&mut self, name: &'static str) -> Option<Duration> {
        let text = match self.value(name)? {
            Value::Number(number) => number.to_string(),
            other => self.as_text(name, other)?,
        };
        parse_duration(&text)
            .map_err(|fault| self.problem(name, "invalid_duration", format!("{fault}")))
            .ok()
    }

    /// Notes that a field is missing.
    pub fn missing(&mut self, name: &str) {
        self.problem(name, "required", format!("`{name}` is required"));
    }

    /// Notes a problem of a field.
    pub fn problem(&mut self, name: &str, code: &str, detail: impl Into<String>) {
        let pointer =
            if name.is_empty() { self.base.clone() } else { pointer_to(&self.base, name) };
        self.problems.push(Problem::new(pointer, code, detail));
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// Returns every problem that was noted, unknown fields included.
    pub fn end(mut self) -> Result<(), Error> {
        for name in self.map.keys().filter(|name| !self.asked.contains(&name.as_str())) {
            let mut problem = Problem::new(
                pointer_to(&self.base, name),
                "unknown_field",
                format!("there is no field `{name}` here"),
            );
            if let Some(near) = nearest(name, self.asked.iter().copied()) {
                problem = problem.with_hint(format!("did you mean `{near}`?"));
            }
            self.problems.push(problem);
        }
        if self.problems.is_empty() { Ok(()) } else { Err(Error::Invalid(self.problems)) }
    }

    fn as_text(&mut self, name: &'static str, value: Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text),
            other => {
                self.wrong_kind(name, "a text", &other);
                None
            }
        }
    }

    fn wrong_kind(&mut self, name: &str, wanted: &str, found: &Value) {
        self.problem(name, "wrong_type", format!("must be {wanted}, not {}", kind_of(found)));
    }

    /// Returns whether something is wrong with a field already.
    #[must_use]
    pub fn has_problem(&self, name: &str) -> bool {
        let pointer = pointer_to(&self.base, name);
        self.problems.iter().any(|problem| problem.pointer == pointer)
    }
}

/// Returns what kind of JSON value it is, with its article.
#[must_use]
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_problem_is_noted_at_once() {
        let mut fields = Fields::new(json!({
            "title": 5, "limit": 900, "since": "yesterday", "colour": "red", "tags": ["a", 1],
        }));
        assert_eq!(fields.required_text("title"), "");
        assert_eq!(fields.required_text("teamId"), "");
        assert_eq!(fields.number("limit", 1..=200), None);
        assert_eq!(fields.time("since"), None);
        assert_eq!(fields.texts("tags"), None);
        assert_eq!(fields.text("color"), None);
        let Err(Error::Invalid(problems)) = fields.end() else { panic!("it has problems") };
        let codes: Vec<_> =
            problems.iter().map(|it| (it.pointer.as_str(), it.code.as_str())).collect();
        assert_eq!(
            codes,
            [
                ("/title", "wrong_type"),
                ("/teamId", "required"),
                ("/limit", "out_of_range"),
                ("/since", "invalid_time"),
                ("/tags", "wrong_type"),
                ("/colour", "unknown_field"),
            ]
        );
        assert_eq!(problems[5].hint.as_deref(), Some("did you mean `color`?"));
    }

    #[test]
    fn a_body_that_is_no_object_is_refused() {
        assert!(Fields::new(json!([1])).end().is_err());
        assert!(Fields::new(Value::Null).end().is_ok());
    }
}
