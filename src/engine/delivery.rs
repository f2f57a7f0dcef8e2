//! One delivery within its transactions: begun, settled, tried again later or given up on.

use std::time::Duration;

use serde_json::json;
use tracing::{debug, info, warn};

use crate::activities::outside::courier::{Answered, Parcel};
use crate::domain::event::{Actor, Event};
use crate::domain::run::Failure;
use crate::domain::secret::Mask;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DeliveryStatus, MessageFacts, body, pause_after};
use crate::store::alarms::AlarmKind;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;
use crate::store::webhook_deliveries::{AttemptOutcome, AttemptRow, DeliveryRow};
use crate::store::webhooks::{Disabled, WebhookRow, WebhookState};

use super::parcel::{Message, pack};
use super::tenant_state::TenantState;

/// How many attempts a delivery remembers.
const ATTEMPTS_KEPT: usize = 30;
/// How much of an answer an attempt keeps.
const EXCERPT_CHARS: usize = 1_000;
/// How many deliveries that cannot be made are passed over before other work has its turn.
const PASSED_OVER_MAX: usize = 64;
/// How many of the oldest deliveries one transaction forgets.
const FORGOTTEN_AT_ONCE: usize = 16;
const GONE: u16 = 410;

/// Whether the tenant may have another delivery in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It may.
    Free,
    /// It may not now.
    Taken,
}

/// What is to be done for a subscription.
pub(super) enum Step {
    /// An attempt, as soon as its intent is durable.
    Send(Box<Prepared>),
    /// To look once more: there was too much to do at once.
    Again,
    /// To wait for room.
    Crowded,
    /// Nothing now.
    Rest,
}

/// An attempt whose intent is recorded.
pub(super) struct Prepared {
    pub(super) number: u64,
    pub(super) begun: AttemptRow,
    pub(super) parcel: Result<Parcel, Failure>,
    pub(super) mask: Mask,
}

/// An attempt that was made.
pub(super) struct Attempted {
    number: u64,
    row: AttemptRow,
    retry_after: Option<Duration>,
}

impl Attempted {
    pub(super) fn new(
        number: u64,
        begun: AttemptRow,
        took: Duration,
        outcome: &Result<Answered, Failure>,
        mask: &Mask,
    ) -> Attempted {
        let retry_after = match outcome {
            Ok(answered) => answered.retry_after,
            Err(failure) => failure.retry_after,
        };
        Attempted { number, row: told(begun, took, outcome, mask), retry_after }
    }
}

/// Completes the record of an attempt with what came of it.
pub(super) fn told(
    begun: AttemptRow,
    took: Duration,
    outcome: &Result<Answered, Failure>,
    mask: &Mask,
) -> AttemptRow {
    let duration_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let made = AttemptRow { duration_ms, outcome: AttemptOutcome::Failed, ..begun };
    match outcome {
        Err(failure) => AttemptRow {
            code: Some(failure.code.clone()),
            error: Some(mask.text(&failure.message)),
            ..made
        },
        Ok(Answered { status, body, .. }) => {
            let excerpt: String = mask.text(body).chars().take(EXCERPT_CHARS).collect();
            let answered =
                AttemptRow { status_code: Some(*status), response: Some(excerpt), ..made };
            match status {
                200..=299 => AttemptRow { outcome: AttemptOutcome::Delivered, ..answered },
                status => AttemptRow {
                    code: Some(format!("http_{status}")),
                    error: Some(format!("the subscriber answered {status}{}", meaning(*status))),
                    ..answered
                },
            }
        }
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        GONE => ": it wants nothing more",
        300..=399 => "; redirects are not followed",
        _ => "", // The number says it.
    }
}

/// Settles an attempt, if one was made, and begins the next that is due.
pub(super) fn step(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    webhook: &str,
    attempted: Option<Attempted>,
    room: Room,
) -> Result<Step, StoreError> {
    let Some(mut hook) = tx.view().webhook(webhook)? else { return Ok(Step::Rest) };
    if let Some(attempted) = attempted {
        settle(tenant, tx, &mut hook, attempted)?;
    }
    let pending = tx.view().webhook_state(webhook)?.pending;
    if pending > tenant.shared.settings.deliveries_pending_max {
        disable(tx, &mut hook, format!("{pending} deliveries wait, which are too many"));
    }
    if !hook.enabled {
        return Ok(Step::Rest);
    }
    for _ in 0..PASSED_OVER_MAX {
        let Some(row) = first(tx, webhook)? else { return Ok(Step::Rest) };
        if row.next_attempt_at.is_some_and(|due| due > tx.now()) {
            return Ok(Step::Rest); // Its alarm is set.
        }
        if room == Room::Taken {
            return Ok(Step::Crowded);
        }
        if let Some(prepared) = prepare(tenant, tx, &hook, row)? {
            return Ok(Step::Send(Box::new(prepared)));
        }
    }
    Ok(Step::Again)
}

