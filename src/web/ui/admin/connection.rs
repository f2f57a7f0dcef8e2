//! One connection: how it fares, its settings and secrets, its test, what comes in, and its end.

use actix_web::http::StatusCode;
use actix_web::web;
use askama::Template;
use serde_json::{Map, Value};

use super::connections::{Health, choice, mark, may, title_of};
use super::entry::{Entry, read_object, typed_value};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use super::slack::SlackSetup;
use super::users::{User, users_of};
use crate::app::App;
use crate::app::connection_test::ConnectionTest;
use crate::app::connections::{ConnectionChange, ConnectionView, NewConnection, SecretChanges};
use crate::app::deliveries::{DeliveryStatus, DeliveryView};
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::principal::Principal;
use crate::domain::connection::{ConnectedApp, Field, Holds, connected_app};
use crate::domain::problem::Problem;
use crate::domain::time::{Timestamp, parse_duration};
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::json_tree::JsonTree;
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

const DELIVERIES_SHOWN: usize = 20;

/// A form for settings and secrets.
pub struct SettingsForm {
    entries: Vec<Entry>,
    secrets: Vec<SecretEntry>,
    more: Entry,
}

struct SecretEntry {
    entry: Entry,
    name: String,
    set: bool,
    /// When it was set, where that is known.
    at: Option<Moment>,
    by: String,
    /// Until when the value before it holds.
    until: Option<Moment>,
}

impl SettingsForm {
    /// Makes the form of an app, with what is set already.
    pub fn new(shell: &Shell, app: &str, view: Option<&ConnectionView>) -> SettingsForm {
        let known = connected_app(app);
        let value = |name: &str| view.and_then(|view| view.settings.get(name));
        let settings = known.map_or(&[][..], |known| known.settings);
        let entries = settings.iter().map(|field| Entry::setting(field, value(field.name)));
        let is_listed = |name: &String| settings.iter().any(|field| field.name == name);
        let rest = view.into_iter().flat_map(|view| &view.settings);
        let rest = rest.filter(|(name, _)| !is_listed(name));
        let rest: Map<String, Value> =
            rest.map(|(name, value)| (name.clone(), value.clone())).collect();
        let rest = if rest.is_empty() { Value::Null } else { Value::Object(rest) };
        let listed = known.map_or(&[][..], |known| known.secrets).iter();
        let mut names: Vec<(&str, &str)> =
            listed.map(|field| (field.name, field.description)).collect();
        for name in view.into_iter().flat_map(|view| view.secrets.keys()) {
            if !names.iter().any(|(known, _)| known == name) {
                names.push((name, ""));
            }
        }
        if known.is_none() && !names.iter().any(|(name, _)| *name == "signingSecret") {
            names.push(("signingSecret", "Proves that what comes in is from there."));
        }
        let secrets = names.into_iter().map(|(name, help)| secret_entry(shell, view, name, help));
        let help = "What the fields above do not name, such as the rules that make events of what \
                    comes in. Secrets do not belong here: settings are shown.";
        SettingsForm {
            entries: entries.collect(),
            secrets: secrets.collect(),
            more: Entry::json("more", "Further settings (JSON)", help, &rest),
        }
    }

    fn typed(self, sent: &Sent) -> SettingsForm {
        SettingsForm {
            entries: self.entries.into_iter().map(|entry| entry.typed(sent)).collect(),
            more: self.more.typed(sent),
            secrets: self.secrets,
        }
    }
}

fn secret_entry(
    shell: &Shell,
    view: Option<&ConnectionView>,
    name: &str,
    help: &str,
) -> SecretEntry {
    let state = view.and_then(|view| view.secrets.get(name));
    let hint = if state.is_some() { "•••• (empty keeps it)" } else { "" };
    let until = state.filter(|state| state.values > 1).and_then(|it| it.previous_valid_until);
    SecretEntry {
        entry: Entry::secret(name, help, hint.to_owned()),
        name: name.to_owned(),
        set: state.is_some(),
        at: state.and_then(|state| state.set_at).map(|at| shell.ago(&at)),
        by: state.and_then(|state| state.set_by.clone()).unwrap_or_default(),
        until: until.map(|until| shell.ago(&until)),
    }
}

