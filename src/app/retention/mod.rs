//! What is kept for how long: the rules, what they would remove, and the removing, in small
//! batches that are whole, fair over tenants, and never of what is still needed.

mod pass;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::json;
use tracing::{info, warn};

use super::App;
use super::audit::{Chain, Change};
use super::error::Error;
use super::principal::Principal;
use super::settings::RetentionSettings;
use crate::domain::id::TenantId;
use crate::domain::retention::{Keep, Rules, RunRules};
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::audit::CUT;
use crate::store::retention::Doomed;
pub use crate::store::retention::Pause;
use crate::store::tenant::TenantView;
use pass::{Pass, Purpose, Why};

/// How many rows a preview looks through.
const PREVIEW_LOOKS_MAX: usize = 20_000;
const AUDIT_AT_ONCE: usize = 1_000;
const PAUSE_MIN: Duration = Duration::from_millis(2);

/// What is going on.
#[derive(Debug, Default)]
pub struct Retention {
    working: AtomicBool,
    last: Mutex<Option<PassView>>,
    begun: Mutex<Option<Instant>>,
}

/// A pass over all tenants, or over one.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PassView {
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How many of each kind it removed.
    pub removed: BTreeMap<String, u64>,
}

/// What is kept, and what was removed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetentionView {
    /// What the tenant says.
    pub rules: Rules,
    /// What holds, with what the appliance says where the tenant is silent.
    pub effective: Rules,
    /// For how long the audit is kept at least.
    pub audit_floor: Keep,
    /// Whether nothing is removed now.
    pub paused: bool,
    /// How many of each kind were removed of the tenant so far.
    pub removed: BTreeMap<String, u64>,
    /// The last pass, of this process.
    pub last_pass: Option<PassView>,
}

/// What the rules would remove now.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// By rule and workflow.
    pub data: Vec<PreviewRow>,
    /// How many things altogether.
    pub total: u64,
    /// Whether there was more to look at than is looked at in a preview.
    pub truncated: bool,
}

/// What one rule would remove.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewRow {
    /// The rule: `runs.succeeded`.
    pub rule: String,
    /// The workflow, of runs.
    pub workflow: Option<String>,
    /// How many.
    pub count: u64,
}

/// Ends a pass, however it ends.
struct Working(Arc<Retention>);

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.store(false, Ordering::SeqCst);
    }
}

