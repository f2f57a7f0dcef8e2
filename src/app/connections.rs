//! Connections to other systems: made, changed, listed, removed; their secrets go in and never out.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::hooks::rules_of;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use crate::domain::connection;
use crate::domain::hook::{SIGNATURES, Sender};
use crate::domain::id::TenantId;
use crate::domain::problem::{Problem, nearest, pointer_to};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::access::APPLIANCE;
use crate::store::connections::{ConnectionRow, ConnectionTestRow, SealedValue, Unauthorized};
use crate::store::seal::Sealer;
use crate::store::tenant::TenantTx;

const NAME_CHARS_MAX: usize = 64;
const CONNECTIONS_MAX: usize = 500;
const SECRETS_MAX: usize = 20;
const VALUES_MAX: usize = 4;
const VALUE_BYTES_MAX: usize = 16 * 1024;
const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// How long a secret that was replaced holds when nobody says.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// What people put among the settings by mistake, where it would be shown.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "token",
    "secret",
    "apiKey",
    "signingSecret",
    "botToken",
    "appToken",
    "webhookSecret",
    "clientSecret",
    "apiToken",
    "accessToken",
    "refreshToken",
];

/// Secrets for which tokens are given.
const GRANTING: [&str; 2] = ["clientSecret", "refreshToken"];

/// A connection as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Its name.
    pub name: String,
    /// The kind of system.
    pub app: String,
    /// What is not secret.
    pub settings: Map<String, Value>,
    /// Which secrets are set, without their values.
    pub secrets: BTreeMap<String, SecretState>,
    /// The path that other systems send to.
    pub hook_path: String,
    /// Grows with every change.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// `ok`, or `unauthorized` while the other system does not believe who asks.
    pub state: &'static str,
    /// Since when it does not, and what it said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unauthorized: Option<Unauthorized>,
    /// What the last test found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_test: Option<ConnectionTestRow>,
}

/// What is told of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretState {
    /// Always true: one that is not set is not listed.
    pub set: bool,
    /// How many values hold: more than one while one is exchanged for another.
    pub values: usize,
    /// Until when the oldest of them holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_valid_until: Option<Timestamp>,
    /// When the newest of them was set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_at: Option<Timestamp>,
    /// Who set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_by: Option<String>,
}

/// A connection that is asked for.
#[derive(Clone, Debug)]
pub struct NewConnection {
    /// Its name.
    pub name: String,
    /// The kind of system.
    pub app: String,
    /// What is not secret.
    pub settings: Map<String, Value>,
    /// What is: see [`SecretChanges::read`].
    pub secrets: SecretChanges,
}

/// What of a connection is to change.
#[derive(Clone, Debug)]
pub struct ConnectionChange {
    /// Settings to set; null removes one.
    pub settings: Map<String, Value>,
    /// Secrets to set or remove.
    pub secrets: SecretChanges,
}

/// Secrets to set or remove.
#[derive(Clone, Debug, Default)]
pub struct SecretChanges {
    by_name: BTreeMap<String, SecretChange>,
    previous_valid_until: Option<Timestamp>,
}

#[derive(Clone, Debug, Default)]
struct SecretChange {
    /// `None` leaves it as it is, an empty list removes it.
    current: Option<Vec<Secret>>,
    previous: Option<Secret>,
}

impl SecretChanges {
    /// Reads an object of secrets: `{signingSecret: "…"}`; a list holds several values, the newest
    /// first; null removes one; `previousSigningSecret` holds beside it until `previousValidUntil`.
    ///
    /// # Errors
    /// Returns every problem at once, and repeats no value.
    pub fn read(raw: Map<String, Value>) -> Result<SecretChanges, Error> {
        let mut changes = SecretChanges::default();
        let mut problems = Vec::new();
        for (name, value) in raw {
            let at = pointer_to("/secrets", &name);
            if let Err((code, detail)) = changes.take(&name, value) {
                problems.push(Problem::new(at, code, detail));
            }
        }
        if changes.by_name.len() > SECRETS_MAX {
            let detail = format!("a connection has at most {SECRETS_MAX} secrets");
            problems.push(Problem::new("/secrets", "too_many", detail));
        }
        if problems.is_empty() { Ok(changes) } else { Err(Error::Invalid(problems)) }
    }

