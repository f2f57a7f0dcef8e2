//! Something that happened, as it is stored and as filters and inputs see it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::RunId;
use super::time::Timestamp;
use super::workflow::Workflow;
use super::workflow::gate::batch_payload;

/// Something that happened, with a type such as `ticket:created`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Unique together with `source` in its tenant; the sender's own, or made here.
    pub id: String,
    /// The canonical event type, such as `ticket:created`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who says so: a URI reference, `ergane` for events of the platform itself.
    pub source: String,
    /// What it is about, such as a ticket's id.
    pub subject: Option<String>,
    /// When it happened, by the sender's clock if it gave one.
    pub time: Timestamp,
    /// Who made it happen.
    pub actor: Actor,
    /// The type's own data.
    pub payload: Value,
    /// Anything beside the payload: CloudEvents extensions, message attributes.
    #[serde(default)]
    pub metadata: Map<String, Value>,
    /// The run whose step caused it; `None` when it came from outside.
    pub cause: Option<Cause>,
}

impl Event {
    /// Returns the event as the JSON that filters and expressions see under `trigger`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("an event has only JSON-safe fields")
    }
}

impl Event {
    /// Returns the event as one that begins a run of the workflow by hand: where runs begin with
    /// batches, it becomes a batch of itself.
    #[must_use]
    pub fn by_hand(mut self, workflow: &Workflow, now: Timestamp) -> Event {
        let is_batch = self.payload.get("events").is_some_and(Value::is_array);
        if workflow.takes_batches_of(&self.kind) && !is_batch {
            self.payload = batch_payload(vec![self.to_value()], now, now);
        }
        self
    }
}

/// Who made an event happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The user's, key's or run's id.
    pub id: String,
    /// `AGENT`, `CUSTOMER`, `KEY`, `WORKFLOW`, `SYSTEM` or what the sender said.
    #[serde(rename = "type")]
    pub kind: String,
    /// The mail address, empty when there is none.
    pub email: String,
}

/// The run whose step caused an event, and how many runs stand between it and the outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause {
    /// The run whose step emitted the event.
    pub run_id: RunId,
    /// 1 for a run started from outside, one more for each run in between.
    pub depth: u32,
}
