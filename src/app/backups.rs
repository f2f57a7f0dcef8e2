//! Backups: taken in the background one at a time, listed, checked, removed, and told of.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::backup_settings::{BackupSettings, log_directory};
use super::error::Error;
use super::principal::Principal;
use crate::domain::event::{Actor, Event};
use crate::domain::problem::Problem;
use crate::domain::time::{Timestamp, format_duration};
use crate::store::backup::files::{self, Listed};
use crate::store::backup::{Order, Progress, check};
use crate::store::log::archive;
use crate::store::seam::Health;

mod state;

pub use crate::store::backup::Manifest;
pub use state::{BackupState, Backups, FailureView, JobView};

use state::{Job, Started};

/// A backup that is kept.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupView {
    /// Its name.
    pub name: String,
    /// Its size, in bytes.
    pub bytes: u64,
    /// What it says of itself; nothing when it cannot be used.
    pub manifest: Option<Manifest>,
    /// Why it cannot be used.
    pub fault: Option<String>,
    /// When it was read whole and found sound last, as far as this process knows.
    pub verified_at: Option<Timestamp>,
}

/// Every backup, and how backups fare.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackupList {
    /// The backups, the newest first.
    pub data: Vec<BackupView>,
    /// How backups fare.
    pub state: BackupState,
    /// Always nothing: the list is whole.
    pub next_cursor: Option<String>,
}

impl App {
    fn check_backup_owner(&self, who: &Principal) -> Result<(), Error> {
        match self.owns_appliance(who)? {
            true => Ok(()),
            false => Err(Error::Forbidden { scope: "*".to_owned() }),
        }
    }

    /// Lists the backups and tells how they fare.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance; fails when the directory cannot be read.
    pub fn list_backups(&self, who: &Principal) -> Result<BackupList, Error> {
        self.check_backup_owner(who)?;
        let listed = files::list(self.backups.directory())?;
        let data = listed.into_iter().map(|listed| self.backup_view(listed)).collect();
        Ok(BackupList { data, state: self.backup_state(), next_cursor: None })
    }

    fn backup_view(&self, listed: Listed) -> BackupView {
        let Listed { name, bytes, manifest } = listed;
        let verified = self.backups.verified(&name);
        let (manifest, fault) = match manifest {
            Ok(manifest) => (Some(manifest), verified.clone().and_then(Result::err)),
            Err(fault) => (None, Some(fault)),
        };
        BackupView { verified_at: verified.and_then(Result::ok), name, bytes, manifest, fault }
    }

    /// Begins to take a backup; it goes on in the background.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `Conflict` while another is being taken.
    pub async fn start_backup(&self, who: &Principal) -> Result<JobView, Error> {
        self.check_backup_owner(who)?;
        let started = self.begin_backup()?;
        let change = Change::of("backup.create", started.name.as_str());
        // Recorded before it begins, so that the backup holds the record of itself.
        let recorded = self.write_access(who, change, |_, _| Ok(())).await;
        match recorded {
            Ok(()) => {}
            // A store that takes no writes is when a backup is wanted most.
            Err(error) if matches!(self.engine().store().health(), Health::ReadOnly(_)) => {
                tracing::warn!("Taking a backup that the audit cannot record: {error}");
            }
            Err(error) => {
                self.backups.end();
                return Err(error);
            }
        }
        let job = self.backups.job();
        self.carry_out_backup(started);
        job.ok_or_else(|| Error::Internal("the backup has vanished".to_owned()))
    }

    fn begin_backup(&self) -> Result<Started, Error> {
        let at = self.now();
        let total = self.engine().store().admin().bytes_on_disk();
        self.backups.begin(at, total).ok_or_else(|| Error::Conflict {
            code: "backup_running",
            detail: "a backup is being taken already; wait until it is done".to_owned(),
        })
    }

    /// Takes the backup on a thread where it may rest as long as it likes.
    fn carry_out_backup(&self, started: Started) {
        let app = self.clone();
        tokio::spawn(async move {
            let worker = app.clone();
            let Started { name, at, progress } = started;
            let path = app.backups.directory().join(&name);
            let taken =
                tokio::task::spawn_blocking(move || worker.take_backup(&path, at, &progress)).await;
            let outcome = taken.unwrap_or_else(|panic| Err(panic.to_string()));
            app.backup_ended(&name, at, outcome).await;
        });
    }

