//! The frames that backups and logs are made of: packed blocks, each with a checksum of its own.

use std::io::{self, Read, Write};

use lz4_flex::block::{compress_into, decompress, get_maximum_output_size};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// How many bytes stand before the packed bytes of a frame.
pub const HEAD_BYTES: usize = 22;
/// Larger frames than this are not ours: a batch of a commit is the largest thing that one holds.
const PLAIN_BYTES_MAX: u32 = 512 * 1024 * 1024;
/// The length that stands for "the key was removed".
const REMOVED: u32 = u32::MAX;

/// What a frame holds; the number is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// What the file is, as JSON.
    Head = 1,
    /// Rows of one table.
    Rows = 2,
    /// What the file held, as JSON.
    Tail = 3,
    /// One group of commits.
    Commit = 4,
}

/// A frame that was read and found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: Kind,
    /// The table of its rows; 0 where it has none.
    pub table: u8,
    /// How many rows it has.
    pub rows: u32,
    /// What was packed.
    pub plain: Vec<u8>,
    /// How many bytes it takes in the file.
    pub bytes: u64,
}

/// Why there is no further frame.
#[derive(Debug)]
pub enum FrameFault {
    /// The file ends in the middle of it.
    Cut,
    /// It does not match its checksum, or makes no sense.
    Damaged(&'static str),
    /// The file cannot be read.
    Unreadable(io::Error),
}

/// The key of a row and its value, or none where the key was removed.
pub type FramedRow<'a> = (&'a [u8], Option<&'a [u8]>);

/// Returns the bytes of a frame.
#[must_use]
pub fn framed(kind: Kind, table: u8, rows: u32, plain: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_BYTES + get_maximum_output_size(plain.len())];
    let packed = compress_into(plain, &mut bytes[HEAD_BYTES..]).expect("there is room for it");
    bytes.truncate(HEAD_BYTES + packed);
    bytes[0] = kind as u8;
    bytes[1] = table;
    bytes[2..6].copy_from_slice(&rows.to_le_bytes());
    let length = |bytes: usize| u32::try_from(bytes).expect("a frame is far smaller").to_le_bytes();
    bytes[6..10].copy_from_slice(&length(plain.len()));
    bytes[10..14].copy_from_slice(&length(packed));
    let sum = checksum(&bytes[..14], &bytes[HEAD_BYTES..]);
    bytes[14..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn checksum(head: &[u8], packed: &[u8]) -> u64 {
    xxh3_64_with_seed(packed, xxh3_64(head))
}

/// Reads the next frame; `None` at the end of the file. `seen` is handed the bytes as they stand.
///
/// # Errors
/// Says why there is none.
pub fn read_frame(
    from: &mut dyn Read,
    seen: &mut dyn FnMut(&[u8]),
) -> Result<Option<Frame>, FrameFault> {
    let mut head = [0; HEAD_BYTES];
    match read_up_to(from, &mut head)? {
        0 => return Ok(None),
        HEAD_BYTES => {}
        _ => return Err(FrameFault::Cut),
    }
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
    let (rows, plain_bytes, packed_bytes) = (number(2), number(6), number(10));
    let kind = match head[0] {
        1 => Kind::Head,
        2 => Kind::Rows,
        3 => Kind::Tail,
        4 => Kind::Commit,
        _ => return Err(FrameFault::Damaged("a frame of an unknown kind")),
    };
    if plain_bytes > PLAIN_BYTES_MAX || packed_bytes > PLAIN_BYTES_MAX {
        return Err(FrameFault::Damaged("a frame that is too large"));
    }
    let mut packed = Vec::new();
    let read = from.take(packed_bytes.into()).read_to_end(&mut packed);
    if read.map_err(FrameFault::Unreadable)? < packed_bytes as usize {
        return Err(FrameFault::Cut);
    }
    let sum = u64::from_le_bytes(head[14..].try_into().expect("eight bytes"));
    if sum != checksum(&head[..14], &packed) {
        return Err(FrameFault::Damaged("a frame that does not match its checksum"));
    }
    let plain = decompress(&packed, plain_bytes as usize)
        .ok()
        .filter(|plain| plain.len() == plain_bytes as usize)
        .ok_or(FrameFault::Damaged("a frame that cannot be unpacked"))?;
    seen(&head);
    seen(&packed);
    let bytes = (HEAD_BYTES + packed.len()) as u64;
    Ok(Some(Frame { kind, table: head[1], rows, plain, bytes }))
}

fn read_up_to(from: &mut dyn Read, into: &mut [u8]) -> Result<usize, FrameFault> {
    let mut filled = 0;
    while filled < into.len() {
        match from.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameFault::Unreadable(error)),
        }
    }
    Ok(filled)
}

