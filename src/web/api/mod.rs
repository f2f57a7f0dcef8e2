//! The native API under `/v1`, one file for each noun.

pub mod accounts;
pub mod activities;
pub mod approvals;
pub mod comments;
pub mod contacts;
pub mod cursor;
pub mod demo;
pub mod event_types;
pub mod events;
pub mod filters;
pub mod keys;
pub mod records;
pub mod runs;
pub mod system;
pub mod tags;
pub mod teams;
pub mod tenants;
pub mod tickets;
pub mod users;
pub mod workflows;
