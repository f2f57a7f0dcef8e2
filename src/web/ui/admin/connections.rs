//! The list of connections: to what, how each fares, what uses it; and the choice of a new one.

use std::collections::BTreeMap;

use actix_web::web;
use askama::Template;

use super::outcome::Outcome;
use crate::app::App;
use crate::app::connections::ConnectionView;
use crate::app::destinations::DestinationView;
use crate::app::page::PageRequest;
use crate::app::uses::Uses;
use crate::domain::connection::{CONNECTED_APPS, ConnectedApp, connected_app};
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::icon::Icon;
use crate::web::ui::parts::list::{Address, Chip, Empty, Tab};
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html};

/// A tenant has no more.
pub const SHOWN_MAX: usize = 500;

/// How a connection fares, told from its last test, its last calls and what the other side said.
#[derive(Clone, Debug)]
pub struct Health {
    /// Drawing, word and colour.
    pub mark: Mark,
    /// Why, where it is not well.
    pub why: String,
    /// When it was tested last.
    pub tested: Option<Moment>,
}

/// Returns a mark of this area.
pub fn mark(tone: &'static str, icon: &'static str, word: &str) -> Mark {
    Mark { tone, icon: Icon::new(icon), word: word.to_owned() }
}

impl Health {
    /// Tells how a connection fares.
    pub fn of(shell: &Shell, view: &ConnectionView, called: Option<&DestinationView>) -> Health {
        let test = view.last_test.as_ref();
        let tested = test.map(|test| shell.ago(&test.at));
        let is_open = called.is_some_and(|called| called.state == "open");
        let (mark, why) = match (&view.unauthorized, test) {
            (Some(refused), _) => (mark("bad", "lock", "Not believed"), refused.reason.clone()),
            (None, Some(test)) if !test.ok => {
                (mark("bad", "failed", "Test failed"), test.detail.clone())
            }
            (None, _) if is_open => (mark("bad", "failed", "Left alone"), last_failure(called)),
            (None, Some(_)) => (mark("ok", "succeeded", "Works"), String::new()),
            (None, None) => (mark("idle", "unknown", "Not tested"), String::new()),
        };
        Health { mark, why, tested }
    }

    fn is_well(&self) -> bool {
        self.mark.tone != "bad"
    }
}

fn last_failure(called: Option<&DestinationView>) -> String {
    let failure = called.and_then(|called| called.last_failure.as_ref());
    failure.map(|failure| format!("{}: {}", failure.code, failure.message)).unwrap_or_default()
}

struct Row {
    href: String,
    name: String,
    app: String,
    health: Health,
    users: usize,
    last_failure: Option<(String, Moment)>,
    secrets: usize,
}

/// The page of the list.
#[derive(Template)]
#[template(path = "admin/connections.html")]
pub struct ConnectionsPage {
    shell: Shell,
    outcome: Outcome,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    apps: Vec<(String, String)>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    can_write: bool,
    curl: String,
}

/// What the list is made of.
#[derive(Debug, Default)]
pub struct Found {
    /// Every connection.
    pub connections: Vec<ConnectionView>,
    /// What uses them.
    pub uses: Uses,
    /// How calls over them fare.
    pub called: Vec<DestinationView>,
}

/// Makes the page.
pub fn page(shell: Shell, address: Address, found: &Found, outcome: Outcome) -> ConnectionsPage {
    let called: BTreeMap<&str, &DestinationView> =
        found.called.iter().map(|called| (called.name.as_str(), called)).collect();
    let mut apps: Vec<(String, String)> = Vec::new();
    let mut rows: Vec<Row> = Vec::new();
    for view in &found.connections {
        if !apps.iter().any(|(app, _)| *app == view.app) {
            apps.push((view.app.clone(), title_of(&view.app)));
        }
        let called = called.get(view.name.as_str()).copied();
        let row = Row {
            href: shell.url(&format!("/connections/{}", encoded(&view.name))),
            name: view.name.clone(),
            app: title_of(&view.app),
            health: Health::of(&shell, view, called),
            users: found.uses.of_connection(&view.name).len(),
            last_failure: called.and_then(|called| called.last_failure.as_ref()).map(|failure| {
                (format!("{}: {}", failure.code, failure.message), shell.ago(&failure.at))
            }),
            secrets: view.secrets.len(),
        };
        if admits(&address, view, &row) {
            rows.push(row);
        }
    }
    let chips = address.chips(&shell);
    let choices = [("", "All"), ("trouble", "In trouble"), ("unused", "Unused")];
    ConnectionsPage {
        tabs: address.tabs(&shell, "state", &choices),
        empty: Empty::of(&rows, &chips),
        can_write: may(&shell, "connections:write"),
        curl: shell.curl("/v1/connections"),
        shell,
        outcome,
        rows,
        apps,
        chips,
        address,
    }
}

/// Returns whether the visitor may do what `scope` names.
pub fn may(shell: &Shell, scope: &str) -> bool {
    shell.viewer.as_ref().is_some_and(|viewer| viewer.may(scope))
}

fn admits(address: &Address, view: &ConnectionView, row: &Row) -> bool {
    let state = match address.value("state") {
        "trouble" => !row.health.is_well(),
        "unused" => row.users == 0,
        _ => true,
    };
    let text = address.value("q").to_lowercase();
    let has_text =
        [&view.name, &view.app, &row.app].iter().any(|it| it.to_lowercase().contains(&text));
    let app = address.value("app");
    state && has_text && (app.is_empty() || app == view.app)
}

/// Returns what people call the app of a connection.
pub fn title_of(app: &str) -> String {
    match (connected_app(app), app.strip_prefix("app:")) {
        (Some(known), _) => known.title.to_owned(),
        (None, Some(_)) => "Settings of an app".to_owned(),
        (None, None) => app.to_owned(),
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let pairs = ["state", "app", "q"].map(|name| (name, owned(name)));
    let address = Address::new("/connections", pairs.into());
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let found = Found {
        connections: app.connections(&visit.who, &all)?.data,
        uses: app.uses(&visit.who)?,
        called: match visit.who.scopes.allow("destinations:read") {
            true => app.destinations(&visit.who, &all).await?.data,
            false => Vec::new(),
        },
    };
    html(&page(visit.shell, address, &found, Outcome::of(&query)))
}

/// The page on which the app of a new connection is chosen.
#[derive(Template)]
#[template(path = "admin/connection_apps.html")]
pub struct ChoicePage {
    shell: Shell,
    apps: Vec<(String, &'static ConnectedApp)>,
    curl: String,
}

/// Makes the page of the choice.
pub fn choice(shell: Shell) -> ChoicePage {
    let href = |app: &ConnectedApp| shell.url(&format!("/connections/new?app={}", app.app));
    let apps = CONNECTED_APPS.iter().map(|app| (href(app), app)).collect();
    ChoicePage { curl: shell.curl("/v1/connection-apps"), apps, shell }
}
