//! What the appliance counts and measures of itself, under the names that monitoring relies on.

pub mod process;
pub mod readings;
pub mod table;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Duration;

use ahash::{AHashMap, RandomState};
use parking_lot::{Mutex, RwLock};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// How many series one family may have; what comes later is counted under `other`.
const SERIES_MAX: usize = 500;

/// Counters, gauges and histograms of the appliance; made once and handed down.
#[derive(Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    events: Bounded<EventLabels>,
    evaluations: Bounded<ResultLabels>,
    events_rejected: Bounded<TenantLabels>,
    troubles: Bounded<TroubleLabels>,
    notices: Bounded<OutcomeLabels>,
    spans: Bounded<OutcomeLabels>,
    runs: Bounded<RunLabels>,
    run_seconds: Histogram,
    attempts: Bounded<AttemptLabels>,
    deliveries: Bounded<OutcomeLabels>,
    deliveries_pending: Gauge<i64, AtomicI64>,
    hook_deliveries: Bounded<HookLabels>,
    calls_deferred: Bounded<ReasonLabels>,
    destinations: Family<DestinationLabels, Gauge<i64, AtomicI64>>,
    destinations_named: Mutex<BTreeSet<DestinationLabels>>,
    pressure_bytes: Gauge<i64, AtomicI64>,
    timer_lag_seconds: Histogram,
    commit_seconds: Histogram,
    store_bytes: Gauge<i64, AtomicI64>,
    backup_at_seconds: Gauge<i64, AtomicI64>,
    backup_bytes: Gauge<i64, AtomicI64>,
    backup_failures: Counter<u64, AtomicU64>,
    store_free_bytes: Gauge<i64, AtomicI64>,
    space_bytes: Family<SpaceLabels, Gauge<i64, AtomicI64>>,
    retention_removed: Family<KindLabels, Counter<u64, AtomicU64>>,
}

impl Metrics {
    /// Registers every family.
    #[must_use]
    pub fn new() -> Metrics {
        let metrics = Metrics {
            events: Bounded::default(),
            evaluations: Bounded::default(),
            events_rejected: Bounded::default(),
            troubles: Bounded::default(),
            notices: Bounded::default(),
            spans: Bounded::default(),
            runs: Bounded::default(),
            run_seconds: Histogram::new(exponential_buckets(0.001, 4.0, 10)),
            attempts: Bounded::default(),
            deliveries: Bounded::default(),
            deliveries_pending: Gauge::default(),
            hook_deliveries: Bounded::default(),
            calls_deferred: Bounded::default(),
            destinations: Family::default(),
            destinations_named: Mutex::default(),
            pressure_bytes: Gauge::default(),
            timer_lag_seconds: Histogram::new(exponential_buckets(0.005, 2.0, 12)),
            commit_seconds: Histogram::new(exponential_buckets(0.000_1, 2.0, 14)),
            store_bytes: Gauge::default(),
            backup_at_seconds: Gauge::default(),
            backup_bytes: Gauge::default(),
            backup_failures: Counter::default(),
            store_free_bytes: Gauge::default(),
            space_bytes: Family::default(),
            retention_removed: Family::default(),
            registry: Arc::default(),
        };
        metrics.register_families(&mut metrics.registry.lock());
        metrics
    }

    /// Counts an event that was accepted.
    pub fn event_accepted(&self, tenant: &str, kind: &str) {
        self.events.count([tenant, kind]);
    }

    /// Counts the evaluation of a trigger's filter: `matched`, `filtered` or `failed`.
    pub fn filter_evaluated(&self, result: &str) {
        self.evaluations.count([result]);
    }

    /// Counts events that were refused because of what they hold.
    pub fn events_rejected(&self, tenant: &str, number: usize) {
        for _ in 0..number {
            self.events_rejected.count([tenant]);
        }
    }

    /// Counts something that went wrong in a tenant.
    pub fn trouble(&self, tenant: &str, trouble: Trouble) {
        self.troubles.count([tenant, trouble.word()]);
    }

    /// Returns how often something went wrong in a tenant since the start.
    #[must_use]
    pub fn troubles_of(&self, tenant: &str, trouble: Trouble) -> u64 {
        let labels = TroubleLabels::of(&[tenant, trouble.word()]);
        self.troubles.family.get(&labels).map_or(0, |counter| counter.get())
    }

