//! People who sign in, and the one-time links by which they set a password. They belong to the
//! appliance itself, each to one tenant.

use serde::{Deserialize, Serialize};

use super::access::APPLIANCE;
use super::family::Meta;
use super::key::Key;
use super::seal::{Place, Sealed};
use super::seam::{Space, StoreError};
use super::tenant::{TenantTx, TenantView};
use crate::domain::id::TenantId;
use crate::domain::role::Role;
use crate::domain::time::Timestamp;

const PERSON: u8 = Meta::Person as u8;
const BY_EMAIL: u8 = Meta::PersonByEmail as u8;
const LINK: u8 = Meta::Link as u8;

/// Somebody who signs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PersonRow {
    /// Names the person; not secret.
    pub id: String,
    /// The tenant that they belong to.
    pub tenant: TenantId,
    /// Their mail address in lower case: unique in the appliance.
    pub email: String,
    /// What people call them.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// The teams that they are limited to; none for no limit.
    #[serde(default)]
    pub teams: Vec<String>,
    /// The password's argon2id hash with its parameters, once one was set.
    pub password: Option<String>,
    /// The second factor.
    #[serde(default)]
    pub second_factor: SecondFactor,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
    /// When they were invited.
    pub created_at: Timestamp,
    /// Who invited them.
    pub created_by: String,
    /// When they signed in last.
    pub signed_in_at: Option<Timestamp>,
}

impl PersonRow {
    /// Returns where the seal of the authenticator's secret belongs.
    #[must_use]
    pub fn authenticator(&self) -> Place<'_> {
        Place { tenant: self.tenant, kind: "authenticator", id: &self.id, version: 1 }
    }
}

/// One-time codes of a person's authenticator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecondFactor {
    /// The shared secret in hexadecimal, once it was confirmed.
    pub secret: Option<Sealed>,
    /// A shared secret that waits to be confirmed.
    pub pending: Option<Sealed>,
    /// The time step of the last code that was taken: no code is taken twice.
    #[serde(default)]
    pub last_step: u64,
    /// Digests of the recovery codes that are left.
    #[serde(default)]
    pub recovery: Vec<String>,
}

/// What a one-time link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LinkPurpose {
    /// Makes its holder the owner.
    SetUp,
    /// Lets a new person set a password.
    Invitation,
    /// Lets a person set another password.
    Reset,
}

/// A one-time link, kept by the digest of its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkRow {
    /// SHA-256 of the token, in hexadecimal.
    pub digest: String,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Whose password it sets; nobody's yet for the set-up.
    pub person: Option<String>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl TenantView<'_> {
    /// Returns everybody of every tenant.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        self.appliance_rows(PERSON)
    }

    /// Returns a person by id.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn person(&self, id: &str) -> Result<Option<PersonRow>, StoreError> {
        self.json(Space::Meta, &key(PERSON, id))
    }

    /// Returns the person with this mail address, whatever its case.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn person_by_email(&self, email: &str) -> Result<Option<PersonRow>, StoreError> {
        let id: Option<String> = self.json(Space::Meta, &key(BY_EMAIL, &email.to_lowercase()))?;
        match id {
            Some(id) => self.person(&id),
            None => Ok(None),
        }
    }

    /// Returns the link with this digest.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn link(&self, digest: &str) -> Result<Option<LinkRow>, StoreError> {
        self.json(Space::Meta, &key(LINK, digest))
    }

    /// Returns every link.
    ///
    /// # Errors
    /// Fails on an unreadable or damaged record.
    pub fn links(&self) -> Result<Vec<LinkRow>, StoreError> {
        self.appliance_rows(LINK)
    }
}

impl TenantTx<'_, '_> {
    /// Writes a person, whose mail address must be free or their own.
    pub fn put_person(&mut self, row: &PersonRow) {
        self.put_json(Space::Meta, key(PERSON, &row.id), row);
        self.put_json(Space::Meta, key(BY_EMAIL, &row.email), &row.id);
    }

    /// Removes a person.
    pub fn remove_person(&mut self, row: &PersonRow) {
        self.remove(Space::Meta, key(PERSON, &row.id));
        self.remove(Space::Meta, key(BY_EMAIL, &row.email));
    }

    /// Writes a link.
    pub fn put_link(&mut self, row: &LinkRow) {
        self.put_json(Space::Meta, key(LINK, &row.digest), row);
    }

    /// Removes a link.
    pub fn remove_link(&mut self, digest: &str) {
        self.remove(Space::Meta, key(LINK, digest));
    }
}

fn key(tag: u8, text: &str) -> Vec<u8> {
    Key::of(APPLIANCE).tag(tag).text(text).done()
}
