//! What each tenant may use: asked at the doors before anything is taken in, shown with its use, and
//! set for one tenant by whoever owns the appliance.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tracing::warn;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::{Kind, Principal};
use crate::domain::id::TenantId;
use crate::domain::problem::{Problem, nearest};
use crate::domain::quota::{Bucket, Level, Limits, Pace, Quota};
use crate::domain::time::Timestamp;
use crate::engine::Load;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::tenant::TenantTx;
use crate::store::usage::{Kept, Used};

/// When to come back to a tenant that is full: it takes work again when something has ended.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(5);

/// The quotas of every tenant that was asked about.
#[derive(Debug, Default)]
pub struct Quotas {
    limits: Limits,
    shares: RwLock<HashMap<TenantId, Arc<Share>>>,
}

/// What one tenant may use, and what is left of it.
#[derive(Debug)]
struct Share {
    limits: Limits,
    own: BTreeMap<String, u64>,
    suspended_at: Option<Timestamp>,
    events: Mutex<Bucket>,
    requests: Mutex<Bucket>,
}

/// One quota of a tenant and its use.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct QuotaView {
    /// Its name.
    pub name: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// How much may be used; none for any amount.
    pub limit: Option<u64>,
    /// Whether the tenant has it of its own, rather than from the settings.
    pub own: bool,
    /// How much is used, of what is counted.
    pub used: Option<u64>,
    /// The same in percent of the limit.
    pub percent: Option<u64>,
    /// When a rate is as if nothing had been used.
    pub resets: Option<Timestamp>,
}

/// The quotas of a tenant with their use.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UsageView {
    /// The tenant.
    pub tenant: String,
    /// Since when it is suspended, if it is.
    pub suspended_at: Option<Timestamp>,
    /// Every quota.
    pub data: Vec<QuotaView>,
}

/// What is counted of a tenant at this moment.
pub(super) struct Counts {
    load: Load,
    used: Used,
    pub(super) keys: u64,
    pub(super) people: u64,
}

impl Quotas {
    /// Takes the quotas of tenants without their own from the settings.
    #[must_use]
    pub fn new(limits: Limits) -> Quotas {
        Quotas { limits, shares: RwLock::default() }
    }

    fn share(&self, row: Option<&TenantRow>, now: Timestamp) -> Arc<Share> {
        let own = row.map(|row| row.quotas.clone()).unwrap_or_default();
        let limits = self.limits.clone().with(&own);
        let bucket = |rate, burst| {
            let pace = Pace { per_second: limits.of(rate), burst: limits.of(burst) };
            Mutex::new(Bucket::full(pace, now))
        };
        Arc::new(Share {
            events: bucket(Quota::EventsPerSecond, Quota::EventsBurst),
            requests: bucket(Quota::RequestsPerSecond, Quota::RequestsBurst),
            suspended_at: row.and_then(|row| row.suspended_at),
            limits,
            own,
        })
    }
}

impl Share {
    /// Returns the limit that `used` has reached, if there is one.
    fn reached(&self, quota: Quota, used: u64) -> Option<u64> {
        let limit = self.limits.of(quota);
        (limit > 0 && used >= limit).then_some(limit)
    }
}

impl App {
    /// Sets what tenants may use that have nothing of their own.
    #[must_use]
    pub fn with_quotas(self, limits: Limits) -> App {
        App { quotas: Arc::new(Quotas::new(limits)), ..self }
    }

    fn share_of(&self, tenant: TenantId) -> Result<Arc<Share>, Error> {
        if let Some(share) = self.quotas.shares.read().get(&tenant) {
            return Ok(Arc::clone(share));
        }
        // Held while the row is read, so that no older one replaces what a change has set.
        let mut shares = self.quotas.shares.write();
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let row = rows.into_iter().find(|row| row.id == tenant);
        let share = self.quotas.share(row.as_ref(), self.now());
        shares.insert(tenant, Arc::clone(&share));
        Ok(share)
    }

    /// Follows what was just written of a tenant, here and in the engine.
    pub(super) async fn follow_tenant(&self, row: TenantRow) {
        let share = self.quotas.share(Some(&row), self.now());
        self.quotas.shares.write().insert(row.id, share);
        if let Err(error) = self.engine().follow(row).await {
            warn!("A tenant's actors follow at the next start: {error:?}");
        }
    }

    /// Counts a request of the caller's tenant; none where that is not limited.
    ///
    /// # Errors
    /// `OverQuota` for one too many.
    pub fn admit_request(&self, who: &Principal) -> Result<Option<Level>, Error> {
        if matches!(who.kind, Kind::Local | Kind::Program) {
            return Ok(None);
        }
        let (share, now) = (self.share_of(who.home)?, self.now());
        let taken = share.requests.lock().take(1, now);
        taken.map_err(|pause| self.too_fast(&share, Quota::RequestsPerSecond, pause))
    }

