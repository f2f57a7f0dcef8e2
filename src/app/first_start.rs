//! The first start: a tenant to begin with, and the key that was prepared for it.

use super::App;
use super::access::digest;
use super::audit::Change;
use super::error::Error;
use super::principal::{Principal, Scopes};
use crate::domain::id::TenantId;
use crate::store::access::{APPLIANCE, KeyRow};

const FIRST_SLUG: &str = "default";
const FIRST_NAME: &str = "Default";
const PREFIX_CHARS: usize = 6;

/// What a start found or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FirstStart {
    /// There was no tenant; now there is one.
    Made,
    /// Everything was there.
    Found,
}

impl App {
    /// Makes the first tenant where there is none, and while there is no key at all makes
    /// `prepared_key`, unless it is empty, the owner's.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn first_start(&self, prepared_key: &str) -> Result<FirstStart, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let (tenant, outcome) = match tenants.iter().map(|row| row.id).min() {
            Some(first) => (first, FirstStart::Found),
            None => (self.make_first_tenant().await?, FirstStart::Made),
        };
        if !prepared_key.is_empty() {
            self.keep_prepared_key(tenant, prepared_key).await?;
        }
        Ok(outcome)
    }

    /// Returns whether there is a key.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn has_key(&self) -> Result<bool, Error> {
        self.read_of(APPLIANCE, |view| Ok(!view.keys()?.is_empty()))
    }

    async fn make_first_tenant(&self) -> Result<TenantId, Error> {
        let box_owner = Principal::program(APPLIANCE, "ergane");
        Ok(self.create_tenant(&box_owner, FIRST_SLUG, FIRST_NAME).await?.id)
    }

    async fn keep_prepared_key(&self, tenant: TenantId, key: &str) -> Result<(), Error> {
        let row = KeyRow {
            id: format!("key_{:016x}", self.clock().random()),
            digest: digest(key),
            tenant,
            name: "bootstrap".to_owned(),
            prefix: key.chars().take(PREFIX_CHARS).collect(),
            scopes: Scopes::owner().as_slice().to_vec(),
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
            created_by: Some("configuration".to_owned()),
            person: None,
            app: None,
        };
        if self.has_key()? {
            return Ok(());
        }
        let who = Principal::program(tenant, "ergane");
        self.write_access(&who, Change::of("key.create", &row.id), move |tx, change| {
            tx.put_key(&row);
            change.after(&super::keys::view(row));
            Ok(())
        })
        .await
    }
}
