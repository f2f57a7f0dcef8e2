pub mod activities;
pub mod app;
pub mod boot;
pub mod clock;
pub mod domain;
pub mod engine;
pub mod metrics;
pub mod store;