/// Returns the delivery whose turn it is. One that is being made, although nobody is at work, was
/// cut off by the end of the process: it comes first.
fn first(tx: &TenantTx<'_, '_>, webhook: &str) -> Result<Option<DeliveryRow>, StoreError> {
    for status in [DeliveryStatus::Delivering, DeliveryStatus::Pending] {
        let mut found = tx.view().first_webhook_deliveries(webhook, status, 1)?;
        if let Some(row) = found.pop() {
            return Ok(Some(row));
        }
    }
    Ok(None)
}

/// Records the beginning of an attempt; a delivery whose event is gone is given up on instead.
fn prepare(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    hook: &WebhookRow,
    mut row: DeliveryRow,
) -> Result<Option<Prepared>, StoreError> {
    let before = (row.status, row.place);
    let number = row.attempts.last().map_or(1, |last| last.number + 1);
    if let Some(last) = row.attempts.last_mut()
        && last.outcome == AttemptOutcome::Running
    {
        last.outcome = AttemptOutcome::Unknown;
        last.error = Some("the process ended before the answer came".to_owned());
    }
    let begun = AttemptRow::begun(number, tx.now());
    let Some(stored) = tx.view().event(row.event)? else {
        let error = Some("the event is no longer kept".to_owned());
        let code = Some("event_gone".to_owned());
        let failed = AttemptRow { outcome: AttemptOutcome::Failed, code, error, ..begun };
        row.attempts.push(failed);
        let mut state = tx.view().webhook_state(&hook.id)?;
        end(&mut row, &mut state, DeliveryStatus::Dead, tx.now());
        tx.put_webhook_delivery(Some(before), &row);
        tx.put_webhook_state(&hook.id, &state);
        return Ok(None);
    };
    row.status = DeliveryStatus::Delivering;
    row.next_attempt_at = None;
    row.attempts.push(begun.clone());
    let excess = row.attempts.len().saturating_sub(ATTEMPTS_KEPT);
    row.attempts.drain(..excess);
    tx.put_webhook_delivery(Some(before), &row);
    let facts =
        MessageFacts { tenant: tx.tenant(), received_at: stored.received_at, runs: &stored.runs };
    let message = Message {
        id: row.message_id(),
        at: tx.now(),
        body: body(hook.format, &stored.event, facts).to_string(),
    };
    let timeout = Duration::from_millis(tenant.shared.settings.delivery_timeout_ms);
    let packed = pack(&tenant.shared.sealer, tx.tenant(), hook, message, timeout);
    let (parcel, mask) = match packed {
        Ok((parcel, mask)) => (Ok(parcel), mask),
        Err(failure) => (Err(failure), Mask::default()),
    };
    Ok(Some(Prepared { number: row.number, begun, parcel, mask }))
}

/// Records what came of an attempt.
fn settle(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    hook: &mut WebhookRow,
    attempted: Attempted,
) -> Result<(), StoreError> {
    let found = tx.view().webhook_delivery(&hook.id, attempted.number)?;
    let Some(mut row) = found.filter(|row| row.status == DeliveryStatus::Delivering) else {
        return Ok(()); // It was removed meanwhile.
    };
    let before = (row.status, row.place);
    let mut state = tx.view().webhook_state(&hook.id)?;
    let Attempted { row: made, retry_after, .. } = attempted;
    let is_gone = made.status_code == Some(GONE);
    if made.outcome == AttemptOutcome::Delivered {
        state.failing_since = None;
        state.last_delivered_at = Some(tx.now());
        end(&mut row, &mut state, DeliveryStatus::Delivered, tx.now());
    } else {
        row.failures += 1;
        state.failing_since.get_or_insert(made.at);
        state.last_failed_at = Some(tx.now());
        let pauses = tenant.shared.settings.delivery_pauses_ms.durations();
        let pause = pause_after(&pauses, row.failures, chance(tx), retry_after);
        match pause.filter(|_| !is_gone) {
            Some(pause) => {
                let due = tx.now() + pause;
                row.status = DeliveryStatus::Pending;
                row.next_attempt_at = Some(due);
                tx.set_alarm(due, AlarmKind::Delivery, &hook.id);
            }
            None => end(&mut row, &mut state, DeliveryStatus::Dead, tx.now()),
        }
    }
    tell(tenant, &row, &made);
    if let Some(last) = row.attempts.last_mut() {
        *last = made;
    }
    tx.put_webhook_delivery(Some(before), &row);
    forget(tenant, tx, &hook.id, &mut state)?;
    tx.put_webhook_state(&hook.id, &state);
    let failing = state.failing_since.map(|since| tx.now().since(since));
    let failing_max = Duration::from_millis(tenant.shared.settings.webhook_failing_ms_max);
    if is_gone {
        disable(tx, hook, "the subscriber answered 410 Gone: it wants nothing more".to_owned());
    } else if failing.is_some_and(|failing| failing >= failing_max) {
        let since = state.failing_since.unwrap_or_default();
        disable(tx, hook, format!("every attempt has failed since {since}"));
    }
    Ok(())
}

