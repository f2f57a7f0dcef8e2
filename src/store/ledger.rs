//! The transactions of one part: decided in memory one after another, durable in batches.
//!
//! A transaction reads what every earlier one wrote, committed or not, and is over at once; its
//! `Receipt` tells when it is durable. Nothing may leave the process before that.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::layer::{Layer, Origin};
use super::seam::{
    CommitError, Direction, Owned, Pair, Part, Range, Space, Store, StoreError, View,
};
use crate::domain::id::{RunId, TenantId};

/// How often the committer lets other work on its thread go first, so that the steps of a run
/// that are ready join the batch of the event that started it.
const YIELDS_BEFORE_COMMIT: usize = 6;

/// Anything that can be read by key: a transaction, or a snapshot.
pub trait Reads {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError>;
    /// Returns at most `limit` pairs of a range in order.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError>;
}

/// What is committed, seen at one moment.
pub struct Snapshot(Box<dyn View>);

impl Snapshot {
    /// Opens a snapshot of `part`.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    pub fn of(store: &dyn Store, part: Part) -> Result<Snapshot, StoreError> {
        store.read(part).map(Snapshot)
    }
}

impl Reads for Snapshot {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.get(space, key)
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        self.0.scan(space, range, direction, limit)
    }
}

/// The only writer of one part; cheap to clone on its own thread.
#[derive(Clone)]
pub struct Ledger(Rc<RefCell<State>>, Rc<Cell<Gate>>);

/// Whether whoever holds a ledger may use it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Gate {
    #[default]
    Open,
    Shut,
}

struct State {
    view: Box<dyn View>,
    /// Decided since the last batch was sent.
    fresh: Layer,
    /// On its way to the disk.
    flying: Layer,
    batch: Rc<BatchFate>,
    wake: Rc<Notify>,
    failed: Option<CommitError>,
}

#[derive(Default)]
struct BatchFate {
    outcome: RefCell<Option<Result<(), CommitError>>>,
    settled: Notify,
}

impl BatchFate {
    fn settle(&self, outcome: Result<(), CommitError>) {
        *self.outcome.borrow_mut() = Some(outcome);
        self.settled.notify_waiters();
    }
}

/// Tells when a transaction is durable.
pub struct Receipt(Rc<BatchFate>);

impl Receipt {
    /// Waits until the transaction is durable.
    ///
    /// # Errors
    /// Returns why its batch was not committed, or that this is unknown.
    pub async fn durable(self) -> Result<(), CommitError> {
        loop {
            let settled = self.0.settled.notified();
            if let Some(outcome) = self.0.outcome.borrow().clone() {
                return outcome;
            }
            settled.await;
        }
    }
}

/// Why a transaction came to nothing.
#[derive(Debug)]
pub enum Abort<E> {
    /// What it decided itself; nothing was written.
    Refused(E),
    /// The ledger has failed and will take nothing more.
    Closed(CommitError),
}

impl Ledger {
    /// Opens the ledger of a part that was claimed; the committer must be run on the same thread.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn open(owned: Box<dyn Owned>) -> Result<(Ledger, Committer), StoreError> {
        let wake = Rc::new(Notify::new());
        let state = State {
            view: owned.view()?,
            fresh: Layer::default(),
            flying: Layer::default(),
            batch: Rc::default(),
            wake: Rc::clone(&wake),
            failed: None,
        };
        let ledger = Ledger(Rc::new(RefCell::new(state)), Rc::default());
        Ok((ledger.clone(), Committer { ledger, owned, wake }))
    }

    /// Returns the same ledger for one tenant: it can be taken from its holders alone.
    #[must_use]
    pub fn of_tenant(&self) -> Ledger {
        Ledger(Rc::clone(&self.0), Rc::default())
    }

    /// Lets whoever holds this ledger, or a clone of it, decide nothing more.
    pub fn shut(&self) {
        self.1.set(Gate::Shut);
    }

    /// Runs `decide` on everything decided so far; its writes stand unless it refuses.
    ///
    /// # Errors
    /// Returns the refusal of `decide`, or that the ledger is closed.
    pub fn transact<T, E>(
        &self,
        decide: impl FnOnce(&mut Tx) -> Result<T, E>,
    ) -> Result<(T, Receipt), Abort<E>> {
        if let Some(error) = &self.0.borrow().failed {
            return Err(Abort::Closed(error.clone()));
        }
        if self.1.get() == Gate::Shut {
            let detail = "the tenant is closed".to_owned();
            return Err(Abort::Closed(CommitError::NotCommitted(detail)));
        }
        let mut tx = Tx { ledger: self, layers: vec![Layer::default()] };
        let value = decide(&mut tx).map_err(Abort::Refused)?;
        let layer = tx.layers.swap_remove(0);
        Ok((value, self.enter(layer)))
    }

    fn enter(&self, layer: Layer) -> Receipt {
        let mut state = self.0.borrow_mut();
        if layer.is_empty() && state.fresh.is_empty() {
            return state.receipt_of_what_is_flying();
        }
        state.fresh.absorb(layer);
        state.wake.notify_one();
        Receipt(Rc::clone(&state.batch))
    }

    /// Returns how many bytes are decided and not yet on their way.
    #[must_use]
    pub fn pressure_bytes(&self) -> usize {
        self.0.borrow().fresh.bytes()
    }
}

