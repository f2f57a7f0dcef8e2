//! The clock of the machine as somebody may vouch for it.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use crate::domain::condition::Condition;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;

/// What the appliance thinks of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClockState {
    /// What the clock says.
    pub now: Timestamp,
    /// `trusted`; `behind` or `ahead` while deadlines wait for somebody to look at it.
    pub state: &'static str,
    /// What it is not believed for.
    pub detail: Option<String>,
}

impl App {
    /// Returns what the clock says and whether it is believed.
    #[must_use]
    pub fn clock_state(&self) -> ClockState {
        let reasons = self.engine().store().board().reasons();
        let doubt = reasons.into_iter().find_map(|reason| match reason.condition {
            Condition::ClockBehind => Some(("behind", reason.detail)),
            Condition::ClockAhead => Some(("ahead", reason.detail)),
            _ => None, // Nothing else is said of the clock.
        });
        let (state, detail) = match doubt {
            Some((state, detail)) => (state, Some(detail)),
            None => ("trusted", None),
        };
        ClockState { now: self.now(), state, detail }
    }

    /// Takes the clock for right, so that deadlines come by it from now on.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance; or why it cannot be written now.
    pub async fn accept_clock(&self, who: &Principal) -> Result<ClockState, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        let mut change = Change::of("clock.accept", "system");
        change.before(&self.clock_state());
        self.write_access(who, change, |tx, _| Ok(tx.accept_clock()?)).await?;
        for tenant in self.read_of(APPLIANCE, |view| Ok(view.tenants()?))? {
            self.write_of(tenant.id, |tx| Ok(tx.accept_clock()?)).await?;
        }
        self.engine().store().board().believe_clock();
        Ok(self.clock_state())
    }
}
