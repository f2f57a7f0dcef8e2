//! What is remembered in memory of how the appliance does: figures, alerts, notices on their way.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

use super::notices::Letter;
use super::watch_settings::{AlertSettings, NoticeSettings, TelemetrySettings};
use crate::activities::outside::connection::Connection;
use crate::domain::alert::{Alert, AlertBook, AlertKind, Condition, Patience, Turn};
use crate::domain::doctor::Verified;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::logs;
use crate::metrics::process::Disk;
use crate::metrics::readings::Readings;

/// Over how long a time the free space is compared.
const SPACE_REMEMBERED: Duration = Duration::from_secs(3 * 24 * 3_600);
const SPACE_NOTED_EVERY: Duration = Duration::from_secs(600);
/// Of a shorter time nothing is foretold.
const SPACE_FORETOLD_AFTER: Duration = Duration::from_secs(3_600);
/// How long figures of the disk are good enough.
const DISK_KEPT_FOR: Duration = Duration::from_secs(10);
const DAY_MS: u128 = 24 * 3_600 * 1_000;

/// Where and how the appliance was started, as its operator sees it.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The directory that holds everything; none in a test without one.
    pub data_dir: Option<PathBuf>,
    /// The address that is listened on.
    pub listen: String,
    /// The path that a proxy serves it under.
    pub base_path: String,
    /// How many networks of proxies are believed.
    pub trusted_proxies: usize,
    /// The configuration file, where one was read.
    pub config_file: Option<String>,
    /// Each setting with its value and its origin; secrets are masked.
    pub settings: Vec<SettingView>,
}

/// One setting in effect.
#[derive(Clone, Debug, Serialize)]
pub struct SettingView {
    /// Its name in the file, with dots.
    pub key: String,
    /// Its value; a secret's is masked.
    pub value: Value,
    /// Where it comes from.
    pub source: String,
}

/// How often things had gone wrong at one moment, by tenant.
#[derive(Clone, Debug, Default)]
pub(super) struct Tallies {
    pub(super) at: Timestamp,
    pub(super) errors: u64,
    pub(super) by_tenant: BTreeMap<String, BTreeMap<&'static str, u64>>,
}

impl Tallies {
    pub(super) fn of(&self, tenant: &str, word: &str) -> u64 {
        self.by_tenant.get(tenant).and_then(|all| all.get(word)).copied().unwrap_or(0)
    }
}

/// Connections that notices go over, by tenant and name, each with its app.
pub(super) type Opened = BTreeMap<(TenantId, String), Connection>;

/// What is remembered in memory of how the appliance does.
#[derive(Default)]
pub struct Lookout {
    pub(super) place: Place,
    pub(super) alerts: AlertSettings,
    pub(super) notices: Vec<NoticeSettings>,
    pub(super) telemetry: TelemetrySettings,
    measured: Mutex<Option<Readings>>,
    space: Mutex<VecDeque<(Timestamp, u64)>>,
    verified: Mutex<Option<Verified>>,
    certificate_ends: Mutex<Option<Timestamp>>,
    book: Mutex<AlertBook>,
    pub(super) tallies: Mutex<VecDeque<Tallies>>,
    pub(super) outbox: Mutex<VecDeque<Letter>>,
    /// Turns of alerts that no event tells of yet.
    pub(super) untold: Mutex<VecDeque<(Turn, Alert)>>,
    pub(super) opened: Mutex<Opened>,
    /// Where alerts are told beside what the configuration says.
    pub(super) made: Mutex<Vec<NoticeSettings>>,
    disk: Mutex<Option<(Timestamp, Disk)>>,
}

impl Lookout {
    /// Makes one for an appliance; what it must not show is taken out of the log from now on.
    #[must_use]
    pub fn new(
        place: Place,
        alerts: AlertSettings,
        notices: Vec<NoticeSettings>,
        telemetry: TelemetrySettings,
    ) -> Lookout {
        let secrets: Vec<_> = notices.iter().flat_map(NoticeSettings::secrets).collect();
        logs::book().learn("settings/notices", crate::domain::secret::Mask::new(&secrets));
        logs::book().learn("settings/telemetry", telemetry.mask());
        Lookout { place, alerts, notices, telemetry, ..Lookout::default() }
    }

