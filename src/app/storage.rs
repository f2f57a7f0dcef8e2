//! How much of the disk everything takes: measured by a slow walk beside the serving, so that
//! nobody waits for it, and told with the time of the measuring.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::Serialize;
use tracing::{info, warn};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::principal::Principal;
use super::retention::Retention;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::seam::{Compacted, StoreError, SurveyPlace};
use crate::store::storage::{Kind, Measured, Sample, Use};

const ROWS_AT_ONCE: usize = 4_000;
const PAUSE_MIN: Duration = Duration::from_millis(1);
/// The walk rests this many times as long as it works.
const REST: u32 = 4;
/// A walk is made anew when the last is so many times as old as it took.
const AGE_OF_WALKS: u32 = 20;
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A shorter time of observation tells no growth.
const OBSERVED_MS_MIN: i64 = 60 * 60 * 1_000;
const FULL_SOON_DAYS: u64 = 14;
/// What pages and branches add to rows in a file without holes, in percent.
const PAGE_OVERHEAD_PERCENT: u64 = 20;
/// A file has this many bytes before it has any row.
const FILE_BYTES_MIN: u64 = 1_600_000;

/// What goes on beside the serving, and what was measured.
#[derive(Debug, Default)]
pub struct SideWork {
    pub(super) retention: Arc<Retention>,
    measured: Mutex<Option<Arc<MeasuredAt>>>,
    /// The measuring whose excess was acted on already.
    used: Mutex<Option<Timestamp>>,
    measuring: AtomicBool,
    compacting: AtomicBool,
    compacted: Mutex<Option<CompactionView>>,
}

/// What was measured and when.
#[derive(Clone, Debug)]
pub struct MeasuredAt {
    /// When the walk ended.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// By tenant and space.
    pub measured: Measured,
    /// The room on the disk then, in bytes.
    pub disk_free_bytes: Option<u64>,
}

/// How much everything takes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StorageView {
    /// When it was measured; null until the first walk has ended.
    pub measured_at: Option<Timestamp>,
    /// How long the walk took, in milliseconds.
    pub took_ms: Option<u64>,
    /// The file, for whoever owns the appliance.
    pub file: Option<FileView>,
    /// The caller's tenant; every tenant for whoever owns the appliance.
    pub tenants: Vec<TenantUse>,
    /// What is worth an eye.
    pub findings: Vec<Finding>,
}

/// The store's file and its disk.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileView {
    /// Its size on disk, in bytes.
    pub bytes: u64,
    /// What its rows take, in bytes.
    pub row_bytes: u64,
    /// About what writing it anew would free, in bytes: free pages and room within pages.
    pub free_bytes: u64,
    /// The share of that, in percent.
    pub free_percent: u64,
    /// The room on the disk, in bytes, where the system tells.
    pub disk_free_bytes: Option<u64>,
    /// By how much the rows grow in a day, in bytes; null until it was watched for an hour.
    pub growth_bytes_per_day: Option<i64>,
    /// When the disk is full at this pace, in days; null when it is not to be foreseen.
    pub days_until_full: Option<u64>,
    /// By space.
    pub spaces: Vec<SpaceUse>,
    /// The last compaction of this process.
    pub last_compaction: Option<CompactionView>,
}

/// What one space takes.
#[derive(Clone, Debug, Serialize)]
pub struct SpaceUse {
    /// Its name.
    pub space: String,
    /// How many rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What one tenant takes.
#[derive(Clone, Debug, Serialize)]
pub struct TenantUse {
    /// Its slug; `(appliance)` for what is the appliance's own.
    pub tenant: String,
    /// How many rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
    /// By kind, the largest first.
    pub kinds: Vec<KindUse>,
}

/// What one kind takes.
#[derive(Clone, Debug, Serialize)]
pub struct KindUse {
    /// Its name.
    pub kind: &'static str,
    /// How many rows.
    pub rows: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Something worth an eye, with its cure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is; stable.
    pub code: &'static str,
    /// What was found.
    pub detail: String,
    /// What to do.
    pub cure: &'static str,
}

/// What a compaction came to.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CompactionView {
    /// When it began.
    pub started_at: Timestamp,
    /// The size of the file before, in bytes.
    pub bytes_before: u64,
    /// The size of the file after, in bytes.
    pub bytes_after: u64,
    /// How many rows were copied.
    pub rows: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The longest time that commits stood still for it, in microseconds.
    pub pause_us: u64,
}

/// Lowers a flag when the work is over, however it ends.
struct Flag<'a>(&'a AtomicBool);

