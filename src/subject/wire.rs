//! An HTTP client that costs next to nothing, so that the measurement does not measure itself.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The owner key of every appliance that is measured or tried.
pub const KEY: &str = "subject-key-0123456789abcdef";

/// One keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer; its body lies in the connection's buffer.
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// Returns whether what was asked for was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Returns the body as JSON, or the reason why it is none.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        let text = String::from_utf8_lossy(self.body);
        anyhow::ensure!(self.is_success(), "status {}: {text}", self.status);
        Ok(serde_json::from_slice(self.body)?)
    }
}

impl Connection {
    /// Connects to a port of this machine.
    pub async fn open(port: u16) -> io::Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Connection { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends a whole request and reads the whole answer.
    pub async fn exchange(&mut self, request: &[u8]) -> io::Result<Reply<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head_len = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end + 4;
            }
            self.read_more().await?;
        };
        let head = std::str::from_utf8(&self.buffer[..head_len]).map_err(io::Error::other)?;
        let status = head.get(9..12).and_then(|digits| digits.parse().ok());
        let status: u16 = status.ok_or_else(|| io::Error::other("no status line"))?;
        let total = match body_len(head) {
            Some(length) => head_len + length,
            None => return self.read_chunks(status, head_len).await,
        };
        while self.buffer.len() < total {
            self.read_more().await?;
        }
        Ok(Reply { status, body: &self.buffer[head_len..total] })
    }

    async fn read_more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Reads to the last chunk; the sizes stay in the body, which only pages have chunked.
    async fn read_chunks(&mut self, status: u16, head_len: usize) -> io::Result<Reply<'_>> {
        while !self.buffer.ends_with(b"0\r\n\r\n") {
            self.read_more().await?;
        }
        Ok(Reply { status, body: &self.buffer[head_len..] })
    }
}

/// Returns the length of the body, or `None` when it comes in chunks.
fn body_len(head: &str) -> Option<usize> {
    for line in head.split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return value.trim().parse().ok();
        }
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return None;
        }
    }
    Some(0)
}

fn find(bytes: &[u8], pattern: &[u8]) -> Option<usize> {
    bytes.windows(pattern.len()).position(|window| window == pattern)
}

/// Writes a request into `buffer`, replacing what was there.
pub fn write_request(buffer: &mut Vec<u8>, line: &str, media_type: &str, body: &[u8]) {
    use std::io::Write;
    buffer.clear();
    let length = body.len();
    let _ = write!(
        buffer,
        "{line} HTTP/1.1\r\nhost: subject\r\nauthorization: Bearer {KEY}\r\n\
         content-type: {media_type}\r\ncontent-length: {length}\r\n\r\n"
    ); // Memory takes every write.
    buffer.extend_from_slice(body);
}

/// Returns a request without a body.
#[must_use]
pub fn get(path: &str) -> Vec<u8> {
    let mut request = Vec::new();
    write_request(&mut request, &format!("GET {path}"), "application/json", b"");
    request
}

/// Returns a request that carries JSON.
#[must_use]
pub fn post(path: &str, body: &serde_json::Value) -> Vec<u8> {
    let mut request = Vec::new();
    let text = body.to_string();
    write_request(&mut request, &format!("POST {path}"), "application/json", text.as_bytes());
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_a_body_is_read_from_its_head() {
        for (head, length) in [
            ("HTTP/1.1 202 Accepted\r\nContent-Length: 12\r\n\r\n", Some(12)),
            ("HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n", Some(0)),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None),
        ] {
            assert_eq!(body_len(head), length, "{head}");
        }
    }
}
