//! What the product is, without I/O, threads, clocks or frameworks: values and pure functions.

pub mod activity;
pub mod desk;
pub mod event;
pub mod event_type;
pub mod expression;
pub mod filter;
pub mod id;
pub mod path;
pub mod problem;
pub mod role;
pub mod run;
pub mod scope;
pub mod time;
pub mod workflow;
