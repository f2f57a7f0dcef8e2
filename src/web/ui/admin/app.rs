//! One app: its manifest, its activities and subscriptions, how it is installed, and its end; and
//! the page on which a new one is pasted.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde_json::{Map, Value};

use super::connections::{SHOWN_MAX, mark, may};
use super::entry::{Entry, typed_value};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use super::webhooks::standing;
use crate::app::App;
use crate::app::apps::{AppOptions, AppView, Applied, ChangedApp, ManifestCheck};
use crate::app::error::Error;
use crate::app::installations::{BotKey, WantedInstallation};
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::app::webhooks::WebhookView;
use crate::domain::desk::RecordKind;
use crate::domain::manifest::{ManifestChange, Setting};
use crate::domain::problem::Problem;
use crate::domain::workflow::document::{Format, TextLimits, parse_text};
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::source::Source;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Part, Visit, html, with_status};

const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
const MANIFEST_DEPTH_MAX: usize = 64;

/// What a manifest would be, or what is wrong with it.
#[derive(Template)]
#[template(path = "admin/manifest_part.html")]
struct CheckPart {
    shell: Shell,
    outcome: Outcome,
    check: Option<ManifestCheck>,
    changes: Option<Changes>,
}

/// What another manifest changes.
struct Changes {
    all: Vec<ManifestChange>,
    workflows: Vec<String>,
}

/// The page of a new app.
#[derive(Template)]
#[template(path = "admin/app_new.html")]
pub struct NewPage {
    shell: Shell,
    outcome: Outcome,
    check: Option<ManifestCheck>,
    changes: Option<Changes>,
    manifest: String,
    made: Option<(String, String, String)>,
    curl: String,
}

/// Makes the page of a new app.
pub fn new_page(shell: Shell, manifest: &str, outcome: Outcome) -> NewPage {
    let manifest = manifest.to_owned();
    let curl = shell.curl("/v1/apps");
    NewPage { shell, outcome, check: None, changes: None, manifest, made: None, curl }
}

/// Reads a manifest that was pasted, as JSON or as YAML.
fn pasted(text: &str) -> Result<Value, Error> {
    let format = if text.trim_start().starts_with('{') { Format::Json } else { Format::Yaml };
    let limits = TextLimits { bytes_max: MANIFEST_BYTES_MAX, depth_max: MANIFEST_DEPTH_MAX };
    let read = parse_text(text, format, limits).map_err(|problem| Error::Invalid(vec![problem]))?;
    Ok(match read.get("manifest") {
        Some(inner) if inner.is_object() => inner.clone(),
        _ => read, // It is the manifest itself, or wrong as a whole.
    })
}

/// Shows the form for a manifest.
pub async fn begin(visit: Visit) -> Answer {
    html(&new_page(visit.shell, "", Outcome::default()))
}

/// Checks a manifest while it is pasted, or makes an app of it.
pub async fn create(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let sent = Sent::read(&raw);
    let text = sent.text("manifest");
    if sent.text("deed") != "make" {
        let checked = pasted(text).and_then(|raw| app.check_manifest(&visit.who, &raw));
        return checked_answer(visit, text, checked);
    }
    let made = match pasted(text) {
        Ok(raw) => app.create_app(&visit.who, raw).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            let path = format!("/apps/{}", encoded(&made.view.slug));
            let Some(secret) = made.webhook_secret else {
                return Ok(back_with(&visit.shell, &path, "made"));
            };
            let mut page = new_page(visit.shell, text, Outcome::default());
            page.made = Some((made.view.name, page.shell.url(&path), secret));
            html(&page)
        }
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            Ok(with_status(status, &new_page(visit.shell, text, outcome)))
        }
    }
}

fn checked_answer(visit: Visit, text: &str, checked: Result<ManifestCheck, Error>) -> Answer {
    let (status, check, outcome) = match checked {
        _ if text.is_empty() => (StatusCode::OK, None, Outcome::default()),
        Ok(check) => (StatusCode::OK, Some(check), Outcome::default()),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            (status, None, outcome)
        }
    };
    match visit.part {
        // The fragment is shown where it was asked for, which a refusal would not be.
        Part::Live => html(&CheckPart { shell: visit.shell, outcome, check, changes: None }),
        Part::Whole => {
            let mut page = new_page(visit.shell, text, outcome);
            page.check = check;
            Ok(with_status(status, &page))
        }
    }
}

struct Subscription {
    href: String,
    url: String,
    about: String,
    mark: Mark,
    why: String,
    delivered: u64,
    pending: u64,
    dead: u64,
}

struct Team {
    id: String,
    name: String,
    chosen: bool,
}

struct Granted {
    scope: String,
    chosen: bool,
}

