//! The one seam to a database: ordered bytes in partitions, each with one fenced owner.
//!
//! Eight rules hold for every implementation, and one conformance suite checks them:
//! 1. **Atomic**: a batch is visible entirely or not at all.
//! 2. **Fenced**: after `claim` returned epoch *e*, no commit of an earlier epoch takes effect.
//! 3. **Ordered**: `seq` has no gaps; a view at *n* holds exactly the commits 1..=*n* of its part.
//! 4. **Durable before `Ok`**: what was answered survives a crash and a power cut.
//! 5. **Unknown is explicit**: never retried blindly; `claim` again and compare `seq`.
//! 6. **Reads are snapshots**: an owner's view sees every commit that it was told of.
//! 7. **The inbox is idempotent**: one message per (part, id), also while a part has no owner.
//! 8. **Nothing above knows** tables, transactions or files.

use super::board::Board;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::ops::Bound;
use std::path::PathBuf;

use super::log::LogState;

/// The unit of ownership, order and atomicity.
pub type Part = u16;

/// Grows by one with every change of a part's owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// Counts the commits of a part since it exists, without gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

/// A family of keys; each has its own table where the store has tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Space {
    /// Small facts about a part or a tenant: counters, settings, keys, sessions.
    Meta = 0,
    /// What each run recorded, in order.
    Journal = 1,
    /// One head per run.
    Run = 2,
    /// Deadlines in order of time.
    Timer = 3,
    /// Alarms of tenants in order of time: schedules, windows, service levels, deliveries.
    Cron = 4,
    /// What was already accepted: event ids, idempotency keys.
    Dedupe = 5,
    /// Messages to a part from outside its owner.
    Inbox = 6,
    /// Messages of a part to another.
    Outbox = 7,
    /// The platform's own records: tickets, accounts, workflows …
    Row = 8,
    /// Indexes for lists and searches; the values are empty or tiny.
    Vis = 9,
    /// Large values.
    Blob = 10,
    /// Events as accepted, in order of acceptance.
    Event = 11,
}

impl Space {
    /// Every space.
    pub const ALL: [Space; 12] = [
        Space::Meta,
        Space::Journal,
        Space::Run,
        Space::Timer,
        Space::Cron,
        Space::Dedupe,
        Space::Inbox,
        Space::Outbox,
        Space::Row,
        Space::Vis,
        Space::Blob,
        Space::Event,
    ];
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The family of the key.
    pub space: Space,
    /// The key, without its part.
    pub key: Bytes,
    /// The new value, or `None` to remove the key.
    pub value: Option<Bytes>,
}

/// Changes that become visible and durable together; at most one per key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// In any order.
    pub mutations: Vec<Mutation>,
}

impl Batch {
    /// Returns the bytes of its keys and values.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let of_value = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        self.mutations.iter().map(|row| row.key.len() + of_value(&row.value)).sum()
    }
}

/// Returns whether the bounds leave nothing between them.
#[must_use]
pub fn bounds_cross<K: PartialOrd>(low: &Bound<K>, high: &Bound<K>) -> bool {
    match (low, high) {
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (
            Bound::Included(low) | Bound::Excluded(low),
            Bound::Included(high) | Bound::Excluded(high),
        ) => low >= high,
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

/// Why a commit did not answer `Ok`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// Another owner has the part: stop its subtree now, discard its memory, acknowledge nothing.
    #[error("another owner has claimed this part")]
    Fenced,
    /// Surely not applied; the same batch may be tried again.
    #[error("the commit was not applied: {0}")]
    NotCommitted(String),
    /// In doubt: only a new `claim` tells, by the sequence it returns, whether it landed.
    #[error("the outcome of the commit is unknown: {0}")]
    Unknown(String),
    /// The batch is larger than the store takes.
    #[error("the batch of {bytes} bytes exceeds the {bytes_max} that the store takes")]
    TooLarge {
        /// The batch's size.
        bytes: usize,
        /// The store's limit.
        bytes_max: usize,
    },
}

/// Why the store could not be opened, claimed or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The store exists but cannot be used as it is; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// Another process has it; the text says which and what to do.
    #[error("{0}")]
    InUse(String),
    /// Reading or writing failed; it may work later.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// A record does not match its checksum, its key or its version.
    #[error("the record {space:?} {key} is damaged: {reason}")]
    Damaged {
        /// Where it lies.
        space: Space,
        /// Its key in hexadecimal.
        key: String,
        /// What does not match.
        reason: String,
    },
}

/// Whether the store takes writes, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes work.
    Healthy,
    /// Reads work, writes are refused for the reason given.
    ReadOnly(String),
    /// The file is being opened again after a fault.
    Reopening,
}

/// What an implementation can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The largest batch that it takes.
    pub batch_bytes_max: usize,
    /// The largest value that it takes.
    pub value_bytes_max: usize,
    /// How many parts it has.
    pub parts: Part,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Lowest key first.
    Ascending,
    /// Highest key first.
    Descending,
}

