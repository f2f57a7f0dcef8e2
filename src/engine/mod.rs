//! The actors: one root supervisor for each part, one supervisor and one event router for each
//! tenant, one actor for each run that has work. Nothing outside this layer sees an actor.

mod acting;
mod ai_usage;
mod alarms;
mod backlog;
mod bell;
mod bulk;
mod children;
mod connections;
mod deliveries;
mod delivery;
mod destinations;
mod dispatch;
mod gates;
mod incidents;
mod intake;
mod known_secrets;
mod lasting;
mod listeners;
mod live;
mod loops;
mod orders;
mod parcel;
mod reconcile;
mod rest;
mod root;
mod router;
mod run_actor;
mod run_events;
mod schedules;
mod secrets;
mod seen;
pub mod settings;
mod shared;
mod single;
mod standing;
mod supervisor;
mod tasks;
mod tenant_state;
mod timers;
mod tokens;
mod traces;
mod waiting;
mod windows;

#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use actix::{Actor, Addr, Arbiter};
use parking_lot::RwLock;
use tokio::sync::oneshot;

use crate::activities::Activities;
use crate::activities::installed::Installed;
use crate::activities::outside::connection::Connection;
use crate::clock::Clock;
use crate::domain::condition::{self, Reason};
use crate::domain::event;
use crate::domain::id::{RunId, TenantId};
use crate::domain::run::{Failure, Input};
use crate::domain::workflow::Workflow;
use crate::metrics::Metrics;
use crate::store::access::TenantRow;
use crate::store::ledger::{Abort, Ledger, Moved, Snapshot};
use crate::store::seal::Sealer;
use crate::store::seam::{CommitError, Part, Store, StoreError};
use crate::store::tenant::TenantTx;
use crate::store::workflows::VersionRow;

use orders::{Deliver, Observe, Work};
use rest::Rest;
use root::{CloseTenant, Drain, OpenTenant, RootSupervisor, WriteClosed};
use router::Publish;
use run_actor::Delivery;
use settings::EngineSettings;
use shared::{Doors, Shared, Waiters};
use standing::Queued;
use tenant_state::Settled;

pub use bell::Watch;
pub use destinations::SeenDestination;
pub use intake::{Accepted, IncomingEvent};
pub use orders::Observation;
pub use parcel::{Message, USER_AGENT};
pub use single::SingleCall;
pub use standing::{Activity, Load};
pub use traces::TraceSettings;

/// How often a stop looks whether calls are still in flight.
const LOOK_AT_CALLS_EVERY: Duration = Duration::from_millis(10);

/// What the engine needs from the layers above it to start.
pub struct Parts {
    /// Where state lives.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Clock,
    /// What steps can do.
    pub activities: Activities,
    /// Limits.
    pub settings: EngineSettings,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Opens the secrets that calls to the outside need.
    pub sealer: Arc<Sealer>,
}

/// Runs workflows; cheap to clone, and all that the layers above see of the actors.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
    roots: Arc<Vec<Addr<RootSupervisor>>>,
    arbiters: Arc<Vec<Arbiter>>,
}

/// Why the engine did not do what was asked.
#[derive(Debug)]
pub enum Refusal<E> {
    /// The use case refused; nothing was written.
    Refused(E),
    /// Too much is waiting already; nothing was accepted.
    Overloaded,
    /// The tenant rests since its store was restored; nothing was accepted.
    Paused,
    /// It cannot be written now, or whether it was is not known.
    Unavailable(String),
    /// The machine keeps it from being done; nothing was accepted.
    Troubled(Reason),
}

impl<E> From<CommitError> for Refusal<E> {
    fn from(error: CommitError) -> Refusal<E> {
        Refusal::Unavailable(error.to_string())
    }
}

