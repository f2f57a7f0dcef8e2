//! Ergane: workflow automation in one binary, events in, durable runs out.

pub mod activities;
pub mod app;
pub mod bench;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod metrics;
pub mod store;
pub mod telemetry;
