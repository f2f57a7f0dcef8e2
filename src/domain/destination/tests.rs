//! What destinations promise, in examples and in random worlds.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::activity::{Throttle, ThrottleKey};
use crate::domain::id::RunId;
use crate::domain::workflow::Priority;

fn limits() -> Limits {
    Limits {
        in_flight_max: 3,
        window: Duration::from_secs(10),
        calls_min: 4,
        failures_percent: 50,
        open_min: Duration::from_secs(5),
        open_max: Duration::from_secs(15),
        trials: 2,
        repeats_percent: 20,
        repeats_per_second: 1,
        releases_per_second: 10,
        pause_default: Duration::from_secs(1),
    }
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000) + Duration::from_millis(millis)
}

struct World {
    limits: Limits,
    destination: Destination,
}

impl World {
    fn new() -> World {
        World { limits: limits(), destination: Destination::new(at(0), &limits()) }
    }

    fn reason(&mut self, now: Timestamp) -> Option<Reason> {
        self.destination.held(Attempt::First, now, &self.limits).map(|held| held.reason)
    }

    fn call(&mut self, fared: Fared, now: Timestamp) -> Option<Change> {
        assert_eq!(self.reason(now), None, "it may go at {now}");
        let flight = self.destination.begin(Attempt::First, now, &self.limits);
        self.destination.end(flight, fared, now, &self.limits)
    }

    /// Lets calls fail until the circuit opens.
    fn break_at(&mut self, now: Timestamp) {
        for _ in 0..4 {
            self.call(Fared::Badly, now);
        }
        assert_eq!(self.destination.circuit(), Circuit::Open);
    }
}

#[test]
fn the_circuit_opens_when_enough_calls_failed_and_closes_when_trials_work() {
    let mut world = World::new();
    for fared in [Fared::Well, Fared::Badly, Fared::Badly] {
        assert_eq!(world.call(fared, at(0)), None, "too few calls to judge");
    }
    assert_eq!(world.call(Fared::Badly, at(10)), Some(Change::Opened));
    assert_eq!(world.reason(at(5_009)), Some(Reason::BreakerOpen));
    assert_eq!(world.call(Fared::Well, at(5_010)), None, "one trial is not enough");
    assert_eq!(world.destination.circuit(), Circuit::HalfOpen);
    assert_eq!(world.call(Fared::Well, at(5_020)), Some(Change::Closed));
    assert_eq!(world.destination.counts(at(5_020), &world.limits), (0, 0));
}

#[test]
fn a_few_failures_among_many_calls_open_nothing() {
    let mut world = World::new();
    for number in 0..100 {
        let fared = if number % 3 == 2 { Fared::Badly } else { Fared::Well };
        assert_eq!(world.call(fared, at(number * 50)), None);
    }
}

#[test]
fn failures_that_are_long_past_count_no_more() {
    let mut world = World::new();
    for _ in 0..3 {
        world.call(Fared::Badly, at(0));
    }
    assert_eq!(world.call(Fared::Badly, at(20_000)), None);
    assert_eq!(world.destination.counts(at(20_000), &world.limits), (1, 1));
}

#[test]
fn each_failed_trial_doubles_the_rest_up_to_its_limit() {
    let mut world = World::new();
    world.break_at(at(0));
    let mut now = at(0);
    for seconds in [5, 10, 15, 15] {
        let (since, until) = world.destination.times();
        assert_eq!(until, Some(since + Duration::from_secs(seconds)));
        now = now + Duration::from_secs(seconds);
        assert_eq!(world.call(Fared::Badly, now), Some(Change::Opened));
    }
}

#[test]
fn only_as_many_trials_as_are_needed_go_at_once() {
    let mut world = World::new();
    world.break_at(at(0));
    for _ in 0..2 {
        assert_eq!(world.reason(at(6_000)), None);
        world.destination.begin(Attempt::First, at(6_000), &world.limits);
    }
    assert_eq!(world.reason(at(6_000)), Some(Reason::BreakerOpen));
}

#[test]
fn a_call_from_before_decides_nothing() {
    let mut world = World::new();
    let early = world.destination.begin(Attempt::First, at(0), &world.limits);
    world.break_at(at(0));
    assert_eq!(world.reason(at(6_000)), None, "trials begin");
    assert_eq!(world.destination.end(early, Fared::Well, at(6_001), &world.limits), None);
    assert_eq!(world.destination.circuit(), Circuit::HalfOpen);
}

