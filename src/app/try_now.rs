//! The next attempt of a step, made before its pause is over.

use serde_json::json;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::views::RunView;
use crate::domain::id::RunId;
use crate::domain::run::{Doing, Input};

impl App {
    /// Makes the next attempt of a step that pauses between two, or of its undoing, at once.
    ///
    /// # Errors
    /// `NotFound` for an unknown run or step, `Conflict` for a step that does not pause.
    pub async fn try_now(&self, who: &Principal, id: RunId, step: &str) -> Result<RunView, Error> {
        let loaded = self.loaded(who, id)?;
        let unknown = || Error::NotFound { what: "step", id: step.to_owned() };
        let state = loaded.run.step(step).ok_or_else(unknown)?;
        let attempt = match &state.doing {
            Doing::Pausing { attempt, .. } | Doing::UndoPausing { attempt, .. } => *attempt,
            _ => {
                // Whatever else it does, no attempt of it waits for its time.
                let detail = format!("`{step}` is {}: no attempt waits", state.status.as_str());
                return Err(Error::Conflict { code: "not_pausing", detail });
            }
        };
        let mut change = Change::of("run.tryNow", format!("{id}/{step}"));
        change.after(&json!({ "attempt": attempt }));
        self.record_change(who, change).await?;
        let input = Input::TryNow { step: step.to_owned() };
        self.engine().deliver(who.tenant, id, input).await?;
        self.run(who, id)
    }
}
