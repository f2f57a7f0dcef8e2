//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod architecture;
mod audit;
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
mod people;
mod platform_events;
mod process;
mod registry;
mod roles;
mod schedules;
mod secrets;
mod sla;
mod streams;
mod support;
mod thena;
mod webhooks;