impl State {
    /// Passes on what the snapshot answered. One that cannot be read belongs to a file that was
    /// opened again since, perhaps without any commit of ours that failed: the committer takes
    /// another.
    fn told<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if matches!(answer, Err(StoreError::Unavailable(_))) {
            self.wake.notify_one();
        }
        answer
    }

    /// A transaction that wrote nothing may still have read what is on its way to the disk.
    fn receipt_of_what_is_flying(&mut self) -> Receipt {
        if !self.flying.is_empty() {
            self.wake.notify_one();
            return Receipt(Rc::clone(&self.batch));
        }
        let fate = BatchFate::default();
        fate.settle(Ok(()));
        Receipt(Rc::new(fate))
    }
}

/// One commit that succeeded.
pub struct Commit<'a> {
    /// How many rows it wrote.
    pub rows: usize,
    /// How long it took.
    pub took: Duration,
    layer: &'a Layer,
}

/// What somebody may watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moved {
    /// The events of a tenant.
    Events(TenantId),
    /// A run of a tenant.
    Run(TenantId, RunId),
    /// What waits for the workers of a tenant.
    Tasks(TenantId),
    /// Any event and any run of a tenant.
    Any(TenantId),
}

impl Commit<'_> {
    /// Returns the runs that it wrote and the tenants whose events it wrote, each once.
    #[must_use]
    pub fn moved(&self) -> BTreeSet<Moved> {
        let tenant = |key: &[u8]| key.first_chunk().map(|id| TenantId(u32::from_be_bytes(*id)));
        let events = self.layer.keys(Space::Event);
        let events = events.filter_map(|key| tenant(key).map(Moved::Events));
        let runs = self.layer.keys(Space::Run).filter_map(|key| {
            let run = RunId::from_bytes(*key.last_chunk()?);
            tenant(key).map(|tenant| Moved::Run(tenant, run))
        });
        let queues = self.layer.keys(Space::Vis).filter(|key| super::tasks::is_of_queue(key));
        let tasks = queues.filter_map(|key| tenant(key).map(Moved::Tasks));
        let all = self.layer.keys(Space::Event).chain(self.layer.keys(Space::Run));
        let all = all.filter_map(|key| tenant(key).map(Moved::Any));
        events.chain(runs).chain(tasks).chain(all).collect()
    }
}

/// Sends what a ledger has decided to the store, batch after batch.
pub struct Committer {
    ledger: Ledger,
    owned: Box<dyn Owned>,
    wake: Rc<Notify>,
}

impl Committer {
    /// Commits until a commit fails, and returns why; from then on the ledger refuses everything.
    pub async fn run(mut self, mut observe: impl FnMut(Commit<'_>)) -> CommitError {
        loop {
            self.wake.notified().await;
            for _ in 0..YIELDS_BEFORE_COMMIT {
                tokio::task::yield_now().await;
            }
            if let Err(error) = self.commit_fresh(&mut observe).await {
                return error;
            }
        }
    }

    async fn commit_fresh(
        &mut self,
        observe: &mut impl FnMut(Commit<'_>),
    ) -> Result<(), CommitError> {
        let (batch, fate) = {
            let mut state = self.ledger.0.borrow_mut();
            state.flying = std::mem::take(&mut state.fresh);
            (state.flying.to_batch(), std::mem::take(&mut state.batch))
        };
        let rows = batch.mutations.len();
        let begun = Instant::now();
        let outcome = if rows == 0 { Ok(()) } else { self.owned.commit(batch).await.map(|_| ()) };
        let outcome = outcome.and_then(|()| {
            self.owned.view().map_err(|error| CommitError::Unknown(error.to_string()))
        });
        let mut state = self.ledger.0.borrow_mut();
        match outcome {
            Ok(view) => {
                state.view = view;
                let layer = &std::mem::take(&mut state.flying);
                observe(Commit { rows, took: begun.elapsed(), layer });
                fate.settle(Ok(()));
                Ok(())
            }
            Err(error) => {
                state.failed = Some(error.clone());
                fate.settle(Err(error.clone()));
                state.batch.settle(Err(error.clone()));
                Err(error)
            }
        }
    }
}

/// One transaction; what it writes is seen by its own reads at once.
pub struct Tx<'a> {
    ledger: &'a Ledger,
    layers: Vec<Layer>,
}

impl Tx<'_> {
    /// Writes a key that may exist.
    pub fn put(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.top().put(space, key.into(), value.into(), Origin::Any);
    }

