//! Stripe's webhook signatures (<https://docs.stripe.com/webhooks#verify-manually>).

use super::{Disbelief, check, check_seconds, from_hex, keys_of};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// Checks `Stripe-Signature` of a body: `t=` with the time and one `v1=` for each secret of the
/// sender.
///
/// # Errors
/// Returns why the delivery is not believed.
pub fn verify(
    secrets: &[Secret],
    header: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Disbelief> {
    let pairs = || header.split(',').filter_map(|pair| pair.trim().split_once('='));
    let of =
        |name: &'static str| pairs().filter(move |(key, _)| *key == name).map(|(_, value)| value);
    let timestamp = of("t").next().ok_or(Disbelief::Malformed)?;
    check_seconds(timestamp, now)?;
    let given: Vec<Vec<u8>> = of("v1").filter_map(|text| from_hex(text).ok()).collect();
    check(&keys_of(secrets), &given, &[timestamp.as_bytes(), b".", body])
}
