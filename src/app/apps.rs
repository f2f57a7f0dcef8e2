//! Apps: made of a manifest, changed by another, listed, removed.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::App;
use super::app_webhooks::WebhookPlan;
use super::audit::Change;
use super::error::Error;
use super::events::actor;
use super::installations::check_listening;
use super::installed_activities::{retire_all, sync};
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use super::webhooks::HIDDEN;
use crate::domain::activity::custom::Owner;
use crate::domain::event::Event;
use crate::domain::id::{TenantId, Uid};
use crate::domain::manifest::{Manifest, ManifestChange, Setting, changes};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Step;
use crate::engine::Engine;
use crate::store::apps::{AppRow, InstallationRow};
use crate::store::tenant::TenantView;

const APPS_MAX: usize = 200;

/// An app as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Names it for ever.
    pub id: String,
    /// Its short name, which paths take too.
    pub slug: String,
    /// Its name for people.
    pub name: String,
    /// The developer's own version.
    pub version: String,
    /// Counts its manifests from 1.
    pub revision: u32,
    /// What it is for.
    pub description: String,
    /// `productivity`, `communication` and so on.
    pub category: String,
    /// `public`, `private` or `unlisted`.
    pub visibility: String,
    /// Who made it, as the manifest says.
    pub author: String,
    /// The identifiers of its activities, as steps name them.
    pub activities: Vec<String>,
    /// The subscriptions with its deliveries: `{events, installations}`.
    pub webhooks: Value,
    /// The manifest, as it was written.
    pub manifest: Value,
    /// How it is installed, or null.
    pub installation: Option<InstallationView>,
    /// When it was made here.
    pub created_at: Timestamp,
    /// Who made it here.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How an app is installed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallationView {
    /// Names the installation.
    pub id: String,
    /// The teams that it serves.
    pub team_ids: Vec<String>,
    /// What its bot may do.
    pub scopes: Vec<String>,
    /// Names its bot.
    pub bot_id: String,
    /// The first characters of the bot's key.
    pub key_prefix: String,
    /// What was set; secrets are not shown.
    pub settings: Map<String, Value>,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Who installed it.
    pub installed_by: String,
    /// When that was changed last.
    pub updated_at: Timestamp,
}

/// An app that was made, with what is shown this once.
#[derive(Clone, Debug)]
pub struct MadeApp {
    /// What lists show.
    pub view: AppView,
    /// What its webhooks are signed with, if it has any.
    pub webhook_secret: Option<String>,
}

/// What came of another manifest.
#[derive(Clone, Debug)]
pub struct ChangedApp {
    /// The app, as it is now.
    pub view: AppView,
    /// What differs.
    pub changes: Vec<ManifestChange>,
    /// The active workflows that use its activities.
    pub workflows: Vec<String>,
    /// What its webhooks are signed with, when it has its first ones now.
    pub webhook_secret: Option<String>,
}

/// What an installation of an app can be made of.
#[derive(Clone, Debug)]
pub struct AppOptions {
    /// What can be set.
    pub settings: Vec<Setting>,
    /// Which of the secrets among them are set.
    pub secrets_set: Vec<String>,
    /// The scopes that it cannot do without.
    pub scopes_required: Vec<String>,
    /// The scopes that it can do without.
    pub scopes_optional: Vec<String>,
    /// The active workflows that use its activities.
    pub workflows: Vec<String>,
}

/// What an app of a manifest would be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ManifestCheck {
    /// Its name for people.
    pub name: String,
    /// Its short name.
    pub slug: String,
    /// The developer's own version.
    pub version: String,
    /// What it is for.
    pub description: String,
    /// Whether there is an app with this short name already.
    pub exists: bool,
    /// The names of its activities.
    pub activities: Vec<String>,
    /// The types of the events that it publishes.
    pub publishes: Vec<String>,
    /// Patterns of the events that it wants.
    pub subscribes: Vec<String>,
    /// The scopes that it cannot do without.
    pub scopes_required: Vec<String>,
    /// The scopes that it can do without.
    pub scopes_optional: Vec<String>,
    /// The names of what is set when it is installed.
    pub settings: Vec<String>,
}

/// Whether a manifest is put in place or only compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is the app's from now on.
    Really,
    /// Nothing changes.
    OnTrial,
}

