//! Standard Webhooks 1.0 with symmetric keys
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Disbelief, check, check_seconds, hmac_sha256};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// What a secret begins with; base64 follows.
pub const PREFIX: &str = "whsec_";

/// The three headers of a message.
#[derive(Clone, Copy, Debug)]
pub struct Headers<'a> {
    /// `webhook-id`: the same through every repeat of the message.
    pub id: &'a str,
    /// `webhook-timestamp`: when this attempt was made, in seconds since 1970.
    pub timestamp: &'a str,
    /// `webhook-signature`: signatures with their versions, separated by spaces.
    pub signatures: &'a str,
}

/// Makes a secret out of random bytes.
#[must_use]
pub fn secret_of(random: &[u8; 32]) -> Secret {
    Secret::new(format!("{PREFIX}{}", STANDARD.encode(random)))
}

/// Returns the `webhook-signature` of a message under one secret.
#[must_use]
pub fn sign(secret: &Secret, id: &str, timestamp: &str, body: &[u8]) -> String {
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    format!("v1,{}", STANDARD.encode(hmac_sha256(&key_of(secret), &parts)))
}

/// Checks the signatures of a message; those of other versions are passed over.
///
/// # Errors
/// Returns why the message is not believed.
pub fn verify(
    secrets: &[Secret],
    headers: Headers<'_>,
    body: &[u8],
    now: Timestamp,
) -> Result<(), Disbelief> {
    let Headers { id, timestamp, signatures } = headers;
    if id.is_empty() || signatures.is_empty() {
        return Err(Disbelief::Missing);
    }
    check_seconds(timestamp, now)?;
    let symmetric = signatures.split(' ').filter_map(|signature| signature.strip_prefix("v1,"));
    let given: Vec<Vec<u8>> = symmetric.filter_map(|text| STANDARD.decode(text).ok()).collect();
    let keys: Vec<Vec<u8>> = secrets.iter().map(key_of).collect();
    check(&keys, &given, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body])
}

/// A secret is base64 behind its prefix; one that is not is taken by its letters.
fn key_of(secret: &Secret) -> Vec<u8> {
    let text = secret.expose();
    let encoded = text.strip_prefix(PREFIX);
    let decoded = encoded.and_then(|encoded| STANDARD.decode(encoded).ok());
    decoded.unwrap_or_else(|| text.as_bytes().to_vec())
}
