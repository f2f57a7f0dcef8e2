//! What only a file can suffer: other files, other processes, damage, full disks, growth.

use super::*;
use crate::store::seam::{Batch, Direction, Epoch, Mutation, Seq};
use redb::backends::FileBackend;
use redb::{Database, StorageBackend, TableDefinition};
use std::fs;
use std::io;
use std::ops::Bound::Unbounded;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn settings(directory: &TempDir) -> StoreSettings {
    StoreSettings { data_dir: directory.path().join("data"), ..StoreSettings::default() }
}

fn file_of(settings: &StoreSettings) -> PathBuf {
    settings.data_dir.join("ergane.redb")
}

fn one(key: &str, value: &str) -> Batch {
    let (key, value) = (Bytes::from(key.to_owned()), Some(Bytes::from(value.to_owned())));
    Batch { mutations: vec![Mutation { space: Space::Row, key, value }] }
}

fn refusal(settings: &StoreSettings) -> String {
    match RedbStore::open(settings) {
        Err(StoreError::Refused(text) | StoreError::InUse(text)) => text,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it opened"),
    }
}

#[test]
fn the_file_and_its_directory_are_for_the_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    RedbStore::open(&settings).unwrap().close();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&settings.data_dir), 0o700);
    assert_eq!(mode(&file_of(&settings)), 0o600);
}

#[test]
fn what_is_not_our_file_is_refused_with_a_cure_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    RedbStore::open(&settings).unwrap().close();
    let path = file_of(&settings);
    let good = fs::read(&path).unwrap();
    let table: [(&str, &[u8], &str); 6] = [
        ("an empty file", b"", "is empty; move it away"),
        ("garbage", &[0x5a; 100_000], "is not a store of ergane; move it away"),
        ("a short text", b"hello", "is not a store of ergane; move it away"),
        ("cut in the header", &good[..100], "is damaged"),
        ("cut in the middle", &good[..good.len() / 2], "is damaged"),
        ("cut at the end", &good[..good.len() - 1], "is damaged"),
    ];
    for (name, bytes, sentence) in table {
        fs::write(&path, bytes).unwrap();
        let text = refusal(&settings);
        assert!(text.contains(sentence), "{name}: {text}");
        assert!(fs::read(&path).unwrap() == bytes, "{name} was changed");
    }
    fs::write(&path, good).unwrap();
    RedbStore::open(&settings).unwrap();
}

#[test]
fn a_file_of_another_program_with_the_same_engine_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    fs::create_dir(&settings.data_dir).unwrap();
    let database = Database::create(file_of(&settings)).unwrap();
    let tx = database.begin_write().unwrap();
    tx.open_table(TableDefinition::<u64, u64>::new("theirs")).unwrap();
    tx.commit().unwrap();
    drop(database);
    assert!(refusal(&settings).contains("was not made by ergane"));
}

#[test]
fn a_newer_format_is_refused_unharmed_and_names_both_versions() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    RedbStore::open(&settings).unwrap().close();
    let database = Database::open(file_of(&settings)).unwrap();
    let tx = database.begin_write().unwrap();
    {
        let mut table = tx.open_table(tables::FORMAT).unwrap();
        table.insert("format", "1000").unwrap();
        table.insert("written_by", "9.8.7").unwrap();
    }
    tx.commit().unwrap();
    drop(database);
    let before = fs::read(file_of(&settings)).unwrap();
    let text = refusal(&settings);
    assert!(text.contains("format 1000, written by ergane 9.8.7"), "{text}");
    assert!(text.contains(&format!("this is ergane {}", env!("CARGO_PKG_VERSION"))), "{text}");
    assert!(text.contains("start ergane 9.8.7 or a later one"), "{text}");
    assert!(fs::read(file_of(&settings)).unwrap() == before);
}

#[test]
fn a_second_opening_is_told_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let store = RedbStore::open(&settings).unwrap();
    let cure = "another process holds it; stop it, or give this one another --data-dir";
    assert!(refusal(&settings).ends_with(cure));
    drop(store);
    // The engine's own lock says the same, where directories cannot be locked.
    let _held = Database::open(file_of(&settings)).unwrap();
    assert!(refusal(&settings).ends_with(cure));
}

#[test]
fn a_kill_in_the_first_start_leaves_a_directory_that_opens() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    RedbStore::open(&settings).unwrap().close();
    let whole = fs::read(file_of(&settings)).unwrap();
    for length in [0, 9, 73_728, whole.len()] {
        fs::remove_file(file_of(&settings)).unwrap();
        let unfinished = settings.data_dir.join("ergane.redb.new");
        let written = vec![0; length];
        fs::write(&unfinished, written).unwrap();
        RedbStore::open(&settings).unwrap().close();
        assert!(!unfinished.exists());
    }
}