struct Row {
    id: String,
    at: Moment,
    mark: Mark,
    kind: String,
    reason: String,
    event_href: Option<String>,
    body: Option<JsonTree>,
    can_replay: bool,
}

struct Tried {
    mark: Mark,
    detail: String,
    latency: String,
    request: String,
    status: String,
    body: Option<JsonTree>,
    facts: Option<JsonTree>,
}

/// The page of one connection.
#[derive(Template)]
#[template(path = "admin/connection.html")]
pub struct ConnectionPage {
    shell: Shell,
    outcome: Outcome,
    view: ConnectionView,
    title: String,
    about: &'static str,
    href: String,
    hook: String,
    health: Health,
    last_failure: Option<(String, Moment)>,
    form: SettingsForm,
    tried: Option<Tried>,
    slack: Option<SlackSetup>,
    users: Vec<User>,
    rows: Vec<Row>,
    rejected: usize,
    own: bool,
    can_write: bool,
    curl: String,
}

/// What the page is made of.
pub struct Found {
    /// The connection.
    pub view: ConnectionView,
    /// What uses it.
    pub users: Vec<crate::app::uses::UseView>,
    /// How calls over it fare.
    pub called: Option<crate::app::destinations::DestinationView>,
    /// What came in last.
    pub deliveries: Vec<DeliveryView>,
}

/// Makes the page.
pub fn page(shell: Shell, found: Found, outcome: Outcome) -> ConnectionPage {
    let Found { view, users, called, deliveries } = found;
    let href = shell.url(&format!("/connections/{}", encoded(&view.name)));
    let hook = format!("{}{}", shell.origin, shell.url(&view.hook_path));
    let can_write = may(&shell, "connections:write");
    let can_replay = can_write && may(&shell, "events:write");
    let is_rejected = |one: &&DeliveryView| one.status == DeliveryStatus::Rejected;
    let failure = called.as_ref().and_then(|called| called.last_failure.as_ref());
    ConnectionPage {
        title: title_of(&view.app),
        about: connected_app(&view.app).map_or("", |known| known.description),
        health: Health::of(&shell, &view, called.as_ref()),
        last_failure: failure.map(|failure| {
            (format!("{}: {}", failure.code, failure.message), shell.ago(&failure.at))
        }),
        form: SettingsForm::new(&shell, &view.app, Some(&view)),
        tried: None,
        slack: (view.app == "slack").then(|| SlackSetup::new(&shell, &view, &hook, &deliveries)),
        users: users_of(&shell, &users),
        rejected: deliveries.iter().filter(is_rejected).count(),
        rows: deliveries.into_iter().map(|one| row(&shell, one, can_replay)).collect(),
        own: !view.name.starts_with("app:"),
        curl: shell.curl(&format!("/v1/connections/{}", encoded(&view.name))),
        outcome,
        view,
        href,
        hook,
        can_write,
        shell,
    }
}

fn row(shell: &Shell, one: DeliveryView, can_replay: bool) -> Row {
    Row {
        at: shell.ago(&one.received_at),
        mark: match one.status {
            DeliveryStatus::Accepted => mark("ok", "succeeded", "Accepted"),
            DeliveryStatus::Duplicate => mark("idle", "skipped", "Duplicate"),
            DeliveryStatus::Unmatched => mark("wait", "no", "No rule wants it"),
            DeliveryStatus::Rejected => mark("bad", "failed", "Rejected"),
        },
        kind: one.event_type.unwrap_or_default(),
        reason: one.reason.unwrap_or_default(),
        event_href: one.event_id.map(|id| shell.url(&format!("/events/{}", encoded(&id)))),
        can_replay: can_replay && one.body.is_some(),
        body: one.body.as_ref().map(|body| JsonTree::new("", body)),
        id: one.id,
    }
}

