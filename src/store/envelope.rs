//! Wraps every stored value with a checksum over its space, its key and its bytes.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The envelope in use; it is part of what the checksum covers.
const ENVELOPE_VERSION: u8 = 1;
/// How many bytes an envelope adds to a value: its version and its checksum.
pub const OVERHEAD_BYTES: usize = 9;

/// Returns what goes before `payload` to make an envelope of it; `key` is the stored key, with
/// its part in front.
pub fn head(space: u8, key: &[u8], payload: &[u8]) -> [u8; OVERHEAD_BYTES] {
    let mut head = [ENVELOPE_VERSION; OVERHEAD_BYTES];
    head[1..].copy_from_slice(&checksum(space, key, payload).to_be_bytes());
    head
}

/// Returns the envelope of `payload`.
pub fn sealed(space: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    [&head(space, key, payload), payload].concat()
}

/// Returns the payload of an envelope that was sealed for this space and key.
///
/// # Errors
/// Returns what does not match.
pub fn open<'a>(space: u8, key: &[u8], envelope: &'a [u8]) -> Result<&'a [u8], &'static str> {
    let (head, payload) =
        envelope.split_first_chunk::<OVERHEAD_BYTES>().ok_or("it is shorter than an envelope")?;
    if head[0] != ENVELOPE_VERSION {
        return Err("its envelope has an unknown version");
    }
    if head[1..] != checksum(space, key, payload).to_be_bytes() {
        return Err("its checksum does not match");
    }
    Ok(payload)
}

/// The key is bound in by the seed, so that a record that lies under another key is caught too.
fn checksum(space: u8, key: &[u8], payload: &[u8]) -> u64 {
    let place = u64::from(space) << 8 | u64::from(ENVELOPE_VERSION);
    xxh3_64_with_seed(payload, xxh3_64_with_seed(key, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_under_its_own_space_and_key_only() {
        for payload in [&b""[..], b"x", &[7; 4_000]] {
            let envelope = sealed(3, b"key", payload);
            assert_eq!(envelope.len(), payload.len() + OVERHEAD_BYTES);
            assert_eq!(open(3, b"key", &envelope), Ok(payload));
            assert!(open(4, b"key", &envelope).is_err());
            assert!(open(3, b"kez", &envelope).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_caught() {
        let envelope = sealed(1, b"key", b"a payload of some bytes");
        for bit in 0..envelope.len() * 8 {
            let mut bad = envelope.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(open(1, b"key", &bad).is_err(), "bit {bit}");
        }
        for cut in 0..envelope.len() {
            assert!(open(1, b"key", &envelope[..cut]).is_err(), "cut at {cut}");
        }
    }
}
