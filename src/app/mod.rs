//! The use cases: what the API, the pages and the command line call alike.

pub mod error;
pub mod events;
pub mod idempotency;
pub mod page;
pub mod principal;
pub mod views;
