//! Both directions of webhooks: subscriptions that events are delivered to, and the hooks that
//! other systems send to.

use actix_web::web;
use askama::Template;

use super::connections::{SHOWN_MAX, mark, may, title_of};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use super::webhook::Draft;
use crate::app::App;
use crate::app::connections::ConnectionView;
use crate::app::deliveries::{DeliveryStatus, DeliveryView};
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::webhooks::WebhookView;
use crate::web::body::Raw;
use crate::web::error::Answer;
use crate::web::query::Query;
use crate::web::ui::parts::list::{Address, Chip, Empty, Tab};
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::Moment;
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

/// How many of the newest deliveries of a hook are counted.
const COUNTED: usize = 50;

struct Row {
    href: String,
    url: String,
    description: String,
    types: Vec<String>,
    mark: Mark,
    why: String,
    app: String,
    delivered: u64,
    pending: u64,
    dead: u64,
    last: Option<Moment>,
}

struct HookRow {
    href: String,
    name: String,
    app: String,
    address: String,
    signed: bool,
    last: Option<(Mark, Moment)>,
    accepted: usize,
    rejected: usize,
    reason: String,
}

/// The page of both lists.
#[derive(Template)]
#[template(path = "admin/webhooks.html")]
pub struct WebhooksPage {
    shell: Shell,
    outcome: Outcome,
    rows: Vec<Row>,
    hooks: Vec<HookRow>,
    inward: bool,
    tabs: Vec<Tab>,
    states: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    address: Address,
    can_write: bool,
    curl: String,
}

/// What the lists are made of.
#[derive(Debug, Default)]
pub struct Found {
    /// Every subscription.
    pub webhooks: Vec<WebhookView>,
    /// Every connection with what came to its hook last.
    pub hooks: Vec<(ConnectionView, Vec<DeliveryView>)>,
}

/// Makes the page.
pub fn page(shell: Shell, address: Address, found: &Found, outcome: Outcome) -> WebhooksPage {
    let inward = address.value("direction") == "in";
    let rows: Vec<Row> = found.webhooks.iter().map(|view| row(&shell, view)).collect();
    let rows: Vec<Row> = rows.into_iter().filter(|row| admits(&address, row)).collect();
    let text = address.value("q").to_lowercase();
    let hooks = found.hooks.iter().map(|(view, deliveries)| hook(&shell, view, deliveries));
    let state = address.value("state");
    let hooks = hooks.filter(|hook| {
        let has_text =
            hook.name.to_lowercase().contains(&text) || hook.app.to_lowercase().contains(&text);
        has_text && (state != "trouble" || hook.rejected > 0 || !hook.signed)
    });
    let hooks: Vec<HookRow> = hooks.collect();
    let mut chips = address.chips(&shell);
    chips.retain(|chip| chip.name != "direction");
    let directions = [("", "Outgoing"), ("in", "Incoming")];
    let path = if inward { "/v1/connections" } else { "/v1/webhooks" };
    WebhooksPage {
        tabs: address.tabs(&shell, "direction", &directions),
        states: address.tabs(&shell, "state", &[("", "All"), ("trouble", "In trouble")]),
        empty: if inward { Empty::of(&hooks, &chips) } else { Empty::of(&rows, &chips) },
        can_write: may(&shell, "webhooks:write"),
        curl: shell.curl(path),
        shell,
        outcome,
        rows,
        hooks,
        inward,
        chips,
        address,
    }
}

/// Returns how a subscription stands, and why where it does not deliver.
pub fn standing(view: &WebhookView) -> (Mark, String) {
    let why = view.disabled_reason.clone().unwrap_or_default();
    match (view.enabled, view.failing_since.is_some()) {
        (false, _) => (mark("wait", "waiting", "Paused"), why),
        (true, true) => (mark("bad", "failed", "Failing"), why),
        (true, false) => (mark("ok", "succeeded", "Delivers"), why),
    }
}

fn row(shell: &Shell, view: &WebhookView) -> Row {
    let (mark, why) = standing(view);
    Row {
        href: shell.url(&format!("/webhooks/{}", encoded(&view.id))),
        url: view.url.clone(),
        description: view.description.clone(),
        types: view.types.clone(),
        mark,
        why,
        app: view.app.clone().unwrap_or_default(),
        delivered: view.deliveries.delivered,
        pending: view.deliveries.pending,
        dead: view.deliveries.dead,
        last: view.last_delivered_at.map(|at| shell.ago(&at)),
    }
}

fn admits(address: &Address, row: &Row) -> bool {
    let text = address.value("q").to_lowercase();
    let is_typed = row.types.iter().any(|kind| kind.to_lowercase().contains(&text));
    let fields = [&row.url, &row.description];
    let has_text = is_typed || fields.iter().any(|field| field.to_lowercase().contains(&text));
    let in_trouble = row.mark.tone != "ok" || row.dead > 0;
    has_text && (address.value("state") != "trouble" || in_trouble)
}

