//! What the product is, without I/O, threads, clocks or frameworks: values and pure functions.

pub mod activity;
pub mod business_hours;
pub mod connection;
pub mod desk;
pub mod event;
pub mod event_type;
pub mod expression;
pub mod filter;
pub mod form;
pub mod hook;
pub mod id;
pub mod mail;
pub mod manifest;
pub mod path;
pub mod permission;
pub mod problem;
pub mod rehearsal;
pub mod role;
pub mod run;
pub mod schedule;
pub mod scope;
pub mod secret;
pub mod signature;
pub mod time;
pub mod webhook;
pub mod workflow;
