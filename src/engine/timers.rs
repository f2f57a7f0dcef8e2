//! The deadlines and alarms of one part: never early, once each, and late ones at a bounded rate, in
//! turns over the tenants.
//!
//! The truth is in the store; memory holds what comes next, and what was woken just now. A herd of
//! late deadlines is read tenant by tenant as well: whoever has a hundred thousand of them waits for
//! themselves and for nobody else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use actix::fut::wrap_future;
use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle};
use tracing::{error, warn};

use crate::domain::condition::{Condition, Work};
use crate::domain::id::TenantId;
use crate::domain::time::Timestamp;
use crate::failpoint;
use crate::store::alarms::AlarmKind;
use crate::store::ledger::{Abort, Ledger};
use crate::store::tenant::{TimerChange, TimerChangeKind};
use crate::store::timers::{Cursor, Deadline, Due, deadlines};

use super::orders::{Ring, Wake};
use super::shared::{Leap, Shared};

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
/// How many deadlines are read before other work has its turn.
const READ_AT_ONCE: usize = 1_000;
/// How often the store is read from the beginning, in case that something was missed.
const READ_ALL_EVERY: Duration = Duration::from_secs(60);
/// How many batches of one tenant are kept in memory; the rest stays in the store until then.
const BATCHES_KEPT: usize = 16;

/// Deadlines of a tenant that were set or lifted.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct TimersChanged {
    pub(super) tenant: TenantId,
    pub(super) changes: Vec<TimerChange>,
}

/// Reads the deadlines of a tenant that were left out while it rested.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReadAgain;

/// Looks whether a deadline has come.
#[derive(Message)]
#[rtype(result = "()")]
struct Look;

/// Wakes runs when their deadlines come, and rings alarms.
pub(super) struct Timers {
    ledger: Ledger,
    shared: Arc<Shared>,
    queues: BTreeMap<TenantId, Queue>,
    /// Up to where the store has been read; everything until then is in the queues or left over.
    read_until: Timestamp,
    /// Where the reading that goes on stands.
    reading: Option<Cursor>,
    /// When it was read from the beginning.
    read_all_at: Option<Timestamp>,
    /// The tenant whose turn it was last.
    last_turn: TenantId,
    next_look: Timestamp,
    last_look: Option<Timestamp>,
    pending: Option<SpawnHandle>,
}

/// What comes next of one tenant.
#[derive(Default)]
struct Queue {
    next: BTreeSet<Deadline>,
    /// The earliest of those that found no room here; from it on, the store has further ones.
    cut: Option<Deadline>,
    woken: HashMap<Deadline, Timestamp>,
}

impl Queue {
    /// Takes a deadline in unless it was woken just now or there are earlier ones enough.
    fn enter(&mut self, deadline: Deadline, room: usize) {
        let is_left_out = self.cut.as_ref().is_some_and(|cut| *cut <= deadline);
        if is_left_out || self.woken.contains_key(&deadline) {
            return;
        }
        self.next.insert(deadline);
        if self.next.len() > room {
            self.cut = self.next.pop_last();
        }
    }

    fn clear(&mut self) {
        self.next.clear();
        self.cut = None;
    }

    /// Takes back what was woken and has not been dealt with for long.
    fn give_back(&mut self, now: Timestamp) {
        let late = |at: Timestamp| now.since(at) >= WAKE_AGAIN || now < at;
        let next = &mut self.next;
        self.woken.retain(|deadline, at| {
            if late(*at) {
                next.insert(deadline.clone());
            }
            !late(*at)
        });
    }

    /// Returns whether only the store has more.
    fn is_used_up(&self) -> bool {
        self.cut.is_some() && self.next.is_empty()
    }

    fn has_due(&self, now: Timestamp) -> bool {
        self.next.first().is_some_and(|first| first.due <= now)
    }

    fn is_idle(&self) -> bool {
        self.next.is_empty() && self.woken.is_empty() && self.cut.is_none()
    }
}

impl Timers {
    pub(super) fn new(ledger: Ledger, shared: Arc<Shared>) -> Timers {
        let now = shared.clock.now();
        Timers {
            ledger,
            shared,
            queues: BTreeMap::new(),
            read_until: now,
            reading: None,
            read_all_at: None,
            last_turn: TenantId(0),
            next_look: now,
            last_look: None,
            pending: None,
        }
    }

    fn look(&mut self, ctx: &mut Context<Timers>) {
        let now = self.shared.clock.now();
        self.note_leap(now);
        if self.shared.store.board().clock_is_held(now) {
            // Nothing comes by a clock that nobody believes.
            return self.look_after(LOOK_MAX, ctx);
        }
        self.queues.values_mut().for_each(|queue| queue.give_back(now));
        self.queues.retain(|_, queue| !queue.is_idle());
        if self.reading.is_none() {
            self.begin_reading(now);
            self.read(ctx);
        }
        self.wake_safely(now);
        self.look_soon(now, ctx);
    }

