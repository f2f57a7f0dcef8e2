//! The fields that a form of the editor posts.

use serde_json::{Map, Number, Value};

use crate::app::desk::Precondition;
use crate::app::drafts::DraftLock;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

/// What a form posted, in its order.
#[derive(Clone, Debug, Default)]
pub struct Posted(pub Vec<(String, String)>);

impl Posted {
    /// Reads the body of a form; browsers end lines with CR LF, which no text keeps.
    pub fn read(body: &[u8]) -> Posted {
        let pairs = url::form_urlencoded::parse(body).into_owned();
        Posted(pairs.map(|(name, value)| (name, value.replace("\r\n", "\n"))).collect())
    }

    /// Returns a field as it was posted.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Returns a field; empty without it.
    pub fn text(&self, name: &str) -> &str {
        self.given(name).unwrap_or_default()
    }

    /// Returns which draft the form was made for.
    pub fn lock(&self) -> DraftLock {
        let seen = Precondition::any_of(vec![self.text("revision").to_owned()]);
        DraftLock { seen, hand: self.text("hand").to_owned() }
    }

    /// Returns the inputs with the way in which each is to be read: `in:a/b` beside `as:a/b`.
    pub fn inputs(&self) -> Vec<(Vec<String>, &str, &str)> {
        let inputs = self.0.iter().filter_map(|(name, value)| {
            let path = name.strip_prefix("in:")?;
            let kind = self.text(&format!("as:{path}"));
            Some((path.split('/').map(unescaped).collect(), kind, value.as_str()))
        });
        inputs.collect()
    }
}

/// A name of a field as a segment of a path.
pub fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

/// Makes a value of what was typed; `None` where nothing was. What does not fit its kind stays a
/// text, so that nothing that was typed is lost: the check tells what is wrong with it.
pub fn value_of(kind: &str, typed: &str) -> Option<Value> {
    let text = typed.trim();
    if text.is_empty() {
        return None;
    }
    let as_text = || Value::from(typed.trim_end_matches('\n'));
    Some(match kind {
        _ if is_expression(text) => Value::from(text),
        "number" => number(text).map_or_else(as_text, Value::Number),
        "truth" => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => as_text(),
        },
        "list" => Value::Array(lines(text)),
        "json" => structured(text),
        "choice" => serde_json::from_str(text).unwrap_or_else(|_| as_text()),
        _ => as_text(),
    })
}

fn number(text: &str) -> Option<Number> {
    serde_json::from_str(text).ok()
}

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(Value::from).collect()
}

/// Reads YAML or JSON; what is neither stays a text.
pub fn structured(text: &str) -> Value {
    let read = parse_text(text, Format::Yaml, TextLimits::default());
    read.unwrap_or_else(|_| Value::from(text))
}

/// Returns whether a text is one expression and nothing else.
pub fn is_expression(text: &str) -> bool {
    let inner = text.trim().strip_prefix("{{").and_then(|text| text.strip_suffix("}}"));
    inner.is_some_and(|inner| !inner.contains("{{"))
}

/// Sets the value at a path, making objects on the way; `None` takes it away.
pub fn set(target: &mut Value, path: &[String], value: Option<Value>) {
    let [first, rest @ ..] = path else { return };
    if let Some(items) = target.as_array_mut() {
        let item = first.parse::<usize>().ok().and_then(|index| items.get_mut(index));
        match (item, rest) {
            (Some(item), [_, ..]) => set(item, rest, value),
            (Some(item), []) => *item = value.unwrap_or(Value::Null),
            (None, _) => {} // A list grows by its own buttons.
        }
        return;
    }
    if !target.is_object() {
        if value.is_none() {
            return;
        }
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return };
    if rest.is_empty() {
        match value {
            Some(value) => drop(fields.insert(first.clone(), value)),
            None => drop(fields.shift_remove(first)),
        }
        return;
    }
    if value.is_none() && !fields.contains_key(first) {
        return;
    }
    set(fields.entry(first.clone()).or_insert(Value::Null), rest, value);
    // An object that the form emptied was never meant to stand there empty.
    if fields[first].as_object().is_some_and(Map::is_empty) || fields[first].is_null() {
        fields.shift_remove(first);
    }
}
