//! What is known of backups: the one that is being taken, the last that worked, the last that did
//! not, and when the next is due.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;

use crate::app::backup_settings::BackupSettings;
use crate::domain::time::Timestamp;
use crate::store::backup::{Manifest, Progress, files};
use crate::store::log::LogState;

/// How long after a failure the next backup waits that is taken by itself.
const AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);
/// How late a backup may be before somebody should hear of it.
const LATE_MAX: Duration = Duration::from_secs(60 * 60);

/// How backups fare.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupState {
    /// Where they lie.
    pub directory: PathBuf,
    /// When they are taken by themselves, as it was written; nothing for never.
    pub schedule: Option<String>,
    /// When the next is due.
    pub next_at: Option<Timestamp>,
    /// The moment that the newest shows.
    pub last_success_at: Option<Timestamp>,
    /// Its size, in bytes.
    pub last_bytes: Option<u64>,
    /// The last failure since then.
    pub last_failure: Option<FailureView>,
    /// The backup that is being taken, or was taken last.
    pub job: Option<JobView>,
    /// Whether one is late.
    pub is_overdue: bool,
    /// Whether a backup can be carried on to a later moment.
    pub point_in_time: bool,
    /// Why the log is not written now.
    pub log_fault: Option<String>,
}

/// A backup that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureView {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// How far a backup has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobView {
    /// The backup's name.
    pub name: String,
    /// `running`, `completed` or `failed`.
    pub state: &'static str,
    /// When it was begun.
    pub started_at: Timestamp,
    /// Bytes of rows that were copied and read back.
    pub bytes: u64,
    /// About how many there will be.
    pub bytes_expected: u64,
    /// Why it failed.
    pub reason: Option<String>,
}

/// What a backup works with that was just begun.
pub(super) struct Started {
    pub(super) name: String,
    pub(super) at: Timestamp,
    pub(super) progress: Arc<Progress>,
}

/// A backup that is being taken, or was taken last.
#[derive(Clone)]
pub(super) struct Job {
    name: String,
    started_at: Timestamp,
    pub(super) progress: Arc<Progress>,
    bytes_expected: u64,
    outcome: Option<Result<(), String>>,
}

/// The backups of an appliance, as this process knows them.
pub struct Backups {
    settings: BackupSettings,
    directory: PathBuf,
    data_dir: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    job: Option<Job>,
    last: Option<(Timestamp, u64)>,
    failure: Option<FailureView>,
    /// When this process began to look.
    since: Timestamp,
    /// Whether the log began anew, so that it leads nowhere without a further backup.
    needs_base: bool,
    verified: BTreeMap<String, Result<Timestamp, String>>,
}

impl Default for Backups {
    fn default() -> Backups {
        Backups::new(BackupSettings::default(), Path::new("ergane-data"))
    }
}

impl Backups {
    /// Knows of none yet.
    #[must_use]
    pub fn new(settings: BackupSettings, data_dir: &Path) -> Backups {
        let directory = settings.directory_in(data_dir);
        let inner = Mutex::default();
        Backups { settings, directory, data_dir: data_dir.to_owned(), inner }
    }

