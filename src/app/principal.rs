//! Who is asking, and what they may do.

use crate::domain::id::TenantId;

/// An authenticated caller, bound to one tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose things it sees; nothing else exists for it.
    pub tenant: TenantId,
    /// The key's id, or `local` for a person with access to the box.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
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
}
