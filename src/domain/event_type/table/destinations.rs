//! What happens to the destinations of calls.

use serde_json::json;

use super::row;
use crate::domain::event_type::{EventType, Shape};

/// Returns the event types of destinations.
pub(super) fn rows() -> Vec<EventType> {
    let changed = |kind, name, description, state: &str| {
        let destination = json!({
            "name": "https://api.wedding.example",
            "state": state,
            "until": "2026-11-23T10:00:10.000Z",
            "calls": 20,
            "failures": 14,
        });
        row(kind, name, description)
            .among("Destinations")
            .with("destination", Shape::Like(destination))
            .maybe("reason", Shape::Like(json!("the other side answered 503")))
    };
    vec![
        changed(
            "destination:opened",
            "Destination left alone",
            "Too many calls to a destination failed; it is called no more for a while.",
            "open",
        ),
        changed(
            "destination:closed",
            "Destination works again",
            "Calls to a destination go again.",
            "closed",
        ),
    ]
}
