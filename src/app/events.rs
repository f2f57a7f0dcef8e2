//! Events on their way in.

use serde_json::{Map, Value};

use crate::domain::event::Actor;
use crate::domain::time::Timestamp;

/// An event as a sender gave it, checked for its form but not yet against its type's schema.
#[derive(Clone, Debug, PartialEq)]
pub struct IncomingEvent {
    /// The sender's id; `None` lets the platform make one.
    pub id: Option<String>,
    /// The event type as the sender spelled it.
    pub kind: String,
    /// Who says so: a URI reference.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened; `None` for now.
    pub time: Option<Timestamp>,
    /// Who made it happen; `None` for the caller.
    pub actor: Option<Actor>,
    /// The type's own data.
    pub payload: Value,
    /// CloudEvents extensions and whatever stands beside the payload.
    pub metadata: Map<String, Value>,
}
