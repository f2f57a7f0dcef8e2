//! Where state lives: the seam, its implementations, and typed access to what they keep.

pub mod codec;
mod envelope;
pub mod redb_store;
pub mod seam;
pub mod sim;

#[cfg(test)]
mod conformance;
