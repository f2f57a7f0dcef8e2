//! The native API under `/v1`, one file for each noun.

pub mod account_entries;
pub mod accounts;
pub mod activities;
pub mod comments;
pub mod contacts;
pub mod cursor;
pub mod custom_fields;
pub mod custom_objects;
pub mod demo;
pub mod event_types;
pub mod events;
pub mod filters;
pub mod keys;
pub mod organization;
pub mod records;
pub mod rejected;
pub mod runs;
pub mod sla_policies;
pub mod system;
pub mod tags;
pub mod teams;
pub mod tenants;
pub mod ticket_statuses;
pub mod tickets;
pub mod users;
pub mod workflows;
