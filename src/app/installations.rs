//! Installations of apps: on which teams, with which settings and scopes, and the key of the bot.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::App;
use super::access::digest;
use super::app_webhooks::follow;
use super::apps::{AppView, found, manifest_of, news, payload_of, shown, workflows_with};
use super::audit::Change;
use super::error::Error;
use super::event_types::{NewEventType, Strictness, register};
use super::events::actor;
use super::installed_activities::sync;
use super::principal::Principal;
use crate::domain::desk::RecordKind;
use crate::domain::id::Uid;
use crate::domain::manifest::{Given, Manifest, fitting, own_scopes};
use crate::domain::problem::Problem;
use crate::store::access::KeyRow;
use crate::store::apps::{AppRow, InstallationRow};
use crate::store::connections::{ConnectionRow, SealedValue};
use crate::store::event_types::EventTypeRow;
use crate::store::seal::Sealer;
use crate::store::tenant::TenantTx;

const PREFIX_CHARS: usize = 12;
const TEAMS_MAX: usize = 200;

/// How an app is to be installed.
#[derive(Clone, Debug, Default)]
pub struct WantedInstallation {
    /// The teams that it serves; `None` leaves them as they are.
    pub teams: Option<Vec<String>>,
    /// What is set; null removes what was set before.
    pub settings: Map<String, Value>,
    /// Which of the optional scopes it is granted; `None` leaves them as they are.
    pub optional_scopes: Option<Vec<String>>,
}

/// Whether the bot gets another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BotKey {
    /// It keeps the one that it has.
    Kept,
    /// It gets another; the one before opens nothing any more.
    Exchanged,
}

/// An installation that was made or changed.
#[derive(Clone, Debug)]
pub struct MadeInstallation {
    /// The app.
    pub view: AppView,
    /// The bot's key, shown this once; `None` when it was kept.
    pub bot_key: Option<String>,
}

/// What is left of an installation.
#[derive(Clone, Debug)]
pub struct Uninstalled {
    /// The app.
    pub view: AppView,
    /// The active workflows whose steps fail from now on.
    pub workflows: Vec<String>,
}

/// An installation that was checked and is not written yet.
struct Prepared {
    /// The manifest that it was checked against.
    revision: u32,
    installation: InstallationRow,
    given: Given,
    event_types: AppEventTypes,
    fresh: Option<(KeyRow, String)>,
}

/// The event types of an app, ready to be registered.
pub(super) struct AppEventTypes {
    rows: Vec<EventTypeRow>,
    source: String,
}

impl AppEventTypes {
    pub(super) fn register(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), Error> {
        for row in &self.rows {
            let known = tx.view().event_type(&row.kind)?;
            if known.as_ref().is_some_and(|known| known.source != self.source) {
                let detail = format!("the event type `{}` belongs to somebody else", row.kind);
                return Err(Error::Conflict { code: "event_type_exists", detail });
            }
            let is_same = |known: EventTypeRow| {
                known.schema == row.schema && known.description == row.description
            };
            if !known.is_some_and(is_same) {
                register(tx, row.clone(), Strictness::Forced)?;
            }
        }
        Ok(())
    }
}

impl App {
    /// Installs an app: from then on its bot may do what it was granted, its events are event
    /// types, its activities can be named, and it is told what it asked for.
    ///
    /// # Errors
    /// `Invalid` with everything that does not fit the manifest, `Forbidden` for a scope that the
    /// caller lacks, `Conflict` when it is installed already.
    pub async fn install_app(
        &self,
        who: &Principal,
        name: &str,
        wanted: WantedInstallation,
    ) -> Result<MadeInstallation, Error> {
        let row = self.read(who, |view| found(view, name))?;
        if row.installation.is_some() {
            let detail = format!("`{}` is installed already; reinstall it instead", row.slug);
            return Err(Error::Conflict { code: "app_installed", detail });
        }
        self.put_installation(who, row, wanted, BotKey::Exchanged).await
    }

    /// Changes the teams, settings and scopes of an installation; what is not given stays.
    ///
    /// # Errors
    /// As for installing; `Conflict` when it is not installed.
    pub async fn reinstall_app(
        &self,
        who: &Principal,
        name: &str,
        wanted: WantedInstallation,
        bot_key: BotKey,
    ) -> Result<MadeInstallation, Error> {
        let row = self.read(who, |view| found(view, name))?;
        check_installed(&row)?;
        self.put_installation(who, row, wanted, bot_key).await
    }

