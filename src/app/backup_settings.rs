//! What an operator may set about backups: when, where, how many, and how fast.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::schedule::{Schedule, When, Zone};
use crate::domain::time::{Timestamp, parse_duration};
use crate::store::backup::Pace;
use crate::store::log::LogSettings;

/// The `[backup]` part of the configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupSettings {
    /// When a backup is taken by itself: `every 6h`, or a cron expression in UTC; empty for never.
    pub schedule: BackupSchedule,
    /// Where backups lie; empty for `backups` in the data directory.
    pub directory: PathBuf,
    /// How many backups are kept; the oldest gives way. 0 for no limit.
    pub keep_count: usize,
    /// For how many days backups are kept; the newest stays in any case. 0 for no limit.
    pub keep_days: u64,
    /// For which share of the time a backup works, in percent.
    pub work_percent: u32,
    /// How many bytes a backup copies in a second at most.
    pub bytes_per_second_max: u64,
    /// Whether every commit is logged once more, so that a backup can be carried on to any later
    /// moment.
    pub point_in_time: bool,
    /// How large a segment of the log becomes, in bytes.
    pub log_segment_bytes_max: u64,
    /// For how many minutes a segment of the log is written to.
    pub log_segment_minutes_max: u64,
    /// How often the log is synced, in milliseconds.
    pub log_sync_ms: u64,
}

impl Default for BackupSettings {
    fn default() -> BackupSettings {
        BackupSettings {
            schedule: BackupSchedule::default(),
            directory: PathBuf::new(),
            keep_count: 7,
            keep_days: 0,
            work_percent: 25,
            bytes_per_second_max: 32 * 1_024 * 1_024,
            point_in_time: false,
            log_segment_bytes_max: 64 * 1_024 * 1_024,
            log_segment_minutes_max: 60,
            log_sync_ms: 1_000,
        }
    }
}

impl BackupSettings {
    /// Returns where backups lie.
    #[must_use]
    pub fn directory_in(&self, data_dir: &Path) -> PathBuf {
        match self.directory.as_os_str().is_empty() {
            true => data_dir.join("backups"),
            false => self.directory.clone(),
        }
    }

    /// Returns how much of the machine a backup takes.
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace {
            work_percent: self.work_percent,
            bytes_per_second_max: self.bytes_per_second_max.max(1),
        }
    }

    /// Returns how the log is kept, if it is.
    #[must_use]
    pub fn log_in(&self, data_dir: &Path) -> Option<LogSettings> {
        self.point_in_time.then(|| LogSettings {
            directory: log_directory(data_dir),
            segment_bytes_max: self.log_segment_bytes_max,
            segment_age_max: Duration::from_secs(self.log_segment_minutes_max.max(1) * 60),
            sync_every: Duration::from_millis(self.log_sync_ms.max(10)),
        })
    }
}

/// Returns where the log is written.
#[must_use]
pub fn log_directory(data_dir: &Path) -> PathBuf {
    data_dir.join("log")
}

/// When backups are taken by themselves.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupSchedule {
    text: String,
    times: Option<Times>,
}

#[derive(Clone, Debug, PartialEq)]
enum Times {
    Every(Duration),
    Cron(Box<Schedule>),
}

impl TryFrom<String> for BackupSchedule {
    type Error = String;

    fn try_from(text: String) -> Result<BackupSchedule, String> {
        const EVERY_MIN: Duration = Duration::from_secs(60);
        let written = text.trim();
        let times = if written.is_empty() {
            None
        } else if let Some(span) = written.strip_prefix("every ") {
            let span = parse_duration(span).map_err(|error| error.to_string())?;
            if span < EVERY_MIN {
                return Err("a backup can be taken every minute at most".to_owned());
            }
            Some(Times::Every(span))
        } else {
            let zone = Zone::parse("UTC").map_err(|error| error.to_string())?;
            let schedule = Schedule::new(When::Cron(written.to_owned()), zone);
            Some(Times::Cron(Box::new(schedule.map_err(|error| error.detail)?)))
        };
        Ok(BackupSchedule { text, times })
    }
}

impl From<BackupSchedule> for String {
    fn from(schedule: BackupSchedule) -> String {
        schedule.text
    }
}

impl BackupSchedule {
    /// Returns whether backups are taken by themselves.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.times.is_some()
    }

    /// Returns when, as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        self.text.trim()
    }

    /// Returns when the next backup is due after one at `last`.
    #[must_use]
    pub fn next_after(&self, last: Timestamp) -> Option<Timestamp> {
        match self.times.as_ref()? {
            Times::Every(span) => Some(last + *span),
            Times::Cron(schedule) => schedule.next_after(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_come_at_their_times() {
        let read = |text: &str| BackupSchedule::try_from(text.to_owned());
        let start: Timestamp = "2026-11-23T10:00:00.000Z".parse().expect("an instant");
        for (text, next) in [
            ("every 6h", Some("2026-11-23T16:00:00.000Z")),
            ("30 3 * * *", Some("2026-11-24T03:30:00.000Z")),
            ("", None),
        ] {
            let schedule = read(text).expect(text);
            let found = schedule.next_after(start).map(|at| at.to_string());
            assert_eq!(found.as_deref(), next, "{text}");
        }
        for text in ["every 5s", "every", "61 3 * * *", "tomorrow"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
