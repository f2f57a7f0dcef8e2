//! Whether something is the matter: looked at again and again, told in events and in notices.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, json};
use tracing::{debug, warn};

use super::App;
use super::error::Error;
use super::lookout::Tallies;
use super::principal::Principal;
use crate::domain::alert::{Alert, AlertKind, Condition, Turn};
use crate::domain::destination::Circuit;
use crate::domain::doctor::{Finding, Grade};
use crate::domain::event::{Actor, Event};
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::logs::{self, Level};
use crate::metrics::Trouble;
use crate::store::access::APPLIANCE;

/// How many turns of alerts wait for an event while the store takes no writes.
const UNTOLD_MAX: usize = 1_000;
const RECENT_MAX: usize = 200;
const SOURCE: &str = "ergane/system";

/// The alerts that a caller may see.
#[derive(Clone, Debug, Serialize)]
pub struct AlertsView {
    /// Those that are raised, the newest first.
    pub data: Vec<Alert>,
    /// Those that went, the last first.
    pub recent: Vec<Alert>,
    /// How many notices wait to be sent.
    #[serde(rename = "noticesWaiting")]
    pub notices_waiting: usize,
}

impl App {
    /// Returns the alerts that are raised and the last that were: all of them for whoever owns the
    /// appliance, else those of the caller's tenant.
    ///
    /// # Errors
    /// Fails when it cannot be read who asks.
    pub fn alerts(&self, who: &Principal) -> Result<AlertsView, Error> {
        let slug = match self.owns_appliance(who)? {
            true => None,
            false => Some(self.slug_of(who.tenant)),
        };
        let is_seen = |alert: &Alert| slug.is_none() || alert.tenant == slug;
        let lookout = self.lookout();
        Ok(AlertsView {
            data: lookout.open_alerts().into_iter().filter(is_seen).collect(),
            recent: lookout.recent_alerts(RECENT_MAX).into_iter().filter(is_seen).collect(),
            notices_waiting: lookout.outbox.lock().len(),
        })
    }

    /// Takes up the alerts that were raised when the process ended.
    pub fn resume_alerts(&self) {
        match self.read_of(APPLIANCE, |view| Ok(view.alert_book()?)) {
            Ok(Some(book)) => self.lookout().take_up(book),
            Ok(None) => {}
            Err(error) => warn!("Cannot read which alerts were raised: {error}"),
        }
        self.read_notices();
    }

    /// Looks once whether something is the matter, and sees to it that it is told.
    pub async fn look_around(&self) {
        let now = self.now();
        logs::book().look_at_clock(now);
        let findings = self.examine_all().await;
        let mut conditions: Vec<Condition> = findings.iter().filter_map(condition_of).collect();
        conditions.extend(self.lately(now));
        conditions.extend(self.open_circuits().await);
        let turns = self.lookout().look(now, conditions);
        for (turn, alert) in &turns {
            self.note_turn(*turn, alert);
        }
        if !turns.is_empty() {
            self.keep_alerts().await;
        }
        self.open_ways().await;
        self.tell_events().await;
    }

    async fn open_circuits(&self) -> Vec<Condition> {
        let max = self.lookout().alerts.open_circuits_max;
        let mut found = Vec::new();
        for tenant in self.open_tenants() {
            let seen = self.engine().destinations(tenant.id).await.unwrap_or_default();
            let open = seen.iter().filter(|it| it.circuit != Circuit::Closed).count();
            if open > max {
                found.push(Condition {
                    kind: AlertKind::CircuitsOpen,
                    tenant: Some(tenant.slug),
                    subject: String::new(),
                    detail: format!("{open} destinations are left alone because calls fail"),
                    cure: Some("look at /destinations".to_owned()),
                });
            }
        }
        found
    }

