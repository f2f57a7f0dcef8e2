//! Who may go, who waits, and whose turn it is.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::throttles::{Throttles, Unwritten, id_of};
use super::{Answer, Asking, Hold, SeenDestination, chance_of, limits_of};
use crate::domain::activity::Throttle;
use crate::domain::destination::{
    Attempt, Change, Destination, FairQueue, Fared, Flight, Held, LastFailure, Limits, Place,
    Reason,
};
use crate::domain::id::RunId;
use crate::domain::time::Timestamp;
use crate::engine::settings::EngineSettings;
use crate::engine::tenant_state::TenantState;
use crate::store::destinations::DeferredCall;
use crate::store::tenant::TenantView;

/// When a call that found no place asks again at the latest; it is let out when one is free.
const BUSY_PAUSE: Duration = Duration::from_secs(15);

/// Calls of which one may go exactly when any other may.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LaneKey {
    destination: Rc<str>,
    activity: Rc<str>,
    attempt: Attempt,
}

#[derive(Default)]
struct Lane {
    queue: FairQueue,
    /// When it had its turn last, as a number that grows.
    served: u64,
}

struct Parked {
    lane: LaneKey,
    place: Place,
    answer: Answer,
}

/// A call that goes.
pub(in crate::engine) struct Granted {
    pub(super) destination: Rc<str>,
    pub(super) flight: Flight,
    pub(super) used: Option<Used>,
}

/// The use of what is throttled.
pub(super) struct Used {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) number: u64,
    pub(super) limit: u32,
}

/// What came of asking at once.
pub(super) enum Asked {
    Granted(Granted),
    Waits { ticket: u64, answer: oneshot::Receiver<Granted>, look_at: Option<Timestamp> },
    Later(Hold),
}

/// How a call ended.
pub(super) struct Ended {
    pub(super) fared: Fared,
    pub(super) pause: Option<Duration>,
    pub(super) failure: Option<LastFailure>,
}

pub(super) struct Inner {
    pub(super) throttles: Throttles,
    pub(super) limits: Limits,
    /// When this tenant was opened: what was done before it is only in the store.
    pub(super) started_at: Timestamp,
    known: HashMap<Rc<str>, Destination>,
    lanes: BTreeMap<LaneKey, Lane>,
    parked: HashMap<u64, Parked>,
    by_run: BTreeSet<(RunId, u64)>,
    in_flight: usize,
    in_flight_max: usize,
    parked_max: usize,
    known_max: usize,
    wait_max: Duration,
    tickets: u64,
    turns: u64,
    look_at: Option<Timestamp>,
    /// Destinations with calls that wait in their journals for a place, and who was let out last.
    crowd: HashMap<Rc<str>, Option<RunId>>,
}

impl Inner {
    pub(super) fn new(settings: &EngineSettings, started_at: Timestamp) -> Inner {
        Inner {
            throttles: Throttles::default(),
            limits: limits_of(settings),
            started_at,
            known: HashMap::new(),
            lanes: BTreeMap::new(),
            parked: HashMap::new(),
            by_run: BTreeSet::new(),
            in_flight: 0,
            in_flight_max: settings.outside_calls_max.max(1),
            parked_max: settings.outside_waiting_calls_max,
            known_max: settings.destinations_max.max(1),
            wait_max: Duration::from_millis(settings.outside_wait_ms_max),
            tickets: 0,
            turns: 0,
            look_at: None,
            crowd: HashMap::new(),
        }
    }

    /// Lets a call go, wait here, or wait in its journal.
    pub(super) fn ask(&mut self, tenant: &TenantState, asking: &Asking) -> Asked {
        let now = tenant.shared.clock.now();
        self.know(tenant, asking, now);
        let lane = LaneKey {
            destination: Rc::clone(&asking.destination),
            activity: Rc::clone(&asking.activity),
            attempt: asking.attempt,
        };
        let held = self.held(&lane, now);
        let nobody_waits = self.lanes.get(&lane).is_none_or(|lane| lane.queue.is_empty());
        if held.is_none() && nobody_waits && self.in_flight < self.in_flight_max {
            return Asked::Granted(self.grant(&lane, now));
        }
        let held = self.expected(&lane, &asking.place, held, now);
        if held.until.since(now) >= self.wait_max || self.parked.len() >= self.parked_max {
            return Asked::Later(self.hold(tenant, &lane, held));
        }
        let (sender, answer) = oneshot::channel();
        let ticket = self.park(lane, asking.place.clone(), sender);
        Asked::Waits { ticket, answer, look_at: self.earlier(held.until) }
    }

