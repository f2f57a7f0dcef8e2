//! The expression language: `{{ … }}` in the strings of a JSON tree, without statements or I/O.

mod engine;
mod functions;
mod scan;
mod template;
#[cfg(test)]
mod tests;

use serde::Serialize;

use super::path::Path;
use super::problem::Problem;
pub use template::Template;

/// The longest source of one expression, in bytes.
pub const SOURCE_BYTES_MAX: usize = 8 * 1024;
/// The largest rendered template, in bytes of JSON, roughly.
pub const OUTPUT_BYTES_MAX: usize = 256 * 1024;
/// The most expressions in one template.
pub const EXPRESSIONS_MAX: usize = 500;

/// A place that a template reads, known without rendering it.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    /// What is read.
    pub path: Path,
    /// Where in the document the expression stands.
    pub pointer: String,
    /// Whether the expression allows for its absence.
    pub optional: bool,
    /// The expression, as it was written.
    pub expression: String,
}

/// Why a template could not be rendered.
#[derive(Clone, Debug, PartialEq, Serialize, thiserror::Error)]
#[error("{detail}")]
pub struct ExpressionError {
    /// Where in the document the expression stands.
    pub pointer: String,
    /// The expression, as it was written.
    pub expression: String,
    /// `path_missing`, `expression_failed`, `too_large` or `out_of_fuel`.
    pub code: &'static str,
    /// What went wrong, for a person.
    pub detail: String,
    /// What to do about it, where that can be said.
    pub hint: Option<String>,
}

impl From<ExpressionError> for Problem {
    fn from(error: ExpressionError) -> Problem {
        let problem = Problem::new(error.pointer, error.code, error.detail);
        Problem { hint: error.hint, ..problem }
    }
}
