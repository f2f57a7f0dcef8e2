//! The hidden field by which a form shows that it stood on a page of the visitor's session.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::web::proof::FIELD;

/// The field, with the token of a session.
#[derive(Clone, Debug, Template)]
#[template(path = "components/proof.html")]
pub struct Proof {
    token: String,
}

impl HtmlSafe for Proof {}

impl Proof {
    /// Carries a token; an empty one where nobody is signed in.
    pub fn new(token: &str) -> Proof {
        Proof { token: token.to_owned() }
    }

    fn name(&self) -> &'static str {
        FIELD
    }
}