    /// The store is read on when the time has come up to where it was read; and all of it, when a
    /// tenant has nothing due any more of what fitted into its queue, and now and then.
    fn begin_reading(&mut self, now: Timestamp) {
        let is_old = |read: Timestamp| now.since(read) > READ_ALL_EVERY || now < read;
        if self.read_all_at.is_none_or(is_old) || self.queues.values().any(Queue::is_used_up) {
            // What is in the queues is read again with everything else: the store has the truth.
            self.queues.values_mut().for_each(Queue::clear);
            self.read_until = now + LOOK_MAX;
            self.read_all_at = Some(now);
            self.reading = Some(Cursor::from(Timestamp::default()));
        } else if now >= self.read_until {
            let on = self.read_until + Duration::from_millis(1);
            self.read_until = now + LOOK_MAX;
            self.reading = Some(Cursor::from(on));
        }
    }

    /// Reads the next deadlines, and more of them after others have had their turn.
    fn read(&mut self, ctx: &mut Context<Timers>) {
        let Some(cursor) = self.reading.take() else { return };
        let until = self.read_until;
        let read =
            self.ledger.transact(|tx| deadlines(&*tx, until, &cursor, READ_AT_ONCE)).map(|it| it.0);
        let (found, next) = match read {
            Ok(page) => page,
            Err(Abort::Refused(error)) => {
                error!("Cannot read the deadlines: {error}");
                self.read_all_at = None;
                return;
            }
            Err(Abort::Closed(_)) => return,
        };
        let room = self.room();
        for deadline in found {
            if !self.rests(&deadline) {
                self.queues.entry(deadline.tenant).or_default().enter(deadline, room);
            }
        }
        if next.is_some() {
            self.reading = next;
            let pause = wrap_future(tokio::task::yield_now());
            ctx.spawn(pause.map(|(), timers: &mut Timers, ctx| {
                timers.read(ctx);
                let now = timers.shared.clock.now();
                timers.wake_safely(now);
                timers.look_soon(now, ctx);
            }));
        }
    }

    fn room(&self) -> usize {
        self.shared.settings.wake_batch_max.max(1).saturating_mul(BATCHES_KEPT)
    }

    /// Returns whether the deadlines of a tenant wait: it is suspended, or not open.
    fn is_closed(&self, tenant: TenantId) -> bool {
        let doors = self.shared.doors.read();
        doors.get(&tenant).is_none_or(|doors| doors.standing.rests())
    }

