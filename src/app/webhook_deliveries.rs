//! Deliveries to subscribers: listed, looked into, made once more.

use serde::Serialize;
use serde_json::Value;

use super::App;
use super::audit::Change;
use super::error::Error;
use super::page::PageRequest;
use super::principal::Principal;
use super::views::Page;
use super::webhooks::{found, request_view};
use crate::domain::problem::Problem;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DeliveryStatus, MessageFacts, Subscription, body};
use crate::store::access::APPLIANCE;
use crate::store::alarms::AlarmKind;
use crate::store::events::EventKey;
use crate::store::tenant::TenantView;
use crate::store::webhook_deliveries::{AttemptRow, DeliveryRow};

pub use crate::store::webhook_deliveries::Origin;
use crate::store::webhooks::WebhookRow;

/// How many events a replay looks at.
const LOOKED_AT_MAX: usize = 100_000;
const CHUNK: usize = 250;

/// A delivery as the API shows it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryView {
    /// Its id.
    pub id: String,
    /// The subscription.
    pub webhook_id: String,
    /// The event.
    pub event_id: String,
    /// The event's canonical type.
    pub event_type: String,
    /// The `webhook-id` of every attempt.
    pub message_id: String,
    /// `event` or `replay`.
    pub origin: Origin,
    /// `pending`, `delivering`, `delivered` or `dead`.
    pub status: DeliveryStatus,
    /// The last attempts, oldest first.
    pub attempts: Vec<DeliveryAttemptView>,
    /// When the next attempt is due; `None` for as soon as it is its turn.
    pub next_attempt_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it arrived or was given up on.
    pub ended_at: Option<Timestamp>,
    /// What is sent; lists leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
}

/// One attempt of a delivery.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryAttemptView {
    /// Counts from 1.
    pub number: u32,
    /// When it began.
    pub at: Timestamp,
    /// `running`, `delivered`, `failed` or `unknown`.
    pub outcome: String,
    /// The HTTP status that was answered.
    pub status_code: Option<u16>,
    /// How long it took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Why it failed.
    pub error: Option<DeliveryErrorView>,
    /// The beginning of the answer's body.
    pub response: Option<String>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryErrorView {
    /// What kind of failure; stable.
    pub code: String,
    /// What happened, for a person.
    pub message: String,
}

/// What a replay or a recovery put into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requeued {
    /// How many deliveries.
    pub queued: usize,
    /// Whether a limit left some out.
    pub more: bool,
    /// For a replay, when the first event came that was left out.
    pub continue_since: Option<Timestamp>,
}

/// Which events are to be delivered once more.
#[derive(Clone, Debug)]
pub struct Replay {
    /// Accepted at or after this time.
    pub since: Timestamp,
    /// Accepted before this time; `None` for now.
    pub until: Option<Timestamp>,
    /// Of these types alone; the subscription's own hold as well.
    pub types: Option<Vec<String>>,
}

impl App {
    /// Lists the deliveries of a subscription, newest first.
    ///
    /// # Errors
    /// `NotFound` when the tenant has no such subscription.
    pub fn webhook_deliveries(
        &self,
        who: &Principal,
        webhook: &str,
        status: Option<DeliveryStatus>,
        page: &PageRequest,
    ) -> Result<Page<DeliveryView>, Error> {
        let before = page.after.as_ref().and_then(|key| u64::from_str_radix(key, 16).ok());
        self.read(who, |view| {
            found(view, webhook)?;
            let limit = page.limit + 1;
            let mut rows = match status {
                Some(status) => {
                    view.webhook_deliveries_in_status(webhook, status, before, limit)?
                }
                None => view.webhook_deliveries_before(webhook, before, limit)?,
            };
            let more = rows.len() > page.limit;
            rows.truncate(page.limit);
            let key = |row: &DeliveryRow| status.map_or(row.number, |_| row.place);
            let last = rows.last().filter(|_| more).map(key);
            let next_cursor = last.map(|key| format!("{key:016x}"));
            Ok(Page { data: rows.into_iter().map(DeliveryView::from).collect(), next_cursor })
        })
    }

    /// Returns one delivery with what is sent.
    ///
    /// # Errors
    /// `NotFound` when the subscription has no such delivery.
    pub fn webhook_delivery(
        &self,
        who: &Principal,
        webhook: &str,
        id: &str,
    ) -> Result<DeliveryView, Error> {
        self.read(who, |view| {
            let (hook, row) = (found(view, webhook)?, found_delivery(view, webhook, id)?);
            let request = request_of(view, &hook, &row)?;
            Ok(DeliveryView { request, ..DeliveryView::from(row) })
        })
    }

