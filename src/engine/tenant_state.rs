//! What the actors of one tenant share on their thread: its ledger, its workflows, its doors.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Addr;

use crate::activities::installed::Installed;
use crate::activities::worker::WorkerActivity;
use crate::activities::{Activities, Activity};
use crate::domain::id::{RunId, TenantId};
use crate::domain::run::{Entry, Failure, Input, Origin, Run, TenantFacts};
use crate::domain::secret::Mask;
use crate::domain::time::Timestamp;
use crate::domain::workflow::Workflow;
use crate::store::access::TenantRow;
use crate::store::alarms::Alarm;
use crate::store::counters::Counted;
use crate::store::events::EventKey;
use crate::store::ledger::{Abort, Ledger, Receipt};
use crate::store::seam::{Part, StoreError};
use crate::store::tenant::{self, TenantTx, TenantView, TimerChange, Workflows};

use super::alarms;
use super::deliveries::Deliveries;
use super::destinations::Destinations;
use super::gates::show_given;
use super::incidents::incidents_of;
use super::intake;
use super::listeners::Listeners;
use super::live::{LiveRun, deadlines_of};
use super::orders::{Adopt, Deliver, Down, GoOn, MakeRoom, SendDeliveries, Wake};
use super::reconcile;
use super::run_actor::{Delivery, RunActor};
use super::run_events::SUCCEEDED;
use super::schedules;
use super::shared::Shared;
use super::standing::Standing;
use super::supervisor::TenantSupervisor;
use super::tasks::tasks_of;
use super::timers::{ReadAgain, Timers, TimersChanged};
use super::tokens::Renewals;
use super::waiting::{deferred_of, gates_of};

/// How often the clock is noted at most.
const CLOCK_NOTED_EVERY: Duration = Duration::from_secs(10);

/// One tenant on the thread of its part.
pub(super) struct TenantState {
    pub(super) facts: TenantFacts,
    /// The part that the ids of its runs name.
    pub(super) ids_part: Part,
    pub(super) shared: Arc<Shared>,
    pub(super) ledger: Ledger,
    pub(super) listeners: RefCell<Rc<Listeners>>,
    pub(super) newest_event: Cell<EventKey>,
    pub(super) supervisor: RefCell<Option<Addr<TenantSupervisor>>>,
    pub(super) destinations: Destinations,
    /// Whether any run may wait for an event, so that events need not look when none does.
    pub(super) may_wait: Cell<bool>,
    /// Whether a workflow or a subscriber has asked for runs that succeed.
    pub(super) hears_of_success: Cell<bool>,
    /// Runs that were begun by steps of the transaction that goes on.
    begun_inside: RefCell<intake::Begun>,
    /// What its steps can do.
    installed: RefCell<Arc<Installed>>,
    pub(super) deliveries: Deliveries,
    pub(super) renewals: Renewals,
    /// What is taken out of everything that calls bring back; `None` until it is needed.
    pub(super) known_secrets: RefCell<Option<Rc<Mask>>>,
    timers: Addr<Timers>,
    pub(super) standing: Arc<Standing>,
    runs: RefCell<HashMap<RunId, (u64, Addr<RunActor>)>>,
    instances: Cell<u64>,
    /// When the clock was noted last.
    clock_noted: Cell<Timestamp>,
    definitions: RefCell<HashMap<(String, u32), Arc<Workflow>>>,
}

/// What a transaction answered, and when that is durable.
pub(super) struct Settled<T> {
    pub(super) value: T,
    pub(super) receipt: Receipt,
}

/// What a transaction leaves for the actors to do.
struct FollowUp {
    started: Vec<LiveRun>,
    timers: Vec<TimerChange>,
    woken: Vec<RunId>,
    counted: Counted,
}