    pub(super) fn settings(&self) -> &BackupSettings {
        &self.settings
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Begins a backup unless one is being taken.
    pub(super) fn begin(&self, at: Timestamp, bytes_expected: u64) -> Option<Started> {
        let mut inner = self.inner.lock();
        if inner.job.as_ref().is_some_and(|job| job.outcome.is_none()) {
            return None;
        }
        let progress: Arc<Progress> = Arc::default();
        let name = self.free_name(at);
        inner.job = Some(Job {
            name: name.clone(),
            started_at: at,
            progress: Arc::clone(&progress),
            bytes_expected,
            outcome: None,
        });
        Some(Started { name, at, progress })
    }

    /// Two backups of one second have different names.
    fn free_name(&self, at: Timestamp) -> String {
        let name = files::name_at(at);
        let stem = name.trim_end_matches(files::EXTENSION).trim_end_matches('.');
        let others = (2..100).map(|number| format!("{stem}-{number}.{}", files::EXTENSION));
        let mut names = std::iter::once(name.clone()).chain(others);
        names.find(|name| !self.directory.join(name).exists()).unwrap_or(name.clone())
    }

    /// Forgets a backup that was begun and never carried out.
    pub(super) fn end(&self) {
        self.inner.lock().job = None;
    }

    pub(super) fn ended(&self, name: &str, now: Timestamp, outcome: &Result<Manifest, String>) {
        let mut inner = self.inner.lock();
        if let Some(job) = &mut inner.job {
            job.outcome = Some(outcome.as_ref().map(drop).map_err(Clone::clone));
        }
        match outcome {
            Ok(manifest) => {
                inner.last = Some((manifest.taken_at, manifest.file_bytes));
                inner.failure = None;
                inner.needs_base = false;
                inner.verified.insert(name.to_owned(), Ok(now));
            }
            Err(reason) => {
                inner.failure = Some(FailureView { at: now, reason: reason.clone() });
            }
        }
    }

    pub(super) fn found(&self, newest: Option<&Manifest>, now: Timestamp) {
        let mut inner = self.inner.lock();
        inner.since = now;
        inner.last = newest.map(|manifest| (manifest.taken_at, manifest.file_bytes));
    }

    pub(super) fn running(&self) -> Option<Job> {
        self.inner.lock().job.clone().filter(|job| job.outcome.is_none())
    }

    pub(super) fn job(&self) -> Option<JobView> {
        self.inner.lock().job.as_ref().map(shown)
    }

    pub(super) fn verified(&self, name: &str) -> Option<Result<Timestamp, String>> {
        self.inner.lock().verified.get(name).cloned()
    }

    pub(super) fn note_verified(&self, name: &str, outcome: Result<Timestamp, String>) {
        self.inner.lock().verified.insert(name.to_owned(), outcome);
    }

    /// Returns whether a backup is to be taken by itself now.
    pub(super) fn is_due(&self, now: Timestamp, log: &LogState) -> bool {
        let mut inner = self.inner.lock();
        inner.needs_base |= log.is_wanted && log.needs_base;
        let failed_lately =
            inner.failure.as_ref().is_some_and(|failure| now.since(failure.at) < AGAIN_AFTER);
        if failed_lately || inner.job.as_ref().is_some_and(|job| job.outcome.is_none()) {
            return false;
        }
        let lacks_base = log.is_wanted && (inner.needs_base || inner.last.is_none());
        lacks_base || self.next(&inner).is_some_and(|next| next <= now)
    }

    /// One that was missed while the appliance was down is due at once.
    fn next(&self, inner: &Inner) -> Option<Timestamp> {
        let last = inner.last.map_or(inner.since, |(at, _)| at);
        self.settings.schedule.next_after(last)
    }

    pub(super) fn state(&self, now: Timestamp, log: &LogState) -> BackupState {
        let inner = self.inner.lock();
        let schedule = &self.settings.schedule;
        let next_at = self.next(&inner);
        BackupState {
            directory: self.directory.clone(),
            schedule: schedule.is_on().then(|| schedule.text().to_owned()),
            next_at,
            last_success_at: inner.last.map(|(at, _)| at),
            last_bytes: inner.last.map(|(_, bytes)| bytes),
            last_failure: inner.failure.clone(),
            job: inner.job.as_ref().map(shown),
            is_overdue: next_at.is_some_and(|next| now.since(next) > LATE_MAX),
            point_in_time: log.is_wanted,
            log_fault: log.fault.clone(),
        }
    }
}

fn shown(job: &Job) -> JobView {
    let (state, reason) = match &job.outcome {
        None => ("running", None),
        Some(Ok(())) => ("completed", None),
        Some(Err(reason)) => ("failed", Some(reason.clone())),
    };
    JobView {
        name: job.name.clone(),
        state,
        started_at: job.started_at,
        bytes: job.progress.bytes.load(Ordering::Relaxed),
        // Each row is copied once and read back once.
        bytes_expected: job.bytes_expected * 2,
        reason,
    }
}
