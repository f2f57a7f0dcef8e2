//! Triggers that remember: what they hold back, gather and watch, also across a crash.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::domain::desk::RecordKind;
use crate::domain::event::{Actor, Event};
use crate::store::events::StoredEvent;
use crate::store::workflows::WorkflowRow;

const START: i64 = 1_800_000_000_000;

/// A world whose time stands still until it is moved.
struct Timed {
    world: World,
    clock: Clock,
    settings: EngineSettings,
}

impl Timed {
    async fn new(settings: EngineSettings) -> Timed {
        let clock = Clock::manual(Timestamp::from_millis(START));
        let world = World::with(1, clock.clone(), settings.clone()).await;
        Timed { world, clock, settings }
    }

    fn pass(&self, seconds: u64) {
        self.clock.set(self.clock.now() + Duration::from_secs(seconds));
    }

    /// Another process takes the store over without a word from the first.
    async fn crash(&mut self) {
        let (store, calls) = (self.world.store.clone(), Arc::clone(&self.world.calls));
        let former = self.world.engine.clone();
        former.shared.stopping.store(true, Ordering::SeqCst); // It must not claim it back.
        let engine = start(&store, &calls, &self.clock, self.settings.clone());
        self.world = World { engine, store, calls, clock: self.clock.clone() };
        self.world.settle().await;
        former.stop().await;
    }

    async fn save(&self, name: &str, trigger: Value) {
        self.save_version(name, trigger, 1).await;
    }

    async fn save_version(&self, name: &str, trigger: Value, version: u32) {
        let input = json!({ "payload": "{{trigger.payload}}" });
        let steps = json!([{ "id": "first", "activity": "test:echo", "input": input }]);
        let definition = echoes(name, json!({ "trigger": trigger, "steps": steps }));
        self.world.save_version(definition, version).await;
    }

    async fn publish(&self, id: &str, payload: Value) -> Vec<RunId> {
        self.world.publish(id, payload).await.runs
    }

    fn stored(&self, id: &str) -> StoredEvent {
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        let view = TenantView::new(TENANT, &snapshot);
        let key = view.event_by_id(id, None).expect("readable").expect("the event is known");
        view.event(key).expect("readable").expect("the event is stored")
    }

    fn reason(&self, id: &str) -> String {
        let withheld = self.stored(id).withheld;
        withheld.first().map(|(_, reason)| reason.clone()).unwrap_or_default()
    }

    /// Waits until the event has started so many runs; the timers look at the clock every second.
    async fn runs_of(&self, id: &str, count: usize) -> Vec<RunId> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.stored(id).runs.len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("no run of {id}: {}", self.reason(id)));
        self.stored(id).runs
    }

    fn windows(&self) -> u64 {
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        TenantView::new(TENANT, &snapshot).window_count().expect("readable")
    }

    async fn until_windows(&self, count: u64) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.windows() != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{} windows are left", self.windows()));
    }

    /// Returns what the first step of a finished run was given.
    async fn input_of(&self, run: RunId) -> Value {
        assert_eq!(self.world.end_of(run).await.status, Status::Succeeded);
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        let journal = TenantView::new(TENANT, &snapshot).journal(run).expect("readable");
        let journal = serde_json::to_value(journal).expect("plain");
        find(&journal, "input").cloned().expect("an input")
    }

    fn event_of(&self, run: RunId) -> Value {
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        let view = TenantView::new(TENANT, &snapshot);
        let row = view.run(run).expect("readable").expect("the run exists");
        view.event(row.event).expect("readable").expect("its event").event.to_value()
    }

    async fn put_ticket(&self, id: &str, fields: Value, kind: &str) {
        let mut ticket = fields.as_object().cloned().unwrap_or_default();
        ticket.insert("id".to_owned(), json!(id));
        let event = Event {
            id: String::new(),
            kind: kind.to_owned(),
            source: "ergane".to_owned(),
            subject: Some(id.to_owned()),
            time: self.clock.now(),
            actor: Actor::default(),
            payload: json!({ "ticket": ticket }),
            metadata: Map::new(),
            cause: None,
        };
        let id = id.to_owned();
        let written = self.world.engine.transact(TENANT, move |tx| {
            tx.put_record(RecordKind::Ticket, &id, &ticket);
            tx.emit(event);
            Ok::<_, StoreError>(())
        });
        written.await.expect("written");
    }

    fn all_runs(&self) -> Vec<RunHead> {
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        let view = TenantView::new(TENANT, &snapshot);
        let rows = view.runs_before(crate::store::runs::RunList::All, None, 1_000);
        rows.expect("readable").into_iter().map(|row| row.head).collect()
    }

    async fn until_runs(&self, count: usize) -> Vec<RunHead> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.all_runs().len() < count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{} runs", self.all_runs().len()));
        self.all_runs()
    }

    async fn switch_off(&self, name: &str) {
        let snapshot = self.world.engine.snapshot(TENANT).expect("a snapshot");
        let row = TenantView::new(TENANT, &snapshot).workflow(name).expect("readable");
        let row = WorkflowRow { active: false, ..row.expect("the workflow exists") };
        let written = self.world.engine.transact(TENANT, move |tx| {
            tx.put_workflow(&row);
            Ok::<_, StoreError>(())
        });
        written.await.expect("written");
    }
}

