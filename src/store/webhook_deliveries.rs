//! Deliveries to subscribers: one row each, and for every subscription the queue of each status.

use serde::{Deserialize, Serialize};

use super::events::EventKey;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, damaged, from_json};
use super::webhooks::WEBHOOK;
use crate::domain::time::Timestamp;
use crate::domain::webhook::DeliveryStatus;

const DELIVERY: u8 = b'd';
const SEQUENCE: &str = "delivery";
const PREFIX: &str = "dlv_";

/// One event on its way to one subscriber.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRow {
    /// Names it in its tenant; grows.
    pub number: u64,
    /// The subscription.
    pub webhook: String,
    /// Where it stands among the others of its status.
    pub place: u64,
    /// The event.
    pub event: EventKey,
    /// The event's id.
    pub event_id: String,
    /// The event's canonical type.
    pub event_type: String,
    /// Why it was made.
    pub origin: Origin,
    /// How it stands.
    pub status: DeliveryStatus,
    /// How many attempts failed since it was last put in the queue.
    pub failures: usize,
    /// The last attempts, oldest first.
    #[serde(default)]
    pub attempts: Vec<AttemptRow>,
    /// When the next attempt is due; `None` for as soon as it is its turn.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it arrived or was given up on.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
}

/// Why a delivery was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// The event came.
    Event,
    /// Somebody asked for the events of a time once more.
    Replay,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttemptRow {
    /// Counts from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// The HTTP status that was answered.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What kind of failure; stable.
    pub code: Option<String>,
    /// What went wrong, for a person.
    pub error: Option<String>,
    /// The beginning of the answer's body, without secrets.
    pub response: Option<String>,
}

impl AttemptRow {
    /// Returns an attempt that has just begun.
    #[must_use]
    pub fn begun(number: u32, at: Timestamp) -> AttemptRow {
        AttemptRow {
            number,
            at,
            outcome: AttemptOutcome::Running,
            status_code: None,
            duration_ms: None,
            code: None,
            error: None,
            response: None,
        }
    }
}

/// What came of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptOutcome {
    /// It is being made.
    Running,
    /// The subscriber took it.
    Delivered,
    /// The subscriber refused it, or could not be reached.
    Failed,
    /// The process ended meanwhile: it may have arrived.
    Unknown,
}

impl AttemptOutcome {
    /// Returns the name that users see.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AttemptOutcome::Running => "running",
            AttemptOutcome::Delivered => "delivered",
            AttemptOutcome::Failed => "failed",
            AttemptOutcome::Unknown => "unknown",
        }
    }
}

impl DeliveryRow {
    /// Returns its id.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{PREFIX}{:012x}", self.number)
    }

    /// Returns the number that an id tells.
    #[must_use]
    pub fn number_of(id: &str) -> Option<u64> {
        let digits = id.strip_prefix(PREFIX).filter(|digits| digits.len() == 12)?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Returns the id of the message: the same through every attempt and every repetition, so that
    /// the subscriber recognises it.
    #[must_use]
    pub fn message_id(&self) -> String {
        self.event.to_id()
    }
}

impl TenantView<'_> {
    /// Returns a delivery of a subscription.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhook_delivery(
        &self,
        webhook: &str,
        number: u64,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        self.json(Space::Row, &row_key(self, webhook).number(number).done())
    }

    /// Returns deliveries of a subscription in any status before the number `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhook_deliveries_before(
        &self,
        webhook: &str,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let prefix = Prefix::new(row_key(self, webhook));
        let before = before.map(|number| row_key(self, webhook).number(number).done());
        let range = prefix.before(before.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Descending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns deliveries of one status before the place `before`, newest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhook_deliveries_in_status(
        &self,
        webhook: &str,
        status: DeliveryStatus,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let prefix = Prefix::new(queue_key(self, webhook, status));
        let before = before.map(|place| queue_key(self, webhook, status).number(place).done());
        self.queued(webhook, prefix.before(before.as_deref()), Direction::Descending, limit)
    }

    /// Returns the first deliveries of one status in the order of their places.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn first_webhook_deliveries(
        &self,
        webhook: &str,
        status: DeliveryStatus,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let prefix = Prefix::new(queue_key(self, webhook, status));
        self.queued(webhook, prefix.range(), Direction::Ascending, limit)
    }

    fn queued(
        &self,
        webhook: &str,
        range: super::seam::Range<'_>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        let places = self.scan(Space::Vis, range, direction, limit)?;
        places
            .iter()
            .map(|(key, number)| {
                let wrong = |reason| damaged(Space::Vis, key, reason);
                let bytes = number[..].try_into().map_err(|_| wrong("not a delivery's number"))?;
                let found = self.webhook_delivery(webhook, u64::from_be_bytes(bytes))?;
                found.ok_or_else(|| wrong("its delivery is gone"))
            })
            .collect()
    }
}

