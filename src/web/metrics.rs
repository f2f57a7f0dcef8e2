//! Counts and times requests, and writes all metrics as Prometheus text.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// What is measured of requests.
#[derive(Debug)]
pub struct HttpMetrics {
    registry: Registry,
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
        HttpMetrics { registry, requests, seconds }
    }

    /// Counts one request.
    pub fn count(&self, operation: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&RequestLabels { operation, status }).inc();
        self.seconds.observe(took.as_secs_f64());
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