    /// Takes an installation away: the bot's key opens nothing any more, and steps that call its
    /// activities fail for good with `app_not_installed`.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` when it is not installed.
    pub async fn uninstall_app(&self, who: &Principal, name: &str) -> Result<Uninstalled, Error> {
        let row = self.read(who, |view| found(view, name))?;
        let digest = check_installed(&row)?.key_digest.clone();
        let workflows = self.read(who, |view| workflows_with(view, &row.uid))?;
        let (uid, by) = (row.uid, actor(who));
        let view = self
            .write(who, Change::of("app.uninstall", &uid), move |tx, change| {
                let mut row = found(tx.view(), &uid)?;
                check_installed(&row)?;
                change.before(&row);
                let manifest = manifest_of(&row)?;
                let payload = payload_of(tx.view(), &row, &manifest)?;
                tx.remove_connection(&row.connection());
                row.installation = None;
                row.updated_at = tx.now();
                sync(tx, &row, &manifest)?;
                follow(tx, &row)?;
                tx.put_app(&row);
                change.after(&row);
                tx.emit(news("app:uninstalled", &row, by, payload, tx.now()));
                shown(tx.view(), row)
            })
            .await?;
        // Without an installation that knows it the key is believed by nobody; this tidies up.
        self.forget_bot_key(who, digest).await?;
        Ok(Uninstalled { view, workflows })
    }

    async fn put_installation(
        &self,
        who: &Principal,
        row: AppRow,
        wanted: WantedInstallation,
        bot_key: BotKey,
    ) -> Result<MadeInstallation, Error> {
        let prepared = self.prepared(who, &row, wanted, bot_key)?;
        let former = row.installation.map(|known| known.key_digest);
        let fresh = prepared.fresh.clone();
        if let Some((key, _)) = fresh.clone() {
            // It opens nothing before the installation knows it.
            self.keep_bot_key(who, key).await?;
        }
        let written = self.write_installation(who, &row.uid, former.clone(), prepared).await;
        self.forget_schemas();
        let forgotten = match (&written, &fresh) {
            (Ok(_), Some(_)) => former,
            (Ok(_), None) => None,
            (Err(_), _) => fresh.as_ref().map(|(key, _)| key.digest.clone()),
        };
        if let Some(digest) = forgotten {
            self.forget_bot_key(who, digest).await?;
        }
        Ok(MadeInstallation { view: written?, bot_key: fresh.map(|(_, text)| text) })
    }

    /// Checks what is wanted, and makes everything that does not need the transaction.
    fn prepared(
        &self,
        who: &Principal,
        row: &AppRow,
        wanted: WantedInstallation,
        bot_key: BotKey,
    ) -> Result<Prepared, Error> {
        let manifest = manifest_of(row)?;
        let before = row.installation.as_ref();
        let connection = self.read(who, |view| Ok(view.connection(&row.connection())?))?;
        let given = settings_for(&manifest, connection.as_ref(), &wanted.settings);
        let mut problems = given.as_ref().err().cloned().unwrap_or_default();
        let teams = self.teams_for(who, before, wanted.teams, &mut problems)?;
        let scopes = scopes_for(&manifest, before, wanted.optional_scopes, &mut problems);
        let given = given.ok().filter(|_| problems.is_empty()).ok_or(Error::Invalid(problems))?;
        if let Some(scope) = scopes.iter().find(|scope| !who.scopes.cover(scope)) {
            return Err(Error::Forbidden { scope: scope.clone() });
        }
        check_listening(who, &manifest)?;
        let event_types = self.event_types_of(row, &manifest)?;
        let fresh = (bot_key == BotKey::Exchanged).then(|| self.bot_key(who, row, &scopes));
        let now = self.now();
        let uid_of = |letter| Uid::new(letter, now, self.clock().random()).to_string();
        let mut installation = before.cloned().unwrap_or_else(|| InstallationRow {
            id: uid_of('I'),
            bot_id: uid_of('B'),
            key_digest: String::new(),
            key_prefix: String::new(),
            teams: Vec::new(),
            scopes: Vec::new(),
            installed_at: now,
            installed_by: who.name.clone(),
            updated_at: now,
        });
        (installation.teams, installation.scopes) = (teams, scopes);
        installation.updated_at = now;
        if let Some((key, _)) = &fresh {
            installation.key_digest.clone_from(&key.digest);
            installation.key_prefix.clone_from(&key.prefix);
        }
        Ok(Prepared { revision: row.revision, installation, given, event_types, fresh })
    }

