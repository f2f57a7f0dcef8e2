//! A field to fill in, made from what is known of a setting or from a JSON Schema, and read back.

use askama::Template;
use askama::filters::HtmlSafe;
use serde_json::{Map, Value};

use super::sent::Sent;
use crate::domain::connection::{Field, Holds};
use crate::domain::problem::{Problem, pointer_to};
use crate::web::ui::parts::mark::capital;

/// Texts under these names are mostly longer than a line.
const LONG_NAMES: [&str; 6] = ["text", "body", "content", "description", "message", "prompt"];
/// A text that may have more characters gets more lines.
const LINE_CHARS_MAX: u64 = 300;

/// How a value is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A line, of a type that browsers know.
    Line(&'static str),
    /// Several lines.
    Long,
    /// Several lines of JSON.
    Json,
    /// One of a list.
    Choice,
}

/// A field with its label, help and value.
#[derive(Clone, Debug, Template)]
#[template(path = "admin/entry.html")]
pub struct Entry {
    id: String,
    name: String,
    label: String,
    help: String,
    shape: Shape,
    value: String,
    required: bool,
    choices: Vec<String>,
    /// What stands in an empty field.
    hint: String,
}

impl HtmlSafe for Entry {}

impl Entry {
    fn new(name: String, label: String, shape: Shape) -> Entry {
        Entry {
            id: format!("f-{}", name.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
            name,
            label,
            help: String::new(),
            shape,
            value: String::new(),
            required: false,
            choices: Vec::new(),
            hint: String::new(),
        }
    }

    /// Makes the field of a connection's setting.
    pub fn setting(field: &Field, value: Option<&Value>) -> Entry {
        let shape = match field.holds {
            _ if !field.choices.is_empty() => Shape::Choice,
            Holds::Text => Shape::Line("text"),
            Holds::Url => Shape::Line("url"),
            Holds::Number => Shape::Line("number"),
            Holds::Object => Shape::Json,
        };
        Entry {
            help: field.description.to_owned(),
            value: value.map(written).unwrap_or_default(),
            choices: field.choices.iter().map(|choice| (*choice).to_owned()).collect(),
            ..Entry::new(format!("settings.{}", field.name), worded(field.name), shape)
        }
    }

    /// Makes the field of a secret, which never shows a value.
    pub fn secret(name: &str, help: &str, hint: String) -> Entry {
        let entry = Entry::new(format!("secrets.{name}"), worded(name), Shape::Line("password"));
        Entry { help: help.to_owned(), hint, ..entry }
    }

    /// Makes the field of a property of a JSON Schema, under `<prefix>.<name>`.
    pub fn property(prefix: &str, name: &str, schema: &Value, value: Option<&Value>) -> Entry {
        let described = schema["description"].as_str().unwrap_or_default();
        let example = schema["examples"].get(0).map(written).unwrap_or_default();
        let (shape, choices) = shape_of(name, schema);
        Entry {
            help: described.to_owned(),
            value: value.map(written).unwrap_or_default(),
            choices,
            hint: if shape == Shape::Choice { String::new() } else { example },
            ..Entry::new(format!("{prefix}.{name}"), worded(name), shape)
        }
    }

    /// Makes several lines for JSON.
    pub fn json(name: &str, label: &str, help: &str, value: &Value) -> Entry {
        let value = if value.is_null() { String::new() } else { format!("{value:#}") };
        let entry = Entry::new(name.to_owned(), label.to_owned(), Shape::Json);
        Entry { help: help.to_owned(), value, ..entry }
    }

    /// Shows what was typed before.
    #[must_use]
    pub fn typed(self, sent: &Sent) -> Entry {
        if self.shape == Shape::Line("password") {
            return self;
        }
        let value = sent.text(&self.name).to_owned();
        Entry { value, ..self }
    }

    /// Says what it is for.
    #[must_use]
    pub fn about(self, help: &str) -> Entry {
        Entry { help: help.to_owned(), ..self }
    }

    /// Marks it as one that must be filled in.
    #[must_use]
    pub fn needed(self) -> Entry {
        Entry { required: true, ..self }
    }

    fn is_long(&self) -> bool {
        matches!(self.shape, Shape::Long | Shape::Json)
    }

    fn is_choice(&self) -> bool {
        self.shape == Shape::Choice
    }

    fn kind(&self) -> &'static str {
        match self.shape {
            Shape::Line(kind) => kind,
            Shape::Long | Shape::Json | Shape::Choice => "text",
        }
    }

    fn is_code(&self) -> bool {
        self.shape == Shape::Json
    }
}

/// Writes a value as it is typed: texts plainly, everything else as JSON.
pub fn written(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(_) | Value::Array(_) => format!("{value:#}"),
        other => other.to_string(),
    }
}

/// Writes a name such as `clientId` as words.
pub fn worded(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        match letter {
            '_' | '-' | '.' => words.push(' '),
            upper if upper.is_ascii_uppercase() && !words.is_empty() => {
                words.push(' ');
                words.push(upper.to_ascii_lowercase());
            }
            other => words.push(other),
        }
    }
    capital(words.trim())
}

