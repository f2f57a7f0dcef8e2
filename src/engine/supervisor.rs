//! The supervisor of one tenant: gives each run that has work an actor, and builds a fresh one
//! from the store when an actor has crashed.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult};
use serde::Serialize;
use tracing::{error, info, warn};

use crate::domain::id::RunId;
use crate::domain::run::{RunError, Status};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::store::alarms::Alarm;
use crate::store::ledger::Abort;
use crate::store::seam::StoreError;

use super::deliveries;
use super::live::LiveRun;
use super::run_actor::{Delivery, RunActor};
use super::tenant_state::TenantState;

/// Runs that had no actor when the process began, or no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ToLoad {
    /// Those in this status.
    InStatus(Status),
    /// Those for which others left something to look at.
    WithNotices,
}

const QUEUED: ToLoad = ToLoad::InStatus(Status::Queued);

/// How many runs are loaded from the store before other work has its turn.
const LOAD_CHUNK: usize = 128;

/// Why a run's actor ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// The run is over.
    Finished,
    /// The run waits; the store remembers what for.
    Waiting,
    /// A record could not be read.
    Faulted(String),
    /// The part was lost; whoever owns it next goes on.
    Lost,
    /// It panicked.
    Panicked,
}

/// Runs that were just begun.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Adopt(pub(super) Vec<LiveRun>);

/// An input for a run that may have no actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Deliver {
    pub(super) run: RunId,
    pub(super) delivery: Delivery,
}

/// Runs with a deadline that has come, or with something else to look at.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(super) struct Wake(pub(super) Vec<RunId>);

/// Alarms whose time has come.
#[derive(Default, Message)]
#[rtype(result = "()")]
pub(super) struct Ring(pub(super) Vec<(Timestamp, Alarm)>);

/// Subscriptions whose queues are to be worked off.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct SendDeliveries(pub(super) BTreeSet<String>);

/// The end of a run's actor.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Down {
    pub(super) run: RunId,
    pub(super) instance: u64,
    pub(super) exit: Exit,
    pub(super) workflow: Arc<Workflow>,
    pub(super) concurrency_key: Option<String>,
}

/// Work to be done on the tenant's thread.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Work(pub(super) Job);

type Job = Box<dyn FnOnce(&Rc<TenantState>) + Send>;

/// Asks what the supervisor sees.
#[derive(Message)]
#[rtype(result = "Observation")]
pub(super) struct Observe;

/// What a tenant's supervisor sees of its runs.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Observation {
    /// Runs with an actor.
    pub active: usize,
    /// Actors that crashed since the start.
    pub crashes: u64,
    /// Runs that were set aside because their actor crashed again and again.
    pub quarantined: u64,
}

/// Ends the supervisor and its runs' actors: the part was lost, and its next owner starts anew.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Close;

/// Goes on loading runs that were at work when the process ended, or that had to queue.
#[derive(Message)]
#[rtype(result = "()")]
struct LoadMore;

/// Supervises the runs of one tenant.
pub(super) struct TenantSupervisor {
    tenant: Rc<TenantState>,
    crashes: HashMap<RunId, u32>,
    seen: Observation,
    /// Which runs have still to be loaded, with the last run that was.
    to_load: Vec<(ToLoad, Option<RunId>)>,
    loading: bool,
}

impl TenantSupervisor {
    pub(super) fn new(tenant: Rc<TenantState>) -> TenantSupervisor {
        let (crashes, seen) = Default::default();
        let in_status = |status| (ToLoad::InStatus(status), None);
        let to_load = vec![
            (ToLoad::WithNotices, None),
            in_status(Status::Queued),
            in_status(Status::Running),
            in_status(Status::Compensating),
        ];
        TenantSupervisor { tenant, crashes, seen, to_load, loading: false }
    }

    fn begin(&mut self, live: LiveRun, first: Option<Delivery>) {
        let instance = self.tenant.next_instance();
        let id = live.id();
        let actor = RunActor::new(live, Rc::clone(&self.tenant), instance, first);
        self.tenant.remember(id, instance, actor.start());
    }

