//! Changes the text of a definition where its content changes, and leaves the rest as it was typed:
//! comments, order, empty lines and quotes.
//!
//! The text is read twice: as a value, and as a tree of places. The two values, before and after,
//! are walked along that tree, and only what differs is spelled anew. The result is read back; when
//! it does not mean what it should, the whole document is spelled anew, and the comments that this
//! costs are told.

mod places;
mod spell;
mod splice;
#[cfg(test)]
mod tests;
mod tree;

pub use places::line_of;

use serde_json::Value;

use super::document::{Format, TextLimits, parse_text};
use crate::domain::problem::Problem;

/// A text that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// The text.
    pub text: String,
    /// The comments that are no longer in it, without white space around them.
    pub lost: Vec<String>,
    /// How much of it was spelled anew.
    pub extent: Extent,
}

/// How much of a text was spelled anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// What differs.
    Touched,
    /// All of it: it is written in a way in which the parts cannot be told apart.
    Whole,
}

/// Returns the text that means `after` and is otherwise as `text`.
///
/// # Errors
/// Returns what is wrong with `text` when it cannot be read.
pub fn rewrite(text: &str, format: Format, after: &Value) -> Result<Rewritten, Problem> {
    let limits = TextLimits::default();
    let before = parse_text(text, format, limits)?;
    if before == *after {
        return Ok(Rewritten { text: text.to_owned(), lost: Vec::new(), extent: Extent::Touched });
    }
    if format == Format::Json {
        let text = pretty(after);
        return Ok(Rewritten { text, lost: Vec::new(), extent: Extent::Touched });
    }
    let means = |text: &String| {
        let read = parse_text(text, Format::Yaml, limits);
        read.is_ok_and(|value| value == *after)
    };
    let spliced = tree::read(text).map(|root| splice::splice(text, &root, &before, after));
    let (text_after, extent) = match spliced.filter(means) {
        Some(spliced) => (spliced, Extent::Touched),
        None => (spell::document(after), Extent::Whole),
    };
    let lost = lost(text, &text_after);
    Ok(Rewritten { text: text_after, lost, extent })
}

/// Spells a document as YAML.
#[must_use]
pub fn yaml(document: &Value) -> String {
    spell::document(document)
}

/// Spells a document as JSON.
#[must_use]
pub fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap_or_else(|_| document.to_string());
    text.push('\n');
    text
}

fn lost(before: &str, after: &str) -> Vec<String> {
    let mut kept = tree::comments(after);
    let mut lost = tree::comments(before);
    lost.retain(|comment| match kept.iter().position(|it| it == comment) {
        Some(place) => {
            kept.remove(place);
            false
        }
        None => true,
    });
    lost
}
