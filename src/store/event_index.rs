//! Finds the events of one type, and reads of each only what a filter looks at.

use std::fmt;
use std::ops::Bound;

use bytes::Bytes;
use serde::Deserializer as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::events::{EventKey, event_key, read_key};
use super::family::Vis;
use super::key::{Key, Prefix};
use super::redb_store::{NewRows, ReadRow};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use crate::domain::filter::Sieve;
use crate::domain::id::TenantId;

const OF_KIND: u8 = Vis::EventOfKind as u8;
/// Events of one type that came within 64 ms share a row of the index: in a flood it is written
/// once for each commit and not once for each event, and in quiet times it costs one small row.
const SHARED_BITS: u32 = 22;
const PLACE_BYTES: usize = 4;
const PAGE: usize = 512;
/// How many events are read at once at first, and at most.
const STRIDE: usize = 64;
const STRIDE_MAX: usize = 512;

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
        let mut end = before.map(|key| row_key(self, kind, (key.0 >> SHARED_BITS) + 1).done());
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
        let Some(oldest) = keys.last() else { return Ok(()) };
        let start = Prefix::new(Key::of(self.tenant())).start().len();
        let low = event_key(self, *oldest);
        let (mut wanted, mut stride) = (keys, STRIDE);
        while let Some(next) = wanted.first() {
            let high = event_key(self, *next);
            let range = (Bound::Included(&low[..]), Bound::Included(&high[..]));
            let rows = self.scan(Space::Event, range, Direction::Descending, stride)?;
            let mut hits = 0;
            for (row, bytes) in &rows {
                let key = read_key(Space::Event, row, &row[start..])?;
                let gone = wanted.iter().take_while(|wanted| **wanted > key).count();
                wanted = &wanted[gone..];
                if wanted.first() == Some(&key) {
                    look(key, bytes)?;
                    wanted = &wanted[1..];
                    hits += 1;
                }
            }
            if rows.len() < stride {
                return Ok(());
            }
            // Neighbours are read together, and what lies alone by itself.
            stride = match hits {
                hits if hits == stride => (stride * 2).min(STRIDE_MAX),
                hits if hits * 2 < stride => (stride / 4).max(1),
                _ => stride,
            };
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

/// Returns the row of the index that names an event, by the key and the value of the event; nothing
/// when it names it already.
///
/// # Errors
/// Fails on what is no stored event.
pub(super) fn index_again(
    key: &[u8],
    value: &[u8],
    read: ReadRow<'_>,
) -> Result<NewRows, StoreError> {
    #[derive(serde::Deserialize)]
    struct Stored {
        event: Kind,
    }
    #[derive(serde::Deserialize)]
    struct Kind {
        #[serde(rename = "type")]
        kind: String,
    }
    let Stored { event } = super::tenant::from_json(Space::Event, key, value)?;
    let wrong = || damaged(Space::Event, key, "not the key of an event");
    let (tenant, rest) = key.split_first_chunk::<4>().ok_or_else(wrong)?;
    let event_key = read_key(Space::Event, key, rest)?;
    let tenant = TenantId(u32::from_be_bytes(*tenant));
    let row = Key::of(tenant).tag(OF_KIND).text(&event.kind);
    let row = row.number(event_key.0 >> SHARED_BITS).done();
    let before = read(Space::Vis, &row)?.unwrap_or_default();
    let place = ((event_key.0 & ((1 << SHARED_BITS) - 1)) as u32).to_be_bytes();
    let (mut places, rest) = {
        let (places, rest) = before.as_chunks::<PLACE_BYTES>();
        (places.to_vec(), rest)
    };
    if !rest.is_empty() {
        return Err(damaged(Space::Vis, &row, "not a list of places"));
    }
    match places.binary_search(&place) {
        Ok(_) => Ok(Vec::new()),
        Err(at) => {
            places.insert(at, place);
            Ok(vec![(Space::Vis, row, places.concat())])
        }
    }
}

impl TenantTx<'_, '_> {
    /// Forgets where an event of this type stood.
    pub(super) fn unindex_event(&mut self, kind: &str, key: EventKey) -> Result<(), StoreError> {
        let row = row_key(&self.view(), kind, key.0 >> SHARED_BITS).done();
        let place = ((key.0 & ((1 << SHARED_BITS) - 1)) as u32).to_be_bytes();
        let Some(before) = self.view().bytes(Space::Vis, &row)? else { return Ok(()) };
        let kept = before.chunks(PLACE_BYTES).filter(|known| *known != place);
        let places: Vec<u8> = kept.flatten().copied().collect();
        match places.is_empty() {
            true => self.remove(Space::Vis, row),
            false => self.put(Space::Vis, row, places),
        }
        Ok(())
    }
}

/// Puts what `sieve` lets through of an event, as it is stored, in the place of `event`.
///
/// # Errors
/// Fails on what is no stored event.
pub fn sift(
    key: EventKey,
    bytes: &[u8],
    sieve: &Sieve,
    event: &mut Value,
) -> Result<(), StoreError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let read = reader.deserialize_map(Outer { sieve, event });
    read.map_err(|error| damaged(Space::Event, &key.0.to_be_bytes(), error))
}

/// What stands around an event: when it was received, and what became of it.
struct Outer<'a> {
    sieve: &'a Sieve,
    event: &'a mut Value,
}

