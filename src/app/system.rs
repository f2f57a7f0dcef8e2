//! How the appliance is: whether it takes work, and what it has counted.

use super::App;
use crate::store::seam::Health;

impl App {
    /// Returns whether work is taken: the store writes and the engine runs.
    ///
    /// # Errors
    /// Says why not, for a person.
    pub fn readiness(&self) -> Result<(), String> {
        match self.engine().store().health() {
            Health::ReadOnly(reason) => Err(format!("the store takes no writes: {reason}")),
            Health::Reopening => Err("the store is being reopened".to_owned()),
            Health::Healthy if self.engine().is_ready() => Ok(()),
            Health::Healthy => Err("the engine is starting or stopping".to_owned()),
        }
    }

    /// Returns everything that was counted, in the text format of OpenMetrics.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        self.engine().metrics().render()
    }
}