/// Returns the first type of a schema that is not null.
pub fn type_of(schema: &Value) -> &str {
    let named = |value: &'_ Value| value.as_str().is_some_and(|name| name != "null");
    match &schema["type"] {
        Value::Array(all) => all.iter().find(|one| named(one)).and_then(Value::as_str),
        one => one.as_str(),
    }
    .unwrap_or_default()
}

fn shape_of(name: &str, schema: &Value) -> (Shape, Vec<String>) {
    let listed = schema["enum"].as_array().map(|all| all.iter().map(written).collect::<Vec<_>>());
    if let Some(choices) = listed {
        return (Shape::Choice, choices.into_iter().filter(|one| !one.is_empty()).collect());
    }
    let is_long = LONG_NAMES.contains(&name)
        || schema["maxLength"].as_u64().is_some_and(|chars| chars > LINE_CHARS_MAX);
    let shape = match type_of(schema) {
        "string" if is_long => Shape::Long,
        "string" => Shape::Line("text"),
        "integer" | "number" => Shape::Line("number"),
        "boolean" => return (Shape::Choice, vec!["true".to_owned(), "false".to_owned()]),
        "object" | "array" => Shape::Json,
        _ if is_long => Shape::Long,
        _ => Shape::Line("text"),
    };
    (shape, Vec::new())
}

/// Reads what was typed for a property; nothing where nothing was.
pub fn typed_value(schema: &Value, text: &str) -> Result<Option<Value>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(listed) = schema["enum"].as_array() {
        return Ok(listed.iter().find(|one| written(one) == text).cloned().or(Some(text.into())));
    }
    match type_of(schema) {
        "string" => Ok(Some(text.into())),
        "integer" | "number" => {
            let number = text.parse::<serde_json::Number>();
            number.map(|it| Some(it.into())).map_err(|_| "must be a number".to_owned())
        }
        "boolean" => Ok(Some(Value::Bool(text == "true"))),
        "object" | "array" => {
            serde_json::from_str(text).map(Some).map_err(|fault| format!("is no JSON: {fault}"))
        }
        // Anything goes: JSON is taken as such, everything else is a text.
        _ => Ok(Some(serde_json::from_str(text).unwrap_or_else(|_| text.into()))),
    }
}

/// Reads the properties of a schema that were filled in under `<prefix>.<name>`.
pub fn read_properties(
    prefix: &str,
    schema: &Value,
    sent: &Sent,
    problems: &mut Vec<Problem>,
) -> Map<String, Value> {
    let mut read = Map::new();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        match typed_value(inner, sent.text(&format!("{prefix}.{name}"))) {
            Ok(Some(value)) => drop(read.insert(name.clone(), value)),
            Ok(None) => {}
            Err(detail) => {
                problems.push(Problem::new(pointer_to("/input", name), "wrong_type", detail));
            }
        }
    }
    read
}

/// Reads several lines of JSON that must be an object; none where nothing was typed.
pub fn read_object(name: &str, sent: &Sent, problems: &mut Vec<Problem>) -> Map<String, Value> {
    let text = sent.text(name);
    if text.is_empty() {
        return Map::new();
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => return fields,
        Ok(_) => problems.push(Problem::new(format!("/{name}"), "wrong_type", "must be an object")),
        Err(fault) => {
            let detail = format!("is no JSON: {fault}");
            problems.push(Problem::new(format!("/{name}"), "syntax", detail));
        }
    }
    Map::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_become_words() {
        for (name, words) in
            [("clientId", "Client id"), ("bot_token", "Bot token"), ("baseUrl", "Base url")]
        {
            assert_eq!(worded(name), words);
        }
    }

    #[test]
    fn what_is_typed_becomes_what_the_schema_has() {
        for (schema, text, value) in [
            (json!({"type": "integer"}), "7", json!(7)),
            (json!({"type": ["null", "string"]}), "7", json!("7")),
            (json!({"type": "boolean"}), "true", json!(true)),
            (json!({"type": "array"}), "[1]", json!([1])),
            (json!({}), "{\"a\":1}", json!({"a": 1})),
            (json!({}), "plain", json!("plain")),
            (json!({"enum": [1, "b"]}), "1", json!(1)),
        ] {
            assert_eq!(typed_value(&schema, text), Ok(Some(value)), "{schema} {text}");
        }
        assert!(typed_value(&json!({"type": "object"}), "{").is_err());
        assert_eq!(typed_value(&json!({"type": "string"}), ""), Ok(None));
    }

    #[test]
    fn a_secret_never_shows_what_was_typed() {
        let entry = Entry::secret("token", "", "not set".to_owned());
        let html = entry.typed(&Sent::read(b"secrets.token=hush")).to_string();
        assert!(html.contains("type=\"password\"") && !html.contains("hush"), "{html}");
    }
}
