//! The list of apps: where each is installed, what it can do, and how its deliveries fare.

use actix_web::web;
use askama::Template;

use super::parts::list::Empty;
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
    rows: Vec<Row>,
    empty: Empty,
    next: Option<String>,
    first: Option<String>,
    curl: String,
}

/// Makes the page of one part of the list.
pub fn page(shell: Shell, cursor: Option<&str>, list: Page<AppRow>) -> AppsPage {
    let here = shell.url("/apps");
    let rows: Vec<Row> = list.data.into_iter().map(|found| row(&shell, found)).collect();
    AppsPage {
        empty: Empty::of(&rows, &[]),
        next: list.next_cursor.as_ref().map(|next| format!("{here}?cursor={}", encoded(next))),
        first: cursor.map(|_| here),
        curl: shell.curl("/v1/apps"),
        shell,
        rows,
    }
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
    html(&page(visit.shell, query.text("cursor"), list))
}