    /// Lets those go who may, the most urgent first and each lane in turn; returns when to look
    /// again.
    pub(super) fn pump(&mut self, tenant: &TenantState) -> Option<Timestamp> {
        let now = tenant.shared.clock.now();
        let mut next: Option<Timestamp> = None;
        while self.in_flight < self.in_flight_max {
            next = None;
            let mut first = None;
            for lane in self.lanes.keys().cloned().collect::<Vec<_>>() {
                if let Some(held) = self.held(&lane, now) {
                    next = Some(next.map_or(held.until, |next: Timestamp| next.min(held.until)));
                    continue;
                }
                let Some(waiting) = self.lanes.get(&lane) else { continue };
                let rank = (waiting.queue.first_priority(), waiting.served);
                if first.as_ref().is_none_or(|(best, _)| rank < *best) {
                    first = Some((rank, lane));
                }
            }
            let Some((_, lane)) = first else { break };
            let Some(answer) = self.next_in(&lane) else { continue };
            let granted = self.grant(&lane, now);
            if let Err(granted) = answer.send(granted) {
                // Whoever asked is gone with its part.
                self.end(&granted, &Ended::unknown(), now);
            }
        }
        next.and_then(|next| self.earlier(next))
    }

    /// Takes back the wish of one that waited too long.
    pub(super) fn give_up(&mut self, tenant: &TenantState, ticket: u64, asking: &Asking) -> Hold {
        let now = tenant.shared.clock.now();
        let lane = self.unpark(ticket).map(|parked| parked.lane);
        let Some(lane) = lane else {
            return Hold { reason: Reason::Busy, until: now }; // It was told to go back.
        };
        let held = self.held(&lane, now);
        let held = self.expected(&lane, &asking.place, held, now);
        self.hold(tenant, &lane, held)
    }

    /// Sends the calls of a run back that wait here.
    pub(super) fn withdraw(&mut self, run: RunId) {
        let tickets: Vec<u64> =
            self.by_run.range((run, 0)..=(run, u64::MAX)).map(|(_, ticket)| *ticket).collect();
        for ticket in tickets {
            self.unpark(ticket); // The other end hears that nobody will answer.
        }
    }

