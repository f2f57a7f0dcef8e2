//! Who is asking, and what they may do.

use crate::domain::id::TenantId;
use crate::domain::role::Role;

pub use crate::domain::permission::Scopes;

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
    /// The trace that the request belongs to, as `traceparent` writes it.
    pub traceparent: Option<String>,
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
