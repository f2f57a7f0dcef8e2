//! The native API under `/v1`, one file for each noun.

pub mod accounts;
pub mod activities;
pub mod comments;
pub mod connections;
pub mod contacts;
pub mod cursor;
pub mod demo;
pub mod event_types;
pub mod events;
pub mod filters;
pub mod forms;
pub mod keys;
pub mod records;
pub mod runs;
pub mod secrets;
pub mod system;
pub mod tags;
pub mod teams;
pub mod tenants;
pub mod tickets;
pub mod users;
pub mod webhooks;
pub mod workflows;