    /// Checks that the tenant of the caller's credential is not suspended: such a one may look, and
    /// change nothing.
    ///
    /// # Errors
    /// `Suspended` when it is.
    pub fn check_working(&self, who: &Principal) -> Result<(), Error> {
        if matches!(who.kind, Kind::Local | Kind::Program) {
            return Ok(());
        }
        match self.share_of(who.home)?.suspended_at {
            Some(since) => Err(Error::Suspended { since }),
            None => Ok(()),
        }
    }

    /// Checks that a tenant may take so many events, or begin so many runs, and counts them.
    ///
    /// # Errors
    /// `Suspended` while it is; `OverQuota` when they come too fast, or it is full.
    pub(super) fn admit_events(&self, tenant: TenantId, number: usize) -> Result<(), Error> {
        let share = self.share_of(tenant)?;
        if let Some(since) = share.suspended_at {
            return Err(Error::Suspended { since });
        }
        let load = self.engine().load_of(tenant).unwrap_or_default();
        for (quota, used) in
            [(Quota::WaitingRuns, load.waiting_runs), (Quota::StoredBytes, load.stored_bytes)]
        {
            if let Some(limit) = share.reached(quota, used) {
                let detail = over(quota, used, limit);
                let retry_after = Some(FULL_RETRY_AFTER);
                return Err(Error::OverQuota { quota, limit, used, detail, retry_after });
            }
        }
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let taken = share.events.lock().take(number, self.now());
        taken.map(drop).map_err(|pause| self.too_fast(&share, Quota::EventsPerSecond, pause))
    }

    fn too_fast(&self, share: &Share, quota: Quota, pause: Duration) -> Error {
        let limit = share.limits.of(quota);
        let detail = format!(
            "the tenant may have {limit} {}; nothing was accepted, come back in {} ms",
            quota.counted(),
            pause.as_millis().max(1)
        );
        Error::OverQuota { quota, limit, used: limit, detail, retry_after: Some(pause) }
    }

    /// Returns what a change that `who` asks for may make more of.
    pub(super) fn bounds_of(&self, who: &Principal) -> Result<Option<Bounds>, Error> {
        if who.kind == Kind::Program {
            return Ok(None);
        }
        let limits = self.share_of(who.tenant)?.limits.clone();
        Ok(Some(Bounds { tenant: who.tenant, limits }))
    }

    /// Shows the quotas of the caller's tenant and their use.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn usage(&self, who: &Principal) -> Result<UsageView, Error> {
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let row = rows.into_iter().find(|row| row.id == who.tenant);
        self.usage_of(&row.ok_or_else(|| super::tenants::missing(&who.tenant.to_string()))?)
    }

    /// Shows the quotas of a tenant and their use, to itself and to whoever owns the appliance.
    ///
    /// # Errors
    /// `NotFound` for a tenant that the caller does not see.
    pub fn tenant_quotas(&self, who: &Principal, slug: &str) -> Result<UsageView, Error> {
        self.usage_of(&self.tenant_row(who, slug)?)
    }

    /// Sets quotas of one tenant; none gives it that of the settings again.
    ///
    /// # Errors
    /// `NotFound`, `Forbidden` unless the caller owns the appliance, `Invalid` for names that are
    /// no quotas.
    pub async fn set_quotas(
        &self,
        who: &Principal,
        slug: &str,
        wanted: BTreeMap<String, Option<u64>>,
    ) -> Result<UsageView, Error> {
        check_names(&wanted)?;
        let row = self
            .alter_tenant(who, (slug, "tenant.setQuotas"), move |row| {
                for (name, limit) in wanted {
                    match limit {
                        Some(limit) => row.quotas.insert(name, limit),
                        None => row.quotas.remove(&name),
                    };
                }
            })
            .await?;
        self.usage_of(&row)
    }

    /// Changes the row of a tenant, together with the record of who did.
    pub(super) async fn alter_tenant(
        &self,
        who: &Principal,
        (slug, action): (&str, &str),
        alter: impl FnOnce(&mut TenantRow) + Send + 'static,
    ) -> Result<TenantRow, Error> {
        let id = self.tenant_row(who, slug)?.id;
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let (change, slug) = (Change::of(action, slug), slug.to_owned());
        let row = self
            .write_access(who, change, move |tx, change| {
                let rows = tx.view().tenants()?;
                let row = rows.into_iter().find(|row| row.id == id && row.deleted_at.is_none());
                let mut row = row.ok_or_else(|| super::tenants::missing(&slug))?;
                change.before(&row);
                alter(&mut row);
                tx.put_tenant(&row);
                change.after(&row);
                Ok(row)
            })
            .await?;
        self.follow_tenant(row.clone()).await;
        Ok(row)
    }

    pub(super) fn counts_of(&self, tenant: TenantId) -> Result<Counts, Error> {
        let (keys, people) = self.read_of(APPLIANCE, |view| {
            let keys = view.keys()?.iter().filter(|key| key.tenant == tenant).count();
            let people = view.people()?.iter().filter(|person| person.tenant == tenant).count();
            Ok((keys as u64, people as u64))
        })?;
        let used = self.read_of(tenant, |view| Ok(view.used()?))?.unwrap_or_default();
        let load = self.engine().load_of(tenant).unwrap_or_default();
        Ok(Counts { load, used, keys, people })
    }

    fn usage_of(&self, row: &TenantRow) -> Result<UsageView, Error> {
        let (share, counts, now) = (self.share_of(row.id)?, self.counts_of(row.id)?, self.now());
        let rate = |bucket: &Mutex<Bucket>| {
            let level = bucket.lock().seen(now);
            (level.limit - level.left.min(level.limit), now + level.full_in)
        };
        let view = |quota: Quota| {
            let (used, resets) = match quota {
                Quota::EventsPerSecond | Quota::RequestsPerSecond => (None, None),
                Quota::EventsBurst => Some(rate(&share.events)).unzip(),
                Quota::RequestsBurst => Some(rate(&share.requests)).unzip(),
                _ => (Some(counts.of(quota)), None), // Every other quota is a count.
            };
            let limit = Some(share.limits.of(quota)).filter(|limit| *limit > 0);
            let percent = used.zip(limit).map(|(used, limit)| used.saturating_mul(100) / limit);
            let own = share.own.contains_key(quota.name());
            let (name, unit) = (quota.name(), quota.counted());
            QuotaView { name, unit, limit, own, used, percent, resets }
        };
        let data = Quota::ALL.into_iter().map(view).collect();
        Ok(UsageView { tenant: row.slug.clone(), suspended_at: row.suspended_at, data })
    }
}