fn find<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(fields) => {
            fields.get(name).or_else(|| fields.values().find_map(|inner| find(inner, name)))
        }
        Value::Array(items) => items.iter().find_map(|inner| find(inner, name)),
        _ => None,
    }
}

fn timed(test: impl AsyncFnOnce(Timed)) {
    timed_with(EngineSettings::default(), test);
}

fn timed_with(settings: EngineSettings, test: impl AsyncFnOnce(Timed)) {
    actix::System::new().block_on(async {
        let world = Timed::new(settings).await;
        test(world).await;
    });
}

fn trigger(gates: Value) -> Value {
    let mut trigger = json!({ "event": "thing:happened" });
    for (name, gate) in gates.as_object().expect("an object") {
        trigger[name] = gate.clone();
    }
    trigger
}

const KEY: &str = "{{trigger.payload.k}}";

#[test]
fn a_key_that_was_seen_starts_nothing_until_its_window_is_over() {
    timed(async |mut at| {
        at.save("once", trigger(json!({ "dedupe": { "key": KEY, "window": "1h" } }))).await;
        assert_eq!(at.publish("one", json!({ "k": "a" })).await.len(), 1);
        assert_eq!(at.publish("other", json!({ "k": "b" })).await.len(), 1);
        at.pass(3_599);
        at.crash().await;
        assert!(at.publish("two", json!({ "k": "a" })).await.is_empty());
        assert!(at.reason("two").starts_with("duplicate: one "), "{}", at.reason("two"));
        at.pass(1);
        assert_eq!(at.publish("three", json!({ "k": "a" })).await.len(), 1);
        at.pass(3_600);
        at.until_windows(0).await;
    });
}

#[test]
fn a_throttle_withholds_what_is_more_than_its_limit() {
    timed(async |at| {
        let throttle = json!({ "limit": 2, "period": "1m", "key": KEY });
        at.save("calm", trigger(json!({ "throttle": throttle }))).await;
        let mut started = Vec::new();
        for (number, seconds) in [0, 10, 10, 39, 1, 1].into_iter().enumerate() {
            at.pass(seconds);
            started.push(at.publish(&format!("e{number}"), json!({ "k": 1 })).await.len());
        }
        assert_eq!(started, [1, 1, 0, 0, 1, 1]);
        assert!(at.reason("e3").starts_with("limited: 2 in 1m"), "{}", at.reason("e3"));
        assert_eq!(at.publish("foreign", json!({ "k": 2 })).await.len(), 1);
    });
}

#[test]
fn a_debounce_starts_one_run_with_the_last_event_and_tells_every_event() {
    timed(async |mut at| {
        let debounce = json!({ "key": KEY, "wait": "5m" });
        let steps = json!([{ "id": "first", "activity": "test:echo",
            "input": { "n": "{{trigger.payload.n}}", "events": "{{run.events}}" } }]);
        let extra = json!({ "trigger": trigger(json!({ "debounce": debounce })), "steps": steps });
        at.world.save(echoes("quiet", extra)).await;
        for (id, n) in [("one", 1), ("two", 2), ("three", 3)] {
            assert!(at.publish(id, json!({ "k": "a", "n": n })).await.is_empty());
            assert!(at.reason(id).starts_with("delayed:"), "{}", at.reason(id));
            at.pass(200);
        }
        at.crash().await;
        assert!(at.stored("three").runs.is_empty(), "it has been quiet for 200 s only");
        at.pass(100);
        let runs = at.runs_of("three", 1).await;
        assert_eq!(at.input_of(runs[0]).await, json!({ "n": 3, "events": 3 }));
        for id in ["one", "two", "three"] {
            let stored = at.stored(id);
            assert_eq!((&stored.runs, stored.withheld.len()), (&runs, 0), "{id}");
        }
        assert_eq!((at.all_runs().len(), at.windows()), (1, 0));
    });
}