impl Drop for Flag<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl App {
    /// Returns what was measured last; `None` until the first walk has ended.
    #[must_use]
    pub fn measured(&self) -> Option<Arc<MeasuredAt>> {
        self.side().measured.lock().clone()
    }

    /// Returns what was measured unless it was taken before: what is removed for its size is
    /// still counted in it.
    pub(super) fn take_measured(&self) -> Option<Arc<MeasuredAt>> {
        let measured = self.measured()?;
        let mut used = self.side().used.lock();
        let is_new = *used != Some(measured.at);
        *used = Some(measured.at);
        is_new.then_some(measured)
    }

    /// Begins a walk unless one goes on or the last was long compared to its age; nobody waits.
    pub fn measure_storage_aside(&self) {
        let is_fresh = |last: Arc<MeasuredAt>| {
            self.now().since(last.at) < Duration::from_millis(last.took_ms) * AGE_OF_WALKS
        };
        if self.measured().is_some_and(is_fresh) {
            return;
        }
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = app.measure_storage().await {
                warn!(%error, "Could not measure what the store holds; it is tried again later");
            }
        });
    }

    /// Walks over the store and remembers what everything takes.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub async fn measure_storage(&self) -> Result<(), Error> {
        if self.side().measuring.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        let _measuring = Flag(&self.side().measuring);
        let begun = Instant::now();
        let mut measured = Measured::default();
        let mut place: Option<SurveyPlace> = None;
        loop {
            let store = Arc::clone(self.engine().store());
            let looked = tokio::task::spawn_blocking(move || {
                let begun = Instant::now();
                let next =
                    store.admin().survey(place.as_ref(), ROWS_AT_ONCE, &mut |space, key, bytes| {
                        measured.count(space, key, bytes);
                    });
                (next, measured, begun.elapsed())
            });
            let (next, so_far, took) = looked.await.map_err(|error| broken_off(&error))?;
            measured = so_far;
            place = next?;
            if place.is_none() || self.engine().is_stopping() {
                break;
            }
            tokio::time::sleep((took * REST).max(PAUSE_MIN)).await;
        }
        let directory = self.engine().store().admin().directory_on_disk();
        let free = tokio::task::spawn_blocking(move || directory.and_then(|it| free_bytes(&it)));
        let disk_free_bytes = free.await.map_err(|error| broken_off(&error))?;
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let at = self.now();
        let metrics = self.engine().metrics();
        for (space, used) in &measured.spaces {
            metrics.set_space_bytes(&format!("{space:?}").to_lowercase(), used.bytes);
        }
        let file_bytes = self.engine().store().admin().bytes_on_disk();
        let sample = Sample { at, row_bytes: measured.bytes(), file_bytes };
        metrics.set_store_free_bytes(free_in_file(sample.file_bytes, sample.row_bytes));
        *self.side().measured.lock() =
            Some(Arc::new(MeasuredAt { at, took_ms, measured, disk_free_bytes }));
        self.write_of(APPLIANCE, move |tx| Ok(tx.keep_storage_sample(&sample)?)).await
    }

    /// Returns how much everything takes: of every tenant for whoever owns the appliance, else of
    /// the caller's.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn storage(&self, who: &Principal) -> Result<StorageView, Error> {
        let owner = self.owns_appliance(who)?;
        let measured = self.measured();
        let names: BTreeMap<_, _> = self
            .read_of(APPLIANCE, |view| Ok(view.tenants()?))?
            .into_iter()
            .map(|tenant| (tenant.id, tenant.slug))
            .collect();
        let all = measured.iter().flat_map(|it| &it.measured.tenants);
        let seen = all.filter(|(tenant, _)| owner || **tenant == who.tenant);
        let tenants = seen.map(|(tenant, kinds)| {
            tenant_use(names.get(tenant).map_or("(appliance)", String::as_str), kinds)
        });
        let mut tenants: Vec<TenantUse> = tenants.collect();
        tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.bytes));
        let file = match &measured {
            Some(measured) if owner => Some(self.file_view(measured)?),
            Some(_) | None => None,
        };
        Ok(StorageView {
            measured_at: measured.as_ref().map(|it| it.at),
            took_ms: measured.as_ref().map(|it| it.took_ms),
            findings: file.as_ref().map(findings).unwrap_or_default(),
            file,
            tenants,
        })
    }

    /// Returns what is worth an eye about the store's file and its disk; nothing before the first
    /// walk has ended.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn storage_findings(&self) -> Result<Vec<Finding>, Error> {
        let Some(measured) = self.measured() else { return Ok(Vec::new()) };
        Ok(findings(&self.file_view(&measured)?))
    }

    fn file_view(&self, measured: &MeasuredAt) -> Result<FileView, Error> {
        let samples = self.read_of(APPLIANCE, |view| Ok(view.storage_samples()?))?;
        let bytes = self.engine().store().admin().bytes_on_disk();
        let row_bytes = measured.measured.bytes();
        let free = free_in_file(bytes, row_bytes);
        let growth = growth(&samples);
        let spaces = measured.measured.spaces.iter().map(|(space, used)| SpaceUse {
            space: format!("{space:?}").to_lowercase(),
            rows: used.rows,
            bytes: used.bytes,
        });
        Ok(FileView {
            bytes,
            row_bytes,
            free_bytes: free,
            free_percent: free.saturating_mul(100) / bytes.max(1),
            disk_free_bytes: measured.disk_free_bytes,
            growth_bytes_per_day: growth,
            days_until_full: days_until_full(growth, free, measured.disk_free_bytes),
            spaces: spaces.collect(),
            last_compaction: *self.side().compacted.lock(),
        })
    }

    /// Writes the store's file anew, without what is free in it, while it serves.
    ///
    /// # Errors
    /// `Forbidden` for whoever does not own the appliance, `Conflict` while it goes on already.
    pub async fn compact_store(&self, who: &Principal) -> Result<CompactionView, Error> {
        if !self.owns_appliance(who)? {
            return Err(Error::Forbidden { scope: "*".to_owned() });
        }
        if self.side().compacting.load(Ordering::SeqCst) {
            let detail = "the store is being compacted already".to_owned();
            return Err(Error::Conflict { code: "compaction_running", detail });
        }
        let change = Change::of("store.compact", "store");
        self.write_access(who, change, |_, _| Ok(())).await?;
        self.compact().await
    }

    async fn compact(&self) -> Result<CompactionView, Error> {
        if self.side().compacting.swap(true, Ordering::SeqCst) {
            let detail = "the store is being compacted already".to_owned();
            return Err(Error::Conflict { code: "compaction_running", detail });
        }
        let _compacting = Flag(&self.side().compacting);
        let started_at = self.now();
        let store = Arc::clone(self.engine().store());
        let compacted = tokio::task::spawn_blocking(move || store.admin().compact()).await;
        let Compacted { bytes_before, bytes_after, rows, took_ms, pause_us } =
            compacted.map_err(|error| broken_off(&error))?.map_err(refused)?;
        let view =
            CompactionView { started_at, bytes_before, bytes_after, rows, took_ms, pause_us };
        info!(bytes_before, bytes_after, rows, took_ms, pause_us, "Compacted the store");
        *self.side().compacted.lock() = Some(view);
        self.measure_store();
        if let Err(error) = self.let_go_of_old_file().await {
            warn!(%error, "The room of the old file is free when every part was written to");
        }
        Ok(view)
    }

    /// Writes to each part once, since its ledger reads from the old file until then.
    async fn let_go_of_old_file(&self) -> Result<(), Error> {
        let tenants = self.read_of(APPLIANCE, |view| Ok(view.tenants()?))?;
        let open = tenants.into_iter().filter(|tenant| tenant.deleted_at.is_none());
        let mut parts = BTreeSet::new();
        for tenant in open.map(|tenant| tenant.id).chain([APPLIANCE]) {
            if parts.insert(self.engine().store().directory().place(tenant.0)) {
                self.write_of(tenant, |tx| {
                    tx.note_compaction();
                    Ok(())
                })
                .await?;
            }
        }
        Ok(())
    }

    /// Compacts the store when enough of it is free and the disk has the room; nobody waits.
    pub fn compact_when_worth_it(&self) {
        let settings = self.retention_settings();
        let Some(measured) = self.measured() else { return };
        let bytes = self.engine().store().admin().bytes_on_disk();
        let row_bytes = measured.measured.bytes();
        let free = free_in_file(bytes, row_bytes);
        let is_worth_it = bytes >= settings.compact_file_bytes_min
            && free.saturating_mul(100) / bytes.max(1) >= settings.compact_free_percent
            && settings.compact_free_percent < 100;
        // The copy must fit beside the file, with something to spare for those who write.
        let has_room = measured.disk_free_bytes.is_none_or(|room| room > (bytes - free) * 2);
        if is_worth_it && has_room && !self.side().compacting.load(Ordering::SeqCst) {
            let app = self.clone();
            tokio::spawn(async move {
                if let Err(error) = app.compact().await {
                    warn!(%error, "Could not compact the store; it is tried again later");
                }
            });
        }
    }
}

