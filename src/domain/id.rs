//! Identifiers: what names a tenant, a run and a record, and how each is spelled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::Timestamp;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const ENCODED_LEN: usize = 26;

/// Names one organisation's walled space; the number is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TenantId(pub u32);

impl fmt::Display for TenantId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)
    }
}

/// Names one run: its partition (16 bits), then its creation in milliseconds (48 bits), then 64
/// random bits, so that routing needs no look-up and keys stay in time order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(u128);

impl RunId {
    /// Builds the id of a run that is created at `at` in partition `part`.
    #[must_use]
    pub fn new(part: u16, at: Timestamp, random: u64) -> RunId {
        let ms = u128::from(at.millis().max(0).unsigned_abs()) & 0xFFFF_FFFF_FFFF;
        RunId(u128::from(part) << 112 | ms << 64 | u128::from(random))
    }

    /// Returns the partition that owns the run.
    #[must_use]
    pub fn part(self) -> u16 {
        (self.0 >> 112) as u16
    }

    /// Returns when the run was created.
    #[must_use]
    pub fn created_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> 64 & 0xFFFF_FFFF_FFFF) as i64)
    }

    /// Returns the id as sixteen bytes that sort as the id does.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// Reads back what `to_bytes` wrote.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> RunId {
        RunId(u128::from_be_bytes(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "run_{}", encode(self.0))
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Says that a text is no identifier of the kind that was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a valid id")]
pub struct InvalidId(pub String);

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<RunId, InvalidId> {
        let body = text.strip_prefix("run_").ok_or_else(|| InvalidId(text.to_owned()))?;
        decode(body).map(RunId).ok_or_else(|| InvalidId(text.to_owned()))
    }
}

impl Serialize for RunId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<RunId, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Names a record (ticket, account, comment …): a letter for its kind, then its creation in
/// milliseconds and random bits in Crockford's base 32, so that uids sort by age.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Uid(String);

impl Uid {
    /// Builds the uid of a record of kind `letter` that is created at `at`.
    #[must_use]
    pub fn new(letter: char, at: Timestamp, random: u64) -> Uid {
        let ms = u128::from(at.millis().max(0).unsigned_abs()) & 0xFFFF_FFFF_FFFF;
        Uid(format!("{letter}{}", encode(ms << 64 | u128::from(random))))
    }

    /// Takes a uid as it stands in a path or a payload; any text may be looked up.
    #[must_use]
    pub fn from_text(text: impl Into<String>) -> Uid {
        Uid(text.into())
    }

    /// Returns the uid as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn encode(mut number: u128) -> String {
    let mut text = [b'0'; ENCODED_LEN];
    for slot in text.iter_mut().rev() {
        *slot = CROCKFORD[(number & 31) as usize];
        number >>= 5;
    }
    text.iter().map(|byte| char::from(*byte)).collect()
}

fn decode(text: &str) -> Option<u128> {
    if text.len() != ENCODED_LEN || text.as_bytes()[0] > b'7' {
        return None;
    }
    text.bytes().try_fold(0u128, |number, byte| {
        let digit = CROCKFORD.iter().position(|known| *known == byte.to_ascii_uppercase())?;
        Some(number << 5 | digit as u128)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_id_reads_back_and_sorts_by_time() {
        let early = RunId::new(3, Timestamp::from_millis(1_000), u64::MAX);
        let late = RunId::new(3, Timestamp::from_millis(1_001), 0);
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!(early.to_string().parse(), Ok(early));
        assert_eq!((early.part(), early.created_at().millis()), (3, 1_000));
        assert_eq!(RunId::from_bytes(late.to_bytes()), late);
    }

    #[test]
    fn what_is_no_run_id_is_refused() {
        for text in ["", "run_", "run_8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "tkt_00000000000000000000000000"]
        {
            assert!(text.parse::<RunId>().is_err(), "{text}");
        }
    }
}
