//! A store in memory that fails on purpose: seeded, so that every failure can be repeated.

use crate::clock::Clock;
use crate::store::board::Board;
use crate::store::log::LogState;
use crate::store::seam::{
    Admin, Batch, Caps, CommitError, Direction, Directory, Epoch, Health, Mutation, Owned, Pair,
    Part, Range, Seq, Space, SpaceStats, Store, StoreError, TakePortion, View, bounds_cross,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const BATCH_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How often what goes wrong; all of them in thousandths of the commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Another owner takes the part just before.
    pub fenced_permille: u32,
    /// The commit lands and the answer is lost.
    pub unknown_landed_permille: u32,
    /// The commit is lost and the answer as well.
    pub unknown_lost_permille: u32,
    /// The commit is refused.
    pub not_committed_permille: u32,
    /// Before and after taking effect, a commit lets others run up to so many times.
    pub delay_turns_max: u32,
}

impl Faults {
    /// Nothing fails and nothing waits.
    pub const NONE: Faults = Faults {
        fenced_permille: 0,
        unknown_landed_permille: 0,
        unknown_lost_permille: 0,
        not_committed_permille: 0,
        delay_turns_max: 0,
    };
    /// Everything fails now and then, far more often than on any real disk.
    pub const SOME: Faults = Faults {
        fenced_permille: 20,
        unknown_landed_permille: 30,
        unknown_lost_permille: 30,
        not_committed_permille: 50,
        delay_turns_max: 5,
    };
}

/// What one commit will meet.
#[derive(Clone, Copy, Debug)]
struct Fate {
    turns_before: u32,
    turns_after: u32,
    end: End,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Fine,
    Fenced,
    UnknownLanded,
    UnknownLost,
    NotCommitted,
}

/// Small and the same on every machine.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        // Zero is the one state that xorshift never leaves.
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = (self.0 >> 32) * u64::from(end);
        u32::try_from(high >> 32).expect("a product's upper half is below the end")
    }
}

type Rows = Arc<BTreeMap<Bytes, Bytes>>;

/// One part; a snapshot is a copy of it, which shares all rows.
#[derive(Clone, Default)]
struct SimPart {
    epoch: Epoch,
    seq: Seq,
    spaces: [Rows; Space::ALL.len()],
}

struct World {
    random: Random,
    faults: Faults,
    parts: Vec<SimPart>,
    places: HashMap<u32, Part>,
}

impl World {
    fn fate(&mut self) -> Fate {
        let faults = self.faults;
        let mut roll = self.random.below(1_000);
        let mut end = End::Fine;
        for (permille, candidate) in [
            (faults.fenced_permille, End::Fenced),
            (faults.unknown_landed_permille, End::UnknownLanded),
            (faults.unknown_lost_permille, End::UnknownLost),
            (faults.not_committed_permille, End::NotCommitted),
        ] {
            if roll < permille {
                end = candidate;
                break;
            }
            roll -= permille;
        }
        Fate {
            turns_before: self.random.below(faults.delay_turns_max + 1),
            turns_after: self.random.below(faults.delay_turns_max + 1),
            end,
        }
    }

    fn part(&mut self, part: Part) -> &mut SimPart {
        &mut self.parts[usize::from(part)]
    }
}

impl SimPart {
    fn apply(&mut self, batch: Batch) {
        for Mutation { space, key, value } in batch.mutations {
            let rows = Arc::make_mut(&mut self.spaces[space as usize]);
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        self.seq.0 += 1;
    }
}

/// The store in memory; its clones are handles of the same store.
#[derive(Clone)]
pub struct SimStore {
    world: Arc<Mutex<World>>,
    parts: Part,
    board: Arc<Board>,
}

impl SimStore {
    /// Makes an empty store that takes all its chances from `seed`.
    #[must_use]
    pub fn new(seed: u64, parts: Part, faults: Faults) -> SimStore {
        assert!(parts > 0, "a store has at least one part");
        let world = World {
            random: Random::new(seed),
            faults,
            parts: vec![SimPart::default(); usize::from(parts)],
            places: HashMap::new(),
        };
        let board = Arc::new(Board::new(Clock::system(), Duration::MAX));
        SimStore { world: Arc::new(Mutex::new(world)), parts, board }
    }