impl TenantState {
    pub(super) fn open(
        row: TenantRow,
        part: Part,
        shared: Arc<Shared>,
        ledger: Ledger,
        timers: Addr<Timers>,
        standing: &Arc<Standing>,
    ) -> Result<Rc<TenantState>, Abort<StoreError>> {
        let installed = Arc::new(Installed::new(&shared.activities, Vec::new()));
        let state = TenantState {
            installed: RefCell::new(installed),
            facts: TenantFacts { id: row.id, slug: row.slug, name: row.name },
            ids_part: row.ids_part.unwrap_or(part),
            destinations: Destinations::new(&shared.settings, shared.clock.now()),
            deliveries: Deliveries::new(shared.settings.deliveries_in_flight_max),
            renewals: Renewals::default(),
            shared,
            ledger,
            listeners: RefCell::default(),
            newest_event: Cell::new(EventKey(0)),
            supervisor: RefCell::default(),
            may_wait: Cell::new(true),
            hears_of_success: Cell::new(false),
            begun_inside: RefCell::default(),
            known_secrets: RefCell::default(),
            timers,
            standing: Arc::clone(standing),
            runs: RefCell::default(),
            instances: Cell::new(0),
            clock_noted: Cell::default(),
            definitions: RefCell::default(),
        };
        let (newest, _) = state.ledger.transact(|tx| {
            let view = TenantView::new(state.facts.id, &*tx);
            state.read_listeners(view)?;
            state.read_activities(view)?;
            state.may_wait.set(view.has_waits()?);
            let newest = view.newest_event()?;
            if let Some(seen) = view.clock_seen()? {
                state.shared.store.board().judge_clock(state.shared.clock.now(), seen);
            }
            let mut tx = TenantTx::new(state.facts.id, tx, &state.shared.clock);
            schedules::reconcile(&state, &mut tx)?;
            tx.begin_counting()?;
            state.standing.set_totals(&tx.view().totals()?);
            state.standing.set_used(&tx.view().used()?.unwrap_or_default());
            Ok::<_, StoreError>(newest)
        })?;
        state.newest_event.set(newest.unwrap_or(EventKey(0)));
        Ok(Rc::new(state))
    }

    pub(super) fn id(&self) -> TenantId {
        self.facts.id
    }

    pub(super) fn activities(&self) -> &Activities {
        &self.shared.activities
    }

    /// Returns how an activity is carried out for a run that began then.
    pub(super) fn find_activity(
        &self,
        identifier: &str,
        pinned: Option<u32>,
        run_began: Timestamp,
    ) -> Result<Activity, Failure> {
        self.installed.borrow().find(identifier, pinned, run_began)
    }

    /// Returns an activity that workers carry out.
    pub(super) fn worker_activity(
        &self,
        identifier: &str,
        pinned: Option<u32>,
        run_began: Timestamp,
    ) -> Option<Arc<WorkerActivity>> {
        match self.find_activity(identifier, pinned, run_began) {
            Ok(Activity::Worker(found)) => Some(found),
            _ => None, // It is carried out in another way since.
        }
    }

    /// Runs `decide`, accepts the events that follow from it, and hands over the runs that these
    /// start; all of it is one transaction.
    pub(super) fn transact<T, E: From<StoreError>>(
        &self,
        decide: impl FnOnce(&mut TenantTx<'_, '_>) -> Result<T, E>,
    ) -> Result<Settled<T>, Abort<E>> {
        // A transaction that was refused has left what it began behind.
        self.begun_inside.take();
        let waited = self.ledger.pressure_bytes();
        let ((value, follow_up), receipt) = self.ledger.transact(|tx| {
            let mut tx = TenantTx::new(self.id(), tx, &self.shared.clock);
            let value = decide(&mut tx)?;
            Ok::<_, E>((value, self.conclude(tx)?))
        })?;
        self.standing.add_pressure(self.ledger.pressure_bytes().saturating_sub(waited));
        self.follow_up(follow_up);
        Ok(Settled { value, receipt })
    }

    /// Does inside the transaction what every change entails.
    fn conclude(&self, mut tx: TenantTx<'_, '_>) -> Result<FollowUp, StoreError> {
        let mut started = Vec::new();
        if tx.activities() == tenant::Activities::Changed {
            self.read_activities(tx.view())?;
        }
        if tx.workflows() == Workflows::Changed {
            schedules::reconcile(self, &mut tx)?;
            let before = Rc::clone(&self.listeners.borrow());
            self.read_listeners(tx.view())?;
            started = reconcile::settle(self, &mut tx, &before)?;
        }
        started.extend(intake::accept_emitted(self, &mut tx)?);
        let counted = tx.write_counters()?;
        let (timers, woken) = (tx.take_timers(), tx.take_woken());
        Ok(FollowUp { started, timers, woken, counted })
    }

    /// Tells the actors what a transaction left for them.
    fn follow_up(&self, follow_up: FollowUp) {
        self.standing.count(&follow_up.counted);
        let to_send = self.deliveries.take_woken();
        if !to_send.is_empty() {
            self.tell(SendDeliveries(to_send));
        }
        if !follow_up.timers.is_empty() {
            self.timers.do_send(TimersChanged { tenant: self.id(), changes: follow_up.timers });
        }
        self.hand_over(follow_up.started);
        let inside = self.begun_inside.take();
        self.hand_over(inside.started);
        self.displace(&inside.displaced);
        self.wake(follow_up.woken);
    }

    /// Keeps runs that a step began until the transaction is over.
    pub(super) fn hand_over_later(&self, begun: intake::Begun) {
        let mut inside = self.begun_inside.borrow_mut();
        inside.started.extend(begun.started);
        inside.displaced.extend(begun.displaced);
    }

