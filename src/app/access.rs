//! Who is asking: from a key, a session or access to the box to a principal in one tenant.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::RwLock;
use sha2::{Digest as _, Sha256};

use super::App;
use super::error::Error;
use super::principal::{Principal, Scopes};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, KeyRow, SessionRow, TenantRow};

const SESSION_LIFE: Duration = Duration::from_secs(12 * 60 * 60);
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);
/// The principal of a person with access to the box.
const LOCAL: &str = "local";

/// The keys that were asked for since the last change of any key, by digest. Every change goes
/// through this process, so a key that is revoked is forgotten at once.
#[derive(Debug, Default)]
pub struct KnownKeys(RwLock<HashMap<String, KeyRow>>);

impl KnownKeys {
    /// Forgets everything, as after a change.
    pub fn forget(&self) {
        self.0.write().clear();
    }
}

impl App {
    /// Returns the principal of an API key.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that is unknown, revoked or expired.
    pub async fn authenticate(&self, key: &str) -> Result<Principal, Error> {
        let row = self.key_row(&digest(key))?;
        self.note_use(&row);
        Ok(principal(row))
    }

    /// Returns the principal of a browser's session.
    ///
    /// # Errors
    /// `Unauthenticated` for a session that has ended, or whose key has.
    pub async fn authenticate_session(&self, token: &str) -> Result<Principal, Error> {
        let session = self.read_of(APPLIANCE, |view| Ok(view.session(&digest(token))?))?;
        let session = session.filter(|session| session.expires_at > self.now());
        let session = session.ok_or_else(|| refused("the session has ended; sign in again"))?;
        Ok(principal(self.key_row(&session.key_digest)?))
    }

    /// Begins a session for whoever shows a valid key, and returns its token, which is not kept.
    ///
    /// # Errors
    /// `Unauthenticated` for a key that is not valid.
    pub async fn sign_in(&self, key: &str) -> Result<String, Error> {
        let row = self.key_row(&digest(key))?;
        let token = self.secret();
        let now = self.now();
        let session = SessionRow {
            digest: digest(&token),
            key_digest: row.digest,
            created_at: now,
            expires_at: now + SESSION_LIFE,
        };
        self.write_of(APPLIANCE, move |tx| {
            tx.put_session(&session);
            Ok(())
        })
        .await?;
        Ok(token)
    }

    /// Ends a session; one that has ended already is no error.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn sign_out(&self, token: &str) -> Result<(), Error> {
        let digest = digest(token);
        self.write_of(APPLIANCE, move |tx| {
            tx.remove_session(&digest);
            Ok(())
        })
        .await
    }

    /// Returns the principal of a person with access to the box: the owner, in the first tenant.
    ///
    /// # Errors
    /// `Unavailable` before the first tenant is made.
    pub fn local_owner(&self) -> Result<Principal, Error> {
        Ok(Principal {
            tenant: self.first_tenant()?.id,
            id: LOCAL.to_owned(),
            name: LOCAL.to_owned(),
            scopes: Scopes::owner(),
        })
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

    /// Returns whether `who` may act in every tenant: an owner whose key belongs to the first
    /// tenant, or a person on the box. An owner's key of another tenant rules that tenant alone.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn owns_appliance(&self, who: &Principal) -> Result<bool, Error> {
        if who.id == LOCAL {
            return Ok(true);
        }
        let first = self.first_tenant()?.id;
        if !who.scopes.is_owner() || who.tenant == first {
            return Ok(who.scopes.is_owner());
        }
        // They have named another tenant already; their key says where it belongs.
        let home = self.keys.0.read().values().find(|key| key.id == who.id).map(|key| key.tenant);
        Ok(home == Some(first))
    }

    fn first_tenant(&self) -> Result<TenantRow, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let first = tenants.into_iter().min_by_key(|tenant| tenant.id);
        first.ok_or_else(|| Error::Unavailable {
            detail: "the appliance has no tenant yet".to_owned(),
            retry_after: super::RETRY_AFTER,
        })
    }

    fn key_row(&self, digest: &str) -> Result<KeyRow, Error> {
        let known = self.keys.0.read().get(digest).cloned();
        let row = match known {
            Some(row) => row,
            None => {
                let row = self.read_of(APPLIANCE, |view| Ok(view.key(digest)?))?;
                let row = row.ok_or_else(|| refused("the key is not valid"))?;
                self.keys.0.write().insert(digest.to_owned(), row.clone());
                row
            }
        };
        match row.expires_at {
            Some(end) if end <= self.now() => Err(refused("the key has expired")),
            _ => Ok(row),
        }
    }

    /// Notes to the minute that a key was used; nobody waits for it.
    fn note_use(&self, row: &KeyRow) {
        let now = self.now();
        if row.last_used_at.is_some_and(|last| now.since(last) < USE_NOTED_EVERY) {
            return;
        }
        if let Some(known) = self.keys.0.write().get_mut(&row.digest) {
            known.last_used_at = Some(now);
        }
        let (app, digest) = (self.clone(), row.digest.clone());
        tokio::spawn(async move {
            let noted = app.write_of(APPLIANCE, move |tx| note(tx, &digest, now)).await;
            if let Err(error) = noted {
                tracing::debug!(%error, "Could not note the use of a key");
            }
        });
    }

    /// Returns 256 random bits as text.
    pub(super) fn secret(&self) -> String {
        (0..4).map(|_| format!("{:016x}", self.clock().random())).collect()
    }
}

/// Reads the key again: it may have been revoked meanwhile, and must not come back.
fn note(
    tx: &mut crate::store::tenant::TenantTx<'_, '_>,
    digest: &str,
    now: Timestamp,
) -> Result<(), Error> {
    if let Some(mut row) = tx.view().key(digest)? {
        row.last_used_at = Some(now);
        tx.put_key(&row);
    }
    Ok(())
}

/// Returns the digest by which a key or a token is kept. They are long and random, so a fast hash
/// is enough.
pub(super) fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

fn principal(row: KeyRow) -> Principal {
    Principal { tenant: row.tenant, id: row.id, name: row.name, scopes: Scopes::new(row.scopes) }
}

fn refused(detail: &str) -> Error {
    Error::Unauthenticated(detail.to_owned())
}
