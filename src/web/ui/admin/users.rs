//! The workflows that use something, as a list beside it.

use crate::app::uses::UseView;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;

/// A workflow with the steps that use it.
#[derive(Clone, Debug)]
pub struct User {
    /// Where it is shown.
    pub href: String,
    /// Its name.
    pub title: String,
    /// Whether events start it.
    pub active: bool,
    /// Its steps, in words.
    pub steps: String,
}

/// Shows the workflows that use something.
pub fn users_of(shell: &Shell, users: &[UseView]) -> Vec<User> {
    let shown = |user: &UseView| User {
        href: shell.url(&format!("/workflows/{}", encoded(&user.workflow))),
        title: if user.title.is_empty() { &user.workflow } else { &user.title }.clone(),
        active: user.active,
        steps: format!("in {}", user.steps.join(", ")),
    };
    users.iter().map(shown).collect()
}
