//! The rules of the seam, checked on every implementation with 1, 4 and 64 parts.

use super::redb_store::{RedbStore, StoreSettings};
use super::seam::{
    Batch, CommitError, Direction, Epoch, Mutation, Owned, Part, Range, Seq, Space, Store,
    StoreError, View,
};
use super::sim::{Faults, SimStore};
use bytes::Bytes;
use std::future::Future;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

const ALL: Range<'_> = (Unbounded, Unbounded);

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn settings(directory: &tempfile::TempDir, parts: Part) -> StoreSettings {
    StoreSettings { data_dir: directory.path().join("data"), parts, ..StoreSettings::default() }
}

/// Runs a check on each implementation; it gets the store and its last part.
fn on_every_store(check: impl Fn(&dyn Store, Part)) {
    for parts in [1, 4, 64] {
        let directory = tempfile::tempdir().unwrap();
        check(&RedbStore::open(&settings(&directory, parts)).unwrap(), parts - 1);
        let patient = Faults { delay_turns_max: 3, ..Faults::NONE };
        check(&SimStore::new(u64::from(parts), parts, patient), parts - 1);
    }
}

fn put(space: Space, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Mutation {
    let (key, value) = (key.as_ref(), value.as_ref());
    Mutation { space, key: Bytes::copy_from_slice(key), value: Some(Bytes::copy_from_slice(value)) }
}

fn remove(space: Space, key: &str) -> Mutation {
    Mutation { space, key: Bytes::copy_from_slice(key.as_bytes()), value: None }
}

fn commit(owner: &mut dyn Owned, mutations: Vec<Mutation>) -> Result<Seq, CommitError> {
    wait(owner.commit(Batch { mutations }))
}

fn keys(view: &dyn View, space: Space) -> Vec<String> {
    let pairs = view.scan(space, ALL, Direction::Ascending, usize::MAX).unwrap();
    pairs.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).unwrap()).collect()
}

#[test]
fn a_batch_is_seen_entirely_or_not_at_all() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let view = store.read(part).unwrap();
                    let first = view.get(Space::ALL[0], b"key").unwrap();
                    for space in Space::ALL {
                        assert_eq!(view.get(space, b"key").unwrap(), first);
                    }
                }
            });
            for round in 0..20 {
                let value = round.to_string();
                let rows = Space::ALL.map(|space| put(space, "key", &value)).to_vec();
                commit(&mut *owner, rows).unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
    });
}

#[test]
fn an_owner_that_was_replaced_gets_nothing_acknowledged() {
    const TAKEOVERS: u64 = 100;
    on_every_store(|store, part| {
        let newest = AtomicU64::new(0);
        let attempts = AtomicU64::new(0);
        let mut owner = store.claim(part).unwrap();
        newest.store(owner.epoch().0, Ordering::SeqCst);
        let mut acknowledged = 0;
        for _ in 0..TAKEOVERS {
            let replaced = owner;
            let (next, count) = thread::scope(|scope| {
                let before = attempts.load(Ordering::SeqCst);
                let loops = scope.spawn(|| commit_until_fenced(replaced, &newest, &attempts));
                while attempts.load(Ordering::SeqCst) == before && !loops.is_finished() {
                    thread::yield_now();
                }
                let next = store.claim(part).unwrap();
                newest.store(next.epoch().0, Ordering::SeqCst);
                (next, loops.join().unwrap())
            });
            owner = next;
            acknowledged += count;
        }
        assert_eq!(owner.epoch(), Epoch(TAKEOVERS + 1));
        assert_eq!(owner.view().unwrap().seq(), Seq(acknowledged));
        assert_eq!(keys(&*owner.view().unwrap(), Space::Journal).len() as u64, acknowledged);
        assert!(commit(&mut *owner, vec![]).is_ok());
    });
}