impl TenantTx<'_, '_> {
    /// Puts an event at the end of a subscription's queue.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn queue_delivery(
        &mut self,
        webhook: &str,
        (event, id, kind): (EventKey, &str, &str),
        origin: Origin,
    ) -> Result<(), StoreError> {
        let number = self.next_number(SEQUENCE)?;
        let row = DeliveryRow {
            number,
            webhook: webhook.to_owned(),
            place: number,
            event,
            event_id: id.to_owned(),
            event_type: kind.to_owned(),
            origin,
            status: DeliveryStatus::Pending,
            failures: 0,
            attempts: Vec::new(),
            next_attempt_at: None,
            created_at: self.now(),
            ended_at: None,
        };
        self.put_webhook_delivery(None, &row);
        self.count_pending(webhook)
    }

    /// Puts a delivery that is over at the end of its subscription's queue once more.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn queue_again(&mut self, mut row: DeliveryRow) -> Result<DeliveryRow, StoreError> {
        let before = (row.status, row.place);
        let mut state = self.view().webhook_state(&row.webhook)?;
        match row.status {
            DeliveryStatus::Delivered => {
                state.delivered_kept = state.delivered_kept.saturating_sub(1)
            }
            DeliveryStatus::Dead => state.dead_kept = state.dead_kept.saturating_sub(1),
            DeliveryStatus::Pending | DeliveryStatus::Delivering => return Ok(row),
        }
        self.put_webhook_state(&row.webhook, &state);
        row.place = self.next_number(SEQUENCE)?;
        row.status = DeliveryStatus::Pending;
        row.failures = 0;
        row.next_attempt_at = None;
        row.ended_at = None;
        self.put_webhook_delivery(Some(before), &row);
        self.count_pending(&row.webhook)?;
        Ok(row)
    }

    /// Writes a delivery; `before` is the status and the place that it had.
    pub fn put_webhook_delivery(
        &mut self,
        before: Option<(DeliveryStatus, u64)>,
        row: &DeliveryRow,
    ) {
        let key = row_key(&self.view(), &row.webhook).number(row.number).done();
        self.put_json(Space::Row, key, row);
        if before == Some((row.status, row.place)) {
            return;
        }
        if let Some((status, place)) = before {
            let key = queue_key(&self.view(), &row.webhook, status).number(place).done();
            self.remove(Space::Vis, key);
        }
        let key = queue_key(&self.view(), &row.webhook, row.status).number(row.place).done();
        self.put(Space::Vis, key, row.number.to_be_bytes().to_vec());
    }

    /// Removes a delivery.
    pub fn remove_webhook_delivery(&mut self, row: &DeliveryRow) {
        let key = row_key(&self.view(), &row.webhook).number(row.number).done();
        self.remove(Space::Row, key);
        let key = queue_key(&self.view(), &row.webhook, row.status).number(row.place).done();
        self.remove(Space::Vis, key);
    }

    fn count_pending(&mut self, webhook: &str) -> Result<(), StoreError> {
        let mut state = self.view().webhook_state(webhook)?;
        state.pending += 1;
        self.put_webhook_state(webhook, &state);
        Ok(())
    }
}

fn row_key(view: &TenantView<'_>, webhook: &str) -> Key {
    Key::of(view.tenant()).tag(WEBHOOK).tag(DELIVERY).text(webhook)
}

fn queue_key(view: &TenantView<'_>, webhook: &str, status: DeliveryStatus) -> Key {
    Key::of(view.tenant()).tag(WEBHOOK).text(webhook).tag(status as u8)
}
