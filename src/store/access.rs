//! Tenants, keys and sessions: what says who is asking. They belong to the appliance itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::family::{Dedupe, Meta};
use super::key::{Key, Prefix};
use super::seal::{Place, Sealed};
use super::seam::{Direction, Space, StoreError};
use super::tenant::{TenantTx, TenantView, from_json};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;

/// The tenant that stands for the appliance; no caller belongs to it.
pub const APPLIANCE: TenantId = TenantId(0);

const TENANT: u8 = Meta::Tenant as u8;
const KEY: u8 = Meta::Key as u8;
const SESSION: u8 = Meta::Session as u8;
const ANSWER: u8 = Dedupe::Answer as u8;

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TenantRow {
    /// Its number.
    pub id: TenantId,
    /// Its name in commands and headers.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was closed; its number is never given again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// When it was suspended, while it is: its runs rest, and it takes no new work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Timestamp>,
    /// Its own quotas by their names; the others are those of the settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub quotas: BTreeMap<String, u64>,
    /// The part that the ids of its runs name, where it came from another one: ids stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids_part: Option<u16>,
}

impl TenantRow {
    /// Makes a tenant as it is when it begins.
    #[must_use]
    pub fn new(id: TenantId, slug: &str, name: &str, created_at: Timestamp) -> TenantRow {
        TenantRow {
            id,
            slug: slug.to_owned(),
            name: name.to_owned(),
            created_at,
            deleted_at: None,
            suspended_at: None,
            quotas: BTreeMap::new(),
            ids_part: None,
        }
    }
}

/// A key, kept by the digest of its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRow {
    /// Names the key; not secret.
    pub id: String,
    /// SHA-256 of the key's text, in hexadecimal.
    pub digest: String,
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// What it is for.
    pub name: String,
    /// The first characters of its text.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// Who made it, for people.
    #[serde(default)]
    pub created_by: Option<String>,
    /// The id of the person who made it, if a person did: it never allows more than they may.
    #[serde(default)]
    pub person: Option<String>,
    /// The uid of the app whose bot it is, if it is one: then the app's installation says what it
    /// may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
}

/// A signed-in browser, kept by the digest of its cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionRow {
    /// SHA-256 of the cookie, in hexadecimal.
    pub digest: String,
    /// Names the session in lists; not secret.
    #[serde(default)]
    pub id: String,
    /// The digest of the key that signed in, if a key did: the session ends with its key.
    #[serde(default)]
    pub key_digest: Option<String>,
    /// The person who signed in, if a person did.
    #[serde(default)]
    pub person: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    #[serde(default)]
    pub seen_at: Option<Timestamp>,
    /// When it ends however much it is used.
    pub expires_at: Timestamp,
    /// The network address that it began from.
    #[serde(default)]
    pub address: Option<String>,
    /// What the browser calls itself.
    #[serde(default)]
    pub agent: Option<String>,
}

/// An answer kept for the repeat of a request with the same `Idempotency-Key`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AnswerRow {
    /// SHA-256 of the request's body, in hexadecimal.
    pub body_digest: String,
    /// The HTTP status that was answered.
    pub status: u16,
    /// The content type that was answered.
    pub content_type: String,
    /// The other headers that belong to the answer: its tag, its place.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// The body that was answered, sealed for [`place_of_answer`]: it may hold what is shown once.
    #[serde(default)]
    pub sealed: Option<Sealed>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// Returns where the seal of a kept answer belongs; `scope` names its caller, path and key.
#[must_use]
pub fn place_of_answer(tenant: TenantId, scope: &str) -> Place<'_> {
    Place { tenant, kind: "answer", id: scope, version: 1 }
}

impl TenantView<'_> {
    /// Returns every tenant.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn tenants(&self) -> Result<Vec<TenantRow>, StoreError> {
        self.appliance_rows(TENANT)
    }

    /// Returns every key of every tenant.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.appliance_rows(KEY)
    }

    /// Returns the key with this digest.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn key(&self, digest: &str) -> Result<Option<KeyRow>, StoreError> {
        self.json(Space::Meta, &Key::of(APPLIANCE).tag(KEY).text(digest).done())
    }

    /// Returns the session with this digest.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn session(&self, digest: &str) -> Result<Option<SessionRow>, StoreError> {
        self.json(Space::Meta, &Key::of(APPLIANCE).tag(SESSION).text(digest).done())
    }

    /// Returns every session.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn sessions(&self) -> Result<Vec<SessionRow>, StoreError> {
        self.appliance_rows(SESSION)
    }

    /// Returns the answer that was kept for an idempotency key, named by its caller.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn answer(&self, name: &str) -> Result<Option<AnswerRow>, StoreError> {
        self.json(Space::Dedupe, &Key::of(self.tenant()).tag(ANSWER).text(name).done())
    }

    /// Returns the names of at most `limit` kept answers that may be forgotten at `now`.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn expired_answers(&self, now: Timestamp, limit: usize) -> Result<Vec<String>, StoreError> {
        let prefix = Prefix::new(Key::of(self.tenant()).tag(ANSWER));
        let rows = self.scan(Space::Dedupe, prefix.range(), Direction::Ascending, limit)?;
        let mut expired = Vec::new();
        for (key, row) in &rows {
            let answer: AnswerRow = from_json(Space::Dedupe, key, row)?;
            if answer.expires_at <= now {
                let name = String::from_utf8_lossy(&key[prefix.start().len()..]);
                expired.push(name.trim_end_matches('\0').to_owned());
            }
        }
        Ok(expired)
    }

    pub(super) fn appliance_rows<T: serde::de::DeserializeOwned>(
        &self,
        tag: u8,
    ) -> Result<Vec<T>, StoreError> {
        let prefix = Prefix::new(Key::of(APPLIANCE).tag(tag));
        let rows = self.scan(Space::Meta, prefix.range(), Direction::Ascending, usize::MAX)?;
        rows.iter().map(|(key, row)| from_json(Space::Meta, key, row)).collect()
    }
}

impl TenantTx<'_, '_> {
    /// Writes a tenant.
    pub fn put_tenant(&mut self, row: &TenantRow) {
        let key = Key::of(APPLIANCE).tag(TENANT).number(row.id.0.into()).done();
        self.put_json(Space::Meta, key, row);
    }

    /// Writes a key.
    pub fn put_key(&mut self, row: &KeyRow) {
        let key = Key::of(APPLIANCE).tag(KEY).text(&row.digest).done();
        self.put_json(Space::Meta, key, row);
    }

    /// Removes a key.
    pub fn remove_key(&mut self, digest: &str) {
        self.remove(Space::Meta, Key::of(APPLIANCE).tag(KEY).text(digest).done());
    }

    /// Writes a session.
    pub fn put_session(&mut self, row: &SessionRow) {
        let key = Key::of(APPLIANCE).tag(SESSION).text(&row.digest).done();
        self.put_json(Space::Meta, key, row);
    }

    /// Removes a session.
    pub fn remove_session(&mut self, digest: &str) {
        self.remove(Space::Meta, Key::of(APPLIANCE).tag(SESSION).text(digest).done());
    }

    /// Keeps an answer for an idempotency key, named by its caller.
    pub fn keep_answer(&mut self, name: &str, row: &AnswerRow) {
        let key = Key::of(self.tenant()).tag(ANSWER).text(name).done();
        self.put_json(Space::Dedupe, key, row);
    }

    /// Forgets a kept answer.
    pub fn forget_answer(&mut self, name: &str) {
        self.remove(Space::Dedupe, Key::of(self.tenant()).tag(ANSWER).text(name).done());
    }
}
