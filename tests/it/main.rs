//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod architecture;
mod bad_input;
mod connections;
mod contract;
mod faults;
mod forms;
mod hooks;
mod mail;
mod peer;
mod process;
mod secrets;
mod support;
mod thena;
mod webhooks;