    fn take_backup(
        &self,
        path: &Path,
        at: Timestamp,
        progress: &Progress,
    ) -> Result<Manifest, String> {
        let store = self.engine().store();
        files::remove_unfinished(self.backups.directory());
        let keys = self.sealer().keys();
        let order = Order {
            at,
            key_ids: std::iter::once(keys.newest).chain(keys.older).collect(),
            pace: self.backups.settings().pace(),
            progress,
        };
        let taken = match store.admin().log().is_wanted {
            true => store.admin().renew_log(),
            false => Ok(()),
        };
        taken.and_then(|()| files::take(&**store, path, order)).map_err(|error| error.to_string())
    }

    async fn backup_ended(&self, name: &str, at: Timestamp, outcome: Result<Manifest, String>) {
        let now = self.now();
        self.backups.ended(name, now, &outcome);
        let metrics = self.engine().metrics();
        let told = match &outcome {
            Ok(manifest) => {
                let (bytes, took) = (manifest.file_bytes, format_duration(now.since(at)));
                tracing::info!(backup = name, bytes, "A backup was taken and checked in {took}");
                metrics.backup_succeeded(at.millis() / 1_000, bytes);
                (
                    "backup:completed",
                    json!({ "backup": name, "bytes": bytes, "rows": manifest.rows }),
                )
            }
            Err(reason) => {
                tracing::error!(backup = name, "A backup failed: {reason}");
                metrics.backup_failed();
                ("backup:failed", json!({ "backup": name, "reason": reason }))
            }
        };
        if let Err(error) = self.tell_of_backup(told).await {
            tracing::warn!("Could not make the event of a backup: {error}");
        }
        if outcome.is_ok() {
            self.keep_backups();
        }
    }

