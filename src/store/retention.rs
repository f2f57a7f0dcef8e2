//! What can be given up of a tenant: how it is found in small looks, what of it is still needed,
//! and how it is removed whole.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::deliveries;
use super::events::{EventKey, StoredEvent, read_key};
use super::family::{Dedupe, Meta, Row, Vis};
use super::key::{Key, Prefix};
use super::runs::{RunRow, read_id};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use super::webhook_deliveries::DeliveryRow;
use crate::domain::id::RunId;
use crate::domain::retention::Rules;
use crate::domain::time::Timestamp;
use crate::domain::webhook::DeliveryStatus;

const RETENTION: u8 = Meta::Retention as u8;
const RULES: u8 = b'r';
const STATE: u8 = b's';
const PAUSED: u8 = b'p';
const COMPACTED: u8 = b'c';
const SEEN: u8 = Dedupe::SeenEvent as u8;
const PAGE: usize = 256;
/// How many bytes the number of an event has at the end of a key.
const NUMBER_BYTES: usize = 8;

/// Something that a rule gives up, with what tells whether it is still the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doomed {
    /// A run that is over, and when it ended.
    Run(RunId, Timestamp),
    /// An event.
    Event(EventKey),
    /// A refused event.
    Rejected(String),
    /// A delivery to the hook of a connection, by its number.
    HookDelivery(String, u64),
    /// A delivery of a subscription that is over, by its number.
    WebhookDelivery(String, u64),
    /// The memory of an event's id, by its key.
    Remembered(Vec<u8>),
}

impl Doomed {
    /// Returns the name of its kind that users see.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Doomed::Run(..) => "runs",
            Doomed::Event(_) => "events",
            Doomed::Rejected(_) => "rejectedEvents",
            Doomed::HookDelivery(..) => "hookDeliveries",
            Doomed::WebhookDelivery(..) => "webhookDeliveries",
            Doomed::Remembered(_) => "dedupe",
        }
    }
}

/// Whether what is past its time is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// Nothing is.
    Paused,
    /// It is.
    Resumed,
}

/// What was given up of a tenant so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetentionState {
    /// The creation of the newest run that was removed.
    pub runs_through: Option<Timestamp>,
    /// The newest event that was removed.
    pub events_through: Option<EventKey>,
    /// How many of each kind were removed.
    pub removed: BTreeMap<String, u64>,
}

/// Events that something other than their own runs still needs.
pub type Needed = HashSet<EventKey>;