    /// Returns the directory that holds everything.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        self.place.data_dir.as_deref()
    }

    /// Returns how often it is looked whether something is the matter, in milliseconds.
    #[must_use]
    pub fn look_every_ms(&self) -> u64 {
        self.alerts.look_every_ms
    }

    /// Returns each setting in effect.
    #[must_use]
    pub fn settings(&self) -> &[SettingView] {
        &self.place.settings
    }

    /// Notes when the certificate of our own TLS ends.
    pub fn note_certificate(&self, ends: Option<Timestamp>) {
        *self.certificate_ends.lock() = ends;
    }

    pub(super) fn certificate_ends(&self) -> Option<Timestamp> {
        *self.certificate_ends.lock()
    }

    /// Returns the file system of the data directory, as it was a moment ago.
    pub(super) fn disk(&self, now: Timestamp) -> Disk {
        let mut kept = self.disk.lock();
        if let Some((at, disk)) = &*kept
            && now.since(*at) < DISK_KEPT_FOR
        {
            return disk.clone();
        }
        let disk = self.data_dir().map(Disk::of).unwrap_or_default();
        *kept = Some((now, disk.clone()));
        disk
    }

    pub(super) fn keep_verified(&self, verified: Verified) {
        *self.verified.lock() = Some(verified);
    }

    pub(super) fn verified(&self) -> Option<Verified> {
        self.verified.lock().clone()
    }

    pub(super) fn measured(&self) -> Option<Readings> {
        self.measured.lock().clone()
    }

    pub(super) fn keep_measured(&self, readings: Readings) {
        *self.measured.lock() = Some(readings);
    }

    pub(super) fn measure(&self, readings: &mut Readings) {
        let open = self.open_alerts();
        for kind in AlertKind::ALL {
            let count = open.iter().filter(|alert| alert.kind == kind).count();
            readings.note("ergane_alerts_open", &[kind.word()], count as f64);
        }
        let book = logs::book();
        for level in logs::Level::ALL {
            readings.note("ergane_log_lines", &[level.name()], book.count(level) as f64);
        }
        readings.note("ergane_log_lines_dropped", &[], book.dropped() as f64);
    }

    /// Remembers how much is free, and returns how much less it is every day.
    pub(super) fn note_free(&self, now: Timestamp, bytes: u64) -> Option<u64> {
        let mut space = self.space.lock();
        if space.back().is_none_or(|(at, _)| now.since(*at) >= SPACE_NOTED_EVERY) {
            space.push_back((now, bytes));
        }
        while space.front().is_some_and(|(at, _)| now.since(*at) > SPACE_REMEMBERED) {
            space.pop_front();
        }
        let (first, before) = *space.front()?;
        let passed = now.since(first);
        if passed < SPACE_FORETOLD_AFTER {
            return None;
        }
        let less = u128::from(before.saturating_sub(bytes));
        u64::try_from(less * DAY_MS / passed.as_millis().max(1)).ok()
    }

    pub(super) fn look(&self, now: Timestamp, conditions: Vec<Condition>) -> Vec<(Turn, Alert)> {
        let quiet = Duration::from_millis(self.alerts.quiet_ms);
        let patience = Patience { quiet, kept_max: self.alerts.kept_max };
        self.book.lock().look(now, conditions, patience)
    }

    pub(super) fn open_alerts(&self) -> Vec<Alert> {
        self.book.lock().open()
    }

    pub(super) fn recent_alerts(&self, limit: usize) -> Vec<Alert> {
        self.book.lock().recent().take(limit).cloned().collect()
    }

    pub(super) fn written_book(&self) -> AlertBook {
        self.book.lock().clone()
    }

    pub(super) fn take_up(&self, book: AlertBook) {
        *self.book.lock() = book;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_fast_the_space_goes_is_told_after_an_hour() {
        let lookout = Lookout::default();
        let at = |minutes: i64| Timestamp::from_millis(minutes * 60_000);
        assert_eq!(lookout.note_free(at(0), 1_000_000), None);
        assert_eq!(lookout.note_free(at(30), 990_000), None);
        assert_eq!(lookout.note_free(at(120), 900_000), Some(1_200_000));
        assert_eq!(lookout.note_free(at(180), 2_000_000), Some(0), "it has grown");
    }
}
