//! The fields of a card, made from a JSON Schema: each takes a value as it is or an expression.

use serde_json::Value;

use super::posted::{escaped, is_expression};
use crate::domain::expression::Template;
use crate::domain::problem::Problem;
use crate::domain::scope::Scope;

/// How long a value may be that is shown under its expression, in characters.
const SHOWN_CHARS_MAX: usize = 160;
/// How deep objects become fields of their own.
const DEPTH_MAX: usize = 3;
const CHOICES_MAX: usize = 40;

/// One field.
#[derive(Clone, Debug)]
pub struct Control {
    /// The path from its step, such as `input/body`; what the form posts.
    pub name: String,
    /// Its id on the page.
    pub id: String,
    /// What it is called.
    pub label: String,
    /// What the schema says of it.
    pub about: String,
    /// A value as it could be.
    pub example: String,
    /// Whether the activity needs it.
    pub required: bool,
    /// What is typed or chosen.
    pub widget: Widget,
    /// What it holds, as it is typed.
    pub text: String,
    /// Whether something stands there.
    pub is_set: bool,
    /// Whether it can be shown as an expression in place of its own kind.
    pub can_toggle: bool,
    /// What its expressions give.
    pub outcome: Outcome,
    /// What the check says of it.
    pub problems: Vec<String>,
}

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Widget {
    /// One line.
    Line,
    /// Several lines.
    Long,
    /// A number.
    Number,
    /// One of some values: as it is posted, as it is shown.
    Choice(Vec<String>),
    /// Yes or no.
    Truth,
    /// A value on each line.
    List,
    /// YAML.
    Free,
    /// One expression.
    Expression,
}

impl Widget {
    /// Returns how what is typed is read.
    pub fn kind(&self) -> &'static str {
        match self {
            Widget::Line | Widget::Long => "text",
            Widget::Number => "number",
            Widget::Choice(_) => "choice",
            Widget::Truth => "truth",
            Widget::List => "list",
            Widget::Free => "json",
            Widget::Expression => "expression",
        }
    }
}

/// What the expressions of a field give in the sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds none.
    Nothing,
    /// This.
    Value(String),
    /// They fail: why, and a line with a caret under the place.
    Fault {
        /// Why.
        detail: String,
        /// The text and the caret below it; empty where the place is not known.
        caret: String,
    },
}

/// What fields are made with.
pub struct Making<'m> {
    /// What expressions see.
    pub scope: &'m Scope,
    /// The fields that are to be shown as expressions.
    pub fx: &'m [&'m str],
    /// What the check says of the document.
    pub problems: &'m [Problem],
    /// The pointer of the step.
    pub at: &'m str,
}