#[test]
fn parts_can_be_added_but_not_taken_away_and_tenants_stay_at_home() {
    let directory = tempfile::tempdir().unwrap();
    let open = |parts| RedbStore::open(&StoreSettings { parts, ..settings(&directory) });
    let store = open(4).unwrap();
    let mut owner = store.claim(3).unwrap();
    wait(owner.commit(one("key", "value"))).unwrap();
    store.place_tenant(9, 2).unwrap();
    assert!(matches!(store.place_tenant(9, 4), Err(StoreError::Refused(_))));
    assert_eq!((store.directory().place(9), store.directory().place(6)), (2, 2));
    store.close();
    let store = open(64).unwrap();
    assert_eq!(store.caps().parts, 64);
    assert_eq!((store.directory().place(9), store.directory().place(6)), (2, 2));
    assert_eq!(store.read(3).unwrap().seq(), Seq(1));
    assert_eq!(store.claim(63).unwrap().epoch(), Epoch(1));
    store.close();
    let text = refusal(&StoreSettings { parts: 4, ..settings(&directory) });
    assert!(text.contains("has 64 parts and cannot shrink to 4"), "{text}");
    let text = refusal(&StoreSettings { parts: 0, ..settings(&directory) });
    assert!(text.contains("at least one part"), "{text}");
}

#[test]
fn what_waits_together_is_committed_together() {
    let directory = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&StoreSettings { parts: 64, ..settings(&directory) }).unwrap();
    let mut owners: Vec<_> = (0..64).map(|part| store.claim(part).unwrap()).collect();
    let before = store.commits();
    for round in 1..=10 {
        let commits = owners.iter_mut().map(|owner| owner.commit(one("key", "value")));
        for outcome in wait(futures_util::future::join_all(commits)) {
            assert_eq!(outcome, Ok(Seq(round)));
        }
    }
    let transactions = store.commits() - before;
    assert!(transactions <= 40, "640 commits took {transactions} transactions");
}

#[test]
fn more_commits_than_the_queue_takes_wait_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let small = StoreSettings { parts: 64, writer_queue_batches_max: 2, ..settings(&directory) };
    let store = RedbStore::open(&small).unwrap();
    let mut owners: Vec<_> = (0..64).map(|part| store.claim(part).unwrap()).collect();
    let commits = owners.iter_mut().map(|owner| owner.commit(one("key", "value")));
    for outcome in wait(futures_util::future::join_all(commits)) {
        assert_eq!(outcome, Ok(Seq(1)));
    }
}

#[test]
fn no_flipped_bit_is_ever_served_as_another_value() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let store = RedbStore::open(&settings).unwrap();
    let mut owner = store.claim(0).unwrap();
    for version in ["old", "new"] {
        let batches = (0..400).map(|n| one(&format!("key {n:03}"), &format!("{version} {n}")));
        let mutations = batches.flat_map(|batch| batch.mutations).collect();
        wait(owner.commit(Batch { mutations })).unwrap();
    }
    store.close();
    let good = fs::read(file_of(&settings)).unwrap();
    let used: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let header = (0..320).step_by(3);
    let pages = used.iter().copied().filter(|at| *at >= 4_096).step_by(used.len() / 300 + 1);
    let (mut detected, mut harmless) = (0, 0);
    for at in header.chain(pages) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(file_of(&settings), bad).unwrap();
        match read_all(&settings) {
            Ok(()) => harmless += 1,
            Err(_) => detected += 1,
        }
    }
    assert!(detected > 50, "{detected} detected, {harmless} harmless");
}

/// Fails as soon as anything says that it is damaged, and panics on a wrong value.
fn read_all(settings: &StoreSettings) -> Result<(), StoreError> {
    let store = RedbStore::open(settings)?;
    let faults = store.admin().verify()?;
    let view = store.read(0)?;
    let mut missing = 0;
    for n in 0..400 {
        let found = view.get(Space::Row, format!("key {n:03}").as_bytes());
        let right = Bytes::from(format!("new {n}"));
        assert!(matches!(&found, Err(_) | Ok(None)) || found == Ok(Some(right)), "{n}: {found:?}");
        missing += u32::from(matches!(found, Ok(None)));
    }
    let all = (Unbounded, Unbounded);
    for (key, value) in view.scan(Space::Row, all, Direction::Ascending, 999).unwrap_or_default() {
        let key = String::from_utf8(key.to_vec()).unwrap();
        let n: u32 = key.strip_prefix("key ").unwrap().parse().unwrap();
        assert_eq!(value, format!("new {n}"));
    }
    assert!(missing == 0 || !faults.is_empty(), "{missing} rows are missing unnoticed");
    faults.into_iter().next().map_or(Ok(()), Err)
}

