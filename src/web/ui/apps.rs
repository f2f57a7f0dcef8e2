//! The list of apps: where each is installed, what it can do, and how its deliveries fare.

use actix_web::web;
use askama::Template;

use super::admin::Outcome;
use super::parts::list::{Address, Chip, Empty, Tab};
use super::parts::moment::Moment;
use super::run::encoded;
use super::shell::Shell;
use super::visit::{Visit, html};
use crate::app::App;
use crate::app::apps::AppView;
use crate::app::views::Page;
use crate::app::webhooks::WebhookView;
use crate::web::error::Answer;
use crate::web::query::Query;

/// An app with its subscriptions.
#[derive(Clone, Debug)]
pub struct AppRow {
    /// The app.
    pub app: AppView,
    /// Its subscriptions, with what came of their deliveries.
    pub webhooks: Vec<WebhookView>,
}

struct Row {
    href: String,
    name: String,
    slug: String,
    version: String,
    description: String,
    activities: Vec<String>,
    installed: Option<Installed>,
    deliveries: Vec<Deliveries>,
}

struct Installed {
    teams: usize,
    scopes: String,
    at: Moment,
    by: String,
}

struct Deliveries {
    what: String,
    delivered: u64,
    pending: u64,
    dead: u64,
    stopped: String,
}

/// The page.
#[derive(Template)]
#[template(path = "apps.html")]
pub struct AppsPage {
    shell: Shell,
    outcome: Outcome,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    next: Option<String>,
    first: Option<String>,
    can_write: bool,
    curl: String,
}

/// Makes the page of one part of the list.
#[cfg(test)]
pub fn page(shell: Shell, cursor: Option<&str>, list: Page<AppRow>) -> AppsPage {
    let pairs = vec![("cursor", cursor.map(str::to_owned))];
    found(shell, Address::new("/apps", pairs), list, Outcome::default())
}

/// Makes the page of what of one part of the list passes the filters.
pub fn found(shell: Shell, address: Address, list: Page<AppRow>, outcome: Outcome) -> AppsPage {
    let admitted = list.data.into_iter().filter(|found| admits(&address, &found.app));
    let rows: Vec<Row> = admitted.map(|found| row(&shell, found)).collect();
    let mut chips = address.chips(&shell);
    chips.retain(|chip| chip.name != "cursor");
    let choices = [("", "All"), ("installed", "Installed"), ("not", "Not installed")];
    AppsPage {
        tabs: address.tabs(&shell, "state", &choices),
        empty: Empty::of(&rows, &chips),
        next: list.next_cursor.as_ref().map(|next| address.with(&shell, "cursor", next)),
        first: match address.value("cursor") {
            "" => None,
            _ => Some(address.with(&shell, "cursor", "")),
        },
        can_write: shell.viewer.as_ref().is_some_and(|viewer| viewer.may("apps:write")),
        curl: shell.curl("/v1/apps"),
        outcome,
        shell,
        rows,
        chips,
        address,
    }
}

fn admits(address: &Address, app: &AppView) -> bool {
    let text = address.value("q").to_lowercase();
    let fields = [&app.name, &app.slug, &app.description];
    let state = match address.value("state") {
        "installed" => app.installation.is_some(),
        "not" => app.installation.is_none(),
        _ => true,
    };
    state && fields.iter().any(|field| field.to_lowercase().contains(&text))
}

fn row(shell: &Shell, AppRow { app, webhooks }: AppRow) -> Row {
    let deliveries = webhooks.into_iter().map(|webhook| Deliveries {
        what: webhook.description,
        delivered: webhook.deliveries.delivered,
        pending: webhook.deliveries.pending,
        dead: webhook.deliveries.dead,
        stopped: webhook.disabled_reason.unwrap_or_default(),
    });
    Row {
        href: shell.url(&format!("/apps/{}", encoded(&app.slug))),
        deliveries: deliveries.collect(),
        installed: app.installation.map(|installation| Installed {
            teams: installation.team_ids.len(),
            scopes: installation.scopes.join(", "),
            at: shell.ago(&installation.installed_at),
            by: installation.installed_by,
        }),
        name: app.name,
        slug: app.slug,
        version: app.version,
        description: app.description,
        activities: app.activities,
    }
}

/// Shows the list.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let list = app.apps(&visit.who, &query.page()?)?;
    let with_webhooks = |found: AppView| {
        let ids = ["events", "installations"].map(|which| found.webhooks[which].as_str());
        // One that was removed meanwhile has nothing to show.
        let webhooks = ids.into_iter().flatten().filter_map(|id| app.webhook(&visit.who, id).ok());
        let webhooks = webhooks.collect();
        AppRow { app: found, webhooks }
    };
    let list = query.seal(list.map(with_webhooks));
    let owned = |name| query.text(name).map(str::to_owned);
    let pairs = ["state", "q", "cursor"].map(|name| (name, owned(name)));
    let address = Address::new("/apps", pairs.into());
    html(&found(visit.shell, address, list, Outcome::of(&query)))
}
