//! Secrets: put, listed by name, removed; their values are never given back.

use std::sync::Arc;

use serde::Serialize;

use super::App;
use super::audit::Change;
use super::connections::name_of;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::problem::Problem;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::seal::Sealer;
use crate::store::secrets::{SecretRow, place};

const NAME_CHARS_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 16 * 1024;
const HOSTS_MAX: usize = 32;
const SECRETS_MAX: usize = 1_000;

/// A secret as lists show it: everything but its value.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretView {
    /// What steps call it: `{{ secrets.<name> }}`.
    pub name: String,
    /// The hosts that it may be sent to.
    pub hosts: Vec<String>,
    /// Grows with every change.
    pub version: u64,
    /// When it was put first.
    pub created_at: Timestamp,
    /// When it was put last.
    pub updated_at: Timestamp,
    /// Who put it last.
    pub updated_by: Option<String>,
}

/// A secret that is to be put.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: Secret,
    /// The hosts that it may be sent to: names, or `*.` and a name for everything below it.
    pub hosts: Vec<String>,
}

impl App {
    /// Returns what seals and opens secrets.
    #[must_use]
    pub fn sealer(&self) -> &Arc<Sealer> {
        self.engine().sealer()
    }

    /// Remembers with which key the store is sealed, so that another is refused at a later start.
    ///
    /// # Errors
    /// Returns why it cannot be written now.
    pub async fn remember_seal_key(&self) -> Result<(), Error> {
        let sealer = Arc::clone(self.sealer());
        self.write_of(APPLIANCE, move |tx| {
            tx.put_key_check(&sealer);
            Ok(())
        })
        .await
    }

    /// Lists the secrets of the caller's tenant by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn secrets(&self, who: &Principal, page: &PageRequest) -> Result<Page<SecretView>, Error> {
        let rows = self.read(who, |view| Ok(view.secrets()?))?;
        Ok(page.cut(rows, |row: &SecretRow| row.name.clone()).map(SecretView::from))
    }

    /// Returns one secret, without its value.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn named_secret(&self, who: &Principal, name: &str) -> Result<SecretView, Error> {
        let row = self.read(who, |view| Ok(view.secret(name)?))?;
        let missing = || Error::NotFound { what: "secret", id: name.to_owned() };
        row.map(SecretView::from).ok_or_else(missing)
    }

    /// Puts a secret in place; what it was before is gone.
    ///
    /// # Errors
    /// `Invalid` for a name, value or host that is none.
    pub async fn put_secret(
        &self,
        who: &Principal,
        wanted: NewSecret,
    ) -> Result<SecretView, Error> {
        wanted.check()?;
        let (sealer, by) = (Arc::clone(self.sealer()), name_of(who));
        self.write(who, Change::of("secret.save", &wanted.name), move |tx, change| {
            let before = tx.view().secret(&wanted.name)?;
            change.before(&before.clone().map(SecretView::from));
            if before.is_none() && tx.view().secrets()?.len() >= SECRETS_MAX {
                let detail = format!("a tenant has at most {SECRETS_MAX} secrets");
                return Err(Error::Conflict { code: "too_many_secrets", detail });
            }
            // A version is never used again, not even after a removal, so that an old seal put back
            // into the file does not open.
            let version = tx.next_number(&format!("secret {}", wanted.name))?;
            let sealed = sealer.seal(place(tx.tenant(), &wanted.name, version), &wanted.value);
            let now = tx.now();
            let row = SecretRow {
                name: wanted.name,
                hosts: wanted.hosts,
                version,
                sealed,
                created_at: before.map_or(now, |row| row.created_at),
                updated_at: now,
                updated_by: Some(by),
            };
            tx.put_secret(&row);
            let view = SecretView::from(row);
            change.after(&view);
            Ok(view)
        })
        .await
    }

    /// Removes a secret; steps that name it fail from now on.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn remove_secret(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.write(who, Change::of("secret.remove", name.as_str()), move |tx, _| {
            if tx.view().secret(&name)?.is_none() {
                return Err(Error::NotFound { what: "secret", id: name });
            }
            tx.remove_secret(&name);
            Ok(())
        })
        .await
    }
}

impl NewSecret {
    fn check(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if !is_name(&self.name) {
            let detail = "must have 1 to 64 letters, digits and `_`, a letter or `_` first, so that \
                          `{{ secrets.<name> }}` can name it";
            problems.push(Problem::new("/name", "invalid_name", detail));
        }
        if self.value.is_empty() {
            problems.push(Problem::new("/value", "empty", "must not be empty"));
        }
        if self.value.expose().len() > VALUE_BYTES_MAX {
            let detail = format!("has more than {VALUE_BYTES_MAX} bytes");
            problems.push(Problem::new("/value", "too_long", detail));
        }
        if self.hosts.len() > HOSTS_MAX {
            let detail = format!("has more than {HOSTS_MAX} hosts");
            problems.push(Problem::new("/hosts", "too_many", detail));
        }
        for (index, host) in self.hosts.iter().enumerate().filter(|(_, host)| !is_host(host)) {
            let detail = format!("`{host}` is no host name");
            let hint = "write it without scheme, port and path: `api.example.com`, or \
                        `*.example.com` for everything below it";
            let problem = Problem::new(format!("/hosts/{index}"), "invalid_host", detail);
            problems.push(problem.with_hint(hint));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= NAME_CHARS_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_host(host: &str) -> bool {
    let name = host.strip_prefix("*.").unwrap_or(host);
    let is_bindable = host.len() == name.len() || name.parse::<std::net::IpAddr>().is_err();
    let reads = url::Url::parse(&format!("https://{name}/"));
    let same = reads.is_ok_and(|url| {
        url.host_str().is_some_and(|read| read.eq_ignore_ascii_case(name)) && url.port().is_none()
    });
    !name.is_empty() && !name.contains('*') && is_bindable && same
}

impl From<SecretRow> for SecretView {
    fn from(row: SecretRow) -> SecretView {
        SecretView {
            name: row.name,
            hosts: row.hosts,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            updated_by: row.updated_by,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_without_anything_around_them() {
        for (host, fits) in [
            ("api.example.com", true),
            ("*.example.com", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("localhost", true),
            ("https://api.example.com", false),
            ("api.example.com:8443", false),
            ("api.example.com/v1", false),
            ("user@api.example.com", false),
            ("*", false),
            ("", false),
            ("2130706433", false),
        ] {
            assert_eq!(is_host(host), fits, "{host}");
        }
    }

    #[test]
    fn names_are_those_that_an_expression_can_hold() {
        for (name, fits) in
            [("token", true), ("_a1", true), ("a-b", false), ("1a", false), ("", false)]
        {
            assert_eq!(is_name(name), fits, "{name}");
        }
    }
}