    async fn write_installation(
        &self,
        who: &Principal,
        uid: &str,
        former: Option<String>,
        prepared: Prepared,
    ) -> Result<AppView, Error> {
        let (verb, kind) = match former {
            None => ("app.install", "app:installed"),
            Some(_) => ("app.reinstall", "app:reinstalled"),
        };
        let (uid, by, sealer) = (uid.to_owned(), actor(who), Arc::clone(self.sealer()));
        self.write(who, Change::of(verb, &uid), move |tx, change| {
            let mut row = found(tx.view(), &uid)?;
            let manifest = manifest_of(&row)?;
            let present = row.installation.as_ref().map(|known| known.key_digest.clone());
            if present != former || row.revision != prepared.revision {
                let detail = "somebody else changed the app meanwhile; look and repeat".to_owned();
                return Err(Error::Conflict { code: "app_changed", detail });
            }
            change.before(&row);
            put_settings(tx, &row, prepared.given, &manifest, &sealer)?;
            row.installation = Some(prepared.installation);
            row.updated_at = tx.now();
            prepared.event_types.register(tx)?;
            sync(tx, &row, &manifest)?;
            follow(tx, &row)?;
            tx.put_app(&row);
            change.after(&row);
            let payload = payload_of(tx.view(), &row, &manifest)?;
            tx.emit(news(kind, &row, by, payload, tx.now()));
            shown(tx.view(), row)
        })
        .await
    }