impl App {
    /// Lists the apps, oldest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn apps(&self, who: &Principal, page: &PageRequest) -> Result<Page<AppView>, Error> {
        self.read(who, |view| {
            let page = page.cut(view.apps()?, |row| row.uid.clone());
            let data = page.data.into_iter().map(|row| shown(view, row));
            let data = data.collect::<Result<Vec<_>, Error>>()?;
            Ok(Page { data, next_cursor: page.next_cursor })
        })
    }

    /// Returns one app, by its id or its slug.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub fn app(&self, who: &Principal, name: &str) -> Result<AppView, Error> {
        self.read(who, |view| shown(view, found(view, name)?))
    }

    /// Returns what can be set when an app is installed, and which scopes it can do without.
    ///
    /// # Errors
    /// `NotFound` when there is no such app.
    pub fn app_options(&self, who: &Principal, name: &str) -> Result<AppOptions, Error> {
        let row = self.read(who, |view| found(view, name))?;
        let manifest = manifest_of(&row)?;
        let connection = self.read(who, |view| Ok(view.connection(&row.connection())?))?;
        let secrets = connection.map(|row| row.secrets).unwrap_or_default();
        let workflows = self.read(who, |view| workflows_with(view, &row.uid))?;
        Ok(AppOptions {
            settings: manifest.settings,
            secrets_set: secrets.into_keys().collect(),
            scopes_required: manifest.scopes_required,
            scopes_optional: manifest.scopes_optional,
            workflows,
        })
    }

    /// Tells what an app of this manifest would be, and makes none.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the manifest.
    pub fn check_manifest(&self, who: &Principal, raw: &Value) -> Result<ManifestCheck, Error> {
        let manifest = Manifest::parse(raw).map_err(Error::Invalid)?;
        WebhookPlan::of(self, who, &manifest)?;
        let exists = self
            .read(who, |view| Ok(view.apps()?.iter().any(|known| known.slug == manifest.slug)))?;
        Ok(ManifestCheck {
            exists,
            activities: manifest.activities.into_iter().map(|activity| activity.name).collect(),
            publishes: manifest.publishes.into_iter().map(|event| event.kind).collect(),
            settings: manifest.settings.into_iter().map(|setting| setting.key).collect(),
            name: manifest.name,
            slug: manifest.slug,
            version: manifest.version,
            description: manifest.description,
            subscribes: manifest.subscribes,
            scopes_required: manifest.scopes_required,
            scopes_optional: manifest.scopes_optional,
        })
    }

    /// Makes an app of a manifest; it does nothing before it is installed.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with the manifest, `Conflict` for a slug that is
    /// taken.
    pub async fn create_app(&self, who: &Principal, raw: Value) -> Result<MadeApp, Error> {
        let manifest = Manifest::parse(&raw).map_err(Error::Invalid)?;
        let plan = WebhookPlan::of(self, who, &manifest)?;
        let (now, by) = (self.now(), who.name.clone());
        let mut row = AppRow {
            uid: Uid::new('A', now, self.clock().random()).to_string(),
            slug: manifest.slug.clone(),
            name: manifest.name.clone(),
            revision: 1,
            manifest: raw,
            events_webhook: None,
            lifecycle_webhook: None,
            installation: None,
            created_at: now,
            created_by: by,
            updated_at: now,
        };
        let change = Change::of("app.create", &row.uid);
        let (view, webhook_secret) = self
            .write(who, change, move |tx, change| {
                let apps = tx.view().apps()?;
                if apps.iter().any(|known| known.slug == row.slug) {
                    let detail = format!("there is an app `{}` already; PUT changes it", row.slug);
                    return Err(Error::Conflict { code: "app_exists", detail });
                }
                if apps.len() >= APPS_MAX {
                    let detail = format!("a tenant has at most {APPS_MAX} apps");
                    return Err(Error::Conflict { code: "too_many_apps", detail });
                }
                let secret = plan.carry_out(tx, &mut row)?;
                tx.put_app(&row);
                change.after(&row);
                Ok((shown(tx.view(), row)?, secret))
            })
            .await?;
        Ok(MadeApp { view, webhook_secret })
    }

    /// Gives an app another manifest: its activities get new versions where they differ, and
    /// everything else follows at once.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` with everything that is wrong with the manifest.
    pub async fn change_app(
        &self,
        who: &Principal,
        name: &str,
        raw: Value,
        applied: Applied,
    ) -> Result<ChangedApp, Error> {
        let manifest = Manifest::parse(&raw).map_err(Error::Invalid)?;
        let row = self.read(who, |view| found(view, name))?;
        if manifest.slug != row.slug {
            let detail = format!("is `{}`, but the app is `{}`", manifest.slug, row.slug);
            let problem = Problem::new("/app/slug", "contradiction", detail);
            let hint = format!("a slug never changes; write `\"slug\": \"{}\"`", row.slug);
            return Err(Error::Invalid(vec![problem.with_hint(hint)]));
        }
        let before = manifest_of(&row)?;
        let differences = changes(&before, &manifest);
        let workflows = self.read(who, |view| workflows_with(view, &row.uid))?;
        if applied == Applied::OnTrial || raw == row.manifest {
            let view = self.app(who, &row.uid)?;
            let changes = differences;
            return Ok(ChangedApp { view, changes, workflows, webhook_secret: None });
        }
        check_listening(who, &manifest)?;
        let plan = WebhookPlan::of(self, who, &manifest)?;
        let event_types = self.event_types_of(&row, &manifest)?;
        let (uid, by, told) = (row.uid, actor(who), differences.clone());
        let (view, webhook_secret) = self
            .write(who, Change::of("app.change", &uid), move |tx, change| {
                let mut row = found(tx.view(), &uid)?;
                change.before(&row);
                row.name.clone_from(&manifest.name);
                row.manifest = raw;
                row.revision += 1;
                row.updated_at = tx.now();
                let secret = plan.carry_out(tx, &mut row)?;
                if row.installation.is_some() {
                    event_types.register(tx)?;
                    sync(tx, &row, &manifest)?;
                }
                tx.put_app(&row);
                change.after(&row);
                let mut payload = payload_of(tx.view(), &row, &manifest)?;
                payload["changes"] = json!(told);
                tx.emit(news("app:updated", &row, by, payload, tx.now()));
                Ok((shown(tx.view(), row)?, secret))
            })
            .await?;
        self.forget_schemas();
        Ok(ChangedApp { view, changes: differences, workflows, webhook_secret })
    }

    /// Removes an app that is not installed, with its activities, event types and deliveries.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while it is installed.
    pub async fn remove_app(&self, who: &Principal, name: &str) -> Result<(), Error> {
        let row = self.read(who, |view| found(view, name))?;
        check_absent(&row)?;
        for webhook in row.events_webhook.iter().chain(&row.lifecycle_webhook) {
            match self.remove_webhook(who, webhook).await {
                Ok(()) | Err(Error::NotFound { .. }) => {} // Perhaps by a removal that was cut off.
                Err(error) => return Err(error),
            }
        }
        let uid = row.uid;
        self.write(who, Change::of("app.remove", &uid), move |tx, change| {
            let row = found(tx.view(), &uid)?;
            check_absent(&row)?;
            change.before(&row);
            retire_all(tx, &uid)?;
            for known in tx.view().event_types()? {
                if known.source == row.source() {
                    tx.remove_event_type(&known.kind)?;
                }
            }
            tx.remove_app(&uid);
            Ok(())
        })
        .await?;
        self.forget_schemas();
        Ok(())
    }
}

