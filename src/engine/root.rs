//! The root supervisor of one part: claims it, opens its tenants, and starts over when it is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use tokio::sync::oneshot;
use tracing::{debug, error, warn};

use crate::domain::id::TenantId;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::ledger::{Abort, Ledger, Snapshot};
use crate::store::seam::{CommitError, Part, StoreError};
use crate::store::tenant::TenantView;

use super::orders::Close;
use super::router::EventRouter;
use super::shared::{Doors, Shared};
use super::standing::{Pressure, Standing};
use super::supervisor::TenantSupervisor;
use super::tenant_state::TenantState;
use super::timers::Timers;

const CLAIM_AGAIN_MIN: Duration = Duration::from_millis(50);
const CLAIM_AGAIN_MAX: Duration = Duration::from_secs(2);

/// Opens a tenant that was just made.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct OpenTenant {
    pub(super) row: TenantRow,
    pub(super) reply: oneshot::Sender<Result<(), String>>,
}

/// Ends the actors of a tenant; answers when what they decided is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct CloseTenant {
    pub(super) tenant: TenantId,
    pub(super) reply: oneshot::Sender<()>,
}

/// What is done with the ledger, of which there is none while the appliance stops.
type WithLedger = Box<dyn FnOnce(Option<&Ledger>) + Send>;

/// Writes rows of a tenant whose actors are not there.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct WriteClosed(pub(super) WithLedger);

/// Stops taking work and answers when what was taken is durable.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Drain(pub(super) oneshot::Sender<()>);

/// Tries to claim the part.
#[derive(Message)]
#[rtype(result = "()")]
struct Claim;

/// Supervises the tenants of one part.
pub(super) struct RootSupervisor {
    part: Part,
    shared: Arc<Shared>,
    ledger: Option<Ledger>,
    timers: Option<Addr<Timers>>,
    pressure: Arc<Pressure>,
    tenants: HashMap<TenantId, Doors>,
    claim_again: Duration,
    was_ready: bool,
}

impl RootSupervisor {
    pub(super) fn new(part: Part, shared: Arc<Shared>) -> RootSupervisor {
        RootSupervisor {
            part,
            shared,
            ledger: None,
            timers: None,
            pressure: Arc::default(),
            tenants: HashMap::new(),
            claim_again: CLAIM_AGAIN_MIN,
            was_ready: false,
        }
    }