fn refused(error: StoreError) -> Error {
    match error {
        StoreError::Refused(detail) => Error::Conflict { code: "not_compacted", detail },
        other => other.into(),
    }
}

fn broken_off(error: &tokio::task::JoinError) -> Error {
    Error::Internal(format!("the work beside the serving broke off: {error}"))
}

fn tenant_use(name: &str, kinds: &BTreeMap<Kind, Use>) -> TenantUse {
    let kind = |(kind, used): (&Kind, &Use)| KindUse {
        kind: kind.name(),
        rows: used.rows,
        bytes: used.bytes,
    };
    let mut kinds: Vec<KindUse> = kinds.iter().map(kind).collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.bytes));
    TenantUse {
        tenant: name.to_owned(),
        rows: kinds.iter().map(|kind| kind.rows).sum(),
        bytes: kinds.iter().map(|kind| kind.bytes).sum(),
        kinds,
    }
}

/// Returns about what writing a file anew would free.
fn free_in_file(file_bytes: u64, row_bytes: u64) -> u64 {
    let needed = row_bytes.saturating_mul(100 + PAGE_OVERHEAD_PERCENT) / 100 + FILE_BYTES_MIN;
    file_bytes.saturating_sub(needed)
}

/// Returns by how much the rows grow in a day, from the oldest sample to the newest.
fn growth(samples: &[Sample]) -> Option<i64> {
    let (first, last) = (samples.first()?, samples.last()?);
    let observed = last.at.millis() - first.at.millis();
    if observed < OBSERVED_MS_MIN {
        return None;
    }
    let signed = |bytes: u64| i128::from(bytes);
    let grown = signed(last.row_bytes) - signed(first.row_bytes);
    i64::try_from(grown * i128::from(DAY_MS) / i128::from(observed)).ok()
}

