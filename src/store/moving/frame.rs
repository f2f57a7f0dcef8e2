//! How an export lies in a file: frames with a checksum each, a manifest first and a trailer last.

use bytes::{Buf as _, Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh3::Xxh3Default;

use super::MoveFault;

/// How every export begins; the digit is the version of the frames.
pub const MAGIC: &[u8; 16] = b"ERGANE TENANT 1\n";
const FAMILY: &[u8] = b"ERGANE TENANT ";
/// The kind, three zero bytes, the length of the payload and the checksum.
const HEAD_BYTES: usize = 16;
/// No frame claims more, so that a damaged length cannot make us wait for a payload without end.
const FRAME_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What a frame holds; the letter is part of the file and never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// What is exported and how, as JSON; the first frame.
    Manifest = b'm',
    /// Rows, packed.
    Rows = b'r',
    /// How much there was, as JSON; the last frame.
    Trailer = b't',
}

/// A frame that was read and is sound.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it holds.
    pub kind: FrameKind,
    /// What it says.
    pub payload: Bytes,
    /// SHA-256 of everything before it.
    pub before: [u8; 32],
}

/// Writes frames.
pub struct FrameWriter {
    number: u64,
    digest: Sha256,
}

impl FrameWriter {
    /// Returns a writer and how the file begins.
    #[must_use]
    pub fn begin() -> (FrameWriter, Bytes) {
        let digest = Sha256::new_with_prefix(MAGIC);
        (FrameWriter { number: 0, digest }, Bytes::from_static(MAGIC))
    }

    /// Returns the next frame as it is written.
    ///
    /// # Panics
    /// Panics for a payload of four gigabytes, which no frame is given.
    pub fn frame(&mut self, kind: FrameKind, payload: &[u8]) -> Bytes {
        let length = u32::try_from(payload.len()).expect("frames are far shorter");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
        bytes.extend_from_slice(&[kind as u8, 0, 0, 0]);
        bytes.extend_from_slice(&length.to_be_bytes());
        let checksum = checksum(self.number, kind, payload);
        bytes.extend_from_slice(&checksum.to_be_bytes());
        bytes.extend_from_slice(payload);
        self.number += 1;
        self.digest.update(&bytes);
        Bytes::from(bytes)
    }

    /// Returns SHA-256 of everything that was written.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Returns how many frames were written.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.number
    }
}

/// Reads frames out of bytes that come in pieces of any size.
pub struct FrameReader {
    buffer: BytesMut,
    number: u64,
    digest: Sha256,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Magic,
    Frames,
    End,
}

impl Default for FrameReader {
    fn default() -> FrameReader {
        let (buffer, digest) = (BytesMut::new(), Sha256::new());
        FrameReader { buffer, number: 0, digest, place: Place::Magic }
    }
}

impl FrameReader {
    /// Takes the next piece of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next frame; `None` when more of the file is needed.
    ///
    /// # Errors
    /// Says what is wrong with the file.
    pub fn take(&mut self) -> Result<Option<Frame>, MoveFault> {
        if self.place == Place::Magic && !self.take_magic()? {
            return Ok(None);
        }
        if self.place == Place::End {
            return match self.buffer.is_empty() {
                true => Ok(None),
                false => Err(MoveFault::damaged("it goes on after its end")),
            };
        }
        let Some((kind, length, sum)) = self.head()? else { return Ok(None) };
        if self.buffer.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        let before = self.digest.clone().finalize().into();
        let frame = self.buffer.split_to(HEAD_BYTES + length).freeze();
        self.digest.update(&frame);
        let payload = frame.slice(HEAD_BYTES..);
        if checksum(self.number, kind, &payload) != sum {
            return Err(MoveFault::damaged(format!("frame {} is not as written", self.number)));
        }
        match (self.number, kind) {
            (0, FrameKind::Manifest) | (1.., FrameKind::Rows) => {}
            (1.., FrameKind::Trailer) => self.place = Place::End,
            (0, _) | (_, FrameKind::Manifest) => {
                return Err(MoveFault::damaged("the manifest does not stand first"));
            }
        }
        self.number += 1;
        Ok(Some(Frame { kind, payload, before }))
    }

