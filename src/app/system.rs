//! How the appliance is: whether it takes work, and what it has counted.

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::Principal;
use super::restored::PauseView;
use crate::domain::condition::{Condition, Effect, Reason};
use crate::store::access::APPLIANCE;
use crate::store::board::state_of;

/// How many kept answers one transaction looks through.
const FORGOTTEN_AT_ONCE: usize = 10_000;

/// What the appliance is and holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemInfo {
    /// The version of the program.
    pub version: &'static str,
    /// `ready`, `degraded` or `unready`.
    pub status: &'static str,
    /// The state of the store: `healthy`, or what the worst of the reasons makes of it.
    pub store_state: &'static str,
    /// What is wrong, the worst first.
    pub reasons: Vec<Reason>,
    /// How many bytes are free on the disk of the store, as far as that is known.
    pub disk_free_bytes: Option<u64>,
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

/// Whether work is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `ok`; `degraded` when part of the work waits; `unready` when no new work is taken.
    pub status: &'static str,
    /// What is wrong, the worst first.
    pub reasons: Vec<Reason>,
}

impl App {
    /// Returns whether work is taken, and everything that is wrong.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut reasons = self.engine().store().board().reasons();
        if self.engine().is_stopping() {
            let detail = "the appliance is stopping";
            reasons.insert(0, Reason::new(Condition::Stopping, detail, self.now()));
        } else if !self.engine().is_ready() {
            let detail = "the appliance is starting";
            reasons.insert(0, Reason::new(Condition::Starting, detail, self.now()));
        }
        if self.engine().pause().is_some() {
            let detail = "the appliance is paused since it was restored";
            reasons.push(Reason::new(Condition::Paused, detail, self.now()));
        }
        let refuses = |reason: &Reason| reason.condition.effect() == Effect::Refusing;
        let status = match reasons.as_slice() {
            [] => "ok",
            all if all.iter().any(refuses) || self.engine().pause().is_some() => "unready",
            _ => "degraded",
        };
        Standing { status, reasons }
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
        let Standing { status, reasons } = self.standing();
        Ok(SystemInfo {
            version: env!("CARGO_PKG_VERSION"),
            status: if status == "ok" { "ready" } else { status },
            store_state: state_of(&reasons),
            disk_free_bytes: store.board().room(),
            reasons,
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
