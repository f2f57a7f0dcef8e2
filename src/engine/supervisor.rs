//! The supervisor of one tenant: gives each run that has work an actor, and builds a fresh one
//! from the store when an actor has crashed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, Message, MessageResult};
use serde::Serialize;
use tracing::{error, info, warn};

use crate::domain::id::RunId;
use crate::domain::run::{RunError, Status};
use crate::domain::time::Timestamp;
use crate::domain::workflow::{Priority, Workflow};
use crate::store::alarms::Alarm;
use crate::store::ledger::Abort;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

use super::deliveries;
use super::live::LiveRun;
use super::run_actor::{Delivery, RunActor};
use super::run_events;
use super::tenant_state::TenantState;

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
    /// Runs that have still to be loaded, what comes first in front, with the last one that was.
    to_load: BTreeMap<Backlog, Option<RunId>>,
    /// Whether runs had to queue for want of room and have not all been loaded since.
    crowded: bool,
    loading: bool,
}

/// Runs without an actor that need one, in the order in which they get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Backlog {
    /// Runs that were being undone when the process ended.
    Compensating,
    /// Runs that were at work when the process ended.
    Running,
    /// Runs for which others left something to look at.
    WithNotices,
    /// Runs that wait for room.
    Queued(Priority),
}

impl TenantSupervisor {
    pub(super) fn new(tenant: Rc<TenantState>) -> TenantSupervisor {
        let (crashes, seen) = Default::default();
        let queued = Priority::ALL.map(Backlog::Queued);
        let at_work = [Backlog::Compensating, Backlog::Running, Backlog::WithNotices];
        let backlogs = at_work.into_iter().chain(queued);
        let to_load = backlogs.map(|backlog| (backlog, None)).collect();
        TenantSupervisor { tenant, crashes, seen, to_load, crowded: false, loading: false }
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
        let panicked = |panic| StoreError::Unavailable(format!("a panic: {panic}"));
        let load = |tx: &mut TenantTx<'_, '_>| tenant.load_run(tx.view(), id);
        let loaded = tenant.transact(|tx| tx.attempt(load, panicked));
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
            run_events::publish_given_up(tx, &row.head, row.depth);
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
        let Some((backlog, after)) = self.to_load.pop_first() else { return Ok(()) };
        let tenant = Rc::clone(&self.tenant);
        let room = tenant.shared.settings.runs_active_max.saturating_sub(tenant.active());
        let limit = LOAD_CHUNK.min(room.max(1));
        let chunk = tenant
            .transact(|tx| backlog.read(tx.view(), after, limit))
            .map(|settled| settled.value);
        let chunk = match chunk {
            Ok(chunk) => chunk,
            Err(Abort::Refused(error)) => return Err(error),
            Err(Abort::Closed(_)) => return Ok(()),
        };
        if let (Some(last), true) = (chunk.last(), chunk.len() == limit) {
            self.to_load.insert(backlog, Some(*last));
        }
        for id in chunk {
            if self.tenant.address_of(id).is_none() && !self.comes_later(backlog, id)? {
                self.revive(id, None);
            }
        }
        self.crowded &= !self.to_load.is_empty();
        Ok(())
    }

    /// The list of queued runs holds those of every priority; each is loaded in the turn of its own.
    fn comes_later(&self, backlog: Backlog, id: RunId) -> Result<bool, StoreError> {
        let has_later = self.to_load.keys().any(|other| *other > backlog);
        if backlog != Backlog::Queued(Priority::NORMAL) || !has_later {
            return Ok(false);
        }
        let row = self.tenant.transact(|tx| tx.view().run(id)).map(|settled| settled.value);
        match row {
            Ok(row) => Ok(row.is_some_and(|row| row.priority > Priority::NORMAL)),
            Err(Abort::Refused(error)) => Err(error),
            Err(Abort::Closed(_)) => Ok(true),
        }
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

impl Backlog {
    /// Returns the next runs that belong to it, oldest first.
    fn read(
        self,
        view: TenantView<'_>,
        after: Option<RunId>,
        limit: usize,
    ) -> Result<Vec<RunId>, StoreError> {
        match self {
            Backlog::Compensating => view.runs_in_status(Status::Compensating, after, limit),
            Backlog::Running => view.runs_in_status(Status::Running, after, limit),
            Backlog::WithNotices => view.runs_with_notices(after, limit),
            Backlog::Queued(Priority::NORMAL) => view.runs_in_status(Status::Queued, after, limit),
            Backlog::Queued(priority) => view.queued_of_priority(priority, after, limit),
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

    fn handle(&mut self, Adopt(started): Adopt, ctx: &mut Context<TenantSupervisor>) {
        for live in started {
            let own = Backlog::Queued(live.priority);
            // Nobody overtakes those who wait already and are as urgent.
            let is_next =
                !self.crowded || self.to_load.keys().next().is_none_or(|first| own < *first);
            if self.has_room() && is_next {
                self.begin(live, None);
            } else {
                // It stays `queued` in the store until there is room.
                self.to_load.entry(own).or_insert(None);
                self.crowded = true;
            }
        }
        if self.crowded && self.has_room() {
            self.load_later(ctx);
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
        // A panic ends this piece of work; whoever waits for it is told that there is no answer.
        if catch_unwind(AssertUnwindSafe(|| work(&self.tenant))).is_err() {
            error!(tenant.slug = %self.tenant.facts.slug, "Work on the tenant panicked");
        }
    }
}

impl Handler<Observe> for TenantSupervisor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<TenantSupervisor>) -> MessageResult<Observe> {
        MessageResult(Observation { active: self.tenant.active(), ..self.seen.clone() })
    }
}
