//! A shared secret that the sender shows as it is, for senders that cannot sign.

use subtle::ConstantTimeEq as _;

use super::{Disbelief, hmac_sha256};
use crate::domain::secret::Secret;

/// Checks a header that must hold one of the secrets, with or without `Bearer ` before it.
///
/// # Errors
/// Returns why the sender is not believed.
pub fn verify(secrets: &[Secret], given: &str) -> Result<(), Disbelief> {
    let given = given.strip_prefix("Bearer ").unwrap_or(given);
    // Digests are compared, so that not even the length is told by the time.
    let digest = |text: &str| hmac_sha256(b"compare", &[text.as_bytes()]);
    let mut state = Err(Disbelief::NoSecret);
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        if bool::from(digest(secret.expose()).ct_eq(&digest(given))) {
            state = Ok(());
        } else if state.is_err() {
            state = Err(Disbelief::Wrong);
        }
    }
    state
}
