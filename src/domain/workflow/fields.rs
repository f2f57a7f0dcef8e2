//! Takes an object apart key by key and collects every fault on the way.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::codes::{find, hinted};
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::time::{format_duration, parse_duration};

/// How many problems of one document are told.
const PROBLEMS_MAX: usize = 200;

/// What was found wrong or doubtful so far.
#[derive(Default)]
pub(super) struct Findings {
    problems: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Findings {
    pub(super) fn problem(&self, problem: Problem) {
        debug_assert!(find(&problem.code).is_some(), "`{}` has no row in `codes.rs`", problem.code);
        let problem = hinted(problem);
        let mut problems = self.problems.borrow_mut();
        match problems.len() {
            0..PROBLEMS_MAX => problems.push(problem),
            PROBLEMS_MAX => {
                let detail =
                    format!("there are more than {PROBLEMS_MAX} problems; the rest is not told");
                problems.push(hinted(Problem::new("", "too_many_problems", detail)));
            }
            _ => (), // Nobody reads so far, and a hostile document could have a million.
        }
    }

    pub(super) fn warning(&self, problem: Problem) {
        debug_assert!(find(&problem.code).is_some(), "`{}` has no row in `codes.rs`", problem.code);
        let mut warnings = self.warnings.borrow_mut();
        // One expression may read the same place twice.
        let is_told = warnings.iter().any(|told| {
            (&told.pointer, &told.code, &told.detail)
                == (&problem.pointer, &problem.code, &problem.detail)
        });
        if !is_told && warnings.len() < PROBLEMS_MAX {
            warnings.push(hinted(problem));
        }
    }

    /// Unwraps what another parser found, keeping its problems.
    pub(super) fn keep<T>(&self, parsed: Result<T, Vec<Problem>>) -> Option<T> {
        parsed
            .map_err(|problems| problems.into_iter().for_each(|problem| self.problem(problem)))
            .ok()
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, Vec<Problem>) {
        (self.problems.into_inner(), self.warnings.into_inner())
    }
}

/// An object that is being read: every key must be asked for, or it is unknown.
pub(super) struct Fields<'a> {
    pub(super) at: String,
    map: &'a Map<String, Value>,
    findings: &'a Findings,
    asked: Vec<&'static str>,
    refused: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Opens an object, or reports that the value is none.
    pub(super) fn open(value: &'a Value, at: &str, findings: &'a Findings) -> Option<Fields<'a>> {
        let Some(map) = value.as_object() else {
            let detail = format!("expected an object, found {}", kind_of(value));
            let hint = "write {key: value}, or indented `key: value` lines";
            findings.problem(Problem::new(at, "wrong_type", detail).with_hint(hint));
            return None;
        };
        Some(Fields { at: at.to_owned(), map, findings, asked: Vec::new(), refused: Vec::new() })
    }

    /// Takes the value that stands under one of several spellings of a key; `null` counts as
    /// absent, and two spellings at once must agree.
    pub(super) fn take(&mut self, names: &[&'static str]) -> Option<Field<'a>> {
        self.asked.extend(names);
        let mut found: Option<Field<'a>> = None;
        for name in names {
            let Some(value) = self.map.get(*name).filter(|value| !value.is_null()) else {
                continue;
            };
            let at = pointer_to(&self.at, name);
            match &found {
                None => found = Some(Field { value, at, name, findings: self.findings }),
                Some(first) if first.value == value => (),
                Some(first) => self.clash(first.name, name),
            }
        }
        found
    }

    /// Takes a key that must be there; its absence is reported with `hint`.
    pub(super) fn need(&mut self, names: &[&'static str], hint: &str) -> Option<Field<'a>> {
        let field = self.take(names);
        if field.is_none() {
            self.lack(names[0], hint);
        }
        field
    }

    /// Reports that a key is missing.
    pub(super) fn lack(&self, name: &str, hint: &str) {
        let detail = format!("`{name}` is missing");
        self.findings.problem(Problem::new(&*self.at, "missing", detail).with_hint(hint));
    }

    /// Reports that two keys say the same thing differently.
    pub(super) fn clash(&self, first: &str, second: &str) {
        let detail = format!("`{first}` and `{second}` say the same thing differently");
        let problem = Problem::new(pointer_to(&self.at, second), "ambiguous", detail);
        self.findings.problem(problem.with_hint("keep one of them"));
    }

    /// Reports a key that asks for something that does not exist here, unless it is switched off.
    pub(super) fn refuse(&mut self, name: &'static str, sentence: &str) -> Option<Refused> {
        self.refused.push(name);
        let asks = self.map.get(name).is_some_and(|value| !is_off(value));
        asks.then(|| {
            let at = pointer_to(&self.at, name);
            self.findings.problem(Problem::new(at, "not_supported", sentence));
            Refused
        })
    }

    /// Reports a key that has no place beside another one, unless it is switched off.
    pub(super) fn refuse_beside(&self, name: &str, sentence: &str) {
        if self.map.get(name).is_some_and(|value| !is_off(value) && value != "none") {
            let at = pointer_to(&self.at, name);
            self.findings.problem(Problem::new(at, "not_supported", sentence));
        }
    }

    /// Reports every key that nobody asked for.
    pub(super) fn close(self) {
        let is_known = |key: &str| self.asked.contains(&key) || self.refused.contains(&key);
        for key in self.map.keys().filter(|key| !is_known(key)) {
            let problem = Problem::new(
                pointer_to(&self.at, key),
                "unknown_key",
                format!("`{key}` is not known here"),
            );
            let hint = nearest(key, self.asked.iter().copied()).map_or_else(
                || format!("known keys: {}", self.asked.join(", ")),
                |name| format!("did you mean `{name}`?"),
            );
            self.findings.problem(problem.with_hint(hint));
        }
    }
}

/// Says that an unsupported key was there and has been reported.
pub(super) struct Refused;

/// One value on its way into a type.
pub(super) struct Field<'a> {
    pub(super) value: &'a Value,
    pub(super) at: String,
    pub(super) name: &'static str,
    pub(super) findings: &'a Findings,
}

impl<'a> Field<'a> {
    pub(super) fn problem(&self, code: &str, detail: impl Into<String>) -> Problem {
        Problem::new(&*self.at, code, detail)
    }

    pub(super) fn report<T>(&self, problem: Problem) -> Option<T> {
        self.findings.problem(problem);
        None
    }

    fn wrong<T>(&self, expected: impl Display) -> Option<T> {
        let expected = expected.to_string();
        let detail = format!("expected {expected}, found {}", kind_of(self.value));
        let problem = self.problem("wrong_type", detail);
        self.report(match (expected.as_str(), self.value) {
            ("a string", Value::Number(_) | Value::Bool(_)) => {
                problem.with_hint(format!("put it in quotes: \"{}\"", self.value))
            }
            ("a list", _) => problem.with_hint("write [ … ], or one `- ` line for each element"),
            ("true or false", _) => problem.with_hint("write true or false, without quotes"),
            ("a number" | "a whole number", Value::String(_)) => {
                problem.with_hint("write it without quotes")
            }
            _ => problem,
        })
    }

    pub(super) fn object(&self) -> Option<Fields<'a>> {
        Fields::open(self.value, &self.at, self.findings)
    }

    pub(super) fn list(&self) -> Option<&'a Vec<Value>> {
        self.value.as_array().or_else(|| self.wrong("a list"))
    }

    /// Returns the elements of this field's list, each with its own place.
    pub(super) fn elements(&self, list: &'a [Value]) -> Vec<Field<'a>> {
        let element = |(index, value): (usize, &'a Value)| Field {
            value,
            at: pointer_to(&self.at, &index.to_string()),
            name: self.name,
            findings: self.findings,
        };
        list.iter().enumerate().map(element).collect()
    }

    pub(super) fn text(&self) -> Option<&'a str> {
        self.value.as_str().or_else(|| self.wrong("a string"))
    }

    pub(super) fn truth(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.wrong("true or false"))
    }

    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = self.value.as_f64().or_else(|| self.wrong("a number"))?;
        if range.contains(&number) {
            return Some(number);
        }
        let detail = format!("{number} is not between {} and {}", range.start(), range.end());
        self.report(self.problem("out_of_range", detail))
    }

    pub(super) fn whole(&self, range: RangeInclusive<u32>) -> Option<u32> {
        let number = self.value.as_f64().or_else(|| self.wrong("a whole number"))?;
        if number.fract() != 0.0 {
            return self.report(self.problem("wrong_type", format!("{number} is not whole")));
        }
        self.number(f64::from(*range.start())..=f64::from(*range.end())).map(|whole| whole as u32)
    }

    /// Reads `"1h30m"` or a number of seconds, to the millisecond.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let text = match self.value {
            Value::String(text) => text.clone(),
            Value::Number(seconds) => seconds.to_string(),
            _ => return self.wrong("a duration such as 30s, or a number of seconds"),
        };
        let duration = match parse_duration(&text) {
            Ok(duration) => {
                Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
            }
            Err(error) => return self.report(self.problem("invalid_duration", error.to_string())),
        };
        if range.contains(&duration) {
            return Some(duration);
        }
        let detail = format!(
            "{} is not between {} and {}",
            format_duration(duration),
            format_duration(*range.start()),
            format_duration(*range.end()),
        );
        self.report(self.problem("out_of_range", detail))
    }

    /// Reads one of a few words, in upper or lower case.
    pub(super) fn choice<T: Copy>(&self, words: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        if let Some((_, meant)) = found {
            return Some(*meant);
        }
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let problem =
            self.problem("not_allowed", format!("`{text}` is not a value of `{}`", self.name));
        self.report(match nearest(&text.to_lowercase(), allowed.iter().copied()) {
            Some(near) => {
                problem.with_hint(format!("did you mean `{near}`? allowed: {}", allowed.join(", ")))
            }
            None => problem.with_hint(format!("allowed: {}", allowed.join(", "))),
        })
    }
}

/// Names the JSON type of a value for a sentence.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Tells whether a value says no more than its absence would.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) | Value::Number(_) => false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
    }
}