    fn take(&mut self, name: &str, value: Value) -> Result<(), (&'static str, String)> {
        if name == "previousValidUntil" {
            let until = value.as_str().and_then(|text| text.parse().ok());
            let wrong = || ("invalid_time", "must be an RFC 3339 time".to_owned());
            self.previous_valid_until = Some(until.ok_or_else(wrong)?);
            return Ok(());
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(fits) {
            let detail = "a secret's name has 1 to 64 letters, digits, `_` and `-`";
            return Err(("invalid_name", detail.to_owned()));
        }
        let mut values = values_of(value)?;
        match before_of(name) {
            Some(current) => {
                let previous = values.pop().filter(|_| values.is_empty());
                let wrong = || ("wrong_type", "a previous secret is one text".to_owned());
                let previous = Some(previous.ok_or_else(wrong)?);
                self.by_name.entry(current).or_default().previous = previous;
            }
            None => self.by_name.entry(name.to_owned()).or_default().current = Some(values),
        }
        Ok(())
    }

    /// Seals what is new and puts it into the row.
    fn apply(
        self,
        row: &mut ConnectionRow,
        sealer: &Sealer,
        (tx, by): (&mut TenantTx<'_, '_>, &str),
    ) -> Result<(), Error> {
        let now = tx.now();
        if !self.by_name.is_empty() {
            // What was not believed was another secret, and so was what a token was given for.
            row.unauthorized = None;
            if GRANTING.iter().any(|name| self.by_name.contains_key(*name)) {
                row.secrets.remove("accessToken");
            }
        }
        for (name, change) in self.by_name {
            let old = row.secrets.remove(&name).unwrap_or_default();
            let mut values = match &change.current {
                Some(_) => Vec::new(),
                None => old.clone(),
            };
            let mut seal = |secret: &Secret, valid_until| -> Result<SealedValue, Error> {
                let version = tx.next_number("connection secrets")?;
                let sealed = row.seal((sealer, tx.tenant()), &name, version, secret);
                let (set_at, set_by) = (Some(now), Some(by.to_owned()));
                Ok(SealedValue { version, sealed, valid_until, set_at, set_by })
            };
            for secret in change.current.iter().flatten() {
                values.push(seal(secret, None)?);
            }
            match (&change.previous, self.previous_valid_until) {
                (Some(previous), until) => {
                    values.push(seal(previous, Some(until.unwrap_or(now + OVERLAP)))?);
                }
                (None, Some(until)) if !values.is_empty() && change.current.is_some() => {
                    let kept = old.into_iter().next();
                    values.extend(kept.map(|old| SealedValue { valid_until: Some(until), ..old }));
                }
                (None, _) => {}
            }
            values.truncate(VALUES_MAX);
            if !values.is_empty() {
                row.secrets.insert(name, values);
            }
        }
        Ok(())
    }
}

/// Returns the secret that `previousX` was before.
fn before_of(name: &str) -> Option<String> {
    let rest = name.strip_prefix("previous")?;
    let initial = rest.chars().next().filter(char::is_ascii_uppercase)?;
    Some(format!("{}{}", initial.to_ascii_lowercase(), &rest[1..]))
}

fn values_of(value: Value) -> Result<Vec<Secret>, (&'static str, String)> {
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        single => vec![single],
    };
    if items.len() > VALUES_MAX {
        return Err(("too_many", format!("a secret has at most {VALUES_MAX} values at once")));
    }
    let read = |item: Value| match item {
        Value::String(text) if text.trim().is_empty() => {
            Err(("empty", "must not be empty; null removes it".to_owned()))
        }
        Value::String(text) if text.len() > VALUE_BYTES_MAX => {
            Err(("too_long", format!("has more than {VALUE_BYTES_MAX} bytes")))
        }
        Value::String(text) => Ok(Secret::new(text)),
        _ => Err(("wrong_type", "must be a text, a list of texts, or null".to_owned())),
    };
    items.into_iter().map(read).collect()
}