    /// Changes what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.world.lock().faults = faults;
    }

    /// Does what a killed process does: commits under way are lost, and every owner is fenced.
    pub fn crash(&self) {
        for part in &mut self.world.lock().parts {
            part.epoch.0 += 1;
        }
    }

    /// Fixes in which part a tenant lives.
    ///
    /// # Errors
    /// Fails when the part does not exist.
    pub fn place_tenant(&self, tenant: u32, part: Part) -> Result<(), StoreError> {
        self.check_part(part)?;
        self.world.lock().places.insert(tenant, part);
        Ok(())
    }

    fn check_part(&self, part: Part) -> Result<(), StoreError> {
        if part < self.parts {
            return Ok(());
        }
        let parts = self.parts;
        Err(StoreError::Refused(format!("part {part} does not exist: the store has {parts}")))
    }

    fn snapshot(&self, part: Part) -> Result<Box<dyn View>, StoreError> {
        self.check_part(part)?;
        let view: SimPart = self.world.lock().part(part).clone();
        Ok(Box::new(view))
    }

    async fn put_once(&self, part: Part, id: Bytes, message: Bytes) -> Result<bool, CommitError> {
        self.check_part(part).map_err(|error| CommitError::NotCommitted(error.to_string()))?;
        check_size(id.len() + message.len())?;
        let fate = self.world.lock().fate();
        yield_turns(fate.turns_before).await;
        let new = match fate.end {
            // The inbox needs no owner, so nothing is fenced.
            End::Fine | End::UnknownLanded | End::Fenced => {
                let mut world = self.world.lock();
                let inbox = &mut world.part(part).spaces[Space::Inbox as usize];
                let new = !inbox.contains_key(&id);
                if new {
                    Arc::make_mut(inbox).insert(id, message);
                }
                new
            }
            End::UnknownLost | End::NotCommitted => false,
        };
        yield_turns(fate.turns_after).await;
        match fate.end {
            End::Fine | End::Fenced => Ok(new),
            End::UnknownLanded | End::UnknownLost => Err(unknown()),
            End::NotCommitted => Err(CommitError::NotCommitted("by chance".into())),
        }
    }
}

impl Store for SimStore {
    fn claim(&self, part: Part) -> Result<Box<dyn Owned>, StoreError> {
        self.check_part(part)?;
        let mut world = self.world.lock();
        let state = world.part(part);
        state.epoch.0 += 1;
        let (epoch, seq) = (state.epoch, state.seq);
        drop(world);
        Ok(Box::new(SimOwned { store: self.clone(), part, epoch, seq, in_doubt: false }))
    }

    fn read(&self, part: Part) -> Result<Box<dyn View>, StoreError> {
        self.snapshot(part)
    }

    fn inbox_put(
        &self,
        part: Part,
        id: Bytes,
        message: Bytes,
    ) -> BoxFuture<'static, Result<bool, CommitError>> {
        let store = self.clone();
        Box::pin(async move { store.put_once(part, id, message).await })
    }

    fn health(&self) -> Health {
        Health::Healthy
    }

    fn board(&self) -> &Board {
        &self.board
    }

    fn caps(&self) -> Caps {
        Caps {
            batch_bytes_max: BATCH_BYTES_MAX,
            value_bytes_max: BATCH_BYTES_MAX,
            parts: self.parts,
        }
    }

    fn directory(&self) -> &dyn Directory {
        self
    }

    fn admin(&self) -> &dyn Admin {
        self
    }
}

impl Directory for SimStore {
    fn owners(&self) -> Result<Vec<(Part, Epoch)>, StoreError> {
        let world = self.world.lock();
        let claimed = (0..).zip(&world.parts).filter(|(_, part)| part.epoch > Epoch(0));
        Ok(claimed.map(|(number, part)| (number, part.epoch)).collect())
    }

    fn place(&self, tenant: u32) -> Part {
        let by_default = tenant % u32::from(self.parts);
        let by_default = Part::try_from(by_default).expect("a remainder is below its divisor");
        self.world.lock().places.get(&tenant).copied().unwrap_or(by_default)
    }
}

