//! Apps of a tenant: their manifests, and how each is installed.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::family::Row;
use super::key::{Key, Prefix};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::time::Timestamp;

const APP: u8 = Row::App as u8;

/// An app.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppRow {
    /// Names it for ever.
    pub uid: String,
    /// Its short name, unique in its tenant.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// Counts its manifests from 1.
    pub revision: u32,
    /// The manifest, as it was written.
    pub manifest: Value,
    /// The subscription that gets the events it wants.
    pub events_webhook: Option<String>,
    /// The subscription that gets the news of its own life.
    pub lifecycle_webhook: Option<String>,
    /// How it is installed, if it is.
    pub installation: Option<InstallationRow>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How an app is installed; its settings and secrets are a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationRow {
    /// Names the installation.
    pub id: String,
    /// Names its bot, also after its key is exchanged.
    pub bot_id: String,
    /// The digest of the bot's key: no other key is believed.
    pub key_digest: String,
    /// The first characters of the key.
    pub key_prefix: String,
    /// The teams that it serves.
    pub teams: Vec<String>,
    /// What its bot may do.
    pub scopes: Vec<String>,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
    /// When that was changed last.
    pub updated_at: Timestamp,
}

impl AppRow {
    /// Returns the name of the connection that holds its settings: no name that a user can give.
    #[must_use]
    pub fn connection(&self) -> String {
        format!("app:{}", self.slug)
    }

    /// Returns who it is as the source of events.
    #[must_use]
    pub fn source(&self) -> String {
        format!("app:{}", self.slug)
    }
}

impl TenantView<'_> {
    /// Returns every app of the tenant, oldest first.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn apps(&self) -> Result<Vec<AppRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(APP));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one app by its uid.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn app(&self, uid: &str) -> Result<Option<AppRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(APP).text(uid).done())
    }
}

impl TenantTx<'_, '_> {
    /// Writes an app.
    pub fn put_app(&mut self, row: &AppRow) {
        let key = Key::of(self.tenant()).tag(APP).text(&row.uid).done();
        self.put_json(Space::Row, key, row);
    }

    /// Removes an app.
    pub fn remove_app(&mut self, uid: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(APP).text(uid).done());
    }
}
