//! The editor of workflows.

pub mod trigger;