impl Admin for SimStore {
    fn stats(&self) -> Result<Vec<SpaceStats>, StoreError> {
        let world = self.world.lock();
        let of_space = |space: Space| {
            let mut stats = SpaceStats { space, rows: 0, bytes: 0 };
            for (key, value) in world.parts.iter().flat_map(|part| &*part.spaces[space as usize]) {
                stats.rows += 1;
                stats.bytes += (key.len() + value.len()) as u64;
            }
            stats
        };
        Ok(Space::ALL.into_iter().map(of_space).collect())
    }

    /// Memory is not damaged in ways that a checksum would tell.
    fn verify(&self) -> Result<Vec<StoreError>, StoreError> {
        Ok(Vec::new())
    }

    /// What lives in memory is not kept.
    fn copy(&self, _: TakePortion<'_>) -> Result<(), StoreError> {
        Err(StoreError::Refused("a store in memory has no backup".to_owned()))
    }

    /// It has no log either.
    fn log(&self) -> LogState {
        LogState::default()
    }

    fn renew_log(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// It has no disk.
    fn bytes_on_disk(&self) -> u64 {
        0
    }
}

struct SimOwned {
    store: SimStore,
    part: Part,
    epoch: Epoch,
    seq: Seq,
    in_doubt: bool,
}

impl SimOwned {
    async fn attempt(&self, batch: Batch) -> Result<Seq, CommitError> {
        let fate = self.store.world.lock().fate();
        yield_turns(fate.turns_before).await;
        let outcome = self.take_effect(batch, fate.end);
        yield_turns(fate.turns_after).await;
        outcome
    }

    fn take_effect(&self, batch: Batch, end: End) -> Result<Seq, CommitError> {
        let mut world = self.store.world.lock();
        let part = world.part(self.part);
        if matches!(end, End::Fenced) {
            part.epoch.0 += 1;
        }
        if (part.epoch, part.seq) != (self.epoch, self.seq) {
            return Err(CommitError::Fenced);
        }
        match end {
            End::Fine => {
                part.apply(batch);
                Ok(part.seq)
            }
            End::UnknownLanded => {
                part.apply(batch);
                Err(unknown())
            }
            End::UnknownLost => Err(unknown()),
            End::NotCommitted => Err(CommitError::NotCommitted("by chance".into())),
            End::Fenced => unreachable!("the epoch has just grown"),
        }
    }
}

impl Owned for SimOwned {
    fn part(&self) -> Part {
        self.part
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }

    fn seq(&self) -> Seq {
        self.seq
    }

    fn commit(&mut self, batch: Batch) -> BoxFuture<'_, Result<Seq, CommitError>> {
        Box::pin(async move {
            if self.in_doubt {
                return Err(CommitError::Unknown(
                    "an earlier commit of this owner is in doubt".into(),
                ));
            }
            check_size(batch.bytes())?;
            // Stays so when the caller stops waiting: then nobody was told of the outcome.
            self.in_doubt = true;
            let outcome = self.attempt(batch).await;
            self.in_doubt = matches!(outcome, Err(CommitError::Unknown(_)));
            self.seq = outcome?;
            Ok(self.seq)
        })
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.store.snapshot(self.part)
    }
}

impl View for SimPart {
    fn seq(&self) -> Seq {
        self.seq
    }

    fn get(&self, space: Space, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.spaces[space as usize].get(key).cloned())
    }

    fn scan(
        &self,
        space: Space,
        range: Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<Pair>, StoreError> {
        // The map takes bounds that cross for a mistake.
        if bounds_cross(&range.0, &range.1) {
            return Ok(Vec::new());
        }
        let rows = self.spaces[space as usize].range::<[u8], _>(range);
        let pair = |(key, value): (&Bytes, &Bytes)| (key.clone(), value.clone());
        Ok(match direction {
            Direction::Ascending => rows.map(pair).take(limit).collect(),
            Direction::Descending => rows.rev().map(pair).take(limit).collect(),
        })
    }
}

fn check_size(bytes: usize) -> Result<(), CommitError> {
    if bytes <= BATCH_BYTES_MAX {
        return Ok(());
    }
    Err(CommitError::TooLarge { bytes, bytes_max: BATCH_BYTES_MAX })
}

fn unknown() -> CommitError {
    CommitError::Unknown("the answer was lost by chance".into())
}

/// Lets other tasks run so many times.
async fn yield_turns(turns: u32) {
    let mut left = turns;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