impl App {
    /// Returns what is kept of the caller's tenant, and what was removed.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn retention(&self, who: &Principal) -> Result<RetentionView, Error> {
        let paused = self.is_retention_paused()?;
        let (rules, state) =
            self.read(who, |view| Ok((view.retention_rules()?, view.retention_state()?)))?;
        let settings = self.retention_settings();
        Ok(RetentionView {
            effective: effective(&rules, settings),
            rules,
            audit_floor: Keep::days(settings.audit_days_min),
            paused,
            removed: state.removed,
            last_pass: self.side().retention.last.lock().clone(),
        })
    }

    /// Changes what is kept of the caller's tenant.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn set_retention(
        &self,
        who: &Principal,
        rules: Rules,
    ) -> Result<RetentionView, Error> {
        let change = Change::of("retention.change", "retention");
        self.write(who, change, move |tx, change| {
            change.before(&tx.view().retention_rules()?);
            change.after(&rules);
            tx.put_retention_rules(&rules);
            Ok(())
        })
        .await?;
        self.retention(who)
    }

    /// Counts what would be removed now, by rule; by the tenant's own rules without others.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn preview_retention(
        &self,
        who: &Principal,
        rules: Option<Rules>,
    ) -> Result<Preview, Error> {
        let (app, tenant) = (self.clone(), who.tenant);
        let counted = tokio::task::spawn_blocking(move || app.count_doomed(tenant, rules)).await;
        counted.map_err(|error| Error::Internal(format!("the preview broke off: {error}")))?
    }

    fn count_doomed(&self, tenant: TenantId, rules: Option<Rules>) -> Result<Preview, Error> {
        let (now, measured) = (self.now(), self.measured());
        let limit = self.retention_settings().batch_rows_max.max(1);
        let mut counts: BTreeMap<Why, u64> = BTreeMap::new();
        let mut truncated = false;
        let audit = self.read_of(tenant, |view| {
            let own = rules.map_or_else(|| view.retention_rules(), Ok)?;
            let rules = effective(&own, self.retention_settings());
            let audit = rules.audit;
            let measured = measured.as_ref().map(|it| &it.measured);
            let mut pass = Pass::begin(view, rules, measured, (now, Purpose::Count))?;
            let mut looks = 0;
            while let Some(found) = pass.look(view, limit)? {
                for (_, why) in found {
                    *counts.entry(why).or_default() += 1;
                }
                looks += 1;
                if looks == PREVIEW_LOOKS_MAX {
                    truncated = true;
                    break;
                }
            }
            Ok(audit)
        })?;
        for chain in Chain::BOTH {
            let before = self.audit_cut_before(audit);
            let look = |view: TenantView<'_>| Ok(view.audit_oldest(tenant, AUDIT_AT_ONCE)?);
            let oldest = self.read_of(chain.place(tenant), look)?;
            let going = oldest.iter().take_while(|link| link.row.at < before);
            let count = going.filter(|link| link.row.action != CUT).count() as u64;
            if count > 0 {
                *counts.entry(Why { rule: "audit", workflow: None }).or_default() += count;
            }
        }
        let row = |(why, count): (Why, u64)| PreviewRow {
            rule: why.rule.to_owned(),
            workflow: why.workflow,
            count,
        };
        let data: Vec<PreviewRow> = counts.into_iter().map(row).collect();
        Ok(Preview { total: data.iter().map(|row| row.count).sum(), data, truncated })
    }

    /// Removes now what the rules of the caller's tenant give up.
    ///
    /// # Errors
    /// `Conflict` while a pass goes on or nothing is to be removed, or why it cannot be written.
    pub async fn run_retention(&self, who: &Principal) -> Result<PassView, Error> {
        if self.is_retention_paused()? {
            let detail = "nothing is removed while retention is paused".to_owned();
            return Err(Error::Conflict { code: "retention_paused", detail });
        }
        let working = self.begin_retention().ok_or_else(|| Error::Conflict {
            code: "retention_running",
            detail: "a pass goes on already; its outcome is in `lastPass`".to_owned(),
        })?;
        let change = Change::of("retention.run", "retention");
        self.record_change(who, change).await?;
        let pass = self.retain(&[who.tenant]).await;
        drop(working);
        pass
    }

    /// Stops or resumes the removing, for every tenant and over restarts.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance.
    pub async fn pause_retention(
        &self,
        who: &Principal,
        pause: Pause,
    ) -> Result<RetentionView, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let action = match pause {
            Pause::Paused => "retention.pause",
            Pause::Resumed => "retention.resume",
        };
        let change = Change::of(action, "retention");
        self.write_access(who, change, move |tx, _| {
            tx.pause_retention(pause);
            Ok(())
        })
        .await?;
        self.retention(who)
    }

    fn is_retention_paused(&self) -> Result<bool, Error> {
        self.read_of(APPLIANCE, |view| Ok(view.is_retention_paused()?))
    }

    fn begin_retention(&self) -> Option<Working> {
        let retention = &self.side().retention;
        let was_working = retention.working.swap(true, Ordering::SeqCst);
        (!was_working).then(|| Working(Arc::clone(retention)))
    }

    /// Begins a pass over all tenants when it is time for one; nobody waits for it.
    pub fn retain_aside(&self) {
        let every = Duration::from_secs(self.retention_settings().every_minutes.max(1) * 60);
        if !self.is_retention_due(every) || self.is_retention_paused().unwrap_or(true) {
            return;
        }
        let Some(working) = self.begin_retention() else { return };
        let app = self.clone();
        tokio::spawn(async move {
            let _working = working;
            if let Err(error) = app.retain_all().await {
                warn!(%error, "Could not remove all that is past its time; it is tried again later");
            }
        });
    }

    /// A start counts as a pass, so that one who corrects the rules after it comes in time.
    fn is_retention_due(&self, every: Duration) -> bool {
        let mut begun = self.side().retention.begun.lock();
        let is_due = begun.is_some_and(|at| at.elapsed() + PAUSE_MIN >= every);
        if is_due || begun.is_none() {
            *begun = Some(Instant::now());
        }
        is_due
    }

    async fn retain_all(&self) -> Result<(), Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let open = tenants.into_iter().filter(|tenant| tenant.deleted_at.is_none());
        let tenants: Vec<TenantId> = open.map(|tenant| tenant.id).collect();
        self.retain(&tenants).await.map(drop)
    }

    /// Walks over tenants, a look at each in turn, and removes batch by batch.
    async fn retain(&self, tenants: &[TenantId]) -> Result<PassView, Error> {
        let (started_at, begun) = (self.now(), Instant::now());
        let mut removed: BTreeMap<String, u64> = BTreeMap::new();
        let measured = self.take_measured();
        let measured = measured.as_ref().map(|it| &it.measured);
        let mut passes = Vec::new();
        for tenant in tenants {
            let pass = self.read_of(*tenant, |view| {
                let rules = effective(&view.retention_rules()?, self.retention_settings());
                let audit = rules.audit;
                let time = (started_at, Purpose::Remove);
                Ok((*tenant, audit, Pass::begin(view, rules, measured, time)?))
            })?;
            passes.push(pass);
        }
        while !passes.is_empty() && !self.engine().is_stopping() {
            let mut going_on = Vec::with_capacity(passes.len());
            for (tenant, audit, mut pass) in passes {
                if self.retain_some(tenant, &mut pass, &mut removed).await? {
                    going_on.push((tenant, audit, pass));
                } else {
                    let count = self.cut_audit(tenant, audit).await?;
                    self.count_removed("audit", count, &mut removed);
                }
            }
            passes = going_on;
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if !removed.is_empty() {
            info!(?removed, took_ms, "Removed what was past its time");
        }
        let pass = PassView { started_at, took_ms, removed };
        *self.side().retention.last.lock() = Some(pass.clone());
        Ok(pass)
    }

    /// Takes one look at a tenant and removes what it finds; answers whether there is more.
    async fn retain_some(
        &self,
        tenant: TenantId,
        pass: &mut Pass,
        removed: &mut BTreeMap<String, u64>,
    ) -> Result<bool, Error> {
        let begun = Instant::now();
        let limit = self.retention_settings().batch_rows_max.max(1);
        let Some(found) = self.read_of(tenant, |view| Ok(pass.look(view, limit)?))? else {
            return Ok(false);
        };
        if !found.is_empty() {
            let doomed: Vec<Doomed> = found.into_iter().map(|(doomed, _)| doomed).collect();
            let needed = Arc::clone(&pass.needed);
            let gone =
                self.write_of(tenant, move |tx| Ok(tx.remove_doomed(&doomed, &needed)?)).await?;
            for (kind, count) in gone {
                self.count_removed(kind, count, removed);
            }
        }
        let busy = self.retention_settings().busy_percent.clamp(1, 100);
        let idle = begun.elapsed() * (100 - busy) / busy;
        tokio::time::sleep(idle.max(PAUSE_MIN)).await;
        Ok(true)
    }

    fn count_removed(&self, kind: &str, count: u64, removed: &mut BTreeMap<String, u64>) {
        if count > 0 {
            self.engine().metrics().retention_removed(kind, count);
            *removed.entry(kind.to_owned()).or_default() += count;
        }
    }

    fn audit_cut_before(&self, audit: Option<Keep>) -> Timestamp {
        let Some(age) = audit.and_then(Keep::limit) else { return Timestamp::from_millis(0) };
        let floor = Keep::days(self.retention_settings().audit_days_min).limit();
        let age = age.max(floor.unwrap_or_default()).as_millis();
        let age = i64::try_from(age).unwrap_or(i64::MAX);
        Timestamp::from_millis(self.now().millis().saturating_sub(age))
    }

    /// Cuts both chains of a tenant; each cut is one transaction with the record of it.
    async fn cut_audit(&self, tenant: TenantId, audit: Option<Keep>) -> Result<u64, Error> {
        let before = self.audit_cut_before(audit);
        let mut count = 0;
        if before == Timestamp::from_millis(0) {
            return Ok(count);
        }
        for chain in Chain::BOTH {
            loop {
                let cut = self.write_of(chain.place(tenant), move |tx| {
                    let now = tx.now();
                    let count = tx.cut_audit(tenant, (before, AUDIT_AT_ONCE), |cut, count| {
                        let hash = hex::encode(cut.hash);
                        let mut change = Change::of(CUT, chain.name());
                        change.after(
                            &json!({ "through": cut.through, "hash": hash, "count": count }),
                        );
                        change.row(now, &Principal::program(tenant, "Retention"))
                    })?;
                    Ok::<u64, Error>(count)
                });
                let cut = cut.await?;
                count += cut;
                if cut < AUDIT_AT_ONCE as u64 {
                    break;
                }
            }
        }
        Ok(count)
    }
}