    /// Makes an event of the first tenant, whose owners own the appliance.
    async fn tell_of_backup(&self, (kind, payload): (&'static str, Value)) -> Result<(), Error> {
        let first = self.first_tenant()?.id;
        self.write_of(first, move |tx| {
            tx.emit(Event {
                id: String::new(), // Given at its acceptance.
                kind: kind.to_owned(),
                source: "ergane".to_owned(),
                subject: payload["backup"].as_str().map(str::to_owned),
                time: tx.now(),
                actor: Actor::default(),
                payload,
                metadata: serde_json::Map::new(),
                cause: None,
            });
            Ok(())
        })
        .await
    }

    /// Reads a backup whole and says whether it is what it says.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for none of this name.
    pub async fn verify_backup(&self, who: &Principal, name: &str) -> Result<BackupView, Error> {
        let (path, _) = self.backup_file(who, name)?;
        let (now, pace) = (self.now(), self.backups.settings().pace());
        let work = move || check(&path, now, pace, &Progress::default()).map(drop);
        let checked = tokio::task::spawn_blocking(work).await;
        let outcome = match checked {
            Ok(outcome) => outcome.map(|()| now).map_err(|error| error.to_string()),
            Err(panic) => Err(panic.to_string()),
        };
        self.backups.note_verified(name, outcome);
        let change = Change::of("backup.verify", name);
        self.write_access(who, change, |_, _| Ok(())).await?;
        self.listed_backup(name).map(|listed| self.backup_view(listed))
    }

    /// Returns the file of a backup that somebody is about to take away, and its size in bytes.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for none of this name.
    pub async fn download_backup(
        &self,
        who: &Principal,
        name: &str,
    ) -> Result<(PathBuf, u64), Error> {
        let found = self.backup_file(who, name)?;
        let change = Change::of("backup.download", name);
        self.write_access(who, change, |_, _| Ok(())).await?;
        Ok(found)
    }

    /// Removes a backup.
    ///
    /// # Errors
    /// `Forbidden` unless the caller owns the appliance, `NotFound` for none of this name.
    pub async fn remove_backup(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let (path, bytes) = self.backup_file(who, name)?;
        let mut change = Change::of("backup.delete", name);
        change.before(&json!({ "bytes": bytes }));
        self.write_access(who, change, |_, _| Ok(())).await?;
        std::fs::remove_file(&path).map_err(|error| Error::Unavailable {
            detail: format!("cannot remove {}: {error}", path.display()),
            retry_after: super::RETRY_AFTER,
        })
    }

    fn backup_file(&self, who: &Principal, name: &str) -> Result<(PathBuf, u64), Error> {
        self.check_backup_owner(who)?;
        if !files::is_name(name) {
            let detail = "is no name of a backup, such as ergane-20261123T100000Z.backup";
            return Err(Error::Invalid(vec![Problem::new("/name", "invalid_name", detail)]));
        }
        let listed = self.listed_backup(name)?;
        Ok((self.backups.directory().join(&listed.name), listed.bytes))
    }

    fn listed_backup(&self, name: &str) -> Result<Listed, Error> {
        let found = files::list(self.backups.directory())?.into_iter().find(|it| it.name == name);
        found.ok_or_else(|| Error::NotFound { what: "backup", id: name.to_owned() })
    }

    /// Returns how backups fare, for whoever watches over the appliance.
    #[must_use]
    pub fn backup_state(&self) -> BackupState {
        self.backups.state(self.now(), &self.engine().store().admin().log())
    }

    /// Takes note of the backups that are there, and removes what an earlier process left behind.
    pub fn look_for_backups(&self) {
        files::remove_unfinished(self.backups.directory());
        match files::list(self.backups.directory()) {
            Ok(listed) => {
                let newest = listed.iter().find_map(|it| it.manifest.as_ref().ok());
                self.backups.found(newest, self.now());
                if let Some(newest) = newest {
                    let at = newest.taken_at.millis() / 1_000;
                    self.engine().metrics().backup_succeeded(at, newest.file_bytes);
                }
            }
            Err(error) => tracing::warn!("Cannot look for backups: {error}"),
        }
    }

    /// Takes a backup if one is due, and keeps the log beside those that there are.
    pub fn backup_when_due(&self) {
        let log = self.engine().store().admin().log();
        if self.backups.is_due(self.now(), &log)
            && let Ok(started) = self.begin_backup()
        {
            self.carry_out_backup(started);
        }
        if log.is_wanted {
            let own = log_directory(self.backups.data_dir());
            let kept = self.backups.directory().join("log");
            if let Err(error) = archive::archive(&own, &kept) {
                tracing::warn!("Cannot keep the log beside the backups: {error}");
            }
        }
    }

    /// Removes backups beyond what is to be kept, and what of the log none of the others needs.
    fn keep_backups(&self) {
        let settings = self.backups.settings();
        let directory = self.backups.directory();
        let Ok(mut listed) = files::list(directory) else { return };
        listed.retain(|listed| listed.manifest.is_ok());
        for old in self.backups.beyond(&listed, self.now()) {
            tracing::info!(backup = %old, "Removing a backup that is to be kept no longer");
            if let Err(error) = std::fs::remove_file(directory.join(&old)) {
                tracing::warn!("Cannot remove the backup {old}: {error}");
            }
            listed.retain(|listed| listed.name != old);
        }
        if settings.point_in_time {
            let oldest = listed.last().and_then(|listed| listed.manifest.as_ref().ok());
            let pruned =
                archive::prune(&directory.join("log"), oldest.map(|oldest| oldest.taken_at));
            if let Err(error) = pruned {
                tracing::warn!("Cannot remove what is not needed of the log: {error}");
            }
        }
    }

    /// Breaks off a backup that is being taken, since the appliance stops.
    pub fn break_off_backup(&self) {
        if let Some(Job { progress, .. }) = self.backups.running() {
            progress.stop.store(true, Ordering::SeqCst);
        }
    }
}

impl Backups {
    /// Returns the backups that are to be kept no longer, by their names; the newest is kept.
    fn beyond(&self, newest_first: &[Listed], now: Timestamp) -> Vec<String> {
        let BackupSettings { keep_count, keep_days, .. } = *self.settings();
        let is_beyond = |(place, listed): &(usize, &Listed)| {
            let taken_at = listed.manifest.as_ref().map_or(now, |manifest| manifest.taken_at);
            let is_old = keep_days > 0 && now.since(taken_at).as_secs() > keep_days * 86_400;
            *place > 0 && (is_old || (keep_count > 0 && *place >= keep_count))
        };
        let beyond = newest_first.iter().enumerate().filter(is_beyond);
        beyond.map(|(_, listed)| listed.name.clone()).collect()
    }
}