impl App {
    /// Lists the connections of the caller's tenant by name.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn connections(
        &self,
        who: &Principal,
        page: &PageRequest,
    ) -> Result<Page<ConnectionView>, Error> {
        let rows = self.read(who, |view| Ok(view.connections()?))?;
        let page = page.cut(rows, |row: &ConnectionRow| row.name.clone());
        let data: Result<Vec<_>, Error> =
            page.data.into_iter().map(|row| self.connection_view(who.tenant, row)).collect();
        Ok(Page { data: data?, next_cursor: page.next_cursor })
    }

    /// Returns one connection.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn connection(&self, who: &Principal, name: &str) -> Result<ConnectionView, Error> {
        let row = self.connection_row(who.tenant, name)?;
        self.connection_view(who.tenant, row)
    }

    /// Makes a connection.
    ///
    /// # Errors
    /// `Invalid` for a name, settings or rules that are none, `Conflict` for a name that is taken.
    pub async fn create_connection(
        &self,
        who: &Principal,
        wanted: NewConnection,
    ) -> Result<ConnectionView, Error> {
        check(&wanted.name, &wanted.app, &wanted.settings)?;
        let taken = {
            let detail = format!("there is a connection `{}` already", wanted.name);
            Error::Conflict { code: "connection_exists", detail }
        };
        self.claim_hook(who.tenant, &wanted.name).await?;
        let (sealer, by) = (Arc::clone(self.sealer()), name_of(who));
        let row = self
            .write(who, Change::of("connection.create", &wanted.name), move |tx, change| {
                if tx.view().connection(&wanted.name)?.is_some() {
                    return Err(taken);
                }
                if tx.view().connections()?.len() >= CONNECTIONS_MAX {
                    let detail = format!("a tenant has at most {CONNECTIONS_MAX} connections");
                    return Err(Error::Conflict { code: "too_many_connections", detail });
                }
                let mut row = ConnectionRow {
                    name: wanted.name,
                    app: wanted.app,
                    settings: wanted.settings,
                    secrets: BTreeMap::new(),
                    version: 1,
                    created_at: tx.now(),
                    updated_at: tx.now(),
                    unauthorized: None,
                };
                wanted.secrets.apply(&mut row, &sealer, (&mut *tx, &by))?;
                tx.put_connection(&row);
                change.after(&row);
                Ok(row)
            })
            .await?;
        self.connection_view(who.tenant, row)
    }

    /// Changes settings and secrets; what is not named stays.
    ///
    /// # Errors
    /// `NotFound` when there is none, `Invalid` when it would not be valid any more.
    pub async fn change_connection(
        &self,
        who: &Principal,
        name: &str,
        wanted: ConnectionChange,
    ) -> Result<ConnectionView, Error> {
        let (name, sealer, by) = (name.to_owned(), Arc::clone(self.sealer()), name_of(who));
        let row = self
            .write(who, Change::of("connection.change", name.as_str()), move |tx, change| {
                let found = tx.view().connection(&name)?;
                change.before(&found);
                let mut row = found.ok_or(Error::NotFound { what: "connection", id: name })?;
                row.settings.extend(wanted.settings);
                row.settings.retain(|_, value| !value.is_null());
                check(&row.name, &row.app, &row.settings)?;
                wanted.secrets.apply(&mut row, &sealer, (&mut *tx, &by))?;
                row.version += 1;
                row.updated_at = tx.now();
                tx.put_connection(&row);
                change.after(&row);
                Ok(row)
            })
            .await?;
        self.connection_view(who.tenant, row)
    }

    /// Puts a connection in place: made where there is none, else its settings replaced; secrets
    /// that are not named stay.
    ///
    /// # Errors
    /// As for making and changing one; `Conflict` for another app under the same name.
    pub async fn put_connection(
        &self,
        who: &Principal,
        wanted: NewConnection,
    ) -> Result<ConnectionView, Error> {
        let before = self.read(who, |view| Ok(view.connection(&wanted.name)?))?;
        let Some(before) = before else { return self.create_connection(who, wanted).await };
        if before.app != wanted.app {
            let detail = format!("`{}` is a connection of `{}`", before.name, before.app);
            return Err(Error::Conflict { code: "other_app", detail });
        }
        let gone = before.settings.into_iter().map(|(name, _)| (name, Value::Null));
        let mut settings: Map<String, Value> = gone.collect();
        settings.extend(wanted.settings);
        let change = ConnectionChange { settings, secrets: wanted.secrets };
        self.change_connection(who, &wanted.name, change).await
    }

    /// Removes a connection with what came to it.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn remove_connection(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let (tenant, own) = (who.tenant, name.to_owned());
        self.write(who, Change::of("connection.remove", name), move |tx, change| {
            let before = tx.view().connection(&own)?;
            change.before(&before);
            if before.is_none() {
                return Err(Error::NotFound { what: "connection", id: own });
            }
            if own.starts_with("app:") {
                let detail =
                    "it holds the settings of an app; uninstall the app instead".to_owned();
                return Err(Error::Conflict { code: "belongs_to_app", detail });
            }
            tx.remove_connection(&own);
            tx.forget_deliveries(&own)?;
            Ok(())
        })
        .await?;
        let name = name.to_owned();
        self.write_of(APPLIANCE, move |tx| {
            if tx.view().hook_holder(&name)? == Some(tenant) {
                tx.release_hook(&name);
            }
            Ok(())
        })
        .await
    }

    pub(super) fn connection_row(
        &self,
        tenant: TenantId,
        name: &str,
    ) -> Result<ConnectionRow, Error> {
        let row = self.read_of(tenant, |view| Ok(view.connection(name)?))?;
        row.ok_or_else(|| Error::NotFound { what: "connection", id: name.to_owned() })
    }

    /// Takes the short name of the hook, unless another tenant's connection answers to it.
    async fn claim_hook(&self, tenant: TenantId, name: &str) -> Result<(), Error> {
        let holder = self.read_of(APPLIANCE, |view| Ok(view.hook_holder(name)?))?;
        if let Some(holder) = holder
            && (holder == tenant
                || self.read_of(holder, |view| Ok(view.connection(name)?))?.is_some())
        {
            return Ok(());
        }
        let name = name.to_owned();
        self.write_of(APPLIANCE, move |tx| {
            if tx.view().hook_holder(&name)? == holder {
                tx.hold_hook(&name, tenant);
            }
            Ok(())
        })
        .await
    }

    fn connection_view(
        &self,
        tenant: TenantId,
        row: ConnectionRow,
    ) -> Result<ConnectionView, Error> {
        let holder = self.read_of(APPLIANCE, |view| Ok(view.hook_holder(&row.name)?))?;
        let short = match holder == Some(tenant) {
            true => row.name.clone(),
            false => format!("{}.{}", self.tenant(tenant)?.slug, row.name),
        };
        let is_slack = Sender::of(&row.app, &Value::Object(row.settings.clone())) == Sender::Slack;
        let last_test = self.read_of(tenant, |view| Ok(view.connection_test(&row.name)?))?;
        let now = self.now();
        let secrets = row.secrets.iter().map(|(name, values)| {
            let holds = |value: &&SealedValue| value.valid_until.is_none_or(|until| now <= until);
            let state = SecretState {
                set: true,
                values: values.iter().filter(holds).count(),
                previous_valid_until: values.iter().filter_map(|value| value.valid_until).max(),
                set_at: values.first().and_then(|value| value.set_at),
                set_by: values.first().and_then(|value| value.set_by.clone()),
            };
            (name.clone(), state)
        });
        Ok(ConnectionView {
            hook_path: format!("/hooks/{}{short}", if is_slack { "slack/" } else { "" }),
            secrets: secrets.collect(),
            name: row.name,
            app: row.app,
            settings: row.settings,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            state: if row.unauthorized.is_some() { "unauthorized" } else { "ok" },
            unauthorized: row.unauthorized,
            last_test,
        })
    }
}

