//! Who is asking: from a key, a session or access to the box to a principal in one tenant.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use super::App;
use super::error::Error;
use super::principal::{Kind, Origin, Principal, Scopes};
use crate::domain::id::TenantId;
use crate::store::access::{APPLIANCE, KeyRow, SessionRow, TenantRow};
use crate::store::people::PersonRow;
use crate::store::tenant::TenantTx;

const USE_NOTED_EVERY: Duration = Duration::from_secs(60);
/// The principal of a person with access to the box.
const LOCAL: &str = "local";

/// The keys and people that were asked for since the last change of any of them. Every change
/// goes through this process, so whoever is revoked is forgotten at once.
#[derive(Debug, Default)]
pub struct Known(RwLock<Facts>);

#[derive(Debug, Default)]
struct Facts {
    /// Counts the changes: what was read before one is not kept after it.
    changes: u64,
    keys: HashMap<String, KeyRow>,
    people: HashMap<String, PersonRow>,
}

impl Known {
    /// Forgets everything, as after a change.
    pub fn forget(&self) {
        let mut facts = self.0.write();
        let changes = facts.changes + 1;
        *facts = Facts { changes, ..Facts::default() };
    }
}

impl App {
    /// Returns the principal of an API key.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that is unknown, revoked or expired.
    pub async fn authenticate(&self, key: &str) -> Result<Principal, Error> {
        let row = self.key_row(&digest(key))?;
        self.note_key(&row);
        self.of_key(row)
    }

    /// Returns the principal of a browser's session.
    ///
    /// # Errors
    /// `Unauthenticated` for a session that has ended, or whose key or person has.
    pub async fn authenticate_session(&self, token: &str) -> Result<Principal, Error> {
        let session = self.read_of(APPLIANCE, |view| Ok(view.session(&digest(token))?))?;
        let session = session.filter(|session| self.is_alive(session));
        let session = session.ok_or_else(|| refused("the session has ended; sign in again"))?;
        let principal = match (&session.person, &session.key_digest) {
            (Some(person), _) => self.of_person(self.person_row(person)?)?,
            (None, Some(key)) => self.of_key(self.key_row(key)?)?,
            (None, None) => return Err(refused("the session belongs to nobody; sign in again")),
        };
        self.note_session(&session);
        Ok(Principal { session: Some(session.digest), ..principal })
    }

    /// Returns the principal of a person with access to the box: the owner, in the first tenant.
    ///
    /// # Errors
    /// `Unavailable` before the first tenant is made.
    pub fn local_owner(&self) -> Result<Principal, Error> {
        let tenant = self.first_tenant()?.id;
        let (kind, id) = (Kind::Local, LOCAL.to_owned());
        Ok(Principal { kind, id, ..Principal::program(tenant, "command line") })
    }

