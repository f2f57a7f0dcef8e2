//! Follows `$ref` within one document; what lies outside of it is refused.

use serde_json::Value;

use super::{Limits, Version};
use crate::domain::problem::{Problem, pointer_to};

/// How many references may lead to one another.
const HOPS_MAX: usize = 16;

/// A document with what it is read by.
pub(super) struct Document<'d> {
    pub(super) root: &'d Value,
    pub(super) version: Version,
    pub(super) limits: Limits,
}

impl<'d> Document<'d> {
    pub(super) fn new(root: &'d Value, version: Version, limits: Limits) -> Document<'d> {
        Document { root, version, limits }
    }

    /// Follows the reference that stands at `at`, if it is one; answers what it leads to, and where
    /// that stands.
    pub(super) fn followed(
        &self,
        value: &'d Value,
        at: &str,
    ) -> Result<(&'d Value, String), Problem> {
        let (mut value, mut place) = (value, at.to_owned());
        for _ in 0..HOPS_MAX {
            let Some(target) = value.get("$ref") else { return Ok((value, place)) };
            (value, place) = self.target(target, &pointer_to(at, "$ref"))?;
        }
        let detail = "the references lead to one another without an end";
        Err(Problem::new(pointer_to(at, "$ref"), "endless_ref", detail))
    }

    /// Returns what the text of a reference names.
    pub(super) fn target(&self, target: &Value, at: &str) -> Result<(&'d Value, String), Problem> {
        let Some(target) = target.as_str() else {
            return Err(Problem::new(at, "invalid_ref", "a reference is a text"));
        };
        let Some(pointer) = target.strip_prefix('#') else {
            let detail = format!("`{target}` is outside of the document");
            let problem = Problem::new(at, "external_ref", detail);
            return Err(problem.with_hint("bundle the document into one file first"));
        };
        let decoded = percent_decoded(pointer);
        let found = if decoded.is_empty() || decoded.starts_with('/') {
            self.root.pointer(&decoded)
        } else {
            None // An anchor, which is not followed.
        };
        let missing = || Problem::new(at, "unknown_ref", format!("there is nothing at `{target}`"));
        Ok((found.ok_or_else(missing)?, decoded))
    }
}

/// Undoes the percent-encoding of a URI's fragment, RFC 6901 section 6.
fn percent_decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match byte {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first); // It stands for itself.
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
