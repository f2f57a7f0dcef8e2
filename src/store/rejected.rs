//! Events that were refused for their payload, kept until they are mended, replayed or too many.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::event::Actor;
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;

const REJECTED: u8 = Row::RejectedEvent as u8;

/// A refused event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RejectedRow {
    /// Names the refusal; ids sort by age.
    pub id: String,
    /// The sender's id of the event, if it gave one.
    pub event_id: Option<String>,
    /// The canonical event type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who says so.
    pub source: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened, if the sender said so.
    pub time: Option<Timestamp>,
    /// Who made it happen.
    pub actor: Actor,
    /// The payload; null when it was too large to be kept.
    pub payload: Value,
    /// How large the payload is, in bytes of its JSON.
    pub payload_bytes: usize,
    /// Whether the payload was too large to be kept.
    pub payload_cut: bool,
    /// What stands beside the payload.
    pub metadata: Map<String, Value>,
    /// What was wrong at the last attempt.
    pub problems: Vec<Problem>,
    /// When it was refused first.
    pub rejected_at: Timestamp,
    /// When it was tried last.
    pub tried_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
}

impl TenantView<'_> {
    /// Returns one refused event.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn rejected_event(&self, id: &str) -> Result<Option<RejectedRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(REJECTED).text(id).done())
    }

    /// Returns refused events before the one called `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn rejected_before(
        &self,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<RejectedRow>, StoreError> {
        let base = Key::of(self.tenant()).tag(REJECTED);
        let before = before.map(|id| base.clone().text(id).done());
        let prefix = Prefix::new(base);
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns how many refused events are kept.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn rejected_count(&self) -> Result<u64, StoreError> {
        let key = Key::of(self.tenant()).tag(REJECTED).done();
        Ok(self.json(Space::Meta, &key)?.unwrap_or(0))
    }
}

impl TenantTx<'_, '_> {
    /// Keeps a refused event that is new; of more than `rows_max` the oldest give way.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn keep_rejected(&mut self, row: &RejectedRow, rows_max: u64) -> Result<(), StoreError> {
        if rows_max == 0 {
            return Ok(());
        }
        let count = self.view().rejected_count()? + 1;
        self.put_rejected(row);
        let excess = count.saturating_sub(rows_max);
        let prefix = Prefix::new(Key::of(self.tenant()).tag(REJECTED));
        let limit = usize::try_from(excess).unwrap_or(usize::MAX);
        let oldest = match limit {
            0 => Vec::new(),
            limit => self.view().scan(Space::Row, prefix.range(), Direction::Ascending, limit)?,
        };
        for (key, _) in &oldest {
            self.remove(Space::Row, key.to_vec());
        }
        self.count_rejected(count - oldest.len() as u64);
        Ok(())
    }

    /// Writes a refused event that is kept already.
    pub fn put_rejected(&mut self, row: &RejectedRow) {
        let key = Key::of(self.tenant()).tag(REJECTED).text(&row.id).done();
        self.put_json(Space::Row, key, row);
    }

    /// Forgets a refused event; one that is not kept is no error.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn forget_rejected(&mut self, id: &str) -> Result<(), StoreError> {
        if self.view().rejected_event(id)?.is_some() {
            let count = self.view().rejected_count()?;
            self.remove(Space::Row, Key::of(self.tenant()).tag(REJECTED).text(id).done());
            self.count_rejected(count.saturating_sub(1));
        }
        Ok(())
    }

    fn count_rejected(&mut self, count: u64) {
        let key = Key::of(self.tenant()).tag(REJECTED).done();
        self.put_json(Space::Meta, key, &count);
    }
}
