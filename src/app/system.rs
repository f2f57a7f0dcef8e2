//! How the appliance is: whether it takes work, and what it has counted.

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::restored::PauseView;
use crate::store::access::APPLIANCE;
use crate::store::seam::Health;

/// How many kept answers one transaction looks through.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// What the appliance is and holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemInfo {
    /// The version of the program.
    pub version: &'static str,
    /// `ready`, or why no work is taken.
    pub status: String,
    /// The size of the store on disk, in bytes.
    pub store_bytes: u64,
    /// How many partitions the store has.
    pub parts: u16,
    /// Runs of the tenant that have an actor now.
    pub active_runs: usize,
    /// Actors of the tenant that crashed since the start.
    pub crashes: u64,
    /// Runs of the tenant that were set aside.
    pub quarantined: u64,
    /// Why nothing goes on by itself, since the store was restored.
    pub paused: Option<PauseView>,
}

impl App {
    /// Returns whether work is taken: the store writes and the engine runs.
    ///
    /// # Errors
    /// Says why not, for a person.
    pub fn readiness(&self) -> Result<(), String> {
        match self.engine().store().health() {
            Health::ReadOnly(reason) => Err(format!("the store takes no writes: {reason}")),
            Health::Reopening => Err("the store is being reopened".to_owned()),
            Health::Healthy if self.engine().pause().is_some() => {
                Err("paused: the store was restored, and `ergane resume` lets it go on".to_owned())
            }
            Health::Healthy if self.engine().is_ready() => Ok(()),
            Health::Healthy => Err("the engine is starting or stopping".to_owned()),
        }
    }

    /// Returns what the appliance is, and how the caller's tenant does in it.
    ///
    /// # Errors
    /// `Unavailable` while the tenant's actors cannot be asked.
    pub async fn system_info(&self, who: &Principal) -> Result<SystemInfo, Error> {
        let seen = self.engine().observe(who.tenant).await.ok_or_else(|| Error::Unavailable {
            detail: "the engine cannot be asked now".to_owned(),
            retry_after: super::RETRY_AFTER,
        })?;
        let store = self.engine().store();
        Ok(SystemInfo {
            version: env!("CARGO_PKG_VERSION"),
            status: self.readiness().err().unwrap_or_else(|| "ready".to_owned()),
            store_bytes: store.admin().bytes_on_disk(),
            parts: store.caps().parts,
            active_runs: seen.active,
            crashes: seen.crashes,
            quarantined: seen.quarantined,
            paused: self.pause()?,
        })
    }

    /// Forgets kept answers and sessions that have expired, a batch of them for each tenant.
    ///
    /// # Errors
    /// Returns why it cannot be written now; the rest is forgotten another time.
    pub async fn forget_what_expired(&self) -> Result<(), Error> {
        let now = self.now();
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        for tenant in tenants {
            self.write_of(tenant.id, move |tx| {
                for name in tx.view().expired_answers(now, FORGOTTEN_AT_ONCE)? {
                    tx.forget_answer(&name);
                }
                Ok(())
            })
            .await?;
        }
        let app = self.clone();
        self.write_of(APPLIANCE, move |tx| {
            for session in tx.view().sessions()?.iter().filter(|session| !app.is_alive(session)) {
                tx.remove_session(&session.digest);
            }
            for link in tx.view().links()?.iter().filter(|link| link.expires_at <= now) {
                tx.remove_link(&link.digest);
            }
            Ok(())
        })
        .await
    }
}
