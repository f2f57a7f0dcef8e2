//! The engine over a simulated store: what is accepted is run, whatever the store does meanwhile.

mod doubts;
mod schedules;
mod triggers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::settings::EngineSettings;
use super::{Accepted, Engine, IncomingEvent, Parts};
use crate::activities::{
    Activities, Activity, Caller, Done, OutsideActivity, OutsideCall, PlatformActivity,
};
use crate::clock::Clock;
use crate::domain::activity::{ActivitySpec, Compensation, Reach};
use crate::domain::id::{RunId, TenantId};
use crate::domain::run::{Failure, Input, RunHead, Status};
use crate::domain::time::Timestamp;
use crate::domain::workflow::Retry;
use crate::domain::workflow::export::to_native;
use crate::domain::workflow::parse::{DefinitionLimits, Known, KnownEvent, parse};
use crate::metrics::Metrics;
use crate::store::access::{APPLIANCE, TenantRow};
use crate::store::seal::Sealer;
use crate::store::seam::StoreError;
use crate::store::sim::{Faults, SimStore};
use crate::store::tenant::{TenantTx, TenantView};
use crate::store::workflows::{VersionRow, WorkflowRow};

const TENANT: TenantId = TenantId(1);
const PATIENCE: Duration = Duration::from_secs(20);

struct Echo;

impl PlatformActivity for Echo {
    fn spec(&self) -> ActivitySpec {
        spec("test:echo", Reach::Platform)
    }

    fn run(&self, _: &mut TenantTx<'_, '_>, _: &Caller, input: &Value) -> Result<Done, Failure> {
        assert!(input["panic"].is_null(), "asked to panic");
        Ok(Done { output: input.clone(), undo: Value::Null })
    }
}

/// Fails in the way that its input asks for until it was called as often as that says.
struct Call(Arc<AtomicU32>);

impl OutsideActivity for Call {
    fn spec(&self) -> ActivitySpec {
        spec("test:call", Reach::Outside)
    }

    fn call(&self, call: OutsideCall) -> BoxFuture<'static, Result<Value, Failure>> {
        let number = u64::from(self.0.fetch_add(1, Ordering::SeqCst) + 1);
        Box::pin(async move {
            if number <= call.input["failures"].as_u64().unwrap_or(0) {
                assert!(call.input["panic"].is_null(), "asked to panic");
                return Err(Failure::retryable("refused", "asked to fail"));
            }
            Ok(json!({ "key": call.idempotency_key, "number": number }))
        })
    }
}

fn spec(identifier: &str, reach: Reach) -> ActivitySpec {
    ActivitySpec {
        identifier: identifier.to_owned(),
        name: identifier.to_owned(),
        version: 1,
        category: "test".to_owned(),
        source: "test".to_owned(),
        description: "For tests.".to_owned(),
        input_schema: json!({ "type": "object" }),
        output_schema: json!({}),
        reach,
        compensation: Compensation::NotNeeded,
        scopes: Vec::new(),
        timeout: Duration::from_secs(5),
        retry: Retry { initial: Duration::from_millis(1), ..Retry::DEFAULT },
        throttle: None,
    }
}

struct World {
    engine: Engine,
    store: SimStore,
    calls: Arc<AtomicU32>,
    clock: Clock,
}

impl World {
    async fn new(parts: u16, clock: Clock) -> World {
        World::with(parts, clock, EngineSettings::default()).await
    }

    async fn with(parts: u16, clock: Clock, settings: EngineSettings) -> World {
        let store = SimStore::new(7, parts, Faults::NONE);
        let calls = Arc::new(AtomicU32::new(0));
        let engine = start(&store, &calls, &clock, settings);
        let world = World { engine, store, calls, clock };
        world.settle().await;
        let row = TenantRow::new(TENANT, "acme", "Acme", Timestamp::default());
        let tenant = row.clone();
        let written = world.engine.transact(APPLIANCE, move |tx| {
            tx.put_tenant(&row);
            Ok::<_, StoreError>(())
        });
        written.await.expect("the tenant is written");
        world.engine.open_tenant(tenant).await.expect("the tenant is opened");
        world
    }

    /// Waits until the parts are open; turns of the runtime pass meanwhile, not time.
    async fn settle(&self) {
        while !self.engine.is_ready() {
            tokio::task::yield_now().await;
        }
    }

    async fn save(&self, definition: Value) {
        self.save_version(definition, 1).await;
    }