    /// Writes a key that does not exist yet.
    pub fn put_new(&mut self, space: Space, key: impl Into<Bytes>, value: impl Into<Bytes>) {
        self.top().put(space, key.into(), value.into(), Origin::New);
    }

    /// Removes a key.
    pub fn remove(&mut self, space: Space, key: impl Into<Bytes>) {
        let key = key.into();
        self.top().remove(space, key);
    }

    /// Runs `attempt`; what it wrote is taken back when it fails.
    ///
    /// # Errors
    /// Returns the failure of `attempt`.
    pub fn savepoint<T, E>(
        &mut self,
        attempt: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let depth = self.layers.len();
        self.layers.push(Layer::default());
        let outcome = attempt(self);
        self.layers.truncate(depth + 1);
        let layer = self.layers.pop().expect("the savepoint's layer was pushed above");
        if outcome.is_ok() {
            self.top().absorb(layer);
        }
        outcome
    }

    /// Takes back what a savepoint wrote that was left by a panic.
    pub fn unwind_to(&mut self, depth: usize) {
        self.layers.truncate(depth.max(1));
    }

    /// Returns how many savepoints are open, for `unwind_to`.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    fn top(&mut self) -> &mut Layer {
        self.layers.last_mut().expect("a transaction has at least one layer")
    }
}

