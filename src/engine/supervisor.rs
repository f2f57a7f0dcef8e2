//! The supervisor of one tenant: gives each run that has work an actor, and builds a fresh one
//! from the store when an actor has crashed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult};
use tracing::{error, info, warn};

use crate::domain::id::RunId;
use crate::domain::run::{RunError, Status};
use crate::domain::workflow::{Priority, Workflow};
use crate::metrics::Trouble;
use crate::store::ledger::Abort;
use crate::store::seam::StoreError;
use crate::store::tenant::TenantTx;

use super::backlog::Backlog;
use super::deliveries;
use super::live::LiveRun;
use super::orders::{
    Adopt, Close, Deliver, Down, Exit, GoOn, MakeRoom, Observation, Observe, Ring, SendDeliveries,
    Wake, Work,
};
use super::run_actor::{Delivery, RunActor};
use super::run_events;
use super::standing::{TURN_MAX, Turn};
use super::tenant_state::TenantState;

/// How many runs are loaded from the store, or begun, before other tenants have their turn: at first,
/// and at most where they take little time.
const RUNS_A_TURN: usize = 16;
const RUNS_A_TURN_MAX: usize = 64;

/// Something that a run is to do, in its turn.
enum Ready {
    /// It begins.
    Begin(Box<LiveRun>),
    /// It looks at what has come for it.
    Look(RunId),
}

/// Supervises the runs of one tenant.
pub(super) struct TenantSupervisor {
    tenant: Rc<TenantState>,
    crashes: HashMap<RunId, u32>,
    seen: Observation,
    /// Runs that have still to be loaded, what comes first in front, with the last one that was.
    to_load: BTreeMap<Backlog, Option<RunId>>,
    /// Whether runs had to queue for want of room and have not all been loaded since.
    crowded: bool,
    /// Runs that have something to do, in order.
    ready: VecDeque<Ready>,
    /// How many of those begin.
    beginning: usize,
    /// Whether the next turn is on its way.
    turns: bool,
    /// How many runs take about as long together as a turn may.
    runs_a_turn: usize,
    mailbox: Turn,
    /// What one run had for another while everything rested.
    held: Vec<Deliver>,
}

impl TenantSupervisor {
    pub(super) fn new(tenant: Rc<TenantState>) -> TenantSupervisor {
        let to_load = Backlog::everything();
        TenantSupervisor {
            tenant,
            crashes: HashMap::new(),
            seen: Observation::default(),
            to_load,
            crowded: false,
            ready: VecDeque::new(),
            beginning: 0,
            turns: false,
            runs_a_turn: RUNS_A_TURN,
            mailbox: Turn::default(),
            held: Vec::new(),
        }
    }

    fn begin(&mut self, live: LiveRun, first: Option<Delivery>) {
        let instance = self.tenant.next_instance();
        let id = live.id();
        let actor = RunActor::new(live, Rc::clone(&self.tenant), instance, first);
        self.tenant.remember(id, instance, actor.start());
    }

    /// Builds an actor from the store; a run that cannot be read is set aside.
    fn revive(&mut self, id: RunId, first: Option<Delivery>) {
        // An input that somebody sent was let through at the door.
        if first.is_none() && self.tenant.rests_with(id) {
            return;
        }
        let tenant = Rc::clone(&self.tenant);
        let panicked = |panic| StoreError::Unavailable(format!("a panic: {panic}"));
        let load = |tx: &mut TenantTx<'_, '_>| tenant.load_run(tx.view(), id);
        let loaded = tenant.transact(|tx| tx.attempt(load, panicked));
        match loaded {
            Ok(settled) => match settled.value {
                Some(live) => self.begin(live, first),
                None => {
                    warn!(tenant.slug = %self.tenant.facts.slug, run.id = %id, "There is no such run to wake")
                }
            },
            Err(Abort::Refused(error)) => self.give_up(id, &error),
            Err(Abort::Closed(_)) => {} // The part was lost; its next owner wakes the run.
        }
    }

