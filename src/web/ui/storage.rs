//! The disk: how much of it everything takes, what is kept for how long, and what was removed.

use actix_web::web;
use askama::Template;

use super::parts::moment::Moment;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::retention::RetentionView;
use crate::app::storage::{FileView, StorageView};
use crate::domain::retention::Keep;
use crate::domain::time::format_duration;
use crate::web::error::Answer;

const STEP: u64 = 1_024;
const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// The page.
#[derive(Template)]
#[template(path = "storage.html")]
pub struct StoragePage {
    shell: Shell,
    curl: String,
    measured_at: Option<Moment>,
    file: Option<FileView>,
    findings: Vec<String>,
    tenants: Vec<Tenant>,
    rules: Vec<(&'static str, String)>,
    removed: Vec<(String, u64)>,
    paused: bool,
}

/// What one tenant takes.
struct Tenant {
    name: String,
    size: String,
    kinds: Vec<(&'static str, u64, String)>,
}

/// Makes the page.
pub fn page(shell: Shell, storage: StorageView, kept: Option<&RetentionView>) -> StoragePage {
    let tenants = storage.tenants.iter().map(|tenant| Tenant {
        name: tenant.tenant.clone(),
        size: size(tenant.bytes),
        kinds: tenant.kinds.iter().map(|it| (it.kind, it.rows, size(it.bytes))).collect(),
    });
    let findings = storage.findings.iter().map(|it| format!("{}: {}.", it.detail, it.cure));
    StoragePage {
        curl: shell.curl("/v1/system/storage"),
        measured_at: storage.measured_at.map(|at| shell.ago(&at)),
        tenants: tenants.collect(),
        findings: findings.collect(),
        file: storage.file,
        rules: kept.map(rules).unwrap_or_default(),
        removed: kept.map(|kept| kept.removed.clone().into_iter().collect()).unwrap_or_default(),
        paused: kept.is_some_and(|kept| kept.paused),
        shell,
    }
}

fn rules(kept: &RetentionView) -> Vec<(&'static str, String)> {
    let (all, runs) = (&kept.effective, &kept.effective.runs);
    let ages = [
        ("Runs that succeeded", runs.succeeded),
        ("Runs that failed", runs.failed),
        ("Runs that were cancelled", runs.cancelled),
        ("Runs that could not be undone", runs.compensation_incomplete),
        ("Events that started runs", all.events.matched),
        ("Events that started none", all.events.unmatched),
        ("Refused events", all.rejected_events),
        ("Deliveries to hooks", all.hook_deliveries),
        ("Deliveries to webhooks", all.webhook_deliveries.delivered),
        ("Deliveries given up on", all.webhook_deliveries.dead),
        ("The audit", all.audit),
    ];
    let words = |keep: Option<Keep>| {
        keep.and_then(Keep::limit).map_or_else(|| "forever".to_owned(), format_duration)
    };
    let mut rows: Vec<(&'static str, String)> =
        ages.into_iter().map(|(name, keep)| (name, words(keep))).collect();
    if let Some(count) = runs.count.filter(|count| *count > 0) {
        rows.push(("Runs of each workflow", format!("the newest {count}")));
    }
    rows
}

/// Writes a number of bytes for people.
fn size(bytes: u64) -> String {
    let (mut whole, mut tenths, mut unit) = (bytes, 0, 0);
    while whole >= STEP && unit + 1 < UNITS.len() {
        tenths = whole % STEP * 10 / STEP;
        whole /= STEP;
        unit += 1;
    }
    match unit {
        0 => format!("{whole} {}", UNITS[0]),
        unit => format!("{whole}.{tenths} {}", UNITS[unit]),
    }
}

impl StoragePage {
    fn size(&self, bytes: &u64) -> String {
        size(*bytes)
    }
}

/// Shows the page; the rules only to whoever may read them.
pub async fn show(app: web::Data<App>, visit: Visit) -> Answer {
    let storage = app.storage(&visit.who)?;
    let may_read = visit.who.scopes.allow("retention:read");
    let kept = if may_read { Some(app.retention(&visit.who)?) } else { None };
    html(&page(visit.shell, storage, kept.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_for_people() {
        for (bytes, text) in [(12, "12 B"), (1_536, "1.5 KiB"), (3 << 30, "3.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }
}