    async fn save_version(&self, definition: Value, version: u32) {
        let event_type =
            |kind: &str| Some(KnownEvent { kind: kind.to_owned(), schema: json!(true) });
        let known = Known {
            catalogue: self.engine.activities().catalogue(),
            event_type: &|kind| KnownEvent::built_in(kind).or_else(|| event_type(kind)),
            event_names: &[],
            limits: DefinitionLimits::default(),
        };
        let workflow = parse(&definition, &known).expect("a valid definition");
        let row_of_version = VersionRow {
            name: workflow.name.clone(),
            version,
            uid: String::new(),
            definition: to_native(&workflow),
            source: None,
            warnings: Vec::new(),
            created_by: String::new(),
            created_at: Timestamp::default(),
            note: None,
        };
        let row = WorkflowRow {
            name: workflow.name.clone(),
            unique_identifier: String::new(),
            version,
            newest: version,
            active: true,
            deleted_at: None,
            created_at: Timestamp::default(),
            updated_at: Timestamp::default(),
        };
        let written = self.engine.transact(TENANT, move |tx| {
            tx.put_version(&row_of_version);
            tx.put_workflow(&row);
            Ok::<_, StoreError>(())
        });
        written.await.expect("the workflow is written");
    }

    async fn publish(&self, id: &str, payload: Value) -> Accepted {
        let event = IncomingEvent {
            id: Some(id.to_owned()),
            kind: "thing:happened".to_owned(),
            source: "test".to_owned(),
            payload,
            ..IncomingEvent::default()
        };
        let accepted = self.engine.publish(TENANT, vec![event]).await.expect("it is accepted");
        accepted.into_iter().next().expect("an answer for the event")
    }

    fn head(&self, run: RunId) -> RunHead {
        let snapshot = self.engine.snapshot(TENANT).expect("a snapshot");
        let row = TenantView::new(TENANT, &snapshot).run(run).expect("readable");
        row.expect("the run exists").head
    }

    async fn end_of(&self, run: RunId) -> RunHead {
        let ended = self.engine.end_of(run);
        if !self.head(run).status.is_final() {
            tokio::time::timeout(PATIENCE, ended).await.expect("in time").expect("told");
        }
        self.head(run)
    }
}

fn start(
    store: &SimStore,
    calls: &Arc<AtomicU32>,
    clock: &Clock,
    settings: EngineSettings,
) -> Engine {
    let activities = Activities::new(
        vec![
            Activity::Platform(Arc::new(Echo)),
            Activity::Outside(Arc::new(Call(Arc::clone(calls)))),
            Activity::Outside(Arc::new(doubts::Forgetful(Arc::clone(calls)))),
        ],
        Vec::new(),
    );
    Engine::start(Parts {
        store: Arc::new(store.clone()),
        clock: clock.clone(),
        activities,
        settings,
        metrics: Arc::new(Metrics::new()),
        sealer: Arc::new(Sealer::new(&[0; 32], Clock::system())),
    })
}

fn in_world(parts: u16, test: impl AsyncFnOnce(World)) {
    actix::System::new().block_on(async {
        let world = World::new(parts, Clock::system()).await;
        test(world).await;
    });
}

fn echoes(name: &str, extra: Value) -> Value {
    let mut definition = json!({
        "name": name,
        "trigger": { "event": "thing:happened" },
        "steps": [
            { "id": "first", "activity": "test:echo", "input": { "n": "{{trigger.payload.n}}" } },
            { "id": "second", "activity": "test:echo", "input": { "n": "{{steps.first.output.n}}" } },
        ],
    });
    for (key, value) in extra.as_object().expect("an object") {
        definition[key] = value.clone();
    }
    definition
}

#[test]
fn an_event_starts_a_run_that_is_over_when_the_event_is_answered_for() {
    for parts in [1, 4, 64] {
        in_world(parts, async |world| {
            world.save(echoes("two-steps", json!({}))).await;
            let accepted = world.publish("one", json!({ "n": 3 })).await;
            let head = world.end_of(accepted.runs[0]).await;
            assert_eq!((head.status, head.steps_done), (Status::Succeeded, 2));
        });
    }
}

#[test]
fn the_same_event_starts_nothing_again() {
    in_world(1, async |world| {
        world.save(echoes("two-steps", json!({}))).await;
        let first = world.publish("one", json!({ "n": 3 })).await;
        let again = world.publish("one", json!({ "n": 4 })).await;
        assert_eq!((again.duplicate, again.runs), (true, first.runs));
    });
}

#[test]
fn an_event_that_no_filter_lets_through_starts_nothing() {
    in_world(1, async |world| {
        let trigger = json!({ "event": "thing:happened", "filter": { "n": { "~gt": 5 } } });
        world.save(echoes("picky", json!({ "trigger": trigger }))).await;
        assert!(world.publish("low", json!({ "n": 3 })).await.runs.is_empty());
        assert_eq!(world.publish("high", json!({ "n": 7 })).await.runs.len(), 1);
    });
}