impl<'de> Visitor<'de> for Outer<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a stored event")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        let mut is_there = false;
        while let Some(name) = fields.next_key::<std::borrow::Cow<'de, str>>()? {
            if name == "event" {
                fields.next_value_seed(self.sieve.reading_into(&mut *self.event))?;
                is_there = true;
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        if is_there { Ok(()) } else { Err(A::Error::missing_field("event")) }
    }
}

fn kind_key(view: &TenantView<'_>, kind: &str) -> Key {
    Key::of(view.tenant()).tag(OF_KIND).text(kind)
}

fn row_key(view: &TenantView<'_>, kind: &str, block: u64) -> Key {
    kind_key(view, kind).number(block)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Clock;
    use crate::domain::event::{Actor, Event};
    use crate::domain::filter::Filter;
    use crate::domain::time::Timestamp;
    use crate::store::events::StoredEvent;
    use crate::store::ledger::{Ledger, Snapshot};
    use crate::store::seam::Store as _;
    use crate::store::sim::{Faults, SimStore};

    const TENANT: TenantId = TenantId(1);

    fn stored(kind: &str, number: u64) -> StoredEvent {
        let received_at = Timestamp::from_millis(0);
        let event = Event {
            id: format!("{kind}-{number}"),
            kind: kind.to_owned(),
            source: "test".to_owned(),
            subject: None,
            time: received_at,
            actor: Actor::default(),
            payload: json!({"n": number, "note": "x"}),
            metadata: serde_json::Map::new(),
            cause: None,
        };
        StoredEvent { event, received_at, runs: Vec::new(), withheld: Vec::new() }
    }

    /// Every fourth event is a `b`, and each comes 5 ms after the one before.
    fn kind_of(number: u64) -> &'static str {
        if number.is_multiple_of(4) { "b" } else { "a" }
    }

    fn key_of(number: u64) -> EventKey {
        EventKey(((1_000 + number * 5) << 16) | (number % 3))
    }

    async fn filled(store: &SimStore, numbers: std::ops::Range<u64>) {
        let (ledger, committer) = Ledger::open(store.claim(0).expect("claimed")).expect("opened");
        let committing = tokio::task::spawn_local(committer.run(|_| ()));
        let clock = Clock::manual(Timestamp::from_millis(0));
        for number in numbers {
            let outcome = ledger.transact(|tx| {
                let mut tx = TenantTx::new(TENANT, tx, &clock);
                tx.put_event(key_of(number), &stored(kind_of(number), number))
            });
            let Ok(((), receipt)) = outcome else { panic!("it is written") };
            receipt.durable().await.expect("durable");
        }
        committing.abort();
    }

    fn with_events(check: impl FnOnce(TenantView<'_>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let store = SimStore::new(7, 1, Faults::NONE);
        tokio::task::LocalSet::new().block_on(&runtime, filled(&store, 0..400));
        let snapshot = Snapshot::of(&store, 0).expect("a snapshot");
        check(TenantView::new(TENANT, &snapshot));
    }

    fn newest_first(kind: &str) -> Vec<EventKey> {
        (0..400).rev().filter(|number| kind_of(*number) == kind).map(key_of).collect()
    }

    #[test]
    fn the_events_of_a_type_are_found_newest_first() {
        with_events(|view| {
            let all = newest_first("b");
            assert_eq!(view.events_of_kind("b", None, 1_000).expect("readable"), all);
            assert_eq!(view.events_of_kind("b", None, 7).expect("readable"), all[..7]);
            for at in [0, 1, 12, 13, 50, 99] {
                let rest = view.events_of_kind("b", Some(all[at]), 1_000).expect("readable");
                assert_eq!(rest, all[at + 1..], "before number {at}");
            }
            assert!(view.events_of_kind("c", None, 5).expect("readable").is_empty());
            assert_eq!(view.event_kinds("").expect("readable"), ["a", "b"]);
            assert_eq!(view.event_kinds("b").expect("readable"), ["b"]);
        });
    }

    #[test]
    fn events_are_read_whether_they_lie_close_together_or_far_apart() {
        with_events(|view| {
            let mut gone = newest_first("b");
            gone.insert(3, EventKey(gone[3].0 + 1));
            let far: Vec<EventKey> = newest_first("a").into_iter().step_by(40).collect();
            for (keys, count) in [(newest_first("a"), 300), (far, 8), (gone, 100), (Vec::new(), 0)]
            {
                let mut seen = Vec::new();
                let read = view.each_event(&keys, |key, _| {
                    seen.push(key);
                    Ok(())
                });
                read.expect("readable");
                assert_eq!(seen.len(), count);
                assert!(seen.is_sorted_by(|a, b| a > b), "newest first");
            }
        });
    }

    #[test]
    fn only_what_a_filter_looks_at_is_read_of_a_stored_event() {
        with_events(|view| {
            let filter = Filter::parse(&json!({"n": {"~gt": 3}}), "").expect("a fine filter");
            let sieve = Sieve::of(&filter);
            let read = view.each_event(&newest_first("b")[..1], |key, bytes| {
                let mut event = Value::Null;
                sift(key, bytes, &sieve, &mut event)?;
                assert_eq!(event, json!({"payload": {"n": 396}}));
                Ok(())
            });
            read.expect("readable");
            assert!(sift(EventKey(0), b"{}", &sieve, &mut Value::Null).is_err());
        });
    }
}