#[test]
fn a_flipped_value_is_named_by_get_scan_and_verify() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { check_on_open_bytes_max: 0, ..settings(&directory) };
    let store = RedbStore::open(&settings).unwrap();
    let mut owner = store.claim(0).unwrap();
    wait(owner.commit(one("the key", "a value to be found"))).unwrap();
    store.close();
    let mut bytes = fs::read(file_of(&settings)).unwrap();
    let needle = b"a value to be found";
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    for at in places {
        bytes[at] ^= 1;
    }
    fs::write(file_of(&settings), bytes).unwrap();
    let store = RedbStore::open(&settings).unwrap();
    let damaged = StoreError::Damaged {
        space: Space::Row,
        key: hex::encode("the key"),
        reason: "its checksum does not match".into(),
    };
    let view = store.read(0).unwrap();
    assert_eq!(view.get(Space::Row, b"the key"), Err(damaged.clone()));
    let all = (Unbounded, Unbounded);
    assert_eq!(view.scan(Space::Row, all, Direction::Descending, 1), Err(damaged.clone()));
    assert_eq!(store.admin().verify(), Ok(vec![damaged]));
    drop(store);
    let careful = StoreSettings { check_on_open_bytes_max: u64::MAX, ..settings };
    assert!(refusal(&careful).contains("is damaged"));
}

/// What is wrong with a disk.
#[derive(Debug, Default)]
struct Trouble {
    failing: AtomicBool,
    full: AtomicBool,
}

/// A disk that can be made to fail or to be full.
#[derive(Debug)]
struct Disk {
    file: FileBackend,
    trouble: Arc<Trouble>,
}

fn unless(trouble: &AtomicBool) -> io::Result<()> {
    if trouble.load(Ordering::SeqCst) {
        return Err(io::Error::from(io::ErrorKind::StorageFull));
    }
    Ok(())
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.file.len()? {
            unless(&self.trouble.full)?;
        }
        unless(&self.trouble.failing).and_then(|()| self.file.set_len(len))
    }
    fn sync_data(&self) -> io::Result<()> {
        unless(&self.trouble.failing).and_then(|()| self.file.sync_data())
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        unless(&self.trouble.failing).and_then(|()| self.file.write(offset, data))
    }
    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn open_on_disk(settings: &StoreSettings, trouble: &Arc<Trouble>) -> RedbStore {
    let mut opened = file::open(settings).unwrap();
    let (path, trouble) = (opened.path.clone(), trouble.clone());
    let reopen = move || {
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let disk = Disk { file: FileBackend::new(file).unwrap(), trouble: trouble.clone() };
        Database::builder()
            .create_with_backend(disk)
            .map_err(|error| StoreError::Unavailable(error.to_string()))
    };
    opened.database.close().unwrap();
    opened.database = reopen().unwrap();
    RedbStore::start(settings, opened, Box::new(reopen)).unwrap()
}

#[test]
fn after_a_failing_disk_the_file_is_opened_again_and_owners_claim_again() {
    let directory = tempfile::tempdir().unwrap();
    let settings = StoreSettings { parts: 2, ..settings(&directory) };
    let trouble = Arc::new(Trouble::default());
    let store = open_on_disk(&settings, &trouble);
    let mut owner = store.claim(0).unwrap();
    let mut bystander = store.claim(1).unwrap();
    for round in 0..3 {
        let seq = wait(owner.commit(one("key", "kept"))).unwrap();
        let old_view = owner.view().unwrap();
        trouble.failing.store(true, Ordering::SeqCst);
        let outcome = wait(owner.commit(one("key", &format!("in doubt {round}"))));
        assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
        assert_ne!(store.health(), Health::Healthy);
        let refused = wait(bystander.commit(one("key", "refused")));
        assert!(matches!(refused, Err(CommitError::NotCommitted(_))), "{refused:?}");
        assert!(matches!(store.claim(0), Err(StoreError::Unavailable(_))));
        trouble.failing.store(false, Ordering::SeqCst);
        while store.health() != Health::Healthy {
            std::thread::yield_now();
        }
        let old = old_view.get(Space::Row, b"key");
        assert!(matches!(old, Err(StoreError::Unavailable(_)) | Ok(Some(_))), "{old:?}");
        let again = wait(owner.commit(one("key", "blind")));
        assert!(matches!(again, Err(CommitError::Unknown(_))), "{again:?}");
        owner = store.claim(0).unwrap();
        let landed = owner.seq() > seq;
        let expected = if landed { format!("in doubt {round}") } else { "kept".into() };
        let found = owner.view().unwrap().get(Space::Row, b"key").unwrap();
        assert_eq!(found, Some(Bytes::from(expected)));
        // A surely refused commit may simply be tried again.
        assert!(wait(bystander.commit(one("key", "again"))).is_ok());
    }
    assert_eq!(store.admin().verify(), Ok(vec![]));
}