    /// Ends a run that cannot be read, so that it does not stand there without a reason.
    fn give_up(&mut self, id: RunId, reason: &StoreError) {
        error!(tenant.slug = %self.tenant.facts.slug, run.id = %id, "Giving up the run, it cannot be read: {reason}");
        self.note_quarantined();
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
            error!(tenant.slug = %self.tenant.facts.slug, run.id = %id, "Not even its head can be read: {error}");
        }
    }

    fn note_quarantined(&mut self) {
        self.seen.quarantined += 1;
        self.tenant.shared.metrics.trouble(&self.tenant.facts.slug, Trouble::RunQuarantined);
    }

    fn deliver(&mut self, run: RunId, delivery: Delivery) {
        if delivery.reply.is_none() && self.tenant.rests_with(run) {
            return self.held.push(Deliver { run, delivery });
        }
        match self.tenant.address_of(run) {
            Some(address) => address.do_send(delivery),
            None => self.revive(run, Some(delivery)),
        }
    }

    /// Returns how many more runs may be at work; none while the tenant rests.
    fn room(&self) -> usize {
        if self.tenant.rests() {
            return 0;
        }
        let most =
            self.tenant.standing.active_runs_max(self.tenant.shared.settings.runs_active_max);
        most.saturating_sub(self.tenant.active() + self.beginning)
    }

    fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Does what is ready, so much of it at once that no other tenant of the thread waits long:
    /// between two turns everybody else has theirs.
    fn take_turn(&mut self, ctx: &mut Context<TenantSupervisor>) {
        if self.turns {
            return;
        }
        let (began, mut turn, mut begun) = (Instant::now(), Turn::default(), 0);
        for _ in 0..self.runs_a_turn {
            let Some(ready) = self.ready.pop_front() else { break };
            match ready {
                Ready::Begin(live) => {
                    self.beginning -= 1;
                    self.begin(*live, None);
                }
                Ready::Look(run) => self.look(run),
            }
            begun += 1;
            if turn.is_over() {
                break;
            }
        }
        if self.ready.is_empty() && !self.to_load.is_empty() && self.has_room() {
            self.load_more();
            begun += u32::try_from(self.runs_a_turn).unwrap_or(u32::MAX);
        }
        let has_more = !self.ready.is_empty() || (!self.to_load.is_empty() && self.has_room());
        if has_more {
            self.turns = true;
            let pause = wrap_future(tokio::task::yield_now());
            ctx.spawn(pause.map(move |(), supervisor: &mut Self, ctx| {
                supervisor.turns = false;
                supervisor.note_turn(began.elapsed(), begun);
                supervisor.take_turn(ctx);
            }));
        }
    }

    /// Takes fewer runs at once where they take long: each works in a task of its own, and what they
    /// took is known when everybody has had their turn.
    fn note_turn(&mut self, took: Duration, begun: u32) {
        let Some(each) = took.checked_div(begun).filter(|each| !each.is_zero()) else { return };
        let fitting = TURN_MAX.as_nanos() / each.as_nanos().max(1);
        let fitting = usize::try_from(fitting).unwrap_or(RUNS_A_TURN_MAX);
        self.runs_a_turn = fitting.clamp(1, RUNS_A_TURN_MAX);
    }

    fn look(&mut self, run: RunId) {
        // A run that is loaded sees for itself which of its deadlines have come.
        match self.tenant.address_of(run) {
            Some(address) => address.do_send(super::run_actor::Look),
            None => self.revive(run, None),
        }
    }

    fn load_more(&mut self) {
        if let Err(error) = self.load_chunk() {
            error!(tenant.slug = %self.tenant.facts.slug, "Cannot load runs: {error}");
        }
        let active = self.tenant.active();
        if self.to_load.is_empty() && active > 0 {
            info!(tenant.slug = %self.tenant.facts.slug, active, "Runs go on where they stood");
        }
    }

    /// Lets others have their turn when the mailbox is long.
    fn breathe(&mut self, ctx: &mut Context<TenantSupervisor>) {
        if self.mailbox.is_over() {
            ctx.wait(wrap_future(tokio::task::yield_now()));
        }
    }

    /// Loads the next runs that had no actor; answers whether there may be more.
    fn load_chunk(&mut self) -> Result<(), StoreError> {
        let Some((backlog, after)) = self.to_load.pop_first() else { return Ok(()) };
        let tenant = Rc::clone(&self.tenant);
        let limit = self.runs_a_turn.min(self.room().max(1));
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
        self.tenant.standing.crashes.fetch_add(1, Ordering::Relaxed);
        let crashes = self.crashes.entry(run).or_default();
        *crashes += 1;
        let (crashes, limit) = (*crashes, self.tenant.shared.settings.crashes_max);
        warn!(tenant.slug = %self.tenant.facts.slug, run.id = %run, crashes, "The run's actor ended badly: {reason}");
        if crashes <= limit {
            self.revive(run, None);
            return;
        }
        self.crashes.remove(&run);
        self.note_quarantined();
        let tenant = Rc::clone(&self.tenant);
        let message = format!("set aside after {crashes} crashes, the last one: {reason}");
        let outcome = tenant.transact(|tx| {
            let Some(mut live) = tenant.load_run(tx.view(), run)? else { return Ok(()) };
            tx.attempt(|tx| live.quarantine(&tenant, tx, &message), StoreError::Unavailable)
        });
        if let Err(Abort::Refused(error)) = outcome {
            error!(tenant.slug = %self.tenant.facts.slug, run.id = %run, "Cannot set the run aside: {error}");
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
        self.take_turn(ctx);
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
                self.beginning += 1;
                let is_urgent = live.priority < Priority::NORMAL;
                let ready = Ready::Begin(Box::new(live));
                match is_urgent {
                    true => self.ready.push_front(ready),
                    false => self.ready.push_back(ready),
                }
            } else {
                // It stays `queued` in the store until there is room.
                self.to_load.entry(own).or_insert(None);
                self.crowded = true;
            }
        }
        self.take_turn(ctx);
    }
}