    /// Makes a delivery once more, at the end of the queue; one that waits is tried at once.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while it is being made or the subscription is disabled.
    pub async fn redeliver(
        &self,
        who: &Principal,
        webhook: &str,
        id: &str,
    ) -> Result<DeliveryView, Error> {
        let (webhook, id) = (webhook.to_owned(), id.to_owned());
        let row = self
            .write(who, Change::of("webhook.redeliver", id.as_str()), move |tx, _| {
                let mut row = found_delivery(tx.view(), &webhook, &id)?;
                check_enabled(&found(tx.view(), &webhook)?)?;
                match row.status {
                    DeliveryStatus::Delivering => {
                        let detail = "an attempt is being made at this moment".to_owned();
                        return Err(Error::Conflict { code: "delivery_in_flight", detail });
                    }
                    DeliveryStatus::Pending => {
                        row.next_attempt_at = None;
                        tx.put_webhook_delivery(Some((row.status, row.place)), &row);
                    }
                    DeliveryStatus::Delivered | DeliveryStatus::Dead => {
                        row = tx.queue_again(row)?;
                    }
                }
                tx.set_alarm(tx.now(), AlarmKind::Delivery, &webhook);
                Ok(row)
            })
            .await?;
        Ok(row.into())
    }

    /// Makes every delivery once more that was given up on, oldest first, within the limit.
    ///
    /// # Errors
    /// `NotFound`, or `Conflict` while the subscription is disabled.
    pub async fn recover_deliveries(
        &self,
        who: &Principal,
        webhook: &str,
    ) -> Result<Requeued, Error> {
        let (dead, more) = self.read(who, |view| {
            let room = self.room(view, webhook)?;
            let mut dead =
                view.first_webhook_deliveries(webhook, DeliveryStatus::Dead, room + 1)?;
            let more = dead.len() > room;
            dead.truncate(room);
            Ok((dead.into_iter().map(|row| row.number).collect::<Vec<_>>(), more))
        })?;
        let mut queued = 0;
        for numbers in dead.chunks(CHUNK) {
            let (webhook, numbers) = (webhook.to_owned(), numbers.to_vec());
            queued += self
                .write(who, Change::of("webhook.recover", webhook.as_str()), move |tx, _| {
                    let mut queued = 0;
                    for number in numbers {
                        let row = tx.view().webhook_delivery(&webhook, number)?;
                        if let Some(row) = row.filter(|row| row.status == DeliveryStatus::Dead) {
                            tx.queue_again(row)?;
                            queued += 1;
                        }
                    }
                    tx.set_alarm(tx.now(), AlarmKind::Delivery, &webhook);
                    Ok(queued)
                })
                .await?;
        }
        Ok(Requeued { queued, more, continue_since: None })
    }

    /// Delivers the events of a time that the subscription wants, oldest first, within the limit;
    /// each is a new delivery with the `webhook-id` that the event always has.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` for types that do not exist, or `Conflict` while the subscription is
    /// disabled.
    pub async fn replay_events(
        &self,
        who: &Principal,
        webhook: &str,
        replay: Replay,
    ) -> Result<Requeued, Error> {
        let mut events = self.read(who, |view| self.events_to_replay(view, webhook, &replay))?;
        let left_out = events.left_out;
        let queued = events.wanted.len();
        while !events.wanted.is_empty() {
            let rest = events.wanted.split_off(events.wanted.len().min(CHUNK));
            let chunk = std::mem::replace(&mut events.wanted, rest);
            let webhook = webhook.to_owned();
            self.write(who, Change::of("webhook.replay", webhook.as_str()), move |tx, _| {
                found(tx.view(), &webhook)?;
                for (key, id, kind) in chunk {
                    tx.queue_delivery(&webhook, (key, &id, &kind), Origin::Replay)?;
                }
                tx.set_alarm(tx.now(), AlarmKind::Delivery, &webhook);
                Ok(())
            })
            .await?;
        }
        Ok(Requeued { queued, more: left_out.is_some(), continue_since: left_out })
    }

    fn events_to_replay(
        &self,
        view: TenantView<'_>,
        webhook: &str,
        replay: &Replay,
    ) -> Result<Events, Error> {
        let room = self.room(view, webhook)?;
        let row = found(view, webhook)?;
        let subscription = Subscription::restore(&row.types, row.filter.as_ref());
        let subscription = subscription.map_err(Error::Invalid)?.of_teams(row.teams);
        let narrower = match &replay.types {
            Some(types) => {
                let own = view.event_types()?;
                let built_in = crate::domain::event_type::built_in().iter().map(|it| it.kind);
                let known: Vec<&str> =
                    built_in.chain(own.iter().map(|row| row.kind.as_str())).collect();
                Some(Subscription::parse(types, None, &known).map_err(Error::Invalid)?)
            }
            None => None,
        };
        let mut found = Events { wanted: Vec::new(), left_out: None };
        let (mut from, mut looked_at) = (EventKey::at(replay.since), 0);
        loop {
            let chunk = view.events_from(from, CHUNK)?;
            let is_last = chunk.len() < CHUNK;
            for (key, stored) in chunk {
                from = EventKey(key.0 + 1);
                if replay.until.is_some_and(|until| stored.received_at >= until) {
                    return Ok(found);
                }
                let event = &stored.event;
                let is_meant = narrower.as_ref().is_none_or(|it| it.takes_kind(&event.kind))
                    && subscription.takes_kind(&event.kind)
                    && subscription.wants(event, &mut None);
                looked_at += 1;
                if is_meant && found.wanted.len() == room || looked_at > LOOKED_AT_MAX {
                    found.left_out = Some(stored.received_at);
                    return Ok(found);
                }
                if is_meant {
                    found.wanted.push((key, stored.event.id, stored.event.kind));
                }
            }
            if is_last {
                return Ok(found);
            }
        }
    }