fn end(row: &mut DeliveryRow, state: &mut WebhookState, status: DeliveryStatus, now: Timestamp) {
    row.status = status;
    row.ended_at = Some(now);
    row.next_attempt_at = None;
    state.pending = state.pending.saturating_sub(1);
    if status == DeliveryStatus::Delivered {
        state.delivered += 1;
        state.delivered_kept += 1;
    } else {
        state.dead += 1;
        state.dead_kept += 1;
    }
}

/// Forgets the oldest deliveries that are over, where there are too many.
fn forget(
    tenant: &TenantState,
    tx: &mut TenantTx<'_, '_>,
    webhook: &str,
    state: &mut WebhookState,
) -> Result<(), StoreError> {
    let settings = &tenant.shared.settings;
    for (status, kept, kept_max) in [
        (DeliveryStatus::Delivered, &mut state.delivered_kept, settings.deliveries_kept_max),
        (DeliveryStatus::Dead, &mut state.dead_kept, settings.deliveries_dead_kept_max),
    ] {
        let excess = usize::try_from(kept.saturating_sub(kept_max)).unwrap_or(usize::MAX);
        if excess == 0 {
            continue;
        }
        let limit = excess.min(FORGOTTEN_AT_ONCE);
        for row in tx.view().first_webhook_deliveries(webhook, status, limit)? {
            tx.remove_webhook_delivery(&row);
            *kept = kept.saturating_sub(1);
        }
    }
    Ok(())
}

/// Ends a subscription until somebody enables it; what waits goes on waiting.
fn disable(tx: &mut TenantTx<'_, '_>, hook: &mut WebhookRow, reason: String) {
    if !hook.enabled {
        return;
    }
    warn!(webhook.id = %hook.id, "Disabling the webhook: {reason}");
    hook.enabled = false;
    hook.disabled = Some(Disabled { at: tx.now(), reason: reason.clone() });
    hook.updated_at = tx.now();
    tx.put_webhook(hook);
    let webhook = json!({
        "id": hook.id, "url": public_part(&hook.url), "description": hook.description,
    });
    tx.emit(Event {
        id: String::new(), // Given at its acceptance.
        kind: "webhook:disabled".to_owned(),
        source: "ergane".to_owned(),
        subject: Some(hook.id.clone()),
        time: tx.now(),
        actor: Actor { id: "ergane".to_owned(), kind: "SYSTEM".to_owned(), email: String::new() },
        payload: json!({ "webhook": webhook, "reason": reason }),
        metadata: serde_json::Map::new(),
        cause: None,
    });
}

/// A query is where some keep a token.
fn public_part(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or(url)
}

fn chance(tx: &TenantTx<'_, '_>) -> f64 {
    (tx.random() >> 11) as f64 / ((1_u64 << 53) - 1) as f64
}

fn tell(tenant: &TenantState, row: &DeliveryRow, made: &AttemptRow) {
    let (delivery, webhook) = (row.id(), &row.webhook);
    let error = made.error.as_deref().unwrap_or_default();
    let outcome = match row.status {
        DeliveryStatus::Delivered => {
            debug!(tenant.slug = %tenant.facts.slug, delivery.id = %delivery, webhook.id = %webhook, "Delivered an event");
            "delivered"
        }
        DeliveryStatus::Dead => {
            let failures = row.failures;
            warn!(tenant.slug = %tenant.facts.slug, delivery.id = %delivery, webhook.id = %webhook, failures, "Gave up on it: {error}");
            "dead"
        }
        DeliveryStatus::Pending | DeliveryStatus::Delivering => {
            let due = row.next_attempt_at.unwrap_or_default();
            info!(tenant.slug = %tenant.facts.slug, delivery.id = %delivery, webhook.id = %webhook, "Again at {due}: {error}");
            "failed"
        }
    };
    tenant.shared.metrics.delivery_attempted(outcome);
}