#[test]
fn a_debounce_does_not_wait_for_quiet_for_ever() {
    timed(async |at| {
        let debounce = json!({ "wait": "60s", "maxWait": "100s" });
        at.save("quiet", trigger(json!({ "debounce": debounce }))).await;
        for id in ["one", "two"] {
            at.publish(id, json!({})).await;
            at.pass(50);
        }
        let runs = at.runs_of("two", 1).await;
        assert_eq!(at.stored("one").runs, runs);
    });
}

#[test]
fn a_batch_starts_one_run_when_it_is_full_or_its_time_is_over() {
    timed(async |mut at| {
        let batch = json!({ "size": 3, "wait": "10m" });
        let steps = json!([{ "id": "first", "activity": "test:echo", "input": {
            "count": "{{trigger.payload.count}}",
            "last": "{{trigger.payload.events[-1].payload.n}}" } }]);
        let extra = json!({ "trigger": trigger(json!({ "batch": batch })), "steps": steps });
        at.world.save(echoes("together", extra)).await;
        at.publish("e1", json!({ "n": 1 })).await;
        assert!(at.reason("e1").starts_with("batched:"), "{}", at.reason("e1"));
        at.pass(60);
        at.publish("e2", json!({ "n": 2 })).await;
        let full = at.publish("e3", json!({ "n": 3 })).await;
        assert_eq!(full.len(), 1, "the third makes it full");
        assert_eq!(at.input_of(full[0]).await, json!({ "count": 3, "last": 3 }));
        let event = at.event_of(full[0]);
        assert_eq!(event["type"], "thing:happened");
        assert_eq!(event["payload"]["events"][0]["id"], "e1");
        assert_eq!(event["payload"]["firstAt"], json!(Timestamp::from_millis(START)));
        for id in ["e1", "e2", "e3"] {
            assert_eq!(at.stored(id).runs, full, "{id}");
        }
        let by_hand = IncomingEvent {
            kind: "thing:happened".to_owned(),
            payload: json!({ "n": 7 }),
            ..IncomingEvent::default()
        };
        let by_hand = at.world.engine.start_run(TENANT, "together".to_owned(), 1, by_hand).await;
        let by_hand = by_hand.expect("it starts").runs[0];
        assert_eq!(at.input_of(by_hand).await, json!({ "count": 1, "last": 7 }));
        at.publish("e4", json!({ "n": 4 })).await;
        at.crash().await;
        at.pass(600);
        let late = at.runs_of("e4", 1).await;
        assert_eq!(at.input_of(late[0]).await, json!({ "count": 1, "last": 4 }));
    });
}

#[test]
fn a_rate_limit_delays_in_order_and_loses_nothing() {
    timed(async |mut at| {
        let limit = json!({ "limit": 2, "period": "1m" });
        at.save("paced", trigger(json!({ "rateLimit": limit }))).await;
        let ids: Vec<String> = (0..7).map(|number| format!("e{number}")).collect();
        let mut started = Vec::new();
        for (number, id) in ids.iter().enumerate() {
            started.push(at.publish(id, json!({ "n": number })).await.len());
        }
        assert_eq!(started, [1, 1, 0, 0, 0, 0, 0]);
        assert!(at.reason("e6").starts_with("delayed: until "), "{}", at.reason("e6"));
        at.crash().await;
        at.pass(60);
        at.runs_of("e3", 1).await;
        assert!(at.stored("e4").runs.is_empty());
        at.pass(120);
        at.runs_of("e6", 1).await;
        let mut runs = Vec::new();
        for id in &ids {
            let own = at.stored(id);
            assert_eq!((own.runs.len(), own.withheld.len()), (1, 0), "{id}");
            runs.push(own.runs[0]);
        }
        assert!(runs.is_sorted(), "they begin in the order of arrival: {runs:?}");
        at.pass(60);
        at.until_windows(0).await;
    });
}

