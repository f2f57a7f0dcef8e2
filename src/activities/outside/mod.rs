//! Activities that call other systems, and the guard at the door that they leave by.

pub mod ai_prompt;
mod answer;
mod api;
pub(super) mod api_call;
pub mod collector;
pub mod connection;
pub mod courier;
pub mod egress;
pub(super) mod graphql;
pub(super) mod http_request;
pub(super) mod jira;
mod jira_verbs;
mod letter;
pub mod linear;
pub mod mail_server;
pub(super) mod operation;
pub mod probe;
mod proof;
mod request;
pub(super) mod send_email;
pub mod slack;
mod slack_lookup;
mod slack_verbs;
pub mod token;
pub mod trial;

#[cfg(test)]
mod lookup_tests;
#[cfg(test)]
mod tests;
