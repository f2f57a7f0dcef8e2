//! What is spoken to over HTTP: the API for programs and the pages for people.

pub mod ui;
