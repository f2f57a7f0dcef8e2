//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod architecture;
mod audit;
mod bad_input;
mod contract;
mod faults;
mod peer;
mod people;
mod process;
mod roles;
mod support;
mod thena;
