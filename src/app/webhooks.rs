//! Subscriptions to events: made, changed, tried, their secrets exchanged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use super::webhook_deliveries::DeliveryAttemptView;
use super::webhook_draft::Checks;
use crate::activities::outside::courier::PlainHttp;
use crate::domain::event::Event;
use crate::domain::event_type::built_in;
use crate::domain::secret::Secret;
use crate::domain::signature::standard_webhooks::secret_of;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DeliveryStatus, MessageFacts, body};
use crate::engine::{Message, USER_AGENT};
use crate::store::alarms::AlarmKind;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};
use crate::store::webhook_deliveries::AttemptOutcome;
use crate::store::webhooks::{Disabled, SealedPart, SealedSecret, WebhookRow, WebhookState, place};

pub use super::webhook_draft::WebhookDraft;

/// How long the former secret signs too, unless told otherwise.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest that a former secret may sign.
pub const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many secrets sign at once.
const SECRETS_MAX: usize = 4;
/// How many deliveries are removed in one transaction.
const REMOVED_AT_ONCE: usize = 500;
/// What stands where a value is not shown.
pub(super) const HIDDEN: &str = "***";

/// A subscription as the API shows it; secrets are never read back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookView {
    /// Its name in paths.
    pub id: String,
    /// Where deliveries go.
    pub url: String,
    /// Patterns of canonical event types.
    pub types: Vec<String>,
    /// The condition on events.
    pub filter: Option<Value>,
    /// What it is for.
    pub description: String,
    /// `event` or `thena`; `installation` for what an app is told of its own life.
    pub format: String,
    /// The app that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The headers that are sent beside ours, without their values.
    pub headers: BTreeMap<String, String>,
    /// Whether events are delivered.
    pub enabled: bool,
    /// Why they are not.
    pub disabled_reason: Option<String>,
    /// Since when they are not.
    pub disabled_at: Option<Timestamp>,
    /// Until when a former secret signs too.
    pub previous_secret_until: Option<Timestamp>,
    /// How it fares.
    pub deliveries: DeliveryCounts,
    /// When the first attempt since the last success failed.
    pub failing_since: Option<Timestamp>,
    /// When something was delivered last.
    pub last_delivered_at: Option<Timestamp>,
    /// When an attempt failed last.
    pub last_failed_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// How many deliveries a subscription has had.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryCounts {
    /// Not over.
    pub pending: u64,
    /// Arrived since it exists.
    pub delivered: u64,
    /// Given up on since it exists.
    pub dead: u64,
}

/// A subscription together with its secret, which is shown this once.
#[derive(Clone, Debug)]
pub struct MadeWebhook {
    /// What lists show.
    pub view: WebhookView,
    /// What deliveries are signed with.
    pub secret: String,
}

/// What came of a message that was sent to try a subscription.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WebhookTrial {
    /// Whether the subscriber took it.
    pub delivered: bool,
    /// The attempt.
    #[serde(flatten)]
    pub attempt: DeliveryAttemptView,
    /// What was sent.
    pub request: Value,
}

/// Whether a subscription gets events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It does.
    On,
    /// It does not.
    Off,
}

impl App {
    /// Lists the subscriptions, oldest first.
    ///
    /// # Errors
    /// Fails when the store cannot be read.
    pub fn webhooks(
        &self,
        who: &Principal,
        page: &PageRequest,
    ) -> Result<Page<WebhookView>, Error> {
        self.read(who, |view| {
            let page = page.cut(view.webhooks()?, |row| row.id.clone());
            let data = page.data.into_iter().map(|row| Ok(self.shown(view, row)?));
            let data = data.collect::<Result<Vec<_>, Error>>()?;
            Ok(Page { data, next_cursor: page.next_cursor })
        })
    }

    /// Returns one subscription.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such subscription.
    pub fn webhook(&self, who: &Principal, id: &str) -> Result<WebhookView, Error> {
        self.read(who, |view| Ok(self.shown(view, found(view, id)?)?))
    }

