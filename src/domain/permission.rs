//! What somebody may do: scopes, and what follows from having them.

use super::role::{self, Role};

/// What a caller may do: `*`, or a list of `<resource>:read` and `<resource>:write`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes(Vec<String>);

impl Scopes {
    /// Takes a list of scopes as they are stored.
    #[must_use]
    pub fn new(scopes: Vec<String>) -> Scopes {
        Scopes(scopes)
    }

    /// Returns the scope that allows everything, other tenants included.
    #[must_use]
    pub fn owner() -> Scopes {
        Scopes(vec!["*".to_owned()])
    }

    /// Returns whether everything is allowed.
    #[must_use]
    pub fn is_owner(&self) -> bool {
        self.0.iter().any(|scope| scope == "*")
    }

    /// Returns whether `wanted` (`runs:read`) is allowed; writing includes reading.
    #[must_use]
    pub fn allow(&self, wanted: &str) -> bool {
        let (resource, action) = wanted.split_once(':').unwrap_or((wanted, "read"));
        // Whoever may connect the tenant to another system may also act there.
        (role::is_connected(resource) && self.grant("connections", "write"))
            || self.grant(resource, action)
    }

    fn grant(&self, resource: &str, action: &str) -> bool {
        self.0.iter().any(|scope| match scope.split_once(':') {
            None => scope == "*",
            Some((own, granted)) => {
                own == resource
                    && (granted == action
                        || granted == "*"
                        || (granted == "write" && action == "read"))
            }
        })
    }

    /// Returns whether everything that `scope` (`runs:write`, `runs:*`, `*`) grants is allowed.
    #[must_use]
    pub fn cover(&self, scope: &str) -> bool {
        match scope.strip_suffix(":*") {
            _ if scope == "*" => self.is_owner(),
            Some(resource) => self.allow(&format!("{resource}:write")),
            None => self.allow(scope),
        }
    }

    /// Returns what both allow.
    #[must_use]
    pub fn within(&self, bounds: &Scopes) -> Scopes {
        let mut both: Vec<String> = Vec::new();
        for (these, those) in [(self, bounds), (bounds, self)] {
            both.extend(these.0.iter().filter(|scope| those.cover(scope)).cloned());
        }
        for scope in self.0.iter().chain(&bounds.0) {
            // Of writing here and reading there, reading is what both allow.
            let reading = scope.split_once(':').map(|(resource, _)| format!("{resource}:read"));
            both.extend(reading.filter(|scope| self.allow(scope) && bounds.allow(scope)));
        }
        both.sort();
        both.dedup();
        Scopes(both)
    }

    /// Returns what any of `roles` allows.
    #[must_use]
    pub fn of_roles(roles: &[Role]) -> Scopes {
        let mut scopes: Vec<String> = roles.iter().flat_map(|role| role.scopes()).collect();
        scopes.sort();
        scopes.dedup();
        Scopes(scopes)
    }

    /// Returns the scopes as they are stored.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_includes_reading_and_nothing_else() {
        let scopes = Scopes::new(vec!["runs:write".to_owned(), "events:read".to_owned()]);
        for (wanted, allowed) in [
            ("runs:write", true),
            ("runs:read", true),
            ("events:read", true),
            ("events:write", false),
            ("keys:read", false),
            ("slack:write", false),
        ] {
            assert_eq!(scopes.allow(wanted), allowed, "{wanted}");
        }
        assert!(Scopes::owner().allow("keys:write"));
        let connects = Scopes::new(vec!["connections:write".to_owned()]);
        for (wanted, allowed) in [
            ("slack:write", true),
            ("http:write", true),
            ("some-app:write", true),
            ("runs:read", false),
        ] {
            assert_eq!(connects.allow(wanted), allowed, "{wanted}");
        }
        let posts = Scopes::new(vec!["slack:write".to_owned()]);
        assert!(posts.allow("slack:write") && !posts.allow("http:write"));
    }

    #[test]
    fn a_key_of_a_person_allows_what_both_allow() {
        let scopes = |list: &[&str]| Scopes::new(list.iter().map(|it| (*it).to_owned()).collect());
        for (key, person, both) in [
            (&["*"][..], &["runs:write"][..], &["runs:read", "runs:write"][..]),
            (&["runs:write"], &["runs:read"], &["runs:read"]),
            (&["runs:*"], &["*"], &["runs:*", "runs:read"]),
            (&["runs:read"], &["events:read"], &[]),
            (&["*"], &["*"], &["*"]),
        ] {
            assert_eq!(scopes(key).within(&scopes(person)), scopes(both), "{key:?} {person:?}");
        }
    }
}
