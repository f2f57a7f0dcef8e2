//! A tenant's records in memory, for tests of what changes them.

use std::collections::BTreeMap;
use std::ops::Bound::Unbounded;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::desk::{self, Desk, DeskError};
use super::settings::EgressSettings;
use super::{Activities, Activity, Caller, Done};
use crate::clock::Clock;
use crate::domain::desk::RecordKind;
use crate::domain::event::{Actor, Cause, Event};
use crate::domain::id::{RunId, TenantId};
use crate::domain::run::Failure;
use crate::domain::time::Timestamp;
use crate::store::ledger::{Abort, Ledger, Reads};
use crate::store::seam::{Direction, Space, Store};
use crate::store::sim::{Faults, SimStore};
use crate::store::tenant::TenantTx;

/// A tenant with a team `WED`, the users `ana@ours.test` and `bo@ours.test`, the account
/// `acme.test` and its contact `kim@acme.test`.
pub(super) struct Bench {
    pub(super) activities: Activities,
    pub(super) caller: Caller,
    tenant: TenantId,
    ledger: Ledger,
    clock: Clock,
    events: Vec<Event>,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let store = SimStore::new(1, 1, Faults::NONE);
        let (ledger, _) = Ledger::open(store.claim(0).unwrap()).unwrap();
        let clock = Clock::manual("2026-11-23T10:00:00Z".parse().unwrap());
        let run_id = RunId::new(0, Timestamp::from_millis(1), 7);
        let actor =
            Actor { id: run_id.to_string(), kind: "WORKFLOW".to_owned(), ..Actor::default() };
        let caller = Caller::new(actor, Some(Cause { run_id, depth: 1 }));
        let activities = Activities::built_in(&EgressSettings::default());
        let tenant = TenantId(3);
        let mut bench = Bench { activities, caller, tenant, ledger, clock, events: Vec::new() };
        for (kind, input) in [
            (RecordKind::Team, json!({"name": "Web desk", "identifier": "WED"})),
            (RecordKind::User, json!({"name": "Ana", "email": "ana@ours.test"})),
            (RecordKind::User, json!({"name": "Bo", "email": "bo@ours.test"})),
            (RecordKind::Account, json!({"name": "Acme", "primaryDomain": "acme.test"})),
            (
                RecordKind::Contact,
                json!({"firstName": "Kim", "email": "kim@acme.test", "accountIds": ["acme.test"]}),
            ),
        ] {
            bench.create(kind, input);
        }
        bench
    }

    /// Goes on in another tenant of the same store.
    pub(super) fn move_to(&mut self, tenant: TenantId) {
        self.tenant = tenant;
    }

    /// Does something in a transaction of its own, a second after the last.
    pub(super) fn transact<T>(
        &mut self,
        act: impl FnOnce(&mut TenantTx<'_, '_>, &Caller) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.clock.set(self.clock.now() + Duration::from_secs(1));
        let outcome = self.ledger.transact(|tx| {
            let mut tx = TenantTx::new(self.tenant, tx, &self.clock);
            let value = act(&mut tx, &self.caller)?;
            Ok((value, tx.take_emitted()))
        });
        match outcome {
            Ok(((value, events), _)) => {
                self.events.extend(events);
                Ok(value)
            }
            Err(Abort::Refused(failure)) => Err(failure),
            Err(Abort::Closed(error)) => panic!("the ledger is closed: {error}"),
        }
    }

    pub(super) fn desk<T>(
        &mut self,
        act: impl FnOnce(&mut Desk<'_, '_, '_>) -> Result<T, DeskError>,
    ) -> Result<T, Failure> {
        self.transact(|tx, caller| Ok(act(&mut Desk::new(tx, caller))?))
    }

    pub(super) fn create(&mut self, kind: RecordKind, input: Value) -> Value {
        let made = self.desk(|desk| desk.create(kind, &map(input)));
        Value::Object(made.unwrap())
    }

    pub(super) fn get(&mut self, kind: RecordKind, key: &str) -> Result<Value, Failure> {
        self.desk(|desk| Ok(Value::Object(desk.get(kind, key)?)))
    }

    pub(super) fn run(&mut self, identifier: &str, input: Value) -> Result<Done, Failure> {
        let Some(Activity::Platform(activity)) = self.activities.find(identifier).cloned() else {
            panic!("`{identifier}` is no platform activity");
        };
        self.transact(|tx, caller| activity.run(tx, caller, &input))
    }

    pub(super) fn undo(&mut self, undo: &Value) -> Result<Value, Failure> {
        self.transact(|tx, caller| desk::undo(tx, caller, undo))
    }

    /// Returns the types of the events since this was last asked.
    pub(super) fn events(&mut self) -> Vec<String> {
        self.take_events().into_iter().map(|event| event.kind).collect()
    }

    pub(super) fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Returns every row of the records and of what leads to them; numbers that were given stay.
    pub(super) fn rows(&self) -> BTreeMap<(String, Vec<u8>), String> {
        let rows = self.ledger.transact(|tx| {
            let mut rows = BTreeMap::new();
            for space in [Space::Row, Space::Vis] {
                let pairs =
                    tx.scan(space, (Unbounded, Unbounded), Direction::Ascending, usize::MAX)?;
                for (key, value) in pairs {
                    let value = String::from_utf8_lossy(&value).into_owned();
                    rows.insert((format!("{space:?}"), key.to_vec()), value);
                }
            }
            Ok::<_, crate::store::seam::StoreError>(rows)
        });
        rows.unwrap_or_else(|_| panic!("the rows can be read")).0
    }
}

pub(super) fn map(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("{value} is no object") };
    map
}