/// Returns the rules that hold: the tenant's, and the appliance's where the tenant is silent.
fn effective(own: &Rules, settings: &RetentionSettings) -> Rules {
    let days = |days: u64| Some(Keep::days(days));
    let runs = RunRules {
        succeeded: days(settings.runs_succeeded_days),
        failed: days(settings.runs_failed_days),
        cancelled: days(settings.runs_cancelled_days),
        compensation_incomplete: days(settings.runs_incomplete_days),
        count: Some(settings.runs_of_workflow_max),
        bytes: Some(settings.runs_bytes_max),
    };
    let mut defaults = Rules {
        runs,
        rejected_events: days(settings.rejected_events_days),
        hook_deliveries: days(settings.hook_deliveries_days),
        audit: days(settings.audit_days),
        dedupe: days(settings.dedupe_days),
        ..Rules::default()
    };
    defaults.events.matched = days(settings.events_matched_days);
    defaults.events.unmatched = days(settings.events_unmatched_days);
    defaults.events.count = Some(settings.events_max);
    defaults.events.bytes = Some(settings.events_bytes_max);
    defaults.webhook_deliveries.delivered = days(settings.webhook_delivered_days);
    defaults.webhook_deliveries.dead = days(settings.webhook_dead_days);
    own.or(&defaults)
}
