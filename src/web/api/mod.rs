//! The native API under `/v1`, one file for each noun.

pub mod activities;
pub mod cursor;
pub mod event_types;
pub mod events;
pub mod filters;
pub mod keys;
pub mod runs;
pub mod system;
pub mod tenants;
pub mod workflows;