fn commit_until_fenced(mut owner: Box<dyn Owned>, newest: &AtomicU64, attempts: &AtomicU64) -> u64 {
    for acknowledged in 0.. {
        let newest_before = newest.load(Ordering::SeqCst);
        let key = format!("{:08}-{:08}", owner.epoch().0, acknowledged);
        match commit(&mut *owner, vec![put(Space::Journal, key, "entry")]) {
            Ok(_) => assert!(newest_before <= owner.epoch().0, "acknowledged to an old owner"),
            Err(CommitError::Fenced) => return acknowledged,
            Err(other) => panic!("{other}"),
        }
        attempts.fetch_add(1, Ordering::SeqCst);
    }
    unreachable!("the loop ends by being fenced")
}

#[test]
fn commits_are_numbered_without_gaps_and_a_view_holds_exactly_its_number() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let view = store.read(part).unwrap();
                    assert_eq!(keys(&*view, Space::Event).len() as u64, view.seq().0);
                }
            });
            for number in 1..=30 {
                let early = owner.view().unwrap();
                let row = put(Space::Event, format!("{number:04}"), "event");
                assert_eq!(commit(&mut *owner, vec![row]), Ok(Seq(number)));
                assert_eq!(owner.seq(), Seq(number));
                assert_eq!(owner.view().unwrap().seq(), Seq(number));
                assert_eq!(early.seq(), Seq(number - 1), "a view does not move");
                assert_eq!(keys(&*early, Space::Event).len() as u64, number - 1);
            }
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(store.claim(part).unwrap().seq(), Seq(30));
    });
}

#[test]
fn what_was_answered_is_there_after_a_restart_and_after_a_kill() {
    for parts in [1, 4, 64] {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory, parts);
        let store = RedbStore::open(&settings).unwrap();
        let mut owner = store.claim(parts - 1).unwrap();
        for number in 0..10 {
            let row = put(Space::Run, format!("{number}"), "run");
            commit(&mut *owner, vec![row]).unwrap();
            // The file as a kill at this moment would leave it.
            let abandoned = tempfile::tempdir().unwrap();
            let copy = StoreSettings { data_dir: abandoned.path().into(), ..settings.clone() };
            let file = "ergane.redb";
            std::fs::copy(settings.data_dir.join(file), copy.data_dir.join(file)).unwrap();
            let copy = RedbStore::open(&copy).unwrap();
            let view = copy.read(parts - 1).unwrap();
            assert_eq!(view.seq(), Seq(number + 1));
            assert_eq!(keys(&*view, Space::Run).len() as u64, number + 1);
        }
        drop(store);
        let late = commit(&mut *owner, vec![]);
        assert!(matches!(late, Err(CommitError::NotCommitted(_))), "{late:?}");
        let store = RedbStore::open(&settings).unwrap();
        assert_eq!(keys(&*store.read(parts - 1).unwrap(), Space::Run).len(), 10);
        assert_eq!(store.directory().owners().unwrap(), [(parts - 1, Epoch(1))]);
        assert_eq!(store.claim(parts - 1).unwrap().epoch(), Epoch(2));
        store.close();
    }
}

#[test]
fn a_crash_keeps_what_was_answered_and_fences_every_owner() {
    let store = SimStore::new(1, 4, Faults::NONE);
    let mut owner = store.claim(2).unwrap();
    commit(&mut *owner, vec![put(Space::Run, "a", "1")]).unwrap();
    store.crash();
    let late = commit(&mut *owner, vec![put(Space::Run, "b", "1")]);
    assert_eq!(late, Err(CommitError::Fenced));
    assert_eq!(keys(&*store.read(2).unwrap(), Space::Run), ["a"]);
}

