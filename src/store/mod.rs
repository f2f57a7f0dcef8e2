//! Where state lives: the seam, its implementations, and typed access to what they keep.

pub mod access;
pub mod ai_usage;
pub mod alarms;
pub mod approvals;
pub mod apps;
pub mod audit;
pub mod codec;
pub mod connections;
pub mod counters;
pub mod custom_activities;
pub mod deliveries;
mod envelope;
pub mod event_index;
pub mod event_types;
pub mod events;
mod family;
pub mod forms;
pub mod inbox;
pub mod incidents;
pub mod key;
mod layer;
pub mod ledger;
pub mod people;
pub mod records;
pub mod redb_store;
pub mod rejected;
pub mod reseal;
pub mod roofline;
pub mod runs;
pub mod schedules;
pub mod seal;
pub mod seal_keys;
pub mod seam;
pub mod secrets;
pub mod sim;
pub mod tenant;
pub mod timers;
pub mod waits;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod windows;
pub mod workflows;

#[cfg(test)]
mod conformance;
