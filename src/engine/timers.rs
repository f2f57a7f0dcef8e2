//! The deadlines and alarms of one part: never early, once each, and late ones at a bounded rate.
//!
//! The truth is in the store; memory holds only when to look next and what was woken just now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler, Message, SpawnHandle};
use tracing::{error, warn};

use crate::domain::condition::{Condition, Work};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::store::alarms::AlarmKind;
use crate::store::ledger::{Abort, Ledger};
use crate::store::tenant::{TimerChange, TimerChangeKind};
use crate::store::timers::{Deadline, Due, deadlines};

use super::shared::{Leap, Shared};
use super::supervisor::{Ring, Wake};

/// The longest time between two looks at the clock, so that a jump of the clock is noticed.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// How long a run that was woken has to take its deadline away before it is woken again.
const WAKE_AGAIN: Duration = Duration::from_secs(10);
/// A longer time between two looks means that the clock leapt.
const LEAP_MIN: Duration = Duration::from_secs(30);
/// A leap that is longer is shown to people, and for how long.
const LEAP_TOLD_MIN: Duration = Duration::from_secs(5 * 60);
const LEAP_TOLD_FOR: Duration = Duration::from_secs(10 * 60);
/// A clock that was set back by more is told of.
const SET_BACK_MIN: Duration = Duration::from_secs(1);
/// The pause between two batches of a herd of late deadlines.
const HERD_PAUSE: Duration = Duration::from_millis(5);

/// Deadlines of a tenant that were set or lifted.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TimersChanged {
    pub(super) tenant: TenantId,
    pub(super) changes: Vec<TimerChange>,
}

/// Looks whether a deadline has come.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// Wakes runs when their deadlines come, and rings alarms.
pub(super) struct Timers {
    ledger: Ledger,
    shared: Arc<Shared>,
    /// Deadlines before the next look that were set since the last one.
    soon: BTreeSet<Deadline>,
    woken: HashMap<Deadline, Timestamp>,
    next_look: Timestamp,
    last_look: Option<Timestamp>,
    pending: Option<SpawnHandle>,
}

impl Timers {
    pub(super) fn new(ledger: Ledger, shared: Arc<Shared>) -> Timers {
        let next_look = Timestamp::default();
        let (soon, woken) = Default::default();
        Timers { ledger, shared, soon, woken, next_look, last_look: None, pending: None }
    }

    fn look(&mut self, ctx: &mut Context<Timers>) {
        let now = self.shared.clock.now();
        self.note_leap(now);
        if self.shared.store.board().clock_is_held(now) {
            // Nothing comes by a clock that nobody believes.
            return self.look_after(LOOK_MAX, ctx);
        }
        self.woken.retain(|_, at| now.since(*at) < WAKE_AGAIN && now >= *at);
        let limit = self.shared.settings.wake_batch_max + self.woken.len();
        let until = now + LOOK_MAX;
        let read = self.ledger.transact(|tx| deadlines(&*tx, until, limit));
        let found = match read {
            Ok((found, _)) => found,
            Err(Abort::Refused(error)) => {
                error!("Cannot read the deadlines: {error}");
                Vec::new()
            }
            Err(Abort::Closed(_)) => return,
        };
        let (due, later): (Vec<_>, Vec<_>) = found.into_iter().partition(|found| found.due <= now);
        let is_herd = due.len() >= limit;
        // What panicked is due again at a later look, and the other deadlines come all the same.
        if catch_unwind(AssertUnwindSafe(|| self.wake(due, now))).is_err() {
            error!("Waking what is due panicked; it is tried again");
        }
        self.soon = later.into_iter().collect();
        let pause = match self.soon.first() {
            _ if is_herd => HERD_PAUSE,
            Some(first) => first.due.since(now).min(LOOK_MAX),
            None => LOOK_MAX,
        };
        self.look_after(pause, ctx);
    }

    /// It looks at the clock so often that more time can only have passed by a leap of the clock,
    /// or in the sleep of the whole machine.
    fn note_leap(&mut self, now: Timestamp) {
        let Some(last) = self.last_look.replace(now) else { return };
        if now + SET_BACK_MIN < last {
            warn!("The clock was set back from {last} to {now}; nothing comes twice for it");
        }
        let board = self.shared.store.board();
        if now.since(last) > LEAP_MIN {
            warn!("The clock leapt from {last} to {now}");
            *self.shared.leapt.lock() = Some(Leap { from: last, to: now });
            if now.since(last) > LEAP_TOLD_MIN {
                let detail = format!("the clock leapt from {last} to {now}");
                board.raise(Condition::ClockLeapt, detail);
            }
        } else if self.shared.leapt.lock().is_some_and(|leap| now.since(leap.to) > LEAP_TOLD_FOR) {
            board.lift(Condition::ClockLeapt);
        }
    }

    fn wake(&mut self, due: Vec<Deadline>, now: Timestamp) {
        let mut by_tenant: BTreeMap<TenantId, (Wake, Ring)> = BTreeMap::new();
        for deadline in due {
            if self.woken.contains_key(&deadline) {
                continue;
            }
            failpoint::hit("timer.pop");
            self.woken.insert(deadline.clone(), now);
            self.shared.metrics.timer_fired_after(now.since(deadline.due));
            let (wake, ring) = by_tenant.entry(deadline.tenant).or_default();
            // A schedule makes new work, for which there may be no room now.
            if is_schedule(&deadline.what) && self.shared.store.board().refusal(Work::New).is_some()
            {
                continue;
            }
            match deadline.what {
                Due::Run(run) => wake.0.push(run),
                Due::Alarm(alarm) => ring.0.push((deadline.due, alarm)),
            }
        }
        let doors = self.shared.doors.read();
        for (tenant, (wake, ring)) in by_tenant {
            let Some(doors) = doors.get(&tenant) else { continue };
            if !wake.0.is_empty() {
                doors.supervisor.do_send(wake);
            }
            if !ring.0.is_empty() {
                doors.supervisor.do_send(ring);
            }
        }
    }

    fn look_after(&mut self, pause: Duration, ctx: &mut Context<Timers>) {
        if let Some(pending) = self.pending.take() {
            ctx.cancel_future(pending);
        }
        self.next_look = self.shared.clock.now() + pause;
        self.pending = Some(ctx.notify_later(Look, pause));
    }
}

fn is_schedule(what: &Due) -> bool {
    matches!(what, Due::Alarm(alarm) if alarm.kind == AlarmKind::Schedule)
}

impl Actor for Timers {
    type Context = Context<Timers>;

    fn started(&mut self, ctx: &mut Context<Timers>) {
        self.look_after(Duration::ZERO, ctx);
    }
}

impl Handler<Look> for Timers {
    type Result = ();

    fn handle(&mut self, _: Look, ctx: &mut Context<Timers>) {
        self.look(ctx);
    }
}

impl Handler<TimersChanged> for Timers {
    type Result = ();

    fn handle(&mut self, message: TimersChanged, ctx: &mut Context<Timers>) {
        let now = self.shared.clock.now();
        for change in message.changes {
            let deadline = Deadline { due: change.due, tenant: message.tenant, what: change.what };
            match change.kind {
                TimerChangeKind::Lifted => {
                    self.soon.remove(&deadline);
                    self.woken.remove(&deadline);
                }
                TimerChangeKind::Set if change.due < self.next_look => {
                    self.look_after(change.due.since(now), ctx);
                }
                TimerChangeKind::Set => {} // The next look is early enough to find it.
            }
        }
    }
}
