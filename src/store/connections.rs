//! Connections of a tenant to other systems, their secrets sealed, and which tenant answers to the
//! short name of a hook.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::access::APPLIANCE;
use super::family::{Meta, Row};
use super::key::{Key, Prefix};
use super::seal::{Place, Sealed, Sealer, Unopened};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, from_json};
use crate::domain::id::TenantId;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

const CONNECTION: u8 = Row::Connection as u8;
const CONNECTION_TEST: u8 = Row::ConnectionTest as u8;
const HOOK: u8 = Meta::Hook as u8;

/// A connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionRow {
    /// Its name, unique in its tenant.
    pub name: String,
    /// The kind of system: `slack`, `http` …
    pub app: String,
    /// What is not secret.
    pub settings: Map<String, Value>,
    /// Each secret by its name; several values where one is being exchanged for another, the newest
    /// first.
    pub secrets: BTreeMap<String, Vec<SealedValue>>,
    /// Grows with every change that somebody asks for.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Since when the other system does not believe who asks; `None` while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unauthorized: Option<Unauthorized>,
}

/// That the other system does not believe who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unauthorized {
    /// Since when.
    pub since: Timestamp,
    /// What it said.
    pub reason: String,
}

/// One value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SealedValue {
    /// Sealed for the connection, the secret's name and this number.
    pub version: u64,
    /// The value.
    pub sealed: Sealed,
    /// Until when it holds; `None` for as long as it is there.
    pub valid_until: Option<Timestamp>,
    /// When it was set; values of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Timestamp>,
    /// Who set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
}

/// What the last test of a connection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTestRow {
    /// When it was tested.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
    /// Whether it worked.
    pub ok: bool,
    /// What was found, for a person.
    pub detail: String,
    /// How long the other system took, in milliseconds; `None` where nobody was asked.
    pub latency_ms: Option<u64>,
}

impl ConnectionRow {
    /// Opens the values of a secret that hold at `now`, the newest first; none when it is not set.
    ///
    /// # Errors
    /// Fails when one was sealed with another key.
    pub fn open(
        &self,
        (sealer, tenant): (&Sealer, TenantId),
        secret: &str,
        now: Timestamp,
    ) -> Result<Vec<Secret>, Unopened> {
        let values = self.secrets.get(secret).into_iter().flatten();
        let valid = values.filter(|value| value.valid_until.is_none_or(|until| now <= until));
        let id = sealed_id(&self.name, secret);
        valid
            .map(|value| {
                sealer.open(
                    Place { tenant, kind: "connection", id: &id, version: value.version },
                    &value.sealed,
                )
            })
            .collect()
    }

    /// Seals one value of a secret of this connection.
    #[must_use]
    pub fn seal(
        &self,
        (sealer, tenant): (&Sealer, TenantId),
        secret: &str,
        version: u64,
        value: &Secret,
    ) -> Sealed {
        let id = sealed_id(&self.name, secret);
        sealer.seal(Place { tenant, kind: "connection", id: &id, version }, value)
    }
}

pub(super) fn sealed_id(connection: &str, secret: &str) -> String {
    format!("{connection}/{secret}")
}

impl TenantView<'_> {
    /// Returns every connection of the tenant, by name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn connections(&self) -> Result<Vec<ConnectionRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(CONNECTION));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one connection.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn connection(&self, name: &str) -> Result<Option<ConnectionRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(CONNECTION).text(name).done())
    }

    /// Returns what the last test of a connection found.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn connection_test(&self, name: &str) -> Result<Option<ConnectionTestRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(CONNECTION_TEST).text(name).done())
    }

    /// Returns the tenant that answers to the short name of a hook.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn hook_holder(&self, name: &str) -> Result<Option<TenantId>, StoreError> {
        self.json(Space::Meta, &hook_key(name))
    }

    /// Returns the short names of hooks that a tenant answers to.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn hooks_of(&self, holder: TenantId) -> Result<Vec<String>, StoreError> {
        let prefix = Prefix::new(Key::of(APPLIANCE).tag(HOOK));
        let rows = self.scan(Space::Meta, prefix.range(), Direction::Ascending, usize::MAX)?;
        let mut names = Vec::new();
        for (key, row) in &rows {
            if from_json::<TenantId>(Space::Meta, key, row)? == holder {
                let name = String::from_utf8_lossy(&key[prefix.start().len()..]);
                names.push(name.trim_end_matches('\0').to_owned());
            }
        }
        Ok(names)
    }
}

impl TenantTx<'_, '_> {
    /// Writes a connection.
    pub fn put_connection(&mut self, row: &ConnectionRow) {
        let key = Key::of(self.tenant()).tag(CONNECTION).text(&row.name).done();
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }

    /// Removes a connection.
    pub fn remove_connection(&mut self, name: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(CONNECTION).text(name).done());
        self.remove(Space::Row, Key::of(self.tenant()).tag(CONNECTION_TEST).text(name).done());
        self.note_workflows(Workflows::Changed);
    }

    /// Notes what a test of a connection found.
    pub fn put_connection_test(&mut self, name: &str, row: &ConnectionTestRow) {
        let key = Key::of(self.tenant()).tag(CONNECTION_TEST).text(name).done();
        self.put_json(Space::Row, key, row);
    }

    /// Gives the short name of a hook to a tenant.
    pub fn hold_hook(&mut self, name: &str, holder: TenantId) {
        self.put_json(Space::Meta, hook_key(name), &holder);
    }

    /// Frees the short name of a hook.
    pub fn release_hook(&mut self, name: &str) {
        self.remove(Space::Meta, hook_key(name));
    }
}

fn hook_key(name: &str) -> Vec<u8> {
    Key::of(APPLIANCE).tag(HOOK).text(name).done()
}