    /// Builds an actor from the store; a run that cannot be read is set aside.
    fn revive(&mut self, id: RunId, first: Option<Delivery>) {
        let tenant = Rc::clone(&self.tenant);
        let loaded = tenant.transact(|tx| tenant.load_run(tx.view(), id));
        match loaded {
            Ok(settled) => match settled.value {
                Some(live) => self.begin(live, first),
                None => warn!(run.id = %id, "There is no such run to wake"),
            },
            Err(Abort::Refused(error)) => self.give_up(id, &error),
            Err(Abort::Closed(_)) => {} // The part was lost; its next owner wakes the run.
        }
    }

    /// Ends a run that cannot be read, so that it does not stand there without a reason.
    fn give_up(&mut self, id: RunId, reason: &StoreError) {
        error!(run.id = %id, "Giving up the run, it cannot be read: {reason}");
        self.seen.quarantined += 1;
        let outcome = self.tenant.transact(|tx| {
            let Some(mut row) = tx.view().run(id)? else { return Ok(()) };
            let before = row.head.status;
            if before.is_final() {
                return Ok(());
            }
            if let Some(due) = row.head.waiting_for.take().and_then(|waiting| waiting.until) {
                tx.lift_timer(due, id);
            }
            row.head.status = Status::Failed;
            row.head.ended_at = Some(tx.now());
            row.head.error = Some(RunError {
                step: row.head.current_step.clone(),
                code: "unreadable".to_owned(),
                message: reason.to_string(),
                in_doubt: true,
            });
            tx.count_run(&row.head.workflow, Some(before), Status::Failed);
            tx.put_run(Some(before), &row);
            Ok::<_, StoreError>(())
        });
        if let Err(Abort::Refused(error)) = outcome {
            error!(run.id = %id, "Not even its head can be read: {error}");
        }
    }

    fn deliver(&mut self, run: RunId, delivery: Delivery) {
        match self.tenant.address_of(run) {
            Some(address) => address.do_send(delivery),
            None => self.revive(run, Some(delivery)),
        }
    }

    fn has_room(&self) -> bool {
        self.tenant.active() < self.tenant.shared.settings.runs_active_max
    }

    fn load_later(&mut self, ctx: &mut Context<TenantSupervisor>) {
        if !self.loading && !self.to_load.is_empty() {
            self.loading = true;
            ctx.notify(LoadMore);
        }
    }

    /// Loads the next runs that had no actor; answers whether there may be more.
    fn load_chunk(&mut self) -> Result<(), StoreError> {
        let Some((which, after)) = self.to_load.pop() else { return Ok(()) };
        let tenant = Rc::clone(&self.tenant);
        let chunk = tenant
            .transact(|tx| match which {
                ToLoad::InStatus(status) => tx.view().runs_in_status(status, after, LOAD_CHUNK),
                ToLoad::WithNotices => tx.view().runs_with_notices(after, LOAD_CHUNK),
            })
            .map(|settled| settled.value);
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(Abort::Refused(error)) => return Err(error),
            Err(Abort::Closed(_)) => return Ok(()),
        };
        if let (Some(last), true) = (chunk.last(), chunk.len() == LOAD_CHUNK) {
            self.to_load.push((which, Some(*last)));
        }
        for id in chunk {
            if self.tenant.address_of(id).is_none() {
                self.revive(id, None);
            }
        }
        Ok(())
    }

    fn crashed(&mut self, run: RunId, reason: &str) {
        self.seen.crashes += 1;
        let crashes = self.crashes.entry(run).or_default();
        *crashes += 1;
        let (crashes, limit) = (*crashes, self.tenant.shared.settings.crashes_max);
        warn!(run.id = %run, crashes, "The run's actor ended badly: {reason}");
        if crashes <= limit {
            self.revive(run, None);
            return;
        }
        self.crashes.remove(&run);
        self.seen.quarantined += 1;
        let tenant = Rc::clone(&self.tenant);
        let message = format!("set aside after {crashes} crashes, the last one: {reason}");
        let outcome = tenant.transact(|tx| {
            let Some(mut live) = tenant.load_run(tx.view(), run)? else { return Ok(()) };
            tx.attempt(|tx| live.quarantine(&tenant, tx, &message), StoreError::Unavailable)
        });
        if let Err(Abort::Refused(error)) = outcome {
            error!(run.id = %run, "Cannot set the run aside: {error}");
        }
    }

    /// Lets the next runs of a concurrency key begin when one of them is over.
    fn freed(&mut self, workflow: &Workflow, key: &str) {
        let tenant = Rc::clone(&self.tenant);
        let holders = tenant
            .transact(|tx| tx.view().runs_of_key(&workflow.name, key))
            .map(|settled| settled.value)
            .unwrap_or_default();
        for id in holders.into_iter().take(workflow.runs_at_once()) {
            if self.tenant.address_of(id).is_none() {
                self.revive(id, None);
            }
        }
    }
}