/// Returns what people call whoever changes something.
pub(super) fn name_of(who: &Principal) -> String {
    who.email.clone().unwrap_or_else(|| who.name.clone())
}

fn check(name: &str, app: &str, settings: &Map<String, Value>) -> Result<(), Error> {
    let mut problems = Vec::new();
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    for (at, text) in [("/name", name), ("/app", app)] {
        if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(fits) {
            let detail = "must have 1 to 64 letters, digits, `-` and `_`";
            problems.push(Problem::new(at, "invalid_name", detail));
        }
    }
    for misplaced in settings.keys().filter(|key| SECRET_NAMES.contains(&key.as_str())) {
        let detail = format!("`{misplaced}` would be shown here");
        let hint = format!("put it into `secrets.{misplaced}`");
        let at = pointer_to("/settings", misplaced);
        problems.push(Problem::new(at, "secret_in_settings", detail).with_hint(hint));
    }
    let own = settings.clone();
    let settings = Value::Object(settings.clone());
    if settings.to_string().len() > SETTINGS_BYTES_MAX {
        let detail = format!("has more than {SETTINGS_BYTES_MAX} bytes of JSON");
        problems.push(Problem::new("/settings", "too_long", detail));
    }
    if let Some(named) = settings.get("signature").filter(|named| !named.is_null()) {
        problems.extend(signature_problem(named));
    }
    let own = connection::problems(app, &own);
    let is_base_told = own.iter().any(|problem| problem.pointer == "/settings/baseUrl");
    problems.extend(own);
    if !is_base_told
        && let Some(base) = settings.get("baseUrl").filter(|base| !base.is_null())
        && !base.as_str().is_some_and(|text| url::Url::parse(text).is_ok_and(|url| url.has_host()))
    {
        let detail = "must be a URL such as https://api.example.com";
        problems.push(Problem::new("/settings/baseUrl", "invalid_url", detail));
    }
    problems.extend(rules_of(&settings).err().unwrap_or_default());
    if problems.is_empty() { Ok(()) } else { Err(Error::Invalid(problems)) }
}

fn signature_problem(named: &Value) -> Option<Problem> {
    let text = named.as_str().unwrap_or_default();
    if SIGNATURES.contains(&text) {
        return None;
    }
    let detail = format!("must be one of {}", SIGNATURES.join(", "));
    let problem = Problem::new("/settings/signature", "unknown_signature", detail);
    Some(match nearest(text, SIGNATURES) {
        Some(near) => problem.with_hint(format!("did you mean `{near}`?")),
        None => problem,
    })
}