impl Engine {
    /// Starts the threads and claims every part; `is_ready` tells when they are open.
    #[must_use]
    pub fn start(parts: Parts) -> Engine {
        let Parts { store, clock, activities, settings, metrics, sealer } = parts;
        let count = store.caps().parts;
        let arbiters: Vec<Arbiter> =
            (0..settings.threads.clamp(1, count.max(1))).map(|_| Arbiter::new()).collect();
        let shared = Arc::new(Shared {
            store,
            started_at: clock.now(),
            leapt: parking_lot::Mutex::default(),
            clock,
            activities,
            installed: RwLock::default(),
            settings,
            metrics,
            sealer,
            doors: RwLock::default(),
            waiters: Waiters::default(),
            bell: Arc::default(),
            traces: traces::Traces::default(),
            parts_ready: AtomicUsize::new(0),
            calls_in_flight: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            rest: Rest::default(),
        });
        let roots = (0..count).map(|part: Part| {
            let arbiter = &arbiters[usize::from(part) % arbiters.len()];
            let shared = Arc::clone(&shared);
            RootSupervisor::start_in_arbiter(&arbiter.handle(), move |_| {
                RootSupervisor::new(part, shared)
            })
        });
        let roots = Arc::new(roots.collect());
        Engine { shared, roots, arbiters: Arc::new(arbiters) }
    }

