//! The limits of what comes in from outside, each with its unit in its name.

use serde::{Deserialize, Serialize};

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
}

impl Default for IntakeSettings {
    fn default() -> IntakeSettings {
        IntakeSettings {
            hook_deliveries_max: 200,
            hook_kept_bytes_max: 256 * 1_024,
            form_submissions_per_minute: 30,
        }
    }
}
