//! Linear's webhook signatures (<https://linear.app/developers/webhooks#securing-webhooks>).

use std::time::Duration;

use super::{Disbelief, check, check_millis, from_hex, keys_of};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// Linear asks for a minute.
const TOLERANCE: Duration = Duration::from_secs(60);

/// Checks `Linear-Signature` of a body, and the time of the delivery in the body's
/// `webhookTimestamp`, in milliseconds since 1970.
///
/// # Errors
/// Returns why the delivery is not believed.
pub fn verify(
    secrets: &[Secret],
    signature: &str,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Disbelief> {
    check(&keys_of(secrets), &[from_hex(signature)?], &[body])?;
    let read: serde_json::Value = serde_json::from_slice(body).map_err(|_| Disbelief::Malformed)?;
    let sent = read.get("webhookTimestamp").and_then(serde_json::Value::as_i64);
    check_millis(sent.ok_or(Disbelief::Missing)?, now, TOLERANCE)
}