    /// Lets runs look at what is new for them.
    pub(super) fn wake(&self, runs: Vec<RunId>) {
        if !runs.is_empty() {
            self.tell(Wake(runs));
        }
    }

    /// Rings an alarm: a panic takes back what it did, and leaves it set.
    pub(super) fn ring(&self, due: Timestamp, alarm: &Alarm) -> Result<(), Abort<StoreError>> {
        let settled = self.transact(|tx| {
            let mut begun = intake::Begun::default();
            tx.attempt(
                |tx| alarms::ring(self, tx, due, alarm, &mut begun),
                |panic| StoreError::Unavailable(format!("a panic: {panic}")),
            )?;
            Ok::<_, StoreError>(begun)
        })?;
        self.hand_over(settled.value.started);
        self.displace(&settled.value.displaced);
        Ok(())
    }

    /// Follows what is written of the tenant: when it begins to rest its runs are told, and when it
    /// goes on they are loaded from where they stood.
    pub(super) fn follow(&self, row: &TenantRow) {
        let before = self.standing.rests();
        self.standing.follow(row);
        match (before, self.standing.rests()) {
            (false, true) => {
                for (_, address) in self.runs.borrow().values() {
                    address.do_send(super::run_actor::Look);
                }
            }
            (true, false) => {
                self.tell(GoOn(Vec::new()));
            }
            (true, true) | (false, false) => self.tell(MakeRoom),
        }
    }

    /// Returns whether nothing goes on by itself: the tenant is suspended, or the appliance rests.
    pub(super) fn rests(&self) -> bool {
        self.standing.rests() || self.shared.rest.of_tenant(self.id())
    }

    /// Returns whether a run rests with its tenant.
    pub(super) fn rests_with(&self, run: RunId) -> bool {
        self.standing.rests() || self.shared.rest.of_run(self.id(), run)
    }

    /// Has the deadlines read that were left out while the tenant rested.
    pub(super) fn read_deadlines_again(&self) {
        self.timers.do_send(ReadAgain);
    }

    /// Notes the clock in a transaction that writes anyway, now and then.
    pub(super) fn note_clock(&self, tx: &mut TenantTx<'_, '_>) -> Result<(), StoreError> {
        let now = tx.now();
        if now.since(self.clock_noted.get()) < CLOCK_NOTED_EVERY {
            return Ok(());
        }
        self.clock_noted.set(now);
        tx.note_clock()
    }

    /// Counts an attempt of a step that has ended.
    pub(super) fn count_attempt(&self, activity: &str, outcome: &str) {
        self.shared.metrics.attempt_ended(&self.facts.slug, activity, outcome);
    }

    /// Lets the doors know how much waits for the disk.
    pub(super) fn note_pressure(&self) {
        let bytes = self.ledger.pressure_bytes();
        self.standing.set_pressure(bytes);
        self.shared.metrics.set_pressure_bytes(bytes);
    }

    /// Returns a number that no actor of this tenant had before.
    pub(super) fn next_instance(&self) -> u64 {
        self.instances.set(self.instances.get() + 1);
        self.instances.get()
    }

    pub(super) fn remember(&self, run: RunId, instance: u64, address: Addr<RunActor>) {
        let mut runs = self.runs.borrow_mut();
        runs.insert(run, (instance, address));
        self.standing.live.store(runs.len(), Ordering::Relaxed);
    }

    /// Forgets an actor, unless the run has a newer one.
    pub(super) fn forget(&self, run: RunId, instance: u64) {
        let mut runs = self.runs.borrow_mut();
        if runs.get(&run).is_some_and(|(known, _)| *known == instance) {
            runs.remove(&run);
        }
        self.standing.live.store(runs.len(), Ordering::Relaxed);
    }

    pub(super) fn address_of(&self, run: RunId) -> Option<Addr<RunActor>> {
        self.runs.borrow().get(&run).map(|(_, address)| address.clone())
    }

    pub(super) fn active(&self) -> usize {
        self.runs.borrow().len()
    }

    /// Lets go of every actor, so that none keeps another alive, and of everything that they might
    /// still decide.
    pub(super) fn close(&self) {
        self.ledger.shut();
        self.supervisor.borrow_mut().take();
        self.runs.borrow_mut().clear();
    }

    /// Tells the supervisor that an actor has ended.
    pub(super) fn report(&self, down: Down) {
        self.tell(down);
    }

    /// Gives back an input that reached an actor which had already left.
    pub(super) fn redeliver(&self, run: RunId, delivery: Delivery) {
        self.tell(Deliver { run, delivery });
    }