fn tried(test: &ConnectionTest) -> Tried {
    let text = |at: &str| test.request[at].as_str().unwrap_or_default();
    let tree = |value: &Value| (!value.is_null()).then(|| JsonTree::new("", value));
    Tried {
        mark: match test.ok {
            true => mark("ok", "succeeded", "It works"),
            false => mark("bad", "failed", "It does not work"),
        },
        detail: test.detail.clone(),
        latency: test.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default(),
        request: format!("{} {}", text("method"), text("url")).trim().to_owned(),
        status: test.response["status"].as_u64().map(|it| it.to_string()).unwrap_or_default(),
        body: tree(&test.response["body"]),
        facts: tree(&test.facts)
            .filter(|_| test.facts.as_object().is_some_and(|it| !it.is_empty())),
    }
}

async fn found(app: &App, who: &Principal, name: &str) -> Result<Found, Error> {
    let view = app.connection(who, name)?;
    let first = PageRequest { limit: DELIVERIES_SHOWN, after: None };
    let called = match who.scopes.allow("destinations:read") {
        true => app.destination(who, name).await.ok(), // Perhaps it was not called yet.
        false => None,
    };
    Ok(Found {
        users: app.uses(who)?.of_connection(name).to_vec(),
        called,
        deliveries: app.deliveries(who, name, None, &first)?.data,
        view,
    })
}

/// Shows a connection.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    query: Query,
) -> Answer {
    let found = found(&app, &visit.who, &name).await?;
    html(&page(visit.shell, found, Outcome::of(&query)))
}

/// Tests a connection and shows what was asked and answered.
pub async fn test(app: web::Data<App>, visit: Visit, name: web::Path<String>) -> Answer {
    let tested = app.test_connection(&visit.who, &name).await?;
    let found = found(&app, &visit.who, &name).await?;
    let mut page = page(visit.shell, found, Outcome::default());
    page.tried = Some(tried(&tested));
    html(&page)
}

/// Takes a delivery again by the rules of now.
pub async fn replay(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, String)>,
) -> Answer {
    let (name, id) = path.into_inner();
    if !visit.who.scopes.allow("events:write") {
        return Err(Error::Forbidden { scope: "events:write".to_owned() }.into());
    }
    app.replay_delivery(&visit.who, &name, &id).await?;
    Ok(back_with(&visit.shell, &format!("/connections/{}", encoded(&name)), "replayed"))
}

/// Reads what was typed of a connection; an empty setting removes what was set.
fn read(
    app: &str,
    sent: &Sent,
    now: Timestamp,
) -> Result<(Map<String, Value>, SecretChanges), Error> {
    let mut problems = Vec::new();
    let mut settings = read_object("more", sent, &mut problems);
    let known: Option<&ConnectedApp> = connected_app(app);
    for field in known.map_or(&[][..], |known| known.settings) {
        let schema = serde_json::json!({ "type": type_word(field) });
        match typed_value(&schema, sent.text(&format!("settings.{}", field.name))) {
            Ok(value) => drop(settings.insert(field.name.to_owned(), value.unwrap_or_default())),
            Err(detail) => {
                let at = format!("/settings/{}", field.name);
                problems.push(Problem::new(at, "wrong_type", detail));
            }
        }
    }
    let mut secrets = Map::new();
    for name in sent.list("secret") {
        let value = sent.exact(&format!("secrets.{name}"));
        if sent.list("remove").contains(&name) {
            secrets.insert(name, Value::Null);
        } else if let Some(value) = value {
            secrets.insert(name, Value::String(value));
        }
    }
    match problems.is_empty() {
        true => Ok((settings, with_overlap(sent, secrets, now)?)),
        false => Err(Error::Invalid(problems)),
    }
}

fn type_word(field: &Field) -> &'static str {
    match field.holds {
        Holds::Text | Holds::Url => "string",
        Holds::Number => "number",
        Holds::Object => "object",
    }
}

