//! Sessions of browsers: listed and ended.

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::sign_in::Entered;
use super::views::Page;
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, SessionRow};
use crate::store::tenant::{TenantTx, TenantView};

const AGENT_CHARS_MAX: usize = 200;

/// A signed-in browser.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionView {
    /// Names the session.
    pub id: String,
    /// The person who signed in, if it was one and not a key.
    pub person: Option<String>,
    /// What people call whoever signed in.
    pub name: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last, to the minute.
    pub seen_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// The network address that it began from.
    pub address: Option<String>,
    /// What the browser calls itself.
    pub agent: Option<String>,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Which sessions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The caller's own.
    Own,
    /// Everybody's in the tenant.
    Everybody,
}

impl App {
    /// Lists sessions that have not ended, newest last.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn sessions(
        &self,
        who: &Principal,
        whose: Whose,
        page: &PageRequest,
    ) -> Result<Page<SessionView>, Error> {
        let found = self.read_of(APPLIANCE, |view| {
            let mut found = Vec::new();
            for row in view.sessions()?.into_iter().filter(|row| self.is_alive(row)) {
                if let Some(name) = holder(&view, &row, who.tenant)?
                    && (whose == Whose::Everybody || is_own(&row, who))
                {
                    found.push((row, name));
                }
            }
            Ok(found)
        })?;
        let current = who.session.as_deref();
        let mut views: Vec<SessionView> = found
            .into_iter()
            .map(|(row, name)| SessionView {
                current: current == Some(&row.digest),
                id: row.id,
                person: row.person,
                name,
                created_at: row.created_at,
                seen_at: row.seen_at.unwrap_or(row.created_at),
                expires_at: row.expires_at,
                address: row.address,
                agent: row.agent,
            })
            .collect();
        let sort_key = |view: &SessionView| format!("{:020} {}", view.created_at.millis(), view.id);
        views.sort_by_key(sort_key);
        Ok(page.cut(views, sort_key))
    }

    /// Ends one session.
    ///
    /// # Errors
    /// `NotFound` when there is none with this id among those that are meant.
    pub async fn end_session(&self, who: &Principal, whose: Whose, id: &str) -> Result<(), Error> {
        let (id, caller) = (id.to_owned(), who.clone());
        self.write_access(who, Change::of("session.end", id.as_str()), move |tx, _| {
            let sessions = tx.view().sessions()?;
            let row = sessions.into_iter().find(|row| !row.id.is_empty() && row.id == id);
            let missing = || Error::NotFound { what: "session", id: id.clone() };
            let row = row.ok_or_else(missing)?;
            let theirs = holder(&tx.view(), &row, caller.tenant)?.is_some();
            if !theirs || (whose == Whose::Own && !is_own(&row, &caller)) {
                return Err(missing());
            }
            tx.remove_session(&row.digest);
            Ok(())
        })
        .await
    }

    /// Ends every session of the caller but the one that asks.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn end_other_sessions(&self, who: &Principal) -> Result<(), Error> {
        let (person, keep) = (who.id.clone(), who.session.clone());
        self.write_access(who, Change::of("session.endOthers", &who.id), move |tx, _| {
            end_all(tx, &person, keep.as_deref())
        })
        .await
    }

    /// Ends the session of a token; one that has ended already is no error.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn sign_out(&self, token: &str) -> Result<(), Error> {
        let digest = super::access::digest(token);
        self.write_of(APPLIANCE, move |tx| {
            tx.remove_session(&digest);
            Ok(())
        })
        .await
    }

    /// Makes a session that is not kept yet.
    pub(super) fn new_session(&self, who: &Principal) -> (Entered, SessionRow) {
        let (token, now) = (self.secret(), self.now());
        let agent = who.origin.agent.as_ref();
        let row = SessionRow {
            digest: super::access::digest(&token),
            id: format!("ses_{:016x}", self.clock().random()),
            key_digest: None,
            person: Some(who.id.clone()),
            created_at: now,
            seen_at: Some(now),
            expires_at: now + self.access.session_life(),
            address: who.origin.address.clone(),
            agent: agent.map(|agent| agent.chars().take(AGENT_CHARS_MAX).collect()),
        };
        let entered = Entered { token, id: row.id.clone(), expires_at: row.expires_at };
        (entered, row)
    }
}

/// Ends every session of a person, except the one with the digest `keep`.
pub(super) fn end_all(
    tx: &mut TenantTx<'_, '_>,
    person: &str,
    keep: Option<&str>,
) -> Result<(), Error> {
    for row in tx.view().sessions()? {
        if row.person.as_deref() == Some(person) && keep != Some(row.digest.as_str()) {
            tx.remove_session(&row.digest);
        }
    }
    Ok(())
}

/// Returns what people call whoever signed in, if they belong to `tenant`.
fn holder(
    view: &TenantView<'_>,
    row: &SessionRow,
    tenant: TenantId,
) -> Result<Option<String>, Error> {
    if let Some(person) = &row.person {
        let person = view.person(person)?.filter(|person| person.tenant == tenant);
        return Ok(person.map(|person| person.email));
    }
    let key = match &row.key_digest {
        Some(digest) => view.key(digest)?.filter(|key| key.tenant == tenant),
        None => None,
    };
    Ok(key.map(|key| format!("key {}", key.name)))
}

fn is_own(row: &SessionRow, who: &Principal) -> bool {
    row.person.as_deref() == Some(&who.id) || who.session.as_deref() == Some(&row.digest)
}
