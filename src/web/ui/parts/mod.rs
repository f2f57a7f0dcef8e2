//! The parts that pages are made of: each knows how it looks and nothing of where it stands.

pub mod chart;
pub mod copy;
pub mod day;
pub mod frame;
pub mod icon;
pub mod json_tree;
pub mod list;
pub mod mark;
pub mod moment;
pub mod proof;
pub mod rules;
pub mod source;
pub mod strip;
pub mod trace;
pub mod twin;
