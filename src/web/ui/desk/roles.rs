//! Who may do what: each role against everything that there is, as the API enforces it.

use askama::Template;

use crate::app::principal::Scopes;
use crate::domain::role::{RESOURCES, Role};
use crate::web::error::Answer;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// How far a role goes with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Nothing,
    Looks,
    Changes,
}

/// One resource with the reach of every role.
struct Line {
    resource: &'static str,
    reaches: Vec<(Role, Reach)>,
}

/// The page.
#[derive(Template)]
#[template(path = "roles.html")]
pub struct RolesPage {
    shell: Shell,
    roles: [Role; 7],
    lines: Vec<Line>,
    curl: String,
}

/// Makes the page.
pub fn page(shell: Shell) -> RolesPage {
    let scopes = Role::ALL.map(|role| (role, Scopes::of_roles(&[role])));
    let mut resources = RESOURCES;
    resources.sort_unstable();
    let line = |resource: &'static str| Line {
        resource,
        reaches: scopes.iter().map(|(role, scopes)| (*role, reach(scopes, resource))).collect(),
    };
    RolesPage {
        roles: Role::ALL,
        lines: resources.into_iter().map(line).collect(),
        curl: shell.curl("/v1/roles"),
        shell,
    }
}

fn reach(scopes: &Scopes, resource: &str) -> Reach {
    match (scopes.allow(&format!("{resource}:write")), scopes.allow(&format!("{resource}:read"))) {
        (true, _) => Reach::Changes,
        (false, true) => Reach::Looks,
        (false, false) => Reach::Nothing,
    }
}

/// Shows the matrix.
pub async fn show(visit: Visit) -> Answer {
    html(&page(visit.shell))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_says_what_the_scopes_allow() {
        let page = page(Shell::for_tests(""));
        let runs = page.lines.iter().find(|line| line.resource == "runs").expect("it is there");
        let of = |role| runs.reaches.iter().find(|(it, _)| *it == role).map(|(_, reach)| *reach);
        assert_eq!(of(Role::Owner), Some(Reach::Changes));
        assert_eq!(of(Role::Operator), Some(Reach::Changes));
        assert_eq!(of(Role::Viewer), Some(Reach::Looks));
        let keys = page.lines.iter().find(|line| line.resource == "keys").expect("it is there");
        assert!(keys.reaches.contains(&(Role::Viewer, Reach::Nothing)));
    }
}
