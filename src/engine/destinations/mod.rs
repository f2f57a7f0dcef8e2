//! Where the calls of one tenant go: which of them may go now, which wait a moment in memory, and
//! which wait in their run's journal.
//!
//! Everything here lives on the tenant's thread. What is known of a destination is lost at a restart
//! and soon known again; what must hold across one, the uses of what is throttled, is in the store.

mod change;
mod pass;
mod state;
mod throttles;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::domain::destination::{Attempt, Circuit, LastFailure, Limits, Place, Reason, name_of};
use crate::domain::id::RunId;
use crate::domain::run::{Deferral, Effect, Input};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Priority;
use crate::store::destinations::{DeferredCall, UsesRow};
use crate::store::ledger::Abort;
use crate::store::seam::StoreError;
use crate::store::tenant::{TenantTx, TenantView};

use super::run_actor::Delivery;
use super::settings::EngineSettings;
use super::tenant_state::TenantState;
use state::{Asked, Granted, Inner};

pub(super) use pass::Pass;

/// How many runs are released before others have their turn.
const RELEASE_CHUNK: usize = 100;

/// A call that asks whether it may go.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) destination: Rc<str>,
    pub(super) activity: Rc<str>,
    pub(super) attempt: Attempt,
    pub(super) place: Place,
}

/// Why a call waits in its journal, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    pub(super) reason: Reason,
    pub(super) until: Timestamp,
}

/// What came of asking.
pub(super) enum Entered {
    /// It goes.
    Go(Pass),
    /// It waits long.
    Later(Hold),
}

/// A destination as the engine sees it.
#[derive(Clone, Debug)]
pub struct SeenDestination {
    /// Its name.
    pub name: String,
    /// How its circuit stands.
    pub circuit: Circuit,
    /// Since when.
    pub since: Timestamp,
    /// Until when no call goes, because the circuit is open or a pause was asked for.
    pub until: Option<Timestamp>,
    /// Until when a pause lasts that it asked for.
    pub paused_until: Option<Timestamp>,
    /// How many calls are in flight.
    pub in_flight: u32,
    /// How many calls wait in memory.
    pub waiting: usize,
    /// How many calls ended within the window.
    pub calls: u32,
    /// How many of them failed.
    pub failures: u32,
    /// The last failure.
    pub last_failure: Option<LastFailure>,
    /// How many attempts may be repeated at this moment.
    pub repeats_left: u32,
}

/// The destinations of one tenant.
pub(super) struct Destinations {
    inner: RefCell<Inner>,
    wait_max: Duration,
}

impl Asking {
    /// Describes a call of a run.
    pub(super) fn new(
        effect: &Effect,
        (activity, connection, address): (&str, Option<&str>, Option<&str>),
        (priority, workflow, run): (Priority, &str, RunId),
    ) -> Asking {
        let is_repeated = match effect {
            Effect::Execute { attempt, .. } | Effect::Undo { attempt, .. } => *attempt > 1,
            _ => false, // Nothing else is a call.
        };
        Asking {
            destination: name_of(connection, activity, address).into(),
            activity: activity.into(),
            attempt: if is_repeated { Attempt::Repeated } else { Attempt::First },
            place: Place { priority, workflow: workflow.into(), run, ticket: 0 },
        }
    }

    /// Returns what its run is told when it has to wait.
    pub(super) fn deferred(&self, effect: Effect, hold: Hold, maybe_made: bool) -> Option<Input> {
        let Hold { reason, until } = hold;
        let (step, attempt, undoes) = match effect {
            Effect::Execute { step, attempt } => (step, attempt, false),
            Effect::Undo { step, attempt } => (step, attempt, true),
            _ => return None, // Nothing else is a call.
        };
        let (destination, maybe_made) = (self.destination.to_string(), maybe_made && !undoes);
        let deferral = Deferral { attempt, until, reason, destination, undoes, maybe_made };
        Some(Input::Deferred { step, deferral })
    }
}

impl Destinations {
    pub(super) fn new(settings: &EngineSettings, now: Timestamp) -> Destinations {
        Destinations {
            inner: RefCell::new(Inner::new(settings, now)),
            wait_max: Duration::from_millis(settings.outside_wait_ms_max),
        }
    }

    /// Reads how often activities may be called.
    pub(super) fn read(
        &self,
        tenant: &TenantState,
        view: TenantView<'_>,
    ) -> Result<(), StoreError> {
        let rows = view.throttles()?;
        let installed = tenant.installed();
        self.inner.borrow_mut().throttles.set(installed.catalogue(), rows);
        Ok(())
    }

    /// Lets calls of a run that only wait in memory be told so at once.
    pub(super) fn withdraw(&self, run: RunId) {
        self.inner.borrow_mut().withdraw(run);
    }

    /// Returns why a platform activity is not performed within `tx`; its use is written there.
    pub(super) fn held_inside(&self, tx: &mut TenantTx<'_, '_>, activity: &str) -> Option<Hold> {
        let mut inner = self.inner.borrow_mut();
        let throttle = inner.throttles.of(activity)?;
        let id = throttles::id_of(&throttle, activity, activity);
        let now = tx.now();
        let chance = chance_of(tx.random());
        let started_at = inner.started_at;
        let written = || tx.view().throttle_uses(&id).ok().flatten();
        let uses = inner.throttles.log(&id, started_at, written);
        if let Some(until) = uses.held(&throttle, now) {
            let until = uses.turn(&throttle, until, chance);
            return Some(Hold { reason: Reason::Throttled, until });
        }
        uses.begin(now);
        uses.end(now, now);
        let row = UsesRow { uses: uses.written(now), spare: 0 };
        tx.put_throttle_uses(&id, &row);
        None
    }

