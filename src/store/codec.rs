//! Turns our own records into bytes and back; the only place that knows the encoding.

pub use bincode::{Decode, Encode};

/// The encoding in use; it leads every record, so that a later one can be told apart.
const RECORD_FORMAT: u8 = 1;

/// No record claims more, so that a damaged length cannot make us allocate without bound.
const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// There is not even a format byte.
    #[error("the record is empty")]
    Empty,
    /// A later version wrote it, or something else did.
    #[error("the record has format {0}, and this version reads format {RECORD_FORMAT}")]
    UnknownFormat(u8),
    /// The bytes do not fit the type.
    #[error("the record does not fit its type: {0}")]
    Malformed(String),
    /// The record ended and bytes were left over.
    #[error("the record has {0} bytes after its end")]
    Trailing(usize),
}

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<RECORD_BYTES_MAX>()
}

/// Returns the bytes of a record, led by the format byte.
pub fn encode<T: Encode>(record: &T) -> Vec<u8> {
    let mut bytes = vec![RECORD_FORMAT];
    bincode::encode_into_std_write(record, &mut bytes, configuration())
        .expect("derived encodings into memory cannot fail");
    bytes
}

/// Returns the record that `bytes` hold.
///
/// # Errors
/// Fails when the bytes have another format, do not fit the type or go on after it.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, CodecError> {
    let (format, body) = bytes.split_first().ok_or(CodecError::Empty)?;
    if *format != RECORD_FORMAT {
        return Err(CodecError::UnknownFormat(*format));
    }
    let (record, read) = bincode::decode_from_slice(body, configuration())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if read < body.len() {
        return Err(CodecError::Trailing(body.len() - read));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Encode, Decode)]
    struct Sample {
        name: String,
        counts: Vec<u64>,
        json: Option<Vec<u8>>,
    }

    fn sample() -> Sample {
        Sample { name: "a".into(), counts: vec![1, u64::MAX], json: Some(b"{}".to_vec()) }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        assert_eq!(decode::<Sample>(&encode(&sample())), Ok(sample()));
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        let good = encode(&sample());
        let longer = [good.as_slice(), &[0, 0]].concat();
        let mut later = good.clone();
        later[0] = 2;
        assert_eq!(decode::<Sample>(&[]), Err(CodecError::Empty));
        assert_eq!(decode::<Sample>(&later), Err(CodecError::UnknownFormat(2)));
        assert_eq!(decode::<Sample>(&longer), Err(CodecError::Trailing(2)));
        for cut in 1..good.len() {
            assert!(matches!(decode::<Sample>(&good[..cut]), Err(CodecError::Malformed(_))));
        }
    }

    #[test]
    fn a_claimed_length_beyond_the_limit_is_refused_before_memory_is_taken() {
        let huge = [RECORD_FORMAT, 253, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        assert!(matches!(decode::<Vec<u8>>(&huge), Err(CodecError::Malformed(_))));
    }
}
