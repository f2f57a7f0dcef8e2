//! A look at everything that tends to go wrong, with what to do about each.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::App;
use super::error::Error;
use super::principal::{Kind, Principal};
use crate::domain::destination::Circuit;
use crate::domain::doctor::{
    ApplianceFacts, Backups, Finding, Grade, KeyFacts, TenantFacts, Verified, examine,
    examine_tenant,
};
use crate::domain::role::Role;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::logs;
use crate::metrics::Trouble;
use crate::metrics::process::Usage;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::events::EventKey;
use crate::store::seam::Health;

const OVERDUE_AFTER: Duration = Duration::from_secs(60);
const LOADED_AFTER: Duration = Duration::from_secs(120);
const COUNTED_MAX: usize = 1_000;
const WORKFLOWS_MAX: usize = 1_000;
/// What the key is called that came from the configuration.
const PREPARED: &str = "bootstrap";

/// How deep the doctor looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// At what is known.
    Shallow,
    /// At every record of the store as well, which takes its time.
    Deep,
}

/// What the doctor found.
#[derive(Clone, Debug, Serialize)]
pub struct Diagnosis {
    /// The worst of it.
    pub status: Grade,
    /// Each check, the worst first.
    pub data: Vec<Finding>,
}

impl Diagnosis {
    fn of(mut data: Vec<Finding>) -> Diagnosis {
        data.sort_by_key(|finding| std::cmp::Reverse(finding.status));
        let status = data.first().map_or(Grade::Ok, |finding| finding.status);
        Diagnosis { status, data }
    }
}

impl App {
    /// Examines what the caller may see: the whole appliance, or its own tenant.
    ///
    /// # Errors
    /// `Forbidden` for a full check by whoever does not own the appliance; fails when the store
    /// cannot be read.
    pub async fn doctor(&self, who: &Principal, depth: Depth) -> Result<Diagnosis, Error> {
        if !self.owns_appliance(who)? {
            if depth == Depth::Deep {
                return Err(Error::Forbidden { scope: "*".to_owned() });
            }
            let slug = self.tenant(who.tenant)?.slug;
            let tenants = self.open_tenants().into_iter().filter(|row| row.slug == slug);
            return Ok(Diagnosis::of(self.examine_tenants(tenants).await));
        }
        if depth == Depth::Deep {
            self.verify_store().await?;
        }
        Ok(Diagnosis::of(self.examine_all().await))
    }

    /// Examines everything on the program's own account.
    pub(super) async fn examine_all(&self) -> Vec<Finding> {
        let limits = self.lookout().alerts.limits();
        let mut all = examine(&self.appliance_facts(), &limits, self.now());
        all.extend(self.examine_tenants(self.open_tenants().into_iter()).await);
        all
    }

    async fn examine_tenants(&self, rows: impl Iterator<Item = TenantRow>) -> Vec<Finding> {
        let mut all = Vec::new();
        for row in rows {
            match self.tenant_facts(&row).await {
                Ok(facts) => all.extend(examine_tenant(&facts, self.now())),
                Err(error) => {
                    tracing::debug!(tenant.slug = row.slug, "Could not examine it: {error}");
                }
            }
        }
        all
    }

    /// Reads every record; it takes its time, on a thread of its own.
    async fn verify_store(&self) -> Result<(), Error> {
        let store = std::sync::Arc::clone(self.engine().store());
        let walked = tokio::task::spawn_blocking(move || store.admin().verify()).await;
        let faults = walked.map_err(|error| Error::Internal(error.to_string()))??;
        let faults = faults.iter().map(ToString::to_string).collect();
        self.lookout().keep_verified(Verified { at: self.now(), faults });
        Ok(())
    }

