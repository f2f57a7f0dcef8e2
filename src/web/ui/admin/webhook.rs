//! One subscription: where it delivers what, how that fares, each delivery, and its secret.

use actix_web::web;
use askama::Template;
use serde_json::{Value, json};

use super::connections::{mark, may};
use super::outcome::{Outcome, back_with};
use super::sent::Sent;
use super::webhooks::standing;
use crate::app::App;
use crate::app::error::Error;
use crate::app::page::PageRequest;
use crate::app::views::Page;
use crate::app::webhook_deliveries::{DeliveryAttemptView, DeliveryView};
use crate::app::webhooks::{OVERLAP_MAX, Switch, WebhookDraft, WebhookTrial, WebhookView};
use crate::domain::problem::Problem;
use crate::domain::time::parse_duration;
use crate::domain::webhook::DeliveryStatus;
use crate::web::body::Raw;
use crate::web::error::{Answer, ApiError};
use crate::web::query::Query;
use crate::web::ui::parts::json_tree::JsonTree;
use crate::web::ui::parts::list::{Address, Chip, Empty, Tab};
use crate::web::ui::parts::mark::Mark;
use crate::web::ui::parts::moment::{Moment, span};
use crate::web::ui::run::encoded;
use crate::web::ui::shell::Shell;
use crate::web::ui::visit::{Visit, html, with_status};

/// What was typed of a subscription.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Where deliveries go.
    pub url: String,
    /// Patterns of event types, one in each line.
    pub types: String,
    /// A condition, as JSON.
    pub filter: String,
    /// What it is for.
    pub description: String,
    /// `event` or `thena`.
    pub format: String,
}

impl Draft {
    /// Returns what stands in the form of a new subscription.
    pub fn blank() -> Draft {
        Draft { format: "event".to_owned(), ..Draft::default() }
    }

    /// Takes what a subscription is now.
    pub fn of(view: &WebhookView) -> Draft {
        Draft {
            url: view.url.clone(),
            types: view.types.join("\n"),
            filter: view.filter.as_ref().map(|filter| format!("{filter:#}")).unwrap_or_default(),
            description: view.description.clone(),
            format: view.format.clone(),
        }
    }

    /// Reads what was sent.
    pub fn read(sent: &Sent) -> Draft {
        let text = |name| sent.text(name).to_owned();
        Draft {
            url: text("url"),
            types: sent.words("types").join("\n"),
            filter: text("filter"),
            description: text("description"),
            format: text("format"),
        }
    }

    /// Returns what is wanted of the use case.
    pub fn wanted(&self) -> Result<WebhookDraft, Error> {
        let filter: Option<Value> = match self.filter.is_empty() {
            true => None,
            false => Some(serde_json::from_str(&self.filter).map_err(|fault| {
                let detail = format!("is no JSON: {fault}");
                Error::Invalid(vec![Problem::new("/filter", "syntax", detail)])
            })?),
        };
        Ok(WebhookDraft {
            url: Some(self.url.clone()),
            types: Some(self.types.lines().map(str::to_owned).collect()),
            filter: Some(filter),
            description: Some(self.description.clone()),
            format: Some(self.format.clone()),
            ..WebhookDraft::default()
        })
    }
}

struct Row {
    href: String,
    id: String,
    mark: Mark,
    kind: String,
    event_href: String,
    attempts: usize,
    last: String,
    made: Moment,
    next: Option<Moment>,
    can_again: bool,
}

struct Try {
    number: u32,
    mark: Mark,
    at: Moment,
    took: String,
    status: String,
    error: String,
    response: String,
}

/// The page of one subscription.
#[derive(Template)]
#[template(path = "admin/webhook.html")]
pub struct WebhookPage {
    shell: Shell,
    outcome: Outcome,
    view: WebhookView,
    mark: Mark,
    why: String,
    href: String,
    draft: Draft,
    secret: Option<String>,
    trial: Option<(Try, JsonTree)>,
    rows: Vec<Row>,
    tabs: Vec<Tab>,
    chips: Vec<Chip>,
    empty: Empty,
    next: Option<String>,
    first: Option<String>,
    headers: Vec<String>,
    own: bool,
    can_write: bool,
    curl: String,
}

/// What is asked for of the deliveries.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// In this status.
    pub status: Option<String>,
    /// Where the page begins.
    pub cursor: Option<String>,
}

