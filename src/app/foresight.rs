//! What a change of a record would set off, told before anybody makes it.

use serde::Serialize;
use serde_json::{Value, json};

use super::App;
use super::desk::Record;
use super::error::Error;
use super::events::actor;
use super::joined::joined_now;
use super::principal::Principal;
use crate::activities::desk::find;
use crate::domain::desk::{self, Emitted, Facts, RecordKind, Related, Surroundings};
use crate::domain::event::{Actor, Event};
use crate::domain::id::Uid;
use crate::domain::scope::Scope;
use crate::domain::time::Timestamp;
use crate::engine::Engine;
use crate::store::tenant::TenantView;

/// How many definitions, statuses or policies a change may have to read.
const DEFINITIONS_MAX: usize = 500;

/// What a change would set off.
#[derive(Clone, Debug, Serialize)]
pub struct Foresight {
    /// The events that the change would emit, general ones first.
    pub events: Vec<ForeseenEvent>,
}

/// An event that would be emitted.
#[derive(Clone, Debug, Serialize)]
pub struct ForeseenEvent {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Every active workflow that listens to it.
    pub workflows: Vec<ForeseenRun>,
}

/// What a workflow would make of the event.
#[derive(Clone, Debug, Serialize)]
pub struct ForeseenRun {
    /// The workflow's name.
    pub workflow: String,
    /// The version that would run.
    pub version: u32,
    /// Whether its filter holds; a rate limit or a schedule of hours could still hold it back.
    pub matches: bool,
    /// The filter, condition by condition.
    pub trace: Value,
}

impl App {
    /// Tells which events a change of a record would emit, and which workflows would run.
    ///
    /// # Errors
    /// `NotFound` when there is no such record, `Invalid` with every problem of the patch.
    pub fn foresee(
        &self,
        who: &Principal,
        (kind, key): (RecordKind, &str),
        patch: &Record,
    ) -> Result<Foresight, Error> {
        let before = self.record(who, kind, key)?;
        let (now, actor) = (self.now(), actor(who));
        self.read(who, |view| {
            let after = with_facts(view, now, |facts| desk::update(kind, &before, patch, facts))?
                .map_err(Error::Invalid)?;
            let around = Surroundings::default();
            let emitted = desk::events(kind, Some(&before), Some(&after), &around);
            let events = emitted.into_iter().map(|it| foreseen(view, it, &actor, now));
            Ok(Foresight { events: events.collect::<Result<_, Error>>()? })
        })
    }
}

/// Decides something about records with what the tenant has at this moment.
pub(super) fn with_facts<T>(
    view: TenantView<'_>,
    now: Timestamp,
    decide: impl FnOnce(&Facts<'_>) -> T,
) -> Result<T, Error> {
    let fault = std::cell::RefCell::new(None);
    let lookup = |kind: RecordKind, key: &str| {
        find(&view, kind, key).unwrap_or_else(|error| {
            *fault.borrow_mut() = Some(error);
            None
        })
    };
    let list = |kind: RecordKind| match view.records_before(kind, None, DEFINITIONS_MAX) {
        Ok(mut records) => {
            records.reverse();
            records
        }
        Err(error) => {
            *fault.borrow_mut() = Some(error);
            Vec::new()
        }
    };
    let related = Related { get: &lookup, all: &list };
    let decided = decide(&Facts { now, id: Uid::from_text("new"), number: 1, related });
    match fault.into_inner() {
        Some(error) => Err(error.into()),
        None => Ok(decided),
    }
}

fn foreseen(
    view: TenantView<'_>,
    emitted: Emitted,
    actor: &Actor,
    now: Timestamp,
) -> Result<ForeseenEvent, Error> {
    let event = Event {
        id: "foreseen".to_owned(),
        kind: emitted.kind,
        source: "ergane".to_owned(),
        subject: Some(emitted.subject).filter(|subject| !subject.is_empty()),
        time: now,
        actor: actor.clone(),
        payload: emitted.payload,
        metadata: emitted.metadata,
        cause: None,
    };
    let mut workflows = Vec::new();
    for row in view.workflows()? {
        if !row.active || row.deleted_at.is_some() {
            continue;
        }
        let Some(version) = view.version(&row.name, row.version)? else { continue };
        // One that cannot be read must not keep the others from being told of.
        let Ok(workflow) = Engine::compile(&version) else { continue };
        if workflow.filters_of(&event.kind).next().is_none() {
            continue;
        }
        let given = joined_now(view, &workflow, &event)?;
        let scope = Scope::of_event(given.seen(&event));
        let traces = workflow.filters_of(&event.kind).map(|filter| filter.trace(&scope));
        let trace = traces.reduce(|first, other| if first.result { first } else { other });
        workflows.push(ForeseenRun {
            workflow: row.name,
            version: version.version,
            matches: trace.as_ref().is_none_or(|trace| trace.result),
            trace: json!(trace),
        });
    }
    // What would run comes before what would not.
    workflows.sort_by_key(|it| !it.matches);
    Ok(ForeseenEvent { kind: event.kind, workflows })
}
