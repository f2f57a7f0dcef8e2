//! Tests of the whole: one binary, so that the crate is linked once.

mod api;
mod architecture;
mod support;
mod thena;
