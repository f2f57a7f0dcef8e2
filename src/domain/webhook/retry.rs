//! When a delivery that failed is tried again.

use std::time::Duration;

/// The longest pause that a subscriber may ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// By which part a pause is lengthened at most, so that many that failed together part ways.
const JITTER: f64 = 0.1;

/// Returns the pause before the next attempt after `made` attempts have failed, or `None` when
/// `pauses` has no further one: the delivery is dead. `chance` is in 0..=1; what the subscriber
/// asked for is honoured where it is longer, up to [`RETRY_AFTER_MAX`].
#[must_use]
pub fn pause_after(
    pauses: &[Duration],
    made: usize,
    chance: f64,
    asked: Option<Duration>,
) -> Option<Duration> {
    let pause = pauses.get(made.checked_sub(1)?)?;
    let lengthened = pause.mul_f64(1.0 + JITTER * chance.clamp(0.0, 1.0));
    Some(lengthened.max(asked.unwrap_or_default().min(RETRY_AFTER_MAX)))
}
