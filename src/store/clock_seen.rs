//! The latest instant that a tenant recorded, so that a clock that stands before it is noticed.

use super::codec::{self, Decode, Encode};
use super::events::EventKey;
use super::family::Meta;
use super::key::Key;
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged};
use crate::domain::time::Timestamp;

const SEEN: u8 = Meta::ClockSeen as u8;

/// What a tenant knows of the clock, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
struct ClockRow {
    /// The latest instant noted, or the one that an operator vouched for.
    seen_ms: i64,
    /// Events up to this instant were recorded by a clock that was wrong.
    disowned_ms: i64,
}

impl TenantView<'_> {
    /// Returns the latest instant that the tenant recorded by a clock that was right, as far as
    /// anybody knows.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn clock_seen(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = self.clock_row()?;
        let newest = self.newest_event()?.map(EventKey::millis);
        let newest = newest.filter(|newest| *newest > row.disowned_ms).unwrap_or(0);
        let seen = row.seen_ms.max(newest);
        Ok((seen > 0).then(|| Timestamp::from_millis(seen)))
    }

    fn clock_row(&self) -> Result<ClockRow, StoreError> {
        let key = Key::of(self.tenant()).tag(SEEN).done();
        match self.bytes(Space::Meta, &key)? {
            Some(row) => codec::decode(&row).map_err(|error| damaged(Space::Meta, &key, &error)),
            None => Ok(ClockRow::default()),
        }
    }
}

impl TenantTx<'_, '_> {
    /// Notes the present instant.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn note_clock(&mut self) -> Result<(), StoreError> {
        let row = self.view().clock_row()?;
        let now = self.now().millis();
        if now > row.seen_ms {
            self.put_clock(ClockRow { seen_ms: now, ..row });
        }
        Ok(())
    }

    /// Takes the present instant for right, whatever was recorded before.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn accept_clock(&mut self) -> Result<(), StoreError> {
        let row = self.view().clock_row()?;
        let newest = self.view().newest_event()?.map_or(0, EventKey::millis);
        let disowned_ms = row.disowned_ms.max(newest);
        self.put_clock(ClockRow { seen_ms: self.now().millis(), disowned_ms });
        Ok(())
    }

    fn put_clock(&mut self, row: ClockRow) {
        let key = Key::of(self.tenant()).tag(SEEN).done();
        self.put(Space::Meta, key, codec::encode(&row));
    }
}