/// The page of one app.
#[derive(Template)]
#[template(path = "admin/app.html")]
pub struct AppPage {
    shell: Shell,
    outcome: Outcome,
    view: AppView,
    href: String,
    mark: Mark,
    activities: Vec<(String, String)>,
    subscriptions: Vec<Subscription>,
    manifest: Source,
    manifest_text: String,
    typed: Option<String>,
    check: Option<ManifestCheck>,
    changes: Option<Changes>,
    entries: Vec<Entry>,
    required: Vec<String>,
    granted: Vec<Granted>,
    teams: Vec<Team>,
    workflows: Vec<String>,
    key: Option<String>,
    can_write: bool,
    curl: String,
}

/// What the page is made of.
pub struct Found {
    /// The app.
    pub view: AppView,
    /// What an installation can be made of.
    pub options: AppOptions,
    /// Its subscriptions.
    pub webhooks: Vec<WebhookView>,
    /// The teams that there are: id and name.
    pub teams: Vec<(String, String)>,
}

/// Makes the page of an app.
pub fn page(shell: Shell, found: Found, outcome: Outcome) -> AppPage {
    let Found { view, options, webhooks, teams } = found;
    let installed = view.installation.as_ref();
    let serves = |id: &String| installed.is_some_and(|it| it.team_ids.contains(id));
    let has = |scope: &String| installed.is_some_and(|it| it.scopes.contains(scope));
    let activity =
        |name: &String| (shell.url(&format!("/activities/{}", encoded(name))), name.clone());
    let text = format!("{:#}", view.manifest);
    AppPage {
        href: shell.url(&format!("/apps/{}", encoded(&view.slug))),
        mark: match installed.is_some() {
            true => mark("ok", "succeeded", "Installed"),
            false => mark("idle", "pending", "Not installed"),
        },
        activities: view.activities.iter().map(activity).collect(),
        subscriptions: webhooks.iter().map(|one| subscription(&shell, one)).collect(),
        manifest: Source::new("The manifest", &text),
        manifest_text: text,
        typed: None,
        check: None,
        changes: None,
        entries: options.settings.iter().map(|one| entry(one, &view, &options)).collect(),
        required: options.scopes_required,
        granted: options
            .scopes_optional
            .into_iter()
            .map(|scope| Granted { chosen: has(&scope), scope })
            .collect(),
        teams: teams.into_iter().map(|(id, name)| Team { chosen: serves(&id), id, name }).collect(),
        workflows: options.workflows,
        key: None,
        can_write: may(&shell, "apps:write"),
        curl: shell.curl(&format!("/v1/apps/{}", encoded(&view.slug))),
        outcome,
        view,
        shell,
    }
}

fn entry(setting: &Setting, view: &AppView, options: &AppOptions) -> Entry {
    let is_set = options.secrets_set.contains(&setting.key);
    let value = view.installation.as_ref().and_then(|it| it.settings.get(&setting.key));
    let made = match setting.secret {
        true => {
            let hint = if is_set { "•••• (empty keeps it)" } else { "not set" };
            Entry::secret(&setting.key, &setting.description, hint.to_owned())
        }
        false => {
            let value = value.or(setting.default.as_ref());
            let schema = &setting.schema;
            Entry::property("settings", &setting.key, schema, value).about(&setting.description)
        }
    };
    if setting.required && !is_set { made.needed() } else { made }
}

fn subscription(shell: &Shell, view: &WebhookView) -> Subscription {
    let (mark, why) = standing(view);
    Subscription {
        href: shell.url(&format!("/webhooks/{}", encoded(&view.id))),
        url: view.url.clone(),
        about: match view.types.is_empty() {
            true => view.description.clone(),
            false => view.types.join(", "),
        },
        mark,
        why,
        delivered: view.deliveries.delivered,
        pending: view.deliveries.pending,
        dead: view.deliveries.dead,
    }
}

fn found(app: &App, who: &Principal, name: &str) -> Result<Found, Error> {
    let view = app.app(who, name)?;
    let ids = ["events", "installations"].map(|which| view.webhooks[which].as_str());
    // One that was removed meanwhile has nothing to show.
    let webhooks = ids.into_iter().flatten().filter_map(|id| app.webhook(who, id).ok()).collect();
    let options = app.app_options(who, name)?;
    let teams = match who.scopes.allow("teams:read") {
        true => teams_of(app, who)?,
        false => Vec::new(),
    };
    Ok(Found { view, options, webhooks, teams })
}

fn teams_of(app: &App, who: &Principal) -> Result<Vec<(String, String)>, Error> {
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let list = app.records(who, RecordKind::Team, None, &all)?;
    let text = |team: &Map<String, Value>, name: &str| {
        team.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(list.data.iter().map(|team| (text(team, "id"), text(team, "name"))).collect())
}

/// Shows an app.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let found = found(&app, &visit.who, &name)?;
    html(&page(visit.shell, found, Outcome::of(&query)))
}

