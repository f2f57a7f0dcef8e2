//! The one table of everything that is measured: name, kind, labels and meaning of each family.

/// What kind of figures a family has, in the words of OpenMetrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; its series are named `…_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts observations by size.
    Histogram,
    /// Is always 1; its labels say something.
    Info,
}

impl Kind {
    /// Returns the word of OpenMetrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
            Kind::Info => "info",
        }
    }
}

/// One family of series.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name, without what its kind adds.
    pub name: &'static str,
    /// What kind of figures it has.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub help: &'static str,
}

impl Family {
    /// Returns the name under which its series are scraped.
    #[must_use]
    pub fn series(&self) -> String {
        match self.kind {
            Kind::Counter => format!("{}_total", self.name),
            Kind::Info => format!("{}_info", self.name),
            Kind::Gauge | Kind::Histogram => self.name.to_owned(),
        }
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Histogram, labels, help }
}

const NONE: &[&str] = &[];
const TENANT: &[&str] = &["tenant"];

/// Every family. Labels that come from users have at most 500 series a family; what comes later is
/// counted under `other`.
pub const TABLE: &[Family] = &[
    Family {
        name: "ergane_build",
        kind: Kind::Info,
        labels: &["version"],
        help: "Which build this is",
    },
    counter("ergane_events", &["tenant", "type"], "Events accepted"),
    counter("ergane_events_rejected", TENANT, "Events refused because of what they hold"),
    counter("ergane_filter_evaluations", &["result"], "Trigger filters evaluated"),
    counter("ergane_runs", &["tenant", "workflow", "status"], "Runs that reached a status"),
    histogram("ergane_run_duration_seconds", NONE, "From a run's creation to its end"),
    gauge("ergane_runs_now", &["tenant", "status"], "Runs by their present status"),
    gauge("ergane_runs_live", TENANT, "Runs that are held in memory because they have work"),
    gauge("ergane_runs_waiting", &["tenant", "kind"], "Waiting runs by what they wait for"),
    gauge("ergane_runs_waiting_oldest_seconds", TENANT, "Age of the oldest run that waits"),
    gauge("ergane_incidents_open", TENANT, "Steps that wait for somebody after a failure"),
    gauge("ergane_run_crashes", TENANT, "Ends of run actors by a crash since the start"),
    counter("ergane_troubles", &["tenant", "kind"], "What went wrong, by its kind"),
    counter(
        "ergane_step_attempts",
        &["tenant", "activity", "outcome"],
        "Attempts of steps by how they ended",
    ),
    counter("ergane_calls_deferred", &["reason"], "Calls held back, by the reason"),
    gauge(
        "ergane_destination_state",
        &["tenant", "destination"],
        "How circuits stand: 0 closed, 1 open or tried",
    ),
    gauge("ergane_calls_in_flight", NONE, "Calls to the outside that are under way"),
    counter("ergane_hook_deliveries", &["connection", "outcome"], "What came to hooks and forms"),
    counter("ergane_webhook_deliveries", &["outcome"], "Attempts to deliver events"),
    gauge("ergane_webhook_deliveries_pending", NONE, "Deliveries that are not over"),
    gauge("ergane_mailbox_messages", TENANT, "Messages that wait at the door of a tenant"),
    histogram("ergane_schedule_lag_seconds", NONE, "How late timers fired"),
    gauge("ergane_timers_overdue", NONE, "Deadlines that passed over a minute ago, 1,000 at most"),
    gauge("ergane_pressure_bytes", NONE, "Bytes that wait for the writer"),
    histogram(
        "ergane_store_commit_seconds",
        NONE,
        "Time of a durable commit, its sync to the disk included",
    ),
    gauge("ergane_store_bytes", NONE, "Size of the store on disk"),
    gauge("ergane_store_free_bytes", NONE, "What compaction would free"),
    gauge("ergane_store_space_bytes", &["space"], "Bytes of the rows, by space"),
    counter("ergane_retention_removed", &["kind"], "What was past its time, by kind"),
    gauge(
        "ergane_backup_last_success_timestamp_seconds",
        NONE,
        "When the newest backup was made, in seconds since 1970",
    ),
    gauge("ergane_backup_last_bytes", NONE, "Size of the newest backup"),
    counter("ergane_backup_failures", NONE, "Backups that failed"),
    gauge("ergane_store_writable", NONE, "Whether the store takes writes: 1 or 0"),
    gauge("ergane_disk_free_bytes", NONE, "Free space of the file system of the data directory"),
    gauge("ergane_disk_size_bytes", NONE, "Size of the file system of the data directory"),
    counter("ergane_http_requests", &["operation", "status"], "Requests by operation and status"),
    histogram(
        "ergane_http_request_duration_seconds",
        &["method", "route", "status"],
        "How long requests took, by route template and class of status",
    ),
    counter(
        "ergane_http_refused",
        &["tenant", "status"],
        "Requests refused with 429, 503 or 507: too many, or not now",
    ),
    counter(
        "ergane_http_connections_refused",
        NONE,
        "Connections of addresses that had as many as they may have",
    ),
    gauge(
        "ergane_tls_certificate_expires_seconds",
        &["door"],
        "When the certificate of a door ends, in seconds since 1970",
    ),
    gauge(
        "ergane_tls_certificate_stale",
        &["door"],
        "Whether the files of a certificate have changed and cannot be used",
    ),
    gauge("ergane_store_state", &["state"], "How the store is: 1 for the state it is in"),
    gauge("ergane_degraded", &["reason"], "What keeps it from work: 1 while it holds"),
    counter("ergane_store_reopenings", NONE, "Openings of the file after a fault"),
    gauge("ergane_alerts_open", &["kind"], "Alerts that are raised"),
    counter("ergane_notices", &["outcome"], "Notices of alerts by what came of them"),
    counter("ergane_log_lines", &["level"], "Lines that were logged"),
    counter("ergane_log_lines_dropped", NONE, "Log lines that nobody took in time"),
    counter("ergane_spans", &["outcome"], "Spans of traces: sent, dropped or refused"),
    gauge("ergane_process_resident_memory_bytes", NONE, "Memory that the process holds"),
    gauge("ergane_process_open_fds", NONE, "Open descriptors"),
    gauge("ergane_process_max_fds", NONE, "How many descriptors may be open"),
    gauge("ergane_process_threads", NONE, "Threads of the process"),
    counter("ergane_process_cpu_seconds", NONE, "Processor time that was used"),
    gauge("ergane_process_uptime_seconds", NONE, "Time since the start"),
];

/// Returns what a family tells.
///
/// # Panics
/// Panics for a family that the table lacks, which the tests of the families find.
#[must_use]
pub fn help_of(name: &str) -> &'static str {
    find(name).expect("every family stands in the table").help
}

/// Returns the row of a family.
#[must_use]
pub fn find(name: &str) -> Option<&'static Family> {
    TABLE.iter().find(|family| family.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_and_stand_once() {
        for (place, family) in TABLE.iter().enumerate() {
            let name = family.name;
            assert!(name.starts_with("ergane_"), "{name}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
            // OpenMetrics 1.0, section 4.4: these endings belong to the kinds.
            for ending in ["_total", "_info", "_count", "_sum", "_bucket", "_created"] {
                assert!(!name.ends_with(ending), "{name}");
            }
            assert!(!name.contains("_ms"), "{name}: base units are seconds and bytes");
            assert!(!family.help.is_empty() && !family.help.ends_with('.'), "{name}");
            assert!(!TABLE[..place].iter().any(|other| other.name == name), "{name}");
        }
    }
}
