//! API keys: made, listed, revoked.

use super::App;
use super::access::digest;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::{Kind, Principal};
use super::views::{KeyView, Page};
use crate::domain::problem::{Problem, nearest};
use crate::domain::role::RESOURCES;
use crate::domain::time::Timestamp;
use crate::store::access::{APPLIANCE, KeyRow};

const PREFIX_CHARS: usize = 12;

/// A key that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// What it is for.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// A key that was made; its text is not kept.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// What lists show.
    pub view: KeyView,
    /// The key itself.
    pub key: String,
}

impl App {
    /// Lists the keys of the caller's tenant, oldest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn keys(&self, who: &Principal, page: &PageRequest) -> Result<Page<KeyView>, Error> {
        let rows = self.read_of(APPLIANCE, |view| Ok(view.keys()?))?;
        let mut own: Vec<KeyRow> =
            rows.into_iter().filter(|row| row.tenant == who.tenant).collect();
        own.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        let sort_key = |row: &KeyRow| format!("{:020} {}", row.created_at.millis(), row.id);
        Ok(page.cut(own, sort_key).map(view))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// `Invalid` for scopes that do not exist, `Forbidden` for scopes that the caller lacks.
    pub async fn create_key(&self, who: &Principal, wanted: NewKey) -> Result<MadeKey, Error> {
        let (row, key) = self.new_key(who, wanted)?;
        let made = MadeKey { view: view(row.clone()), key };
        self.write_access(who, Change::of("key.create", &row.id), move |tx, change| {
            tx.put_key(&row);
            change.after(&view(row));
            Ok(())
        })
        .await?;
        Ok(made)
    }

    /// Checks what is asked for and makes a key that is not kept yet.
    pub(super) fn new_key(
        &self,
        who: &Principal,
        wanted: NewKey,
    ) -> Result<(KeyRow, String), Error> {
        check_scopes(who, &wanted.scopes)?;
        let now = self.now();
        if wanted.expires_at.is_some_and(|end| end <= now) {
            let problem = Problem::new("/expiresAt", "in_the_past", "must lie in the future");
            return Err(Error::Invalid(vec![problem]));
        }
        let key = format!("erg_{}", self.secret());
        let row = KeyRow {
            id: format!("key_{:016x}", self.clock().random()),
            digest: digest(&key),
            tenant: who.tenant,
            name: wanted.name,
            prefix: key.chars().take(PREFIX_CHARS).collect(),
            scopes: wanted.scopes,
            created_at: now,
            expires_at: wanted.expires_at,
            last_used_at: None,
            created_by: Some(who.email.clone().unwrap_or_else(|| who.name.clone())),
            person: (who.kind == Kind::Person).then(|| who.id.clone()),
            app: None,
        };
        Ok((row, key))
    }

    /// Revokes a key; what it began goes on, but it opens nothing any more.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such key.
    pub async fn revoke_key(&self, who: &Principal, id: &str) -> Result<(), Error> {
        let (tenant, id) = (who.tenant, id.to_owned());
        let outcome = self
            .write_access(who, Change::of("key.revoke", &id), move |tx, change| {
                let mut keys = tx.view().keys()?.into_iter();
                let row = keys.find(|row| row.tenant == tenant && row.id == id);
                let row = row.ok_or(Error::NotFound { what: "key", id })?;
                tx.remove_key(&row.digest);
                change.before(&view(row));
                Ok(())
            })
            .await;
        self.known.forget();
        outcome
    }
}

/// Nobody gives away more than they have.
fn check_scopes(who: &Principal, scopes: &[String]) -> Result<(), Error> {
    let problems: Vec<Problem> = scopes
        .iter()
        .enumerate()
        .filter_map(|(index, scope)| scope_problem(index, scope))
        .chain(scopes.is_empty().then(|| {
            Problem::new(
                "/scopes",
                "empty",
                "a key needs at least one scope, such as `events:write`",
            )
        }))
        .collect();
    if !problems.is_empty() {
        return Err(Error::Invalid(problems));
    }
    let excess = scopes.iter().find(|scope| !who.scopes.cover(scope));
    match excess {
        Some(scope) => Err(Error::Forbidden { scope: scope.clone() }),
        None => Ok(()),
    }
}

fn scope_problem(index: usize, scope: &str) -> Option<Problem> {
    if scope == "*" {
        return None;
    }
    let (resource, action) = scope.split_once(':').unwrap_or((scope, ""));
    if RESOURCES.contains(&resource) && matches!(action, "read" | "write" | "*") {
        return None;
    }
    let detail = format!("`{scope}` is no scope; one is `*` or `<resource>:read` or `:write`");
    let problem = Problem::new(format!("/scopes/{index}"), "unknown_scope", detail);
    Some(match nearest(resource, RESOURCES) {
        Some(near) => problem.with_hint(format!("did you mean `{near}:read`?")),
        None => problem.with_hint(format!("the resources are {}", RESOURCES.join(", "))),
    })
}

pub(super) fn view(row: KeyRow) -> KeyView {
    KeyView {
        id: row.id,
        name: row.name,
        prefix: row.prefix,
        scopes: row.scopes,
        created_at: row.created_at,
        expires_at: row.expires_at,
        last_used_at: row.last_used_at,
        created_by: row.created_by,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::principal::Scopes;
    use crate::domain::id::TenantId;

    #[test]
    fn nobody_gives_away_more_than_they_have() {
        let who = |scopes: &[&str]| Principal {
            scopes: Scopes::new(scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            ..Principal::program(TenantId(1), "test")
        };
        for (own, wanted, fits) in [
            (&["*"][..], &["*"][..], true),
            (&["keys:write"], &["*"], false),
            (&["keys:write", "runs:read"], &["runs:read"], true),
            (&["keys:write", "runs:read"], &["runs:write"], false),
            (&["keys:write", "runs:read"], &["runs:*"], false),
            (&["*"], &["runz:read"], false),
            (&["*"], &["runs"], false),
            (&["*"], &[], false),
        ] {
            let wanted: Vec<String> = wanted.iter().map(|scope| (*scope).to_owned()).collect();
            assert_eq!(check_scopes(&who(own), &wanted).is_ok(), fits, "{own:?} {wanted:?}");
        }
    }
}