    fn claim(&mut self, ctx: &mut Context<RootSupervisor>) {
        if let Err(error) = self.open(ctx) {
            error!(part = self.part, "Cannot open the part, trying again: {error}");
            self.close();
            ctx.notify_later(Claim, self.claim_again);
            self.claim_again = (self.claim_again * 2).min(CLAIM_AGAIN_MAX);
            return;
        }
        self.claim_again = CLAIM_AGAIN_MIN;
        if !std::mem::replace(&mut self.was_ready, true) {
            self.shared.parts_ready.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn open(&mut self, ctx: &mut Context<RootSupervisor>) -> Result<(), StoreError> {
        let owned = self.shared.store.claim(self.part)?;
        debug!(part = self.part, epoch = owned.epoch().0, "The part is ours");
        let (ledger, committer) = Ledger::open(owned)?;
        let shared = Arc::clone(&self.shared);
        self.pressure = Arc::default();
        let pressure = Arc::clone(&self.pressure);
        let commits = committer.run(move |commit| {
            shared.metrics.committed_in(commit.took);
            pressure.relieve();
            shared.bell.ring(&commit);
        });
        let lost = wrap_future(commits).map(|error: CommitError, root: &mut Self, ctx| {
            warn!(part = root.part, "The part is lost, claiming it again: {error}");
            root.close();
            ctx.notify(Claim);
        });
        ctx.spawn(lost);
        self.timers = Some(Timers::new(ledger.clone(), Arc::clone(&self.shared)).start());
        self.ledger = Some(ledger);
        for row in self.rows()? {
            let slug = row.slug.clone();
            match self.open_tenant(row) {
                // What is damaged in one tenant must not keep the others out.
                Err(damage @ StoreError::Damaged { .. }) => {
                    error!(tenant.slug = %slug, "Cannot open the tenant: {damage}");
                }
                opened => opened?,
            }
        }
        Ok(())
    }

    /// Returns the tenants that live in this part; the appliance itself lives in the first.
    fn rows(&self) -> Result<Vec<TenantRow>, StoreError> {
        let snapshot = Snapshot::of(&*self.shared.store, 0)?;
        let view = TenantView::new(APPLIANCE, &snapshot);
        // Known before any tenant of the part is open, so that nothing goes on by mistake.
        self.shared.rest.set(view.pause()?);
        let mut rows = view.tenants()?;
        let now = self.shared.clock.now();
        rows.push(TenantRow::new(APPLIANCE, "appliance", "The appliance", now));
        let directory = self.shared.store.directory();
        rows.retain(|row| row.deleted_at.is_none() && directory.place(row.id.0) == self.part);
        Ok(rows)
    }

    fn open_tenant(&mut self, row: TenantRow) -> Result<(), StoreError> {
        let closed = || StoreError::Unavailable("the part is not open".to_owned());
        let ledger = self.ledger.as_ref().ok_or_else(closed)?.of_tenant();
        let timers = self.timers.clone().ok_or_else(closed)?;
        let id = row.id;
        if self.tenants.contains_key(&id) {
            return Ok(());
        }
        let standing = Arc::new(Standing::new(&row, Arc::clone(&self.pressure)));
        let open =
            TenantState::open(row, self.part, Arc::clone(&self.shared), ledger, timers, &standing);
        let state = open.map_err(|abort| match abort {
            Abort::Refused(error) => error,
            Abort::Closed(error) => StoreError::Unavailable(error.to_string()),
        })?;
        let supervisor = TenantSupervisor::new(state.clone()).start();
        let router = EventRouter::new(state).start();
        let doors = Doors { supervisor, router, standing };
        self.tenants.insert(id, doors.clone());
        self.shared.doors.write().insert(id, doors);
        Ok(())
    }

    /// Forgets everything in memory: it may be ahead of what the store has.
    fn close(&mut self) {
        let mut doors = self.shared.doors.write();
        for (id, tenant) in self.tenants.drain() {
            doors.remove(&id);
            tenant.supervisor.do_send(Close);
        }
        self.ledger = None;
        self.timers = None;
    }
}

impl Actor for RootSupervisor {
    type Context = Context<RootSupervisor>;

    fn started(&mut self, ctx: &mut Context<RootSupervisor>) {
        self.claim(ctx);
    }
}

impl Handler<Claim> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, _: Claim, ctx: &mut Context<RootSupervisor>) {
        if !self.shared.is_stopping() {
            self.claim(ctx);
        }
    }
}

impl Handler<OpenTenant> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, message: OpenTenant, _: &mut Context<RootSupervisor>) {
        let outcome = self.open_tenant(message.row).map_err(|error| error.to_string());
        // Whoever asked may have gone; the tenant is open all the same.
        let _ = message.reply.send(outcome);
    }
}

impl Handler<CloseTenant> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, message: CloseTenant, ctx: &mut Context<RootSupervisor>) {
        let CloseTenant { tenant, reply } = message;
        self.shared.doors.write().remove(&tenant);
        self.shared.installed.write().remove(&tenant);
        let doors = self.tenants.remove(&tenant);
        let ledger = self.ledger.clone();
        let closing = async move {
            if let Some(doors) = doors {
                // A supervisor that is gone already has closed its tenant.
                let _ = doors.supervisor.send(Close).await;
            }
            let rest = ledger.and_then(|it| it.transact(|_| Ok::<_, StoreError>(())).ok());
            if let Some(((), receipt)) = rest {
                // A commit that fails now closes every tenant of the part.
                let _ = receipt.durable().await;
            }
            // Whoever asked may have gone; the tenant is closed all the same.
            let _ = reply.send(());
        };
        ctx.spawn(wrap_future(closing));
    }
}

impl Handler<WriteClosed> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, WriteClosed(write): WriteClosed, _: &mut Context<RootSupervisor>) {
        write(self.ledger.as_ref());
    }
}

impl Handler<Drain> for RootSupervisor {
    type Result = ();

    fn handle(&mut self, Drain(done): Drain, _: &mut Context<RootSupervisor>) {
        let receipt = self
            .ledger
            .as_ref()
            .and_then(|ledger| ledger.transact(|_| Ok::<_, StoreError>(())).ok())
            .map(|((), receipt)| receipt);
        actix::spawn(async move {
            if let Some(receipt) = receipt {
                // A commit that fails now is in doubt, as it would be after a crash.
                let _ = receipt.durable().await;
            }
            let _ = done.send(());
        });
    }
}