    /// Cancels runs that must give way to a newer run of their concurrency key.
    pub(super) fn displace(&self, runs: &[RunId]) {
        for run in runs {
            let by = "a newer run of the same concurrency key".to_owned();
            let input = Input::Cancel { by, compensate: true };
            self.redeliver(*run, Delivery { input, reply: None });
        }
    }

    fn tell<M>(&self, message: M)
    where
        M: actix::Message<Result = ()> + Send + 'static,
        TenantSupervisor: actix::Handler<M>,
    {
        if let Some(supervisor) = &*self.supervisor.borrow() {
            supervisor.do_send(message);
        }
    }

    /// Gives runs that were just started to the supervisor.
    pub(super) fn hand_over(&self, started: Vec<LiveRun>) {
        if !started.is_empty() {
            self.tell(Adopt(started));
        }
    }

    /// Rebuilds a run from the store.
    pub(super) fn load_run(
        &self,
        view: TenantView<'_>,
        id: RunId,
    ) -> Result<Option<LiveRun>, StoreError> {
        let Some(row) = view.run(id)? else { return Ok(None) };
        let damaged = |reason: String| StoreError::Unavailable(format!("run {id}: {reason}"));
        let Some(stored) = view.event(row.event)? else {
            return Err(damaged("its event is gone".to_owned()));
        };
        let journal = view.journal(id)?;
        let first = journal.iter().find_map(|record| match &record.entry {
            Entry::Created { version, .. } => Some(*version),
            _ => None, // Only the first record says which version the run began with.
        });
        let version = row.head.version;
        let workflow = self.definition(view, &row.head.workflow, version)?;
        let workflow = workflow.ok_or_else(|| {
            damaged(format!("version {version} of `{}` is gone", row.head.workflow))
        })?;
        let given = view.given(id)?;
        let origin = self.origin(id, first.unwrap_or(version), given.seen(&stored.event));
        let (mut run, unwritten) = if journal.is_empty() {
            let (run, created) = Run::create(&workflow, origin);
            (run, vec![created])
        } else {
            (Run::replay(&workflow, origin, &journal), Vec::new())
        };
        show_given(&mut run, &given);
        let mut live = LiveRun {
            given,
            priority: row.priority,
            deadlines: deadlines_of(&run),
            gates: gates_of(&run),
            incidents: incidents_of(&run),
            deferred: deferred_of(&run),
            was_loaded: true,
            waits: Default::default(),
            tasks: tasks_of(&run),
            looked_back: Default::default(),
            parent: row.parent,
            has_mail: true,
            is_cut: false,
            run,
            workflow,
            event: row.event,
            depth: row.depth,
            concurrency_key: row.concurrency_key,
            written: Some(row.head.status),
            journal_len: journal.len() as u64,
            unwritten,
        };
        live.waits = live.stored_waits();
        Ok(Some(live))
    }

    pub(super) fn origin(&self, id: RunId, version: u32, trigger: serde_json::Value) -> Origin {
        let vars = serde_json::json!({});
        Origin { id, version, tenant: self.facts.clone(), trigger, vars }
    }

    /// Returns a version of a workflow, checked; versions never change, so it is kept.
    pub(super) fn definition(
        &self,
        view: TenantView<'_>,
        name: &str,
        version: u32,
    ) -> Result<Option<Arc<Workflow>>, StoreError> {
        let key = (name.to_owned(), version);
        if let Some(known) = self.definitions.borrow().get(&key) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(row) = view.version(name, version)? else { return Ok(None) };
        let workflow = Shared::compile(&row)?;
        self.definitions.borrow_mut().insert(key, Arc::clone(&workflow));
        Ok(Some(workflow))
    }

    fn read_activities(&self, view: TenantView<'_>) -> Result<(), StoreError> {
        let rows = view.custom_activities()?;
        let installed = Arc::new(Installed::new(&self.shared.activities, rows));
        self.shared.installed.write().insert(self.id(), Arc::clone(&installed));
        *self.installed.borrow_mut() = installed;
        self.destinations.read(self, view)
    }

    /// Returns the activities that this tenant has.
    pub(super) fn installed(&self) -> Arc<Installed> {
        Arc::clone(&self.installed.borrow())
    }

    fn read_listeners(&self, view: TenantView<'_>) -> Result<(), StoreError> {
        let listeners =
            Listeners::read(view, |name, version| self.definition(view, name, version))?;
        let is_heard = !listeners.of(SUCCEEDED).is_empty();
        *self.listeners.borrow_mut() = Rc::new(listeners);
        self.learn_secrets(view);
        self.destinations.read(self, view)?;
        self.deliveries.read(view)?;
        self.hears_of_success.set(is_heard || self.deliveries.names(SUCCEEDED));
        Ok(())
    }
}