#[test]
fn after_an_unknown_outcome_a_new_claim_tells_whether_it_landed() {
    let store = SimStore::new(7, 4, Faults::SOME);
    let mut owner = store.claim(1).unwrap();
    let (mut landed, mut lost, mut other) = (0, 0, 0);
    let mut expected = Vec::new();
    for number in 0..2_000 {
        let key = format!("{number:05}");
        let before = owner.seq();
        match commit(&mut *owner, vec![put(Space::Journal, &key, "entry")]) {
            Ok(seq) => {
                assert_eq!(seq, Seq(before.0 + 1));
                expected.push(key);
            }
            Err(CommitError::Unknown(_)) => {
                let blind = commit(&mut *owner, vec![put(Space::Journal, &key, "again")]);
                assert!(matches!(blind, Err(CommitError::Unknown(_))));
                owner = store.claim(1).unwrap();
                if owner.seq() > before {
                    landed += 1;
                    expected.push(key);
                } else {
                    lost += 1;
                }
            }
            Err(CommitError::Fenced) => {
                other += 1;
                owner = store.claim(1).unwrap();
                assert_eq!(owner.seq(), before);
            }
            Err(_) => other += 1,
        }
    }
    assert!(landed > 10 && lost > 10 && other > 10, "{landed} {lost} {other}");
    assert_eq!(keys(&*owner.view().unwrap(), Space::Journal), expected);
}

#[test]
fn the_same_seed_fails_in_the_same_way() {
    let outcomes = |seed| {
        let store = SimStore::new(seed, 1, Faults::SOME);
        let tries = (0..200).map(|_| {
            let mut owner = store.claim(0).unwrap();
            commit(&mut *owner, vec![])
        });
        tries.collect::<Vec<_>>()
    };
    assert_eq!(outcomes(5), outcomes(5));
    assert_ne!(outcomes(5), outcomes(6));
}

#[test]
fn a_message_is_taken_once_with_and_without_an_owner() {
    on_every_store(|store, part| {
        let id = |text: &'static str| Bytes::from_static(text.as_bytes());
        assert_eq!(wait(store.inbox_put(part, id("a"), id("first"))), Ok(true));
        assert_eq!(wait(store.inbox_put(part, id("a"), id("second"))), Ok(false));
        let mut owner = store.claim(part).unwrap();
        assert_eq!(owner.seq(), Seq(0), "a message is no commit of the owner");
        assert_eq!(wait(store.inbox_put(part, id("b"), id("other"))), Ok(true));
        let view = owner.view().unwrap();
        assert_eq!(view.get(Space::Inbox, b"a").unwrap(), Some(id("first")));
        assert_eq!(keys(&*view, Space::Inbox), ["a", "b"]);
        commit(&mut *owner, vec![remove(Space::Inbox, "a")]).unwrap();
        assert_eq!(keys(&*owner.view().unwrap(), Space::Inbox), ["b"]);
        let absent = wait(store.inbox_put(part + 1, id("a"), id("first")));
        assert!(matches!(absent, Err(CommitError::NotCommitted(_))));
    });
}

#[test]
fn a_scan_keeps_to_its_bounds_its_direction_and_its_limit() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        let letters = ["a", "b", "bb", "c", "d"];
        let rows = letters.iter().rev().map(|key| put(Space::Timer, key, key)).collect();
        commit(&mut *owner, rows).unwrap();
        let view = owner.view().unwrap();
        let table: [(Range<'_>, usize, &str); 11] = [
            ((Unbounded, Unbounded), 9, "a b bb c d"),
            ((Unbounded, Unbounded), 2, "a b"),
            ((Unbounded, Unbounded), 0, ""),
            ((Included(b"b"), Unbounded), 9, "b bb c d"),
            ((Excluded(b"b"), Unbounded), 9, "bb c d"),
            ((Unbounded, Included(b"c")), 9, "a b bb c"),
            ((Unbounded, Excluded(b"c")), 9, "a b bb"),
            ((Included(b"b"), Included(b"b")), 9, "b"),
            ((Excluded(b"b"), Excluded(b"b")), 9, ""),
            ((Included(b"c"), Included(b"a")), 9, ""),
            ((Included(b"x"), Unbounded), 9, ""),
        ];
        for (range, limit, expected) in table {
            let scan = |direction, limit| {
                let pairs = view.scan(Space::Timer, range, direction, limit).unwrap();
                let text = |(key, value): (Bytes, Bytes)| {
                    assert_eq!(key, value);
                    String::from_utf8(key.to_vec()).unwrap()
                };
                pairs.into_iter().map(text).collect::<Vec<_>>()
            };
            assert_eq!(scan(Direction::Ascending, limit).join(" "), expected);
            let mut all = scan(Direction::Ascending, 9);
            all.reverse();
            all.truncate(limit);
            assert_eq!(scan(Direction::Descending, limit), all);
        }
    });
}

