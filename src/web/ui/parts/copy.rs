//! A button that copies a text; hidden where scripts do not run.

use askama::Template;
use askama::filters::HtmlSafe;

use super::icon::Icon;

/// Copies `text`, which it calls `what`.
#[derive(Clone, Debug, Template)]
#[template(path = "components/copy.html")]
pub struct Copy {
    text: String,
    what: &'static str,
    icon: Icon,
}

impl HtmlSafe for Copy {}

impl Copy {
    /// Offers to copy `text`.
    pub fn new(text: impl Into<String>, what: &'static str) -> Copy {
        Copy { text: text.into(), what, icon: Icon::new("copy") }
    }

    /// Offers to copy a command line.
    pub fn command(text: impl Into<String>) -> Copy {
        Copy { text: text.into(), what: "as curl", icon: Icon::new("code") }
    }
}
