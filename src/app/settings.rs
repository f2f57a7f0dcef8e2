//! What an operator may set about signing in and about what comes in from outside.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The `[access]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccessSettings {
    /// After how many minutes without a request a session ends.
    pub session_idle_minutes: u64,
    /// After how many hours a session ends however much it is used.
    pub session_hours_max: u64,
    /// How many hours a one-time link is good for.
    pub link_hours: u64,
    /// How many characters a password has at least.
    pub password_chars_min: usize,
    /// How much memory the hash of a password takes, in KiB.
    pub password_memory_kib: u32,
    /// How many times the hash of a password goes over its memory.
    pub password_passes: u32,
    /// How many passwords are checked at once.
    pub passwords_at_once: usize,
    /// How many further passwords may wait to be checked before the door answers 503.
    pub passwords_waiting_max: usize,
    /// How often an account may fail to sign in before it has to wait; an address four times that.
    pub sign_in_failures_free: u32,
    /// The longest wait after a failed sign-in, in milliseconds.
    pub sign_in_delay_ms_max: u64,
}

impl Default for AccessSettings {
    fn default() -> AccessSettings {
        AccessSettings {
            session_idle_minutes: 60,
            session_hours_max: 12,
            link_hours: 24,
            password_chars_min: 12,
            // The first of the equal choices in the OWASP Password Storage Cheat Sheet.
            password_memory_kib: 19_456,
            password_passes: 2,
            passwords_at_once: 2,
            passwords_waiting_max: 64,
            sign_in_failures_free: 5,
            sign_in_delay_ms_max: 60_000,
        }
    }
}

impl AccessSettings {
    /// Returns after how long without a request a session ends.
    #[must_use]
    pub fn session_idle(&self) -> Duration {
        Duration::from_secs(self.session_idle_minutes * 60)
    }

    /// Returns after how long a session ends at the latest.
    #[must_use]
    pub fn session_life(&self) -> Duration {
        Duration::from_secs(self.session_hours_max * 60 * 60)
    }

    /// Returns how long a one-time link is good for.
    #[must_use]
    pub fn link_life(&self) -> Duration {
        Duration::from_secs(self.link_hours * 60 * 60)
    }
}

/// The `[intake]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IntakeSettings {
    /// How many deliveries of each connection are kept to be looked at and replayed.
    pub hook_deliveries_max: u64,
    /// The largest body of a delivery that is kept, in bytes.
    pub hook_kept_bytes_max: usize,
    /// How many submissions of forms one address may send in a minute.
    pub form_submissions_per_minute: u32,
    /// The largest description of an API, in bytes.
    pub api_bytes_max: usize,
    /// How many operations a description of an API may have.
    pub api_operations_max: usize,
    /// How deep schemas of an API may lie in each other; what is deeper is not checked.
    pub api_schema_depth_max: usize,
    /// How many definitions the schemas of one operation keep; further ones are not checked.
    pub api_definitions_max: usize,
    /// How many rows of a table are taken in at once.
    pub sheet_rows_max: usize,
}

impl Default for IntakeSettings {
    fn default() -> IntakeSettings {
        IntakeSettings {
            hook_deliveries_max: 200,
            hook_kept_bytes_max: 256 * 1_024,
            form_submissions_per_minute: 30,
            api_bytes_max: 1_024 * 1_024,
            api_operations_max: 500,
            api_schema_depth_max: 48,
            api_definitions_max: 100,
            sheet_rows_max: 2_000,
        }
    }
}

/// The `[retention]` part of the configuration: what holds where a tenant does not say otherwise.
/// In days 0 stands for ever, in numbers and bytes for any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// How many days a run is kept after success.
    pub runs_succeeded_days: u64,
    /// How many days a run is kept after a failure.
    pub runs_failed_days: u64,
    /// How many days a run is kept after it was cancelled.
    pub runs_cancelled_days: u64,
    /// How many days a run is kept of which something could not be undone.
    pub runs_incomplete_days: u64,
    /// How many runs of each workflow are kept.
    pub runs_of_workflow_max: u64,
    /// How many bytes the runs and journals of a tenant may take.
    pub runs_bytes_max: u64,
    /// How many days an event is kept that started a run, when none of its runs is kept any more.
    pub events_matched_days: u64,
    /// How many days an event is kept that started no run.
    pub events_unmatched_days: u64,
    /// How many events of a tenant are kept, those that are needed beside.
    pub events_max: u64,
    /// How many bytes the events of a tenant may take.
    pub events_bytes_max: u64,
    /// How many days a refused event is kept.
    pub rejected_events_days: u64,
    /// How many days a delivery to a hook is kept.
    pub hook_deliveries_days: u64,
    /// How many days a delivery to a subscriber is kept that arrived.
    pub webhook_delivered_days: u64,
    /// How many days a delivery to a subscriber is kept that was given up on.
    pub webhook_dead_days: u64,
    /// How many days the audit is kept.
    pub audit_days: u64,
    /// How many days the audit is kept at least, whatever a tenant says.
    pub audit_days_min: u64,
    /// How many days the id of an event is remembered after the event is gone.
    pub dedupe_days: u64,
    /// How many minutes lie between two passes over everything.
    pub every_minutes: u64,
    /// How many rows one look takes, and so at most one transaction.
    pub batch_rows_max: usize,
    /// Which share of the time a pass works, in percent.
    pub busy_percent: u32,
    /// From which share of free room on, in percent, the store's file is written anew by itself;
    /// 100 for never.
    pub compact_free_percent: u64,
    /// Smaller files are left as they are, in bytes.
    pub compact_file_bytes_min: u64,
}

impl Default for RetentionSettings {
    fn default() -> RetentionSettings {
        RetentionSettings {
            runs_succeeded_days: 90,
            runs_failed_days: 365,
            runs_cancelled_days: 90,
            runs_incomplete_days: 0,
            runs_of_workflow_max: 0,
            runs_bytes_max: 0,
            events_matched_days: 90,
            events_unmatched_days: 90,
            events_max: 0,
            events_bytes_max: 0,
            rejected_events_days: 90,
            hook_deliveries_days: 90,
            webhook_delivered_days: 90,
            webhook_dead_days: 365,
            audit_days: 0,
            audit_days_min: 90,
            dedupe_days: 400,
            every_minutes: 10,
            batch_rows_max: 200,
            busy_percent: 25,
            compact_free_percent: 60,
            compact_file_bytes_min: 256 * 1_024 * 1_024,
        }
    }
}