    /// Returns whether every part is open and takes work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.shared.is_stopping()
            && self.shared.parts_ready.load(Ordering::SeqCst) >= self.roots.len()
    }

    /// Accepts events of one tenant; answers when they are durable.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was accepted.
    pub async fn publish(
        &self,
        tenant: TenantId,
        events: Vec<IncomingEvent>,
    ) -> Result<Vec<Accepted>, Refusal<StoreError>> {
        self.shared.rest.refuse(tenant)?;
        let doors = self.doors_for_new_work(tenant)?;
        if doors.standing.is_pressed(self.shared.settings.pressure_bytes_max) {
            return Err(Refusal::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        let queued = Queued::at(&doors.standing);
        doors.router.try_send(Publish { events, reply, queued }).map_err(|error| match error {
            actix::dev::SendError::Full(_) => Refusal::Overloaded,
            actix::dev::SendError::Closed(_) => part_is_lost(),
        })?;
        Ok(answer.await.map_err(|_| part_is_lost())??)
    }

    /// Runs `decide` as one transaction of a tenant, together with the events that it emits and
    /// the runs that these start; answers when it is durable.
    ///
    /// # Errors
    /// Returns the refusal of `decide`, or why nothing, or perhaps nothing, was written.
    pub async fn transact<T, E, F>(&self, tenant: TenantId, decide: F) -> Result<T, Refusal<E>>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>) -> Result<T, E> + Send + 'static,
    {
        self.on_thread(tenant, move |state, reply| {
            let outcome = state.transact(decide);
            answer_when_durable(outcome, reply);
        })
        .await
    }

    /// Opens a connection as a call gets it, with a token that holds where it needs one.
    ///
    /// # Errors
    /// Fails when the engine cannot be asked; that there is no token is the inner failure.
    pub async fn connection(
        &self,
        tenant: TenantId,
        name: String,
    ) -> Result<Result<Connection, Failure>, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let state = Rc::clone(state);
            actix::spawn(async move {
                // Whoever asked may have gone.
                let _ = reply.send(Ok(tokens::opened(&state, &name).await));
            });
        })
        .await
    }

    /// Starts one workflow with an event that is made for it, whatever its trigger says.
    ///
    /// # Errors
    /// Returns the reason when the run is withheld, or why nothing was written.
    pub async fn start_run(
        &self,
        tenant: TenantId,
        workflow: String,
        version: u32,
        event: IncomingEvent,
    ) -> Result<Accepted, Refusal<Withheld>> {
        self.shared.rest.refuse(tenant)?;
        self.doors_for_new_work(tenant)?;
        self.on_thread(tenant, move |state, reply| {
            let mut begun = intake::Begun::default();
            let outcome = state.transact(|tx| {
                intake::accept_for(state, tx, (&workflow, version), event, &mut begun)
            });
            if outcome.is_ok() {
                state.hand_over(begun.started);
                state.displace(&begun.displaced);
            }
            answer_when_durable(outcome, reply);
        })
        .await
    }

    /// Starts a run of a schedule at once, beside its times.
    ///
    /// # Errors
    /// Returns the reason when the run is withheld, or why nothing was written.
    pub async fn run_schedule(
        &self,
        tenant: TenantId,
        workflow: String,
        trigger: u32,
        actor: event::Actor,
    ) -> Result<Accepted, Refusal<Withheld>> {
        self.shared.rest.refuse(tenant)?;
        self.doors_for_new_work(tenant)?;
        self.on_thread(tenant, move |state, reply| {
            let mut begun = intake::Begun::default();
            let outcome = state.transact(|tx| {
                schedules::run_now(state, tx, (&workflow, trigger), actor, &mut begun)
            });
            if outcome.is_ok() {
                state.hand_over(begun.started);
                state.displace(&begun.displaced);
            }
            answer_when_durable(outcome, reply);
        })
        .await
    }

    /// Brings the schedules of a tenant into agreement with its workflows, sets alarms that are
    /// missing, and returns how many were.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, was written.
    pub async fn repair_schedules(&self, tenant: TenantId) -> Result<usize, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let outcome = state.transact(|tx| schedules::repair(state, tx));
            answer_when_durable(outcome, reply);
        })
        .await
    }

    /// Returns the destinations of a tenant's calls that are known since the start, by name.
    ///
    /// # Errors
    /// Returns that the tenant cannot be asked now.
    pub async fn destinations(
        &self,
        tenant: TenantId,
    ) -> Result<Vec<SeenDestination>, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let seen = state.destinations.seen(state.shared.clock.now());
            // Whoever asked may have gone.
            let _ = reply.send(Ok(seen));
        })
        .await
    }

    /// Lets calls go to a destination again, whatever held them back there; answers whether there
    /// is such a destination.
    ///
    /// # Errors
    /// Returns that the tenant cannot be asked now.
    pub async fn reset_destination(
        &self,
        tenant: TenantId,
        name: String,
    ) -> Result<bool, Refusal<StoreError>> {
        self.on_thread(tenant, move |state, reply| {
            let outcome = destinations::reset(state, &name).map_err(|abort| match abort {
                Abort::Refused(error) => Refusal::Refused(error),
                Abort::Closed(error) => Refusal::from(error),
            });
            // Whoever asked may have gone; what was done stands all the same.
            let _ = reply.send(outcome);
        })
        .await
    }

    /// Gives a run an input such as a cancel or a retry; answers when what it led to is durable.
    ///
    /// # Errors
    /// Returns why nothing, or perhaps nothing, came of it.
    pub async fn deliver(
        &self,
        tenant: TenantId,
        run: RunId,
        input: Input,
    ) -> Result<(), Refusal<StoreError>> {
        self.shared.rest.refuse_input(tenant, run, &input)?;
        let doors = self.doors(tenant)?;
        let (reply, answer) = oneshot::channel();
        let delivery = Delivery { input, reply: Some(reply) };
        doors.supervisor.try_send(Deliver { run, delivery }).map_err(|error| match error {
            actix::dev::SendError::Full(_) => Refusal::Overloaded,
            actix::dev::SendError::Closed(_) => part_is_lost(),
        })?;
        Ok(answer.await.map_err(|_| part_is_lost())??)
    }

    /// Returns a snapshot of everything committed in the part where a tenant lives.
    ///
    /// # Errors
    /// Fails when the store cannot be reached.
    pub fn snapshot(&self, tenant: TenantId) -> Result<Snapshot, StoreError> {
        let part = self.shared.store.directory().place(tenant.0);
        Snapshot::of(&*self.shared.store, part)
    }

    /// Begins to listen for the end of a run; what is returned resolves when it has ended.
    #[must_use]
    pub fn end_of(&self, run: RunId) -> oneshot::Receiver<()> {
        self.shared.waiters.wait(run)
    }

    /// Begins to watch the events of a tenant, or a run.
    #[must_use]
    pub fn watch(&self, place: Moved) -> Watch {
        self.shared.bell.listen(place)
    }

    /// Opens the actors of a tenant that was just made.
    ///
    /// # Errors
    /// Returns why it cannot be opened now.
    pub async fn open_tenant(&self, row: TenantRow) -> Result<(), Refusal<StoreError>> {
        let part = self.shared.store.directory().place(row.id.0);
        let (reply, answer) = oneshot::channel();
        self.roots[usize::from(part)].do_send(OpenTenant { row, reply });
        answer.await.map_err(|_| part_is_lost())?.map_err(Refusal::Unavailable)
    }

    /// Ends the actors of a tenant; from then on nothing is decided for it, and what was decided is
    /// durable. What is called for it outside at the moment comes to nothing.
    ///
    /// # Errors
    /// Returns that its part is not there now.
    pub async fn close_tenant(&self, tenant: TenantId) -> Result<(), Refusal<StoreError>> {
        let part = self.shared.store.directory().place(tenant.0);
        let (reply, answer) = oneshot::channel();
        self.roots[usize::from(part)].do_send(CloseTenant { tenant, reply });
        answer.await.map_err(|_| part_is_lost())
    }

    /// Runs `decide` as one transaction of a tenant that is not open; nothing follows from what it
    /// writes. Answers when that is durable.
    ///
    /// # Errors
    /// Returns the refusal of `decide`, or why nothing, or perhaps nothing, was written.
    pub async fn write_closed<T, F>(
        &self,
        tenant: TenantId,
        decide: F,
    ) -> Result<T, Refusal<StoreError>>
    where
        T: Send + 'static,
        F: FnOnce(&mut TenantTx<'_, '_>) -> Result<T, StoreError> + Send + 'static,
    {
        let part = self.shared.store.directory().place(tenant.0);
        let (reply, answer) = oneshot::channel();
        let clock = self.shared.clock.clone();
        let write = move |ledger: Option<&Ledger>| {
            let Some(ledger) = ledger else { return };
            let outcome = ledger.transact(|tx| decide(&mut TenantTx::new(tenant, tx, &clock)));
            let settled = outcome.map(|(value, receipt)| Settled { value, receipt });
            answer_when_durable(settled, reply);
        };
        self.roots[usize::from(part)].do_send(WriteClosed(Box::new(write)));
        answer.await.map_err(|_| part_is_lost())?
    }

    /// Follows what is written of a tenant: whether it is suspended, how many runs it may have at
    /// work. Answers when its actors know.
    ///
    /// # Errors
    /// Returns that the tenant cannot be reached now; it follows at the next start all the same.
    pub async fn follow(&self, row: TenantRow) -> Result<Activity, Refusal<StoreError>> {
        self.on_thread(row.id, move |state, reply| {
            state.follow(&row);
            let rests = state.standing.rests();
            // Whoever asked may have gone.
            let _ = reply.send(Ok(if rests { Activity::Resting } else { Activity::Working }));
        })
        .await
    }

    /// Returns what a tenant has at this moment; `None` while it is not open.
    #[must_use]
    pub fn load_of(&self, tenant: TenantId) -> Option<Load> {
        let doors = self.shared.doors.read();
        doors.get(&tenant).map(|doors| doors.standing.load())
    }

    /// Returns a stored version as the workflow that a run follows.
    ///
    /// # Errors
    /// Fails when the definition can no longer be read.
    pub fn compile(row: &VersionRow) -> Result<Arc<Workflow>, StoreError> {
        Shared::compile(row)
    }

    /// Returns what the steps of a tenant can do: the built-in activities and its own.
    #[must_use]
    pub fn installed(&self, tenant: TenantId) -> Arc<Installed> {
        let known = self.shared.installed.read().get(&tenant).cloned();
        known.unwrap_or_else(|| Arc::new(Installed::new(&self.shared.activities, Vec::new())))
    }

    /// Returns what a tenant's supervisor sees of its runs.
    pub async fn observe(&self, tenant: TenantId) -> Option<Observation> {
        let doors = self.doors::<StoreError>(tenant).ok()?;
        doors.supervisor.send(Observe).await.ok()
    }

    /// Returns whether it was asked to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Takes no more work, and returns when everything that was taken is durable.
    pub async fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let limit = Duration::from_millis(self.shared.settings.stop_ms);
        let calls_end = async {
            while self.shared.calls_in_flight.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(LOOK_AT_CALLS_EVERY).await;
            }
        };
        // A call that takes longer is cut off; it is made again, with its key, after the start.
        let _ = tokio::time::timeout(limit, calls_end).await;
        for root in self.roots.iter() {
            let (done, drained) = oneshot::channel();
            root.do_send(Drain(done));
            // A store that hangs must not keep the process: a crash is survived as well.
            let _ = tokio::time::timeout(limit, drained).await;
        }
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }

    /// Returns what the engine counts.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    /// Returns the clock that the engine goes by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Returns every activity.
    #[must_use]
    pub fn activities(&self) -> &Activities {
        &self.shared.activities
    }

    /// Returns what seals and opens secrets.
    #[must_use]
    pub fn sealer(&self) -> &Arc<Sealer> {
        &self.shared.sealer
    }

    /// Returns the limits that it goes by.
    #[must_use]
    pub fn settings(&self) -> &EngineSettings {
        &self.shared.settings
    }

    /// Returns the store, for its health and its administration.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.shared.store
    }

    fn doors<E>(&self, tenant: TenantId) -> Result<Doors, Refusal<E>> {
        if self.shared.is_stopping() {
            return Err(Refusal::Unavailable("the appliance is stopping".to_owned()));
        }
        let doors = self.shared.doors.read().get(&tenant).cloned();
        doors.ok_or_else(|| match self.is_ready() {
            true => part_is_lost(),
            false => Refusal::Unavailable("the appliance is starting".to_owned()),
        })
    }

    /// A run that cannot be begun to its end is better not begun.
    fn doors_for_new_work<E>(&self, tenant: TenantId) -> Result<Doors, Refusal<E>> {
        match self.shared.store.board().refusal(condition::Work::New) {
            Some(reason) => Err(Refusal::Troubled(reason)),
            None => self.doors(tenant),
        }
    }

    async fn on_thread<T, E, F>(&self, tenant: TenantId, work: F) -> Result<T, Refusal<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&Rc<tenant_state::TenantState>, oneshot::Sender<Result<T, Refusal<E>>>)
            + Send
            + 'static,
    {
        let doors = self.doors(tenant)?;
        let (reply, answer) = oneshot::channel();
        let queued = Queued::at(&doors.standing);
        let work = Work(Box::new(move |state| {
            drop(queued);
            work(state, reply);
        }));
        doors.supervisor.try_send(work).map_err(|error| match error {
            actix::dev::SendError::Full(_) => Refusal::Overloaded,
            actix::dev::SendError::Closed(_) => part_is_lost(),
        })?;
        answer.await.map_err(|_| part_is_lost())?
    }
}

fn answer_when_durable<T: 'static, E: 'static>(
    outcome: Result<Settled<T>, Abort<E>>,
    reply: oneshot::Sender<Result<T, Refusal<E>>>,
) {
    actix::spawn(async move {
        let answer = match outcome {
            Ok(settled) => {
                settled.receipt.durable().await.map(|()| settled.value).map_err(Refusal::from)
            }
            Err(Abort::Refused(error)) => Err(Refusal::Refused(error)),
            Err(Abort::Closed(error)) => Err(Refusal::from(error)),
        };
        // Whoever asked may have gone; what was decided stands all the same.
        let _ = reply.send(answer);
    });
}

/// Why a run that was asked for did not start.
#[derive(Debug)]
pub enum Withheld {
    /// Its concurrency key is taken, or a loop was cut.
    Because(String),
    /// There is no such version.
    NoWorkflow,
    /// A record could not be read.
    Store(StoreError),
}

impl From<StoreError> for Withheld {
    fn from(error: StoreError) -> Withheld {
        Withheld::Store(error)
    }
}

fn part_is_lost<E>() -> Refusal<E> {
    Refusal::Unavailable(
        "the store is being reopened; it may or may not have been written".to_owned(),
    )
}
