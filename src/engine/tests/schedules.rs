//! Schedules over a clock that is set by hand: through restarts, jumps and changes of the clocks.

use std::time::Duration;

use serde_json::{Value, json};

use super::{PATIENCE, TENANT, World, start};
use crate::clock::Clock;
use crate::domain::event::Event;
use crate::domain::run::Status;
use crate::domain::time::Timestamp;
use crate::domain::workflow::read_schedule;
use crate::engine::settings::EngineSettings;
use crate::store::alarms::AlarmKind;
use crate::store::schedules::ScheduleRow;
use crate::store::seam::StoreError;
use crate::store::sim::Faults;
use crate::store::tenant::TenantView;

/// The alarm that makes the engine look at the clock at once.
const NUDGE: &str = "nudge";

fn time(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn from(start: &str, test: impl AsyncFnOnce(World)) {
    let clock = Clock::manual(time(start));
    actix::System::new().block_on(async {
        let world = World::new(1, clock).await;
        test(world).await;
    });
}

/// A workflow of this schedule whose runs last as long as `nap` says.
fn napping(schedule: &Value, nap: &str) -> Value {
    json!({ "name": "report", "schedule": schedule, "steps": [{ "id": "nap", "sleep": nap }] })
}

fn daily(extra: Value) -> Value {
    let mut schedule = json!({ "at": "02:30", "timezone": "Europe/Berlin" });
    for (key, value) in extra.as_object().expect("an object") {
        schedule[key] = value.clone();
    }
    schedule
}

/// Returns the next slots of a schedule as its preview tells them.
fn previewed(schedule: &Value, from: &str, count: usize) -> Vec<Timestamp> {
    let schedule = read_schedule(schedule, "").expect("a schedule");
    schedule.preview(time(from), count).into_iter().map(|slot| slot.at).collect()
}

impl World {
    /// Sets the clock, and returns when everything that is due by then has been rung for.
    async fn at(&self, now: Timestamp) {
        self.clock.set(now);
        let armed = self.engine.transact(TENANT, |tx| {
            tx.set_alarm(Timestamp::default(), AlarmKind::Schedule, NUDGE);
            Ok::<_, StoreError>(())
        });
        let _ = armed.await; // A store with faults may refuse; the next look comes in any case.
        tokio::time::timeout(PATIENCE, async {
            while self.is_nudge_set().await {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the engine looks at the clock");
        // Behind the alarms that rang together with it.
        self.engine.observe(TENANT).await;
    }

    async fn is_nudge_set(&self) -> bool {
        let read = self.engine.transact(TENANT, |tx| {
            tx.view().has_alarm(Timestamp::default(), AlarmKind::Schedule, NUDGE)
        });
        read.await.unwrap_or(true)
    }

    async fn row(&self) -> ScheduleRow {
        let read = self.engine.transact(TENANT, |tx| tx.view().schedule("report", 0));
        read.await.expect("readable").expect("the schedule")
    }

    /// Returns the events that the schedule made, oldest first.
    fn fired(&self) -> Vec<Event> {
        let snapshot = self.engine.snapshot(TENANT).expect("a snapshot");
        let stored = TenantView::new(TENANT, &snapshot).events_before(None, 10_000);
        let mut events: Vec<Event> =
            stored.expect("readable").into_iter().map(|(_, stored)| stored.event).collect();
        events.retain(|event| event.source == "schedule:report");
        events.reverse();
        events
    }

    /// Returns the slots that have fired, in order, and insists that none was early.
    fn slots(&self) -> Vec<Timestamp> {
        let slot = |event: Event| {
            let slot = time(event.payload["scheduledFor"].as_str().expect("a time"));
            let fired = time(event.payload["firedAt"].as_str().expect("a time"));
            assert!(fired >= slot && event.time == fired, "{slot} fired at {fired}");
            slot
        };
        self.fired().into_iter().map(slot).collect()
    }

    async fn restart_at(mut self, now: Timestamp) -> World {
        self.engine.stop().await;
        self.clock.set(now);
        self.engine = start(&self.store, &self.calls, &self.clock, EngineSettings::default());
        self.settle().await;
        self.at(now).await;
        self
    }

    async fn switch(&self, active: bool) {
        let written = self.engine.transact(TENANT, move |tx| {
            let mut row = tx.view().workflow("report")?.expect("the workflow");
            row.active = active;
            tx.put_workflow(&row);
            Ok::<_, StoreError>(())
        });
        written.await.expect("written");
    }
}

fn reasons(row: &ScheduleRow) -> Vec<&str> {
    row.left_out.iter().map(|left_out| left_out.reason.as_str()).collect()
}

#[test]
fn over_both_changes_of_the_clocks_it_fires_as_previewed() {
    for start in ["2026-03-27T12:00:00.000Z", "2026-10-23T12:00:00.000Z"] {
        for schedule in
            [daily(json!({})), json!({ "cron": "*/30 1-3 * * *", "timezone": "Europe/Berlin" })]
        {
            from(start, async |world| {
                world.save(napping(&schedule, "1s")).await;
                let expected = previewed(&schedule, start, 24);
                for slot in &expected {
                    world.at(*slot - Duration::from_millis(1)).await;
                    assert_ne!(world.slots().last(), Some(slot), "{slot} was early");
                    world.at(*slot).await;
                }
                assert_eq!(world.slots(), expected);
                let row = world.row().await;
                assert_eq!((row.fired, row.missed), (24, 0));
                assert_eq!(row.last.expect("a firing").slot, expected[23]);
            });
        }
    }
}

#[test]
fn what_was_missed_during_a_stop_is_treated_as_it_says() {
    let slots = previewed(&daily(json!({})), "2026-03-27T12:00:00.000Z", 4);
    for (missed, fired, left_out) in
        [("once", &slots[2..3], 2), ("all", &slots[..3], 0), ("skip", &slots[..0], 3)]
    {
        from("2026-03-27T12:00:00.000Z", async |world| {
            world.save(napping(&daily(json!({ "missed": missed })), "1s")).await;
            let world = world.restart_at(time("2026-03-30T12:00:00.000Z")).await;
            assert_eq!(world.slots(), fired, "{missed}");
            let row = world.row().await;
            assert_eq!(reasons(&row), vec!["the appliance was down"; left_out], "{missed}");
            assert_eq!(row.missed, left_out as u64);
            assert_eq!(row.next.expect("a next slot").slot, slots[3]);
            if missed == "once" {
                assert_eq!(world.fired()[0].payload["missed"], 2);
            }
            // Another restart finds nothing more to do.
            let world = world.restart_at(time("2026-03-30T13:00:00.000Z")).await;
            assert_eq!(world.slots(), fired, "{missed}");
            world.at(slots[3]).await;
            assert_eq!(world.slots().last(), Some(&slots[3]));
        });
    }
}

#[test]
fn after_a_jump_of_thirty_days_and_back_nothing_fires_twice() {
    let start = "2026-03-27T12:00:00.000Z";
    from(start, async |world| {
        world.save(napping(&daily(json!({})), "1s")).await;
        let slots = previewed(&daily(json!({})), start, 32);
        world.at(slots[0]).await;
        world.at(time(start) + Duration::from_secs(30 * 86_400)).await;
        assert_eq!(world.slots(), [slots[0], slots[29]]);
        let row = world.row().await;
        assert_eq!(reasons(&row), vec!["the clock jumped"; 28]);
        world.at(slots[1]).await;
        world.at(slots[20] + Duration::from_secs(1)).await;
        assert_eq!(world.slots(), [slots[0], slots[29]]);
        world.at(slots[30]).await;
        assert_eq!(world.slots(), [slots[0], slots[29], slots[30]]);
    });
}

#[test]
fn of_too_many_missed_times_the_newest_are_made_up_for() {
    let schedule = json!({ "cron": "* * * * *", "timezone": "UTC", "missed": "all" });
    from("2026-03-27T12:00:30.000Z", async |world| {
        world.save(napping(&schedule, "1s")).await;
        let world = world.restart_at(time("2026-04-27T12:00:00.000Z")).await;
        let slots = world.slots();
        assert_eq!(slots.len(), 100);
        assert_eq!(slots[99], time("2026-04-27T12:00:00.000Z"));
        assert_eq!(slots[0], time("2026-04-27T10:21:00.000Z"));
        let row = world.row().await;
        assert!(reasons(&row)[0].contains("more than 100 times"), "{row:?}");
    });
}

#[test]
fn an_earlier_run_that_is_still_active_counts_as_it_says() {
    let start = "2026-03-27T12:00:00.000Z";
    for overlap in ["allow", "skip", "queue"] {
        from(start, async |world| {
            let schedule = json!({ "every": "hour", "timezone": "UTC", "overlap": overlap });
            world.save(napping(&schedule, "90m")).await;
            let slots = previewed(&schedule, start, 3);
            world.at(slots[0]).await;
            world.at(slots[1]).await;
            let row = world.row().await;
            match overlap {
                "skip" => {
                    assert_eq!(world.slots(), &slots[..1]);
                    assert!(reasons(&row)[0].starts_with("overlapped"), "{row:?}");
                    // The first has ended by then.
                    world.at(slots[2] - Duration::from_secs(1)).await;
                    let first = row.last.expect("a firing").run;
                    assert_eq!(world.end_of(first).await.status, Status::Succeeded);
                    world.at(slots[2]).await;
                    assert_eq!(world.slots(), [slots[0], slots[2]]);
                }
                "queue" => {
                    let second = row.last.expect("a firing").run;
                    assert_eq!(world.slots(), &slots[..2]);
                    assert_eq!(world.head(second).status, Status::Queued);
                    world.at(slots[1] + Duration::from_secs(31 * 60)).await;
                    tokio::time::timeout(PATIENCE, async {
                        while world.head(second).status == Status::Queued {
                            tokio::task::yield_now().await;
                        }
                    })
                    .await
                    .expect("it has its turn when the first has ended");
                }
                _ => {
                    assert_eq!(world.slots(), &slots[..2]);
                    let second = row.last.expect("a firing").run;
                    assert_ne!(world.head(second).status, Status::Queued);
                }
            }
        });
    }
}

#[test]
fn another_version_with_the_same_times_keeps_its_place() {
    let start = "2026-03-27T12:00:00.000Z";
    from(start, async |world| {
        world.save(napping(&daily(json!({})), "1s")).await;
        let slots = previewed(&daily(json!({})), start, 3);
        world.at(slots[0]).await;
        world.save_version(napping(&daily(json!({ "missed": "all" })), "2s"), 2).await;
        let row = world.row().await;
        assert_eq!((row.version, row.fired, row.done_until), (2, 1, slots[0]));
        world.at(slots[1]).await;
        assert_eq!(world.slots(), &slots[..2]);
        let elsewhere = json!({ "at": "02:30", "timezone": "Asia/Tokyo" });
        world.save_version(napping(&elsewhere, "2s"), 3).await;
        let row = world.row().await;
        let next = previewed(&elsewhere, &slots[1].to_string(), 1)[0];
        assert_eq!((row.fired, row.next.expect("a next slot").slot), (0, next));
        let manual = json!({ "name": "report", "steps": [{ "id": "nap", "sleep": 1 }] });
        world.save_version(manual, 4).await;
        let rows = world.engine.transact(TENANT, |tx| tx.view().schedules()).await;
        assert_eq!(rows.expect("readable"), []);
        world.at(next).await;
        assert_eq!(world.slots(), &slots[..2]);
    });
}

#[test]
fn times_that_pass_while_its_workflow_is_off_are_not_missed() {
    let start = "2026-03-27T12:00:00.000Z";
    from(start, async |world| {
        world.save(napping(&daily(json!({ "missed": "all" })), "1s")).await;
        let slots = previewed(&daily(json!({})), start, 3);
        world.switch(false).await;
        assert_eq!(world.row().await.next, None);
        world.at(slots[1]).await;
        world.switch(true).await;
        world.at(slots[2]).await;
        assert_eq!(world.slots(), &slots[2..]);
        assert_eq!(world.row().await.left_out, []);
    });
}

#[test]
fn jitter_delays_a_firing_to_the_previewed_instant() {
    let start = "2026-03-27T12:00:00.000Z";
    from(start, async |world| {
        let schedule = daily(json!({ "jitter": "30m" }));
        world.save(napping(&schedule, "1s")).await;
        let slot = previewed(&schedule, start, 1)[0];
        let fires = read_schedule(&schedule, "").expect("a schedule").fires_at(slot, "report");
        assert!(fires > slot);
        world.at(fires - Duration::from_millis(1)).await;
        assert_eq!(world.slots(), []);
        world.at(fires).await;
        assert_eq!(world.slots(), [slot]);
    });
}

#[test]
fn an_alarm_that_was_lost_is_set_again() {
    from("2026-03-27T12:00:00.000Z", async |world| {
        world.save(napping(&daily(json!({})), "1s")).await;
        assert_eq!(world.engine.repair_schedules(TENANT).await.expect("written"), 0);
        let next = world.row().await.next.expect("a next slot");
        let lost = world.engine.transact(TENANT, move |tx| {
            tx.lift_alarm(next.due, AlarmKind::Schedule, "report#0");
            Ok::<_, StoreError>(())
        });
        lost.await.expect("written");
        assert_eq!(world.engine.repair_schedules(TENANT).await.expect("written"), 1);
        world.at(next.slot).await;
        assert_eq!(world.slots(), [next.slot]);
    });
}

#[test]
fn a_store_with_faults_fires_each_slot_once() {
    let start = "2026-03-27T12:00:00.000Z";
    let schedule = json!({ "cron": "* * * * * *", "timezone": "UTC", "missed": "all" });
    from(start, async |world| {
        world.save(napping(&schedule, "1s")).await;
        world.store.set_faults(Faults::SOME);
        let slots = previewed(&schedule, start, 60);
        for slot in &slots {
            world.clock.set(*slot);
            let nudged = world.engine.transact(TENANT, |tx| {
                tx.set_alarm(Timestamp::default(), AlarmKind::Schedule, NUDGE);
                Ok::<_, StoreError>(())
            });
            let _ = nudged.await; // Whether it was written or not, the clock goes on.
        }
        world.store.set_faults(Faults::NONE);
        tokio::time::timeout(PATIENCE, async {
            while world.slots().len() < slots.len() {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("every slot fires");
        assert_eq!(world.slots(), slots);
    });
}
