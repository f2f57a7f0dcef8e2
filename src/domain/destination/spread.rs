//! Moments for those who wait, so that a herd is let out one after another.

use std::time::Duration;

use crate::domain::time::Timestamp;

/// The moment from which the next may be given.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spread {
    next: Timestamp,
}

impl Spread {
    /// Returns a moment not before `earliest`, some time after the one before.
    pub(super) fn turn(&mut self, earliest: Timestamp, apart: Duration, chance: f64) -> Timestamp {
        let turn = self.next.max(earliest);
        self.next = turn + apart;
        // Within its own stretch, so that destinations which open together do not march in step.
        turn + apart.mul_f64(chance.clamp(0.0, 1.0))
    }
}
