//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod approvals;
mod architecture;
mod bad_input;
mod contract;
mod faults;
mod peer;
mod process;
mod step_kinds;
mod support;
mod thena;