fn hook(shell: &Shell, view: &ConnectionView, deliveries: &[DeliveryView]) -> HookRow {
    let count = |status| deliveries.iter().filter(|one| one.status == status).count();
    let rejected = |one: &&DeliveryView| one.status == DeliveryStatus::Rejected;
    let signing = ["signingSecret", "webhookSecret", "secret"];
    HookRow {
        href: shell.url(&format!("/connections/{}#deliveries", encoded(&view.name))),
        name: view.name.clone(),
        app: title_of(&view.app),
        address: format!("{}{}", shell.origin, shell.url(&view.hook_path)),
        signed: signing.iter().any(|name| view.secrets.contains_key(*name)),
        last: deliveries.first().map(|one| (mark_of(one.status), shell.ago(&one.received_at))),
        accepted: count(DeliveryStatus::Accepted),
        rejected: count(DeliveryStatus::Rejected),
        reason: deliveries
            .iter()
            .find(rejected)
            .and_then(|it| it.reason.clone())
            .unwrap_or_default(),
    }
}

/// Returns the mark of what became of something that came in.
pub fn mark_of(status: DeliveryStatus) -> Mark {
    match status {
        DeliveryStatus::Accepted => mark("ok", "succeeded", "Accepted"),
        DeliveryStatus::Duplicate => mark("idle", "skipped", "Duplicate"),
        DeliveryStatus::Unmatched => mark("wait", "no", "No rule wants it"),
        DeliveryStatus::Rejected => mark("bad", "failed", "Rejected"),
    }
}

fn hooks(app: &App, visit: &Visit) -> Result<Vec<(ConnectionView, Vec<DeliveryView>)>, Error> {
    if !visit.who.scopes.allow("connections:read") {
        return Err(Error::Forbidden { scope: "connections:read".to_owned() });
    }
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let newest = PageRequest { limit: COUNTED, after: None };
    let mut found = Vec::new();
    for view in app.connections(&visit.who, &all)?.data {
        let deliveries = app.deliveries(&visit.who, &view.name, None, &newest)?.data;
        if !view.name.starts_with("app:") {
            found.push((view, deliveries));
        }
    }
    Ok(found)
}

/// Shows one of the two lists.
pub async fn list(app: web::Data<App>, visit: Visit, query: Query) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let pairs = ["direction", "state", "q"].map(|name| (name, owned(name)));
    let address = Address::new("/webhooks", pairs.into());
    let all = PageRequest { limit: SHOWN_MAX, after: None };
    let found = match address.value("direction") {
        "in" => Found { hooks: hooks(&app, &visit)?, ..Found::default() },
        _ => Found { webhooks: app.webhooks(&visit.who, &all)?.data, ..Found::default() },
    };
    html(&page(visit.shell, address, &found, Outcome::of(&query)))
}

/// The page of a new subscription, and of its secret when it was made.
#[derive(Template)]
#[template(path = "admin/webhook_new.html")]
pub struct NewPage {
    shell: Shell,
    outcome: Outcome,
    draft: Draft,
    made: Option<(String, String)>,
    curl: String,
}

/// Makes the page of a new subscription.
pub fn new_page(shell: Shell, draft: Draft, outcome: Outcome) -> NewPage {
    NewPage { curl: shell.curl("/v1/webhooks"), made: None, shell, outcome, draft }
}

/// Shows the form of a new subscription.
pub async fn begin(visit: Visit) -> Answer {
    html(&new_page(visit.shell, Draft::blank(), Outcome::default()))
}

/// Makes a subscription and shows its secret, this once.
pub async fn create(app: web::Data<App>, visit: Visit, Raw(raw): Raw) -> Answer {
    let draft = Draft::read(&Sent::read(&raw));
    let made = match draft.wanted() {
        Ok(wanted) => app.create_webhook(&visit.who, wanted.whole()).await,
        Err(error) => Err(error),
    };
    match made {
        Ok(made) => {
            let href = visit.shell.url(&format!("/webhooks/{}", encoded(&made.view.id)));
            let mut page = new_page(visit.shell, draft, Outcome::default());
            page.made = Some((href, made.secret));
            html(&page)
        }
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            Ok(with_status(status, &new_page(visit.shell, draft, outcome)))
        }
    }
}

/// Removes a subscription.
pub async fn remove(app: web::Data<App>, visit: Visit, id: web::Path<String>) -> Answer {
    app.delete_webhook(&visit.who, &id).await?;
    Ok(back_with(&visit.shell, "/webhooks", "removed"))
}
