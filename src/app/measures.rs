//! What is read of the tenants, the store and the process when somebody scrapes the metrics.

use std::collections::BTreeMap;
use std::time::Duration;

use super::App;
use super::error::Error;
use crate::domain::id::TenantId;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::metrics::process::Usage;
use crate::metrics::readings::Readings;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::board::note_figures;
use crate::store::runs::RunList;
use crate::store::seam::Health;
use crate::store::tenant::TenantView;

/// How many tenants have series of their own.
const TENANTS_MAX: usize = 100;
/// How many waiting runs of one tenant are looked at, the newest first.
const WAITING_LOOKED_AT_MAX: usize = 1_000;
/// How many incidents of one tenant are counted.
const INCIDENTS_COUNTED_MAX: usize = 1_000;
/// How many late deadlines are counted.
const OVERDUE_COUNTED_MAX: usize = 1_000;
/// Before that a deadline that has passed is no news.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);

impl App {
    /// Returns everything that was counted and measured, in the text format of OpenMetrics.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.measure_deliveries();
        let mut readings = self.lookout().measured().unwrap_or_default();
        self.measure_lightly(&mut readings);
        let board = self.engine().store().board();
        note_figures(board, &self.standing().reasons, &mut readings);
        let counted = self.engine().metrics().render();
        let counted = counted.trim_end().trim_end_matches("# EOF");
        format!("{counted}{}# EOF\n", readings.render())
    }

    /// Measures what takes longer than a scrape may: done from time to time.
    pub fn measure_store(&self) {
        let bytes = self.engine().store().admin().bytes_on_disk();
        self.engine().metrics().set_store_bytes(bytes);
        let mut readings = Readings::default();
        for tenant in self.open_tenants().into_iter().take(TENANTS_MAX) {
            let noted = self.read_of(tenant.id, |view| {
                measure_waiting(&mut readings, view, &tenant.slug, self.now())
            });
            if let Err(error) = noted {
                tracing::debug!(tenant.slug, "Could not measure the tenant: {error}");
            }
        }
        if let Ok(late) = self.engine().overdue(self.now() - OVERDUE_AFTER, OVERDUE_COUNTED_MAX) {
            readings.note("ergane_timers_overdue", &[], late as f64);
        }
        let disk = self.lookout().disk(self.now());
        for (family, figure) in [
            ("ergane_disk_free_bytes", disk.free_bytes),
            ("ergane_disk_size_bytes", disk.size_bytes),
        ] {
            if let Some(bytes) = figure {
                readings.note(family, &[], bytes as f64);
            }
        }
        self.lookout().keep_measured(readings);
    }

    fn measure_lightly(&self, readings: &mut Readings) {
        for tenant in self.open_tenants().into_iter().take(TENANTS_MAX) {
            let Ok(totals) = self.read_of(tenant.id, |view| Ok(view.totals()?)) else { continue };
            for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
                let labels = [tenant.slug.as_str(), status.as_str()];
                let now = totals.runs[status as usize];
                readings.note("ergane_runs_now", &labels, now as f64);
            }
        }
        self.engine().measure(readings, TENANTS_MAX);
        let writable = self.engine().store().health() == Health::Healthy;
        readings.note("ergane_store_writable", &[], f64::from(u8::from(writable)));
        self.lookout().measure(readings);
        let usage = Usage::read();
        let figures = [
            ("ergane_process_resident_memory_bytes", usage.resident_bytes),
            ("ergane_process_open_fds", usage.open_fds),
            ("ergane_process_max_fds", usage.max_fds),
            ("ergane_process_threads", usage.threads),
        ];
        for (family, figure) in figures {
            if let Some(figure) = figure {
                readings.note(family, &[], figure as f64);
            }
        }
        if let Some(seconds) = usage.cpu_seconds {
            readings.note("ergane_process_cpu_seconds", &[], seconds);
        }
        let up = self.now().since(self.engine().started_at());
        readings.note("ergane_process_uptime_seconds", &[], up.as_secs_f64().floor());
    }

    /// Returns the tenants that were not deleted; none while they cannot be read.
    pub(super) fn open_tenants(&self) -> Vec<TenantRow> {
        let rows = self.read_of(APPLIANCE, |view| Ok(view.tenants()?)).unwrap_or_default();
        rows.into_iter().filter(|row| row.deleted_at.is_none()).collect()
    }

    /// Returns the name of a tenant that is open.
    #[must_use]
    pub fn tenant_slug(&self, tenant: TenantId) -> Option<String> {
        self.engine().slug_of(tenant)
    }

    /// Returns the name of a tenant, or its number while that is not known.
    pub(super) fn slug_of(&self, tenant: TenantId) -> String {
        self.engine().slug_of(tenant).unwrap_or_else(|| tenant.to_string())
    }
}

fn measure_waiting(
    readings: &mut Readings,
    view: TenantView<'_>,
    slug: &str,
    now: Timestamp,
) -> Result<(), Error> {
    let incidents = view.incidents_before(None, INCIDENTS_COUNTED_MAX)?.len();
    readings.note("ergane_incidents_open", &[slug], incidents as f64);
    let list = RunList::InStatus(Status::Waiting);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    for row in view.runs_before(list, None, WAITING_LOOKED_AT_MAX)? {
        let waiting = row.head.waiting_for.map(|waiting| serde_json::to_value(waiting.kind));
        let kind = waiting.and_then(Result::ok).and_then(|kind| Some(kind.as_str()?.to_owned()));
        *kinds.entry(kind.unwrap_or_else(|| "other".to_owned())).or_default() += 1;
    }
    for (kind, count) in kinds {
        readings.note("ergane_runs_waiting", &[slug, &kind], count as f64);
    }
    if let Some(oldest) = view.runs_in_status(Status::Waiting, None, 1)?.first()
        && let Some(row) = view.run(*oldest)?
    {
        let age = now.since(row.head.created_at).as_secs_f64();
        readings.note("ergane_runs_waiting_oldest_seconds", &[slug], age.floor());
    }
    Ok(())
}
