//! The key that secrets are sealed with, exchanged for another: everything is sealed anew in small
//! batches, goes on after a crash, and the older key is dropped only when nothing needs it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::id::TenantId;
use crate::store::access::APPLIANCE;
use crate::store::reseal::Walk;
use crate::store::seal_keys::KeyFault;

/// How many rows one look takes, and so at most one transaction.
const ROWS_AT_ONCE: usize = 200;
/// How long what was sealed with the older key just before the exchange may take to be written.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// Which key seals, and whether older ones are still needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SealState {
    /// `settled`, or `resealing` while older keys are needed.
    pub state: &'static str,
    /// The id of the key that seals; it gives nothing of the key away.
    pub key_id: String,
    /// The ids of keys that only open.
    pub older_key_ids: Vec<String>,
    /// The file of the keys, or the setting that gives them.
    pub kept_in: String,
}

impl App {
    /// Returns which key seals, and whether everything is sealed with it.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance.
    pub fn seal_state(&self, who: &Principal) -> Result<SealState, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let keys = self.sealer().keys();
        Ok(SealState {
            state: if keys.is_settled { "settled" } else { "resealing" },
            key_id: keys.newest,
            older_key_ids: keys.older,
            kept_in: keys.home,
        })
    }

    /// Makes a new key and begins to seal everything with it, in the background; secrets can be used
    /// all the while.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `Conflict` while the last exchange goes
    /// on and where the key is given from outside.
    pub async fn rotate_seal_key(&self, who: &Principal) -> Result<SealState, Error> {
        let before = self.seal_state(who)?;
        self.sealer().add_key().map_err(refused)?;
        let after = self.seal_state(who)?;
        let mut change = Change::of("secret.rotateKey", &after.key_id);
        change.before(&json!({ "keyId": before.key_id }));
        change.after(&json!({ "keyId": after.key_id }));
        self.write_access(who, change, |_, _| Ok(())).await?;
        self.reseal_aside();
        Ok(after)
    }

    /// Goes on with an exchange of keys that a crash or a stop broke off; nobody waits for it.
    pub fn reseal_aside(&self) {
        if self.sealer().keys().is_settled {
            return;
        }
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = app.reseal().await {
                tracing::warn!(%error, "Could not seal everything anew; it is tried again later");
            }
        });
    }

    /// Seals everything with the newest key and drops the older ones.
    ///
    /// # Errors
    /// Returns why something cannot be read or written now; what was done stays done.
    pub async fn reseal(&self) -> Result<(), Error> {
        let Some(_working) = self.sealer().begin_resealing() else { return Ok(()) };
        let mut rows = self.reseal_once().await?;
        loop {
            tokio::time::sleep(SETTLED_AFTER).await;
            let late = self.reseal_once().await?;
            rows += late;
            if late == 0 {
                break;
            }
        }
        self.sealer().drop_older().map_err(refused)?;
        self.known().forget();
        tracing::info!(rows, "Everything is sealed with the newest key");
        Ok(())
    }

    /// Looks at every row once; returns how many were sealed anew.
    async fn reseal_once(&self) -> Result<usize, Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let open = tenants.into_iter().filter(|tenant| tenant.deleted_at.is_none());
        let mut rows = 0;
        for tenant in open.map(|tenant| tenant.id).chain([APPLIANCE]) {
            rows += self.reseal_tenant(tenant).await?;
        }
        Ok(rows)
    }

    async fn reseal_tenant(&self, tenant: TenantId) -> Result<usize, Error> {
        let sealer = Arc::clone(self.sealer());
        let mut rows = self.write_of(tenant, move |tx| Ok(tx.reseal_former(&sealer)?)).await?;
        let mut next = Some(Walk::default());
        while let Some(walk) = next {
            let sealer = Arc::clone(self.sealer());
            let looked_at = self
                .read_of(tenant, |view| Ok(view.rows_to_reseal(walk, ROWS_AT_ONCE, &sealer)?));
            let (old, onwards) = looked_at?;
            if !old.is_empty() {
                rows += self.write_of(tenant, move |tx| Ok(tx.reseal(&old, &sealer)?)).await?;
                self.known().forget();
            }
            next = onwards;
            tokio::task::yield_now().await;
        }
        Ok(rows)
    }
}

fn refused(fault: KeyFault) -> Error {
    match fault {
        KeyFault::Pending => {
            Error::Conflict { code: "rotation_pending", detail: fault.to_string() }
        }
        KeyFault::Given => Error::Conflict { code: "key_is_given", detail: fault.to_string() },
        KeyFault::Unusable(detail) => {
            Error::Unavailable { detail, retry_after: super::RETRY_AFTER }
        }
    }
}
