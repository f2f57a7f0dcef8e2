//! Where state lives: the seam, its implementations, and typed access to what they keep.

pub mod access;
pub mod alarms;
pub mod audit;
pub mod codec;
pub mod counters;
mod envelope;
pub mod event_types;
pub mod events;
pub mod key;
mod layer;
pub mod ledger;
pub mod people;
pub mod records;
pub mod redb_store;
pub mod roofline;
pub mod runs;
pub mod seam;
pub mod sim;
pub mod tenant;
pub mod timers;
pub mod workflows;

#[cfg(test)]
mod conformance;
