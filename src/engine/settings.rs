//! The engine's limits, each with its unit in its name.

use serde::{Deserialize, Serialize};

/// Limits of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// How many threads run tenants; partitions are spread over them.
    pub threads: u16,
    /// How many runs of one tenant may be at work at once; more wait as `queued`.
    pub runs_active_max: usize,
    /// How many messages wait at the door of a tenant before it answers 503.
    pub mailbox_messages_max: usize,
    /// How many bytes may wait for the disk before the door answers 503.
    pub pressure_bytes_max: usize,
    /// How many calls to the outside one tenant may have in flight.
    pub outside_calls_max: usize,
    /// How many deadlines are fired at once, so that a herd of them leaves room for others.
    pub wake_batch_max: usize,
    /// How many earlier events a step that waits for one looks at, the newest first.
    pub look_back_events_max: usize,
    /// How many runs may follow from one another before an event starts no more.
    pub cause_depth_max: u32,
    /// How often a run's actor may crash before the run is set aside.
    pub crashes_max: u32,
    /// How long a stop waits for calls in flight, in milliseconds.
    pub stop_ms: u64,
}

impl Default for EngineSettings {
    fn default() -> EngineSettings {
        EngineSettings {
            threads: 1,
            runs_active_max: 10_000,
            mailbox_messages_max: 8_192,
            pressure_bytes_max: 16 * 1_024 * 1_024,
            outside_calls_max: 64,
            wake_batch_max: 512,
            look_back_events_max: 10_000,
            cause_depth_max: 8,
            crashes_max: 3,
            stop_ms: 5_000,
        }
    }
}