/// Makes the page.
pub fn page(
    shell: Shell,
    asked: &Asked,
    (view, deliveries): (WebhookView, Page<DeliveryView>),
    outcome: Outcome,
) -> WebhookPage {
    let path = format!("/webhooks/{}", encoded(&view.id));
    let (href, can_write) = (shell.url(&path), may(&shell, "webhooks:write"));
    let address = Address::new("", vec![("status", asked.status.clone())]);
    let under =
        |tail: String| format!("{href}{}", tail.strip_prefix(shell.base.as_str()).unwrap_or(&tail));
    let choices =
        [("", "All"), ("pending", "Waiting"), ("delivered", "Delivered"), ("dead", "Given up")];
    let mut tabs = address.tabs(&shell, "status", &choices);
    tabs.iter_mut().for_each(|tab| tab.href = under(std::mem::take(&mut tab.href)));
    let mut chips = address.chips(&shell);
    chips.iter_mut().for_each(|chip| chip.without = under(std::mem::take(&mut chip.without)));
    let next = deliveries.next_cursor.as_ref();
    let again = can_write && view.enabled;
    let rows: Vec<Row> =
        deliveries.data.iter().map(|one| row(&shell, (&href, again), one)).collect();
    let (mark, why) = standing(&view);
    WebhookPage {
        draft: Draft::of(&view),
        secret: None,
        trial: None,
        empty: Empty::of(&rows, &chips),
        next: next.map(|cursor| under(address.with(&shell, "cursor", cursor))),
        first: asked.cursor.as_ref().map(|_| under(address.here(&shell))),
        headers: view.headers.keys().cloned().collect(),
        own: view.app.is_none(),
        curl: shell.curl(&format!("/v1{path}/deliveries")),
        shell,
        outcome,
        view,
        mark,
        why,
        href,
        rows,
        tabs,
        chips,
        can_write,
    }
}

fn status_mark(status: DeliveryStatus) -> Mark {
    match status {
        DeliveryStatus::Pending => mark("wait", "waiting", "Waiting"),
        DeliveryStatus::Delivering => mark("run", "running", "Being made"),
        DeliveryStatus::Delivered => mark("ok", "succeeded", "Delivered"),
        DeliveryStatus::Dead => mark("bad", "failed", "Given up"),
    }
}

fn row(shell: &Shell, (webhook, again): (&str, bool), one: &DeliveryView) -> Row {
    let last = one.attempts.last();
    Row {
        href: format!("{webhook}/deliveries/{}", encoded(&one.id)),
        id: one.id.clone(),
        mark: status_mark(one.status),
        kind: one.event_type.clone(),
        event_href: shell.url(&format!("/events/{}", encoded(&one.event_id))),
        attempts: one.attempts.len(),
        last: last.map(in_words).unwrap_or_default(),
        made: shell.ago(&one.created_at),
        next: one.next_attempt_at.map(|at| shell.ago(&at)),
        can_again: again && one.status != DeliveryStatus::Delivering,
    }
}

fn in_words(attempt: &DeliveryAttemptView) -> String {
    match (&attempt.error, attempt.status_code) {
        (Some(error), _) => error.message.clone(),
        (None, Some(status)) => format!("answered {status}"),
        (None, None) => attempt.outcome.clone(),
    }
}

fn attempt(shell: &Shell, one: &DeliveryAttemptView) -> Try {
    Try {
        number: one.number,
        mark: match one.outcome.as_str() {
            "delivered" => mark("ok", "succeeded", "Delivered"),
            "running" => mark("run", "running", "Being made"),
            "unknown" => mark("retry", "unknown", "Outcome unknown"),
            _ => mark("bad", "failed", "Failed"),
        },
        at: shell.ago(&one.at),
        took: one.duration_ms.and_then(|ms| i64::try_from(ms).ok()).map(span).unwrap_or_default(),
        status: one.status_code.map(|status| status.to_string()).unwrap_or_default(),
        error: one.error.as_ref().map(|error| error.message.clone()).unwrap_or_default(),
        response: one.response.clone().unwrap_or_default(),
    }
}

fn parsed(name: Option<&str>) -> Result<Option<DeliveryStatus>, ApiError> {
    let refused = |name: &str| ApiError::bad_parameter("status", format!("`{name}` is no status"));
    name.map(|name| DeliveryStatus::parse(name).ok_or_else(|| refused(name))).transpose()
}

fn shown(app: &App, visit: Visit, id: &str, outcome: Outcome) -> Result<WebhookPage, Error> {
    let view = app.webhook(&visit.who, id)?;
    let mut deliveries = app.webhook_deliveries(&visit.who, id, None, &PageRequest::first())?;
    deliveries.next_cursor = None; // The address of a form is not that of the list.
    Ok(page(visit.shell, &Asked::default(), (view, deliveries), outcome))
}

/// Shows a subscription with its deliveries.
pub async fn show(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    query: Query,
) -> Answer {
    let owned = |name| query.text(name).map(str::to_owned);
    let asked = Asked { status: owned("status"), cursor: owned("cursor") };
    let view = app.webhook(&visit.who, &id)?;
    let status = parsed(asked.status.as_deref())?;
    let deliveries = app.webhook_deliveries(&visit.who, &id, status, &query.page()?)?;
    let found = (view, query.seal(deliveries));
    html(&page(visit.shell, &asked, found, Outcome::of(&query)))
}