#[test]
fn a_pause_holds_every_call_and_a_shorter_one_does_not_end_it() {
    let mut world = World::new();
    world.destination.pause(at(0), Duration::from_secs(60));
    world.destination.pause(at(0), Duration::from_secs(1));
    assert_eq!(world.reason(at(59_999)), Some(Reason::Paused));
    assert_eq!(world.reason(at(60_000)), None);
    world.destination.pause(at(60_000), Duration::from_secs(1_000_000));
    assert_eq!(world.destination.paused(at(60_000)), Some(at(60_000) + PAUSE_MAX));
    world.break_at_after_reset();
}

impl World {
    fn break_at_after_reset(&mut self) {
        assert_eq!(self.destination.reset(at(60_001)), None, "its circuit was closed");
        self.break_at(at(60_002));
        assert_eq!(self.destination.reset(at(60_003)), Some(Change::Closed));
        assert_eq!(self.reason(at(60_003)), None);
    }
}

#[test]
fn no_more_than_a_few_calls_are_in_flight() {
    let mut world = World::new();
    let flights: Vec<Flight> =
        (0..3).map(|_| world.destination.begin(Attempt::First, at(0), &world.limits)).collect();
    assert_eq!(world.reason(at(0)), Some(Reason::Busy));
    world.destination.end(flights[0], Fared::Unknown, at(1), &world.limits);
    assert_eq!(world.reason(at(1)), None);
}

#[test]
fn repeated_attempts_are_a_share_of_first_ones_and_a_trickle() {
    let mut world = World::new();
    let mut go = |attempt| {
        let held = world.destination.held(attempt, at(0), &world.limits);
        if held.is_none() {
            let flight = world.destination.begin(attempt, at(0), &world.limits);
            world.destination.end(flight, Fared::Well, at(0), &world.limits);
        }
        held.map(|held| (held.reason, held.until))
    };
    for _ in 0..10 {
        assert_eq!(go(Attempt::Repeated), None, "ten seconds of the trickle are there");
    }
    assert_eq!(go(Attempt::Repeated), Some((Reason::Budget, at(1_000))));
    for _ in 0..5 {
        assert_eq!(go(Attempt::First), None);
    }
    assert_eq!(go(Attempt::Repeated), None, "five first ones earn one");
    assert_eq!(go(Attempt::Repeated), Some((Reason::Budget, at(1_000))));
}

#[test]
fn a_herd_is_let_out_one_after_another() {
    let mut world = World::new();
    let turns: Vec<Timestamp> =
        (0..20).map(|_| world.destination.turn(at(5_000), 0.5, &world.limits)).collect();
    assert!(turns.windows(2).all(|two| two[1].since(two[0]) == Duration::from_millis(100)));
    assert!(turns[0] >= at(5_000) && turns[19] < at(7_100));
}

fn throttle(limit: u32, window_ms: u64) -> Throttle {
    Throttle { limit, window: Duration::from_millis(window_ms), key: ThrottleKey::Activity }
}

#[test]
fn a_log_that_was_written_holds_back_what_nobody_remembers() {
    let throttle = throttle(5, 1_000);
    let mut log = UseLog::default();
    for _ in 0..3 {
        log.begin(at(0));
        log.end(at(0), at(0));
    }
    log.begin(at(10));
    let written = log.written(at(20));
    assert_eq!(written.iter().map(|used| used.count).sum::<u32>(), 4);
    let mut again = UseLog::restored(&written, 1, at(500));
    assert_eq!(again.held(&throttle, at(500)), Some(at(1_000)), "five may have been made");
    assert_eq!(again.held(&throttle, at(1_000)), None);
}

fn place(priority: Priority, workflow: &str, number: u64) -> Place {
    let run = RunId::new(0, Timestamp::from_millis(1_000 + number as i64), number);
    Place { priority, workflow: Arc::from(workflow), run, ticket: number }
}

