//! Where state lives: the seam, its implementations, and typed access to what they keep.

pub mod access;
pub mod alarms;
pub mod approvals;
pub mod codec;
pub mod counters;
mod envelope;
pub mod event_types;
pub mod events;
pub mod inbox;
pub mod key;
mod layer;
pub mod ledger;
pub mod records;
pub mod redb_store;
pub mod roofline;
pub mod runs;
pub mod seam;
pub mod sim;
pub mod tenant;
pub mod timers;
pub mod waits;
pub mod workflows;

#[cfg(test)]
mod conformance;