#[test]
fn a_gate_that_has_no_room_to_remember_lets_through() {
    let settings = EngineSettings { windows_max: 2, ..EngineSettings::default() };
    timed_with(settings, async |at| {
        at.save("together", trigger(json!({ "batch": { "key": KEY, "size": 9, "wait": "1h" } })))
            .await;
        let mut started = Vec::new();
        for k in 0..4 {
            started.push(at.publish(&format!("e{k}"), json!({ "k": k })).await.len());
        }
        assert_eq!((started, at.windows()), (vec![0, 0, 1, 1], 2));
    });
}

#[test]
fn a_window_is_over_when_it_holds_as_much_as_it_may() {
    let settings = EngineSettings { batch_events_max: 4, ..EngineSettings::default() };
    timed_with(settings, async |at| {
        at.save("quiet", trigger(json!({ "debounce": { "wait": "1h" } }))).await;
        let mut started = Vec::new();
        for number in 0..4 {
            started.push(at.publish(&format!("e{number}"), json!({})).await.len());
        }
        assert_eq!(started, [0, 0, 0, 1]);
    });
}

#[test]
fn what_waits_is_dropped_with_its_workflow_and_says_so() {
    timed(async |at| {
        at.save("together", trigger(json!({ "batch": { "size": 9, "wait": "1h" } }))).await;
        at.publish("one", json!({})).await;
        at.switch_off("together").await;
        assert!(at.reason("one").starts_with("limited: dropped"), "{}", at.reason("one"));
        assert_eq!((at.windows(), at.all_runs().len()), (0, 0));
    });
}

#[test]
fn what_waits_starts_at_once_when_a_new_version_has_no_such_gate() {
    timed(async |at| {
        at.save("changing", trigger(json!({ "batch": { "size": 9, "wait": "1h" } }))).await;
        at.publish("one", json!({ "n": 1 })).await;
        at.publish("two", json!({ "n": 2 })).await;
        let longer = trigger(json!({ "batch": { "size": 5, "wait": "2h" } }));
        at.save_version("changing", longer, 2).await;
        assert_eq!(at.windows(), 1, "the same gate goes on");
        at.save_version("changing", trigger(json!({})), 3).await;
        for (id, n) in [("one", 1), ("two", 2)] {
            let runs = at.runs_of(id, 1).await;
            assert_eq!(at.input_of(runs[0]).await, json!({ "payload": { "n": n } }));
        }
        assert_eq!(at.windows(), 0);
    });
}

#[test]
fn a_state_that_lasts_starts_one_run_and_one_that_ends_starts_none() {
    timed(async |mut at| {
        at.put_ticket("T0", json!({ "priorityName": "urgent" }), "ticket:created").await;
        let lasting = json!({ "record": "ticket", "for": "2h", "resetBy": ["ticket:comment:added"],
            "filter": { "ticket.priorityName": { "~eq": "urgent" } } });
        let steps = json!([{ "id": "first", "activity": "test:echo",
            "input": { "id": "{{trigger.payload.ticket.id}}" } }]);
        at.world.save(echoes("late", json!({ "trigger": lasting, "steps": steps }))).await;
        assert_eq!(at.windows(), 1, "a record that is in the state already is watched");
        at.put_ticket("T1", json!({ "priorityName": "urgent" }), "ticket:created").await;
        at.put_ticket("T2", json!({ "priorityName": "urgent" }), "ticket:created").await;
        at.put_ticket("T3", json!({ "priorityName": "low" }), "ticket:created").await;
        assert_eq!(at.windows(), 3);
        at.pass(3_600);
        at.put_ticket("T1", json!({ "priorityName": "high" }), "ticket:updated").await;
        at.put_ticket("T2", json!({ "priorityName": "urgent" }), "ticket:comment:added").await;
        at.crash().await;
        at.pass(3_600);
        let runs = at.until_runs(1).await;
        assert_eq!(at.input_of(runs[0].id).await, json!({ "id": "T0" }));
        let event = at.event_of(runs[0].id);
        assert_eq!(event["type"], "ticket:lasting");
        assert_eq!((&event["subject"], &event["payload"]["for"]), (&json!("T0"), &json!("2h")));
        at.pass(3_600);
        let runs = at.until_runs(2).await;
        assert_eq!(
            at.input_of(runs[0].id).await,
            json!({ "id": "T2" }),
            "it was answered meanwhile"
        );
        at.pass(36_000);
        at.put_ticket("T0", json!({ "priorityName": "low" }), "ticket:updated").await;
        at.put_ticket("T2", json!({ "priorityName": "urgent" }), "ticket:updated").await;
        assert_eq!((at.all_runs().len(), at.windows()), (2, 1), "one run for one state");
        at.switch_off("late").await;
        assert_eq!(at.windows(), 0);
    });
}

