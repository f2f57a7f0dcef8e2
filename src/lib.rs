pub mod activities;
pub mod app;
pub mod clock;
pub mod domain;
pub mod engine;
pub mod metrics;
pub mod store;
pub mod web;