impl TenantView<'_> {
    /// Returns what the tenant wants to be kept, as far as it says so.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn retention_rules(&self) -> Result<Rules, StoreError> {
        Ok(self.json(Space::Meta, &meta_key(self, RULES))?.unwrap_or_default())
    }

    /// Returns what was given up so far.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn retention_state(&self) -> Result<RetentionState, StoreError> {
        Ok(self.json(Space::Meta, &meta_key(self, STATE))?.unwrap_or_default())
    }

    /// Returns whether nothing is to be removed, of any tenant.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn is_retention_paused(&self) -> Result<bool, StoreError> {
        Ok(self.bytes(Space::Meta, &meta_key(self, PAUSED))?.is_some())
    }

    /// Returns runs created after the run `after`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn runs_after(
        &self,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()));
        let after = after.map(|id| [prefix.start(), &id.to_bytes()].concat());
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Run, range, Direction::Ascending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Run, key, row)).collect()
    }

    /// Returns the newest run of a workflow that has `count` newer ones.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn run_beyond(&self, workflow: &str, count: usize) -> Result<Option<RunId>, StoreError> {
        let prefix = of_workflow(self, workflow);
        let mut before: Option<Vec<u8>> = None;
        let mut left = count;
        loop {
            let limit = left.saturating_add(1).min(PAGE);
            let range = prefix.before(before.as_deref());
            let rows = self.scan(Space::Vis, range, Direction::Descending, limit)?;
            match rows.last() {
                Some((key, _)) if rows.len() > left => {
                    return read_id(Space::Vis, key).map(Some);
                }
                Some((key, _)) if rows.len() == limit => before = Some(key.to_vec()),
                _ => return Ok(None), // It has no more than that.
            }
            left -= rows.len();
        }
    }

    /// Returns the runs of a workflow after `after` and not after `last`, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn runs_of_workflow_up_to(
        &self,
        workflow: &str,
        (after, last): (Option<RunId>, RunId),
        limit: usize,
    ) -> Result<Vec<RunRow>, StoreError> {
        let prefix = of_workflow(self, workflow);
        let after = after.map(|id| [prefix.start(), &id.to_bytes()].concat());
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Vis, range, Direction::Ascending, limit)?;
        let ids = rows.iter().map(|(key, _)| read_id(Space::Vis, key));
        let mut found = Vec::new();
        for id in ids {
            let id = id?;
            if id > last {
                break;
            }
            found.extend(self.run(id)?);
        }
        Ok(found)
    }

    /// Returns whether something that goes on needs a run that is over: a notice that waits for
    /// it, the run that started it, or a run that it started.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn is_run_needed(&self, row: &RunRow) -> Result<bool, StoreError> {
        let id = row.head.id;
        if self.is_live(row.parent)? || !self.notices(id)?.is_empty() {
            return Ok(true);
        }
        for child in self.runs_named_by(id)? {
            let child = self.run(child)?;
            let is_live = |child: &RunRow| !child.head.status.is_final();
            if child.is_some_and(|child| child.parent == Some(id) && is_live(&child)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_live(&self, run: Option<RunId>) -> Result<bool, StoreError> {
        let Some(run) = run else { return Ok(false) };
        Ok(self.run(run)?.is_some_and(|row| !row.head.status.is_final()))
    }

    /// Returns the runs that a journal names, which those are among that it started.
    fn runs_named_by(&self, id: RunId) -> Result<Vec<RunId>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).bytes(&id.to_bytes()));
        let chunks = self.scan(Space::Journal, prefix.range(), Direction::Ascending, usize::MAX)?;
        let mut named = Vec::new();
        for (key, bytes) in &chunks {
            // Nearly no run starts another, and then its journal need not be read.
            let names = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
            if names(b"childStarted") || names(b"\"runId\"") {
                let chunk: Value = from_json(Space::Journal, key, bytes)?;
                collect_runs(&chunk, &mut named);
            }
        }
        named.retain(|run| *run != id);
        Ok(named)
    }

    /// Returns the events that wait in windows, are on their way to subscribers or lie before
    /// runs as notices.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn needed_events(&self) -> Result<Needed, StoreError> {
        let mut needed = Needed::new();
        let members = Prefix::new(Key::of(self.tenant()).tag(Meta::WindowMember as u8));
        self.each_page(Space::Meta, &members, |key, _| {
            let number = key.last_chunk::<NUMBER_BYTES>();
            needed.extend(number.map(|bytes| EventKey(u64::from_be_bytes(*bytes))));
            Ok(())
        })?;
        let notices = Prefix::new(Key::of(self.tenant()).tag(Vis::Notice as u8));
        self.each_page(Space::Vis, &notices, |key, row| {
            let notice: Value = from_json(Space::Vis, key, row)?;
            needed.extend(notice["event"].as_u64().map(EventKey));
            Ok(())
        })?;
        for webhook in self.webhooks()? {
            for status in [DeliveryStatus::Pending, DeliveryStatus::Delivering] {
                let rows = self.first_webhook_deliveries(&webhook.id, status, usize::MAX)?;
                needed.extend(rows.iter().map(|row: &DeliveryRow| row.event));
            }
        }
        Ok(needed)
    }

    fn each_page(
        &self,
        space: Space,
        prefix: &Prefix,
        mut take: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let range = prefix.after(after.as_deref());
            let rows = self.scan(space, range, Direction::Ascending, PAGE)?;
            for (key, row) in &rows {
                take(key, row)?;
            }
            match rows.last() {
                Some((key, _)) if rows.len() == PAGE => after = Some(key.to_vec()),
                _ => return Ok(()), // The last page, or none.
            }
        }
    }

    /// Returns whether any of the runs is kept that an event started and that are not in `going`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn has_kept_runs(
        &self,
        stored: &StoredEvent,
        going: &HashSet<RunId>,
    ) -> Result<bool, StoreError> {
        for run in stored.runs.iter().filter(|run| !going.contains(run)) {
            if self.run(*run)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns refused events after the one called `after`, oldest first: id and time.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn rejected_after(
        &self,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let base = Key::of(self.tenant()).tag(Row::RejectedEvent as u8);
        let after = after.map(|id| base.clone().text(id).done());
        let prefix = Prefix::new(base);
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Ascending, limit)?;
        let rows = rows.iter().map(|(key, row)| {
            let row: super::rejected::RejectedRow = from_json(Space::Row, key, row)?;
            Ok((row.id, row.rejected_at))
        });
        rows.collect()
    }

    /// Returns the oldest kept deliveries of a connection after `after`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn hook_deliveries_after(
        &self,
        connection: &str,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<deliveries::DeliveryRow>, StoreError> {
        let base = Key::of(self.tenant()).tag(Row::Delivery as u8).text(connection);
        let after = after.map(|number| base.clone().number(number).done());
        let prefix = Prefix::new(base);
        let range = prefix.after(after.as_deref());
        let rows = self.scan(Space::Row, range, Direction::Ascending, limit)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns the remembered ids of events after the key `after`: each its key and its event.
    ///
    /// # Errors
    /// Fails on an unreadable record.
    pub fn remembered_after(
        &self,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, EventKey)>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(SEEN));
        let rows = self.scan(Space::Dedupe, prefix.after(after), Direction::Ascending, limit)?;
        let rows = rows.iter();
        rows.map(|(key, row)| Ok((key.to_vec(), read_key(Space::Dedupe, key, row)?))).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes what the tenant wants to be kept.
    pub fn put_retention_rules(&mut self, rules: &Rules) {
        let key = meta_key(&self.view(), RULES);
        self.put_json(Space::Meta, key, rules);
    }

    /// Notes that the file was written anew. The commit lets go of the snapshot of the old file that
    /// the part's ledger reads from.
    pub fn note_compaction(&mut self) {
        let key = meta_key(&self.view(), COMPACTED);
        let now = self.now();
        self.put_json(Space::Meta, key, &now);
    }

    /// Notes whether nothing is to be removed.
    pub fn pause_retention(&mut self, pause: Pause) {
        let key = meta_key(&self.view(), PAUSED);
        match pause {
            Pause::Paused => self.put(Space::Meta, key, Vec::new()),
            Pause::Resumed => self.remove(Space::Meta, key),
        }
    }

    /// Removes what a rule gives up unless it is needed, has changed or is gone; `needed` are
    /// events. Returns how many of each kind went; all of it is one transaction.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn remove_doomed(
        &mut self,
        doomed: &[Doomed],
        needed: &Needed,
    ) -> Result<BTreeMap<&'static str, u64>, StoreError> {
        let mut gone: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut state = self.view().retention_state()?;
        for one in doomed {
            let is_gone = match one {
                Doomed::Run(id, ended_at) => self.give_up_run(*id, *ended_at, &mut state)?,
                Doomed::Event(key) if needed.contains(key) => false,
                Doomed::Event(key) => self.give_up_event(*key, &mut state)?,
                Doomed::Rejected(id) => self.forget_rejected(id).map(|()| true)?,
                Doomed::HookDelivery(connection, number) => {
                    self.forget_delivery(connection, *number);
                    true
                }
                Doomed::WebhookDelivery(webhook, number) => {
                    self.give_up_webhook_delivery(webhook, *number)?
                }
                Doomed::Remembered(key) => self.forget_id(key)?,
            };
            if is_gone {
                *gone.entry(one.kind()).or_default() += 1;
            }
        }
        if !gone.is_empty() {
            self.note_removed(&gone, state);
        }
        Ok(gone)
    }

    /// Adds to what was given up so far.
    pub fn note_removed(&mut self, gone: &BTreeMap<&'static str, u64>, mut state: RetentionState) {
        for (kind, count) in gone {
            *state.removed.entry((*kind).to_owned()).or_default() += count;
        }
        let key = meta_key(&self.view(), STATE);
        self.put_json(Space::Meta, key, &state);
    }

    fn give_up_run(
        &mut self,
        id: RunId,
        ended_at: Timestamp,
        state: &mut RetentionState,
    ) -> Result<bool, StoreError> {
        let Some(row) = self.view().run(id)? else { return Ok(false) };
        // Somebody may have retried it since it was looked at.
        let is_same = row.head.status.is_final() && row.head.ended_at == Some(ended_at);
        if !is_same || self.view().is_run_needed(&row)? {
            return Ok(false);
        }
        self.remove_run(&row)?;
        state.runs_through = state.runs_through.max(Some(id.created_at()));
        Ok(true)
    }

    fn give_up_event(
        &mut self,
        key: EventKey,
        state: &mut RetentionState,
    ) -> Result<bool, StoreError> {
        let Some(stored) = self.view().event(key)? else { return Ok(false) };
        if self.view().has_kept_runs(&stored, &HashSet::new())? {
            return Ok(false);
        }
        self.remove_event(key, &stored)?;
        state.events_through = state.events_through.max(Some(key));
        Ok(true)
    }

    fn give_up_webhook_delivery(&mut self, webhook: &str, number: u64) -> Result<bool, StoreError> {
        let Some(row) = self.view().webhook_delivery(webhook, number)? else { return Ok(false) };
        let mut fares = self.view().webhook_state(webhook)?;
        match row.status {
            DeliveryStatus::Delivered => {
                fares.delivered_kept = fares.delivered_kept.saturating_sub(1);
            }
            DeliveryStatus::Dead => fares.dead_kept = fares.dead_kept.saturating_sub(1),
            DeliveryStatus::Pending | DeliveryStatus::Delivering => return Ok(false),
        }
        self.put_webhook_state(webhook, &fares);
        self.remove_webhook_delivery(&row);
        Ok(true)
    }

    /// An event that is kept is found by its id, however old it is.
    fn forget_id(&mut self, key: &[u8]) -> Result<bool, StoreError> {
        let Some(row) = self.view().bytes(Space::Dedupe, key)? else { return Ok(false) };
        let event = read_key(Space::Dedupe, key, &row)?;
        if self.view().event(event)?.is_some() {
            return Ok(false);
        }
        self.remove(Space::Dedupe, key.to_vec());
        let repeats = Key::of(self.tenant()).tag(Dedupe::RepeatsOfEvent as u8).number(event.0);
        self.remove(Space::Dedupe, repeats.done());
        Ok(true)
    }

    /// Removes the rows of a space that begin with `prefix`.
    pub(super) fn remove_all(&mut self, space: Space, prefix: &Prefix) -> Result<(), StoreError> {
        let rows = self.view().scan(space, prefix.range(), Direction::Ascending, usize::MAX)?;
        for (key, _) in rows {
            self.remove(space, key.to_vec());
        }
        Ok(())
    }
}

fn collect_runs(value: &Value, named: &mut Vec<RunId>) {
    match value {
        Value::String(text) => named.extend(text.parse::<RunId>().ok()),
        Value::Array(items) => items.iter().for_each(|item| collect_runs(item, named)),
        Value::Object(fields) => fields.values().for_each(|field| collect_runs(field, named)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn of_workflow(view: &TenantView<'_>, workflow: &str) -> Prefix {
    Prefix::new(Key::of(view.tenant()).tag(Vis::RunByWorkflow as u8).text(workflow))
}

fn meta_key(view: &TenantView<'_>, what: u8) -> Vec<u8> {
    Key::of(view.tenant()).tag(RETENTION).tag(what).done()
}