fn check_absent(row: &AppRow) -> Result<(), Error> {
    if row.installation.is_none() {
        return Ok(());
    }
    let detail = format!("`{}` is installed; uninstall it first", row.slug);
    Err(Error::Conflict { code: "app_installed", detail })
}

/// Returns the app with this id or slug.
pub(super) fn found(view: TenantView<'_>, name: &str) -> Result<AppRow, Error> {
    if let Some(row) = view.app(name)? {
        return Ok(row);
    }
    let row = view.apps()?.into_iter().find(|row| row.slug == name);
    row.ok_or_else(|| Error::NotFound { what: "app", id: name.to_owned() })
}

/// Reads a manifest that was accepted before.
pub(super) fn manifest_of(row: &AppRow) -> Result<Manifest, Error> {
    Manifest::parse(&row.manifest).map_err(|problems| {
        let first = problems.into_iter().next().map(|problem| problem.detail).unwrap_or_default();
        Error::Internal(format!("the manifest of `{}` cannot be read: {first}", row.slug))
    })
}

/// Returns the part of an identifier that names the tenant, as Thena's organisations have it: ten
/// letters and digits that begin with an E.
pub(super) fn organization_uid(tenant: TenantId) -> String {
    format!("E{:09}", tenant.0)
}

/// Returns the identifier of an activity of an app.
pub(super) fn identifier_of(activity: &str, app: &str, tenant: TenantId) -> String {
    format!("{activity}-{app}-{}", organization_uid(tenant))
}