#[test]
fn parts_and_spaces_do_not_see_each_other() {
    on_every_store(|store, last| {
        for part in 0..=last {
            let mut owner = store.claim(part).unwrap();
            for space in [Space::Run, Space::Vis] {
                let value = format!("{part} {space:?}");
                commit(&mut *owner, vec![put(space, "", &value), put(space, [255; 9], &value)])
                    .unwrap();
            }
        }
        for part in 0..=last {
            let view = store.read(part).unwrap();
            assert_eq!(view.seq(), Seq(2));
            for space in [Space::Run, Space::Vis] {
                let value = Bytes::from(format!("{part} {space:?}"));
                let pairs = view.scan(space, ALL, Direction::Descending, 9).unwrap();
                let long = Bytes::from_static(&[255; 9]);
                assert_eq!(pairs, [(long, value.clone()), (Bytes::new(), value)]);
            }
            assert_eq!(view.get(Space::Row, b"").unwrap(), None);
        }
        assert_eq!(store.directory().owners().unwrap().len(), usize::from(last) + 1);
        assert!(matches!(store.claim(last + 1), Err(StoreError::Refused(_))));
        assert!(matches!(store.read(last + 1), Err(StoreError::Refused(_))));
    });
}

#[test]
fn values_are_replaced_and_removed_and_counted() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        // Noise, which no store can make smaller.
        let mut noise = 7_u64;
        let big: Vec<u8> = (0..300_000)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            })
            .collect();
        commit(&mut *owner, vec![put(Space::Row, "a", "1"), put(Space::Blob, "big", &big)])
            .unwrap();
        commit(&mut *owner, vec![put(Space::Row, "a", ""), put(Space::Row, "b", "22")]).unwrap();
        commit(&mut *owner, vec![remove(Space::Row, "b"), remove(Space::Row, "never")]).unwrap();
        let view = owner.view().unwrap();
        assert_eq!(view.get(Space::Row, b"a").unwrap(), Some(Bytes::new()));
        assert_eq!(view.get(Space::Row, b"b").unwrap(), None);
        assert_eq!(view.get(Space::Blob, b"big").unwrap(), Some(Bytes::from(big)));
        let stats = store.admin().stats().unwrap();
        let of = |space| stats.iter().find(|stats| stats.space == space).unwrap();
        assert_eq!((of(Space::Row).rows, of(Space::Row).bytes), (1, 1));
        assert_eq!((of(Space::Blob).rows, of(Space::Blob).bytes), (1, 300_003));
        assert_eq!(store.admin().verify(), Ok(vec![]));
    });
}

#[test]
fn a_batch_over_the_limit_is_refused_and_harms_nothing() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        let bytes_max = store.caps().batch_bytes_max;
        let refused = commit(&mut *owner, vec![put(Space::Blob, "k", vec![0; bytes_max])]);
        assert_eq!(refused, Err(CommitError::TooLarge { bytes: bytes_max + 1, bytes_max }));
        assert_eq!(commit(&mut *owner, vec![put(Space::Blob, "k", "")]), Ok(Seq(1)));
    });
}

#[test]
fn an_owner_whose_commit_was_abandoned_must_claim_again() {
    on_every_store(|store, part| {
        let mut owner = store.claim(part).unwrap();
        wait(async {
            let batch = Batch { mutations: vec![put(Space::Run, "a", "1")] };
            let mut abandoned = owner.commit(batch);
            let once = futures_util::future::poll_immediate(&mut abandoned).await;
            drop(abandoned);
            // The simulated store may be done at once.
            if once.is_none() {
                let next = owner.commit(Batch::default()).await;
                assert!(matches!(next, Err(CommitError::Unknown(_))), "{next:?}");
            }
        });
        let mut owner = store.claim(part).unwrap();
        let seq = owner.seq();
        assert_eq!(commit(&mut *owner, vec![]), Ok(Seq(seq.0 + 1)));
    });
}