/// A key and its value.
pub type Pair = (Bytes, Bytes);
/// The keys that a scan covers.
pub type Range<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// A database: parts that can be claimed, snapshots that anybody may read.
pub trait Store: Send + Sync + 'static {
    /// Becomes the owner of `part`; the epoch grows by one and any earlier owner is fenced off.
    ///
    /// # Errors
    /// Fails when the store cannot be reached or its file is damaged.
    fn claim(&self, part: Part) -> Result<Box<dyn Owned>, StoreError>;
    /// Returns a snapshot of `part` without owning it.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    fn read(&self, part: Part) -> Result<Box<dyn View>, StoreError>;
    /// Puts a message into the inbox of `part` once per `id`; answers false for a repeat.
    fn inbox_put(
        &self,
        part: Part,
        id: Bytes,
        message: Bytes,
    ) -> BoxFuture<'static, Result<bool, CommitError>>;
    /// Returns whether writes work.
    fn health(&self) -> Health;
    /// Returns the board on which everybody writes what is wrong with the machine.
    fn board(&self) -> &Board;
    /// Returns what this implementation can do.
    fn caps(&self) -> Caps;
    /// Returns who owns what and where tenants live.
    fn directory(&self) -> &dyn Directory;
    /// Returns the operations of an administrator.
    fn admin(&self) -> &dyn Admin;
}

/// The right to write one part; there is one live holder, and `commit` needs it exclusively.
pub trait Owned: Send {
    /// Returns the part.
    fn part(&self) -> Part;
    /// Returns the epoch under which it was claimed.
    fn epoch(&self) -> Epoch;
    /// Returns the number of the last commit.
    fn seq(&self) -> Seq;
    /// Makes `batch` durable, all or nothing, if this is still the owner; `seq` grows by one.
    fn commit(&mut self, batch: Batch) -> BoxFuture<'_, Result<Seq, CommitError>>;
    /// Returns a snapshot that holds every commit that this owner was told of.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    fn view(&self) -> Result<Box<dyn View>, StoreError>;
}

/// A consistent snapshot of one part. Reads are synchronous: a remote store loads ahead and lets
/// the transaction run again when a key was not there, so that the logic above never waits inside.
pub trait View: Send {
    /// Returns the number of the last commit that it holds.
    fn seq(&self) -> Seq;
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

/// Who owns what. The embedded store answers "me" for everything.
pub trait Directory: Send + Sync {
    /// Returns every part with its epoch, as far as it was ever claimed.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    fn owners(&self) -> Result<Vec<(Part, Epoch)>, StoreError>;
    /// Returns the home part of a tenant: where it was placed, else where it would be.
    fn place(&self, tenant: u32) -> Part;
}

/// What a store tells and does for an administrator.
pub trait Admin: Send + Sync {
    /// Returns the rows and bytes of each space.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    fn stats(&self) -> Result<Vec<SpaceStats>, StoreError>;
    /// Reads everything and returns each damaged record.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    fn verify(&self) -> Result<Vec<StoreError>, StoreError>;
    /// Hands over everything that the store holds at this moment, of all parts together.
    ///
    /// # Errors
    /// Fails when the store cannot be read, or as `take` does.
    fn copy(&self, take: TakePortion<'_>) -> Result<(), StoreError>;
    /// Returns how the log fares.
    fn log(&self) -> LogState;
    /// Lets the log begin anew if it is off; a copy that is taken afterwards is its base.
    ///
    /// # Errors
    /// Fails when the store takes no writes.
    fn renew_log(&self) -> Result<(), StoreError>;
    /// Returns the size of the store on disk.
    fn bytes_on_disk(&self) -> u64;
    /// Hands the keys of at most `rows_max` rows after `from` to `take`, each with the bytes that
    /// it takes as it is stored, and returns where to go on; `None` when all were seen.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    fn survey(
        &self,
        from: Option<&SurveyPlace>,
        rows_max: usize,
        take: &mut dyn FnMut(Space, &[u8], u64),
    ) -> Result<Option<SurveyPlace>, StoreError> {
        let _ = (from, rows_max, take);
        Ok(None)
    }
    /// Returns the directory of the store's files; a store without files has none.
    fn directory_on_disk(&self) -> Option<PathBuf> {
        None
    }
    /// Writes the store anew, without what is free in it, while it serves; takes its time and a
    /// thread of its own.
    ///
    /// # Errors
    /// `Refused` when it cannot be done as things are, `Unavailable` when it failed; either way
    /// the store is as before.
    fn compact(&self) -> Result<Compacted, StoreError> {
        Err(StoreError::Refused("this store has no file to compact".to_owned()))
    }
    /// Breaks off what goes on beside the serving, for a stop.
    fn stop_side_work(&self) {}
}

/// Where a survey goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyPlace {
    /// The space.
    pub space: Space,
    /// The last key that was seen there, as it is stored; empty for none.
    pub key: Vec<u8>,
}

/// What a compaction came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// The size of the file before, in bytes.
    pub bytes_before: u64,
    /// The size of the file after, in bytes.
    pub bytes_after: u64,
    /// How many rows were copied, those that changed meanwhile included.
    pub rows: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The longest time that commits stood still for it, in microseconds.
    pub pause_us: u64,
}

/// Is handed a store, portion by portion.
pub type TakePortion<'a> = &'a mut dyn FnMut(Portion<'_>) -> Result<(), StoreError>;

/// What a copy of a store is made of: its layout once, then each row in order of table and key.
#[derive(Clone, Debug)]
pub enum Portion<'a> {
    /// What the store is.
    Layout(Layout),
    /// A row as it is stored, under its part and with its checksum.
    Row {
        /// The number of its table: of a space, or of a table of the store's own.
        table: u8,
        /// The stored key.
        key: &'a [u8],
        /// The stored value.
        value: &'a [u8],
    },
}

/// What a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The layout of tables and records.
    pub format: u32,
    /// The version that made it.
    pub written_by: String,
    /// How many parts it has.
    pub parts: Part,
    /// How many parts it had at first.
    pub parts_at_first: Part,
}

/// How much one space holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceStats {
    /// The family of keys.
    pub space: Space,
    /// How many keys it has.
    pub rows: u64,
    /// The bytes of its keys and values.
    pub bytes: u64,
}