    /// Makes a subscription; it gets the events that are accepted from then on.
    ///
    /// # Errors
    /// `Invalid` with everything that is wrong with it, `Conflict` when there are too many.
    pub async fn create_webhook(
        &self,
        who: &Principal,
        mut draft: WebhookDraft,
    ) -> Result<MadeWebhook, Error> {
        let now = self.now();
        let ms = now.millis().max(0);
        let id = format!("wh_{ms:012x}{:08x}", self.clock().random() >> 32);
        let secret = draft.secret.take();
        let checks = self.checks(who)?;
        let mut row = WebhookRow::blank(id, &who.id, now);
        let secret_problem = checks.secret_problem(secret.as_deref());
        checks.complete(&mut row, draft, secret_problem.into_iter().collect())?;
        let secret = secret.map_or_else(|| self.new_secret(), Secret::new);
        row.version += 1;
        row.secrets = vec![checks.seal_secret(&row, &secret)];
        let webhooks_max = checks.webhooks_max;
        let made = row.clone();
        self.write(who, Change::of("webhook.create", &row.id), move |tx, change| {
            if tx.view().webhooks()?.len() >= webhooks_max {
                let detail = format!("there are {webhooks_max} subscriptions, which is the limit");
                return Err(Error::Conflict { code: "too_many_webhooks", detail });
            }
            tx.put_webhook(&row);
            change.after(&row);
            Ok(())
        })
        .await?;
        let view = WebhookView::new(made, WebhookState::default(), now);
        Ok(MadeWebhook { view, secret: secret.expose().to_owned() })
    }

    /// Changes what is given of a subscription; deliveries that wait go by what it is then.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` with everything that is wrong with it.
    pub async fn change_webhook(
        &self,
        who: &Principal,
        id: &str,
        draft: WebhookDraft,
    ) -> Result<WebhookView, Error> {
        let checks = self.checks(who)?;
        let (by, id) = (who.id.clone(), id.to_owned());
        let (row, state, now) = self
            .write(who, Change::of("webhook.change", id.as_str()), move |tx, change| {
                let mut row = found(tx.view(), &id)?;
                check_own(&row)?;
                change.before(&row);
                let before = (row.enabled, row.url.clone());
                checks.complete(&mut row, draft, Vec::new())?;
                row.updated_at = tx.now();
                if before != (row.enabled, row.url.clone()) {
                    let switch = if row.enabled { Switch::On } else { Switch::Off };
                    turn(tx, &mut row, switch, &by)?;
                }
                tx.put_webhook(&row);
                change.after(&row);
                let state = tx.view().webhook_state(&id)?;
                Ok((row, state, tx.now()))
            })
            .await?;
        Ok(WebhookView::new(row, state, now))
    }

    /// Lets a subscription get events again, or not any more; what waits goes on waiting.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such subscription.
    pub async fn switch_webhook(
        &self,
        who: &Principal,
        id: &str,
        switch: Switch,
    ) -> Result<WebhookView, Error> {
        let (by, id) = (who.id.clone(), id.to_owned());
        let (row, state, now) = self
            .write(who, Change::of("webhook.switch", id.as_str()), move |tx, change| {
                let mut row = found(tx.view(), &id)?;
                change.before(&row);
                turn(tx, &mut row, switch, &by)?;
                tx.put_webhook(&row);
                change.after(&row);
                let state = tx.view().webhook_state(&id)?;
                Ok((row, state, tx.now()))
            })
            .await?;
        Ok(WebhookView::new(row, state, now))
    }

    /// Removes a subscription with its deliveries; those that wait are not made.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such subscription.
    pub async fn delete_webhook(&self, who: &Principal, id: &str) -> Result<(), Error> {
        self.read(who, |view| check_own(&found(view, id)?))?;
        self.remove_webhook(who, id).await
    }

    pub(super) async fn remove_webhook(&self, who: &Principal, id: &str) -> Result<(), Error> {
        loop {
            let (by, id) = (who.id.clone(), id.to_owned());
            let change = Change::of("webhook.remove", id.as_str());
            let is_done = self
                .write(who, change, move |tx, change| {
                    change.before(&found(tx.view(), &id)?);
                    remove_some(tx, &id, &by)
                })
                .await?;
            if is_done {
                return Ok(());
            }
        }
    }

