//! The door: a key opens it.

use askama::Template;

use super::shell::Shell;

/// The page.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage {
    shell: Shell,
    return_to: String,
    problem: Option<String>,
}

/// Makes the page; `return_to` is where a good key leads, `problem` why the last one did not.
pub fn page(shell: Shell, return_to: &str, problem: Option<String>) -> SignInPage {
    let return_to = super::shell::safe_return(return_to).to_owned();
    SignInPage { shell, return_to, problem }
}