impl Handler<Deliver> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, message: Deliver, ctx: &mut Context<TenantSupervisor>) {
        self.deliver(message.run, message.delivery);
        self.breathe(ctx);
    }
}

impl Handler<Wake> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, Wake(runs): Wake, ctx: &mut Context<TenantSupervisor>) {
        // While the tenant rests, what has come for its runs is read when they go on.
        let goes_on = |run: &RunId| !self.tenant.rests_with(*run);
        self.ready.extend(runs.into_iter().filter(goes_on).map(Ready::Look));
        self.take_turn(ctx);
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
        self.take_turn(ctx);
        self.breathe(ctx);
    }
}

impl Handler<GoOn> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, GoOn(runs): GoOn, ctx: &mut Context<TenantSupervisor>) {
        for Deliver { run, delivery } in std::mem::take(&mut self.held) {
            self.deliver(run, delivery);
        }
        self.tenant.read_deadlines_again();
        self.to_load = Backlog::everything();
        self.crowded = true;
        deliveries::resume(&self.tenant);
        for run in runs {
            let is_ours = self
                .tenant
                .transact(|tx| tx.view().run(run))
                .is_ok_and(|it| it.value.is_some_and(|row| !row.head.status.is_final()));
            if is_ours && self.tenant.address_of(run).is_none() {
                self.revive(run, None);
            }
        }
        self.take_turn(ctx);
    }
}

impl Handler<MakeRoom> for TenantSupervisor {
    type Result = ();

    fn handle(&mut self, _: MakeRoom, ctx: &mut Context<TenantSupervisor>) {
        self.take_turn(ctx);
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

    fn handle(&mut self, Work(work): Work, ctx: &mut Context<TenantSupervisor>) {
        // A panic ends this piece of work; whoever waits for it is told that there is no answer.
        if catch_unwind(AssertUnwindSafe(|| work(&self.tenant))).is_err() {
            error!(tenant.slug = %self.tenant.facts.slug, "Work on the tenant panicked");
        }
        self.breathe(ctx);
    }
}

impl Handler<Observe> for TenantSupervisor {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Context<TenantSupervisor>) -> MessageResult<Observe> {
        MessageResult(Observation { active: self.tenant.active(), ..self.seen.clone() })
    }
}