impl Making<'_> {
    /// Makes the fields of an object at `path`, those that are needed or filled in first.
    pub fn object(&self, schema: &Value, value: &Value, path: &str) -> Vec<Control> {
        let mut made = Vec::new();
        self.collect(schema, value, path, 0, &mut made);
        made.sort_by_key(|control| !control.required);
        made
    }

    fn collect(
        &self,
        schema: &Value,
        value: &Value,
        path: &str,
        depth: usize,
        made: &mut Vec<Control>,
    ) {
        let required = schema["required"].as_array();
        let is_required = |name: &str| {
            required.is_some_and(|names| names.iter().any(|known| known.as_str() == Some(name)))
        };
        let declared = schema["properties"].as_object();
        for (name, inner) in declared.into_iter().flatten() {
            let place = format!("{path}/{}", escaped(name));
            let held = &value[name];
            let has_fields = inner["properties"].as_object().is_some_and(|all| !all.is_empty());
            if has_fields && depth + 1 < DEPTH_MAX && held.is_object() {
                self.collect(inner, held, &place, depth + 1, made);
            } else {
                made.push(self.control(inner, held, &place, is_required(name)));
            }
        }
        let held = value.as_object().into_iter().flatten();
        for (name, held) in
            held.filter(|(name, _)| !declared.is_some_and(|all| all.contains_key(*name)))
        {
            let place = format!("{path}/{}", escaped(name));
            made.push(self.control(&Value::Null, held, &place, false));
        }
    }

    /// Makes one field.
    pub fn control(&self, schema: &Value, held: &Value, name: &str, required: bool) -> Control {
        let own = widget(schema, held, name);
        let holds_expression = held.as_str().is_some_and(is_expression);
        let can_toggle = !matches!(own, Widget::Line | Widget::Long | Widget::Number);
        let wanted = self.fx.contains(&name);
        let widget = match can_toggle && (holds_expression || wanted) {
            true => Widget::Expression,
            false => own,
        };
        let pointer = format!("{}/{name}", self.at);
        let label = name.split_once('/').map_or(name, |(_, rest)| rest);
        Control {
            id: format!("f-{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
            name: name.to_owned(),
            label: label.replace("~1", "/").replace("~0", "~").replace('/', " › "),
            about: schema["description"].as_str().unwrap_or_default().to_owned(),
            example: example(schema),
            required,
            text: typed(held, &widget),
            is_set: !held.is_null(),
            can_toggle,
            outcome: self.outcome(held),
            problems: self.problems_at(&pointer),
            widget,
        }
    }

    /// Tells what is wrong at a place or inside it.
    pub fn problems_at(&self, pointer: &str) -> Vec<String> {
        let is_here = |problem: &&Problem| {
            let rest = problem.pointer.strip_prefix(pointer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let told = |problem: &Problem| match &problem.hint {
            Some(hint) => format!("{} ({hint})", problem.detail),
            None => problem.detail.clone(),
        };
        self.problems.iter().filter(is_here).map(told).collect()
    }

    fn outcome(&self, held: &Value) -> Outcome {
        let written = match held {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        if !written.contains("{{") {
            return Outcome::Nothing;
        }
        let text = held.as_str().unwrap_or_default();
        match Template::parse(held, "") {
            Err(problems) => {
                let detail = problems.first().map(|it| it.detail.clone()).unwrap_or_default();
                let caret = caret(text, column_in(&detail));
                Outcome::Fault { detail, caret }
            }
            Ok(template) => match template.render(self.scope) {
                Ok(value) => Outcome::Value(shown(&value)),
                Err(error) => {
                    let place =
                        text.find(&error.expression).map(|at| text[..at].chars().count() + 1);
                    let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
                    let detail = format!("{}{hint}", error.detail);
                    Outcome::Fault { detail, caret: caret(text, place) }
                }
            },
        }
    }
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Reads the column out of `column 12: …`.
fn column_in(detail: &str) -> Option<usize> {
    let rest = detail.strip_prefix("column ")?;
    rest.split(':').next()?.parse().ok()
}

/// Draws a caret under a column, counted from 1, of a text of one line.
fn caret(text: &str, column: Option<usize>) -> String {
    match column {
        Some(column) if !text.contains('\n') && text.chars().count() < 120 => {
            format!("{text}\n{}^", " ".repeat(column.saturating_sub(1)))
        }
        _ => String::new(), // The place cannot be pointed at.
    }
}

fn widget(schema: &Value, held: &Value, name: &str) -> Widget {
    if let Some(values) = schema["enum"].as_array().filter(|it| it.len() <= CHOICES_MAX) {
        return Widget::Choice(values.iter().map(as_typed).collect());
    }
    match kind_of(schema, held) {
        "boolean" => Widget::Truth,
        "number" | "integer" => Widget::Number,
        "array" if is_list(schema, held) => Widget::List,
        "array" | "object" => Widget::Free,
        _ if is_long(schema, held, name) => Widget::Long,
        _ => Widget::Line,
    }
}

/// Tells the type that a field takes; of several alternatives that which stands there.
fn kind_of<'s>(schema: &'s Value, held: &Value) -> &'s str {
    let really = match held {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        _ => "", // A text may stand for anything.
    };
    let declared = match &schema["type"] {
        Value::String(kind) => kind.as_str(),
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null");
            let first = kinds.next().unwrap_or_default();
            if kinds.next().is_some() { "string" } else { first }
        }
        _ => {
            let ways = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
            let is_scalar = |way: &Value| {
                way.get("const").is_some()
                    || !matches!(way["type"].as_str(), Some("object" | "array") | None)
            };
            match ways {
                Some(ways) if ways.iter().all(is_scalar) => "string",
                None if schema.is_null() && really.is_empty() => "string",
                _ => "object", // It is free.
            }
        }
    };
    match (declared, really) {
        ("object" | "array", "") | (_, "") => declared,
        (_, "object") => "object",
        _ => "array",
    }
}

/// A list of plain values without a line end in any of them.
fn is_list(schema: &Value, held: &Value) -> bool {
    let items = match held {
        Value::Array(items) => items.as_slice(),
        _ => &[],
    };
    let is_plain = |item: &Value| item.as_str().is_some_and(|text| !text.contains('\n'));
    let kind = schema["items"]["type"].as_str();
    matches!(kind, Some("string")) && items.iter().all(is_plain)
}

fn is_long(schema: &Value, held: &Value, name: &str) -> bool {
    const LONG: [&str; 6] = ["content", "text", "description", "message", "html", "htmlContent"];
    let last = name.rsplit('/').next().unwrap_or(name);
    let has_lines = held.as_str().is_some_and(|text| text.contains('\n') || text.len() > 90);
    has_lines || LONG.contains(&last) || schema["maxLength"].as_u64().is_some_and(|max| max > 2_000)
}

/// Returns a value as it is typed into its field.
fn typed(held: &Value, widget: &Widget) -> String {
    match (held, widget) {
        (Value::Null, _) => String::new(),
        (Value::String(text), _) => text.clone(),
        (Value::Array(items), Widget::List) => {
            items.iter().map(as_typed).collect::<Vec<_>>().join("\n")
        }
        (Value::Object(_) | Value::Array(_), _) => yaml_of(held),
        (other, _) => other.to_string(),
    }
}

/// Spells a part of a document as YAML.
pub fn yaml_of(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(_) => crate::domain::workflow::source::yaml(value),
        Value::Array(_) => {
            let spelled = serde_norway::to_string(value);
            spelled.unwrap_or_else(|_| value.to_string())
        }
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.trim_end().to_owned()
}

fn as_typed(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn example(schema: &Value) -> String {
    let given = schema["examples"].get(0).or_else(|| schema.get("example"));
    match given {
        Some(value) => as_typed(value),
        None if schema["format"] == "date-time" => "2026-11-23T10:00:00Z".to_owned(),
        None if schema["format"] == "duration" => "30s".to_owned(),
        None if schema["format"] == "uri" => "https://example.com/".to_owned(),
        None => String::new(),
    }
}
