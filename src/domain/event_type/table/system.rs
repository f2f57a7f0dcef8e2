//! What the appliance tells of itself.

use serde_json::json;

use super::row;
use crate::domain::event_type::{EventType, Shape};

/// Returns the event types of alerts.
pub(super) fn rows() -> Vec<EventType> {
    let alert = |kind, name, description, resolved_at| {
        let alert = json!({
            "id": "alert_disk-low_1795428000000_0",
            "kind": "disk-low",
            "tenant": "default",
            "subject": "disk-space",
            "detail": "4.1 GiB of 50.0 GiB are free",
            "cure": "df -h",
            "raisedAt": "2026-11-23T10:00:00.000Z",
            "resolvedAt": resolved_at,
        });
        row(kind, name, description).among("System").with("alert", Shape::Like(alert))
    };
    vec![
        alert(
            "system:alert-raised",
            "Alert raised",
            "Something is the matter with the appliance or the tenant.",
            json!(null),
        ),
        alert(
            "system:alert-resolved",
            "Alert resolved",
            "What was the matter is over.",
            json!("2026-11-23T10:30:00.000Z"),
        ),
    ]
}
