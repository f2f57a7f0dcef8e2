//! The event router of one tenant: accepts events and fans them out to the workflows that match.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;
use tracing::error;

use crate::store::ledger::Abort;
use crate::store::seam::{CommitError, StoreError};

use super::intake::{Accepted, Begun, IncomingEvent, accept};
use super::standing::{Queued, Turn};
use super::tenant_state::TenantState;

/// Events to be accepted together, and whom to tell when they are durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Publish {
    pub(super) events: Vec<IncomingEvent>,
    pub(super) reply: oneshot::Sender<Result<Vec<Accepted>, CommitError>>,
    pub(super) queued: Queued,
}

/// Accepts the events of one tenant.
pub(super) struct EventRouter {
    tenant: Rc<TenantState>,
    turn: Turn,
}

impl EventRouter {
    pub(super) fn new(tenant: Rc<TenantState>) -> EventRouter {
        EventRouter { tenant, turn: Turn::default() }
    }
}

impl Actor for EventRouter {
    type Context = Context<EventRouter>;

    fn started(&mut self, ctx: &mut Context<EventRouter>) {
        ctx.set_mailbox_capacity(self.tenant.shared.settings.mailbox_messages_max);
    }
}

impl Handler<Publish> for EventRouter {
    type Result = ();

    /// A panic ends this request: who waits for its answer is told that there is none.
    fn handle(&mut self, publish: Publish, ctx: &mut Context<EventRouter>) {
        if self.turn.is_over() {
            ctx.wait(wrap_future(tokio::task::yield_now()));
        }
        let accepting = AssertUnwindSafe(|| self.accept(publish));
        if catch_unwind(accepting).is_err() {
            error!(tenant.slug = %self.tenant.facts.slug, "Accepting events panicked; none were");
        }
    }
}

impl EventRouter {
    fn accept(&self, publish: Publish) {
        drop(publish.queued);
        let tenant = &self.tenant;
        let outcome = tenant.transact(|tx| {
            let mut begun = Begun::default();
            let accepted: Result<Vec<_>, StoreError> = publish
                .events
                .into_iter()
                .map(|event| accept(tenant, tx, event, &mut begun))
                .collect();
            accepted.map(|accepted| (accepted, begun))
        });
        tenant.note_pressure();
        let settled = match outcome {
            Ok(settled) => settled,
            Err(abort) => {
                // The sender may have given up; nothing was accepted either way.
                let _ = publish.reply.send(Err(not_accepted(abort)));
                return;
            }
        };
        let (accepted, begun) = settled.value;
        tenant.hand_over(begun.started);
        tenant.displace(&begun.displaced);
        actix::spawn(async move {
            let outcome = settled.receipt.durable().await.map(|()| accepted);
            // The sender may have given up; the events are accepted all the same.
            let _ = publish.reply.send(outcome);
        });
    }
}

fn not_accepted(abort: Abort<StoreError>) -> CommitError {
    match abort {
        Abort::Refused(error) => CommitError::NotCommitted(error.to_string()),
        Abort::Closed(error) => error,
    }
}
