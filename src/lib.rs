pub mod app;
pub mod clock;
pub mod domain;
pub mod store;
pub mod web;