    /// Notes the end of a call; returns how that changes the circuit.
    pub(super) fn end(
        &mut self,
        granted: &Granted,
        ended: &Ended,
        now: Timestamp,
    ) -> Option<Change> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if let Some(used) = &granted.used
            && let Some(log) = self.throttles.known(&used.id)
        {
            log.end(used.at, now);
        }
        let destination = self.known.get_mut(&granted.destination)?;
        if let Some(pause) = ended.pause {
            destination.pause(now, pause);
        }
        if let Some(failure) = &ended.failure {
            destination.note_failure(failure.clone());
        }
        destination.end(granted.flight, ended.fared, now, &self.limits)
    }

    /// Returns whether one of those that wait in their journals for a place may ask again.
    pub(super) fn has_place_for_crowd(&mut self, destination: &str, now: Timestamp) -> bool {
        if !self.crowd.contains_key(destination) || self.in_flight >= self.in_flight_max {
            return false;
        }
        let is_awaited = self.lanes.keys().any(|lane| *lane.destination == *destination);
        let known = self.known.get_mut(destination);
        let held = known.and_then(|known| known.held(Attempt::First, now, &self.limits));
        !is_awaited && held.is_none()
    }

    /// Chooses who is let out of those that wait for a place: each in turn, the oldest first.
    pub(super) fn next_of_crowd(
        &mut self,
        destination: &str,
        waiting: Vec<DeferredCall>,
    ) -> Option<DeferredCall> {
        let last = self.crowd.get(destination).copied().flatten();
        let mut busy: Vec<DeferredCall> =
            waiting.into_iter().filter(|call| call.reason == Reason::Busy).collect();
        if busy.is_empty() {
            self.crowd.remove(destination);
            return None;
        }
        let behind = busy.iter().position(|call| Some(call.run) > last).unwrap_or(0);
        let call = busy.swap_remove(behind);
        self.crowd.insert(destination.into(), Some(call.run));
        Some(call)
    }

    /// Closes a circuit and drops a pause; `None` where no such destination is known.
    pub(super) fn reset(&mut self, tenant: &TenantState, name: &str) -> Option<Option<Change>> {
        let now = tenant.shared.clock.now();
        self.known.get_mut(name).map(|destination| destination.reset(now))
    }

    pub(super) fn unwritten(&self, used: &Used, now: Timestamp) -> Option<Unwritten> {
        self.throttles.unwritten(&used.id, (used.number, used.limit, now))
    }

    /// Notes that the time to look again has come.
    pub(super) fn looks_at(&mut self, at: Timestamp) {
        self.look_at = self.look_at.filter(|other| *other != at);
    }

    pub(super) fn seen(&self, now: Timestamp) -> Vec<SeenDestination> {
        let mut seen: Vec<SeenDestination> =
            self.known.keys().filter_map(|name| self.seen_one(name, now)).collect();
        seen.sort_by(|one, other| one.name.cmp(&other.name));
        seen
    }

    pub(super) fn seen_one(&self, name: &str, now: Timestamp) -> Option<SeenDestination> {
        let destination = self.known.get(name)?;
        let (since, open_until) = destination.times();
        let (calls, failures) = destination.counts(now, &self.limits);
        let paused_until = destination.paused(now);
        let lanes = self.lanes.iter().filter(|(lane, _)| *lane.destination == *name);
        Some(SeenDestination {
            name: name.to_owned(),
            circuit: destination.circuit(),
            since,
            until: open_until.max(paused_until),
            paused_until,
            in_flight: destination.in_flight(),
            waiting: lanes.map(|(_, lane)| lane.queue.len()).sum(),
            calls,
            failures,
            last_failure: destination.last_failure().cloned(),
            repeats_left: destination.repeats_left(now, &self.limits),
        })
    }

    fn held(&mut self, lane: &LaneKey, now: Timestamp) -> Option<Held> {
        let destination = self.known.get_mut(&lane.destination)?;
        let held = destination.held(lane.attempt, now, &self.limits);
        if held.is_some_and(|held| matches!(held.reason, Reason::Paused | Reason::BreakerOpen)) {
            return held;
        }
        let until = self.throttle_of(lane).and_then(|(throttle, id)| {
            self.throttles.known(&id).and_then(|log| log.held(&throttle, now))
        });
        until.map(|until| Held { reason: Reason::Throttled, until }).or(held)
    }

    /// Returns why a call waits and how long it will, with those before it.
    fn expected(
        &mut self,
        lane: &LaneKey,
        place: &Place,
        held: Option<Held>,
        now: Timestamp,
    ) -> Held {
        let ahead = self.lanes.get(lane).map_or(0, |lane| lane.queue.ahead_of(place));
        let until = self.throttle_of(lane).and_then(|(throttle, id)| {
            self.throttles.known(&id).and_then(|log| log.held_behind(&throttle, ahead, now))
        });
        let throttled = until.map(|until| Held { reason: Reason::Throttled, until });
        let busy = Held { reason: Reason::Busy, until: now + Duration::from_secs(1) };
        match held {
            Some(held) if matches!(held.reason, Reason::Paused | Reason::BreakerOpen) => held,
            other => throttled.or(other).unwrap_or(busy),
        }
    }

    /// Gives a call that waits long a moment of its own.
    fn hold(&mut self, tenant: &TenantState, lane: &LaneKey, held: Held) -> Hold {
        let chance = chance_of(tenant.shared.clock.random());
        tenant.shared.metrics.call_deferred(held.reason.as_str());
        if held.reason == Reason::Busy {
            self.crowd.entry(Rc::clone(&lane.destination)).or_default();
            let until = tenant.shared.clock.now() + BUSY_PAUSE;
            return Hold { reason: Reason::Busy, until: until + BUSY_PAUSE.mul_f64(chance / 2.0) };
        }
        let throttle = self.throttle_of(lane).filter(|_| held.reason == Reason::Throttled);
        let turn = match throttle {
            Some((throttle, id)) => {
                self.throttles.known(&id).map(|log| log.turn(&throttle, held.until, chance))
            }
            None => {
                let destination = self.known.get_mut(&lane.destination);
                destination.map(|known| known.turn(held.until, chance, &self.limits))
            }
        };
        Hold { reason: held.reason, until: turn.unwrap_or(held.until) }
    }

    fn throttle_of(&self, lane: &LaneKey) -> Option<(Throttle, String)> {
        let throttle = self.throttles.of(&lane.activity)?;
        let id = id_of(&throttle, &lane.activity, &lane.destination);
        Some((throttle, id))
    }

    fn grant(&mut self, lane: &LaneKey, now: Timestamp) -> Granted {
        self.in_flight += 1;
        let used = self.throttle_of(lane).and_then(|(throttle, id)| {
            let number = self.throttles.known(&id)?.begin(now);
            Some(Used { id, at: now, number, limit: throttle.limit })
        });
        let limits = &self.limits;
        let destination = self
            .known
            .entry(Rc::clone(&lane.destination))
            .or_insert_with(|| Destination::new(now, limits));
        let flight = destination.begin(lane.attempt, now, limits);
        Granted { destination: Rc::clone(&lane.destination), flight, used }
    }

    /// Makes room for a destination and reads what the store knows of its throttle.
    fn know(&mut self, tenant: &TenantState, asking: &Asking, now: Timestamp) {
        if !self.known.contains_key(&asking.destination) {
            self.make_room(tenant, now);
            let fresh = Destination::new(now, &self.limits);
            self.known.insert(Rc::clone(&asking.destination), fresh);
        }
        let Some(throttle) = self.throttles.of(&asking.activity) else { return };
        let id = id_of(&throttle, &asking.activity, &asking.destination);
        let written = || {
            let read =
                tenant.ledger.transact(|tx| TenantView::new(tenant.id(), &*tx).throttle_uses(&id));
            read.ok().and_then(|(row, _)| row)
        };
        self.throttles.log(&id, self.started_at, written);
    }

    /// Forgets the destination whose use is longest ago and with which least is lost.
    fn make_room(&mut self, tenant: &TenantState, now: Timestamp) {
        if self.known.len() < self.known_max {
            return;
        }
        let is_awaited = |name: &Rc<str>| self.lanes.keys().any(|lane| lane.destination == *name);
        let idle = self.known.iter().filter(|(_, known)| known.in_flight() == 0);
        let idle = idle.filter(|(name, _)| !is_awaited(name));
        let least = idle.max_by_key(|(_, known)| (known.is_idle(now), Reverse(known.used_at())));
        if let Some(name) = least.map(|(name, _)| Rc::clone(name)) {
            self.known.remove(&name);
            tenant.shared.metrics.forget_destination(&tenant.facts.slug, &name);
        }
    }

    fn park(&mut self, lane: LaneKey, place: Place, answer: Answer) -> u64 {
        self.tickets += 1;
        let place = Place { ticket: self.tickets, ..place };
        self.lanes.entry(lane.clone()).or_default().queue.push(&place);
        self.by_run.insert((place.run, place.ticket));
        self.parked.insert(self.tickets, Parked { lane, place, answer });
        self.tickets
    }

    fn unpark(&mut self, ticket: u64) -> Option<Parked> {
        let parked = self.parked.remove(&ticket)?;
        self.by_run.remove(&(parked.place.run, ticket));
        if let Some(lane) = self.lanes.get_mut(&parked.lane) {
            lane.queue.remove(&parked.place);
            if lane.queue.is_empty() {
                self.lanes.remove(&parked.lane);
            }
        }
        Some(parked)
    }

    /// Returns whom to answer next in a lane.
    fn next_in(&mut self, lane: &LaneKey) -> Option<Answer> {
        self.turns += 1;
        let waiting = self.lanes.get_mut(lane)?;
        waiting.served = self.turns;
        let place = waiting.queue.pop();
        if waiting.queue.is_empty() {
            self.lanes.remove(lane);
        }
        let place = place?;
        self.by_run.remove(&(place.run, place.ticket));
        self.parked.remove(&place.ticket).map(|parked| parked.answer)
    }

    /// Returns `at` when nobody looks as early already.
    fn earlier(&mut self, at: Timestamp) -> Option<Timestamp> {
        if self.look_at.is_some_and(|other| other <= at) {
            return None;
        }
        self.look_at = Some(at);
        Some(at)
    }
}

impl Ended {
    /// Nothing is known of it.
    pub(super) fn unknown() -> Ended {
        Ended { fared: Fared::Unknown, pause: None, failure: None }
    }
}
