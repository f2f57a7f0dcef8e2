//! Spells values as YAML: in blocks at a column, or on one line.

use serde_json::Value;

use super::super::document::{Format, TextLimits, parse_text};
use super::tree::Quoting;

/// How long a list or an object may be that stands on one line, in bytes.
const ONE_LINE_BYTES_MAX: usize = 60;

/// Spells a whole document.
pub(super) fn document(value: &Value) -> String {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().map(|(key, value)| entry(key, value, 0)).collect()
        }
        other => format!("{}\n", inline(other)),
    }
}

/// Spells a key with its value on lines of their own.
pub(super) fn entry(key: &str, value: &Value, column: usize) -> String {
    let pad = " ".repeat(column);
    format!("{pad}{}:{}", scalar(key, Quoting::Plain), behind(value, column))
}

/// Spells an item with its dash on lines of their own.
pub(super) fn item(value: &Value, column: usize) -> String {
    let pad = " ".repeat(column);
    match value {
        Value::Object(fields) if !fields.is_empty() && !is_short(value) => {
            let lines: String =
                fields.iter().map(|(key, value)| entry(key, value, column + 2)).collect();
            format!("{pad}- {}", &lines[column + 2..])
        }
        Value::Array(items) if !items.is_empty() && !is_short(value) => {
            let lines: String = items.iter().map(|inner| item(inner, column + 2)).collect();
            format!("{pad}- {}", &lines[column + 2..])
        }
        Value::String(text) if is_literal(text) => format!("{pad}-{}", literal(text, column)),
        other => format!("{pad}- {}\n", inline(other)),
    }
}

/// Spells what stands behind a colon, up to the end of its last line.
fn behind(value: &Value, column: usize) -> String {
    match value {
        Value::Object(fields) if !fields.is_empty() && !is_short(value) => {
            let lines: String =
                fields.iter().map(|(key, value)| entry(key, value, column + 2)).collect();
            format!("\n{lines}")
        }
        Value::Array(items) if !items.is_empty() && !is_short(value) => {
            let lines: String = items.iter().map(|inner| item(inner, column + 2)).collect();
            format!("\n{lines}")
        }
        Value::String(text) if is_literal(text) => literal(text, column),
        other => format!(" {}\n", inline(other)),
    }
}

/// Short lists and objects without anything deeper read better on one line; a step never does.
fn is_short(value: &Value) -> bool {
    let is_flat = |value: &Value| !value.is_array() && !value.is_object();
    match value {
        Value::Object(fields) => {
            !fields.contains_key("id")
                && fields.values().all(is_flat)
                && inline(value).len() <= ONE_LINE_BYTES_MAX
        }
        Value::Array(items) => {
            items.iter().all(is_flat) && inline(value).len() <= ONE_LINE_BYTES_MAX
        }
        _ => true, // Anything else is one word.
    }
}

/// Spells a value on one line.
pub(super) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => scalar(text, Quoting::Plain),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline_inner).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| {
                format!("{}: {}", bracketed(key), inline_inner(value))
            };
            format!("{{ {} }}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
    }
}

fn inline_inner(value: &Value) -> String {
    match value {
        Value::String(text) => bracketed(text),
        other => inline(other),
    }
}

/// Inside brackets a comma or a bracket would end a plain text.
fn bracketed(text: &str) -> String {
    let plain = scalar(text, Quoting::Plain);
    let is_quoted = plain.starts_with('"');
    if !is_quoted && plain.contains([',', '[', ']', '{', '}', ':']) { quoted(text) } else { plain }
}

/// Spells a text on one line, quoted as before where that is possible, and only where needed else.
pub(super) fn scalar(text: &str, before: Quoting) -> String {
    let is_printable = !text.chars().any(char::is_control);
    match before {
        Quoting::Single if is_printable => format!("'{}'", text.replace('\'', "''")),
        Quoting::Plain if is_printable && is_plain(text) => text.to_owned(),
        Quoting::Plain | Quoting::Single | Quoting::Double => quoted(text),
    }
}

/// A string of JSON is one of YAML.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// Returns whether a text needs no quotes: it reads back as the same text.
fn is_plain(text: &str) -> bool {
    let risky = ["{{", ": ", " #"].iter().any(|part| text.contains(part));
    let ends = text.ends_with(':') || text.trim() != text || text.is_empty();
    // Words that older readers take for truths.
    let truth = ["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    let begins =
        text.starts_with(|first: char| !first.is_alphanumeric() && !"/._~(".contains(first));
    if risky || ends || truth || begins {
        return false;
    }
    let read = parse_text(text, Format::Yaml, TextLimits::default());
    read.is_ok_and(|value| value == text)
}

/// A text of several lines that a literal block can hold as it is.
fn is_literal(text: &str) -> bool {
    let lines = || text.split('\n');
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text.chars().any(|c| c.is_control() && c != '\n')
        && lines().all(|line| line.trim_end() == line)
}

fn literal(text: &str, column: usize) -> String {
    let pad = " ".repeat(column + 2);
    let (mark, body) = match text.strip_suffix('\n') {
        Some(body) => ("|", body),
        None => ("|-", text),
    };
    let line = |line: &str| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("{pad}{line}\n"),
    };
    format!(" {mark}\n{}", body.split('\n').map(line).collect::<String>())
}