    /// Returns every destination that is known, by name.
    pub(super) fn seen(&self, now: Timestamp) -> Vec<SeenDestination> {
        self.inner.borrow().seen(now)
    }
}

/// Asks whether a call may go, and waits a moment for it.
pub(super) async fn enter(tenant: &Rc<TenantState>, asking: &Asking) -> Entered {
    let destinations = &tenant.destinations;
    if tenant.standing.rests() {
        let until = tenant.shared.clock.now();
        return Entered::Later(Hold { reason: Reason::Suspended, until });
    }
    let asked = destinations.inner.borrow_mut().ask(tenant, asking);
    let granted = match asked {
        Asked::Granted(granted) => granted,
        Asked::Later(hold) => return Entered::Later(hold),
        Asked::Waits { ticket, mut answer, look_at } => {
            look_again(tenant, look_at);
            let answered = timeout(destinations.wait_max, &mut answer).await;
            // What was answered in the very moment in which it gave up counts.
            let answered = answered.ok().or_else(|| answer.try_recv().ok().map(Ok));
            match answered.and_then(Result::ok) {
                Some(granted) => granted,
                None => {
                    let hold = destinations.inner.borrow_mut().give_up(tenant, ticket, asking);
                    return Entered::Later(hold);
                }
            }
        }
    };
    let pass = Pass::new(tenant, granted);
    match pass.write_use().await {
        Ok(()) => Entered::Go(pass),
        // The part is lost: whoever owns it next makes the call.
        Err(hold) => Entered::Later(hold),
    }
}

/// Lets those go whose time has come.
pub(super) fn pump(tenant: &Rc<TenantState>) {
    let look_at = tenant.destinations.inner.borrow_mut().pump(tenant);
    look_again(tenant, look_at);
}

fn look_again(tenant: &Rc<TenantState>, at: Option<Timestamp>) {
    let Some(at) = at else { return };
    let pause = at.since(tenant.shared.clock.now()).max(Duration::from_millis(1));
    let tenant = Rc::clone(tenant);
    actix::spawn(async move {
        tokio::time::sleep(pause).await;
        tenant.destinations.inner.borrow_mut().looks_at(at);
        pump(&tenant);
    });
}

/// Closes the circuit to a destination, drops its pause, and lets those go that waited for it, so
/// many in a second; returns whether there is such a destination.
pub(super) fn reset(tenant: &Rc<TenantState>, name: &str) -> Result<bool, Abort<StoreError>> {
    let change = tenant.destinations.inner.borrow_mut().reset(tenant, name);
    let is_known = change.is_some();
    if let Some(Some(change)) = change {
        change::announce(tenant, name, change);
    }
    let (waiting, _) = tenant
        .ledger
        .transact(|tx| TenantView::new(tenant.id(), &*tx).deferred_calls(name, None, 1))?;
    pump(tenant);
    if !waiting.is_empty() {
        actix::spawn(release(Rc::clone(tenant), name.to_owned()));
    }
    Ok(is_known || !waiting.is_empty())
}

async fn release(tenant: Rc<TenantState>, name: String) {
    let pause =
        Duration::from_secs(1) / tenant.shared.settings.destination_releases_per_second.max(1);
    let mut after: Option<DeferredCall> = None;
    loop {
        let read = tenant.ledger.transact(|tx| {
            let view = TenantView::new(tenant.id(), &*tx);
            view.deferred_calls(&name, after.as_ref(), RELEASE_CHUNK)
        });
        let Ok((chunk, _)) = read else { return };
        for call in &chunk {
            let input = Input::Released { step: call.step.clone() };
            tenant.redeliver(call.run, Delivery { input, reply: None });
            tokio::time::sleep(pause).await;
        }
        match chunk.into_iter().next_back() {
            Some(last) => after = Some(last),
            None => return,
        }
    }
}

/// Lets the oldest run that waits in its journal for a place at a destination ask again.
pub(super) fn release_one(tenant: &Rc<TenantState>, name: &str) {
    let read = tenant.ledger.transact(|tx| {
        let view = TenantView::new(tenant.id(), &*tx);
        view.deferred_calls(name, None, RELEASE_CHUNK)
    });
    let Ok((waiting, _)) = read else { return };
    let next = tenant.destinations.inner.borrow_mut().next_of_crowd(name, waiting);
    if let Some(call) = next {
        let input = Input::Released { step: call.step };
        tenant.redeliver(call.run, Delivery { input, reply: None });
    }
}

type Answer = oneshot::Sender<Granted>;

fn limits_of(settings: &EngineSettings) -> Limits {
    let millis = Duration::from_millis;
    Limits {
        in_flight_max: settings.destination_calls_max.max(1),
        window: millis(settings.destination_window_ms.max(1)),
        calls_min: settings.destination_window_calls_min,
        failures_percent: settings.destination_failures_percent,
        open_min: millis(settings.destination_open_ms),
        open_max: millis(settings.destination_open_ms_max),
        trials: settings.destination_trial_calls,
        repeats_percent: settings.destination_repeats_percent,
        repeats_per_second: settings.destination_repeats_per_second,
        releases_per_second: settings.destination_releases_per_second,
        pause_default: millis(settings.destination_pause_ms),
    }
}

fn chance_of(random: u64) -> f64 {
    (random >> 11) as f64 / ((1_u64 << 53) - 1) as f64
}