#[test]
fn a_full_disk_leaves_a_store_that_can_be_read_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let trouble = Arc::new(Trouble::default());
    let store = open_on_disk(&settings(&directory), &trouble);
    let mut owner = store.claim(0).unwrap();
    wait(owner.commit(one("key", "kept"))).unwrap();
    trouble.full.store(true, Ordering::SeqCst);
    let large = "x".repeat(6_000_000);
    let outcome = wait(owner.commit(one("large", &large)));
    assert!(matches!(outcome, Err(CommitError::NotCommitted(_) | CommitError::Unknown(_))));
    while !matches!(store.health(), Health::ReadOnly(_)) {
        std::thread::yield_now();
    }
    // Between two tries the file is shut for a moment.
    let kept = loop {
        match store.read(0).and_then(|view| view.get(Space::Row, b"key")) {
            Ok(found) => break found,
            Err(StoreError::Unavailable(_)) => std::thread::yield_now(),
            Err(other) => panic!("{other}"),
        }
    };
    assert_eq!(kept, Some(Bytes::from("kept")));
    trouble.full.store(false, Ordering::SeqCst);
    while store.health() != Health::Healthy {
        std::thread::yield_now();
    }
    let mut owner = store.claim(0).unwrap();
    assert!(wait(owner.commit(one("large", &large))).is_ok());
}

#[test]
fn a_store_whose_disk_goes_on_failing_can_be_closed() {
    let directory = tempfile::tempdir().unwrap();
    let trouble = Arc::new(Trouble::default());
    let store = open_on_disk(&settings(&directory), &trouble);
    let mut owner = store.claim(0).unwrap();
    trouble.failing.store(true, Ordering::SeqCst);
    let outcome = wait(owner.commit(one("key", "lost")));
    assert!(matches!(outcome, Err(CommitError::Unknown(_))), "{outcome:?}");
    store.close();
    assert!(RedbStore::open(&settings(&directory)).is_ok());
}

#[test]
fn a_store_is_written_anew_under_writers_and_readers_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = settings(&directory);
    let store = RedbStore::open(&settings).unwrap();
    let mut owned = store.claim(0).unwrap();
    let value = "v".repeat(2_000);
    for round in 0..200 {
        wait(owned.commit(many(round * 50..round * 50 + 50, Some(&value)))).unwrap();
    }
    for round in 0..180 {
        wait(owned.commit(many(round * 50..round * 50 + 50, None))).unwrap();
    }
    let old_reader = store.read(0).unwrap();
    let (store, stop) = (Arc::new(store), Arc::new(AtomicBool::new(false)));
    let writing = std::thread::spawn({
        let stop = Arc::clone(&stop);
        move || {
            let mut number = 20_000;
            while !stop.load(Ordering::SeqCst) {
                wait(owned.commit(many(number..number + 3, Some("late")))).unwrap();
                wait(owned.commit(many(number - 6_000..number - 5_999, None))).unwrap();
                number += 3;
            }
            (number, owned)
        }
    });
    let beside = Arc::clone(&store);
    let compacting = std::thread::spawn(move || beside.admin().compact());
    while !store.shared.compacting.load(Ordering::SeqCst) && !compacting.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(rows(&*old_reader), 1_000, "a reader finishes on the old file");
    drop(old_reader);
    let compacted = compacting.join().unwrap().unwrap();
    stop.store(true, Ordering::SeqCst);
    let (end, owned) = writing.join().unwrap();
    assert!(compacted.bytes_after * 2 < compacted.bytes_before, "{compacted:?}");
    let check = |store: &RedbStore| {
        let view = store.read(0).unwrap();
        assert!(store.admin().verify().unwrap().is_empty());
        assert_eq!(view.seq(), owned.seq());
        for number in 20_000..end {
            let key = format!("{number:08}");
            assert!(view.get(Space::Row, key.as_bytes()).unwrap().is_some(), "{key}");
        }
        rows(&*view)
    };
    let found = check(&store);
    Arc::into_inner(store).unwrap().close();
    let store = RedbStore::open(&settings).unwrap();
    assert_eq!(check(&store), found);
}

fn many(numbers: std::ops::Range<u32>, value: Option<&str>) -> Batch {
    let value = value.map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let mutations = numbers.map(|number| Mutation {
        space: Space::Row,
        key: format!("{number:08}").into(),
        value: value.clone(),
    });
    Batch { mutations: mutations.collect() }
}

fn rows(view: &dyn View) -> usize {
    let range = (Unbounded, Unbounded);
    view.scan(Space::Row, range, Direction::Ascending, usize::MAX).unwrap().len()
}