    /// Returns how many deliveries may be put into a queue at once.
    fn room(&self, view: TenantView<'_>, webhook: &str) -> Result<usize, Error> {
        check_enabled(&found(view, webhook)?)?;
        let settings = self.engine().settings();
        let pending = view.webhook_state(webhook)?.pending;
        let free = settings.deliveries_pending_max.saturating_sub(pending);
        let room =
            usize::try_from(free).unwrap_or(usize::MAX).min(settings.deliveries_replayed_max);
        if room == 0 {
            let detail =
                format!("{pending} deliveries wait already; let some of them arrive first");
            return Err(Error::Conflict { code: "queue_full", detail });
        }
        Ok(room)
    }

    /// Notes how many deliveries of all tenants are not over, where monitoring sees it.
    pub(super) fn measure_deliveries(&self) {
        let pending = self.read_of(APPLIANCE, |view| Ok(view.tenants()?)).and_then(|tenants| {
            tenants.into_iter().try_fold(0, |sum, tenant| {
                let of_tenant = self.read_of(tenant.id, |view| {
                    let hooks = view.webhooks()?.into_iter();
                    let states = hooks.map(|row| Ok(view.webhook_state(&row.id)?.pending));
                    states.sum::<Result<u64, Error>>()
                });
                Ok::<u64, Error>(sum + of_tenant?)
            })
        });
        // What cannot be read now is measured the next time.
        if let Ok(pending) = pending {
            self.engine().metrics().set_deliveries_pending(pending);
        }
    }
}

/// Events that are to be delivered once more.
struct Events {
    wanted: Vec<(EventKey, String, String)>,
    left_out: Option<Timestamp>,
}

fn check_enabled(row: &WebhookRow) -> Result<(), Error> {
    if row.enabled {
        return Ok(());
    }
    let detail = format!("`{}` is disabled and delivers nothing; enable it first", row.id);
    Err(Error::Conflict { code: "webhook_disabled", detail })
}

fn found_delivery(view: TenantView<'_>, webhook: &str, id: &str) -> Result<DeliveryRow, Error> {
    found(view, webhook)?;
    let row = match DeliveryRow::number_of(id) {
        Some(number) => view.webhook_delivery(webhook, number)?,
        None => None,
    };
    row.ok_or_else(|| Error::NotFound { what: "delivery", id: id.to_owned() })
}

fn request_of(
    view: TenantView<'_>,
    hook: &WebhookRow,
    row: &DeliveryRow,
) -> Result<Option<Value>, Error> {
    let Some(stored) = view.event(row.event)? else { return Ok(None) };
    let facts =
        MessageFacts { tenant: view.tenant(), received_at: stored.received_at, runs: &stored.runs };
    let sent = body(hook.format, &stored.event, facts);
    let at = row.attempts.last().map(|attempt| attempt.at);
    Ok(Some(request_view(hook, &row.message_id(), at, &sent)))
}

/// Returns the problem of a time that ends before it begins.
#[must_use]
pub fn replay_problem(replay: &Replay) -> Option<Problem> {
    let is_empty = replay.until.is_some_and(|until| until <= replay.since);
    is_empty.then(|| Problem::new("/until", "out_of_range", "must lie after `since`"))
}

impl From<DeliveryRow> for DeliveryView {
    fn from(row: DeliveryRow) -> DeliveryView {
        DeliveryView {
            id: row.id(),
            message_id: row.message_id(),
            webhook_id: row.webhook,
            event_id: row.event_id,
            event_type: row.event_type,
            origin: row.origin,
            status: row.status,
            attempts: row.attempts.into_iter().map(DeliveryAttemptView::from).collect(),
            next_attempt_at: row.next_attempt_at,
            created_at: row.created_at,
            ended_at: row.ended_at,
            request: None,
        }
    }
}

impl From<AttemptRow> for DeliveryAttemptView {
    fn from(row: AttemptRow) -> DeliveryAttemptView {
        let message = row.error.unwrap_or_default();
        let code = row.code.or_else(|| (!message.is_empty()).then(|| "unknown".to_owned()));
        DeliveryAttemptView {
            number: row.number,
            at: row.at,
            outcome: row.outcome.as_str().to_owned(),
            status_code: row.status_code,
            duration_ms: row.duration_ms,
            error: code.map(|code| DeliveryErrorView { code, message }),
            response: row.response,
        }
    }
}
