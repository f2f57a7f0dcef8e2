//! Signatures of messages that come in and go out, each over the raw bytes, compared in constant
//! time. Every check takes several secrets, so that one can be exchanged without a gap.

pub mod github;
pub mod linear;
pub mod plain;
pub mod slack;
pub mod standard_webhooks;
pub mod stripe;

use std::time::Duration;

use ring::hmac;

use super::secret::Secret;
use super::time::Timestamp;

/// How far the sender's clock may be off; older messages may be repeats by a stranger.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Why a message is not believed; for logs, never for the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disbelief {
    /// There is no secret to check with.
    #[error("no secret is set")]
    NoSecret,
    /// A header is not there.
    #[error("a header is missing")]
    Missing,
    /// A header does not have its form.
    #[error("a header is malformed")]
    Malformed,
    /// The time in it is too far from ours.
    #[error("its time is too far from ours")]
    OutOfTime,
    /// The signature does not fit.
    #[error("the signature does not fit")]
    Wrong,
}

/// Returns the HMAC-SHA-256 (RFC 2104) of the parts of a message, one after another.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    parts.iter().for_each(|part| context.update(part));
    let tag = context.sign();
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Believes a message if one of `given` is its HMAC under one of `keys`. Every pair is compared,
/// in constant time each, so that the time tells nothing.
fn check<K: AsRef<[u8]>>(keys: &[K], given: &[Vec<u8>], parts: &[&[u8]]) -> Result<(), Disbelief> {
    // An empty key is one that anybody has.
    let keys = keys.iter().map(AsRef::as_ref).filter(|key: &&[u8]| !key.is_empty());
    let mut state = Err(Disbelief::NoSecret);
    for key in keys {
        let expected = hmac_sha256(key, parts);
        if state == Err(Disbelief::NoSecret) {
            state = Err(Disbelief::Wrong);
        }
        for signature in given {
            if bool::from(subtle::ConstantTimeEq::ct_eq(&expected[..], &signature[..])) {
                state = Ok(());
            }
        }
    }
    state
}

fn keys_of(secrets: &[Secret]) -> Vec<&[u8]> {
    secrets.iter().map(|secret| secret.expose().as_bytes()).collect()
}

/// Reads whole seconds since the Unix epoch, and refuses those that are too far from `now`.
fn check_seconds(text: &str, now: Timestamp) -> Result<(), Disbelief> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: i64 = text.parse().ok().filter(|_| is_plain).ok_or(Disbelief::Malformed)?;
    check_millis(seconds.saturating_mul(1_000), now, TOLERANCE)
}

fn check_millis(millis: i64, now: Timestamp, tolerance: Duration) -> Result<(), Disbelief> {
    // Senders tell whole seconds, so ours are cut to them as well.
    let apart = (millis / 1_000).abs_diff(now.millis() / 1_000);
    if apart > tolerance.as_secs() { Err(Disbelief::OutOfTime) } else { Ok(()) }
}

fn from_hex(text: &str) -> Result<Vec<u8>, Disbelief> {
    hex::decode(text).map_err(|_| Disbelief::Malformed)
}

#[cfg(test)]
mod tests;