/// Adds a row to the plain bytes of a frame; no value says that the key was removed.
pub fn push_row(plain: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    let length = |bytes: usize| u32::try_from(bytes).expect("a row is far smaller").to_le_bytes();
    plain.extend_from_slice(&length(key.len()));
    match value {
        Some(value) => plain.extend_from_slice(&length(value.len())),
        None => plain.extend_from_slice(&REMOVED.to_le_bytes()),
    }
    plain.extend_from_slice(key);
    plain.extend_from_slice(value.unwrap_or_default());
}

/// Takes the next row from the plain bytes of a frame.
///
/// # Errors
/// Says that the bytes are no row.
pub fn take_row<'a>(plain: &mut &'a [u8]) -> Result<Option<FramedRow<'a>>, FrameFault> {
    const WRONG: FrameFault = FrameFault::Damaged("a row that is cut short");
    if plain.is_empty() {
        return Ok(None);
    }
    let (lengths, rest) = plain.split_first_chunk::<8>().ok_or(WRONG)?;
    let number = |at: usize| u32::from_le_bytes(lengths[at..at + 4].try_into().expect("4 bytes"));
    let (key_bytes, value_bytes) = (number(0) as usize, number(4));
    let (key, rest) = rest.split_at_checked(key_bytes).ok_or(WRONG)?;
    if value_bytes == REMOVED {
        *plain = rest;
        return Ok(Some((key, None)));
    }
    let (value, rest) = rest.split_at_checked(value_bytes as usize).ok_or(WRONG)?;
    *plain = rest;
    Ok(Some((key, Some(value))))
}

/// Writes all of a frame and adds its length to `written`.
///
/// # Errors
/// Fails as the writing does.
pub fn write_all(out: &mut dyn Write, bytes: &[u8], written: &mut u64) -> io::Result<()> {
    out.write_all(bytes)?;
    *written += bytes.len() as u64;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_framed_comes_back() {
        let mut plain = Vec::new();
        push_row(&mut plain, b"key", Some(b"value"));
        push_row(&mut plain, b"gone", None);
        let bytes = framed(Kind::Rows, 8, 2, &plain);
        let frame = read_frame(&mut bytes.as_slice(), &mut |_| ()).expect("sound").expect("one");
        assert_eq!((frame.kind, frame.table, frame.rows), (Kind::Rows, 8, 2));
        let mut rest = frame.plain.as_slice();
        let mut next = || take_row(&mut rest).expect("a row");
        assert_eq!(next(), Some((&b"key"[..], Some(&b"value"[..]))));
        assert_eq!(next(), Some((&b"gone"[..], None)));
        assert_eq!(next(), None);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = framed(Kind::Rows, 1, 1, b"some plain bytes that are some plain bytes");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(read_frame(&mut flipped.as_slice(), &mut |_| ()).is_err(), "bit {bit}");
        }
        for end in 1..bytes.len() {
            assert!(read_frame(&mut &bytes[..end], &mut |_| ()).is_err(), "cut at {end}");
        }
    }
}