    fn note_turn(&self, turn: Turn, alert: &Alert) {
        let tenant = alert.tenant.as_deref();
        let (kind, detail) = (alert.kind.word(), &alert.detail);
        warn!(tenant, alert = kind, "Alert {}: {detail}", turn.word());
        if !alert.told {
            return;
        }
        let mut untold = self.lookout().untold.lock();
        if untold.len() >= UNTOLD_MAX {
            untold.pop_front();
        }
        untold.push_back((turn, alert.clone()));
        drop(untold);
        self.post_notices(turn, alert);
    }

    /// While the store takes no writes they are known in memory alone.
    async fn keep_alerts(&self) {
        let book = self.lookout().written_book();
        let kept = self.write_of(APPLIANCE, move |tx| {
            tx.put_alert_book(&book);
            Ok(())
        });
        if let Err(error) = kept.await {
            debug!("Cannot keep which alerts are raised: {error}");
        }
    }

    /// Returns the conditions that show in what was counted within the last while.
    fn lately(&self, now: Timestamp) -> Vec<Condition> {
        let settings = &self.lookout().alerts;
        let window = Duration::from_millis(settings.window_ms);
        let present = self.tallies(now);
        let mut past = self.lookout().tallies.lock();
        while past.len() > 1 && past.get(1).is_some_and(|it| now.since(it.at) >= window) {
            past.pop_front();
        }
        let before = past.front().cloned().unwrap_or_else(|| present.clone());
        past.push_back(present.clone());
        drop(past);
        let mut found = Vec::new();
        let errors = present.errors.saturating_sub(before.errors);
        if errors > settings.errors_max {
            found.push(Condition {
                kind: AlertKind::ErrorsBurst,
                tenant: None,
                subject: String::new(),
                detail: format!("{errors} errors were logged lately"),
                cure: Some("ergane logs --level error".to_owned()),
            });
        }
        for tenant in present.by_tenant.keys() {
            let more =
                |word: &str| present.of(tenant, word).saturating_sub(before.of(tenant, word));
            found.extend(self.lately_in(tenant, &more));
        }
        found
    }

    fn lately_in(&self, tenant: &str, more: &dyn Fn(&str) -> u64) -> Vec<Condition> {
        let settings = &self.lookout().alerts;
        let mut found = Vec::new();
        let mut add = |kind, detail: String, cure: &str| {
            let (tenant, subject) = (Some(tenant.to_owned()), String::new());
            let cure = Some(cure.to_owned());
            found.push(Condition { kind, tenant, subject, detail, cure });
        };
        let (failed, ended) = (more(Trouble::RunFailed.word()), more(ENDED));
        if ended >= settings.failed_runs_min && failed * 100 >= ended * settings.failed_percent {
            let detail = format!("{failed} of {ended} runs have failed lately");
            add(AlertKind::RunsFailing, detail, "ergane run list --status failed");
        }
        for (trouble, kind, what, cure) in [
            (
                Trouble::IncidentOpened,
                AlertKind::IncidentOpened,
                "steps have begun to wait for somebody",
                "ergane run list --status waiting",
            ),
            (
                Trouble::CompensationIncomplete,
                AlertKind::CompensationIncomplete,
                "runs could not be undone whole",
                "ergane run list --status failed",
            ),
            (
                Trouble::RunQuarantined,
                AlertKind::RunQuarantined,
                "runs were set aside",
                "ergane logs --level error",
            ),
            (
                Trouble::ScheduleMissed,
                AlertKind::ScheduleMissed,
                "times of schedules were missed",
                "look at /schedules",
            ),
        ] {
            let count = more(trouble.word());
            if count > 0 {
                add(kind, format!("{count} {what} lately"), cure);
            }
        }
        found
    }

