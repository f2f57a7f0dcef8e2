//! What an operator may set about the HTTP side, with the defaults that need no thought.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};

use crate::tls::{TlsError, TlsFiles};

/// The `[http]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebSettings {
    /// The address and port that it listens on.
    pub listen: String,
    /// The certificate and its chain, as PEM; empty for no TLS.
    pub tls_certificate_file: String,
    /// The private key of the certificate, as PEM.
    pub tls_key_file: String,
    /// The path under which a proxy serves everything, such as `/ergane`; empty for the root.
    pub base_path: String,
    /// The networks whose proxies are believed when they say whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// In which headers those proxies say it; all others are passed over.
    pub forwarded_by: ForwardedBy,
    /// How many threads take requests, at least 1.
    pub workers: usize,
    /// The largest request body, in bytes.
    pub body_bytes_max: usize,
    /// The largest export of a tenant that is imported, in bytes.
    pub import_bytes_max: u64,
    /// The largest event, in bytes of its JSON.
    pub event_bytes_max: usize,
    /// The most events that one batch may carry.
    pub batch_events_max: usize,
    /// The deepest nesting of JSON, in levels.
    pub json_depth_max: usize,
    /// The most connections that are open at once, for each worker.
    pub connections_max: usize,
    /// The most connections that one address may have open, and the most requests of one address
    /// that proxies may have in flight; 0 for any number.
    pub connections_per_address_max: usize,
    /// The longest address of a request, in bytes.
    pub uri_bytes_max: usize,
    /// The largest head of a request, in bytes of its names and values.
    pub head_bytes_max: usize,
    /// How long a client may take to send the head of a request, in milliseconds.
    pub head_timeout_ms: u64,
    /// How long a client may take to send a body, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a body may be on its way before its rate counts, in milliseconds.
    pub body_grace_ms: u64,
    /// How long a client may take for an answer before its rate counts, in milliseconds.
    pub answer_grace_ms: u64,
    /// The slowest that a body may come and an answer be taken, in bytes for each second.
    pub transfer_bytes_per_second_min: u64,
    /// How long an idle connection is kept open, in milliseconds.
    pub keep_alive_ms: u64,
    /// The longest `?wait=`, in milliseconds.
    pub wait_ms_max: u64,
    /// How long a filter is tried on past events before the answer is partial, in milliseconds.
    pub live_match_ms_max: u64,
    /// How long a definition is tried on past events before the answer is partial, in milliseconds.
    pub backtest_ms_max: u64,
    /// How many streams of events and runs one tenant may have open.
    pub streams_max: usize,
    /// How many events a stream may be behind its client before it is ended.
    pub stream_buffer_events_max: usize,
    /// How often a stream without news sends a sign of life, in milliseconds.
    pub stream_heartbeat_ms: u64,
    /// How many requests each key may make in a second, in the long run; 0 for no limit.
    pub requests_per_second: u32,
    /// How many requests each key may make at once after a pause.
    pub requests_burst: u32,
    /// What a scraper shows as `Authorization: Bearer …` to see the names of tenants in the metrics;
    /// empty where nobody but an owner's key may.
    pub metrics_token: String,
    /// How long requests that have begun may take to end at a stop, in milliseconds.
    pub shutdown_ms: u64,
}

/// How a proxy says whom it speaks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    /// In `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
    /// In `Forwarded` (RFC 7239).
    Forwarded,
}

impl Default for WebSettings {
    fn default() -> WebSettings {
        WebSettings {
            listen: "127.0.0.1:7171".to_owned(),
            tls_certificate_file: String::new(),
            tls_key_file: String::new(),
            base_path: String::new(),
            trusted_proxies: Vec::new(),
            forwarded_by: ForwardedBy::XForwarded,
            workers: 1,
            body_bytes_max: 1 << 20,
            import_bytes_max: 16 << 30,
            event_bytes_max: 256 << 10,
            batch_events_max: 1_000,
            json_depth_max: 64,
            connections_max: 10_000,
            connections_per_address_max: 1_024,
            uri_bytes_max: 8 << 10,
            head_bytes_max: 32 << 10,
            head_timeout_ms: 5_000,
            body_timeout_ms: 30_000,
            body_grace_ms: 5_000,
            answer_grace_ms: 30_000,
            transfer_bytes_per_second_min: 512,
            keep_alive_ms: 15_000,
            wait_ms_max: 60_000,
            live_match_ms_max: 1_000,
            backtest_ms_max: 5_000,
            streams_max: 100,
            stream_buffer_events_max: 256,
            stream_heartbeat_ms: 15_000,
            requests_per_second: 50_000,
            requests_burst: 100_000,
            metrics_token: String::new(),
            shutdown_ms: 10_000,
        }
    }
}

impl WebSettings {
    /// Returns the base path with a leading and without a trailing slash, empty for the root.
    #[must_use]
    pub fn base(&self) -> String {
        let trimmed = self.base_path.trim_matches('/');
        if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") }
    }

    /// Returns whether it listens for this very machine alone, and for no proxy on it.
    #[must_use]
    pub fn listens_inside(&self) -> bool {
        let address = self.listen.parse::<std::net::SocketAddr>();
        address.is_ok_and(|it| it.ip().is_loopback()) && self.trusted_proxies.is_empty()
    }

    /// Returns how large a body may be and how long it may take.
    #[must_use]
    pub fn body_limits(&self) -> BodyLimits {
        BodyLimits {
            bytes_max: self.body_bytes_max,
            timeout: Duration::from_millis(self.body_timeout_ms),
            grace: Duration::from_millis(self.body_grace_ms),
            bytes_per_second_min: self.transfer_bytes_per_second_min,
        }
    }

    /// Returns the files of the certificate; none for no TLS.
    ///
    /// # Errors
    /// Names the setting that is missing beside the other.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, TlsError> {
        let names = ["http.tls_certificate_file", "http.tls_key_file"];
        TlsFiles::of(names, &self.tls_certificate_file, &self.tls_key_file)
    }
}

/// What a body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimits {
    /// Its size, in bytes.
    pub bytes_max: usize,
    /// How long it may take.
    pub timeout: Duration,
    /// How long it may be on its way before its rate counts.
    pub grace: Duration,
    /// How many bytes must come in a second from then on.
    pub bytes_per_second_min: u64,
}

/// Where a server listens.
#[derive(Debug)]
pub struct Listeners {
    /// Already bound, so that a port in use is refused before anything else is done.
    pub tcp: Option<std::net::TcpListener>,
    /// What it speaks TLS with; plain without it.
    pub tls: Option<Arc<ServerConfig>>,
    /// Where the control socket is made; its callers are the owner of the box.
    pub control: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_path_is_the_same_however_it_is_written() {
        for (written, base) in [("", ""), ("/", ""), ("ergane", "/ergane"), ("/a/b/", "/a/b")] {
            let settings = WebSettings { base_path: written.to_owned(), ..WebSettings::default() };
            assert_eq!(settings.base(), base, "{written}");
        }
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        assert!(toml::from_str::<WebSettings>("listenn = '0.0.0.0:1'").is_err());
        let settings: WebSettings = toml::from_str("workers = 2").expect("one known key");
        assert_eq!((settings.workers, settings.json_depth_max), (2, 64));
    }
}
