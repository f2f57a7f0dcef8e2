//! Slack's request signatures, version 0
//! (<https://docs.slack.dev/authentication/verifying-requests-from-slack>).

use super::{Disbelief, check, check_seconds, from_hex, hmac_sha256, keys_of};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// Returns the `X-Slack-Signature` of a body sent at `timestamp`, in seconds since 1970.
#[must_use]
pub fn sign(secret: &Secret, timestamp: &str, body: &[u8]) -> String {
    let parts = [b"v0:", timestamp.as_bytes(), b":", body];
    format!("v0={}", hex::encode(hmac_sha256(secret.expose().as_bytes(), &parts)))
}

/// Checks `X-Slack-Signature` and `X-Slack-Request-Timestamp` of a body.
///
/// # Errors
/// Returns why the request is not believed to be Slack's.
pub fn verify(
    secrets: &[Secret],
    (timestamp, signature): (&str, &str),
    body: &[u8],
    now: Timestamp,
) -> Result<(), Disbelief> {
    check_seconds(timestamp, now)?;
    let given = from_hex(signature.strip_prefix("v0=").ok_or(Disbelief::Malformed)?)?;
    check(&keys_of(secrets), &[given], &[b"v0:", timestamp.as_bytes(), b":", body])
}