    /// Returns whether a deadline waits, with its tenant or with the whole appliance.
    fn rests(&self, deadline: &Deadline) -> bool {
        self.is_closed(deadline.tenant)
            || match deadline.what {
                Due::Run(run) => self.shared.rest.of_run(deadline.tenant, run),
                Due::Alarm(_) => self.shared.rest.of_tenant(deadline.tenant),
            }
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

    /// What panicked is due again at a later look, and the other deadlines come all the same.
    fn wake_safely(&mut self, now: Timestamp) {
        if catch_unwind(AssertUnwindSafe(|| self.wake(now))).is_err() {
            error!("Waking what is due panicked; it is tried again");
        }
    }

    /// Wakes at most a batch of what is due: of each tenant its earliest in turn, and of none more
    /// than it has not dealt with yet.
    fn wake(&mut self, now: Timestamp) {
        let batch = self.shared.settings.wake_batch_max.max(1);
        let after = self.last_turn;
        let takes_new_work = self.shared.store.board().refusal(Work::New).is_none();
        let mut order: Vec<TenantId> = self.queues.keys().copied().collect();
        order.retain(|tenant| !self.is_closed(*tenant));
        let first = order.partition_point(|tenant| *tenant <= after);
        order.rotate_left(first);
        let mut orders: BTreeMap<TenantId, (Wake, Ring)> = BTreeMap::new();
        let mut woken = 0;
        while woken < batch && !order.is_empty() {
            order.retain(|tenant| {
                if woken == batch {
                    return false;
                }
                let Some(queue) = self.queues.get_mut(tenant) else { return false };
                if !queue.has_due(now) || queue.woken.len() >= batch {
                    return false;
                }
                let Some(deadline) = queue.next.pop_first() else { return false };
                queue.woken.insert(deadline.clone(), now);
                failpoint::hit("timer.pop");
                self.shared.metrics.timer_fired_after(now.since(deadline.due));
                self.last_turn = *tenant;
                woken += 1;
                // A schedule makes new work, for which there may be no room now.
                if is_schedule(&deadline.what) && !takes_new_work {
                    return true;
                }
                let (wake, ring) = orders.entry(*tenant).or_default();
                match deadline.what {
                    Due::Run(run) => wake.0.push(run),
                    Due::Alarm(alarm) => ring.0.push((deadline.due, alarm)),
                }
                true
            });
        }
        self.send(orders);
    }

    fn send(&self, orders: BTreeMap<TenantId, (Wake, Ring)>) {
        let doors = self.shared.doors.read();
        for (tenant, (wake, ring)) in orders {
            let Some(doors) = doors.get(&tenant) else { continue };
            if !wake.0.is_empty() {
                doors.supervisor.do_send(wake);
            }
            if !ring.0.is_empty() {
                doors.supervisor.do_send(ring);
            }
        }
    }

    /// Looks again when the next deadline comes; soon, while there are late ones.
    fn look_soon(&mut self, now: Timestamp, ctx: &mut Context<Timers>) {
        let firsts = self.queues.values().filter_map(|queue| queue.next.first());
        let next = firsts.map(|first| first.due).min();
        let is_used_up = self.queues.values().any(Queue::is_used_up);
        let pause = match next {
            _ if is_used_up => HERD_PAUSE,
            Some(due) if due <= now => HERD_PAUSE,
            Some(due) => due.since(now).min(LOOK_MAX),
            None => LOOK_MAX,
        };
        // What is set beyond what was read is found by the reading that follows then.
        let until_read = self.read_until.since(now).max(Duration::from_millis(1));
        self.look_after(pause.min(until_read), ctx);
    }

    fn look_after(&mut self, pause: Duration, ctx: &mut Context<Timers>) {
        if let Some(pending) = self.pending.take() {
            ctx.cancel_future(pending);
        }
        self.next_look = self.shared.clock.now() + pause;
        self.pending = Some(ctx.notify_later(Look, pause));
    }

    fn change(&mut self, tenant: TenantId, change: TimerChange, ctx: &mut Context<Timers>) {
        let (now, room) = (self.shared.clock.now(), self.room());
        let deadline = Deadline { due: change.due, tenant, what: change.what };
        match change.kind {
            TimerChangeKind::Lifted => {
                if let Some(queue) = self.queues.get_mut(&tenant) {
                    queue.next.remove(&deadline);
                    queue.woken.remove(&deadline);
                }
            }
            TimerChangeKind::Set if change.due <= self.read_until && !self.rests(&deadline) => {
                self.queues.entry(tenant).or_default().enter(deadline, room);
                if change.due < self.next_look {
                    self.look_after(change.due.since(now), ctx);
                }
            }
            TimerChangeKind::Set => {} // The next reading finds it early enough.
        }
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

impl Handler<ReadAgain> for Timers {
    type Result = ();

    fn handle(&mut self, _: ReadAgain, ctx: &mut Context<Timers>) {
        self.read_all_at = None;
        self.reading = None;
        self.look(ctx);
    }
}

impl Handler<TimersChanged> for Timers {
    type Result = ();

    fn handle(&mut self, message: TimersChanged, ctx: &mut Context<Timers>) {
        for change in message.changes {
            self.change(message.tenant, change, ctx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::RunId;

    fn deadline(millis: i64) -> Deadline {
        let due = Timestamp::from_millis(millis);
        Deadline { due, tenant: TenantId(1), what: Due::Run(RunId::new(0, due, 7)) }
    }

    #[test]
    fn a_full_queue_keeps_the_earliest_and_leaves_the_others_to_the_store() {
        let mut queue = Queue::default();
        for millis in [5, 1, 4, 2, 3] {
            queue.enter(deadline(millis), 3);
        }
        assert_eq!(queue.next, BTreeSet::from([1, 2, 3].map(deadline)));
        queue.next.clear();
        queue.enter(deadline(6), 3);
        assert!(queue.is_used_up(), "what came later does not overtake what was left out");
        queue.clear();
        queue.enter(deadline(4), 3);
        assert!(queue.has_due(Timestamp::from_millis(4)) && !queue.is_used_up());
    }

    #[test]
    fn what_was_woken_is_not_woken_again_until_it_was_given_time() {
        let mut queue = Queue::default();
        let woken_at = Timestamp::from_millis(100);
        queue.woken.insert(deadline(1), woken_at);
        queue.enter(deadline(1), 3);
        queue.give_back(woken_at + Duration::from_secs(9));
        assert!(queue.next.is_empty());
        queue.give_back(woken_at + WAKE_AGAIN);
        assert!(queue.woken.is_empty() && queue.next.contains(&deadline(1)));
    }
}
