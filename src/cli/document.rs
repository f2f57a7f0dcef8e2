//! Definitions and payloads as they come from files, the standard input or an argument.

use std::io::Read;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::failure::Failure;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};

/// A workflow definition as its author wrote it.
pub struct Document {
    /// Where it came from, for messages.
    pub origin: String,
    /// The text, unchanged, so that the server's pointers fit it.
    pub text: String,
    /// What the text is.
    pub media_type: &'static str,
}

impl Document {
    /// Reads a file, or the standard input for `-`.
    pub fn read(path: &str) -> Result<Document, Failure> {
        let text = read_text(path)?;
        let extension = Path::new(path).extension().and_then(|extension| extension.to_str());
        let is_json = match extension {
            Some(extension) => extension.eq_ignore_ascii_case("json"),
            None => text.trim_start().starts_with(['{', '[']),
        };
        let media_type = if is_json { "application/json" } else { "application/yaml" };
        Ok(Document { origin: path.to_owned(), text, media_type })
    }

    /// Returns the text as one value; keys that stand twice are refused.
    pub fn parsed(&self) -> Result<Value, Failure> {
        let is_json = self.media_type == "application/json";
        let format = if is_json { Format::Json } else { Format::Yaml };
        parse_text(&self.text, format, TextLimits::default())
            .map_err(|problem| Failure::Usage(format!("{}: {}", self.origin, problem.detail)))
    }

    /// Returns the name under which the definition is saved.
    pub fn name(&self) -> Result<String, Failure> {
        let parsed: Value = if self.media_type == "application/json" {
            serde_json::from_str(&self.text)
                .with_context(|| format!("cannot read {}", self.origin))?
        } else {
            serde_norway::from_str(&self.text)
                .with_context(|| format!("cannot read {}", self.origin))?
        };
        let name = parsed["name"].as_str().map(as_name).filter(|name| !name.is_empty());
        let missing = || Failure::Usage(format!("{} has no `name`", self.origin));
        name.ok_or_else(missing)
    }
}

/// Makes a name out of a title, as Thena's definitions have one: lower case, digits, hyphens.
fn as_name(title: &str) -> String {
    let letters = title.to_lowercase();
    let words = letters.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// Reads JSON from an argument: the document itself, `@file`, or `-` for the standard input.
pub fn json_argument(argument: &str) -> Result<Value, Failure> {
    let text = match argument.strip_prefix('@') {
        Some(path) => read_text(path)?,
        None if argument == "-" => read_text("-")?,
        None => argument.to_owned(),
    };
    serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("`{argument}` is not JSON: {error}")))
}

fn read_text(path: &str) -> Result<String, Failure> {
    if path == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("cannot read the standard input")?;
        return Ok(text);
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::NotFound(format!("there is no file {path}")))
        }
        Err(error) => {
            Err(Failure::Other(anyhow::Error::new(error).context(format!("cannot read {path}"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_a_name() {
        for (title, name) in
            [("escalate-urgent", "escalate-urgent"), ("Escalate: now!", "escalate-now")]
        {
            assert_eq!(as_name(title), name);
        }
    }

    #[test]
    fn json_is_taken_from_an_argument_or_a_file() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("payload.json");
        std::fs::write(&path, "{\"a\": 1}").expect("the directory is ours");
        let from_file = json_argument(&format!("@{}", path.display())).expect("the file is JSON");
        assert_eq!(from_file, json_argument("{\"a\":1}").expect("it is JSON"));
        assert_eq!(json_argument("{").expect_err("it is cut off").exit_code(), 2);
        assert_eq!(json_argument("@/nowhere/x").expect_err("no such file").exit_code(), 3);
    }
}
