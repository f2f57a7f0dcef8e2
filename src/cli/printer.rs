//! What a command answers: a short table for people, JSON for programs.

use std::io::{self, Write};

use serde_json::Value;

/// The form of a command's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Aligned columns and sentences.
    People,
    /// One JSON document.
    Json,
}

/// Writes answers in the form that was asked for.
pub struct Printer<'a> {
    /// The form of every answer.
    pub form: Form,
    out: &'a mut dyn Write,
}

impl<'a> Printer<'a> {
    /// Writes to `out`.
    pub fn new(form: Form, out: &'a mut dyn Write) -> Printer<'a> {
        Printer { form, out }
    }

    /// Writes `answer` for a program, or what `people` writes of it for a person.
    pub fn print(
        &mut self,
        answer: &Value,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        match self.form {
            Form::People => people(self.out)?,
            Form::Json => writeln!(self.out, "{answer:#}")?,
        }
        self.out.flush()
    }

    /// Writes a text as it stands, in either form.
    pub fn text(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            self.out.write_all(b"\n")?;
        }
        self.out.flush()
    }
}

/// Writes the items of a list as columns, each a title and a JSON pointer into an item.
pub fn list(
    out: &mut dyn Write,
    items: &Value,
    columns: &[(&str, &str)],
    empty: &str,
) -> io::Result<()> {
    let items = items.as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return writeln!(out, "{empty}");
    }
    let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
    let rows = items
        .iter()
        .map(|item| columns.iter().map(|(_, pointer)| cell(item, pointer)).collect())
        .collect();
    table(out, titles, rows)
}

/// Writes rows under titles, each column as wide as its widest cell.
pub fn table(out: &mut dyn Write, titles: Vec<String>, rows: Vec<Vec<String>>) -> io::Result<()> {
    let all: Vec<Vec<String>> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| {
        all.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    for row in &all {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let padding = width(column).unwrap_or(0) - cell.chars().count();
            line.push_str(cell);
            line.push_str(&" ".repeat(padding + 2));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Returns what a person reads at `pointer`: `-` for nothing, times to the second.
#[must_use]
pub fn cell(item: &Value, pointer: &str) -> String {
    match item.pointer(pointer).unwrap_or(&Value::Null) {
        Value::Null => "-".to_owned(),
        Value::String(text) if text.is_empty() => "-".to_owned(),
        Value::String(text) => to_the_second(text).unwrap_or_else(|| text.replace('\n', " ")),
        Value::Array(items) => {
            items.iter().map(|item| cell(item, "")).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// Shortens `2026-11-23T10:00:00.000Z` to `2026-11-23 10:00:00Z`.
fn to_the_second(text: &str) -> Option<String> {
    let moment: crate::domain::time::Timestamp = text.parse().ok()?;
    let full = moment.to_string();
    let seconds = full.get(..19)?.replace('T', " ");
    Some(format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_list_is_aligned_and_says_when_it_is_empty() {
        let items = json!([
            { "id": "run_1", "endedAt": null, "at": "2026-11-23T10:00:00.000Z" },
            { "id": "r2", "endedAt": 3, "scopes": ["a", "b"] },
        ]);
        let columns = [("ID", "/id"), ("AT", "/at"), ("SCOPES", "/scopes"), ("END", "/endedAt")];
        let mut text = Vec::new();
        list(&mut text, &items, &columns, "nothing").expect("memory takes every write");
        assert_eq!(
            String::from_utf8(text).expect("tables are text"),
            "ID     AT                    SCOPES  END\n\
             run_1  2026-11-23 10:00:00Z  -       -\n\
             r2     -                     a,b     3\n"
        );
        let mut text = Vec::new();
        list(&mut text, &json!([]), &columns, "nothing").expect("memory takes every write");
        assert_eq!(text, b"nothing\n");
    }
}