impl Actor for TenantSupervisor {
    type Context = Context<TenantSupervisor>;

    fn started(&mut self, ctx: &mut Context<TenantSupervisor>) {
        ctx.set_mailbox_capacity(self.tenant.shared.settings.mailbox_messages_max);
        *self.tenant.supervisor.borrow_mut() = Some(ctx.address());
        deliveries::resume(&self.tenant);
        self.load_later(ctx);
    }
}

impl Handler<Adopt> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, Adopt(started): Adopt, _: &mut Context<TenantSupervisor>) {
        for live in started {
            if self.has_room() {
                self.begin(live, None);
            } else if !self.to_load.iter().any(|(which, _)| *which == QUEUED) {
                // It stays `queued` in the store until there is room.
                self.to_load.insert(0, (QUEUED, None));
            }
        }
    }
}

impl Handler<Deliver> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, message: Deliver, _: &mut Context<TenantSupervisor>) {
        self.deliver(message.run, message.delivery);
    }
}

impl Handler<Wake> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, Wake(runs): Wake, _: &mut Context<TenantSupervisor>) {
        for run in runs {
            // A run that is loaded sees for itself which of its deadlines have come.
            match self.tenant.address_of(run) {
                Some(address) => address.do_send(super::run_actor::Look),
                None => self.revive(run, None),
            }
        }
    }
}

impl Handler<Ring> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, Ring(alarms): Ring, _: &mut Context<TenantSupervisor>) {
        for (due, alarm) in alarms {
            if let Err(Abort::Refused(error)) = self.tenant.ring(due, &alarm) {
                // It stays set, and rings again after a while.
                error!(tenant.slug = %self.tenant.facts.slug, ?alarm, "The alarm failed: {error}");
            }
        }
    }
}

impl Handler<SendDeliveries> for TenantSupervisor {
    type Result = ();

    fn handle(
        &mut self,
        SendDeliveries(webhooks): SendDeliveries,
        _: &mut Context<TenantSupervisor>,
    ) {
        for webhook in webhooks {
            deliveries::begin(&self.tenant, webhook);
        }
    }
}

impl Handler<Down> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, down: Down, ctx: &mut Context<TenantSupervisor>) {
        self.tenant.forget(down.run, down.instance);
        match down.exit {
            Exit::Finished => {
                self.crashes.remove(&down.run);
                if let Some(key) = &down.concurrency_key {
                    self.freed(&down.workflow, key);
                }
            }
            Exit::Waiting | Exit::Lost => {}
            Exit::Faulted(reason) => self.crashed(down.run, &reason),
            Exit::Panicked => self.crashed(down.run, "a panic"),
        }
        if self.has_room() {
            self.load_later(ctx);
        }
    }
}

impl Handler<LoadMore> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, _: LoadMore, ctx: &mut Context<TenantSupervisor>) {
        self.loading = false;
        if !self.has_room() {
            return;
        }
        if let Err(error) = self.load_chunk() {
            error!(tenant.slug = %self.tenant.facts.slug, "Cannot load runs: {error}");
        }
        let active = self.tenant.active();
        if self.to_load.is_empty() && active > 0 {
            info!(tenant.slug = %self.tenant.facts.slug, active, "Runs go on where they stood");
        }
        self.load_later(ctx);
    }
}

impl Handler<Close> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, _: Close, ctx: &mut Context<TenantSupervisor>) {
        self.tenant.close();
        ctx.stop();
    }
}

impl Handler<Work> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, Work(work): Work, _: &mut Context<TenantSupervisor>) {
        work(&self.tenant);
    }
}

impl Handler<Observe> for TenantSupervisor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<TenantSupervisor>) -> MessageResult<Observe> {
        MessageResult(Observation { active: self.tenant.active(), ..self.seen.clone() })
    }
}
