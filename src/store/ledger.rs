//! The transactions of one part: decided in memory one after another, durable in batches.
//!
//! A transaction reads what every earlier one wrote, committed or not, and is over at once; its
//! `Receipt` tells when it is durable. Nothing may leave the process before that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::layer::{Layer, Origin};
use super::seam::{
    CommitError, Direction, Owned, Pair, Part, Range, Space, Store, StoreError, View,
};

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
pub struct Ledger(Rc<RefCell<State>>);

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
        let ledger = Ledger(Rc::new(RefCell::new(state)));
        Ok((ledger.clone(), Committer { ledger, owned, wake }))
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
        let mut tx = Tx { ledger: self, layers: vec![Layer::default()] };
        let value = decide(&mut tx).map_err(Abort::Refused)?;
        let layer = tx.layers.swap_remove(0);
        let mut state = self.0.borrow_mut();
        if layer.is_empty() && state.fresh.is_empty() {
            return Ok((value, state.receipt_of_what_is_flying()));
        }
        state.fresh.absorb(layer);
        state.wake.notify_one();
        Ok((value, Receipt(Rc::clone(&state.batch))))
    }

    /// Returns how many bytes are decided and not yet on their way.
    #[must_use]
    pub fn pressure_bytes(&self) -> usize {
        self.0.borrow().fresh.bytes()
    }
}

impl State {
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
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// How many rows it wrote.
    pub rows: usize,
    /// How long it took.
    pub took: Duration,
}

/// Sends what a ledger has decided to the store, batch after batch.
pub struct Committer {
    ledger: Ledger,
    owned: Box<dyn Owned>,
    wake: Rc<Notify>,
}

impl Committer {
    /// Commits until a commit fails, and returns why; from then on the ledger refuses everything.
    pub async fn run(mut self, mut observe: impl FnMut(Commit)) -> CommitError {
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

    async fn commit_fresh(&mut self, observe: &mut impl FnMut(Commit)) -> Result<(), CommitError> {
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
                state.flying = Layer::default();
                observe(Commit { rows, took: begun.elapsed() });
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
            None => state.view.get(space, key),
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
        let stored = state.view.scan(space, range, direction, limit.saturating_add(removed))?;
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