    /// Returns the tenant that `who` names by its slug, if they may act in it.
    ///
    /// # Errors
    /// `NotFound` for a tenant that does not exist or is not theirs.
    pub async fn tenant_for(&self, who: &Principal, slug: &str) -> Result<TenantId, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let named =
            tenants.into_iter().find(|tenant| tenant.slug == slug && tenant.deleted_at.is_none());
        match named {
            Some(tenant) if tenant.id == who.tenant || self.owns_appliance(who)? => Ok(tenant.id),
            _ => Err(Error::NotFound { what: "tenant", id: slug.to_owned() }),
        }
    }

    /// Returns whether `who` may act in every tenant: an owner whose credential belongs to the
    /// first tenant, or a person on the box. An owner of another tenant rules that one alone.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn owns_appliance(&self, who: &Principal) -> Result<bool, Error> {
        match who.kind {
            Kind::Local | Kind::Program => Ok(true),
            Kind::Key | Kind::Bot | Kind::Person => {
                Ok(who.scopes.is_owner() && who.home == self.first_tenant()?.id)
            }
        }
    }

    pub(super) fn first_tenant(&self) -> Result<TenantRow, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let first = tenants.into_iter().min_by_key(|tenant| tenant.id);
        first.ok_or_else(|| Error::Unavailable {
            detail: "the appliance has no tenant yet".to_owned(),
            retry_after: super::RETRY_AFTER,
        })
    }

    pub(super) fn key_row(&self, digest: &str) -> Result<KeyRow, Error> {
        let (known, changes) = {
            let facts = self.known.0.read();
            (facts.keys.get(digest).cloned(), facts.changes)
        };
        let row = match known {
            Some(row) => row,
            None => {
                let row = self.read_of(APPLIANCE, |view| Ok(view.key(digest)?))?;
                let row = row.ok_or_else(|| refused("the key is not valid"))?;
                let mut facts = self.known.0.write();
                if facts.changes == changes {
                    facts.keys.insert(digest.to_owned(), row.clone());
                }
                row
            }
        };
        match row.expires_at {
            Some(end) if end <= self.now() => Err(refused("the key has expired")),
            _ => Ok(row),
        }
    }

    /// Forgets the keys that were asked for, as after one of them was changed.
    pub(super) fn forget_keys(&self) {
        self.known.forget();
    }

    fn person_row(&self, id: &str) -> Result<PersonRow, Error> {
        let (known, changes) = {
            let facts = self.known.0.read();
            (facts.people.get(id).cloned(), facts.changes)
        };
        if let Some(row) = known {
            return Ok(row);
        }
        let row = self.read_of(APPLIANCE, |view| Ok(view.person(id)?))?;
        let row = row.ok_or_else(|| refused("this account was removed"))?;
        let mut facts = self.known.0.write();
        if facts.changes == changes {
            facts.people.insert(id.to_owned(), row.clone());
        }
        Ok(row)
    }

    /// A key that a person made never allows more than they may now, and ends with their account.
    fn of_key(&self, row: KeyRow) -> Result<Principal, Error> {
        if let Some(app) = row.app.clone() {
            return self.of_bot(row, &app);
        }
        let scopes = Scopes::new(row.scopes);
        let maker = match &row.person {
            Some(person) => Some(self.of_person(self.person_row(person)?)?),
            None => None,
        };
        let (scopes, teams) = match maker {
            Some(maker) => (scopes.within(&maker.scopes), maker.teams),
            None => (scopes, Vec::new()),
        };
        Ok(Principal {
            tenant: row.tenant,
            home: row.tenant,
            kind: Kind::Key,
            id: row.id,
            name: row.name,
            email: None,
            scopes,
            roles: Vec::new(),
            teams,
            session: None,
            origin: Origin::default(),
        })
    }

    /// A bot is what the installation of its app says: with that it ends, whatever keys there are.
    fn of_bot(&self, row: KeyRow, app: &str) -> Result<Principal, Error> {
        let app = self.read_of(row.tenant, |view| Ok(view.app(app)?))?;
        let name = app.as_ref().map(|app| app.name.clone()).unwrap_or_default();
        let installation = app.and_then(|app| app.installation);
        let installation = installation.filter(|known| known.key_digest == row.digest);
        let installation = installation.ok_or_else(|| refused("the app is not installed"))?;
        Ok(Principal {
            kind: Kind::Bot,
            id: installation.bot_id,
            name,
            scopes: Scopes::new(installation.scopes),
            teams: installation.teams,
            ..Principal::program(row.tenant, "bot")
        })
    }

    pub(super) fn of_person(&self, row: PersonRow) -> Result<Principal, Error> {
        if row.disabled_at.is_some() {
            return Err(refused("this account is disabled"));
        }
        Ok(Principal {
            tenant: row.tenant,
            home: row.tenant,
            kind: Kind::Person,
            id: row.id,
            name: row.name,
            email: Some(row.email),
            scopes: Scopes::of_roles(&row.roles),
            roles: row.roles,
            teams: row.teams,
            session: None,
            origin: Origin::default(),
        })
    }

    pub(super) fn is_alive(&self, session: &SessionRow) -> bool {
        let now = self.now();
        let seen = session.seen_at.unwrap_or(session.created_at);
        session.expires_at > now && now.since(seen) < self.access.session_idle()
    }

    /// Notes to the minute that a key was used; nobody waits for it.
    fn note_key(&self, row: &KeyRow) {
        let now = self.now();
        if row.last_used_at.is_some_and(|last| now.since(last) < USE_NOTED_EVERY) {
            return;
        }
        if let Some(known) = self.known.0.write().keys.get_mut(&row.digest) {
            known.last_used_at = Some(now);
        }
        let digest = row.digest.clone();
        self.note(move |tx| {
            // It may have been revoked meanwhile, and must not come back.
            if let Some(mut row) = tx.view().key(&digest)? {
                row.last_used_at = Some(now);
                tx.put_key(&row);
            }
            Ok(())
        });
    }

    /// Notes to the minute that a session was used; nobody waits for it.
    fn note_session(&self, session: &SessionRow) {
        let (now, seen) = (self.now(), session.seen_at.unwrap_or(session.created_at));
        if now.since(seen) < USE_NOTED_EVERY.min(self.access.session_idle() / 2) {
            return;
        }
        let digest = session.digest.clone();
        self.note(move |tx| {
            if let Some(mut row) = tx.view().session(&digest)? {
                row.seen_at = Some(now);
                tx.put_session(&row);
            }
            Ok(())
        });
    }

    fn note(
        &self,
        decide: impl FnOnce(&mut TenantTx<'_, '_>) -> Result<(), Error> + Send + 'static,
    ) {
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = app.write_of(APPLIANCE, decide).await {
                tracing::debug!(%error, "Could not note a use");
            }
        });
    }

    /// Returns 256 random bits as text.
    pub(super) fn secret(&self) -> String {
        (0..4).map(|_| format!("{:016x}", self.clock().random())).collect()
    }
}

/// Returns the digest by which a key or a token is kept. They are long and random, so a fast hash
/// is enough.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

pub(super) fn refused(detail: &str) -> Error {
    Error::Unauthenticated(detail.to_owned())
}
