//! Whom the steps of a workflow act as, and what that person or key may do at this moment.

use std::fmt;

use super::desk::find;
use crate::domain::activity::ActivitySpec;
use crate::domain::desk::RecordKind;
use crate::domain::event::Actor;
use crate::domain::id::TenantId;
use crate::domain::permission::Scopes;
use crate::domain::run::Failure;
use crate::domain::time::Timestamp;
use crate::store::access::KeyRow;
use crate::store::people::PersonRow;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantView;

/// The code of a step that its identity may not do.
pub const UNAUTHORIZED: &str = "unauthorized";

/// A person or a key that steps act as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// How events name it.
    pub actor: Actor,
    /// What it may do.
    pub scopes: Scopes,
    /// The teams that it is limited to; none for every team.
    pub teams: Vec<String>,
}

/// Why nothing can be done as somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The tenant has nobody of this name.
    Unknown,
    /// Several keys are called so.
    Ambiguous,
    /// A user of the desk who does not sign in, and so may do nothing.
    WithoutAccount,
    /// The person, or the maker of the key, is disabled or gone.
    Disabled,
    /// The key has ended.
    Expired,
}

impl fmt::Display for Unusable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Unusable::Unknown => "is neither a person, a user, a key nor a bot of this tenant",
            Unusable::Ambiguous => "is the name of several keys; give the id of one",
            Unusable::WithoutAccount => "is a user without an account, who may do nothing",
            Unusable::Disabled => "is disabled",
            Unusable::Expired => "is a key that has ended",
        })
    }
}

/// Where an identity is looked for: what belongs to the appliance, and what to the tenant.
#[derive(Clone, Copy)]
pub struct Registers<'v> {
    /// Of the appliance: people and keys.
    pub access: TenantView<'v>,
    /// Of the tenant: its users.
    pub tenant: TenantView<'v>,
    /// The present instant.
    pub now: Timestamp,
}

impl Registers<'_> {
    /// Finds a person by id or mail address, a key by id or name (`key:deploy`), the bot of an
    /// installed app by its id or by the app's (`app:pager`), or a user of the desk by id.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn identity(&self, name: &str) -> Result<Result<Identity, Unusable>, StoreError> {
        let tenant = self.tenant.tenant();
        let plain = name.strip_prefix("user:").unwrap_or(name);
        let person = match self.access.person(plain)? {
            Some(person) => Some(person),
            None => self.access.person_by_email(plain)?,
        };
        if let Some(person) = person.filter(|person| person.tenant == tenant) {
            return Ok(of_person(person));
        }
        if let Some(found) = self.key(tenant, name)? {
            return Ok(found);
        }
        if let Some(bot) = self.bot(plain)? {
            return Ok(Ok(bot));
        }
        let Some(user) = find(&self.tenant, RecordKind::User, plain)? else {
            return Ok(Err(Unusable::Unknown));
        };
        let email = user.get("email").and_then(serde_json::Value::as_str).unwrap_or_default();
        let person = self.access.person_by_email(email)?;
        Ok(match person.filter(|person| person.tenant == tenant) {
            Some(person) => of_person(person),
            None => Err(Unusable::WithoutAccount),
        })
    }

    /// A bot is what the installation of its app says, whatever keys there are.
    fn bot(&self, name: &str) -> Result<Option<Identity>, StoreError> {
        let slug = name.strip_prefix("app:");
        for app in self.tenant.apps()? {
            let Some(installed) = app.installation else { continue };
            if installed.bot_id == name || app.uid == name || slug == Some(&app.slug) {
                let actor =
                    Actor { id: installed.bot_id, kind: "BOT".to_owned(), email: String::new() };
                let (scopes, teams) = (Scopes::new(installed.scopes), installed.teams);
                return Ok(Some(Identity { actor, scopes, teams }));
            }
        }
        Ok(None)
    }

    fn key(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<Option<Result<Identity, Unusable>>, StoreError> {
        let called = name.strip_prefix("key:");
        let is_meant = |row: &KeyRow| {
            row.tenant == tenant
                && row.app.is_none()
                && (row.id == called.unwrap_or(name) || called == Some(&row.name))
        };
        let mut rows: Vec<KeyRow> = self.access.keys()?.into_iter().filter(is_meant).collect();
        let Some(row) = rows.pop() else { return Ok(None) };
        if !rows.is_empty() {
            return Ok(Some(Err(Unusable::Ambiguous)));
        }
        if row.expires_at.is_some_and(|end| end <= self.now) {
            return Ok(Some(Err(Unusable::Expired)));
        }
        let (mut scopes, mut teams) = (Scopes::new(row.scopes), Vec::new());
        if let Some(maker) = &row.person {
            // A key that a person made never allows more than they may now.
            let maker = self.access.person(maker)?.map_or(Err(Unusable::Disabled), of_person);
            match maker {
                Ok(maker) => (scopes, teams) = (scopes.within(&maker.scopes), maker.teams),
                Err(unusable) => return Ok(Some(Err(unusable))),
            }
        }
        let actor = Actor { id: row.id, kind: "KEY".to_owned(), email: String::new() };
        Ok(Some(Ok(Identity { actor, scopes, teams })))
    }
}

fn of_person(row: PersonRow) -> Result<Identity, Unusable> {
    if row.disabled_at.is_some() {
        return Err(Unusable::Disabled);
    }
    let actor = Actor { id: row.id, kind: "USER".to_owned(), email: row.email };
    Ok(Identity { actor, scopes: Scopes::of_roles(&row.roles), teams: row.teams })
}

impl Identity {
    /// Returns the first scope that an activity needs and this identity lacks.
    #[must_use]
    pub fn lacks<'s>(&self, spec: &'s ActivitySpec) -> Option<&'s str> {
        spec.scopes.iter().find(|scope| !self.scopes.allow(scope)).map(String::as_str)
    }
}

/// Returns the failure of a step that `name` may not do.
#[must_use]
pub fn unauthorized(name: &str, why: &str) -> Failure {
    Failure::terminal(UNAUTHORIZED, format!("`{name}`, as whom the steps act, {why}"))
}
