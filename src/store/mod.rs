//! Where state lives: the seam, its implementations, and typed access to what they keep.

pub mod roofline;
pub mod seam;