    fn tallies(&self, now: Timestamp) -> Tallies {
        let metrics = self.engine().metrics();
        let mut by_tenant = BTreeMap::new();
        for tenant in self.open_tenants() {
            let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
            for trouble in Trouble::ALL {
                counts.insert(trouble.word(), metrics.troubles_of(&tenant.slug, trouble));
            }
            let totals = self.read_of(tenant.id, |view| Ok(view.totals()?)).unwrap_or_default();
            let ended = [Status::Succeeded, Status::Failed].map(|it| totals.runs[it as usize]);
            counts.insert(ENDED, ended.iter().sum());
            by_tenant.insert(tenant.slug, counts);
        }
        Tallies { at: now, errors: logs::book().count(Level::Error), by_tenant }
    }

    /// Makes an event of each turn that has none; what cannot be written now is written later.
    async fn tell_events(&self) {
        while let Some((turn, alert)) = self.next_untold() {
            let Ok(tenant) = self.tenant_told(&alert) else { return };
            let event = event_of(turn, &alert, self.now());
            let told = self.write_of(tenant, move |tx| {
                tx.emit(event);
                Ok(())
            });
            if let Err(error) = told.await {
                debug!("Cannot make the event of an alert yet: {error}");
                return;
            }
            self.lookout().untold.lock().pop_front();
        }
    }

    fn next_untold(&self) -> Option<(Turn, Alert)> {
        self.lookout().untold.lock().front().cloned()
    }

    /// What is about the whole appliance is told in its first tenant.
    fn tenant_told(&self, alert: &Alert) -> Result<crate::domain::id::TenantId, Error> {
        let named = alert.tenant.as_ref();
        let found = self.open_tenants().into_iter().find(|row| Some(&row.slug) == named);
        match found {
            Some(row) => Ok(row.id),
            None => Ok(self.first_tenant()?.id),
        }
    }
}

/// The count of runs that ended, beside the troubles.
const ENDED: &str = "ended";

/// Returns what a finding of the doctor is an alert for; keys and habits are none.
fn condition_of(finding: &Finding) -> Option<Condition> {
    let is_bad = finding.status != Grade::Ok;
    let kind = match finding.check {
        "store" => AlertKind::StoreNotWritable,
        "disk-space" => AlertKind::DiskLow,
        "certificate" => AlertKind::CertificateEnding,
        "clock" => AlertKind::ClockJumped,
        "webhooks" => AlertKind::WebhookDisabled,
        "circuits" => return None, // A single one is no alert.
        "backups" if finding.status == Grade::Warn && finding.detail.starts_with("no backup") => {
            return None; // Whoever makes none with this program makes them in another way.
        }
        "backups" => AlertKind::BackupOverdue,
        // The count within the last while tells of these.
        "quarantine" => return None,
        _ if finding.status == Grade::Fail => AlertKind::CheckFailed,
        _ => return None, // A warning of the doctor can wait until somebody looks.
    };
    is_bad.then(|| Condition {
        kind,
        tenant: finding.tenant.clone(),
        subject: finding.check.to_owned(),
        detail: finding.detail.clone(),
        cure: finding.cure.clone(),
    })
}

fn event_of(turn: Turn, alert: &Alert, now: Timestamp) -> Event {
    Event {
        id: String::new(), // Given at its acceptance.
        kind: match turn {
            Turn::Raised => "system:alert-raised".to_owned(),
            Turn::Resolved => "system:alert-resolved".to_owned(),
        },
        source: SOURCE.to_owned(),
        subject: Some(alert.kind.word().to_owned()),
        time: now,
        actor: Actor { id: "ergane".to_owned(), kind: "SYSTEM".to_owned(), email: String::new() },
        payload: json!({ "alert": told(alert) }),
        metadata: Map::new(),
        cause: None,
    }
}

/// Returns what others are told of an alert.
pub(super) fn told(alert: &Alert) -> serde_json::Value {
    json!({
        "id": alert.id,
        "kind": alert.kind,
        "tenant": alert.tenant,
        "subject": alert.subject,
        "detail": alert.detail,
        "cure": alert.cure,
        "raisedAt": alert.raised_at,
        "resolvedAt": alert.resolved_at,
    })
}
