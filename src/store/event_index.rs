//! Finds the events of one type, and reads of each only what a filter looks at.

use std::fmt;

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::events::{EventKey, event_key, read_key};
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use crate::domain::filter::Sieve;

const OF_KIND: u8 = b'y';
/// Events of one type that came within 64 ms share a row of the index: in a flood it is written
/// once for each commit and not once for each event, and in quiet times it costs one small row.
const SHARED_BITS: u32 = 22;
const PLACE_BYTES: usize = 4;
const PAGE: usize = 512;
/// Events of other types that are read over, for each wanted one, before each is sought by itself.
const READ_OVER: usize = 3;

impl TenantView<'_> {
    /// Returns the keys of the newest events of a type before `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn events_of_kind(
        &self,
        kind: &str,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<EventKey>, StoreError> {
        let prefix = Prefix::new(kind_key(self, kind));
        let mut keys = Vec::new();
        // The row of `before` may hold earlier events as well.
        let mut end = before.map(|key| row_key(self, kind, key.0 >> SHARED_BITS).to_vec_after());
        while keys.len() < limit {
            let range = prefix.before(end.as_deref());
            let rows = self.scan(Space::Vis, range, Direction::Descending, PAGE)?;
            for (row, places) in &rows {
                let block = read_key(Space::Vis, row, &row[prefix.start().len()..])?.0;
                let places = read_places(row, places)?;
                let newest_first = places.rev().map(|place| EventKey(block << SHARED_BITS | place));
                keys.extend(newest_first.filter(|key| before.is_none_or(|before| *key < before)));
            }
            match rows.last() {
                Some((row, _)) if rows.len() == PAGE => end = Some(row.to_vec()),
                _ => break,
            }
        }
        keys.truncate(limit);
        Ok(keys)
    }

    /// Returns the types of the tenant's events that begin with `beginning`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn event_kinds(&self, beginning: &str) -> Result<Vec<String>, StoreError> {
        let base = Key::of(self.tenant()).tag(OF_KIND).bytes(beginning.as_bytes());
        let prefix = Prefix::new(base);
        let start = Key::of(self.tenant()).tag(OF_KIND).done().len();
        let mut kinds: Vec<String> = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let range = prefix.after(after.as_deref());
            let found = self.scan(Space::Vis, range, Direction::Ascending, 1)?;
            let Some((row, _)) = found.first() else { return Ok(kinds) };
            let kind = row[start..].split(|byte| *byte == 0).next().unwrap_or_default();
            let kind = std::str::from_utf8(kind).map_err(|e| damaged(Space::Vis, row, e))?;
            // Jumps over every row of the type that was found.
            after = Some(row_key(self, kind, u64::MAX).done());
            kinds.push(kind.to_owned());
        }
    }

    /// Reads the events at `keys`, newest first, and gives each to `look` as it is stored; one that
    /// is gone is passed over.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record, or as `look` does.
    pub fn each_event(
        &self,
        keys: &[EventKey],
        mut look: impl FnMut(EventKey, &Bytes) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let (Some(newest), Some(oldest)) = (keys.first(), keys.last()) else { return Ok(()) };
        let start = Prefix::new(Key::of(self.tenant())).start().len();
        let (low, high) = (event_key(self, *oldest), event_key(self, *newest));
        let range = (std::ops::Bound::Included(&low[..]), std::ops::Bound::Included(&high[..]));
        let limit = keys.len().saturating_mul(1 + READ_OVER);
        let rows = self.scan(Space::Event, range, Direction::Descending, limit)?;
        let mut wanted = keys.iter().peekable();
        for (row, bytes) in &rows {
            let key = read_key(Space::Event, row, &row[start..])?;
            while wanted.next_if(|wanted| **wanted > key).is_some() {} // Gone.
            if wanted.next_if_eq(&&key).is_some() {
                look(key, bytes)?;
            }
        }
        if rows.len() < limit {
            return Ok(());
        }
        for key in wanted {
            if let Some(bytes) = self.bytes(Space::Event, &event_key(self, *key))? {
                look(*key, &bytes)?;
            }
        }
        Ok(())
    }
}

impl TenantTx<'_, '_> {
    /// Notes where an event of this type stands.
    pub(super) fn index_event(&mut self, kind: &str, key: EventKey) -> Result<(), StoreError> {
        let row = row_key(&self.view(), kind, key.0 >> SHARED_BITS).done();
        let place = (key.0 & ((1 << SHARED_BITS) - 1)) as u32;
        let before = self.view().bytes(Space::Vis, &row)?.unwrap_or_default();
        let mut places = Vec::with_capacity(before.len() + PLACE_BYTES);
        places.extend_from_slice(&before);
        places.extend_from_slice(&place.to_be_bytes());
        self.put(Space::Vis, row, places);
        Ok(())
    }
}

/// Returns what `sieve` lets through of an event as it is stored.
///
/// # Errors
/// Fails on what is no stored event.
pub fn sifted(key: EventKey, bytes: &[u8], sieve: &Sieve) -> Result<Value, StoreError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let event = reader.deserialize_map(Outer(sieve));
    event.map_err(|error| damaged(Space::Event, &key.0.to_be_bytes(), error))
}

/// What stands around an event: when it was received, and what became of it.
struct Outer<'a>(&'a Sieve);

impl<'de> Visitor<'de> for Outer<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a stored event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut event = None;
        while let Some(name) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == "event" {
                event = Some(fields.next_value_seed(self.0)?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        event.ok_or_else(|| A::Error::missing_field("event"))
    }
}

fn kind_key(view: &TenantView<'_>, kind: &str) -> Key {
    Key::of(view.tenant()).tag(OF_KIND).text(kind)
}

fn row_key(view: &TenantView<'_>, kind: &str, block: u64) -> Key {
    kind_key(view, kind).number(block)
}

impl Key {
    /// Returns the first key after this one.
    fn to_vec_after(self) -> Vec<u8> {
        let mut key = self.done();
        key.push(0);
        key
    }
}

fn read_places<'a>(
    row: &[u8],
    places: &'a [u8],
) -> Result<impl DoubleEndedIterator<Item = u64> + use<'a>, StoreError> {
    let (places, rest) = places.as_chunks::<PLACE_BYTES>();
    if !rest.is_empty() {
        return Err(damaged(Space::Vis, row, "not a list of places"));
    }
    Ok(places.iter().map(|place| u64::from(u32::from_be_bytes(*place))))
}
