//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod approvals;
mod architecture;
mod backtest;
mod bad_input;
mod connections;
mod contract;
mod explain;
mod faults;
mod forms;
mod hooks;
mod mail;
mod peer;
mod platform_events;
mod process;
mod registry;
mod schedules;
mod secrets;
mod sla;
mod step_kinds;
mod streams;
mod support;
mod thena;
mod webhooks;
