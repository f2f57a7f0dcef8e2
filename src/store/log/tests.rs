//! The log with real files: what it carries on, what it drops, and where it has a gap.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use super::segment::{Reader, list};
use super::{LogSettings, Record, archive};
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::store::backup::{
    Manifest, Order, Outcome, Pace, Progress, Restoring, Start, check, files, restore,
};
use crate::store::redb_store::{RedbStore, StoreSettings};
use crate::store::seam::{Batch, Mutation, Owned, Space, Store, StoreError};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn settings(&self) -> StoreSettings {
        let log = LogSettings {
            directory: self.path("log"),
            segment_bytes_max: 1_024,
            segment_age_max: Duration::from_secs(3_600),
            sync_every: Duration::from_millis(20),
        };
        StoreSettings { data_dir: self.path("data"), log: Some(log), ..StoreSettings::default() }
    }

    fn open(&self) -> RedbStore {
        RedbStore::open(&self.settings()).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        let mut records = Vec::new();
        for segment in list(&self.path("log")).unwrap() {
            let mut reader = Reader::open(&segment.path).unwrap().unwrap();
            records.extend(std::iter::from_fn(|| reader.next_record()));
        }
        records
    }

    fn restore(&self, name: &str, at: Option<Timestamp>) -> Result<Outcome, StoreError> {
        restore(&Restoring {
            backup: &self.path("one.backup"),
            data_dir: &self.path(name),
            now: Clock::system().now(),
            at,
            logs: &[self.path("log")],
            start: Start::Paused,
        })
    }
}

fn take(store: &RedbStore, path: &Path) -> Result<Manifest, StoreError> {
    let progress = Progress::default();
    let at = Clock::system().now();
    let order = Order { at, key_ids: vec!["k1".into()], pace: Pace::FULL, progress: &progress };
    files::take(store, path, order)
}

fn put(owned: &mut dyn Owned, key: &str, value: Option<&str>) {
    let value = value.map(|value| Bytes::from(value.repeat(100)));
    let mutations = vec![Mutation { space: Space::Blob, key: Bytes::from(key.to_owned()), value }];
    wait(owned.commit(Batch { mutations })).unwrap();
}

/// Returns the keys of a restored store, and whether it is sound.
fn keys(place: &Place, name: &str) -> Vec<String> {
    let settings = StoreSettings { data_dir: place.path(name), ..StoreSettings::default() };
    let store = RedbStore::open(&settings).unwrap();
    assert!(store.admin().verify().unwrap().is_empty());
    let (view, all) =
        (store.read(0).unwrap(), (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded));
    let pairs =
        view.scan(Space::Blob, all, crate::store::seam::Direction::Ascending, 1_000).unwrap();
    pairs.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
}

/// Commits within a millisecond bear one time.
fn wait_for_a_later_time() {
    let begun = Clock::system().now();
    while Clock::system().now() <= begun {
        std::thread::yield_now();
    }
}

#[test]
fn a_backup_is_carried_on_to_any_later_commit() {
    let place = Place::new();
    let store = place.open();
    let mut owned = store.claim(0).unwrap();
    put(&mut *owned, "a", Some("1"));
    put(&mut *owned, "b", Some("2"));
    take(&store, &place.path("one.backup")).unwrap();
    for number in 0..30 {
        put(&mut *owned, &format!("c{number:02}"), Some("3"));
        wait_for_a_later_time();
    }
    put(&mut *owned, "a", None);
    assert_eq!(store.admin().log().fault, None);
    drop(owned);
    store.close();
    assert!(list(&place.path("log")).unwrap().len() > 1, "it rolled");
    let records = place.records();
    let of_key = |key: &str| {
        let holds =
            |record: &&Record| record.rows.iter().any(|row| row.key.ends_with(key.as_bytes()));
        records.iter().find(holds).unwrap().at
    };
    assert_eq!(place.restore("none", None).unwrap().replayed, None);
    assert_eq!(keys(&place, "none"), ["a", "b"]);
    let outcome = place.restore("half", Some(of_key("c10"))).unwrap();
    assert_eq!(outcome.replayed.unwrap().last, Some(of_key("c10")));
    assert_eq!(keys(&place, "half").len(), 2 + 11);
    place.restore("all", Some(Clock::system().now())).unwrap();
    assert_eq!(keys(&place, "all").len(), 1 + 30, "the last record removes a key");
}

#[test]
fn a_log_goes_on_after_a_restart_and_begins_anew_when_it_missed_something() {
    let place = Place::new();
    let store = place.open();
    assert!(store.admin().log().needs_base, "without a backup it leads nowhere");
    let mut owned = store.claim(0).unwrap();
    put(&mut *owned, "a", Some("1"));
    drop(owned);
    store.close();
    let store = place.open();
    assert!(!store.admin().log().needs_base, "{:?}", store.admin().log());
    store.close();
    // Without the log something is committed that it does not know of.
    let without = StoreSettings { log: None, ..place.settings() };
    let store = RedbStore::open(&without).unwrap();
    put(&mut *store.claim(0).unwrap(), "b", Some("1"));
    store.close();
    let store = place.open();
    assert!(store.admin().log().needs_base);
    store.admin().renew_log().unwrap();
    assert!(!store.admin().log().needs_base);
}

