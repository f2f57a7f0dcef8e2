//! Events as accepted, in order of acceptance, and the memory of which ids were seen.

use serde::{Deserialize, Serialize};

use super::family::Dedupe;
use super::key::{Key, Prefix};
use super::seam::{Direction, Part, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json, to_json};
use crate::domain::event::Event;
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;

const SEEN: u8 = Dedupe::SeenEvent as u8;
const REPEATS: u8 = Dedupe::RepeatsOfEvent as u8;
const COUNTER_BITS: u32 = 16;

/// Orders the events of a tenant by acceptance: milliseconds, then a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKey(pub u64);

impl EventKey {
    /// Returns the instant that it belongs to.
    #[must_use]
    pub fn moment(self) -> Timestamp {
        Timestamp::from_millis(i64::try_from(self.0 >> COUNTER_BITS).unwrap_or(i64::MAX))
    }

    /// Returns the first key of an instant.
    #[must_use]
    pub fn at(moment: Timestamp) -> EventKey {
        EventKey(moment.millis().max(0).unsigned_abs() << COUNTER_BITS)
    }

    /// Returns the id of an event that was made here; it tells the key, so it needs no index.
    #[must_use]
    pub fn to_id(self) -> String {
        format!("evt_{:016x}", self.0)
    }

    /// Returns the instant of the event in milliseconds since 1970, or a later one where events came
    /// faster than the clock went.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::try_from(self.0 >> COUNTER_BITS).unwrap_or(i64::MAX)
    }

    /// Reads the key that the id of an event made here tells.
    #[must_use]
    pub fn from_id(id: &str) -> Option<EventKey> {
        let digits = id.strip_prefix("evt_").filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(EventKey)
    }

    /// Returns the id of a run that this event starts. Runs sort as their events do, and among those
    /// of one event by `place`: the order of arrival decides who waits for whom.
    #[must_use]
    pub fn run_id(self, part: Part, place: usize, random: u64) -> RunId {
        let at = i64::try_from(self.0 >> COUNTER_BITS).unwrap_or(i64::MAX);
        let counter = self.0 & ((1 << COUNTER_BITS) - 1);
        let place = place as u64 & 0xFFFF;
        let tail = counter << 48 | place << 32 | random >> 32;
        RunId::new(part, Timestamp::from_millis(at), tail)
    }

    /// Returns the key that follows `self` at `now`; keys grow even when the clock does not.
    #[must_use]
    pub fn next(self, now: Timestamp) -> EventKey {
        EventKey::at(now).max(EventKey(self.0 + 1))
    }
}

/// An event with what became of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredEvent {
    /// What happened.
    pub event: Event,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// The runs that it started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
    /// Workflows that matched and were not started, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<(String, String)>,
}

/// How often an event was delivered again after it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Repeats {
    /// How many further deliveries there were.
    pub count: u64,
    /// When the last of them came.
    pub last_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns the further deliveries of an event; `None` when there was none.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn repeats(&self, key: EventKey) -> Result<Option<Repeats>, StoreError> {
        self.json(Space::Dedupe, &Key::of(self.tenant()).tag(REPEATS).number(key.0).done())
    }

    /// Returns events after `after`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn events_after(
        &self,
        after: EventKey,
        limit: usize,
    ) -> Result<Vec<(EventKey, StoredEvent)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()));
        let after = event_key(self, after);
        self.scan(Space::Event, prefix.after(Some(&after)), Direction::Ascending, limit)?
            .into_iter()
            .map(|(key, bytes)| {
                let event = from_json(Space::Event, &key, &bytes)?;
                Ok((read_key(Space::Event, &key, &key[prefix.start().len()..])?, event))
            })
            .collect()
    }

    /// Returns the event at `key`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn event(&self, key: EventKey) -> Result<Option<StoredEvent>, StoreError> {
        self.json(Space::Event, &event_key(self, key))
    }

    /// Returns the key of the event with this id, of `source` or, without one, of any source.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn event_by_id(
        &self,
        id: &str,
        source: Option<&str>,
    ) -> Result<Option<EventKey>, StoreError> {
        if let Some(key) = EventKey::from_id(id)
            && self.event(key)?.is_some_and(|stored| stored.event.id == id)
        {
            return Ok(Some(key));
        }
        let base = Key::of(self.tenant()).tag(SEEN).text(id);
        if let Some(source) = source {
            let key = base.text(source).done();
            return self
                .bytes(Space::Dedupe, &key)?
                .map(|bytes| read_key(Space::Dedupe, &key, &bytes))
                .transpose();
        }
        let found =
            self.scan(Space::Dedupe, Prefix::new(base).range(), Direction::Ascending, 16)?;
        let keys = found.iter().map(|(key, bytes)| read_key(Space::Dedupe, key, bytes));
        keys.collect::<Result<Vec<_>, _>>().map(|keys| keys.into_iter().max())
    }

    /// Returns events before `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn events_before(
        &self,
        before: Option<EventKey>,
        limit: usize,
    ) -> Result<Vec<(EventKey, StoredEvent)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()));
        let before = before.map(|key| event_key(self, key));
        self.scan(Space::Event, prefix.before(before.as_deref()), Direction::Descending, limit)?
            .into_iter()
            .map(|(key, bytes)| {
                let event = from_json(Space::Event, &key, &bytes)?;
                Ok((read_key(Space::Event, &key, &key[prefix.start().len()..])?, event))
            })
            .collect()
    }

    /// Returns events from the key `from`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn events_from(
        &self,
        from: EventKey,
        limit: usize,
    ) -> Result<Vec<(EventKey, StoredEvent)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()));
        let before = EventKey(from.0.saturating_sub(1));
        let before = event_key(self, before);
        self.scan(Space::Event, prefix.after(Some(&before)), Direction::Ascending, limit)?
            .into_iter()
            .map(|(key, bytes)| {
                let event = from_json(Space::Event, &key, &bytes)?;
                Ok((read_key(Space::Event, &key, &key[prefix.start().len()..])?, event))
            })
            .collect()
    }

    /// Returns the key of the newest event.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn newest_event(&self) -> Result<Option<EventKey>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()));
        let newest = self.scan(Space::Event, prefix.range(), Direction::Descending, 1)?;
        newest
            .first()
            .map(|(key, _)| read_key(Space::Event, key, &key[prefix.start().len()..]))
            .transpose()
    }
}

