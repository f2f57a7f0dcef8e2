//! Counts and times requests, and writes all metrics as Prometheus text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is measured of requests.
#[derive(Clone, Debug)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    seconds: Histogram,
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
    pub fn register(registry: &mut Registry) -> HttpMetrics {
        let metrics = HttpMetrics { requests: Family::default(), seconds: Histogram::new(SECONDS) };
        registry.register(
            "ergane_http_requests",
            "Requests by operation and status",
            metrics.requests.clone(),
        );
        registry.register(
            "ergane_http_request_seconds",
            "How long requests took",
            metrics.seconds.clone(),
        );
        metrics
    }

    /// Counts one request.
    pub fn count(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// Writes everything that is registered.
#[must_use]
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing to a text cannot fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_operation_and_status() {
        let mut registry = Registry::default();
        let metrics = HttpMetrics::register(&mut registry);
        metrics.count("runs_list", 200, Duration::from_millis(2));
        metrics.count("runs_list", 200, Duration::from_millis(2));
        let text = text(&registry);
        assert!(
            text.contains("ergane_http_requests_total{operation=\"runs_list\",status=\"200\"} 2")
        );
        assert!(text.contains("ergane_http_request_seconds_count 2"));
    }
}
