//! Checks whether what expressions give can fit the schema of the place where they stand.

use serde_json::Value;

use super::check::Subject;
use super::fields::Findings;
use super::reference::View;
use super::typing::{Kinds, Shape, Sight, descend, shape_of};
use crate::domain::path::Path;
use crate::domain::problem::{Problem, pointer_to};

/// Roots by which a text betrays that it was meant as a path.
const BETRAYING: [&str; 8] = [
    "trigger.",
    "steps.",
    "context.event.",
    "context.steps.",
    "item.",
    "secrets.",
    "vars.",
    "run.",
];

impl Subject<'_> {
    /// Checks the input of a call, place by place, against the schema of its activity.
    pub(super) fn check_fit(&self, input: &Value, at: &str, schema: &Value, view: View<'_>) {
        let fitting = Fitting { subject: self, view, root: schema };
        fitting.walk(input, at, &[schema]);
    }

    /// Returns what is known of the value of a text with expressions in it.
    pub(super) fn shape_of_text(&self, text: &str, view: View<'_>) -> Shape {
        let inner = text.strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
        let Some(inner) = inner.filter(|inner| !inner.contains("{{")) else {
            return Shape::of(Kinds::STRING); // Text around an expression makes a text.
        };
        self.shape_of_expression(inner.trim(), view)
    }

    fn shape_of_expression(&self, text: &str, view: View<'_>) -> Shape {
        let Some((before, filter)) = text.rsplit_once('|') else {
            return match Path::parse(text).map(|path| self.sight(&path, view)) {
                Ok(Sight::Known(shape)) if is_path(text) => shape,
                _ => Shape::unknown(), // An operation, or nothing that the schemas know.
            };
        };
        let filter = filter.trim();
        let (name, argument) = filter.split_once('(').unwrap_or((filter, ""));
        if !is_chain(before) || (!argument.is_empty() && !argument.ends_with(')')) {
            return Shape::unknown(); // Only a part of what is computed goes through the filter.
        }
        match name.trim() {
            "default" | "d" => {
                let argument = argument.trim_end_matches(')').trim();
                let before = self.shape_of_expression(before.trim(), view);
                let kinds = before.kinds.without_null().or(kinds_of_literal(argument));
                if before.kinds == Kinds::ALL { Shape::unknown() } else { Shape::of(kinds) }
            }
            "upper" | "lower" | "trim" | "string" | "title" | "capitalize" | "join"
            | "truncate" | "slug" | "plain" | "tojson" | "format" | "date" => {
                Shape::of(Kinds::STRING)
            }
            "length" | "count" | "int" => Shape::of(Kinds::INTEGER),
            "float" | "round" | "abs" | "sum" => Shape::of(Kinds::NUMBER),
            "list" | "sort" | "split" | "unique" | "lines" | "items" | "dictsort" => {
                Shape::of(Kinds::ARRAY)
            }
            "bool" => Shape::of(Kinds::BOOLEAN),
            _ => Shape::unknown(), // Others depend on what they work on.
        }
    }
}

/// A path, or something in brackets, and filters behind it.
fn is_chain(text: &str) -> bool {
    let base = text.split('|').next().unwrap_or_default().trim();
    let is_bracketed = base.starts_with('(')
        && base.ends_with(')')
        && !base[1..base.len() - 1].contains(['(', ')']);
    is_bracketed || is_path(base)
}

fn is_path(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || "._[]\"'*-".contains(c)) && !text.contains(" - ")
}

fn kinds_of_literal(text: &str) -> Kinds {
    match text.chars().next() {
        Some('"' | '\'') => Kinds::STRING,
        Some('[') => Kinds::ARRAY,
        Some('{') => Kinds::OBJECT,
        Some(digit) if digit.is_ascii_digit() || digit == '-' => Kinds::NUMBER,
        None => Kinds::STRING, // Without an argument it is the empty text.
        _ if text == "true" || text == "false" => Kinds::BOOLEAN,
        _ => Kinds::ALL, // Another expression.
    }
}

struct Fitting<'f, 'a> {
    subject: &'f Subject<'a>,
    view: View<'f>,
    root: &'f Value,
}