    /// Gives a subscription another secret, and shows it this once; the former one signs too for
    /// `overlap`.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` for a given secret that is none.
    pub async fn rotate_webhook_secret(
        &self,
        who: &Principal,
        id: &str,
        overlap: Duration,
        given: Option<String>,
    ) -> Result<MadeWebhook, Error> {
        let checks = self.checks(who)?;
        if let Some(problem) = checks.secret_problem(given.as_deref()) {
            return Err(Error::Invalid(vec![problem]));
        }
        let secret = given.map_or_else(|| self.new_secret(), Secret::new);
        let (shown, id) = (secret.expose().to_owned(), id.to_owned());
        let (row, state, now) = self
            .write(who, Change::of("webhook.rotateSecret", id.as_str()), move |tx, change| {
                let mut row = found(tx.view(), &id)?;
                change.before(&row);
                let now = tx.now();
                for former in &mut row.secrets {
                    let until = now + overlap;
                    former.until = Some(former.until.map_or(until, |known| known.min(until)));
                }
                row.secrets.retain(|secret| secret.until.is_none_or(|until| until > now));
                row.version += 1;
                row.secrets.insert(0, checks.seal_secret(&row, &secret));
                row.secrets.truncate(SECRETS_MAX);
                row.updated_at = now;
                tx.put_webhook(&row);
                change.after(&row);
                let state = tx.view().webhook_state(&id)?;
                Ok((row, state, now))
            })
            .await?;
        Ok(MadeWebhook { view: WebhookView::new(row, state, now), secret: shown })
    }

    /// Sends a `webhook:test` event to one subscriber at once, enabled or not, beside its queue.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such subscription.
    pub async fn test_webhook(&self, who: &Principal, id: &str) -> Result<WebhookTrial, Error> {
        let row = self.read(who, |view| found(view, id))?;
        let at = self.now();
        let event = Event {
            id: format!("test_{:016x}", self.clock().random()),
            kind: "webhook:test".to_owned(),
            source: "ergane".to_owned(),
            subject: Some(row.id.clone()),
            time: at,
            actor: super::events::actor(who),
            payload: json!({
                "webhook": { "id": row.id, "url": row.url, "description": row.description },
                "message": "This is a test.",
            }),
            metadata: serde_json::Map::new(),
            cause: None,
        };
        let facts = MessageFacts { tenant: who.tenant, received_at: at, runs: &[] };
        let sent = body(row.format, &event, facts);
        let request = request_view(&row, &event.id, Some(at), &sent);
        let message = Message { id: event.id, at, body: sent.to_string() };
        let attempt = self.engine().try_webhook(who.tenant, &row, message).await;
        let delivered = attempt.outcome == AttemptOutcome::Delivered;
        Ok(WebhookTrial { delivered, attempt: attempt.into(), request })
    }

    pub(super) fn checks(&self, who: &Principal) -> Result<Checks, Error> {
        let own = self.read(who, |view| Ok(view.event_types()?))?;
        let built_in = built_in().iter().map(|known| known.kind.to_owned());
        let settings = self.engine().settings();
        Ok(Checks {
            tenant: who.tenant,
            courier: Arc::clone(self.engine().activities().courier()),
            sealer: Arc::clone(self.engine().sealer()),
            known: built_in.chain(own.into_iter().map(|row| row.kind)).collect(),
            webhooks_max: settings.webhooks_max,
            plain: match settings.webhook_plain_http {
                true => PlainHttp::Everywhere,
                false => PlainHttp::Inner,
            },
        })
    }

    pub(super) fn new_secret(&self) -> Secret {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.clock().random().to_be_bytes());
        }
        secret_of(&bytes)
    }

    fn shown(&self, view: TenantView<'_>, row: WebhookRow) -> Result<WebhookView, StoreError> {
        let state = view.webhook_state(&row.id)?;
        Ok(WebhookView::new(row, state, self.now()))
    }
}

impl Checks {
    /// Seals a secret as the newest of the row's version.
    pub(super) fn seal_secret(&self, row: &WebhookRow, secret: &Secret) -> SealedSecret {
        let sealed = self.sealer.seal(place(self.tenant, &row.id, row.version), secret);
        SealedSecret { part: SealedPart { sealed, version: row.version }, until: None }
    }
}