#[test]
fn urgent_workflows_come_first_and_equal_ones_take_turns() {
    let mut queue = FairQueue::default();
    for number in 0..4 {
        queue.push(&place(Priority::NORMAL, "crowd", number));
    }
    queue.push(&place(Priority::NORMAL, "single", 9));
    queue.push(&place(Priority::HIGH, "urgent", 10));
    queue.push(&place(Priority::LOW, "slow", 0));
    let gone = place(Priority::NORMAL, "crowd", 2);
    assert!(queue.remove(&gone) && !queue.remove(&gone));
    assert_eq!(queue.ahead_of(&place(Priority::NORMAL, "single", 8)), 2);
    let mut order = Vec::new();
    while let Some(place) = queue.pop() {
        order.push(format!("{} {}", place.workflow, place.ticket));
    }
    let expected = ["urgent 10", "crowd 0", "single 9", "crowd 1", "crowd 3", "slow 0"];
    assert_eq!(order, expected);
    assert!(queue.is_empty() && queue.first_priority().is_none());
}

proptest! {
    /// Whenever uses begin and end, no stretch as long as the window holds more than the limit.
    #[test]
    fn a_throttle_is_never_exceeded(
        limit in 1_u32..20,
        window in 10_u64..5_000,
        steps in prop::collection::vec((0_u64..400, 0_u64..900), 1..200),
    ) {
        let throttle = throttle(limit, window);
        let mut log = UseLog::default();
        let (mut now, mut begun, mut ends) = (0, Vec::new(), Vec::new());
        for (pause, takes) in steps {
            now += pause;
            ends.retain(|(began, end)| {
                if *end <= now {
                    log.end(at(*began), at(*end));
                }
                *end > now
            });
            match log.held(&throttle, at(now)) {
                None => {
                    log.begin(at(now));
                    begun.push(now);
                    ends.push((now, now + takes));
                    ends.sort_by_key(|(_, end)| *end);
                }
                Some(until) => prop_assert!(until > at(now), "{until} is past"),
            }
        }
        for (place, first) in begun.iter().enumerate() {
            let within = begun[place..].iter().filter(|it| **it - first < window).count();
            prop_assert!(within <= limit as usize, "{within} within {window} ms");
        }
    }

    /// A destination that works again is always called again, and never by more than may be.
    #[test]
    fn a_circuit_never_stays_open(
        calls in prop::collection::vec((0_u64..3_000, 0_u8..4), 1..300),
    ) {
        let mut world = World::new();
        let (mut now, mut flights) = (0, Vec::new());
        for (pause, kind) in calls {
            now += pause;
            let held = world.destination.held(Attempt::First, at(now), &world.limits);
            match (held, kind) {
                (None, 0 | 1) => {
                    let begun = world.destination.begin(Attempt::First, at(now), &world.limits);
                    flights.push(begun);
                }
                (Some(held), 0) => prop_assert!(held.until > at(now)),
                (_, 2) => if let Some(flight) = flights.pop() {
                    world.destination.end(flight, Fared::Badly, at(now), &world.limits);
                },
                (_, _) => if let Some(flight) = flights.pop() {
                    world.destination.end(flight, Fared::Well, at(now), &world.limits);
                },
            }
            prop_assert!(world.destination.in_flight() <= world.limits.in_flight_max);
        }
        for flight in flights {
            world.destination.end(flight, Fared::Unknown, at(now), &world.limits);
        }
        now += 15_000;
        for _ in 0..2 {
            prop_assert_eq!(world.reason(at(now)), None);
            world.call(Fared::Well, at(now));
        }
        prop_assert_eq!(world.destination.circuit(), Circuit::Closed);
    }

    /// A queue loses nobody and names nobody twice.
    #[test]
    fn a_queue_is_whole(pushed in prop::collection::vec((0_usize..5, 0_u8..4, 0_u64..50), 0..80)) {
        let mut queue = FairQueue::default();
        let mut expected = std::collections::BTreeSet::new();
        for (priority, workflow, number) in pushed {
            queue.push(&place(Priority::ALL[priority], &workflow.to_string(), number));
            expected.insert((Priority::ALL[priority], workflow.to_string(), number));
        }
        prop_assert_eq!(queue.len(), expected.len());
        let mut last = Priority::HIGH;
        while let Some(place) = queue.pop() {
            prop_assert!(place.priority >= last);
            last = place.priority;
            prop_assert!(expected.remove(&(place.priority, place.workflow.to_string(), place.ticket)));
        }
        prop_assert!(expected.is_empty() && queue.is_empty());
    }
}