fn days_until_full(growth: Option<i64>, free: u64, disk_free: Option<u64>) -> Option<u64> {
    let growth = u64::try_from(growth?).ok().filter(|growth| *growth > 0)?;
    Some((disk_free? + free) / growth)
}

/// Says what is worth an eye about the store's file and its disk.
#[must_use]
pub fn findings(file: &FileView) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(days) = file.days_until_full.filter(|days| *days <= FULL_SOON_DAYS) {
        findings.push(Finding {
            code: "disk_full_soon",
            detail: format!("at the pace of the last days the disk is full in {days} days"),
            cure: "give the disk more room, or keep less: see `ergane retention preview`",
        });
    }
    if file.disk_free_bytes.is_some_and(|free| free < file.bytes / 2) {
        findings.push(Finding {
            code: "no_room_to_compact",
            detail: "the disk has less room than half of the store's file".to_owned(),
            cure: "give the disk more room: compaction and backups need as much as they write",
        });
    }
    if file.free_percent >= 50 && file.bytes >= 64 * 1_024 * 1_024 {
        findings.push(Finding {
            code: "file_mostly_free",
            detail: format!("{} % of the store's file are free", file.free_percent),
            cure: "run `ergane compact`; it works while the store serves",
        });
    }
    findings
}

/// Returns the room on the disk of a directory, as `df` tells (POSIX); no standard call without
/// unsafe code does.
fn free_bytes(directory: &Path) -> Option<u64> {
    let mut df = Command::new("df");
    let told = df.arg("-Pk").arg(directory).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let told = String::from_utf8(told.ok()?.stdout).ok()?;
    let kibibytes: u64 = told.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(hour: i64, row_bytes: u64) -> Sample {
        Sample { at: Timestamp::from_millis(hour * 3_600_000), row_bytes, file_bytes: row_bytes }
    }

    #[test]
    fn growth_is_told_once_it_was_watched() {
        assert_eq!(growth(&[]), None);
        assert_eq!(growth(&[sample(1, 5)]), None);
        let samples = [sample(0, 1_000), sample(3, 50), sample(12, 2_000)];
        assert_eq!(growth(&samples), Some(2_000));
        assert_eq!(days_until_full(Some(2_000), 1_000, Some(9_000)), Some(5));
        assert_eq!(days_until_full(Some(-5), 1_000, Some(9_000)), None);
    }

    #[test]
    fn the_room_on_a_disk_is_told() {
        assert!(free_bytes(Path::new("/")).is_some_and(|free| free > 0));
        assert_eq!(free_bytes(Path::new("/no/such/place")), None);
    }
}