/// Tells what another manifest would change, or puts it in place.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let sent = Sent::read(&raw);
    let text = sent.text("manifest");
    let applied = match sent.text("deed") {
        "apply" => Applied::Really,
        _ => Applied::OnTrial, // Whatever else is pressed only looks.
    };
    let changed = match pasted(text) {
        Ok(raw) => app.change_app(&visit.who, &name, raw, applied).await,
        Err(error) => Err(error),
    };
    let (status, changes, secret, outcome) = match changed {
        Ok(ChangedApp { webhook_secret: None, .. }) if applied == Applied::Really => {
            let path = format!("/apps/{}", encoded(&name));
            return Ok(back_with(&visit.shell, &path, "updated"));
        }
        Ok(ChangedApp { changes: all, workflows, webhook_secret, .. }) => {
            let changes = Changes { all, workflows };
            (StatusCode::OK, Some(changes), webhook_secret, Outcome::default())
        }
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            (status, None, None, outcome)
        }
    };
    if visit.part == Part::Live {
        return html(&CheckPart { shell: visit.shell, outcome, check: None, changes });
    }
    let found = found(&app, &visit.who, &name)?;
    let mut page = page(visit.shell, found, outcome);
    (page.changes, page.key, page.typed) = (changes, secret, Some(text.to_owned()));
    Ok(with_status(status, &page))
}

/// Reads the settings that were typed; an empty secret stays as it is.
fn settings(declared: &[Setting], sent: &Sent) -> Result<Map<String, Value>, Error> {
    let (mut read, mut problems) = (Map::new(), Vec::new());
    for setting in declared {
        let key = setting.key.clone();
        if setting.secret {
            if let Some(value) = sent.exact(&format!("secrets.{key}")) {
                read.insert(key, Value::String(value));
            }
            continue;
        }
        match typed_value(&setting.schema, sent.text(&format!("settings.{key}"))) {
            Ok(Some(value)) => drop(read.insert(key, value)),
            Ok(None) if setting.required => {} // The use case says that it is missing.
            Ok(None) => drop(read.insert(key, Value::Null)),
            Err(detail) => {
                problems.push(Problem::new(format!("/settings/{key}"), "wrong_type", detail));
            }
        }
    }
    if problems.is_empty() { Ok(read) } else { Err(Error::Invalid(problems)) }
}

/// Installs an app, or changes how it is installed; another key of its bot is shown this once.
pub async fn install(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let sent = Sent::read(&raw);
    let before = found(&app, &visit.who, &name)?;
    let is_installed = before.view.installation.is_some();
    let made = match settings(&before.options.settings, &sent) {
        Ok(mut settings) => {
            if !is_installed {
                settings.retain(|_, value| !value.is_null());
            }
            let wanted = WantedInstallation {
                teams: Some(sent.list("team")),
                settings,
                optional_scopes: Some(sent.list("scope")),
            };
            let bot_key = match sent.is_ticked("rotate") {
                true => BotKey::Exchanged,
                false => BotKey::Kept,
            };
            match is_installed {
                true => app.reinstall_app(&visit.who, &name, wanted, bot_key).await,
                false => app.install_app(&visit.who, &name, wanted).await,
            }
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(made) if made.bot_key.is_none() => {
            Ok(back_with(&visit.shell, &format!("/apps/{}", encoded(&name)), "saved"))
        }
        Ok(made) => {
            let found = found(&app, &visit.who, &name)?;
            let mut page = page(visit.shell, found, Outcome::default());
            page.key = made.bot_key;
            html(&page)
        }
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let mut page = page(visit.shell, before, outcome);
            page.entries = page.entries.into_iter().map(|entry| entry.typed(&sent)).collect();
            let (teams, scopes) = (sent.list("team"), sent.list("scope"));
            page.teams.iter_mut().for_each(|team| team.chosen = teams.contains(&team.id));
            page.granted.iter_mut().for_each(|one| one.chosen = scopes.contains(&one.scope));
            Ok(with_status(status, &page))
        }
    }
}

/// Uninstalls an app, or removes it when it is not installed.
pub async fn end(app: web::Data<App>, visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (name, deed) = path.into_inner();
    let done = match deed.as_str() {
        "uninstall" => app.uninstall_app(&visit.who, &name).await.map(|_| "uninstalled"),
        "delete" => app.remove_app(&visit.who, &name).await.map(|()| "removed"),
        _ => Err(Error::NotFound { what: "page", id: deed.clone() }),
    };
    match done {
        Ok("removed") => Ok(back_with(&visit.shell, "/apps", "removed")),
        Ok(done) => Ok(back_with(&visit.shell, &format!("/apps/{}", encoded(&name)), done)),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let found = found(&app, &visit.who, &name)?;
            Ok(with_status(status, &page(visit.shell, found, outcome)))
        }
    }
}