impl Counts {
    pub(super) fn of(&self, quota: Quota) -> u64 {
        match quota {
            Quota::ActiveRuns => self.load.active_runs,
            Quota::WaitingRuns => self.load.waiting_runs,
            Quota::StoredBytes => self.used.bytes,
            Quota::Workflows => self.used.of(Kept::Workflows),
            Quota::Connections => self.used.of(Kept::Connections),
            Quota::Secrets => self.used.of(Kept::Secrets),
            Quota::Webhooks => self.used.of(Kept::Webhooks),
            Quota::EventTypes => self.used.of(Kept::EventTypes),
            Quota::Records => self.used.of(Kept::Records),
            Quota::Keys => self.keys,
            Quota::People => self.people,
            Quota::EventsPerSecond
            | Quota::EventsBurst
            | Quota::RequestsPerSecond
            | Quota::RequestsBurst => 0, // A rate has no count.
        }
    }
}

/// What a change may make more of.
pub(super) struct Bounds {
    tenant: TenantId,
    limits: Limits,
}

impl Bounds {
    /// Refuses a transaction that has made more of something than the tenant may have.
    ///
    /// # Errors
    /// `OverQuota` with the limit and the use before.
    pub(super) fn check(&self, tx: &mut TenantTx<'_, '_>, action: &str) -> Result<(), Error> {
        for kind in Kept::ALL {
            if let Some(count) = tx.grown(kind)? {
                self.check_count(quota_of(kind), count)?;
            }
        }
        // Who may enter is kept with the appliance, where rows are not those of one tenant.
        match action {
            "key.create" => {
                let keys = tx.view().keys()?;
                let own = keys.iter().filter(|key| key.tenant == self.tenant);
                self.check_count(Quota::Keys, own.count() as u64)
            }
            "person.create" => {
                let people = tx.view().people()?;
                let own = people.iter().filter(|person| person.tenant == self.tenant);
                self.check_count(Quota::People, own.count() as u64)
            }
            _ => Ok(()), // No other change makes more of what is kept there.
        }
    }

    fn check_count(&self, quota: Quota, count: u64) -> Result<(), Error> {
        let limit = self.limits.of(quota);
        if limit == 0 || count <= limit {
            return Ok(());
        }
        let used = count.saturating_sub(1);
        let detail = over(quota, used, limit);
        Err(Error::OverQuota { quota, limit, used, detail, retry_after: None })
    }
}

const fn quota_of(kind: Kept) -> Quota {
    match kind {
        Kept::Workflows => Quota::Workflows,
        Kept::Connections => Quota::Connections,
        Kept::Secrets => Quota::Secrets,
        Kept::Webhooks => Quota::Webhooks,
        Kept::EventTypes => Quota::EventTypes,
        Kept::Records => Quota::Records,
    }
}

fn over(quota: Quota, used: u64, limit: u64) -> String {
    format!("the tenant has {used} {} of the {limit} that it may have", quota.counted())
}

fn check_names(wanted: &BTreeMap<String, Option<u64>>) -> Result<(), Error> {
    let unknown = wanted.keys().filter(|name| Quota::named(name).is_none()).map(|name| {
        let problem = Problem::new(format!("/{name}"), "unknown_quota", "is no quota");
        match nearest(name, Quota::ALL.map(Quota::name)) {
            Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
            None => problem.with_hint("GET lists them all"),
        }
    });
    let problems: Vec<Problem> = unknown.collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}
