//! Spans as the JSON that a collector takes: OTLP 1.x over HTTP. Ids are written in hexadecimal,
//! and whole numbers of 64 bits as texts (OTLP specification, section "JSON Protobuf Encoding").

use serde_json::{Value, json};

use super::{Attribute, Sampled, Span, SpanKind, SpanStatus};
use crate::domain::time::Timestamp;

/// Returns the document of an export of spans.
#[must_use]
pub fn document(spans: &[Span], service: &str, version: &str) -> Value {
    let resource = [
        ("service.name", Attribute::from(service)),
        ("service.version", Attribute::from(version)),
        ("telemetry.sdk.name", Attribute::from("ergane")),
        ("telemetry.sdk.language", Attribute::from("rust")),
    ];
    json!({ "resourceSpans": [{
        "resource": { "attributes": attributes(&resource) },
        "scopeSpans": [{
            "scope": { "name": "ergane.runs", "version": version },
            "spans": spans.iter().map(span).collect::<Vec<_>>(),
        }],
    }] })
}

fn span(span: &Span) -> Value {
    let mut written = json!({
        "traceId": format!("{:032x}", span.trace),
        "spanId": format!("{:016x}", span.id),
        "name": span.name,
        "kind": kind(span.kind),
        "startTimeUnixNano": nanoseconds(span.start),
        "endTimeUnixNano": nanoseconds(span.end.max(span.start)),
        "attributes": attributes(&span.attributes),
        "status": status(&span.status),
        "flags": 1,
    });
    if let Some(parent) = span.parent {
        written["parentSpanId"] = json!(format!("{parent:016x}"));
    }
    if !span.links.is_empty() {
        let links = span.links.iter().map(|link| {
            json!({
                "traceId": format!("{:032x}", link.trace),
                "spanId": format!("{:016x}", link.span),
                "flags": u8::from(link.sampled == Sampled::Yes),
            })
        });
        written["links"] = links.collect();
    }
    written
}

/// The numbers of `opentelemetry.proto.trace.v1.Span.SpanKind`.
fn kind(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Client => 3,
        SpanKind::Consumer => 5,
    }
}

/// The numbers of `opentelemetry.proto.trace.v1.Status.StatusCode`.
fn status(status: &SpanStatus) -> Value {
    match status {
        SpanStatus::Unset => json!({}),
        SpanStatus::Ok => json!({ "code": 1 }),
        SpanStatus::Error(code) => json!({ "code": 2, "message": code }),
    }
}

fn nanoseconds(at: Timestamp) -> String {
    (i128::from(at.millis()) * 1_000_000).max(0).to_string()
}

fn attributes(all: &[(&'static str, Attribute)]) -> Vec<Value> {
    all.iter()
        .map(|(key, value)| {
            let value = match value {
                Attribute::Text(text) => json!({ "stringValue": text }),
                Attribute::Number(number) => json!({ "intValue": number.to_string() }),
            };
            json!({ "key": key, "value": value })
        })
        .collect()
}
