//! Counts and times requests, and writes all metrics as Prometheus text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::tls::Certificates;

/// What is measured of requests.
#[derive(Debug)]
pub struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
    connections_refused: Counter,
    certificate_ends: Family<DoorLabels, Gauge>,
    certificate_stale: Family<DoorLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    operation: &'static str,
    status: u16,
}

const SECONDS: [f64; 12] =
    [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

impl HttpMetrics {
    /// Registers the metrics.
    #[must_use]
    pub fn new() -> HttpMetrics {
        let mut registry = Registry::default();
        let requests = Family::<RequestLabels, Counter>::default();
        let seconds = Histogram::new(SECONDS);
        registry.register(
            "ergane_http_requests",
            "Requests by operation and status",
            requests.clone(),
        );
        registry.register("ergane_http_request_seconds", "How long requests took", seconds.clone());
        let connections_refused = Counter::default();
        registry.register(
            "ergane_http_connections_refused",
            "Connections of addresses that had as many as they may have",
            connections_refused.clone(),
        );
        let certificate_ends = Family::<DoorLabels, Gauge>::default();
        registry.register(
            "ergane_tls_certificate_expires_seconds",
            "When the certificate of a door ends, in seconds since 1970",
            certificate_ends.clone(),
        );
        let certificate_stale = Family::<DoorLabels, Gauge>::default();
        registry.register(
            "ergane_tls_certificate_stale",
            "Whether the files of a certificate have changed and cannot be used",
            certificate_stale.clone(),
        );
        HttpMetrics {
            registry,
            requests,
            seconds,
            connections_refused,
            certificate_ends,
            certificate_stale,
        }
    }

    /// Counts one request.
    pub fn count(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }

    /// Counts a connection that was turned away.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// Notes how the certificate of a door is.
    pub fn see_certificate(&self, door: &'static str, certificate: &Certificates) {
        let ends = certificate.validity().ends.millis() / 1_000;
        self.certificate_ends.get_or_create(&DoorLabels { door }).set(ends);
        let stale = i64::from(certificate.fault().is_some());
        self.certificate_stale.get_or_create(&DoorLabels { door }).set(stale);
    }

    /// Writes them in the text format of OpenMetrics.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a text cannot fail");
        text
    }
}

impl Default for HttpMetrics {
    fn default() -> HttpMetrics {
        HttpMetrics::new()
    }
}

/// Joins two texts of OpenMetrics: only the end of the second is an end.
#[must_use]
pub fn joined(first: &str, second: &str) -> String {
    format!("{}{second}", first.trim_end().trim_end_matches("# EOF"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_operation_and_status() {
        let metrics = HttpMetrics::new();
        metrics.count("runs_list", 200, Duration::from_millis(2));
        metrics.count("runs_list", 200, Duration::from_millis(2));
        let text = joined("a 1\n# EOF\n", &metrics.text());
        assert!(
            text.contains("ergane_http_requests_total{operation=\"runs_list\",status=\"200\"} 2")
        );
        assert!(text.contains("ergane_http_request_seconds_count 2"));
        assert!(text.starts_with("a 1\n#") && text.matches("# EOF").count() == 1);
    }
}
