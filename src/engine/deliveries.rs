//! Deliveries to subscribers: of each subscription one at a time and in the order of the events, of
//! different ones side by side.
//!
//! The truth is in the store; memory holds what to ask of an event, and who is at work.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::{error, warn};

use crate::domain::event::Event;
use crate::domain::run::Failure;
use crate::domain::webhook::Subscription;
use crate::failpoint;
use crate::store::events::EventKey;
use crate::store::ledger::Abort;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView, panic_message};
use crate::store::webhook_deliveries::Origin;

use super::delivery::{Attempted, Prepared, Room, Step, step};
use super::tenant_state::{Settled, TenantState};

/// The pause after a record could not be read, so that a damaged one does not keep the thread busy.
const FAULT_PAUSE: Duration = Duration::from_secs(5);

/// An enabled subscription, ready to be asked.
struct Subscribed {
    id: String,
    subscription: Subscription,
}

/// The subscriptions of one tenant.
pub(super) struct Deliveries {
    subscribed: RefCell<Rc<[Subscribed]>>,
    /// Subscriptions that got something in this transaction.
    woken: RefCell<BTreeSet<String>>,
    at_work: RefCell<HashSet<String>>,
    in_flight: Arc<Semaphore>,
}

impl Deliveries {
    pub(super) fn new(in_flight_max: usize) -> Deliveries {
        Deliveries {
            subscribed: RefCell::new(Rc::new([])),
            woken: RefCell::default(),
            at_work: RefCell::default(),
            in_flight: Arc::new(Semaphore::new(in_flight_max.max(1))),
        }
    }

    /// Reads every enabled subscription. One that can no longer be understood is left out and named
    /// in the log: it must not keep the others from their events.
    pub(super) fn read(&self, view: TenantView<'_>) -> Result<(), StoreError> {
        let rows = view.webhooks()?.into_iter().filter(|row| row.enabled);
        let read =
            rows.filter_map(|row| match Subscription::restore(&row.types, row.filter.as_ref()) {
                Ok(subscription) => {
                    Some(Subscribed { id: row.id, subscription: subscription.of_teams(row.teams) })
                }
                Err(problems) => {
                    warn!(webhook.id = %row.id, "Leaving it out, its filter: {problems:?}");
                    None
                }
            });
        *self.subscribed.borrow_mut() = read.collect();
        Ok(())
    }

    /// Makes the deliveries of an event, in the transaction that accepts it: one for each
    /// subscription that wants it.
    pub(super) fn queue(
        &self,
        tx: &mut TenantTx<'_, '_>,
        key: EventKey,
        event: &Event,
    ) -> Result<(), StoreError> {
        let subscribed = Rc::clone(&self.subscribed.borrow());
        let mut scope = None;
        for Subscribed { id, subscription } in subscribed.iter() {
            if subscription.takes_kind(&event.kind) && subscription.wants(event, &mut scope) {
                tx.queue_delivery(id, (key, &event.id, &event.kind), Origin::Event)?;
                self.wake(id);
            }
        }
        Ok(())
    }

    /// Returns whether a subscription names a type, and not just every type that there is.
    pub(super) fn names(&self, kind: &str) -> bool {
        self.subscribed.borrow().iter().any(|subscribed| subscribed.subscription.names_kind(kind))
    }

    /// Has a subscription looked at when the transaction is over.
    pub(super) fn wake(&self, webhook: &str) {
        self.woken.borrow_mut().insert(webhook.to_owned());
    }

    /// Takes the subscriptions that are to be looked at.
    pub(super) fn take_woken(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.woken.borrow_mut())
    }

    fn ids(&self) -> Vec<String> {
        self.subscribed.borrow().iter().map(|subscribed| subscribed.id.clone()).collect()
    }
}

/// Goes on with everything that was on its way when the process ended.
pub(super) fn resume(tenant: &Rc<TenantState>) {
    for webhook in tenant.deliveries.ids() {
        begin(tenant, webhook);
    }
}

/// Works off the queue of a subscription, unless somebody is at it already.
pub(super) fn begin(tenant: &Rc<TenantState>, webhook: String) {
    if tenant.deliveries.at_work.borrow_mut().insert(webhook.clone()) {
        actix::spawn(work_off(AtWork { tenant: Rc::clone(tenant), webhook }));
    }
}

/// Tells that nobody is at work on a subscription any more, however the work ended.
struct AtWork {
    tenant: Rc<TenantState>,
    webhook: String,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.tenant.deliveries.at_work.borrow_mut().remove(&self.webhook);
    }
}

/// Delivers until nothing is due. What came of an attempt and the beginning of the next are one
/// transaction; the attempt is made when that is durable.
async fn work_off(at_work: AtWork) {
    let AtWork { tenant, webhook } = &at_work;
    let mut attempted = None;
    let mut permit: Option<OwnedSemaphorePermit> = None;
    loop {
        if permit.is_none() {
            permit = Arc::clone(&tenant.deliveries.in_flight).try_acquire_owned().ok();
        }
        let is_stopping = tenant.shared.is_stopping();
        let room = if permit.is_some() && !is_stopping { Room::Free } else { Room::Taken };
        let taken: Option<Attempted> = attempted.take();
        let had_sent = taken.is_some();
        let outcome = tenant.transact(|tx| {
            tx.attempt(
                |tx| step(tenant, tx, webhook, taken, room),
                |panic| StoreError::Unavailable(format!("a panic: {panic}")),
            )
        });
        if had_sent {
            failpoint::hit("delivery.recorded");
        }
        match outcome {
            Ok(Settled { value: Step::Send(prepared), receipt }) => {
                if receipt.durable().await.is_err() {
                    return; // The part was lost; its next owner goes on.
                }
                failpoint::hit("delivery.durable");
                attempted = Some(make(tenant, *prepared).await);
                permit = None;
            }
            Ok(Settled { value: Step::Again, .. }) => tokio::task::yield_now().await,
            Ok(Settled { value: Step::Crowded, .. }) if !is_stopping => {
                permit = Arc::clone(&tenant.deliveries.in_flight).acquire_owned().await.ok();
            }
            Ok(Settled { value: Step::Rest | Step::Crowded, .. }) | Err(Abort::Closed(_)) => return,
            Err(Abort::Refused(fault)) => {
                error!(webhook.id = %webhook, "The deliveries cannot go on: {fault}");
                permit = None;
                tokio::time::sleep(FAULT_PAUSE).await;
            }
        }
    }
}

/// Makes one attempt.
async fn make(tenant: &TenantState, prepared: Prepared) -> Attempted {
    let begun = tokio::time::Instant::now();
    let Prepared { number, begun: row, parcel, mask } = prepared;
    let outcome = match parcel {
        Err(failure) => Err(failure),
        Ok(parcel) => {
            tenant.shared.calls_in_flight.fetch_add(1, Ordering::SeqCst);
            let courier = Arc::clone(tenant.activities().courier());
            // In a task of its own, so that its panic ends the attempt and nothing else.
            let sent = actix::spawn(async move { courier.send(parcel).await }).await;
            tenant.shared.calls_in_flight.fetch_sub(1, Ordering::SeqCst);
            failpoint::hit("delivery.sent");
            sent.unwrap_or_else(|error| Err(panicked(error)))
        }
    };
    Attempted::new(number, row, begun.elapsed(), &outcome, &mask)
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    let message = match error.try_into_panic() {
        Ok(panic) => panic_message(panic.as_ref()),
        Err(error) => error.to_string(),
    };
    Failure::in_doubt("panic", format!("the delivery panicked: {message}"))
}
