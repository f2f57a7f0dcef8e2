//! Short calls that find out whether another system is there, by the same rules as every call.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer;
use super::egress::Egress;
use crate::activities::settings::EgressSettings;
use crate::domain::run::Failure;

/// How long a probe may take.
const PROBE_MAX: Duration = Duration::from_secs(10);
const SMTP_LINES_MAX: usize = 50;

/// What a system answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// The HTTP status.
    pub status: u16,
    /// The body where it is JSON, else null.
    pub body: Value,
}

/// Asks other systems whether they are there.
pub struct Probe {
    egress: Egress,
    settings: EgressSettings,
    /// Made at the first call, when the cryptography is surely set up.
    client: OnceLock<Client>,
}

impl Probe {
    /// Asks as the settings allow.
    #[must_use]
    pub fn new(settings: &EgressSettings) -> Probe {
        let (egress, settings) = (Egress::new(settings), settings.clone());
        Probe { egress, settings, client: OnceLock::new() }
    }

    /// Calls an address, following no redirect.
    ///
    /// # Errors
    /// Returns why there is no answer.
    pub async fn ask(
        &self,
        method: Method,
        address: &str,
        headers: HeaderMap,
        body: Option<Value>,
    ) -> Result<Heard, Failure> {
        let url = self.egress.url(address)?;
        let mut request = self.client()?.request(method, url).timeout(PROBE_MAX).headers(headers);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let mut response = request.send().await.map_err(|error| answer::broken(&error))?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > self.settings.response_bytes_max {
                break; // Its beginning was enough to know that it is there.
            }
        }
        Ok(Heard { status, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) })
    }

    /// Connects to a mail server, greets it, and returns what it says that it can.
    ///
    /// # Errors
    /// Returns why it cannot be reached, or what it said instead.
    pub async fn smtp(&self, host: &str, port: u16) -> Result<Vec<String>, Failure> {
        let late = |_| Failure::retryable("timeout", "the mail server did not answer in time");
        timeout(PROBE_MAX, self.greet(host, port)).await.map_err(late)?
    }

    async fn greet(&self, host: &str, port: u16) -> Result<Vec<String>, Failure> {
        let broken =
            |error: std::io::Error| Failure::retryable("connect_failed", error.to_string());
        let found: Vec<SocketAddr> =
            tokio::net::lookup_host((host, port)).await.map_err(broken)?.collect();
        for address in &found {
            self.egress.check(host, address.ip())?;
        }
        let stream = TcpStream::connect(found.as_slice()).await.map_err(broken)?;
        let mut stream = BufReader::new(stream);
        heard(&mut stream, "220").await?;
        stream.write_all(b"EHLO ergane\r\n").await.map_err(broken)?;
        let able = heard(&mut stream, "250").await?;
        // It has said what was asked for; whether the farewell arrives changes nothing.
        let _ = stream.write_all(b"QUIT\r\n").await;
        Ok(able)
    }

    fn client(&self) -> Result<&Client, Failure> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let connect_timeout = Duration::from_millis(self.settings.connect_timeout_ms);
        let client = self.egress.client(connect_timeout).map_err(|error| {
            Failure::retryable("client_unavailable", format!("cannot set up a client: {error}"))
        })?;
        Ok(self.client.get_or_init(|| client))
    }
}

/// Reads one reply (RFC 5321, section 4.2), which goes on while a hyphen follows its code.
async fn heard(stream: &mut BufReader<TcpStream>, code: &str) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for _ in 0..SMTP_LINES_MAX {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await;
        read.map_err(|error| Failure::retryable("connection_lost", error.to_string()))?;
        let Some(rest) = line.trim_end().strip_prefix(code) else {
            let said: String = line.trim_end().chars().take(200).collect();
            let message = format!("the mail server said `{said}`, not {code}");
            return Err(Failure::terminal("refused", message));
        };
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        if !rest.starts_with('-') {
            return Ok(lines);
        }
    }
    Err(Failure::terminal("refused", "the mail server's greeting does not end"))
}
