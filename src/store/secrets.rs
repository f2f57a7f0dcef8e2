//! Named secrets of a tenant, sealed.

use serde::{Deserialize, Serialize};

use super::family::Row;
use super::key::{Key, Prefix};
use super::seal::{Place, Sealed};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, Workflows, from_json};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

const SECRET: u8 = Row::Secret as u8;

/// A secret with the hosts that it is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// Grows with every change; part of the seal's place.
    pub version: u64,
    /// Its value, sealed for [`place`].
    pub sealed: Sealed,
    /// When it was put first.
    pub created_at: Timestamp,
    /// When it was put last.
    pub updated_at: Timestamp,
    /// Who put it last; rows of earlier versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// Returns where the seal of a named secret belongs.
#[must_use]
pub fn place(tenant: TenantId, name: &str, version: u64) -> Place<'_> {
    Place { tenant, kind: "secret", id: name, version }
}

impl TenantView<'_> {
    /// Returns every secret of the tenant, by name.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn secrets(&self) -> Result<Vec<SecretRow>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(SECRET));
        let rows = self.scan(Space::Row, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Row, key, row)).collect()
    }

    /// Returns one secret.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn secret(&self, name: &str) -> Result<Option<SecretRow>, StoreError> {
        self.json(Space::Row, &Key::of(self.tenant()).tag(SECRET).text(name).done())
    }
}

impl TenantTx<'_, '_> {
    /// Writes a secret; what steps see is masked with it from now on.
    pub fn put_secret(&mut self, row: &SecretRow) {
        let key = Key::of(self.tenant()).tag(SECRET).text(&row.name).done();
        self.put_json(Space::Row, key, row);
        self.note_workflows(Workflows::Changed);
    }

    /// Removes a secret.
    pub fn remove_secret(&mut self, name: &str) {
        self.remove(Space::Row, Key::of(self.tenant()).tag(SECRET).text(name).done());
        self.note_workflows(Workflows::Changed);
    }
}
