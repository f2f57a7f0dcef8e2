//! What waits for a run: notices that others leave for it, durably, until it has looked at them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::events::EventKey;
use super::family::Vis;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use crate::domain::id::RunId;
use crate::domain::run::{Failure, Work};

const NOTICE: u8 = Vis::Notice as u8;
/// How many bytes of a notice's key stand before the run's id: the tenant and the letter.
const HEAD_BYTES: usize = 5;

/// Something that a run is to look at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Notice {
    /// An event came that a step may wait for.
    Event {
        /// The step's path.
        step: String,
        /// The event.
        event: EventKey,
    },
    /// Another run that it may wait for has ended.
    Look,
    /// The run that started it asks it to stop.
    Stop {
        /// Who asks.
        by: String,
        /// Whether finished steps are undone.
        compensate: bool,
    },
    /// A worker is through with what was handed out.
    WorkEnded {
        /// The step's path.
        step: String,
        /// The number of the attempt.
        attempt: u32,
        /// What was to be done.
        work: Work,
        /// What came of it.
        result: Result<Value, Failure>,
    },
    /// The run that started it is undone.
    UndoAll {
        /// Who asks.
        by: String,
    },
    /// Somebody wants it to go on although it failed or was cancelled.
    Retry {
        /// Who asks.
        by: String,
        /// The step to go on from; the first that has to run without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// The version to go on with; its own without it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
    },
    /// Somebody moves it to another version.
    Migrate {
        /// Who asks.
        by: String,
        /// The version.
        version: u32,
    },
}

impl Notice {
    /// A later notice of the same name takes the place of an earlier one.
    fn name(&self) -> String {
        match self {
            Notice::Event { step, event } => format!("event {:016x} {step}", event.0),
            Notice::WorkEnded { step, attempt, work, .. } => {
                format!("work {attempt} {work:?} {step}")
            }
            Notice::Look => "look".to_owned(),
            Notice::Stop { .. } => "stop".to_owned(),
            Notice::UndoAll { .. } => "undo".to_owned(),
            Notice::Retry { .. } => "retry".to_owned(),
            Notice::Migrate { .. } => "migrate".to_owned(),
        }
    }
}

/// A notice with the key under which it lies.
#[derive(Clone, Debug)]
pub struct Posted {
    /// What it says.
    pub notice: Notice,
    key: Vec<u8>,
}

impl TenantView<'_> {
    /// Returns the notices that lie for a run, events in the order in which they came.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn notices(&self, run: RunId) -> Result<Vec<Posted>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(NOTICE).bytes(&run.to_bytes()));
        let rows = self.scan(Space::Vis, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter()
            .map(|(key, bytes)| {
                let notice = from_json(Space::Vis, key, bytes)?;
                Ok(Posted { notice, key: key.to_vec() })
            })
            .collect()
    }

    /// Returns runs for which notices lie, after `after`, each perhaps several times.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn runs_with_notices(
        &self,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(NOTICE));
        // No notice's name begins with such a byte.
        let after = after.map(|id| [prefix.start(), &id.to_bytes(), &[u8::MAX]].concat());
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Vis, range, Direction::Ascending, limit)?;
        rows.iter()
            .map(|(key, _)| {
                let id = key.get(HEAD_BYTES..HEAD_BYTES + 16).and_then(|id| id.try_into().ok());
                id.map(RunId::from_bytes).ok_or_else(|| damaged(Space::Vis, key, "no run's id"))
            })
            .collect()
    }
}

impl TenantTx<'_, '_> {
    /// Leaves a notice for a run and wakes it.
    pub fn post(&mut self, run: RunId, notice: &Notice) {
        let key = Key::of(self.tenant()).tag(NOTICE).bytes(&run.to_bytes());
        self.put_json(Space::Vis, key.text(&notice.name()).done(), notice);
        self.wake(run);
    }

    /// Takes a notice away.
    pub fn take_notice(&mut self, posted: &Posted) {
        self.remove(Space::Vis, posted.key.clone());
    }
}