    /// Counts a notice of an alert: `sent`, `failed` (another attempt follows) or `given_up`.
    pub fn notice(&self, outcome: &str) {
        self.notices.count([outcome]);
    }

    /// Counts spans of traces: `sent`, `dropped` or `refused`.
    pub fn spans(&self, outcome: &str, number: usize) {
        for _ in 0..number {
            self.spans.count([outcome]);
        }
    }

    /// Counts a run that reached a status.
    pub fn run_reached(&self, tenant: &str, workflow: &str, status: &str) {
        self.runs.count([tenant, workflow, status]);
    }

    /// Records how long a run took from its creation to its end.
    pub fn run_ended_after(&self, duration: Duration) {
        self.run_seconds.observe(duration.as_secs_f64());
    }

    /// Counts an attempt of a step: `succeeded`, `failed` or `unknown`.
    pub fn attempt_ended(&self, tenant: &str, activity: &str, outcome: &str) {
        self.attempts.count([tenant, activity, outcome]);
    }

    /// Counts an attempt to deliver to a subscriber: `delivered`, `failed` (another follows) or
    /// `dead` (none does).
    pub fn delivery_attempted(&self, outcome: &str) {
        self.deliveries.count([outcome]);
    }

    /// Sets how many deliveries to subscribers are not over.
    pub fn set_deliveries_pending(&self, count: u64) {
        self.deliveries_pending.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts what came from outside to a connection or a form: `accepted`, `duplicate`,
    /// `unmatched`, `rejected`, or `refused` for a signature that is not good.
    pub fn hook_delivered(&self, connection: &str, outcome: &str) {
        self.hook_deliveries.count([connection, outcome]);
    }

    /// Counts a call that waits in its run's journal, by the reason.
    pub fn call_deferred(&self, reason: &str) {
        self.calls_deferred.count([reason]);
    }

    /// Sets how the circuit to a destination stands: 0 while it is `closed`, else 1. Of more
    /// than `series_max` destinations that were ever open, the later ones are not shown.
    pub fn set_destination_state(
        &self,
        (tenant, destination): (&str, &str),
        state: &str,
        series_max: usize,
    ) {
        let labels =
            DestinationLabels { tenant: tenant.to_owned(), destination: destination.to_owned() };
        let mut named = self.destinations_named.lock();
        if !named.contains(&labels) {
            if named.len() >= series_max {
                return;
            }
            named.insert(labels.clone());
        }
        self.destinations.get_or_create(&labels).set(i64::from(state != "closed"));
    }

    /// Forgets a destination that nobody remembers any more.
    pub fn forget_destination(&self, tenant: &str, destination: &str) {
        let labels =
            DestinationLabels { tenant: tenant.to_owned(), destination: destination.to_owned() };
        if self.destinations_named.lock().remove(&labels) {
            self.destinations.remove(&labels);
        }
    }

    /// Sets the bytes of the rows of one space.
    pub fn set_space_bytes(&self, space: &str, bytes: u64) {
        let labels = SpaceLabels { space: space.to_owned() };
        self.space_bytes.get_or_create(&labels).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets how many bytes of the store's file writing it anew would free.
    pub fn set_store_free_bytes(&self, bytes: u64) {
        self.store_free_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts what was removed because it was past its time.
    pub fn retention_removed(&self, kind: &str, count: u64) {
        self.retention_removed.get_or_create(&KindLabels { kind: kind.to_owned() }).inc_by(count);
    }

    /// Sets how many bytes wait for the writer.
    pub fn set_pressure_bytes(&self, bytes: usize) {
        self.pressure_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Records how long after its instant a timer fired.
    pub fn timer_fired_after(&self, lag: Duration) {
        self.timer_lag_seconds.observe(lag.as_secs_f64());
    }

    /// Records how long one durable commit took.
    pub fn committed_in(&self, duration: Duration) {
        self.commit_seconds.observe(duration.as_secs_f64());
    }

    /// Sets the size of the store on disk.
    pub fn set_store_bytes(&self, bytes: u64) {
        self.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Returns every family in the text format of OpenMetrics.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry.lock())
            .expect("writing into a string cannot fail");
        text
    }

    /// Notes the newest backup: the moment that it shows, in seconds, and its bytes.
    pub fn backup_succeeded(&self, at_seconds: i64, bytes: u64) {
        self.backup_at_seconds.set(at_seconds);
        self.backup_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Counts a backup that failed.
    pub fn backup_failed(&self) {
        self.backup_failures.inc();
    }

    fn register_families(&self, registry: &mut Registry) {
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        enter(registry, "ergane_build", build);
        enter(registry, "ergane_events", self.events.family.clone());
        enter(registry, "ergane_events_rejected", self.events_rejected.family.clone());
        enter(registry, "ergane_filter_evaluations", self.evaluations.family.clone());
        enter(registry, "ergane_runs", self.runs.family.clone());
        enter(registry, "ergane_run_duration_seconds", self.run_seconds.clone());
        enter(registry, "ergane_troubles", self.troubles.family.clone());
        enter(registry, "ergane_step_attempts", self.attempts.family.clone());
        enter(registry, "ergane_webhook_deliveries", self.deliveries.family.clone());
        enter(registry, "ergane_webhook_deliveries_pending", self.deliveries_pending.clone());
        enter(registry, "ergane_hook_deliveries", self.hook_deliveries.family.clone());
        enter(registry, "ergane_calls_deferred", self.calls_deferred.family.clone());
        enter(registry, "ergane_destination_state", self.destinations.clone());
        enter(registry, "ergane_pressure_bytes", self.pressure_bytes.clone());
        enter(registry, "ergane_schedule_lag_seconds", self.timer_lag_seconds.clone());
        enter(registry, "ergane_store_commit_seconds", self.commit_seconds.clone());
        enter(registry, "ergane_store_bytes", self.store_bytes.clone());
        enter(
            registry,
            "ergane_backup_last_success_timestamp_seconds",
            self.backup_at_seconds.clone(),
        );
        enter(registry, "ergane_backup_last_bytes", self.backup_bytes.clone());
        enter(registry, "ergane_backup_failures", self.backup_failures.clone());
        enter(registry, "ergane_store_free_bytes", self.store_free_bytes.clone());
        enter(registry, "ergane_store_space_bytes", self.space_bytes.clone());
        enter(registry, "ergane_retention_removed", self.retention_removed.clone());
        enter(registry, "ergane_notices", self.notices.family.clone());
        enter(registry, "ergane_spans", self.spans.family.clone());
    }
}

/// Registers a family under its row of the table.
fn enter(
    registry: &mut Registry,
    name: &'static str,
    family: impl prometheus_client::registry::Metric,
) {
    registry.register(name, table::help_of(name), family);
}

/// Something that went wrong and that somebody may want to hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// A run has failed.
    RunFailed,
    /// A run was set aside because it crashed again and again, or cannot be read.
    RunQuarantined,
    /// Not every step of a run could be undone.
    CompensationIncomplete,
    /// A step waits for somebody.
    IncidentOpened,
    /// A schedule has missed a time.
    ScheduleMissed,
}

impl Trouble {
    /// Every kind.
    pub const ALL: [Trouble; 5] = [
        Trouble::RunFailed,
        Trouble::RunQuarantined,
        Trouble::CompensationIncomplete,
        Trouble::IncidentOpened,
        Trouble::ScheduleMissed,
    ];

    /// Returns the word for it in labels.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Trouble::RunFailed => "run_failed",
            Trouble::RunQuarantined => "run_quarantined",
            Trouble::CompensationIncomplete => "compensation_incomplete",
            Trouble::IncidentOpened => "incident_opened",
            Trouble::ScheduleMissed => "schedule_missed",
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

/// A family of counters that names at most `SERIES_MAX` series, since its labels come from users.
#[derive(Debug)]
struct Bounded<L: Labels> {
    family: Family<L, Counter<u64, AtomicU64>>,
    // Keyed by a hash of the labels, so that counting a known series allocates nothing.
    known: RwLock<AHashMap<u64, Counter<u64, AtomicU64>>>,
    hasher: RandomState,
}

impl<L: Labels> Default for Bounded<L> {
    fn default() -> Bounded<L> {
        Bounded {
            family: Family::default(),
            known: RwLock::default(),
            hasher: RandomState::default(),
        }
    }
}

impl<L: Labels> Bounded<L> {
    fn count<const N: usize>(&self, values: [&str; N]) {
        let hash = self.hasher.hash_one(values);
        if let Some(counter) = self.known.read().get(&hash) {
            counter.inc();
            return;
        }
        let mut known = self.known.write();
        let counter = if known.len() < SERIES_MAX {
            let counter = self.family.get_or_create_owned(&L::of(&values));
            known.insert(hash, counter.clone());
            counter
        } else {
            self.family.get_or_create_owned(&L::of(&["other"; N]))
        };
        counter.inc();
    }
}

/// Labels that are built from texts in the order of their fields.
trait Labels: Clone + std::hash::Hash + Eq {
    fn of(values: &[&str]) -> Self;
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    tenant: String,
    r#type: String,
}

impl Labels for EventLabels {
    fn of(values: &[&str]) -> EventLabels {
        EventLabels { tenant: values[0].to_owned(), r#type: values[1].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: String,
}

impl Labels for ResultLabels {
    fn of(values: &[&str]) -> ResultLabels {
        ResultLabels { result: values[0].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: String,
}

impl Labels for ReasonLabels {
    fn of(values: &[&str]) -> ReasonLabels {
        ReasonLabels { reason: values[0].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct DestinationLabels {
    tenant: String,
    destination: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TenantLabels {
    tenant: String,
}

impl Labels for TenantLabels {
    fn of(values: &[&str]) -> TenantLabels {
        TenantLabels { tenant: values[0].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TroubleLabels {
    tenant: String,
    kind: String,
}

impl Labels for TroubleLabels {
    fn of(values: &[&str]) -> TroubleLabels {
        TroubleLabels { tenant: values[0].to_owned(), kind: values[1].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    tenant: String,
    workflow: String,
    status: String,
}

impl Labels for RunLabels {
    fn of(values: &[&str]) -> RunLabels {
        let [tenant, workflow, status] = [0, 1, 2].map(|at: usize| values[at].to_owned());
        RunLabels { tenant, workflow, status }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: String,
}

impl Labels for OutcomeLabels {
    fn of(values: &[&str]) -> OutcomeLabels {
        OutcomeLabels { outcome: values[0].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    tenant: String,
    activity: String,
    outcome: String,
}

impl Labels for AttemptLabels {
    fn of(values: &[&str]) -> AttemptLabels {
        let [tenant, activity, outcome] = [0, 1, 2].map(|at: usize| values[at].to_owned());
        AttemptLabels { tenant, activity, outcome }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HookLabels {
    connection: String,
    outcome: String,
}

impl Labels for HookLabels {
    fn of(values: &[&str]) -> HookLabels {
        HookLabels { connection: values[0].to_owned(), outcome: values[1].to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpaceLabels {
    space: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_has_the_name_that_monitoring_relies_on() {
        let metrics = Metrics::new();
        metrics.event_accepted("default", "ticket:created");
        metrics.run_reached("default", "escalate", "succeeded");
        metrics.attempt_ended("default", "tickets:get-ticket-platform", "failed");
        metrics.filter_evaluated("matched");
        metrics.committed_in(Duration::from_micros(300));
        let text = metrics.render();
        for line in [
            r#"ergane_events_total{tenant="default",type="ticket:created"} 1"#,
            r#"ergane_runs_total{tenant="default",workflow="escalate",status="succeeded"} 1"#,
            r#"ergane_filter_evaluations_total{result="matched"} 1"#,
            r#"ergane_step_attempts_total{tenant="default",activity="tickets:get-ticket-platform",outcome="failed"} 1"#,
            "ergane_store_commit_seconds_count 1",
            "ergane_pressure_bytes 0",
            "ergane_schedule_lag_seconds_count 0",
            "ergane_run_duration_seconds_count 0",
            "ergane_store_bytes 0",
            "ergane_build_info{",
        ] {
            assert!(text.contains(line), "no `{line}` in\n{text}");
        }
    }

    #[test]
    fn labels_from_users_cannot_grow_without_bound() {
        let metrics = Metrics::new();
        for number in 0..SERIES_MAX + 20 {
            metrics.event_accepted("default", &format!("type:{number}"));
        }
        let text = metrics.render();
        assert!(text.contains(r#"ergane_events_total{tenant="other",type="other"} 20"#), "{text}");
        assert!(text.matches("ergane_events_total").count() <= SERIES_MAX + 1);
    }
}