impl Reads for Tx<'_> {
    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if let Some(slot) = self.layers.iter().rev().find_map(|layer| layer.get(space, key)) {
            return Ok(slot.value.clone());
        }
        let state = self.ledger.0.borrow();
        match state.fresh.get(space, key).or_else(|| state.flying.get(space, key)) {
            Some(slot) => Ok(slot.value.clone()),
            None => state.told(state.view.get(space, key)),
        }
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        let state = self.ledger.0.borrow();
        let mut changed = BTreeMap::new();
        let below = [&state.flying, &state.fresh];
        for layer in below.into_iter().chain(&self.layers) {
            layer.overlay(space, range, &mut changed);
        }
        let removed = changed.values().filter(|value| value.is_none()).count();
        let limit_below = limit.saturating_add(removed);
        let stored = state.told(state.view.scan(space, range, direction, limit_below))?;
        let mut merged: BTreeMap<Bytes, Option<Bytes>> =
            stored.into_iter().map(|(key, value)| (key, Some(value))).collect();
        merged.extend(changed);
        let kept = merged.into_iter().filter_map(|(key, value)| Some((key, value?)));
        Ok(match direction {
            Direction::Ascending => kept.take(limit).collect(),
            Direction::Descending => kept.rev().take(limit).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::seam::{Batch, Epoch, Seq};
    use crate::store::sim::{Faults, SimStore};
    use futures_util::future::BoxFuture;
    use std::ops::Bound;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    struct Chance(u64);

    impl Chance {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    fn change(tx: &mut Tx, model: &mut Model, chance: &mut Chance) {
        let key = vec![chance.below(24) as u8];
        let value = vec![chance.below(250) as u8];
        match chance.below(3) {
            0 => {
                tx.remove(Space::Row, key.clone());
                model.remove(&key);
            }
            1 if !model.contains_key(&key) => {
                tx.put_new(Space::Row, key.clone(), value.clone());
                model.insert(key, value);
            }
            _ => {
                tx.put(Space::Row, key.clone(), value.clone());
                model.insert(key, value);
            }
        }
    }

    fn check(tx: &Tx, model: &Model, chance: &mut Chance) {
        let (low, high) = (vec![chance.below(24) as u8], vec![chance.below(30) as u8]);
        let limit = chance.below(12) as usize;
        let range = (Bound::Included(low.as_slice()), Bound::Excluded(high.as_slice()));
        let within = model.iter().filter(|(key, _)| **key >= low && **key < high);
        let mut wanted: Vec<_> = within.map(|(key, value)| (key.clone(), value.clone())).collect();
        for direction in [Direction::Ascending, Direction::Descending] {
            let found = tx.scan(Space::Row, range, direction, limit).expect("readable");
            let found: Vec<_> = found.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
            assert_eq!(found, wanted.iter().take(limit).cloned().collect::<Vec<_>>());
            wanted.reverse();
        }
        let found = tx.get(Space::Row, &low).expect("readable");
        assert_eq!(found.map(|value| value.to_vec()).as_ref(), model.get(&low));
    }

    /// A store whose file can be opened again, which closes every snapshot taken before.
    struct Reopened {
        owned: Box<dyn Owned>,
        times: Arc<AtomicU32>,
    }

    struct OfItsTime {
        view: Box<dyn View>,
        born: u32,
        times: Arc<AtomicU32>,
    }

    impl Owned for Reopened {
        fn part(&self) -> Part {
            self.owned.part()
        }

        fn epoch(&self) -> Epoch {
            self.owned.epoch()
        }

        fn seq(&self) -> Seq {
            self.owned.seq()
        }

        fn commit(&mut self, batch: Batch) -> BoxFuture<'_, Result<Seq, CommitError>> {
            self.owned.commit(batch)
        }

        fn view(&self) -> Result<Box<dyn View>, StoreError> {
            let (view, times) = (self.owned.view()?, Arc::clone(&self.times));
            Ok(Box::new(OfItsTime { view, born: times.load(Ordering::SeqCst), times }))
        }
    }

    impl OfItsTime {
        fn is_open(&self) -> Result<(), StoreError> {
            match self.times.load(Ordering::SeqCst) == self.born {
                true => Ok(()),
                false => Err(StoreError::Unavailable("the file was closed".into())),
            }
        }
    }

    impl View for OfItsTime {
        fn seq(&self) -> Seq {
            self.view.seq()
        }

        fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
            self.is_open()?;
            self.view.get(space, key)
        }

        fn scan(
            &self,
            space: Space,
            range: Range<'_>,
            direction: Direction,
            limit: usize,
        ) -> Result<Vec<Pair>, StoreError> {
            self.is_open()?;
            self.view.scan(space, range, direction, limit)
        }
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_file_opened_again_between_two_commits_is_read_again() {
        let local = tokio::task::LocalSet::new();
        let test = async {
            let times = Arc::new(AtomicU32::new(0));
            let owned = SimStore::new(7, 1, Faults::NONE).claim(0).expect("claimed");
            let owned = Box::new(Reopened { owned, times: Arc::clone(&times) });
            let (ledger, committer) = Ledger::open(owned).expect("opened");
            let _committing = tokio::task::spawn_local(committer.run(|_| ()));
            let written = ledger.transact(|tx| {
                tx.put(Space::Row, "key", "value");
                Ok::<_, StoreError>(())
            });
            let Ok(((), receipt)) = written else { panic!("it is open") };
            receipt.durable().await.expect("durable");
            let read = || ledger.transact(|tx| tx.get(Space::Row, b"key"));
            times.fetch_add(1, Ordering::SeqCst);
            assert!(matches!(read(), Err(Abort::Refused(StoreError::Unavailable(_)))));
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            let Ok((value, _)) = read() else { panic!("the snapshot is still the closed one") };
            assert_eq!(value.as_deref(), Some(b"value".as_slice()));
        };
        local.run_until(test).await;
    }

    async fn play(seed: u64) {
        let store = SimStore::new(seed, 1, Faults::NONE);
        let owned = store.claim(0).expect("claimed");
        let (ledger, committer) = Ledger::open(owned).expect("opened");
        let committing = tokio::task::spawn_local(committer.run(|_| ()));
        let (mut chance, mut model) = (Chance(seed | 1), Model::new());
        for _ in 0..80 {
            let mut after = model.clone();
            let refuse = chance.below(4) == 0;
            let outcome = ledger.transact(|tx| {
                for _ in 0..chance.below(4) {
                    change(tx, &mut after, &mut chance);
                }
                let mut inner = after.clone();
                let kept = tx.savepoint(|tx| {
                    change(tx, &mut inner, &mut chance);
                    if chance.below(2) == 0 { Ok(()) } else { Err(()) }
                });
                if kept.is_ok() {
                    after = inner;
                }
                check(tx, &after, &mut chance);
                if refuse { Err(()) } else { Ok(()) }
            });
            match outcome {
                Ok(((), receipt)) => {
                    model = after;
                    if chance.below(3) == 0 {
                        receipt.durable().await.expect("durable");
                    }
                }
                Err(abort) => assert!(matches!(abort, Abort::Refused(())) && refuse),
            }
            if chance.below(3) == 0 {
                tokio::task::yield_now().await;
            }
        }
        let ((), receipt) = ledger.transact(|_| Ok::<_, ()>(())).expect("open");
        receipt.durable().await.expect("durable");
        let view = Snapshot::of(&store, 0).expect("a snapshot");
        let range = (Bound::Unbounded, Bound::Unbounded);
        let rows = view.scan(Space::Row, range, Direction::Ascending, 99).expect("readable");
        let rows: Model = rows.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        assert_eq!(rows, model, "seed {seed}");
        committing.abort();
    }

    #[test]
    fn a_ledger_reads_like_one_map_whatever_is_on_its_way_to_the_disk() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for seed in 1..400u64 {
            tokio::task::LocalSet::new()
                .block_on(&runtime, play(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
        }
    }
}