impl TenantTx<'_, '_> {
    /// Writes a new event, indexes it by its type, and remembers its id unless the id tells the key.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn put_event(&mut self, key: EventKey, stored: &StoredEvent) -> Result<(), StoreError> {
        let row = event_key(&self.view(), key);
        self.put_new(Space::Event, row, to_json(stored));
        self.index_event(&stored.event.kind, key)?;
        if stored.event.id == key.to_id() {
            return Ok(());
        }
        let seen = Key::of(self.tenant()).tag(SEEN).text(&stored.event.id);
        let seen = seen.text(&stored.event.source).done();
        self.put_new(Space::Dedupe, seen, key.0.to_be_bytes().to_vec());
        Ok(())
    }

    /// Removes an event and its places in indexes; its id stays remembered.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub(super) fn remove_event(
        &mut self,
        key: EventKey,
        stored: &StoredEvent,
    ) -> Result<(), StoreError> {
        let row = event_key(&self.view(), key);
        self.remove(Space::Event, row);
        if stored.event.id == key.to_id() {
            let repeats = Key::of(self.tenant()).tag(REPEATS).number(key.0).done();
            self.remove(Space::Dedupe, repeats);
        }
        self.unindex_event(&stored.event.kind, key)
    }

    /// Notes that an event was delivered once more.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn note_repeat(&mut self, key: EventKey) -> Result<(), StoreError> {
        let before = self.view().repeats(key)?.map_or(0, |repeats| repeats.count);
        let row = Key::of(self.tenant()).tag(REPEATS).number(key.0).done();
        self.put_json(Space::Dedupe, row, &Repeats { count: before + 1, last_at: self.now() });
        Ok(())
    }
}

impl TenantTx<'_, '_> {
    /// Writes an event again, with what has become of it since.
    pub fn update_event(&mut self, key: EventKey, stored: &StoredEvent) {
        let row = event_key(&self.view(), key);
        self.put(Space::Event, row, to_json(stored));
    }
}

impl StoredEvent {
    /// Forgets why a workflow was not started by it.
    pub fn release(&mut self, workflow: &str) {
        self.withheld.retain(|(name, _)| name != workflow);
    }

    /// Notes why a workflow is not started by it, in place of what was noted before.
    pub fn withhold(&mut self, workflow: &str, reason: String) {
        self.release(workflow);
        self.withheld.push((workflow.to_owned(), reason));
    }
}

pub(super) fn event_key(view: &TenantView<'_>, key: EventKey) -> Vec<u8> {
    Key::of(view.tenant()).number(key.0).done()
}

pub(super) fn read_key(space: Space, row: &[u8], bytes: &[u8]) -> Result<EventKey, StoreError> {
    let number = bytes.try_into().map_err(|_| damaged(space, row, "not an event's number"))?;
    Ok(EventKey(u64::from_be_bytes(number)))
}
