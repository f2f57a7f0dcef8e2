//! Trials: a run that is played through while a script answers for the world.
//!
//! # Why a trial has no effect
//!
//! It cannot name anything that has one. This module stands in the domain, which knows no store, no
//! socket, no actor and no clock (a test reads the source and fails on an import that points up),
//! and all that it is given of activities is the catalogue: their specifications, which are data,
//! without the code that performs them. What a run owes the world is answered by
//! [`stage::Script`], a value. Whoever calls it may look things up beforehand, such as recorded
//! outputs, through a view, which has no method that writes.

pub mod case;
mod sample;
pub mod stage;

pub use case::{CaseOutcome, CaseResult, Miss, Seat, play_case};
pub use sample::sample;
pub use stage::{FailAt, Jump, Origin, Played, Recording, Script, Shown, play};
