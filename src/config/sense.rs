//! Settings that each are valid and make no sense, alone or together.

use super::Config;

/// Returns the settings to blame, why, and what to do, if the settings make no sense.
pub(super) fn nonsense(config: &Config) -> Option<([&'static str; 2], String)> {
    let Config { http, store, engine, access, .. } = config;
    let counts = [
        ("http.workers", http.workers as u64),
        ("http.connections_max", http.connections_max as u64),
        ("http.body_bytes_max", http.body_bytes_max as u64),
        ("http.event_bytes_max", http.event_bytes_max as u64),
        ("http.batch_events_max", http.batch_events_max as u64),
        ("http.json_depth_max", http.json_depth_max as u64),
        ("http.head_timeout_ms", http.head_timeout_ms),
        ("http.body_timeout_ms", http.body_timeout_ms),
        ("store.parts", u64::from(store.parts)),
        ("store.writer_queue_batches_max", store.writer_queue_batches_max as u64),
        ("store.stalled_after_ms", store.stalled_after_ms),
        ("engine.mailbox_messages_max", engine.mailbox_messages_max as u64),
        ("engine.runs_active_max", engine.runs_active_max as u64),
        ("engine.pressure_bytes_max", engine.pressure_bytes_max as u64),
    ];
    if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
        return Some(([key; 2], "0 leaves nothing to work with; set it to 1 or more".to_owned()));
    }
    let idle_minutes = access.session_idle_minutes;
    let session_minutes = access.session_hours_max.saturating_mul(60);
    let pairs = [
        (
            ("http.event_bytes_max", http.event_bytes_max as u64),
            ("http.body_bytes_max", http.body_bytes_max as u64),
        ),
        (
            ("http.event_bytes_max", http.event_bytes_max as u64),
            ("store.batch_bytes_max", store.batch_bytes_max as u64),
        ),
        (
            ("engine.destination_open_ms", engine.destination_open_ms),
            ("engine.destination_open_ms_max", engine.destination_open_ms_max),
        ),
        (
            ("engine.task_lease_ms", engine.task_lease_ms),
            ("engine.task_lease_ms_max", engine.task_lease_ms_max),
        ),
        (
            ("access.session_idle_minutes", idle_minutes),
            ("access.session_hours_max", session_minutes),
        ),
    ];
    let crossed = pairs.into_iter().find(|((_, less), (_, more))| less > more);
    crossed.map(|((key, value), (bound, most))| {
        let reason = format!("`{key}` is {value}, and `{bound}` allows {most}; change one of them");
        ([key, bound], reason)
    })
}