#[test]
fn a_call_that_fails_or_panics_is_made_again_with_the_same_key() {
    for panic in [Value::Null, json!(true)] {
        in_world(1, async |world| {
            let input = json!({ "failures": 2, "panic": panic });
            let steps = json!([{ "id": "call", "activity": "test:call", "input": input }]);
            world.save(echoes("caller", json!({ "steps": steps }))).await;
            let run = world.publish("one", json!({})).await.runs[0];
            let head = world.end_of(run).await;
            assert_eq!((head.status, head.attempts), (Status::Succeeded, 3));
            assert_eq!(world.calls.load(Ordering::SeqCst), 3);
        });
    }
}

#[test]
fn a_platform_activity_that_panics_fails_its_own_run_alone() {
    in_world(1, async |world| {
        let retry = json!({ "attempts": 1 });
        let steps = json!([{ "id": "boom", "activity": "test:echo", "retry": retry,
            "input": { "panic": "{{trigger.payload.panic}}" } }]);
        world.save(echoes("fragile", json!({ "steps": steps }))).await;
        let broken = world.publish("one", json!({ "panic": true })).await.runs[0];
        let sound = world.publish("two", json!({ "panic": null })).await.runs[0];
        let head = world.end_of(broken).await;
        assert_eq!(head.status, Status::Failed);
        assert_eq!(head.error.expect("a reason").code, "panic");
        assert_eq!(world.end_of(sound).await.status, Status::Succeeded);
    });
}

#[test]
fn a_sleeping_run_has_no_actor_and_wakes_when_its_time_has_come() {
    in_world(1, async |world| {
        let steps = json!([{ "id": "nap", "sleep": "300ms" }, { "id": "after", "activity": "test:echo", "input": {} }]);
        world.save(echoes("sleeper", json!({ "steps": steps }))).await;
        let run = world.publish("one", json!({})).await.runs[0];
        assert_eq!(world.head(run).status, Status::Waiting);
        let observed = world.engine.observe(TENANT).await.expect("a supervisor");
        assert_eq!(observed.active, 0);
        let head = world.end_of(run).await;
        assert_eq!(head.status, Status::Succeeded);
        let took = head.ended_at.expect("an end").since(head.created_at);
        assert!(took >= Duration::from_millis(300), "it woke after {took:?}");
    });
}

#[test]
fn runs_of_one_key_follow_one_another() {
    in_world(1, async |world| {
        let concurrency = json!({ "key": "{{trigger.payload.k}}", "limit": 1, "policy": "queue" });
        let steps = json!([{ "id": "nap", "sleep": "10ms" }]);
        let extra = json!({ "concurrency": concurrency, "steps": steps });
        world.save(echoes("one-at-a-time", extra)).await;
        // Together, so that they arrive within one millisecond.
        let events = ["a", "b", "c", "d", "e", "f"].map(|id| IncomingEvent {
            id: Some(id.to_owned()),
            kind: "thing:happened".to_owned(),
            source: "test".to_owned(),
            payload: json!({ "k": "same" }),
            ..IncomingEvent::default()
        });
        let accepted = world.engine.publish(TENANT, events.into()).await.expect("accepted");
        let mut last_end = Timestamp::default();
        for answer in accepted {
            let head = world.end_of(answer.runs[0]).await;
            assert!(head.started_at.expect("a start") >= last_end, "they overlap");
            last_end = head.ended_at.expect("an end");
        }
    });
}

#[test]
fn a_run_that_waits_can_be_cancelled() {
    in_world(1, async |world| {
        let steps = json!([{ "id": "nap", "sleep": "7d" }]);
        world.save(echoes("sleeper", json!({ "steps": steps }))).await;
        let run = world.publish("one", json!({})).await.runs[0];
        let cancel = Input::Cancel { by: "a test".to_owned(), compensate: true };
        world.engine.deliver(TENANT, run, cancel).await.expect("delivered");
        assert_eq!(world.head(run).status, Status::Cancelled);
    });
}

#[test]
fn a_store_that_fences_fails_and_forgets_its_answer_loses_no_accepted_event() {
    in_world(4, async |world| {
        let steps = json!([
            { "id": "echo", "activity": "test:echo", "input": {} },
            { "id": "nap", "sleep": "20ms" },
            { "id": "call", "activity": "test:call", "input": {} },
        ]);
        world.save(echoes("sturdy", json!({ "steps": steps }))).await;
        world.store.set_faults(Faults::SOME);
        let mut accepted = Vec::new();
        for number in 0..200 {
            let event = IncomingEvent {
                id: Some(format!("event {number}")),
                kind: "thing:happened".to_owned(),
                source: "test".to_owned(),
                ..IncomingEvent::default()
            };
            if let Ok(answers) = world.engine.publish(TENANT, vec![event]).await {
                accepted.extend(answers);
            }
        }
        world.store.set_faults(Faults::NONE);
        assert!(!accepted.is_empty());
        for answer in accepted {
            let head = world.end_of(answer.runs[0]).await;
            assert_eq!(head.status, Status::Succeeded, "{}", answer.id);
        }
    });
}
