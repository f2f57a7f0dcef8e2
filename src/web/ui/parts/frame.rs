//! What stands around every page, drawn by templates of its own so that no page holds a copy.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::web::ui::shell::Shell;

/// What the root element says of the visitor's choices.
#[derive(Template)]
#[template(path = "frame/traits.html")]
pub struct Traits<'a> {
    /// The frame of the page.
    pub shell: &'a Shell,
}

/// What is out of the ordinary: a demo, a pause, a fault of the machine.
#[derive(Template)]
#[template(path = "frame/stripes.html")]
pub struct Stripes<'a> {
    /// The frame of the page.
    pub shell: &'a Shell,
}

/// The navigation.
#[derive(Template)]
#[template(path = "frame/side.html")]
pub struct Side<'a> {
    /// The frame of the page.
    pub shell: &'a Shell,
}

/// The line above the page: what finds, asks and changes the look.
#[derive(Template)]
#[template(path = "frame/top.html")]
pub struct Top<'a> {
    /// The frame of the page.
    pub shell: &'a Shell,
}

/// What small screens have at their foot, and what opens over the page.
#[derive(Template)]
#[template(path = "frame/foot.html")]
pub struct Foot<'a> {
    /// The frame of the page.
    pub shell: &'a Shell,
}

impl HtmlSafe for Traits<'_> {}
impl HtmlSafe for Stripes<'_> {}
impl HtmlSafe for Side<'_> {}
impl HtmlSafe for Top<'_> {}
impl HtmlSafe for Foot<'_> {}
