//! Lines as they come over the wire: bounded, and a message ended by nothing but its proper end.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// The longest command, in bytes; twice what RFC 5321, section 4.5.3.1.4 asks for.
const COMMAND_BYTES_MAX: usize = 1_024;

/// A line that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// A whole line with its end.
    Whole(Vec<u8>),
    /// One that was longer than allowed, with its last two bytes; the rest was passed over.
    TooLong([u8; 2]),
    /// The other side has gone.
    Closed,
}

/// A message that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Body {
    /// All of it, without the dots that were put before dots.
    Whole(Vec<u8>),
    /// It was larger than allowed; its rest was passed over.
    TooLarge,
    /// The other side went away before its end.
    Closed,
}

/// Reads one command.
///
/// # Errors
/// Fails when the connection does.
pub async fn command(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Line> {
    line(reader, COMMAND_BYTES_MAX).await
}

/// Reads a message of at most `bytes_max` bytes. It ends with a dot alone between two proper line
/// ends; a lone line feed ends no line here, so that no second message hides within the first.
///
/// # Errors
/// Fails when the connection does.
pub async fn body(reader: &mut (impl AsyncBufRead + Unpin), bytes_max: usize) -> io::Result<Body> {
    let mut message = Vec::new();
    let (mut is_too_large, mut after_end) = (false, true);
    loop {
        // One more than would fit, so that what does not is noticed.
        let room = bytes_max.saturating_sub(message.len()) + COMMAND_BYTES_MAX;
        match line(reader, room).await? {
            Line::Closed => return Ok(Body::Closed),
            Line::TooLong(end) => {
                is_too_large = true;
                after_end = end == *b"\r\n";
            }
            Line::Whole(line) if after_end && line == b".\r\n" => break,
            Line::Whole(line) => {
                let stuffed = after_end && line.starts_with(b".");
                after_end = line.ends_with(b"\r\n");
                if !is_too_large {
                    message.extend_from_slice(&line[usize::from(stuffed)..]);
                    is_too_large = message.len() > bytes_max;
                }
            }
        }
        if is_too_large {
            message.clear(); // Nobody will read it, so it need not be kept.
        }
    }
    Ok(if is_too_large { Body::TooLarge } else { Body::Whole(message) })
}

/// Reads up to and with a line feed, keeping at most `bytes_max` bytes in memory.
async fn line(reader: &mut (impl AsyncBufRead + Unpin), bytes_max: usize) -> io::Result<Line> {
    let mut line = Vec::new();
    let (mut is_too_long, mut last) = (false, [0; 2]);
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(Line::Closed);
        }
        let end = available.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(available.len());
        if line.len() + taken > bytes_max {
            is_too_long = true;
            line.clear();
        }
        if !is_too_long {
            line.extend_from_slice(&available[..taken]);
        }
        for byte in &available[taken.saturating_sub(2)..taken] {
            last = [last[1], *byte];
        }
        reader.consume(taken);
        if end.is_some() {
            return Ok(if is_too_long { Line::TooLong(last) } else { Line::Whole(line) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::BufReader;

    fn read(sent: &str, bytes_max: usize) -> Body {
        // A tiny buffer, so that every line comes in pieces.
        let mut reader = BufReader::with_capacity(3, sent.as_bytes());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(body(&mut reader, bytes_max)).unwrap()
    }

    #[test]
    fn a_message_ends_with_its_proper_end_alone() {
        for (sent, message) in [
            ("a\r\n.\r\n", "a\r\n"),
            (".\r\n", ""),
            ("..dot\r\n.\r\n", ".dot\r\n"),
            ("a\r\n..\r\n.\r\n", "a\r\n.\r\n"),
            ("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n"),
            ("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n"),
        ] {
            assert_eq!(read(sent, 100), Body::Whole(message.as_bytes().to_vec()), "{sent:?}");
        }
        assert_eq!(read("a\r\n", 100), Body::Closed);
    }

    #[test]
    fn a_message_that_is_too_large_is_read_to_its_end_and_not_kept() {
        let long = format!("{}\r\n.\r\n", "x".repeat(5_000));
        assert_eq!(read(&long, 100), Body::TooLarge);
        assert_eq!(read("12345\r\n.\r\n", 6), Body::TooLarge);
        assert_eq!(read("1234\r\n.\r\n", 6), Body::Whole(b"1234\r\n".to_vec()));
    }
}
