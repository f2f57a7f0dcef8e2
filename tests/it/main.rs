//! Tests of the whole: one binary, so that the crate is linked once.

mod acceptance;
mod api;
mod architecture;
mod peer;
mod support;
mod thena;
