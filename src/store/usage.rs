//! How much a tenant keeps: bytes and rows of each kind, counted in the transactions that change it.

use super::codec::{self, Decode, Encode};
use super::family::{Meta, Row};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use super::webhooks::{CONFIGURED, WEBHOOK};

const USED: u8 = Meta::Used as u8;
/// The spaces whose bytes are counted; what the others hold are indexes to these, and grow with them.
const COUNTED: [Space; 4] = [Space::Row, Space::Event, Space::Journal, Space::Blob];
const UNCOUNTED: u8 = 0;
const TENANT_BYTES: usize = 4;
const CHUNK: usize = 1_000;

/// What a tenant keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Used {
    /// Bytes of its events, journals and rows, keys included; indexes come on top.
    pub bytes: u64,
    /// Rows by the letter of their family.
    rows: Vec<(u8, u64)>,
}

/// A kind of thing that a tenant may have so many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Workflows.
    Workflows,
    /// Connections.
    Connections,
    /// Secrets.
    Secrets,
    /// Webhook subscriptions.
    Webhooks,
    /// Event types of its own.
    EventTypes,
    /// Records of every kind.
    Records,
}

impl Kept {
    /// Every kind.
    pub const ALL: [Kept; 6] = [
        Kept::Workflows,
        Kept::Connections,
        Kept::Secrets,
        Kept::Webhooks,
        Kept::EventTypes,
        Kept::Records,
    ];

    const fn letter(self) -> u8 {
        match self {
            Kept::Workflows => Row::Workflow as u8,
            Kept::Connections => Row::Connection as u8,
            Kept::Secrets => Row::Secret as u8,
            Kept::Webhooks => WEBHOOK,
            Kept::EventTypes => Row::EventType as u8,
            Kept::Records => Row::Record as u8,
        }
    }
}

impl Used {
    /// Returns how many of a kind there are.
    #[must_use]
    pub fn of(&self, kind: Kept) -> u64 {
        let found = self.rows.iter().find(|(letter, _)| *letter == kind.letter());
        found.map_or(0, |(_, count)| *count)
    }

    fn add(&mut self, change: &UseChange) {
        self.bytes = self.bytes.saturating_add_signed(change.bytes);
        for (letter, delta) in &change.rows {
            match self.rows.iter_mut().find(|(known, _)| known == letter) {
                Some((_, count)) => *count = count.saturating_add_signed(*delta),
                None => self.rows.push((*letter, delta.max(&0).unsigned_abs())),
            }
        }
    }
}

/// What one transaction adds to what is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct UseChange {
    bytes: i64,
    rows: Vec<(u8, i64)>,
}

impl UseChange {
    pub(super) fn absorb(&mut self, other: &UseChange) {
        self.bytes += other.bytes;
        for (letter, delta) in &other.rows {
            self.count(*letter, *delta);
        }
    }

    /// Notes that the value of a key took `before` bytes and takes `after`; none is no key.
    pub(super) fn note(
        &mut self,
        (space, key): (Space, &[u8]),
        before: Option<usize>,
        after: Option<usize>,
    ) {
        let size = |value: Option<usize>| value.map_or(0, |bytes| (bytes + key.len()) as i64);
        self.bytes += size(after) - size(before);
        let delta = i64::from(after.is_some()) - i64::from(before.is_some());
        if space == Space::Row && delta != 0 {
            self.count(letter_of(key), delta);
        }
    }

    fn count(&mut self, letter: u8, delta: i64) {
        match self.rows.iter_mut().find(|(known, _)| *known == letter) {
            Some((_, sum)) => *sum += delta,
            None => self.rows.push((letter, delta)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && self.rows.iter().all(|(_, delta)| *delta == 0)
    }
}

/// Returns the letter that a row is counted under.
fn letter_of(key: &[u8]) -> u8 {
    match key.get(TENANT_BYTES..) {
        // Each subscription has further rows, which say how it fares.
        Some([WEBHOOK, what, ..]) if *what != CONFIGURED => UNCOUNTED,
        Some([family, ..]) => *family,
        Some([]) | None => UNCOUNTED, // No row is spelled so.
    }
}

/// Returns whether the bytes of a space are counted.
pub(super) fn is_counted(space: Space) -> bool {
    COUNTED.contains(&space)
}

impl TenantView<'_> {
    /// Returns what the tenant keeps; `None` where it was never counted.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn used(&self) -> Result<Option<Used>, StoreError> {
        let key = Key::of(self.tenant()).tag(USED).done();
        let Some(bytes) = self.bytes(Space::Meta, &key)? else { return Ok(None) };
        codec::decode(&bytes).map(Some).map_err(|error| damaged(Space::Meta, &key, error))
    }

