//! The only reader of time and of chance.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::domain::time::Timestamp;

/// Tells the time and draws random numbers; cheap to clone.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual { millis: Arc<AtomicI64>, state: Arc<AtomicU64> },
}

impl Clock {
    /// Returns the clock of the machine.
    #[must_use]
    pub fn system() -> Clock {
        Clock(Source::System)
    }

    /// Returns a clock that stands at `start` until it is set; its chance repeats.
    #[must_use]
    pub fn manual(start: Timestamp) -> Clock {
        let millis = Arc::new(AtomicI64::new(start.millis()));
        Clock(Source::Manual { millis, state: Arc::new(AtomicU64::new(1)) })
    }

    /// Returns the present instant.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::from_millis(chrono::Utc::now().timestamp_millis()),
            Source::Manual { millis, .. } => Timestamp::from_millis(millis.load(Ordering::SeqCst)),
        }
    }

    /// Returns 64 random bits.
    #[must_use]
    pub fn random(&self) -> u64 {
        match &self.0 {
            Source::System => rand::random(),
            Source::Manual { state, .. } => {
                let step = state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
                let mixed = (step ^ step >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                mixed ^ mixed >> 27
            }
        }
    }

    /// Moves a manual clock; the machine's is left alone.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual { millis, .. } = &self.0 {
            millis.store(now.millis(), Ordering::SeqCst);
        }
    }
}