#[test]
fn records_that_were_never_committed_are_dropped() {
    let place = Place::new();
    let store = place.open();
    let mut owned = store.claim(0).unwrap();
    put(&mut *owned, "a", Some("1"));
    drop(owned);
    store.close();
    let saved = fs::read(place.path("data/ergane.redb")).unwrap();
    let store = place.open();
    put(&mut *store.claim(0).unwrap(), "b", Some("1"));
    store.close();
    let logged = place.records().len();
    // As after a crash between the log's write and the commit.
    fs::write(place.path("data/ergane.redb"), saved).unwrap();
    let store = place.open();
    assert!(!store.admin().log().needs_base, "{:?}", store.admin().log());
    store.close();
    assert_eq!(place.records().len(), logged - 2, "the claim and the commit are gone");
}

#[test]
fn a_gap_is_refused_and_leaves_no_store() {
    let place = Place::new();
    let store = place.open();
    let mut owned = store.claim(0).unwrap();
    put(&mut *owned, "a", Some("1"));
    take(&store, &place.path("one.backup")).unwrap();
    for number in 0..40 {
        put(&mut *owned, &format!("c{number:02}"), Some("3"));
    }
    drop(owned);
    store.close();
    let segments = list(&place.path("log")).unwrap();
    fs::remove_file(&segments[segments.len() / 2].path).unwrap();
    let refused = place.restore("gap", Some(Clock::system().now())).unwrap_err().to_string();
    assert!(refused.contains("has a gap"), "{refused}");
    assert!(!place.path("gap/ergane.redb").exists());
}

#[test]
fn a_log_that_cannot_be_written_is_turned_off_and_stops_nothing() {
    let place = Place::new();
    fs::write(place.path("log"), "a file stands where its directory should").unwrap();
    let store = place.open();
    put(&mut *store.claim(0).unwrap(), "a", Some("1"));
    let state = store.admin().log();
    assert!(state.fault.is_some() && state.needs_base, "{state:?}");
    fs::remove_file(place.path("log")).unwrap();
    fs::create_dir(place.path("log")).unwrap();
    store.admin().renew_log().unwrap();
    assert_eq!(store.admin().log().fault, None);
    put(&mut *store.claim(0).unwrap(), "b", Some("1"));
    assert!(!place.records().is_empty());
}

#[test]
fn segments_are_kept_as_long_as_a_backup_needs_them() {
    let place = Place::new();
    let store = place.open();
    let mut owned = store.claim(0).unwrap();
    for number in 0..40 {
        put(&mut *owned, &format!("c{number:02}"), Some("3"));
    }
    let manifest = take(&store, &place.path("one.backup")).unwrap();
    wait_for_a_later_time();
    for number in 40..80 {
        put(&mut *owned, &format!("c{number:02}"), Some("3"));
    }
    let before = list(&place.path("log")).unwrap().len();
    let moved = archive::archive(&place.path("log"), &place.path("kept")).unwrap();
    assert_eq!(moved, before - 1, "the newest is being written");
    let removed = archive::prune(&place.path("kept"), Some(manifest.taken_at)).unwrap();
    assert!(removed > 0 && removed < moved, "{removed} of {moved}");
    drop(owned);
    store.close();
    let logs = [place.path("kept"), place.path("log")];
    let order = Restoring {
        backup: &place.path("one.backup"),
        data_dir: &place.path("all"),
        now: Clock::system().now(),
        at: Some(Clock::system().now()),
        logs: &logs,
        start: Start::Active,
    };
    restore(&order).unwrap();
    assert_eq!(keys(&place, "all").len(), 80);
    assert!(archive::prune(&place.path("kept"), None).unwrap() > 0);
}

#[test]
fn a_changed_or_cut_backup_is_refused_and_leaves_no_store() {
    let place = Place::new();
    let store = place.open();
    let mut owned = store.claim(0).unwrap();
    for number in 0..50 {
        put(&mut *owned, &format!("c{number:02}"), Some("some value "));
    }
    let manifest = take(&store, &place.path("one.backup")).unwrap();
    assert_eq!(manifest.key_ids, ["k1"]);
    assert!(!place.path("one.backup.part").exists());
    let good = fs::read(place.path("one.backup")).unwrap();
    assert_eq!(manifest.file_bytes, good.len() as u64);
    let sound = || {
        let now = Clock::system().now();
        check(&place.path("one.backup"), now, Pace::FULL, &Progress::default()).is_ok()
    };
    assert!(sound());
    for bit in (0..good.len() * 8).step_by(97) {
        let mut changed = good.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        fs::write(place.path("one.backup"), changed).unwrap();
        assert!(!sound(), "bit {bit}");
    }
    for end in (0..good.len()).step_by(101) {
        fs::write(place.path("one.backup"), &good[..end]).unwrap();
        assert!(!sound(), "cut at {end}");
        assert!(files::list(place.0.path()).unwrap()[0].manifest.is_err(), "cut at {end}");
    }
    assert!(place.restore("bad", None).is_err() && !place.path("bad/ergane.redb").exists());
    fs::write(place.path("one.backup"), good).unwrap();
    place.restore("good", None).unwrap();
    assert_eq!(keys(&place, "good").len(), 50);
    let refused = place.restore("good", None).unwrap_err().to_string();
    assert!(refused.contains("there is a store in"), "{refused}");
}

#[test]
fn a_backup_that_is_broken_off_leaves_nothing() {
    let place = Place::new();
    let store = place.open();
    put(&mut *store.claim(0).unwrap(), "a", Some("1"));
    let progress = Progress::default();
    progress.stop.store(true, Ordering::SeqCst);
    let at = Clock::system().now();
    let order = Order { at, key_ids: Vec::new(), pace: Pace::FULL, progress: &progress };
    assert!(files::take(&store, &place.path("b/one.backup"), order).is_err());
    assert_eq!(fs::read_dir(place.path("b")).unwrap().count(), 0);
}