    fn measured(&self) -> Result<Used, StoreError> {
        let mut all = UseChange::default();
        for space in COUNTED {
            let prefix = Prefix::new(Key::of(self.tenant()));
            let mut after: Option<Vec<u8>> = None;
            loop {
                let range = match &after {
                    None => prefix.range(),
                    Some(key) => prefix.after(Some(key)),
                };
                let chunk = self.scan(space, range, Direction::Ascending, CHUNK)?;
                for (key, value) in &chunk {
                    all.note((space, key), None, Some(value.len()));
                }
                match chunk.last() {
                    Some((key, _)) if chunk.len() == CHUNK => after = Some(key.to_vec()),
                    _ => break, // That was the last.
                }
            }
        }
        let mut used = Used::default();
        used.add(&all);
        Ok(used)
    }
}

impl TenantTx<'_, '_> {
    /// Counts everything anew, once: in a file from before anything was counted.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn begin_counting(&mut self) -> Result<(), StoreError> {
        if self.view().used()?.is_none() {
            let used = self.view().measured()?;
            self.put_used(&used);
        }
        Ok(())
    }

    /// Returns how many of a kind there will be after this transaction, if that is more than before.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn grown(&mut self, kind: Kept) -> Result<Option<u64>, StoreError> {
        let change = &self.tally().kept;
        let found = change.rows.iter().find(|(letter, _)| *letter == kind.letter());
        let delta = found.map_or(0, |(_, delta)| *delta);
        if delta <= 0 {
            return Ok(None);
        }
        let before = self.view().used()?.unwrap_or_default().of(kind);
        Ok(Some(before.saturating_add_signed(delta)))
    }

    /// Writes what has changed, and returns what is kept now if anything has.
    pub(super) fn write_used(&mut self, change: &UseChange) -> Result<Option<Used>, StoreError> {
        if change.is_empty() {
            return Ok(None);
        }
        let mut used = self.view().used()?.unwrap_or_default();
        used.add(change);
        self.put_used(&used);
        Ok(Some(used))
    }

    fn put_used(&mut self, used: &Used) {
        let key = Key::of(self.tenant()).tag(USED).done();
        self.put(Space::Meta, key, codec::encode(used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKFLOW: &[u8] = b"\0\0\0\x01Wname\0";

    #[test]
    fn what_is_written_replaced_and_removed_leaves_what_is_there() {
        let mut change = UseChange::default();
        change.note((Space::Row, WORKFLOW), None, Some(100));
        change.note((Space::Row, WORKFLOW), Some(100), Some(60));
        change.note((Space::Event, b"\0\0\0\x01e"), None, Some(10));
        let mut used = Used::default();
        used.add(&change);
        assert_eq!((used.bytes, used.of(Kept::Workflows)), (60 + 10 + 10 + 5, 1));
        let mut removal = UseChange::default();
        removal.note((Space::Row, WORKFLOW), Some(60), None);
        used.add(&removal);
        assert_eq!((used.bytes, used.of(Kept::Workflows), used.of(Kept::Records)), (15, 0, 0));
    }

    #[test]
    fn a_subscription_counts_once_however_many_rows_it_has() {
        let mut change = UseChange::default();
        change.note((Space::Row, b"\0\0\0\x01Ocw1\0"), None, Some(1));
        change.note((Space::Row, b"\0\0\0\x01Osw1\0"), None, Some(1));
        let mut used = Used::default();
        used.add(&change);
        assert_eq!(used.of(Kept::Webhooks), 1);
    }
}
