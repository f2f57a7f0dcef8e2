//! Activities that call other systems, and the guard at the door that they leave by.

mod answer;
pub mod courier;
pub mod egress;
pub(super) mod http_request;
pub mod probe;
mod request;

#[cfg(test)]
mod tests;