    fn appliance_facts(&self) -> ApplianceFacts {
        let (place, now) = (&self.lookout().place, self.now());
        let directory = place.data_dir.as_deref();
        let disk = self.lookout().disk(now);
        let usage = Usage::read();
        let shrinks = disk.free_bytes.and_then(|free| self.lookout().note_free(now, free));
        let seal_file = directory.map(|it| it.join("secret.key")).filter(|it| it.exists());
        let keys = self.engine().sealer().keys();
        ApplianceFacts {
            data_dir: directory.map(|it| it.display().to_string()).unwrap_or_default(),
            data_dir_mode: directory.and_then(mode),
            file_system: disk.kind,
            free_bytes: disk.free_bytes,
            size_bytes: disk.size_bytes,
            shrinks_bytes_a_day: shrinks,
            store_fault: match self.engine().store().health() {
                Health::Healthy => None,
                Health::ReadOnly(reason) => Some(format!("it takes no writes: {reason}")),
                Health::Reopening => Some("it is being opened again".to_owned()),
            },
            verified: self.lookout().verified(),
            leapt: self.engine().leapt(),
            newest_event: self.newest_event(),
            descriptors: usage.open_fds.zip(usage.max_fds),
            memory: usage.resident_bytes.zip(usage.memory_limit_bytes),
            seal_key: match &seal_file {
                Some(file) => file.display().to_string(),
                None => "the setting secret_key".to_owned(),
            },
            seal_key_mode: seal_file.as_deref().and_then(mode),
            resealing: !keys.is_settled,
            certificate_ends: self.lookout().certificate_ends(),
            listen: place.listen.clone(),
            trusted_proxies: place.trusted_proxies,
            base_path: place.base_path.clone(),
            owners: self.owners().unwrap_or_default(),
            overdue: self.engine().overdue(now - OVERDUE_AFTER, COUNTED_MAX).unwrap_or(0),
            backups: self.known_backups(),
            restore_paused: self.engine().pause().map(|row| row.reason),
            log_lines_dropped: logs::book().dropped(),
            config_file: place.config_file.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Returns what is known of the backups; nothing where there never was one.
    fn known_backups(&self) -> Option<Backups> {
        let state = self.backup_state();
        let failure = state.last_failure.map(|it| it.reason);
        (state.last_success_at.is_some() || failure.is_some())
            // A backup is read back whole before it gets its name.
            .then_some(Backups { newest: state.last_success_at, checked: true, failure })
    }

    fn newest_event(&self) -> Option<Timestamp> {
        let newest = self.open_tenants().into_iter().filter_map(|tenant| {
            self.read_of(tenant.id, |view| Ok(view.newest_event()?)).ok().flatten()
        });
        newest.max().map(EventKey::moment)
    }

    /// Returns how many people may do everything, and how many of them have a second factor.
    fn owners(&self) -> Result<(usize, usize), Error> {
        self.read_of(APPLIANCE, |view| {
            let people = view.people()?.into_iter();
            let owners: Vec<_> = people
                .filter(|it| it.disabled_at.is_none() && it.roles.contains(&Role::Owner))
                .collect();
            let safe = owners.iter().filter(|it| it.second_factor.secret.is_some()).count();
            Ok((owners.len(), safe))
        })
    }

    async fn tenant_facts(&self, row: &TenantRow) -> Result<TenantFacts, Error> {
        let idle = self.idle_twice(row).await?;
        let circuits = self.engine().destinations(row.id).await?;
        let open = circuits.into_iter().filter(|it| it.circuit != Circuit::Closed);
        let keys = self.read_of(APPLIANCE, |view| Ok(view.keys()?))?;
        let keys = keys.into_iter().filter(|key| key.tenant == row.id && key.app.is_none());
        let metrics = self.engine().metrics();
        self.read_of(row.id, |view| {
            let hooks = view.webhooks()?.into_iter();
            let connections = view.connections()?.into_iter();
            let incidents = view.incidents_before(None, COUNTED_MAX)?;
            let missed = view.schedules()?.into_iter().filter(|it| it.missed_since > 0);
            let mut workflows = Vec::new();
            for workflow in view.workflows()?.into_iter().take(WORKFLOWS_MAX) {
                let counts = view.workflow_counts(&workflow.name)?;
                let ended = counts.succeeded + counts.failed;
                workflows.push((workflow.name, counts.failed, ended));
            }
            Ok(TenantFacts {
                slug: row.slug.clone(),
                keys: keys
                    .map(|key| KeyFacts {
                        prepared: key.name == PREPARED,
                        id: key.id,
                        name: key.name,
                        created_at: key.created_at,
                        expires_at: key.expires_at,
                        last_used_at: key.last_used_at,
                    })
                    .collect(),
                webhooks_disabled: hooks
                    .filter(|it| it.disabled.is_some() && !it.enabled)
                    .map(|it| it.id)
                    .collect(),
                disbelieved: connections
                    .filter(|it| it.unauthorized.is_some())
                    .map(|it| it.name)
                    .collect(),
                open_circuits: open.map(|it| it.name).collect(),
                incidents: (incidents.len(), incidents.iter().map(|it| it.since).min()),
                schedules_missed: missed
                    .map(|it| format!("{} ({})", it.workflow, it.missed_since))
                    .collect(),
                workflows,
                quarantined: metrics.troubles_of(&row.slug, Trouble::RunQuarantined),
                idle,
                queued: view.totals()?.runs[Status::Queued as usize],
            })
        })
    }

    /// A run may be between two actors at the moment of one look, but not of two.
    async fn idle_twice(&self, row: &TenantRow) -> Result<Vec<crate::domain::id::RunId>, Error> {
        // After a start those that were at work are loaded one after another.
        if self.now().since(self.engine().started_at()) < LOADED_AFTER {
            return Ok(Vec::new());
        }
        let first = self.engine().idle_runs(row.id, COUNTED_MAX).await?;
        if first.is_empty() {
            return Ok(first);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        let second = self.engine().idle_runs(row.id, COUNTED_MAX).await?;
        Ok(second.into_iter().filter(|run| first.contains(run)).collect())
    }
}

impl Principal {
    /// Returns whether a person on the box asks.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.kind == Kind::Local
    }
}

fn mode(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|it| it.permissions().mode() & 0o777)
}