#[test]
fn a_lasting_state_repeats_when_asked_to() {
    timed(async |at| {
        let lasting = json!({ "record": "ticket", "for": "1h", "repeat": "4h",
            "filter": { "ticket.priorityName": { "~eq": "urgent" } } });
        let steps = json!([{ "id": "first", "activity": "test:echo", "input": {} }]);
        at.world.save(echoes("late", json!({ "trigger": lasting, "steps": steps }))).await;
        at.put_ticket("T1", json!({ "priorityName": "urgent" }), "ticket:created").await;
        for (count, hours) in [(1, 1), (2, 4), (3, 4)] {
            at.pass(hours * 3_600);
            assert_eq!(at.until_runs(count).await.len(), count);
        }
    });
}

#[test]
fn records_beyond_one_turn_are_watched_in_the_next() {
    let settings = EngineSettings { lasting_batch_max: 3, ..EngineSettings::default() };
    timed_with(settings, async |at| {
        for number in 0..10 {
            let fields = json!({ "priorityName": "urgent" });
            at.put_ticket(&format!("T{number}"), fields, "ticket:created").await;
        }
        let lasting = json!({ "record": "ticket", "for": "1h",
            "filter": { "ticket.priorityName": { "~eq": "urgent" } } });
        let steps = json!([{ "id": "first", "activity": "test:echo", "input": {} }]);
        at.world.save(echoes("late", json!({ "trigger": lasting, "steps": steps }))).await;
        at.until_windows(10).await;
    });
}

#[test]
fn a_run_keeps_the_records_that_were_joined_into_its_event() {
    timed(async |mut at| {
        at.put_ticket("T1", json!({ "title": "before" }), "ticket:created").await;
        let annotation = json!({ "entityType": "Ticket", "relations": [],
            "requiredFields": { "ticketId": "{{context.event.message.payload.ticketId}}" },
            "pathToAnnotate": "context.event.message.payload.ticket" });
        let steps = json!([{ "id": "nap", "sleep": "1h" }, { "id": "first",
            "activity": "test:echo", "input": { "t": "{{trigger.payload.ticket.title}}" } }]);
        let trigger = json!({ "event": "thing:happened",
            "filter": { "ticket.title": { "~eq": "before" } } });
        let extra = json!({ "annotations": [annotation], "steps": steps, "trigger": trigger });
        at.world.save(echoes("joined", extra)).await;
        assert!(at.publish("none", json!({ "ticketId": "T9" })).await.is_empty());
        let runs = at.publish("one", json!({ "ticketId": "T1" })).await;
        at.put_ticket("T1", json!({ "title": "after" }), "ticket:updated").await;
        at.crash().await;
        at.pass(3_600);
        assert_eq!(at.input_of(runs[0]).await, json!({ "t": "before" }));
    });
}

#[test]
fn more_urgent_runs_get_room_first() {
    let settings = EngineSettings { runs_active_max: 1, ..EngineSettings::default() };
    timed_with(settings, async |at| {
        let steps = json!([{ "id": "call", "activity": "test:call", "input": {} }]);
        for (name, priority) in [
            ("a-first", json!(3)),
            ("b-low", json!("low")),
            ("c-normal", json!("normal")),
            ("d-high", json!("high")),
            ("e-two", json!(2)),
        ] {
            let extra = json!({ "steps": steps, "priority": priority });
            at.world.save(echoes(name, extra)).await;
        }
        let mut order = Vec::new();
        for run in at.publish("one", json!({})).await {
            let head = at.world.end_of(run).await;
            let snapshot = at.world.engine.snapshot(TENANT).expect("a snapshot");
            let journal = TenantView::new(TENANT, &snapshot).journal(run).expect("readable");
            let journal = serde_json::to_value(journal).expect("plain");
            let number = find(&journal, "number").and_then(Value::as_u64);
            order.push((number.expect("the number of its call"), head.workflow));
        }
        order.sort();
        let names: Vec<&str> = order.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["a-first", "d-high", "e-two", "c-normal", "b-low"]);
    });
}
