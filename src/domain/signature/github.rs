//! GitHub's webhook signatures
//! (<https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries>).

use super::{Disbelief, check, from_hex, keys_of};
use crate::domain::secret::Secret;

/// Checks `X-Hub-Signature-256` of a body.
///
/// # Errors
/// Returns why the delivery is not believed.
pub fn verify(secrets: &[Secret], signature: &str, body: &[u8]) -> Result<(), Disbelief> {
    let given = from_hex(signature.strip_prefix("sha256=").ok_or(Disbelief::Malformed)?)?;
    check(&keys_of(secrets), &[given], &[body])
}
