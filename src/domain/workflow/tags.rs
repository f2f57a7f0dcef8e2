//! Reads what a document says of itself: the version of its format, and its tags.

use super::fields::Fields;
use super::parse::Reading;
use crate::domain::problem::{Problem, pointer_to};

/// The version of the format of documents.
const FORMAT: u32 = 1;
const TAGS_MAX: usize = 20;
const TAG_CHARS_MAX: usize = 64;

impl<'a> Reading<'a> {
    /// Reads `flow`, which must be a version that is known, and `tags`.
    pub(super) fn tags(&self, body: &mut Fields<'a>) -> Option<Vec<String>> {
        if let Some(flow) = body.take(&["flow"])
            && flow.value.as_f64() != Some(f64::from(FORMAT))
        {
            let detail = format!("`flow` is the version of the format, which is {FORMAT}");
            flow.findings.problem(flow.problem("unknown_format", detail));
        }
        let Some(field) = body.take(&["tags"]) else { return Some(Vec::new()) };
        let list = field.list()?;
        if list.len() > TAGS_MAX {
            let detail = format!("{} tags are too many, the limit is {TAGS_MAX}", list.len());
            return field.report(field.problem("too_many", detail));
        }
        let mut tags: Vec<String> = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let tag = value.as_str().map(str::trim).unwrap_or_default();
            if tag.is_empty() || tag.chars().count() > TAG_CHARS_MAX {
                let at = pointer_to(&field.at, &index.to_string());
                let detail = format!("a tag is a text of 1 to {TAG_CHARS_MAX} characters");
                field.findings.problem(Problem::new(at, "invalid_tag", detail));
            } else if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        Some(tags)
    }
}
