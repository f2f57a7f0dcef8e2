//! What happens to backups; told in the first tenant.

use serde_json::json;

use super::row;
use crate::domain::event_type::{EventType, Shape};

/// Returns the event types of backups.
pub(super) fn rows() -> Vec<EventType> {
    let of_backup = |kind, name, description| {
        row(kind, name, description)
            .among("System")
            .with("backup", Shape::Like(json!("ergane-20261123T100000Z.backup")))
    };
    vec![
        of_backup("backup:completed", "Backup taken", "A backup was taken and checked.")
            .with("bytes", Shape::Like(json!(48_213_004)))
            .with("rows", Shape::Like(json!(812_340))),
        of_backup("backup:failed", "Backup failed", "A backup could not be taken.").with(
            "reason",
            Shape::Like(json!("there is no room for a backup in /var/lib/ergane/backups")),
        ),
    ]
}