    /// Says whether the file ended at its end.
    ///
    /// # Errors
    /// `Truncated` when it did not, `Foreign` when it never was an export.
    pub fn end(&self) -> Result<(), MoveFault> {
        match self.place {
            Place::End => Ok(()),
            Place::Frames => Err(MoveFault::Truncated),
            Place::Magic if FAMILY.starts_with(&self.buffer[..self.buffer.len().min(4)]) => {
                Err(MoveFault::Truncated)
            }
            Place::Magic => Err(MoveFault::Foreign),
        }
    }

    /// Returns how many frames were read.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.number
    }

    fn take_magic(&mut self) -> Result<bool, MoveFault> {
        if self.buffer.len() < MAGIC.len() {
            return Ok(false);
        }
        if self.buffer[..MAGIC.len()] != *MAGIC {
            return Err(match self.buffer.strip_prefix(FAMILY) {
                Some(rest) => {
                    MoveFault::Newer(format!("frames of version {}", char::from(rest[0])))
                }
                None => MoveFault::Foreign,
            });
        }
        self.digest.update(MAGIC);
        self.buffer.advance(MAGIC.len());
        self.place = Place::Frames;
        Ok(true)
    }

    fn head(&self) -> Result<Option<(FrameKind, usize, u64)>, MoveFault> {
        let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let kinds = [FrameKind::Manifest, FrameKind::Rows, FrameKind::Trailer];
        let kind = kinds.into_iter().find(|kind| *kind as u8 == head[0]);
        let wrong = || MoveFault::damaged(format!("frame {} has no sound head", self.number));
        let kind = kind.filter(|_| head[1..4] == [0, 0, 0]).ok_or_else(wrong)?;
        let (_, rest) = head.split_first_chunk::<4>().ok_or_else(wrong)?;
        let (length, sum) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
        let length = u32::from_be_bytes(*length) as usize;
        let sum = sum.try_into().map_err(|_| wrong())?;
        if length > FRAME_BYTES_MAX {
            return Err(wrong());
        }
        Ok(Some((kind, length, u64::from_be_bytes(sum))))
    }
}

fn checksum(number: u64, kind: FrameKind, payload: &[u8]) -> u64 {
    let mut sum = Xxh3Default::new();
    sum.update(&number.to_be_bytes());
    sum.update(&[kind as u8]);
    sum.update(payload);
    sum.digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Vec<u8> {
        let (mut writer, mut file) = {
            let (writer, magic) = FrameWriter::begin();
            (writer, magic.to_vec())
        };
        file.extend(writer.frame(FrameKind::Manifest, b"{}"));
        file.extend(writer.frame(FrameKind::Rows, &[7; 300]));
        file.extend(writer.frame(FrameKind::Trailer, b"{\"rows\":1}"));
        file
    }

    fn read(file: &[u8], piece: usize) -> Result<Vec<FrameKind>, MoveFault> {
        let mut reader = FrameReader::default();
        let mut kinds = Vec::new();
        for piece in file.chunks(piece) {
            reader.feed(piece);
            while let Some(frame) = reader.take()? {
                kinds.push(frame.kind);
            }
        }
        reader.end().map(|()| kinds)
    }

    #[test]
    fn frames_are_read_however_the_file_is_cut_into_pieces() {
        for piece in [1, 7, 16, 17, 1_000] {
            let kinds = read(&file(), piece).expect("sound");
            assert_eq!(kinds, [FrameKind::Manifest, FrameKind::Rows, FrameKind::Trailer]);
        }
    }

    #[test]
    fn a_file_that_ends_anywhere_else_is_refused() {
        let file = file();
        for end in 0..file.len() {
            assert_eq!(read(&file[..end], 64), Err(MoveFault::Truncated), "at {end}");
        }
        let longer = [&file[..], b"x"].concat();
        assert!(matches!(read(&longer, 64), Err(MoveFault::Damaged(_))));
        assert_eq!(read(b"PK\x03\x04 a zip file of something", 9), Err(MoveFault::Foreign));
        let newer = [&b"ERGANE TENANT 2\n"[..], &file[16..]].concat();
        assert!(matches!(read(&newer, 64), Err(MoveFault::Newer(_))));
    }

    #[test]
    fn no_byte_can_be_changed_unnoticed() {
        let file = file();
        for at in 0..file.len() {
            let mut changed = file.clone();
            changed[at] ^= 0x10;
            assert!(read(&changed, 1_000).is_err(), "byte {at}");
        }
    }
}
