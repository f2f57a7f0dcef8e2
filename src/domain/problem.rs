//! What is wrong with something a user wrote: where, why, and what to do.

use serde::{Deserialize, Serialize};

/// One fault in a document, addressed by an RFC 6901 pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where: an RFC 6901 pointer into the document, `""` for the whole of it.
    pub pointer: String,
    /// What kind of fault, in snake case; stable.
    pub code: String,
    /// What is wrong, for a person.
    pub detail: String,
    /// What to do about it, where that can be said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// Describes a fault at `pointer`.
    pub fn new(pointer: impl Into<String>, code: &str, detail: impl Into<String>) -> Problem {
        Problem {
            pointer: pointer.into(),
            code: code.to_owned(),
            detail: detail.into(),
            hint: None,
        }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }
}

/// Appends one segment to an RFC 6901 pointer, escaped.
#[must_use]
pub fn pointer_to(base: &str, segment: &str) -> String {
    format!("{base}/{}", segment.replace('~', "~0").replace('/', "~1"))
}

/// Returns the name among `known` that is nearest to `typed`, if one is near enough to be meant.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (typed.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(typed, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Counts the letters that are wrong, missing, too many, or swapped with their neighbour.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (line, a) in left.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, b) in right.iter().enumerate() {
            let substituted = above[column] + usize::from(a != b);
            let mut least = substituted.min(above[column + 1] + 1).min(row[column] + 1);
            let is_swapped =
                line > 0 && column > 0 && *a == right[column - 1] && left[line - 1] == *b;
            if is_swapped {
                least = least.min(before[column - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none_is() {
        assert_eq!(nearest("~startz", ["~eq", "~starts", "~ends"]), Some("~starts"));
        assert_eq!(nearest("titel", ["status", "title"]), Some("title"));
        assert_eq!(nearest("banana", ["~eq", "~starts"]), None);
    }

    #[test]
    fn pointers_escape_their_segments() {
        assert_eq!(pointer_to("/filter", "a/~b"), "/filter/a~1~0b");
    }
}
