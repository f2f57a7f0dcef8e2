//! Subscriptions to events, with their sealed secrets and how they fare.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seal::{Place, Sealed};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, from_json};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Format;

pub(super) const WEBHOOK: u8 = Row::Webhook as u8;
pub(super) const CONFIGURED: u8 = b'c';
const FARED: u8 = b's';

/// A subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookRow {
    /// Its name in paths.
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// Patterns of canonical event types.
    pub types: Vec<String>,
    /// The condition on events, as written.
    #[serde(default)]
    pub filter: Option<Value>,
    /// What it is for.
    pub description: String,
    /// The shape of a message.
    pub format: Format,
    /// The uid of the app that it belongs to, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The teams whose events it gets, and those of no team; none for every team.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// The names of the headers that are sent beside ours.
    #[serde(default)]
    pub header_names: Vec<String>,
    /// The same headers with their values: a sealed JSON object.
    #[serde(default)]
    pub headers: Option<SealedPart>,
    /// What deliveries are signed with, the newest first.
    pub secrets: Vec<SealedSecret>,
    /// Grows with everything that is sealed; part of the seal's place.
    pub version: u64,
    /// Whether events are delivered.
    pub enabled: bool,
    /// Why and since when they are not.
    #[serde(default)]
    pub disabled: Option<Disabled>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Something sealed, with the version that its place names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedPart {
    /// Sealed for [`place`].
    pub sealed: Sealed,
    /// The version of its place.
    pub version: u64,
}

/// A signing secret and how long it signs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedSecret {
    /// The secret.
    #[serde(flatten)]
    pub part: SealedPart,
    /// When it stops to sign; `None` for the present one.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// Since when and why a subscription gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disabled {
    /// When it was disabled.
    pub at: Timestamp,
    /// Why, for a person.
    pub reason: String,
}

/// How a subscription fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookState {
    /// Deliveries that are not over.
    pub pending: u64,
    /// Deliveries that arrived since it exists.
    pub delivered: u64,
    /// Deliveries that were given up on since it exists.
    pub dead: u64,
    /// Delivered ones that are kept.
    pub delivered_kept: u64,
    /// Dead ones that are kept.
    pub dead_kept: u64,
    /// When the first attempt since the last success failed.
    pub failing_since: Option<Timestamp>,
    /// When something was delivered last.
    pub last_delivered_at: Option<Timestamp>,
    /// When an attempt failed last.
    pub last_failed_at: Option<Timestamp>,
}

/// Returns where what is sealed of a subscription belongs.
#[must_use]
pub fn place(tenant: TenantId, id: &str, version: u64) -> Place<'_> {
    Place { tenant, kind: "webhook", id, version }
}

impl TenantView<'_> {
    /// Returns every subscription, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhooks(&self) -> Result<Vec<WebhookRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(WEBHOOK).tag(CONFIGURED));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one subscription.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhook(&self, id: &str) -> Result<Option<WebhookRow>, StoreError> {
        self.json(Space::Row, &key_of(self, CONFIGURED, id))
    }

    /// Returns how a subscription fares.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn webhook_state(&self, id: &str) -> Result<WebhookState, StoreError> {
        Ok(self.json(Space::Row, &key_of(self, FARED, id))?.unwrap_or_default())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a subscription; events that follow are matched with it as it is now.
    pub fn put_webhook(&mut self, row: &WebhookRow) {
        let key = key_of(&self.view(), CONFIGURED, &row.id);
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }

    /// Writes how a subscription fares.
    pub fn put_webhook_state(&mut self, id: &str, state: &WebhookState) {
        let key = key_of(&self.view(), FARED, id);
        self.put_json(Space::Row, key, state);
    }

    /// Removes a subscription; its deliveries are removed apart.
    pub fn remove_webhook(&mut self, id: &str) {
        for what in [CONFIGURED, FARED] {
            let key = key_of(&self.view(), what, id);
            self.remove(Space::Row, key);
        }
        self.note_workflows(Workflows::Changed);
    }
}

fn key_of(view: &TenantView<'_>, what: u8, id: &str) -> Vec<u8> {
    Key::of(view.tenant()).tag(WEBHOOK).tag(what).text(id).done()
}
