//! Who is asking, and what they may do.

use crate::domain::id::TenantId;
use crate::domain::role::Role;

/// An authenticated caller, bound to one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose things it sees; nothing else exists for it.
    pub tenant: TenantId,
    /// The tenant that its credential belongs to.
    pub home: TenantId,
    /// What kind of caller it is.
    pub kind: Kind,
    /// The id of the key or the person, or `local` for a person with access to the box.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The mail address, of a person.
    pub email: Option<String>,
    /// What it may do.
    pub scopes: Scopes,
    /// The roles that the scopes come from, of a person.
    pub roles: Vec<Role>,
    /// The teams whose tickets it sees; none for every team.
    pub teams: Vec<String>,
    /// The digest of the session that it came with, if it did.
    pub session: Option<String>,
    /// Where the request came from.
    pub origin: Origin,
}

/// What kind of caller it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Somebody who signed in with a password.
    Person,
    /// An API key, or a browser that signed in with one.
    Key,
    /// The bot of an installed app.
    Bot,
    /// A person with access to the box.
    Local,
    /// The program itself.
    Program,
}

/// Where a request came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The network address; none over the control socket.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
}

impl Kind {
    /// Returns the word for it in the audit.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Person => "person",
            Kind::Key => "key",
            Kind::Bot => "bot",
            Kind::Local => "commandLine",
            Kind::Program => "program",
        }
    }
}

impl Principal {
    /// Returns a caller that may do everything in a tenant: the program itself, under a name.
    #[must_use]
    pub fn program(tenant: TenantId, name: &str) -> Principal {
        Principal {
            tenant,
            home: tenant,
            kind: Kind::Program,
            id: name.to_lowercase(),
            name: name.to_owned(),
            email: None,
            scopes: Scopes::owner(),
            roles: Vec::new(),
            teams: Vec::new(),
            session: None,
            origin: Origin::default(),
        }
    }

    /// Returns whether it sees the tickets of a team.
    #[must_use]
    pub fn sees_team(&self, team: &str) -> bool {
        self.teams.is_empty() || self.teams.iter().any(|own| own == team)
    }
}

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
        self.0.iter().any(|scope| {
            scope == "*"
                || scope == wanted
                || scope == &format!("{resource}:*")
                || (action == "read" && scope == &format!("{resource}:write"))
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
        ] {
            assert_eq!(scopes.allow(wanted), allowed, "{wanted}");
        }
        assert!(Scopes::owner().allow("keys:write"));
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