/// Changes a subscription.
pub async fn change(
    app: web::Data<App>,
    visit: Visit,
    id: web::Path<String>,
    Raw(raw): Raw,
) -> Answer {
    let draft = Draft::read(&Sent::read(&raw));
    let changed = match draft.wanted() {
        Ok(wanted) => app.change_webhook(&visit.who, &id, wanted).await,
        Err(error) => Err(error),
    };
    match changed {
        Ok(_) => Ok(back_with(&visit.shell, &format!("/webhooks/{}", encoded(&id)), "saved")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let mut page = shown(&app, visit, &id, outcome)?;
            page.draft = draft;
            Ok(with_status(status, &page))
        }
    }
}

/// Pauses a subscription, lets it go on, tries it, or recovers what was given up on.
pub async fn act(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, String)>,
    Raw(raw): Raw,
) -> Answer {
    let (id, deed) = path.into_inner();
    let done = match deed.as_str() {
        "pause" => app.switch_webhook(&visit.who, &id, Switch::Off).await.map(|_| "off"),
        "resume" => app.switch_webhook(&visit.who, &id, Switch::On).await.map(|_| "on"),
        "recover" => app.recover_deliveries(&visit.who, &id).await.map(|_| "recovered"),
        "test" => return test(&app, visit, &id).await,
        "secret" => return exchange(&app, visit, &id, &Sent::read(&raw)).await,
        "delete" => return super::webhooks::remove(app, visit, id.into()).await,
        _ => return Err(Error::NotFound { what: "page", id: deed }.into()),
    };
    match done {
        Ok(done) => Ok(back_with(&visit.shell, &format!("/webhooks/{}", encoded(&id)), done)),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            Ok(with_status(status, &shown(&app, visit, &id, outcome)?))
        }
    }
}

async fn test(app: &App, visit: Visit, id: &str) -> Answer {
    let WebhookTrial { attempt: one, request, .. } = app.test_webhook(&visit.who, id).await?;
    let mut page = shown(app, visit, id, Outcome::default())?;
    page.trial = Some((attempt(&page.shell, &one), JsonTree::new("", &request)));
    html(&page)
}

async fn exchange(app: &App, visit: Visit, id: &str, sent: &Sent) -> Answer {
    let overlap = parse_duration(sent.text("overlap")).unwrap_or_default().min(OVERLAP_MAX);
    let made = app.rotate_webhook_secret(&visit.who, id, overlap, None).await?;
    let mut page = shown(app, visit, id, Outcome::default())?;
    page.secret = Some(made.secret);
    html(&page)
}

/// The page of one delivery.
#[derive(Template)]
#[template(path = "admin/delivery.html")]
pub struct DeliveryPage {
    shell: Shell,
    outcome: Outcome,
    view: DeliveryView,
    mark: Mark,
    webhook_href: String,
    href: String,
    event_href: String,
    tries: Vec<Try>,
    headers: Option<JsonTree>,
    body: Option<JsonTree>,
    address: String,
    can_write: bool,
    curl: String,
}

/// Makes the page of a delivery.
pub fn delivery_page(shell: Shell, view: DeliveryView, outcome: Outcome) -> DeliveryPage {
    let path = format!("/webhooks/{}", encoded(&view.webhook_id));
    let own = format!("{path}/deliveries/{}", encoded(&view.id));
    let request = view.request.clone().unwrap_or(json!(null));
    let part = |name: &str| request.get(name).map(|value| JsonTree::new("", value).unfolded());
    DeliveryPage {
        mark: status_mark(view.status),
        webhook_href: shell.url(&path),
        href: shell.url(&own),
        event_href: shell.url(&format!("/events/{}", encoded(&view.event_id))),
        tries: view.attempts.iter().rev().map(|one| attempt(&shell, one)).collect(),
        headers: part("headers"),
        body: part("body"),
        address: request["url"].as_str().unwrap_or_default().to_owned(),
        can_write: may(&shell, "webhooks:write") && view.status != DeliveryStatus::Delivering,
        curl: shell.curl(&format!("/v1{own}")),
        outcome,
        view,
        shell,
    }
}

/// Shows one delivery: what is sent, and every attempt.
pub async fn delivery(
    app: web::Data<App>,
    visit: Visit,
    path: web::Path<(String, String)>,
    query: Query,
) -> Answer {
    let view = app.webhook_delivery(&visit.who, &path.0, &path.1)?;
    html(&delivery_page(visit.shell, view, Outcome::of(&query)))
}

/// Makes a delivery once more.
pub async fn again(app: web::Data<App>, visit: Visit, path: web::Path<(String, String)>) -> Answer {
    let (webhook, id) = path.into_inner();
    match app.redeliver(&visit.who, &webhook, &id).await {
        Ok(_) => Ok(back_with(&visit.shell, &format!("/webhooks/{}", encoded(&webhook)), "queued")),
        Err(error) => {
            let (status, outcome) = Outcome::refused(error)?;
            let view = app.webhook_delivery(&visit.who, &webhook, &id)?;
            Ok(with_status(status, &delivery_page(visit.shell, view, outcome)))
        }
    }
}
