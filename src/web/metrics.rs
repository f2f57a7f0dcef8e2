//! Counts and times requests, and writes all metrics as Prometheus text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::route::Route;
use crate::domain::id::TenantId;
use crate::metrics::table::help_of;
use crate::tls::Certificates;

/// What is measured of requests.
#[derive(Debug)]
pub struct HttpMetrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    refused: Family<RefusalLabels, Counter>,
    connections_refused: Counter,
    certificate_ends: Family<DoorLabels, Gauge>,
    certificate_stale: Family<DoorLabels, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DoorLabels {
    door: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    tenant: String,
    status: u16,
}

/// How many tenants have series of their own; the others are counted under `other`.
const TENANTS_MAX: u32 = 100;

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
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let refused = Family::<RefusalLabels, Counter>::default();
        let connections_refused = Counter::default();
        let certificate_ends = Family::<DoorLabels, Gauge>::default();
        let certificate_stale = Family::<DoorLabels, Gauge>::default();
        let name = "ergane_http_requests";
        registry.register(name, help_of(name), requests.clone());
        let name = "ergane_http_request_duration_seconds";
        registry.register(name, help_of(name), seconds.clone());
        let name = "ergane_http_refused";
        registry.register(name, help_of(name), refused.clone());
        let name = "ergane_http_connections_refused";
        registry.register(name, help_of(name), connections_refused.clone());
        let name = "ergane_tls_certificate_expires_seconds";
        registry.register(name, help_of(name), certificate_ends.clone());
        let name = "ergane_tls_certificate_stale";
        registry.register(name, help_of(name), certificate_stale.clone());
        HttpMetrics {
            registry,
            requests,
            seconds,
            refused,
            connections_refused,
            certificate_ends,
            certificate_stale,
        }
    }

    /// Counts one request of a route, or of none.
    pub fn count(&self, route: Option<&'static Route>, status: u16, took: Duration) {
        let operation = route.map_or("unknown", |route| route.id);
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        let labels = RouteLabels {
            method: route.map_or("other", |route| route.verb.name()),
            route: route.map_or("unknown", |route| route.path),
            status: class(status),
        };
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Counts a request that was refused because there were too many, or because of a lack.
    pub fn refused(&self, tenant: Option<TenantId>, status: u16) {
        let tenant = match tenant {
            Some(id) if id.0 <= TENANTS_MAX => id.to_string(),
            Some(_) => "other".to_owned(),
            None => "none".to_owned(),
        };
        self.refused.get_or_create(&RefusalLabels { tenant, status }).inc();
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

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Returns the class of a status, as it is written everywhere.
fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
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

/// The labels whose values tenants make up.
const NAMES: [&str; 5] = ["tenant", "type", "workflow", "connection", "destination"];

/// Takes out of a text of OpenMetrics what tenants named, and adds up what is the same then.
#[must_use]
pub fn without_names(text: &str) -> String {
    let mut lines: Vec<(String, Option<f64>)> = Vec::new();
    for line in text.lines() {
        let sample = line.split_once('{').filter(|(name, _)| !name.starts_with('#'));
        let parts = sample.and_then(|(name, rest)| Some((name, rest.rsplit_once("} ")?)));
        let Some((name, (labels, value))) = parts else {
            lines.push((line.to_owned(), None));
            continue;
        };
        let all = labels_in(labels);
        let kept: Vec<&str> = all
            .iter()
            .copied()
            .filter(|label| !NAMES.iter().any(|name| is_named(label, name)))
            .collect();
        let series = match kept.is_empty() {
            true => name.to_owned(),
            false => format!("{name}{{{}}}", kept.join(",")),
        };
        let value = value.parse().ok().filter(|_| kept.len() < all.len());
        match (value, lines.iter_mut().find(|(known, sum)| *known == series && sum.is_some())) {
            (Some(value), Some((_, Some(sum)))) => *sum += value,
            (Some(value), _) => lines.push((series, Some(value))),
            (None, _) => lines.push((line.to_owned(), None)),
        }
    }
    let written = lines.into_iter().map(|(line, sum): (String, Option<f64>)| match sum {
        Some(sum) => format!("{line} {sum}\n"),
        None => format!("{line}\n"),
    });
    written.collect()
}

fn is_named(label: &str, name: &str) -> bool {
    label.strip_prefix(name).is_some_and(|rest| rest.starts_with("=\""))
}

/// Cuts labels at the commas that stand outside of values.
fn labels_in(text: &str) -> Vec<&str> {
    let (mut labels, mut start, mut is_inside, mut is_escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_inside = !is_inside,
            ',' if !is_inside => {
                labels.push(&text[start..at]);
                start = at + 1;
            }
            _ => {} // A letter of a name or of a value.
        }
    }
    labels.push(&text[start..]);
    labels.retain(|label| !label.is_empty());
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tenants_named_is_taken_out_and_added_up() {
        let text = "# TYPE a counter\n\
            a_total{tenant=\"acme\",type=\"x:y, \\\"z\\\"}\u{20}1\n\
            a_total{tenant=\"evil\",type=\"x\"} 2\n\
            runs_total{workflow=\"w\",status=\"failed\"} 3\n\
            runs_total{workflow=\"v\",status=\"failed\"} 4\n\
            http_total{operation=\"o\",status=\"200\"} 5\nplain 6\n# EOF\n";
        let wanted = "# TYPE a counter\na_total 3\nruns_total{status=\"failed\"} 7\n\
            http_total{operation=\"o\",status=\"200\"} 5\nplain 6\n# EOF\n";
        assert_eq!(without_names(text), wanted);
    }

    #[test]
    fn requests_are_counted_by_operation_and_status() {
        let metrics = HttpMetrics::new();
        let route = &super::super::api::runs::GROUP.routes[0];
        metrics.count(Some(route), 200, Duration::from_millis(2));
        metrics.count(Some(route), 200, Duration::from_millis(2));
        metrics.refused(Some(TenantId(1)), 429);
        let text = joined("a 1\n# EOF\n", &metrics.text());
        for line in [
            format!("ergane_http_requests_total{{operation=\"{}\",status=\"200\"}} 2", route.id),
            format!(
                "ergane_http_request_duration_seconds_count{{method=\"GET\",route=\"{}\",\
                 status=\"2xx\"}} 2",
                route.path
            ),
            "ergane_http_refused_total{tenant=\"1\",status=\"429\"} 1".to_owned(),
        ] {
            assert!(text.contains(&line), "no `{line}` in\n{text}");
        }
        assert!(text.starts_with("a 1\n#") && text.matches("# EOF").count() == 1);
    }
}