impl WebhookView {
    fn new(row: WebhookRow, state: WebhookState, now: Timestamp) -> WebhookView {
        let former = row.secrets.iter().filter_map(|secret| secret.until);
        let (disabled_at, disabled_reason) = match row.disabled {
            Some(disabled) => (Some(disabled.at), Some(disabled.reason)),
            None => (None, None),
        };
        WebhookView {
            previous_secret_until: former.filter(|until| *until > now).max(),
            id: row.id,
            url: row.url,
            types: row.types,
            filter: row.filter,
            description: row.description,
            format: row.format.as_str().to_owned(),
            app: row.app,
            headers: row.header_names.into_iter().map(|name| (name, HIDDEN.to_owned())).collect(),
            enabled: row.enabled,
            disabled_reason,
            disabled_at,
            deliveries: DeliveryCounts {
                pending: state.pending,
                delivered: state.delivered,
                dead: state.dead,
            },
            failing_since: state.failing_since,
            last_delivered_at: state.last_delivered_at,
            last_failed_at: state.last_failed_at,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
        }
    }
}

/// Returns a subscription of the tenant.
pub(super) fn found(view: TenantView<'_>, id: &str) -> Result<WebhookRow, Error> {
    view.webhook(id)?.ok_or_else(|| Error::NotFound { what: "webhook", id: id.to_owned() })
}

/// What belongs to an app is changed through its manifest.
fn check_own(row: &WebhookRow) -> Result<(), Error> {
    let Some(app) = &row.app else { return Ok(()) };
    let detail =
        format!("this subscription belongs to the app `{app}`, whose manifest describes it");
    Err(Error::Conflict { code: "belongs_to_app", detail })
}

/// Returns a message as it is sent, without the values that are not shown.
pub(super) fn request_view(
    row: &WebhookRow,
    message_id: &str,
    at: Option<Timestamp>,
    body: &Value,
) -> Value {
    let mut headers: BTreeMap<&str, Value> = BTreeMap::new();
    headers.extend(row.header_names.iter().map(|name| (name.as_str(), json!(HIDDEN))));
    headers.insert("content-type", json!("application/json"));
    headers.insert("user-agent", json!(USER_AGENT));
    headers.insert("webhook-id", json!(message_id));
    headers.insert("webhook-timestamp", json!(at.map(|at| (at.millis() / 1_000).to_string())));
    headers.insert("webhook-signature", json!(format!("v1,{HIDDEN}")));
    json!({ "method": "POST", "url": row.url, "headers": headers, "body": body })
}

/// Turns a subscription on or off. When it is on, the first of its queue is tried at once.
fn turn(
    tx: &mut TenantTx<'_, '_>,
    row: &mut WebhookRow,
    switch: Switch,
    by: &str,
) -> Result<(), Error> {
    row.updated_at = tx.now();
    row.enabled = switch == Switch::On;
    if switch == Switch::Off {
        let reason = || Disabled { at: tx.now(), reason: format!("disabled by {by}") };
        row.disabled.get_or_insert_with(reason);
        return Ok(());
    }
    row.disabled = None;
    let mut state = tx.view().webhook_state(&row.id)?;
    state.failing_since = None;
    tx.put_webhook_state(&row.id, &state);
    let first = tx.view().first_webhook_deliveries(&row.id, DeliveryStatus::Pending, 1)?;
    for mut delivery in first {
        delivery.next_attempt_at = None;
        tx.put_webhook_delivery(Some((delivery.status, delivery.place)), &delivery);
    }
    tx.set_alarm(tx.now(), AlarmKind::Delivery, &row.id);
    Ok(())
}

/// Removes some deliveries of a subscription, and when there are none the subscription; answers
/// whether it is gone.
fn remove_some(tx: &mut TenantTx<'_, '_>, id: &str, by: &str) -> Result<bool, Error> {
    let mut row = found(tx.view(), id)?;
    let deliveries = tx.view().webhook_deliveries_before(id, None, REMOVED_AT_ONCE)?;
    for delivery in &deliveries {
        tx.remove_webhook_delivery(delivery);
    }
    if deliveries.len() < REMOVED_AT_ONCE {
        tx.remove_webhook(id);
        return Ok(true);
    }
    if row.enabled {
        turn(tx, &mut row, Switch::Off, by)?;
        tx.put_webhook(&row);
    }
    Ok(false)
}