impl Fitting<'_, '_> {
    fn walk(&self, value: &Value, at: &str, schemas: &[&Value]) {
        match value {
            Value::String(text) if text.contains("{{") => self.check_text(text, at, schemas),
            Value::Object(fields) => {
                for (name, value) in fields {
                    self.walk(value, &pointer_to(at, name), &self.below(schemas, name));
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    let index = index.to_string();
                    self.walk(value, &pointer_to(at, &index), &self.below(schemas, &index));
                }
            }
            _ => {} // A constant is checked by the schema itself.
        }
    }

    fn below<'s>(&'s self, schemas: &[&'s Value], name: &str) -> Vec<&'s Value> {
        schemas.iter().flat_map(|schema| descend(self.root, schema, &[name])).collect()
    }

    fn check_text(&self, text: &str, at: &str, schemas: &[&Value]) {
        let wanted = schemas.iter().map(|schema| shape_of(self.root, schema)).reduce(Shape::or);
        let Some(wanted) = wanted.filter(|wanted| wanted.kinds != Kinds::ALL) else { return };
        let given = self.subject.shape_of_text(text, self.view);
        let (kinds, needed) = (given.kinds.without_null(), wanted.kinds.without_null());
        let findings = self.subject.findings;
        if !kinds.is_empty() && !needed.is_empty() && !kinds.meets(needed) {
            let detail = format!("it gives {}, but {} is needed", kinds.told(), needed.told());
            let problem =
                Problem::new(at, "invalid_input", detail).with_hint(remedy(kinds, needed));
            return match given.kinds.meets(wanted.kinds) {
                true => findings.warning(problem), // As long as it is null, it fits.
                false => findings.problem(problem),
            };
        }
        if let (Some(values), Some(allowed)) = (&given.values, &wanted.values) {
            let lacking = values.iter().find(|value| !value.is_null() && !allowed.contains(value));
            if let Some(value) = lacking {
                let detail = format!("it may give {value}, which is not allowed here");
                findings.warning(Problem::new(at, "invalid_input", detail));
            }
        }
    }
}

fn remedy(given: Kinds, needed: Kinds) -> &'static str {
    match (given, needed) {
        (Kinds::OBJECT, _) => "name a field inside of it",
        (Kinds::ARRAY, Kinds::STRING) => "join it, as with `| join(', ')`, or use a `forEach`",
        (_, Kinds::STRING) => "make it a text with `| string`",
        (_, Kinds::ARRAY) => "put it into a list: [\"{{ … }}\"]",
        (Kinds::STRING, needed) if needed.meets(Kinds::NUMBER) => {
            "let the expression stand alone, or make it a number with `| int`"
        }
        _ => "let the expression stand alone, and give it a value of this type",
    }
}

/// Warns of texts that look like paths but are none, as the braces are missing.
pub(super) fn warn_of_missing_braces(value: &Value, at: &str, findings: &Findings) {
    match value {
        Value::String(text) => {
            if let Some(meant) = meant_path(text) {
                let detail = format!("`{text}` is a text here, not the value of the path");
                let problem = Problem::new(at, "missing_braces", detail);
                findings.warning(problem.with_hint(format!("write {{{{ {meant} }}}}")));
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                warn_of_missing_braces(item, &pointer_to(at, &index.to_string()), findings);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                warn_of_missing_braces(field, &pointer_to(at, name), findings);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Returns the path that a text without braces, or with the wrong ones, was meant to be.
pub(super) fn meant_path(text: &str) -> Option<String> {
    let is_meant = |text: &str| {
        let is_plain = text.chars().all(|c| c.is_alphanumeric() || "._[]-".contains(c));
        is_plain
            && BETRAYING.iter().any(|root| text.starts_with(root))
            && Path::parse(text).is_ok_and(|path| path.segments().count() > 1)
    };
    if text.contains("{{") {
        return None;
    }
    if is_meant(text.trim()) {
        return Some(text.trim().to_owned());
    }
    let mut rest = text;
    while let Some((_, inner)) = rest.split_once(['{', '<']) {
        let end = inner.find(['}', '>'])?;
        let inside = inner[..end].trim();
        if is_meant(inside) {
            return Some(inside.to_owned());
        }
        rest = inner;
    }
    None
}
