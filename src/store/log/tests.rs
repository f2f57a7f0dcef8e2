//! The log against real files: what it carries on, what it drops, and where it has a gap.