/// Returns the names of the active workflows with a step that calls an activity of the app.
pub(super) fn workflows_with(view: TenantView<'_>, app: &str) -> Result<Vec<String>, Error> {
    let own = view.activities_of(&Owner::App(app.to_owned()))?;
    let is_own = |name: &str| own.iter().any(|activity| activity.identifier == name);
    let mut names = Vec::new();
    for row in view.workflows()?.into_iter().filter(|row| row.active && row.deleted_at.is_none()) {
        let Some(version) = view.version(&row.name, row.version)? else { continue };
        // One that cannot be read any more calls nothing.
        let Ok(workflow) = Engine::compile(&version) else { continue };
        let calls = |step: &&Step| step.calls().any(is_own);
        if workflow.all_steps().iter().any(calls) {
            names.push(row.name);
        }
    }
    Ok(names)
}

/// Returns what is told of an app in events of its life.
pub(super) fn payload_of(
    view: TenantView<'_>,
    row: &AppRow,
    manifest: &Manifest,
) -> Result<Value, Error> {
    let mut payload = json!({
        "app": {
            "id": row.uid, "slug": row.slug, "name": row.name, "version": manifest.version,
            "category": manifest.category, "revision": row.revision,
        },
    });
    if let Some(installation) = &row.installation {
        let settings = settings_of(view, row)?;
        let of_list = |is_required: bool| -> Map<String, Value> {
            let all = settings.iter().filter(|(key, _)| {
                let declared = manifest.settings.iter().find(|setting| setting.key == **key);
                declared.is_some_and(|setting| setting.required == is_required)
            });
            all.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        payload["installation"] = json!({
            "id": installation.id,
            "teamIds": installation.teams,
            "botId": installation.bot_id,
            "scopes": installation.scopes,
            "requiredSettings": of_list(true),
            "optionalSettings": of_list(false),
        });
    }
    Ok(payload)
}

/// Returns an event of an app's life.
pub(super) fn news(
    kind: &str,
    row: &AppRow,
    actor: crate::domain::event::Actor,
    payload: Value,
    at: Timestamp,
) -> Event {
    Event {
        id: String::new(), // Given at its acceptance.
        kind: kind.to_owned(),
        source: "ergane".to_owned(),
        subject: Some(row.uid.clone()),
        time: at,
        actor,
        payload,
        metadata: Map::new(),
        cause: None,
    }
}

fn settings_of(view: TenantView<'_>, row: &AppRow) -> Result<Map<String, Value>, Error> {
    let connection = view.connection(&row.connection())?;
    let Some(connection) = connection else { return Ok(Map::new()) };
    let mut settings = connection.settings;
    settings.extend(connection.secrets.into_keys().map(|name| (name, json!(HIDDEN))));
    Ok(settings)
}

pub(super) fn shown(view: TenantView<'_>, row: AppRow) -> Result<AppView, Error> {
    let manifest = manifest_of(&row)?;
    let settings = settings_of(view, &row)?;
    let named = |name: &str| identifier_of(name, &row.uid, view.tenant());
    let activities = manifest.activities.iter().map(|activity| named(&activity.name)).collect();
    let installed = |installation: InstallationRow| InstallationView {
        id: installation.id,
        team_ids: installation.teams,
        scopes: installation.scopes,
        bot_id: installation.bot_id,
        key_prefix: installation.key_prefix,
        settings,
        installed_at: installation.installed_at,
        installed_by: installation.installed_by,
        updated_at: installation.updated_at,
    };
    Ok(AppView {
        activities,
        webhooks: json!({ "events": row.events_webhook, "installations": row.lifecycle_webhook }),
        installation: row.installation.map(installed),
        id: row.uid,
        slug: row.slug,
        name: row.name,
        version: manifest.version,
        revision: row.revision,
        description: manifest.description,
        category: manifest.category,
        visibility: manifest.visibility,
        author: manifest.author,
        manifest: row.manifest,
        created_at: row.created_at,
        created_by: row.created_by,
        updated_at: row.updated_at,
    })
}