/// Lets what a secret was before hold for a while beside what it is now.
fn with_overlap(
    sent: &Sent,
    mut secrets: Map<String, Value>,
    now: Timestamp,
) -> Result<SecretChanges, Error> {
    let overlap = parse_duration(sent.text("overlap")).ok();
    let is_exchanged = secrets.values().any(Value::is_string);
    if let Some(overlap) = overlap.filter(|overlap| !overlap.is_zero() && is_exchanged) {
        let until = (now + overlap).to_string();
        secrets.insert("previousValidUntil".to_owned(), Value::String(until));
    }
    SecretChanges::read(secrets)
}

/// Changes settings and secrets.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let sent = Sent::read(&raw);
    let view = app.connection(&visit.who, &name)?;
    let changed = match read(&view.app, &sent, app.now()) {
        Ok((mut settings, secrets)) => {
            // What stood among the further settings and stands there no more is removed.
            for name in view.settings.keys() {
                settings.entry(name.clone()).or_insert(Value::Null);
            }
            app.change_connection(&visit.who, &name, ConnectionChange { settings, secrets }).await
        }
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(back_with(&visit.shell, &format!("/connections/{}", encoded(&name)), "saved")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let found = found(&app, &visit.who, &name).await?;
            let mut page = page(visit.shell, found, outcome);
            page.form =
                SettingsForm::new(&page.shell, &page.view.app, Some(&page.view)).typed(&sent);
            Ok(with_status(status, &page))
        }
    }
}

/// The page of a new connection.
#[derive(Template)]
#[template(path = "admin/connection_new.html")]
pub struct NewPage {
    shell: Shell,
    outcome: Outcome,
    app: String,
    title: String,
    about: &'static str,
    name: String,
    form: SettingsForm,
    curl: String,
}

/// Makes the page of a new connection of an app.
pub fn new_page(shell: Shell, app: &str, sent: Option<&Sent>, outcome: Outcome) -> NewPage {
    let form = SettingsForm::new(&shell, app, None);
    NewPage {
        title: title_of(app),
        about: connected_app(app).map_or("", |known| known.description),
        name: sent.map_or(app, |sent| sent.text("name")).to_owned(),
        form: match sent {
            Some(sent) => form.typed(sent),
            None => form,
        },
        app: app.to_owned(),
        curl: shell.curl("/v1/connection-apps"),
        outcome,
        shell,
    }
}

/// Asks what a new connection leads to, or shows its form.
pub async fn begin(visit: Visit, query: Query) -> Answer {
    match query.text("app") {
        Some(app) => html(&new_page(visit.shell, app, None, Outcome::default())),
        None => html(&choice(visit.shell)),
    }
}

/// Makes a connection.
pub async fn create(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let sent = Sent::read(&raw);
    let (name, of) = (sent.text("name").to_owned(), sent.text("app").to_owned());
    let made = match read(&of, &sent, app.now()) {
        Ok((mut settings, secrets)) => {
            settings.retain(|_, value| !value.is_null());
            let wanted = NewConnection { name: name.clone(), app: of.clone(), settings, secrets };
            app.create_connection(&visit.who, wanted).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(_) => Ok(back_with(&visit.shell, &format!("/connections/{}", encoded(&name)), "made")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            Ok(with_status(status, &new_page(visit.shell, &of, Some(&sent), outcome)))
        }
    }
}

/// Removes a connection, when its name was typed.
pub async fn remove(
    app: web::Data<App>,
    visit: Visit,
    name: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    if Sent::read(&raw).text("name") != *name {
        let found = found(&app, &visit.who, &name).await?;
        let outcome = Outcome::problem("name", "type the connection's name to remove it");
        let page = page(visit.shell, found, outcome);
        return Ok(with_status(StatusCode::UNPROCESSABLE_ENTITY, &page));
    }
    app.remove_connection(&visit.who, &name).await?;
    Ok(back_with(&visit.shell, "/connections", "removed"))
}
