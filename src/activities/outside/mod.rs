//! Activities that call other systems, and the guard at the door that they leave by.

mod answer;
pub mod connection;
pub mod courier;
pub mod egress;
pub(super) mod http_request;
mod letter;
pub mod mail_server;
pub(super) mod operation;
pub mod probe;
mod request;
pub(super) mod send_email;
pub mod slack;
mod slack_verbs;

#[cfg(test)]
mod tests;
