//! Wraps every stored value with a checksum over its space, its key and its bytes, and packs those
//! that become smaller by it.

use std::borrow::Cow;
use std::ops::Range;

use lz4_flex::block::{
    compress_into_with_dict, decompress_into_with_dict, get_maximum_output_size,
};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How the bytes of a value lie in its envelope; the number is part of what the checksum covers.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Form {
    /// As they are.
    Plain = 1,
    /// Their length in four bytes, then an LZ4 block made with `DICTIONARY`.
    Packed = 2,
}

/// What stored values look like, so that even a short one finds what it repeats. It is part of the
/// format of the file: another dictionary is another form.
const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");
/// How many bytes an envelope adds to a value: its form and its checksum.
pub const OVERHEAD_BYTES: usize = 9;
/// Shorter values are not worth the packing.
const PACKED_BYTES_MIN: usize = 160;
const LENGTH_BYTES: usize = 4;

/// Adds the envelope of `payload` to `bytes`, where its stored key lies at `key` with its part in
/// front.
pub fn seal_onto(bytes: &mut Vec<u8>, space: u8, key: Range<usize>, payload: &[u8]) {
    let start = bytes.len();
    bytes.extend_from_slice(&[Form::Plain as u8; OVERHEAD_BYTES]);
    let form = match pack_onto(bytes, payload) {
        true => Form::Packed,
        false => Form::Plain,
    };
    let checksum = checksum(space, form, &bytes[key], &bytes[start + OVERHEAD_BYTES..]);
    bytes[start] = form as u8;
    bytes[start + 1..start + OVERHEAD_BYTES].copy_from_slice(&checksum.to_be_bytes());
}

/// Returns the envelope of a `payload` too small to be packed.
pub fn sealed(space: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
    let checksum = checksum(space, Form::Plain, key, payload);
    [&[Form::Plain as u8], checksum.to_be_bytes().as_slice(), payload].concat()
}

/// Returns the payload of an envelope that was sealed for this space and key.
///
/// # Errors
/// Returns what does not match.
pub fn open<'a>(space: u8, key: &[u8], envelope: &'a [u8]) -> Result<Cow<'a, [u8]>, &'static str> {
    let (head, inside) =
        envelope.split_first_chunk::<OVERHEAD_BYTES>().ok_or("it is shorter than an envelope")?;
    let form = match head[0] {
        1 => Form::Plain,
        2 => Form::Packed,
        _ => return Err("its envelope has an unknown form"),
    };
    if head[1..] != checksum(space, form, key, inside).to_be_bytes() {
        return Err("its checksum does not match");
    }
    match form {
        Form::Plain => Ok(Cow::Borrowed(inside)),
        Form::Packed => unpacked(inside).map(Cow::Owned),
    }
}

/// Adds `payload`, packed if that makes it smaller; answers whether it did.
fn pack_onto(bytes: &mut Vec<u8>, payload: &[u8]) -> bool {
    let start = bytes.len();
    if let (true, Ok(length)) = (payload.len() >= PACKED_BYTES_MIN, u32::try_from(payload.len())) {
        bytes.extend_from_slice(&length.to_le_bytes());
        let packed = start + LENGTH_BYTES;
        bytes.resize(packed + get_maximum_output_size(payload.len()), 0);
        let written = compress_into_with_dict(payload, &mut bytes[packed..], DICTIONARY);
        if let Ok(written) = written
            && LENGTH_BYTES + written < payload.len()
        {
            bytes.truncate(packed + written);
            return true;
        }
        bytes.truncate(start);
    }
    bytes.extend_from_slice(payload);
    false
}

fn unpacked(inside: &[u8]) -> Result<Vec<u8>, &'static str> {
    const WRONG: &str = "what is packed in it makes no sense";
    let (length, packed) = inside.split_first_chunk::<LENGTH_BYTES>().ok_or(WRONG)?;
    let mut payload = vec![0; u32::from_le_bytes(*length) as usize];
    match decompress_into_with_dict(packed, &mut payload, DICTIONARY) {
        Ok(written) if written == payload.len() => Ok(payload),
        _ => Err(WRONG),
    }
}

/// The key is bound in by the seed, so that a record that lies under another key is caught too.
fn checksum(space: u8, form: Form, key: &[u8], inside: &[u8]) -> u64 {
    let place = u64::from(space) << 8 | u64::from(form as u8);
    xxh3_64_with_seed(inside, xxh3_64_with_seed(key, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed_as_a_row(space: u8, key: &[u8], payload: &[u8]) -> Vec<u8> {
        let mut bytes = key.to_vec();
        seal_onto(&mut bytes, space, 0..key.len(), payload);
        bytes.split_off(key.len())
    }

    #[test]
    fn a_value_comes_back_under_its_own_space_and_key_only() {
        let text = r#"{"event":{"id":"1","type":"ticket:created","payload":{"n":1}}}"#.repeat(9);
        let noise: Vec<u8> = (0..900_u32).map(|n| (n * n / 7) as u8 ^ (n >> 3) as u8).collect();
        for payload in [&b""[..], b"x", &[7; 4_000], text.as_bytes(), &noise] {
            for envelope in [sealed(3, b"key", payload), sealed_as_a_row(3, b"key", payload)] {
                assert!(envelope.len() <= payload.len() + OVERHEAD_BYTES);
                assert_eq!(open(3, b"key", &envelope).as_deref(), Ok(payload));
                assert!(open(4, b"key", &envelope).is_err());
                assert!(open(3, b"kez", &envelope).is_err());
            }
        }
    }

    #[test]
    fn a_short_event_is_packed_to_less_than_half() {
        let event = br#"{"event":{"id":"evt_01a20965009e0001","type":"ticket:created","source":"ergane","subject":"T00000T42B4ZJT0YSZ57TB6KN2D","time":"2026-11-23T17:12:23.966Z","actor":{"id":"key_c7","type":"KEY","email":""},"payload":{"ticketId":"T00000T42B4ZJT0YSZ57TB6KN2D"},"metadata":{},"cause":null},"receivedAt":"2026-11-23T17:12:23.966Z"}"#;
        let envelope = sealed_as_a_row(11, b"key", event);
        assert!(envelope.len() * 2 < event.len(), "{} of {}", envelope.len(), event.len());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_caught() {
        let text = r#"{"status":"running","workflow":"a"}"#.repeat(9);
        for envelope in [
            sealed(1, b"key", b"a payload of some bytes"),
            sealed_as_a_row(1, b"key", text.as_bytes()),
        ] {
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
}