    fn teams_for(
        &self,
        who: &Principal,
        before: Option<&InstallationRow>,
        wanted: Option<Vec<String>>,
        problems: &mut Vec<Problem>,
    ) -> Result<Vec<String>, Error> {
        let Some(wanted) = wanted.or_else(|| before.map(|known| known.teams.clone())) else {
            let problem = Problem::new("/teamIds", "required", "`teamIds` is required");
            problems.push(problem.with_hint("name the teams that the app serves"));
            return Ok(Vec::new());
        };
        if wanted.is_empty() || wanted.len() > TEAMS_MAX {
            let detail = format!("an app is installed on 1 to {TEAMS_MAX} teams");
            problems.push(Problem::new("/teamIds", "out_of_range", detail));
            return Ok(Vec::new());
        }
        let mut teams: Vec<String> = Vec::new();
        for (index, name) in wanted.iter().enumerate() {
            let team = match self.record(who, RecordKind::Team, name) {
                Ok(team) => team,
                Err(Error::NotFound { .. }) => {
                    let detail = format!("there is no team `{name}`");
                    let at = format!("/teamIds/{index}");
                    problems.push(Problem::new(at, "unknown_team", detail));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let id = team.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
            if !who.sees_team(&id) {
                let detail = format!("the team `{name}` is not yours");
                problems.push(Problem::new(format!("/teamIds/{index}"), "unknown_team", detail));
            } else if !teams.contains(&id) {
                teams.push(id);
            }
        }
        Ok(teams)
    }

    /// Returns the events of an app as the event types that they become.
    pub(super) fn event_types_of(
        &self,
        row: &AppRow,
        manifest: &Manifest,
    ) -> Result<AppEventTypes, Error> {
        let rows = manifest.publishes.iter().map(|event| {
            self.registration(NewEventType {
                kind: event.kind.clone(),
                name: String::new(),
                description: event.reason.clone(),
                source: row.source(),
                schema: Some(event.schema.clone()),
                example: None,
                strictness: Strictness::Forced,
            })
        });
        Ok(AppEventTypes { rows: rows.collect::<Result<_, _>>()?, source: row.source() })
    }

    fn bot_key(&self, who: &Principal, app: &AppRow, scopes: &[String]) -> (KeyRow, String) {
        let key = format!("erg_{}", self.secret());
        let row = KeyRow {
            id: format!("key_{:016x}", self.clock().random()),
            digest: digest(&key),
            tenant: who.tenant,
            name: format!("bot of {}", app.name),
            prefix: key.chars().take(PREFIX_CHARS).collect(),
            scopes: scopes.to_vec(),
            created_at: self.now(),
            expires_at: None,
            last_used_at: None,
            created_by: Some(who.email.clone().unwrap_or_else(|| who.name.clone())),
            person: None,
            app: Some(app.uid.clone()),
        };
        (row, key)
    }

    async fn keep_bot_key(&self, who: &Principal, row: KeyRow) -> Result<(), Error> {
        self.write_access(who, Change::of("key.create", &row.id), move |tx, change| {
            tx.put_key(&row);
            change.after(&super::keys::view(row));
            Ok(())
        })
        .await
    }

    async fn forget_bot_key(&self, who: &Principal, digest: String) -> Result<(), Error> {
        let outcome = self
            .write_access(who, Change::of("key.revoke", "bot"), move |tx, change| {
                if let Some(row) = tx.view().key(&digest)? {
                    change.target(&row.id);
                    tx.remove_key(&digest);
                    change.before(&super::keys::view(row));
                }
                Ok(())
            })
            .await;
        self.forget_keys();
        outcome
    }
}

/// Whoever lets an app hear of events must be allowed to let others hear of them.
pub(super) fn check_listening(who: &Principal, manifest: &Manifest) -> Result<(), Error> {
    const SCOPE: &str = "webhooks:write";
    match manifest.subscribes.is_empty() || who.scopes.allow(SCOPE) {
        true => Ok(()),
        false => Err(Error::Forbidden { scope: SCOPE.to_owned() }),
    }
}

fn check_installed(row: &AppRow) -> Result<&InstallationRow, Error> {
    row.installation.as_ref().ok_or_else(|| {
        let detail = format!("`{}` is not installed", row.slug);
        Error::Conflict { code: "app_not_installed", detail }
    })
}

/// Puts what is given over what was set before, and checks the whole.
fn settings_for(
    manifest: &Manifest,
    before: Option<&ConnectionRow>,
    given: &Map<String, Value>,
) -> Result<Given, Vec<Problem>> {
    let mut all = Map::new();
    let mut kept = Vec::new();
    if let Some(before) = before {
        let is_declared =
            |key: &String| manifest.settings.iter().any(|setting| setting.key == *key);
        let plain = before.settings.iter().filter(|(key, _)| is_declared(key));
        all.extend(plain.map(|(key, value)| (key.clone(), value.clone())));
        kept.extend(before.secrets.keys().filter(|key| !given.contains_key(*key)).cloned());
    }
    all.extend(given.iter().map(|(key, value)| (key.clone(), value.clone())));
    fitting(&manifest.settings, &all, &kept)
}

/// Returns what the bot may do: what the app cannot do without, and what is granted beside it.
fn scopes_for(
    manifest: &Manifest,
    before: Option<&InstallationRow>,
    wanted: Option<Vec<String>>,
    problems: &mut Vec<Problem>,
) -> Vec<String> {
    let mut scopes = manifest.scopes_required.clone();
    let Some(wanted) = wanted else {
        let held = before.iter().flat_map(|known| &known.scopes);
        scopes.extend(held.filter(|scope| manifest.scopes_optional.contains(scope)).cloned());
        return scopes;
    };
    for (index, text) in wanted.iter().enumerate() {
        let at = format!("/optionalScopes/{index}");
        match own_scopes(text) {
            Err(problem) => problems.push(Problem { pointer: at, ..problem }),
            Ok(own) => {
                for scope in own {
                    if !manifest.scopes_optional.contains(&scope) {
                        let detail = format!("the app does not ask for `{scope}` as an option");
                        problems.push(Problem::new(&at, "scope_not_asked", detail));
                    } else if !scopes.contains(&scope) {
                        scopes.push(scope);
                    }
                }
            }
        }
    }
    scopes
}

/// Writes the connection that holds what was set.
fn put_settings(
    tx: &mut TenantTx<'_, '_>,
    app: &AppRow,
    given: Given,
    manifest: &Manifest,
    sealer: &Sealer,
) -> Result<(), Error> {
    let name = app.connection();
    let before = tx.view().connection(&name)?;
    let now = tx.now();
    let mut row = before.unwrap_or_else(|| ConnectionRow {
        name: name.clone(),
        app: name,
        settings: Map::new(),
        secrets: std::collections::BTreeMap::new(),
        version: 0,
        created_at: now,
        updated_at: now,
        unauthorized: None,
    });
    let is_secret = |key: &String| manifest.settings.iter().any(|it| it.secret && it.key == *key);
    row.secrets.retain(|key, _| is_secret(key));
    row.settings = given.plain;
    for (key, secret) in given.secrets {
        let version = tx.next_number("connection secrets")?;
        let sealed = row.seal((sealer, tx.tenant()), &key, version, &secret);
        let set_at = Some(now);
        let value = SealedValue { version, sealed, valid_until: None, set_at, set_by: None };
        row.secrets.insert(key, vec![value]);
    }
    row.version += 1;
    row.updated_at = now;
    tx.put_connection(&row);
    Ok(())
}
