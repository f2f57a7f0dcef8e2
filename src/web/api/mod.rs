//! The native API under `/v1`, one file for each noun.

pub mod cursor;
pub mod system;
