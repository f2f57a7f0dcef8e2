//! Small drawings that stand beside words.

use askama::Template;
use askama::filters::HtmlSafe;

/// A drawing by its name; an unknown name is a dot.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "components/icon.html")]
pub struct Icon {
    name: &'static str,
}

impl HtmlSafe for Icon {}

impl Icon {
    /// Names a drawing of `components/icon.html`.
    pub const fn new(name: &'static str) -> Icon {
        Icon { name }
    }
}
